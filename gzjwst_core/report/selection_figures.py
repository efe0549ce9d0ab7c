"""The report's drawings of the selection function: completeness, purity, corrected counts, astrometric residuals.

Tables in, markup out; how to draw is `plots`. What is drawn of the catalog itself is in `figures`.
"""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from markupsafe import Markup
from numpy.typing import NDArray

from gzjwst_core.completeness.counts import jeffreys
from gzjwst_core.report.plots import (
    ASPECT,
    Axis,
    Frame,
    bars,
    cells,
    field_colours,
    legend,
    line,
    nice_ticks,
    points,
    ramp,
    steps,
)

__all__ = [
    "astrometric_residuals",
    "completeness_curves",
    "completeness_map",
    "corrected_counts",
    "overlap_curves",
    "purity_curves",
]

Floats = NDArray[np.float64]

_MOST_FIELDS = 24
_MOST_POINTS = 4000
_LEAST_COMPLETE = 0.3
_SHARE_TICKS = tuple((n / 5, f"{20 * n} %") for n in range(6))


def completeness_map(completeness: Table) -> Markup | None:
    """Draw completeness over magnitude and half-light radius, all fields together.

    Parameters
    ----------
    completeness
        catalog/completeness.parquet: `mag_low`, `mag_high`, `r50_low`, `r50_high`, `n_in`, `n_found`.
    """
    mags, sizes = _edges(completeness, "mag"), np.log10(_edges(completeness, "r50"))
    if mags.size < 2 or sizes.size < 2:
        return None
    at = (np.searchsorted(sizes, np.log10(_floats(completeness, "r50_low"))), _places(completeness, mags))
    given, found = (np.zeros((sizes.size - 1, mags.size - 1)) for _ in range(2))
    np.add.at(given, at, _floats(completeness, "n_in"))
    np.add.at(found, at, _floats(completeness, "n_found"))
    share = np.divide(found, given, out=np.full(given.shape, np.nan), where=given > 0)
    ticks = tuple((float(v), f"{10**v:.2g}") for v in sizes)
    frame = Frame(
        _mag_axis(mags), Axis(float(sizes[0]), float(sizes[-1]), "true r50 (arcsec)", ticks), "Completeness by size"
    )
    return frame.draw(cells(frame, mags, sizes, share)) + ramp("0 %", "100 %")


def completeness_curves(completeness: Table) -> Markup | None:
    """Draw completeness against magnitude, all sizes together, a curve with its 95 % intervals for each field."""
    mags = _edges(completeness, "mag")
    if mags.size < 2:
        return None
    fields = sorted(set(completeness["field"].tolist()))[:_MOST_FIELDS]
    frame = Frame(_mag_axis(mags), Axis(0.0, 1.04, "completeness", _SHARE_TICKS), "Completeness")
    middle = (mags[1:] + mags[:-1]) / 2
    drawn = []
    for field, colour in zip(fields, field_colours(len(fields)), strict=True):
        rows = completeness[np.asarray(completeness["field"]) == field]
        given = _summed(rows, "n_in", mags)
        share, low, high = _shares(_summed(rows, "n_found", mags), given)
        drawn += [line(frame, middle, share, colour), bars(frame, middle, low, high, colour)]
    return frame.draw(*drawn) + legend(zip(fields, field_colours(len(fields)), strict=True))


def purity_curves(purity: Table) -> Markup | None:
    """Draw purity against magnitude from the negative image, a line for each field.

    Parameters
    ----------
    purity
        catalog/purity.parquet: `field`, `mag_low`, `mag_high`, `purity`, NaN where there is nothing to tell it from;
        `purity_low` and `purity_high` are drawn as 95 % intervals.
    """
    mags = _edges(purity, "mag")
    if mags.size < 2 or not np.isfinite(_floats(purity, "purity")).any():
        return None
    fields = sorted(set(purity["field"].tolist()))[:_MOST_FIELDS]
    frame = Frame(_mag_axis(mags, "mag_ref (AB)"), Axis(0.0, 1.04, "purity", _SHARE_TICKS), "Purity")
    drawn = []
    for field, colour in zip(fields, field_colours(len(fields)), strict=True):
        rows = purity[np.asarray(purity["field"]) == field]
        drawn.append(line(frame, _middle(rows), _floats(rows, "purity"), colour))
        if {"purity_low", "purity_high"} <= set(rows.colnames):
            low, high = _floats(rows, "purity_low"), _floats(rows, "purity_high")
            drawn.append(bars(frame, _middle(rows), low, high, colour))
    return frame.draw(*drawn) + legend(zip(fields, field_colours(len(fields)), strict=True))


def overlap_curves(overlap: Table) -> Markup | None:
    """Draw which share of one field's sources the other finds again, a line for each two fields and direction.

    Parameters
    ----------
    overlap
        catalog/overlap.parquet: `field`, `other`, `mag_low`, `mag_high` (NaN = without a magnitude: left out), `n`,
        `n_found`.
    """
    known = overlap[np.isfinite(_floats(overlap, "mag_low")) & (_floats(overlap, "n") > 0)]
    mags = _edges(known, "mag")
    if mags.size < 2:
        return None
    pairs = sorted(set(zip(known["field"].tolist(), known["other"].tolist(), strict=True)))[:_MOST_FIELDS]
    frame = Frame(_mag_axis(mags, "mag_ref (AB)"), Axis(0.0, 1.04, "found again", _SHARE_TICKS), "Found again")
    colours = field_colours(len(pairs))
    drawn = []
    for (field, other), colour in zip(pairs, colours, strict=True):
        rows = known[(np.asarray(known["field"]) == field) & (np.asarray(known["other"]) == other)]
        share, low, high = _shares(_floats(rows, "n_found"), _floats(rows, "n"))
        drawn += [line(frame, _middle(rows), share, colour), bars(frame, _middle(rows), low, high, colour)]
    named = [(f"{field} in {other}", colour) for (field, other), colour in zip(pairs, colours, strict=True)]
    return frame.draw(*drawn) + legend(named)


def corrected_counts(mag: Floats, completeness: Floats, area_arcmin2: float | None) -> Markup | None:
    """Draw number counts in the reference band as they are, and divided by completeness.

    Parameters
    ----------
    mag
        (n,) AB of primaries that are no stars.
    completeness
        (n,) of each of them, for its magnitude, size and field; NaN = not known. Below 0.3 nothing is corrected.
    area_arcmin2
        Searched area; None = numbers as they are.
    """
    good = np.isfinite(mag)
    if not good.any():
        return None
    low, high = np.floor(2 * mag[good].min()) / 2, np.ceil(2 * mag[good].max()) / 2
    edges = np.arange(low, max(high, low + 1) + 0.25, 0.5)
    scale = 1.0 if area_arcmin2 is None else 2.0 / area_arcmin2
    raw = np.histogram(mag[good], edges)[0] * scale
    known = good & (completeness >= _LEAST_COMPLETE)
    whole = np.histogram(mag[known], edges)[0] >= 0.9 * np.histogram(mag[good], edges)[0]
    mended = np.histogram(mag[known], edges, weights=1 / completeness[known])[0] * scale
    mended = np.where(whole & (raw > 0), mended, np.nan)
    logs = _log(raw)
    top = float(np.nanmax(np.concatenate([logs, _log(mended)]))) + 0.15
    bottom = float(np.nanmin(logs) - 0.3)
    ticks = tuple((float(n), f"{10.0**n:,.10g}") for n in range(int(np.ceil(bottom)), int(np.floor(top)) + 1))
    label = "galaxies in 0.5 mag" if area_arcmin2 is None else "galaxies per mag and arcmin²"
    frame = Frame(_mag_axis(edges, "mag_ref (AB)"), Axis(bottom, top, label, ticks), "Corrected counts")
    middle = (edges[1:] + edges[:-1]) / 2
    drawn = [
        steps(frame, edges, logs, "var(--mast)"),
        line(frame, middle, _log(mended), "var(--accent)", dashed=True),
    ]
    names = (("as detected", "var(--mast)"), ("divided by completeness", "var(--accent)"))
    return frame.draw(*drawn) + legend(names)


def astrometric_residuals(pairs: Sequence[tuple[str, Floats, Floats]]) -> Markup | None:
    """Draw how far duplicates of two fields, or our sources and a reference catalog's, lie apart.

    Parameters
    ----------
    pairs
        For each comparison its name, and the offsets (n,) in right ascension (times cos dec) and declination, mas.
    """
    shown = [(name, dra, ddec) for name, dra, ddec in pairs if dra.size][:_MOST_FIELDS]
    if not shown:
        return None
    reach = np.concatenate([np.abs(np.concatenate([dra, ddec])) for _, dra, ddec in shown])
    side = max(float(np.percentile(reach, 98)) * 1.15, 5.0)
    frame = Frame(
        Axis(-side * ASPECT, side * ASPECT, "Δ right ascension (mas)", nice_ticks(-side * ASPECT, side * ASPECT, 6)),
        Axis(-side, side, "Δ declination (mas)", nice_ticks(-side, side, 5)),
        "Astrometric residuals",
    )
    colours = field_colours(len(shown))
    drawn = []
    for (_, dra, ddec), colour in zip(shown, colours, strict=True):
        thin = slice(None, None, max(1, dra.size * len(shown) // _MOST_POINTS))
        drawn += [points(frame, dra[thin], ddec[thin], "sky", colour), _cross(frame, dra, ddec, colour)]
    told = [f"{name}: {np.median(dra):+.1f}, {np.median(ddec):+.1f} mas" for name, dra, ddec in shown]
    return frame.draw(*drawn) + legend(zip(told, colours, strict=True))


# ---------------------------------------------------------------- parts


def _cross(frame: Frame, dra: Floats, ddec: Floats, colour: str) -> Markup:
    """Mark the medians by lines that reach over the middle half of the points."""
    (x1, x, x2), (y1, y, y2) = (np.percentile(v, [25, 50, 75]) for v in (dra, ddec))
    across = line(frame, np.array([x1, x2]), np.array([y, y]), colour)
    return across + line(frame, np.array([x, x]), np.array([y1, y2]), colour)


def _floats(table: Table, name: str) -> Floats:
    return np.asarray(table[name], dtype=np.float64)


def _edges(table: Table, name: str) -> Floats:
    return np.unique(np.concatenate([_floats(table, f"{name}_low"), _floats(table, f"{name}_high")]))


def _middle(table: Table) -> Floats:
    return (_floats(table, "mag_low") + _floats(table, "mag_high")) / 2


def _places(table: Table, mags: Floats) -> NDArray[np.intp]:
    return np.searchsorted(mags, _floats(table, "mag_low"))


def _summed(table: Table, name: str, mags: Floats) -> Floats:
    total = np.zeros(mags.size - 1)
    np.add.at(total, _places(table, mags), _floats(table, name))
    return total


def _shares(found: Floats, given: Floats) -> tuple[Floats, Floats, Floats]:
    """Share with its Jeffreys 95 % interval; NaN where nothing was given."""
    none = np.where(given > 0, 0.0, np.nan)
    return found / np.maximum(given, 1) + none, *jeffreys(found, given)


def _mag_axis(edges: Floats, label: str = "true magnitude (AB)") -> Axis:
    low, high = float(edges[0]), float(edges[-1])
    return Axis(low, high, label, nice_ticks(low, high, 8))


def _log(values: Floats) -> Floats:
    logs: Floats = np.full(values.shape, np.nan)
    np.log10(values, out=logs, where=np.nan_to_num(values) > 0)
    return logs
