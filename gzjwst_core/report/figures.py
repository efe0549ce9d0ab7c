"""The report's drawings of a survey: number counts, sizes, sky, and what its flags say.

Tables in, markup out; how to draw is `plots`, where it stands on the page is the template.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from markupsafe import Markup
from numpy.typing import NDArray

from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.report.plots import ASPECT, Axis, Frame, band_colour, field_colours, legend, nice_ticks, points, steps

__all__ = ["FlagCount", "flag_counts", "number_counts", "size_magnitude", "sky_map"]

_BIN_MAG = 0.5
_MOST_POINTS = 4000


class FlagCount(NamedTuple):
    """Rows with one flag."""

    name: str
    bit: int
    meaning: str
    rows: int
    share: float


def flag_counts(catalog: Table) -> list[FlagCount]:
    """Count the rows that carry each flag; every flag is listed."""
    flags = np.asarray(catalog["flags"], dtype=np.int64)
    counts = [(flag, int(np.count_nonzero(flags & int(flag)))) for flag in Flag]
    return [
        FlagCount(str(flag.name), int(flag), FLAG_MEANINGS[flag], count, count / max(len(flags), 1))
        for flag, count in counts
    ]


def number_counts(catalog: Table, bands: Sequence[str], area_arcmin2: float | None = None) -> Markup | None:
    """Draw log N against magnitude in every band, for galaxies that are primaries.

    Parameters
    ----------
    catalog
        Survey catalog.
    bands
        In order of wavelength; those without a `<band>_mag_tot` column or finite value are left out.
    area_arcmin2
        Searched area; None = numbers as they are.

    Returns
    -------
    Markup or None
        None when there is nothing to draw.
    """
    keep = _mask(catalog, "is_primary", default=True) & ~_mask(catalog, "is_star", default=False)
    series = {b: _finite(catalog[f"{b}_mag_tot"], keep) for b in bands if f"{b}_mag_tot" in catalog.colnames}
    series = {band: values for band, values in series.items() if values.size}
    if not series:
        return None
    edges = _mag_edges(np.concatenate(list(series.values())))
    scale = 1.0 if area_arcmin2 is None else 1.0 / (_BIN_MAG * area_arcmin2)
    curves = {band: np.histogram(values, edges)[0] * scale for band, values in series.items()}
    frame = Frame(_mag_axis(edges, "total magnitude (AB)"), _count_axis(curves, area_arcmin2), "Number counts")
    colours = {band: band_colour(list(bands).index(band), len(bands)) for band in series}
    drawn = [steps(frame, edges, _log(curve), colours[band]) for band, curve in curves.items()]
    return frame.draw(*drawn) + legend(colours.items())


def size_magnitude(catalog: Table, selected: NDArray[np.bool_] | None = None) -> Markup | None:
    """Draw half-light radius against magnitude: stars, other sources, and what was selected.

    Parameters
    ----------
    catalog
        Survey catalog; at most 4000 of its primaries are drawn, evenly spread over its rows.
    selected
        (n,) rows that became cutouts.
    """
    mag, size = np.asarray(catalog["mag_ref"], dtype=np.float64), np.asarray(catalog["r50"], dtype=np.float64)
    keep = _mask(catalog, "is_primary", default=True) & np.isfinite(mag) & (size > 0) & np.isfinite(size)
    if not keep.any():
        return None
    star = _mask(catalog, "is_star", default=False)
    chosen = np.zeros(len(catalog), dtype=bool) if selected is None else np.asarray(selected, dtype=bool)
    thin = np.flatnonzero(keep)[:: max(1, int(keep.sum()) // _MOST_POINTS)]
    frame = Frame(
        _mag_axis(_mag_edges(mag[keep]), "total magnitude in the reference band (AB)"), _size_axis(size[keep]), "Sizes"
    )
    layers = [("other", ~star & ~chosen), ("star", star & ~chosen), ("chosen", chosen)]
    drawn = [points(frame, mag[thin][of[thin]], np.log10(size[thin][of[thin]]), style) for style, of in layers]
    names = (("other sources", "var(--faint)"), ("stars", "var(--star)"), ("selected galaxies", "var(--accent)"))
    return frame.draw(*drawn) + legend(names)


def sky_map(catalog: Table) -> Markup | None:
    """Draw where the sources are, north up and east left, a colour for each field."""
    if len(catalog) == 0:
        return None
    dec = np.asarray(catalog["dec"], dtype=np.float64)
    middle = float(np.median(dec))
    ra = _unwrapped(np.asarray(catalog["ra"], dtype=np.float64))
    frame = _sky_frame(ra, dec, middle)
    field = np.asarray(catalog["field"])
    fields = np.unique(field).tolist()
    thin = np.arange(len(catalog))[:: max(1, len(catalog) // _MOST_POINTS)]
    colours = field_colours(len(fields))
    drawn = []
    for name, colour in zip(fields, colours, strict=True):
        rows = thin[field[thin] == name]
        drawn.append(points(frame, -ra[rows], dec[rows], "sky", colour))
    shown = zip(fields, colours, strict=True) if len(fields) <= 24 else ()
    return frame.draw(*drawn) + legend(shown)


# ---------------------------------------------------------------- parts


def _mask(catalog: Table, name: str, *, default: bool) -> NDArray[np.bool_]:
    if name not in catalog.colnames:
        return np.full(len(catalog), default)
    return np.asarray(catalog[name], dtype=np.bool_)


def _finite(values: object, keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)[keep]
    return array[np.isfinite(array)]


def _mag_edges(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.percentile(magnitudes, [0.1, 99.9])
    first, last = np.floor(low / _BIN_MAG), np.ceil(high / _BIN_MAG)
    return np.arange(first, max(last, first + 2) + 1) * _BIN_MAG


def _mag_axis(edges: NDArray[np.float64], label: str) -> Axis:
    low, high = float(edges[0]), float(edges[-1])
    return Axis(low, high, label, nice_ticks(low, high, 8))


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.full(values.shape, np.nan)
    np.log10(values, out=logs, where=values > 0)
    return logs


def _count_axis(curves: dict[str, NDArray[np.float64]], area_arcmin2: float | None) -> Axis:
    heights = np.concatenate([_log(curve) for curve in curves.values()])
    low, high = float(np.nanmin(heights) - 0.3), float(np.nanmax(heights) + 0.15)
    label = f"galaxies in {_BIN_MAG:g} mag" if area_arcmin2 is None else "galaxies per mag and arcmin²"
    return Axis(low, high, label, _decades(low, high))


def _decades(low: float, high: float) -> tuple[tuple[float, str], ...]:
    return tuple((float(n), f"{10.0**n:,.10g}") for n in range(int(np.ceil(low)), int(np.floor(high)) + 1))


def _size_axis(sizes: NDArray[np.float64]) -> Axis:
    low, high = (float(v) for v in np.log10(np.percentile(sizes, [0.2, 99.8])))
    low, high = low - 0.12, high + 0.12
    ticks = [v for v in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low <= np.log10(v) <= high]
    return Axis(low, high, "half-light radius (arcsec)", tuple((float(np.log10(v)), f"{v:g}") for v in ticks))


def _unwrapped(ra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right ascensions without a jump at 0h, as a survey may lie across it."""
    turned: NDArray[np.float64] = np.mod(ra - ra[0] + 180.0, 360.0) - 180.0 + ra[0]
    return turned


def _sky_frame(ra: NDArray[np.float64], dec: NDArray[np.float64], middle: float) -> Frame:
    """Equal scales on both axes; the horizontal one holds minus the right ascension: east is left."""
    stretch = max(float(np.cos(np.deg2rad(middle))), 0.01)
    height = max(float(np.ptp(dec)), float(np.ptp(ra)) * stretch / ASPECT, 1e-3) * 1.08
    width = height * ASPECT / stretch
    x0, y0 = -float(ra.max() + ra.min()) / 2, float(dec.max() + dec.min()) / 2
    x_low, x_high, y_low, y_high = x0 - width / 2, x0 + width / 2, y0 - height / 2, y0 + height / 2
    ticks = tuple((-value, text) for value, text in nice_ticks(-x_high, -x_low, 5))
    turned = tuple((value, f"{float(text) % 360:.{len(text.partition('.')[2])}f}") for value, text in ticks)
    return Frame(
        Axis(x_low, x_high, "right ascension (deg, east left)", turned),
        Axis(y_low, y_high, "declination (deg)", nice_ticks(y_low, y_high, 5)),
        "Sources on the sky",
    )
