"""Small SVG drawings: axes, steps, points. Numbers in, markup out.

Colours, fonts and dark mode come from the report's style sheet through class names, so that one drawing serves every
theme. What is drawn for a survey is `figures`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ASPECT",
    "Axis",
    "Frame",
    "band_colour",
    "bars",
    "cells",
    "field_colours",
    "legend",
    "line",
    "nice_ticks",
    "points",
    "ramp",
    "spark",
    "steps",
]

_WIDTH, _HEIGHT = 520, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 28, 44
ASPECT = (_WIDTH - _LEFT - _RIGHT) / (_HEIGHT - _TOP - _BOTTOM)
"""Width of a drawing's plane over its height."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: limits in data, label, ticks with their texts."""

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...]

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Place of values between the limits, 0 to 1."""
        return (np.asarray(values, dtype=np.float64) - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing's plane: pixels of the view box around two axes."""

    x: Axis
    y: Axis
    title: str

    def px(self, values: ArrayLike) -> NDArray[np.float64]:
        """Horizontal pixels of data."""
        return _LEFT + self.x.share(values) * (_WIDTH - _LEFT - _RIGHT)

    def py(self, values: ArrayLike) -> NDArray[np.float64]:
        """Vertical pixels of data."""
        return _HEIGHT - _BOTTOM - self.y.share(values) * (_HEIGHT - _TOP - _BOTTOM)

    def draw(self, *layers: Markup) -> Markup:
        """Put layers on the axes."""
        inner = Markup("").join([self._grid(), *layers, self._labels()])
        return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            _WIDTH, _HEIGHT, self.title, inner
        )

    def _grid(self) -> Markup:
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = [
            f'<path class="grid" d="M{px:.1f} {_TOP}V{bottom}"/>'
            f'<text class="tick" x="{px:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>'
            for px, text in _placed(self.x, self.px)
        ]
        parts += [
            f'<path class="grid" d="M{_LEFT} {py:.1f}H{right}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{escape(text)}</text>'
            for py, text in _placed(self.y, self.py)
        ]
        parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
        return Markup("".join(parts))  # noqa: S704 - numbers of ours and escaped texts

    def _labels(self) -> Markup:
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        return Markup(
            '<text class="label" x="{:.0f}" y="{}" text-anchor="middle">{}</text>'
            '<text class="label" x="2" y="13">{}</text>'
        ).format(middle, _HEIGHT - 8, self.x.label, self.y.label)


def _placed(axis: Axis, place: Callable[[ArrayLike], NDArray[np.float64]]) -> list[tuple[float, str]]:
    return [(float(place(value)), text) for value, text in axis.ticks]


def nice_ticks(low: float, high: float, about: int = 6) -> tuple[tuple[float, str], ...]:
    """Ticks at round numbers (1, 2, 5 times a power of ten) within limits."""
    if not high > low:
        return ()
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((n * step, f"{n * step:.{places}f}") for n in range(first, last + 1))


def band_colour(place: int, count: int) -> str:
    """Colour of a band by its place in order of wavelength: blue to red."""
    hue = 222 - 222 * (place / max(count - 1, 1))
    return f"hsl({hue:.0f} 68% 55%)"


def field_colours(count: int) -> list[str]:
    """Colours of so many fields: neighbours in the list are far apart on the colour wheel."""
    return [f"hsl({(47 + 137.5 * n) % 360:.0f} 62% 55%)" for n in range(count)]


def steps(frame: Frame, edges: ArrayLike, heights: ArrayLike, colour: str) -> Markup:
    """Draw a histogram's outline.

    Parameters
    ----------
    frame
        Where to.
    edges
        (n + 1,) of the bins, in data.
    heights
        (n,) in data; NaN = an empty bin: nothing is drawn there.
    colour
        CSS colour.
    """
    tall = np.asarray(heights, dtype=np.float64)
    ys, xs, floor = frame.py(np.maximum(tall, frame.y.low)), frame.px(edges), float(frame.py(frame.y.low))
    filled = np.concatenate([[False], np.isfinite(tall), [False]])
    path = ""
    for n in range(tall.size):
        if filled[n + 1]:
            begin = "" if filled[n] else f"M{xs[n]:.1f} {floor:.1f}"
            end = "" if filled[n + 2] else f"V{floor:.1f}"
            path += f"{begin}V{ys[n]:.1f}H{xs[n + 1]:.1f}{end}"
    return Markup('<path class="steps" style="stroke:{}" d="{}"/>').format(colour, path)


def points(frame: Frame, x: ArrayLike, y: ArrayLike, style: str, colour: str = "") -> Markup:
    """Draw points as one path: thousands stay small.

    Parameters
    ----------
    frame
        Where to; points outside its limits are left out.
    x, y
        (n,) data.
    style
        Class of the style sheet.
    colour
        CSS colour in place of the class's own.
    """
    across, up = frame.x.share(x), frame.y.share(y)
    inside = (across >= 0) & (across <= 1) & (up >= 0) & (up <= 1)
    xs, ys = frame.px(np.asarray(x)[inside]), frame.py(np.asarray(y)[inside])
    path = "".join(f"M{px:.1f} {py:.1f}h0" for px, py in zip(xs.tolist(), ys.tolist(), strict=True))
    look = Markup(' style="stroke:{}"').format(colour) if colour else Markup("")
    return Markup('<path class="points {}"{} d="{}"/>').format(style, look, path)


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Name the series of a drawing: (text, CSS colour), in order."""
    items = [Markup('<span><i style="background:{}"></i>{}</span>').format(colour, text) for text, colour in entries]
    return Markup('<p class="legend">{}</p>').format(Markup("").join(items))


def ramp(low: str, high: str) -> Markup:
    """Colour bar of `cells`: what the weakest and the strongest colour stand for."""
    return Markup('<p class="ramp">{} <i class="cells"></i> {}</p>').format(low, high)


def spark(values: Sequence[float], bins: int = 24) -> Markup:
    """Draw the distribution of finite values as a row of small bars between their 1st and 99th percentiles."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return Markup("")
    low, high = np.percentile(finite, [1, 99])
    counts, _ = np.histogram(finite, bins=bins, range=(low, high if high > low else low + 1))
    tall = 22 * counts / max(int(counts.max()), 1)
    bars = "".join(f"M{4 * n + 2} 24v-{height:.1f}" for n, height in enumerate(tall.tolist()) if height > 0)
    return Markup('<svg class="spark" viewBox="0 0 {} 24" aria-hidden="true"><path d="{}"/></svg>').format(
        4 * bins, bars
    )


def cells(frame: Frame, x_edges: ArrayLike, y_edges: ArrayLike, shares: ArrayLike) -> Markup:
    """Fill the cells of a grid, the stronger the higher their value.

    Parameters
    ----------
    frame
        Where to.
    x_edges, y_edges
        (nx + 1,) and (ny + 1,) in data, rising.
    shares
        (ny, nx) in 0-1; NaN = left empty.
    """
    xs, ys, values = frame.px(x_edges), frame.py(y_edges), np.asarray(shares, dtype=np.float64)
    drawn = [
        f'<rect x="{xs[i]:.1f}" y="{ys[j + 1]:.1f}" width="{xs[i + 1] - xs[i]:.1f}" height="{ys[j] - ys[j + 1]:.1f}"'
        f' fill-opacity="{0.04 + 0.9 * values[j, i]:.2f}"><title>{values[j, i]:.0%}</title></rect>'
        for j, i in zip(*np.nonzero(np.isfinite(values)), strict=True)
    ]
    return Markup('<g class="cells">{}</g>').format(Markup("".join(drawn)))  # noqa: S704 - numbers of ours


def line(frame: Frame, x: ArrayLike, y: ArrayLike, colour: str, *, dashed: bool = False) -> Markup:
    """Draw a line through points; it breaks where a value is NaN.

    Parameters
    ----------
    frame
        Where to.
    x, y
        (n,) data.
    colour
        CSS colour.
    dashed
        For a model or a correction.
    """
    xs, ys = frame.px(x), frame.py(y)
    known = np.isfinite(xs) & np.isfinite(ys)
    begins = known & ~np.concatenate([[False], known[:-1]])
    path = "".join(f"{'M' if begins[n] else 'L'}{xs[n]:.1f} {ys[n]:.1f}" for n in np.flatnonzero(known))
    look = "steps dashed" if dashed else "steps"
    return Markup('<path class="{}" style="stroke:{}" d="{}"/>').format(look, colour, path)


def bars(frame: Frame, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> Markup:
    """Draw intervals as upright bars, in the data of both axes; NaN = none."""
    xs, tops, bottoms = frame.px(x), frame.py(high), frame.py(low)
    known = np.flatnonzero(np.isfinite(xs) & np.isfinite(tops) & np.isfinite(bottoms))
    path = "".join(f"M{xs[n]:.1f} {bottoms[n]:.1f}V{tops[n]:.1f}" for n in known)
    return Markup('<path class="bars" style="stroke:{}" d="{}"/>').format(colour, path)
