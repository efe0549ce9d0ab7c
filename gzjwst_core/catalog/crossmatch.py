"""Compare our catalog with another of the same sky: systematic offset first, then matches, both ways by magnitude.

Arrays and tables in, tables out. Positions are ICRS; every figure says what is subtracted from what. Reading tables of
others is `outside`, which of their rows lie on our mosaics is `coverage`, the stage is `comparing`.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.catalog.match_positions import close_rows, mutual_nearest
from gzjwst_core.catalog.offset import Offset, measure_offset, sky_pairs
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift, moved
from gzjwst_core.storage.tables import Column, apply_columns, empty_table

__all__ = ["MATCH_COLUMNS", "SUMMARY_COLUMNS", "Comparison", "Sources", "compare", "near_any", "summary_of"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_OURS = "this project: catalog/crossmatch.py"

SUMMARY_COLUMNS = (
    Column("name", "str", "", "meta.id", "comparison, as the profile names it", _OURS),
    Column("band", "str", "", "instr.bandpass", "band of the magnitudes", _OURS),
    Column("mag_low", "float64", "mag", "phot.mag;stat.min", "bin of magnitude from here; NaN = all rows", _OURS),
    Column("mag_high", "float64", "mag", "phot.mag;stat.max", "to below here", _OURS),
    Column("ours", "int64", "", "meta.number", "our primaries in their area, in this bin of our magnitude", _OURS),
    Column("ours_matched", "int64", "", "meta.number", "of them with a match", _OURS),
    Column("ours_fraction", "float64", "", "stat.value", "ours_matched / ours; NaN = none", _OURS),
    Column("theirs", "int64", "", "meta.number", "their rows on our data, in this bin of their magnitude", _OURS),
    Column("theirs_matched", "int64", "", "meta.number", "of them with a match", _OURS),
    Column("theirs_fraction", "float64", "", "stat.value", "theirs_matched / theirs; NaN = none", _OURS),
    Column("dmag", "float64", "mag", "phot.mag;arith.diff", "median of ours - theirs, in bins of theirs", _OURS),
    Column("dmag_mad", "float64", "mag", "stat.value", "1.4826 x median absolute deviation of dmag", _OURS),
    Column(
        "offset_ra", "float64", "mas", "pos.eq.ra;arith.diff", "systematic theirs - ours x cos(dec); NaN = none", _OURS
    ),
    Column("offset_dec", "float64", "mas", "pos.eq.dec;arith.diff", "systematic theirs - ours; NaN = none", _OURS),
    Column("offset_error", "float64", "mas", "stat.error;pos", "standard error of the offset, of one axis", _OURS),
    Column("scatter", "float64", "mas", "stat.stdev;pos", "1.4826 x median absolute deviation of one axis", _OURS),
)
"""catalog/crossmatch.parquet: for every comparison a row for all sources, and one a bin of magnitude."""

MATCH_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "our source", _OURS),
    Column("ext_id", "str", "", "meta.id.cross", "the other catalog's identifier", "the other catalog"),
    Column("separation", "float64", "arcsec", "pos.angDistance", "distance, the systematic offset taken off", _OURS),
    Column("dmag", "float64", "mag", "phot.mag;arith.diff", "magnitude, ours - theirs; NaN where one has none", _OURS),
)
"""catalog/matches/<name>.parquet: one row a match, in the order of our catalog."""

_SIGMA_OF_MAD = 1.4826
_LEAST_PAIRS = 10
_ARCSEC = 206264.80624709636


class Sources(NamedTuple):
    """One catalog."""

    names: NDArray[np.str_]
    ra: Floats
    dec: Floats
    """(n,) deg."""
    mag: Floats
    """(n,) AB; NaN = none."""

    def take(self, which: Bools) -> "Sources":
        """Return some of them."""
        return Sources(self.names[which], self.ra[which], self.dec[which], self.mag[which])


class Comparison(NamedTuple):
    """What two catalogs say of each other."""

    summary: Table
    """SUMMARY_COLUMNS."""
    matches: Table
    """MATCH_COLUMNS."""


def compare(
    ours: Sources, theirs: Sources, what: tuple[str, str], *, radius_arcsec: float, offset_radius_arcsec: float
) -> Comparison:
    """Compare two catalogs.

    Parameters
    ----------
    ours
        Our primaries that lie in the other's area.
    theirs
        Their rows that lie on our data.
    what
        Name of the comparison, and band.
    radius_arcsec
        Largest distance of a match.
    offset_radius_arcsec
        Largest systematic offset that is looked for.

    Returns
    -------
    Comparison
        Matches are pairs of rows that are each other's nearest, once the offset is taken off.

    Notes
    -----
    The offset is that of `offsets.measure_offset`, of at least 10 pairs. One that is not more than chance would bring
    is not taken off, and the summary states none (NaN).
    """
    offset = _measured(ours, theirs, offset_radius_arcsec)
    mine, its, separation = _nearest(ours, theirs, offset, radius_arcsec)
    dmag = ours.mag[mine] - theirs.mag[its]
    matches = Table([ours.names[mine], theirs.names[its], separation, dmag], names=[c.name for c in MATCH_COLUMNS])
    hit_ours, hit_theirs = np.zeros(ours.ra.size, dtype=bool), np.zeros(theirs.ra.size, dtype=bool)
    hit_ours[mine], hit_theirs[its] = True, True
    rows = []
    for low, high in _bins(ours.mag, theirs.mag):
        of_ours, of_theirs = _within(ours.mag, low, high), _within(theirs.mag, low, high)
        row: dict[str, Any] = {"name": what[0], "band": what[1], "mag_low": low, "mag_high": high}
        row |= _fraction("ours", of_ours, hit_ours) | _fraction("theirs", of_theirs, hit_theirs)
        rows.append(row | _differences(dmag[of_theirs[its]]) | _said(offset))
    return Comparison(apply_columns(Table(rows), SUMMARY_COLUMNS), apply_columns(matches, MATCH_COLUMNS))


def summary_of(comparisons: Iterable[Comparison]) -> Table:
    """Put the summaries of several comparisons into one table, in their order."""
    parts = [comparison.summary for comparison in comparisons]
    if not parts:
        return empty_table(SUMMARY_COLUMNS)
    joined = {c.name: np.concatenate([np.asarray(part[c.name]) for part in parts]) for c in SUMMARY_COLUMNS}
    return apply_columns(Table(joined), SUMMARY_COLUMNS)


def near_any(ra: Floats, dec: Floats, other_ra: Floats, other_dec: Floats, reach_arcsec: float) -> Bools:
    """Tell which positions have one of the others within reach: a catalog's area, where nothing better is known."""
    if not other_ra.size or not ra.size:
        return np.zeros(ra.size, dtype=bool)
    distance, _ = cKDTree(unit_vectors(other_ra, other_dec)).query(unit_vectors(ra, dec))
    return np.asarray(distance <= chord(reach_arcsec))


# ---------------------------------------------------------------- positions


def _places(sources: Sources) -> tuple[Floats, Floats]:
    return sources.ra, sources.dec


def _measured(ours: Sources, theirs: Sources, radius_arcsec: float) -> Offset:
    one, two = (unit_vectors(*_places(each)) for each in (ours, theirs))
    close = close_rows(one, two, chord(radius_arcsec))
    return measure_offset(sky_pairs(_places(ours), _places(theirs), *close), radius_arcsec, _LEAST_PAIRS)


def _nearest(
    ours: Sources, theirs: Sources, offset: Offset, radius_arcsec: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows of both that are each other's nearest once a good offset is off, and how far apart they are, arcsec."""
    shift = SkyShift(-offset.dra, -offset.ddec) if offset.good else NO_SHIFT
    one, two = unit_vectors(*_places(ours)), unit_vectors(*moved(*_places(theirs), shift))
    mine, its = mutual_nearest(one, two, chord(radius_arcsec))
    return mine, its, _ARCSEC * np.linalg.norm(one[mine] - two[its], axis=1)


# ---------------------------------------------------------------- figures


def _bins(*magnitudes: Floats) -> list[tuple[float, float]]:
    """All together, then whole magnitudes from the brightest to the faintest."""
    known = np.concatenate([mag[np.isfinite(mag)] for mag in magnitudes])
    edges = range(math.floor(known.min()), math.floor(known.max()) + 1) if known.size else range(0)
    return [(math.nan, math.nan), *((float(edge), float(edge + 1)) for edge in edges)]


def _within(mag: Floats, low: float, high: float) -> Bools:
    return np.ones(mag.size, dtype=bool) if math.isnan(low) else (mag >= low) & (mag < high)


def _fraction(whose: str, rows: Bools, hit: Bools) -> dict[str, float]:
    count, matched = int(rows.sum()), int((rows & hit).sum())
    return {whose: count, f"{whose}_matched": matched, f"{whose}_fraction": matched / count if count else math.nan}


def _differences(dmag: Floats) -> dict[str, float]:
    known = dmag[np.isfinite(dmag)]
    middle = float(np.median(known)) if known.size else math.nan
    return {"dmag": middle, "dmag_mad": _scatter(known)}


def _said(offset: Offset) -> dict[str, float]:
    error = math.hypot(offset.dra_err, offset.ddec_err) / math.sqrt(2)
    values = (offset.dra, offset.ddec, error, offset.scatter) if offset.good else (math.nan,) * 4
    return dict(zip(("offset_ra", "offset_dec", "offset_error", "scatter"), values, strict=True))


def _scatter(known: Floats) -> float:
    return _SIGMA_OF_MAD * float(np.median(np.abs(known - np.median(known)))) if known.size else math.nan
