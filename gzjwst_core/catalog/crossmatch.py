"""Compare our catalog with another of the same sky: systematic offset first, then matches, both ways by magnitude.

Arrays and tables in, tables out. Positions are ICRS; every figure says what is subtracted from what. Reading tables of
others is `outside`, which of their rows lie on our mosaics is `coverage`, the stage is `comparing`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

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
    Column("offset_ra", "float64", "mas", "pos.eq.ra;arith.diff", "systematic theirs - ours x cos(dec)", _OURS),
    Column("offset_dec", "float64", "mas", "pos.eq.dec;arith.diff", "systematic theirs - ours", _OURS),
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
_BIN_ARCSEC = 0.05
_FIRST_REACH_ARCSEC, _LEAST_REACH_ARCSEC, _CLIP, _ROUNDS = 0.2, 0.02, 3.5, 20
_MEDIAN_OVER_MEAN = math.sqrt(math.pi / 2)
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


class _Offset(NamedTuple):
    east: float
    north: float
    """arcsec, theirs - ours; 0 without pairs."""
    scatter: float
    error: float


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
    The offset is the median of the pairs around the fullest place among all pairs within `offset_radius_arcsec`,
    clipped at 3.5 times their scatter until nothing changes: chance pairs lie everywhere, true ones around one place.
    """
    offset = _offset(ours, theirs, offset_radius_arcsec)
    mine, its, separation = _matches(ours, _moved(theirs, offset), radius_arcsec)
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
    distance, _ = cKDTree(_vectors(other_ra, other_dec)).query(_vectors(ra, dec))
    return np.asarray(distance <= reach_arcsec / _ARCSEC)


# ---------------------------------------------------------------- positions


def _vectors(ra: Floats, dec: Floats) -> Floats:
    longitude, latitude = np.radians(ra), np.radians(dec)
    cos = np.cos(latitude)
    return np.stack([cos * np.cos(longitude), cos * np.sin(longitude), np.sin(latitude)], axis=1)


def _away(ours: Sources, theirs: Sources, one: NDArray[np.int64], two: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Arcsec to the east and north from ours to theirs."""
    east = (theirs.ra[two] - ours.ra[one] + 180) % 360 - 180
    return east * np.cos(np.radians(ours.dec[one])) * 3600, (theirs.dec[two] - ours.dec[one]) * 3600


def _moved(theirs: Sources, offset: _Offset) -> Sources:
    east = offset.east / 3600 / np.cos(np.radians(theirs.dec))
    return theirs._replace(ra=theirs.ra - east, dec=theirs.dec - offset.north / 3600)


def _offset(ours: Sources, theirs: Sources, radius: float) -> _Offset:
    pairs = _pairs(ours, theirs, radius)
    x, y = _away(ours, theirs, *pairs)
    if not x.size:
        return _Offset(0.0, 0.0, math.nan, math.nan)
    centre, reach, kept = _peak(x, y, radius), _FIRST_REACH_ARCSEC, np.zeros(x.size, dtype=bool)
    for _ in range(_ROUNDS):
        before, kept = kept, np.hypot(x - centre[0], y - centre[1]) <= reach
        if not kept.any() or np.array_equal(before, kept):
            break
        centre = float(np.median(x[kept])), float(np.median(y[kept]))
        scatter = math.sqrt((_scatter(x[kept]) ** 2 + _scatter(y[kept]) ** 2) / 2)
        reach = min(max(_CLIP * scatter, _LEAST_REACH_ARCSEC), _FIRST_REACH_ARCSEC)
    if not kept.any():
        return _Offset(0.0, 0.0, math.nan, math.nan)
    return _Offset(*centre, scatter, _MEDIAN_OVER_MEAN * scatter / math.sqrt(int(kept.sum())))


def _pairs(ours: Sources, theirs: Sources, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair within the radius."""
    if not ours.ra.size or not theirs.ra.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    tree = cKDTree(_vectors(theirs.ra, theirs.dec))
    near = tree.query_ball_point(_vectors(ours.ra, ours.dec), radius / _ARCSEC, return_sorted=True)
    counts = [len(found) for found in near]
    two = np.fromiter((row for found in near for row in found), dtype=np.int64, count=sum(counts))
    return np.repeat(np.arange(ours.ra.size), counts), two


def _peak(x: Floats, y: Floats, radius: float) -> tuple[float, float]:
    """Return the middle of the fullest place among pairs, of equally full ones the nearest to zero."""
    half = math.ceil(radius / _BIN_ARCSEC)
    edges = (np.arange(2 * half + 2) - half - 0.5) * _BIN_ARCSEC
    counts, _, _ = np.histogram2d(x, y, bins=(edges, edges))
    full = np.rint(uniform_filter(counts, 3, mode="constant") * 9)
    middle = (np.arange(2 * half + 1) - half) * _BIN_ARCSEC
    best = np.lexsort((np.hypot(middle[:, None], middle[None, :]).ravel(), -full.ravel()))[0]
    return float(middle[best // middle.size]), float(middle[best % middle.size])


def _matches(ours: Sources, theirs: Sources, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows of both that are each other's nearest within the radius, and how far apart they are, arcsec."""
    one, two = _pairs(ours, theirs, radius)
    x, y = _away(ours, theirs, one, two)
    distance = np.hypot(x, y)
    order = np.lexsort((two, one, distance))
    _, first_one = np.unique(one[order], return_index=True)
    _, first_two = np.unique(two[order], return_index=True)
    kept = order[np.intersect1d(first_one, first_two)]
    kept = kept[np.argsort(one[kept])]
    return one[kept], two[kept], distance[kept]


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


def _said(offset: _Offset) -> dict[str, float]:
    found = not math.isnan(offset.scatter)
    east, north = (offset.east, offset.north) if found else (math.nan, math.nan)
    values = (east, north, offset.error, offset.scatter)
    return dict(zip(("offset_ra", "offset_dec", "offset_error", "scatter"), (1000 * v for v in values), strict=True))


def _scatter(values: Sequence[float] | Floats) -> float:
    known = np.asarray(values)
    return _SIGMA_OF_MAD * float(np.median(np.abs(known - np.median(known)))) if known.size else math.nan
