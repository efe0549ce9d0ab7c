"""Figures of a recipe over a sample of galaxies: what each means, which value is better, what is allowed.

Measures of single pictures in (`compare.Seen`), numbers out. How they are shown is `compare_sheet`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gzjwst_core.images.compare import Seen, StarColour

__all__ = ["FIGURES", "Figure", "best", "summary"]

TOO_DARK = 12.0
"""Levels of 255: a galaxy whose median pixel is less than this above the sky is hard to see."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table of figures."""

    key: str
    title: str
    meaning: str
    """In plain words: what it is, and which value is better."""
    digits: int
    value: Callable[[Sequence[Seen]], float] = lambda _: math.nan
    better: Literal["low", ""] = "low"
    """`low`: the lowest is best; empty: no recipe is better for it."""
    allowed: tuple[float, float] = (-math.inf, math.inf)
    """Beyond these a person should look."""
    clock: bool = False
    """Whether it is another one every time."""


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def _scatter(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else math.nan


def _too_dark(some: Sequence[Seen]) -> float:
    return 100 * _mean([float(one.lift < TOO_DARK) if math.isfinite(one.lift) else math.nan for one in some])


FIGURES: tuple[Figure, ...] = (
    Figure(
        "white",
        "white, %",
        "Pixels burnt out to white: no structure is left there. Lower is better; a star's core may be white.",
        2,
        lambda some: 100 * _mean([one.measures.white for one in some]),
        allowed=(0, 1),
    ),
    Figure(
        "black",
        "black, %",
        "Pixels that are plain black: faint outskirts are cut off there. Lower is better.",
        2,
        lambda some: 100 * _mean([one.measures.black for one in some]),
        allowed=(0, 2),
    ),
    Figure(
        "sky",
        "sky level",
        "Median grey of the sky, of 255. Dark but not black is best: 10 to 40.",
        0,
        lambda some: _median([one.measures.sky_median for one in some]),
        better="",
        allowed=(10, 40),
    ),
    Figure(
        "sky_sd",
        "sky noise",
        "Scatter of the sky, of 255. Less noise is calmer, but a recipe that hides noise hides faint arms too.",
        1,
        lambda some: _median([one.sky_sd for one in some]),
        better="",
    ),
    Figure(
        "sky_chroma",
        "sky tint",
        "Difference of red and blue in the sky, of 255. Lower is better: the sky has no colour.",
        1,
        lambda some: _median([one.measures.sky_chroma for one in some]),
        allowed=(0, 4),
    ),
    Figure(
        "too_dark",
        "too dark, %",
        f"Galaxies whose median pixel is less than {TOO_DARK:.0f} of 255 above the sky. Lower is better.",
        0,
        _too_dark,
    ),
    Figure(
        "lift",
        "galaxy above sky",
        "Median level of a galaxy above the sky, of 255 (half of the galaxies are brighter). Higher shows more.",
        0,
        lambda some: _median([one.lift for one in some]),
        better="",
    ),
    Figure(
        "ring",
        "rings in stars",
        "How far red minus blue goes back and forth within 0.3 arcsec of a star, of 255. Lower is better: no rings.",
        0,
    ),
    Figure(
        "star_sd",
        "star colours, sd",
        "Scatter of log2(red / blue) from star to star. Real stars differ too: compare it across recipes.",
        2,
        better="",
    ),
    Figure(
        "fill",
        "fill",
        "Target's longer side over the picture's. The field of view sets it, no recipe does: 0.2 to 0.7 is right.",
        2,
        lambda some: _median([one.measures.fill for one in some]),
        better="",
        allowed=(0.2, 0.7),
    ),
    Figure(
        "kb",
        "file, kB",
        "Median size of a file as volunteers load it. Smaller loads faster.",
        0,
        lambda some: _median([one.size_bytes / 1000 for one in some]),
    ),
    Figure(
        "kb_max",
        "largest file, kB",
        "Zooniverse takes up to 1 MiB; below 600 kB is safe.",
        0,
        lambda some: max((one.size_bytes / 1000 for one in some), default=math.nan),
        allowed=(0, 600),
    ),
    Figure(
        "ms",
        "ms an image",
        "Median time of one core to colour one cutout here. Lower is better.",
        0,
        lambda some: _median([one.ms for one in some]),
        clock=True,
    ),
)
"""What a comparison shows, in its order."""


def summary(some: Sequence[Seen], stars: Sequence[StarColour] = ()) -> dict[str, float]:
    """Every figure of one recipe, by key; NaN where there is nothing to measure.

    Parameters
    ----------
    some
        The galaxies.
    stars
        Stars that are not among them: what is told of stars is measured on them and on star-like galaxies.
    """
    colours = [*stars, *(one.star for one in some if one.star is not None)]
    told = {"ring": _median([one.ring for one in colours]), "star_sd": _scatter([one.log2_rb for one in colours])}
    return {figure.key: figure.value(some) for figure in FIGURES} | told


def best(figure: Figure, values: Sequence[float]) -> list[bool]:
    """Which recipes are best in a figure: none where all look alike or nobody can tell."""
    shown = [round(value, figure.digits) for value in values]
    known = [value for value in shown if math.isfinite(value)]
    if figure.better != "low" or len(set(known)) < 2:
        return [False] * len(shown)
    return [value == min(known) for value in shown]
