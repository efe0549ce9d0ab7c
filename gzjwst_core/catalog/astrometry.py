"""How the fields of a survey lie on the sky: offsets between them and against a reference, solved for one a field.

Overlapping fields are compared with each other and each field with the reference, if there is one. Weighted least
squares over the graph of these comparisons gives one shift a field; where no path leads to the reference, the mean
shift is zero. Arrays in, numbers and tables out. Not here: one offset (`offsets`), moving positions and WCS
(`mosaics.shift`), reading the reference (`sky_tables`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.match_positions import close_rows
from gzjwst_core.catalog.offset import Offset, measure_offset, sky_pairs
from gzjwst_core.flag_bits import Flag
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift, moved
from gzjwst_core.options import AstrometryOptions
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = [
    "ASTROMETRY_COLUMNS",
    "REFERENCE",
    "Alignment",
    "Comparison",
    "Solved",
    "align",
    "aligned",
    "chord",
    "compare_fields",
    "compare_with",
    "solve",
    "unit_vectors",
]

Floats = NDArray[np.float64]

REFERENCE = "reference"
"""What a field is compared with where that is no field."""
_LEAST_SNR, _MOST_R50, _MOST_ERROR_ARCSEC = 10.0, 0.5, 0.02
_UNSURE = np.uint32(Flag.EDGE | Flag.GAP | Flag.TRUNCATED | Flag.SATURATED)
_KEPT_DIGITS = 2

ASTROMETRY_COLUMNS = (
    Column("field", "str", "", "meta.id;obs.field", "field"),
    Column(
        "against", "str", "", "meta.id", "what it was compared with: a field, or the reference; empty = the solution"
    ),
    Column("kind", "str", "", "meta.code", "field, reference, or adopted (the joint solution: one row a field)"),
    Column("n", "int64", "", "meta.number", "pairs of compact sources"),
    Column("dra", "float64", "mas", "pos.eq.ra;arith.diff", "to add to ra cos(dec) of the field to agree"),
    Column("ddec", "float64", "mas", "pos.eq.dec;arith.diff", "to add to dec of the field to agree"),
    Column("dra_err", "float64", "mas", "stat.error;pos.eq.ra", "1 sigma; NaN = not measured"),
    Column("ddec_err", "float64", "mas", "stat.error;pos.eq.dec", "1 sigma; NaN = not measured"),
    Column("scatter", "float64", "mas", "stat.stdev;pos.angDistance", "1.4826 x MAD of the pairs, one axis"),
    Column("left_dra", "float64", "mas", "stat.fit.residual", "dra that the adopted shifts leave"),
    Column("left_ddec", "float64", "mas", "stat.fit.residual", "ddec that the adopted shifts leave"),
    Column(
        "dmag",
        "float64",
        "mag",
        "phot.mag;arith.diff",
        "median magnitude, ours - theirs: the field's minus the other's",
    ),
    Column("used", "bool", "", "meta.code", "went into the solution; adopted: was added to the positions"),
)
"""Columns of catalog/astrometry.parquet."""


class Comparison(NamedTuple):
    """One field compared with another, or with the reference."""

    field: str
    against: str
    """A field's name, or REFERENCE."""
    offset: Offset
    dmag: float = math.nan
    """Median magnitude of the pairs, the field's minus the other's."""


class Solved(NamedTuple):
    """The joint solution for one field."""

    shift: SkyShift
    """What is to be added to its positions."""
    dra_err: float
    """mas, relative to the reference or the mean of its group; NaN where nothing was measured (no shift then)."""
    ddec_err: float


class Alignment(NamedTuple):
    """The astrometry of a survey."""

    comparisons: tuple[Comparison, ...]
    solved: Mapping[str, Solved]
    """By field."""

    def table(self, *, removed: bool) -> Table:
        """Return the table of the astrometry: ASTROMETRY_COLUMNS, one row a comparison and one a field.

        Parameters
        ----------
        removed
            The adopted shifts were added to the positions.
        """
        rows = [*map(self._compared, self.comparisons)]
        rows += [self._adopted(field, removed) for field in sorted(self.solved)]
        return apply_columns(Table(dict(zip(_NAMES, zip(*rows, strict=True), strict=True))), ASTROMETRY_COLUMNS)

    def _compared(self, one: Comparison) -> tuple[Any, ...]:
        o, mine = one.offset, self.solved[one.field].shift
        other = self.solved[one.against].shift if one.against in self.solved else NO_SHIFT
        left = o.dra - mine.dra_mas + other.dra_mas, o.ddec - mine.ddec_mas + other.ddec_mas
        kind = "reference" if one.against == REFERENCE else "field"
        said = (one.field, one.against, kind, o.n, o.dra, o.ddec, o.dra_err, o.ddec_err, o.scatter)
        return *said, *left, one.dmag, o.good

    def _adopted(self, field: str, removed: bool) -> tuple[Any, ...]:
        shift, dra_err, ddec_err = self.solved[field]
        n = sum(one.offset.n for one in self.comparisons if one.offset.good and field in (one.field, one.against))
        nan = math.nan
        return field, "", "adopted", n, *shift, dra_err, ddec_err, nan, nan, nan, nan, removed and shift != NO_SHIFT


_NAMES = [column.name for column in ASTROMETRY_COLUMNS]


def align(rows: Table, fields: Sequence[str], reference: Table | None, options: AstrometryOptions) -> Alignment:
    """Measure the astrometry of a survey.

    Parameters
    ----------
    rows
        Detections of all fields: field, ra, dec, r50, snr_det, flags, mag_ref.
    fields
        Every field, also those without rows.
    reference
        With ra, dec (deg) and mag (NaN = not known); None = there is none.
    options
        `radius_arcsec`, `min_pairs`.
    """
    good = rows[is_compact(rows)]
    comparisons = [*compare_fields(good, options)]
    if reference is not None:
        comparisons += compare_with(good, reference, options)
    return Alignment(tuple(comparisons), solve(fields, comparisons))


def is_compact(rows: Table) -> NDArray[np.bool_]:
    """Tell which rows have a position that is good to some 20 mas.

    Parameters
    ----------
    rows
        r50 (arcsec), snr_det and flags.

    Notes
    -----
    S/N of at least 10, half-light radius of at most 0.5 arcsec, r50 / S/N (about the error of a centroid) of at most
    0.02 arcsec; not cut by an edge, and no saturated core.
    """
    r50, snr = (np.asarray(rows[name], dtype=np.float64) for name in ("r50", "snr_det"))
    whole = (np.asarray(rows["flags"], dtype=np.uint32) & _UNSURE) == 0
    with np.errstate(invalid="ignore"):
        good: NDArray[np.bool_] = whole & (snr >= _LEAST_SNR) & (r50 <= _MOST_R50) & (r50 <= _MOST_ERROR_ARCSEC * snr)
    return good


def compare_fields(rows: Table, options: AstrometryOptions) -> Iterator[Comparison]:
    """Compare every two fields that share sky.

    Parameters
    ----------
    rows
        Compact sources: field, ra, dec, mag_ref.
    options
        `radius_arcsec`, `min_pairs`.

    Yields
    ------
    Comparison
        One for two fields with a pair within the radius, the first by name as `field`; in order of names.
    """
    names, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    tree = cKDTree(unit_vectors(rows["ra"], rows["dec"]))
    close = tree.query_pairs(chord(options.radius_arcsec), output_type="ndarray").astype(np.int64)
    close = close[field[close[:, 0]] != field[close[:, 1]]]
    turned = field[close[:, 0]] > field[close[:, 1]]
    close[turned] = close[turned][:, ::-1]
    for key, one, two in _by_key(field[close[:, 0]] * len(names) + field[close[:, 1]], close):
        first, second = divmod(key, len(names))
        yield _comparison((str(names[first]), str(names[second])), rows, rows, (one, two), options)


def compare_with(rows: Table, reference: Table, options: AstrometryOptions) -> Iterator[Comparison]:
    """Compare every field with one list of positions.

    Parameters
    ----------
    rows
        Compact sources: field, ra, dec, mag_ref.
    reference
        ra, dec (deg), mag.
    options
        `radius_arcsec`, `min_pairs`.

    Yields
    ------
    Comparison
        One for a field with a pair within the radius, in order of names.
    """
    if len(reference) == 0:
        return
    names, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    ours, theirs = (unit_vectors(table["ra"], table["dec"]) for table in (rows, reference))
    close = np.column_stack(close_rows(ours, theirs, chord(options.radius_arcsec)))
    like = Table({"ra": reference["ra"], "dec": reference["dec"], "mag_ref": reference["mag"]}, copy=False)
    for key, one, two in _by_key(field[close[:, 0]], close):
        yield _comparison((str(names[key]), REFERENCE), rows, like, (one, two), options)


def _by_key(keys: NDArray[Any], close: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Part pairs by key: keys ascending, pairs in order of their rows."""
    order = np.lexsort((close[:, 1], close[:, 0], keys))
    found, starts = np.unique(keys[order], return_index=True)
    for key, part in zip(found.tolist(), np.split(close[order], starts[1:]), strict=False):
        yield key, part[:, 0], part[:, 1]


def _comparison(
    names: tuple[str, str],
    mine: Table,
    others: Table,
    close: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: AstrometryOptions,
) -> Comparison:
    one, two = close
    first, second = ((np.asarray(table["ra"]), np.asarray(table["dec"])) for table in (mine, others))
    offset = measure_offset(sky_pairs(first, second, one, two), options.radius_arcsec, options.min_pairs)
    kept = offset.kept
    dmag = np.asarray(mine["mag_ref"], dtype=np.float64)[one[kept]] - np.asarray(others["mag_ref"])[two[kept]]
    dmag = dmag[np.isfinite(dmag)]
    return Comparison(*names, offset, float(np.median(dmag)) if dmag.size else math.nan)


def solve(fields: Iterable[str], comparisons: Iterable[Comparison]) -> dict[str, Solved]:
    """Find one shift for each field from all comparisons together.

    Parameters
    ----------
    fields
        Every field.
    comparisons
        Those that are not good are passed over.

    Returns
    -------
    dict
        By field, to 0.01 mas. A field without a good comparison is not shifted.

    Notes
    -----
    A comparison of f with g says shift(f) - shift(g) = offset, the reference's shift being zero. Weights are
    1 / error^2. Of all solutions of a group without reference, the one of least norm is taken: its mean is zero.
    """
    place = {name: number for number, name in enumerate(sorted(fields))}
    good = [one for one in comparisons if one.offset.good]
    design = np.zeros((len(good), len(place)))
    for row, one in enumerate(good):
        design[row, place[one.field]] = 1.0
        if one.against != REFERENCE:
            design[row, place[one.against]] = -1.0
    measured = design.any(axis=0)
    east = _least_squares(design, [(one.offset.dra, one.offset.dra_err) for one in good])
    north = _least_squares(design, [(one.offset.ddec, one.offset.ddec_err) for one in good])
    errors = [np.where(measured, error, np.nan) for _, error in (east, north)]
    return {
        name: Solved(
            SkyShift(_rounded(east[0][at]), _rounded(north[0][at])), float(errors[0][at]), float(errors[1][at])
        )
        for name, at in place.items()
    }


def _least_squares(design: Floats, values: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Weighted solution of least norm, and its standard errors."""
    if not values:
        return np.zeros(design.shape[1]), np.zeros(design.shape[1])
    value, error = np.array(values).T
    inverse = np.linalg.pinv(design / error[:, None])
    return inverse @ (value / error), np.sqrt(np.sum(inverse**2, axis=1))


def _rounded(value: float) -> float:
    """Round, so that sums in another order give the same number; never minus zero."""
    return round(float(value), _KEPT_DIGITS) + 0.0


def aligned(rows: Table, solved: Mapping[str, Solved]) -> tuple[Floats, Floats]:
    """Return right ascension and declination of rows, each field's shift added.

    Parameters
    ----------
    rows
        field, ra, dec.
    solved
        By field; others are not shifted.
    """
    ra, dec = (np.array(rows[name], dtype=np.float64) for name in ("ra", "dec"))
    names, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    for number, name in enumerate(names.tolist()):
        mine = field == number
        if name in solved:
            ra[mine], dec[mine] = moved(ra[mine], dec[mine], solved[name].shift)
    return ra, dec


def unit_vectors(ra_deg: Any, dec_deg: Any) -> Floats:
    """Return unit vectors (n, 3) of sky positions: a chord is as good as an angle at these distances."""
    ra, dec = (np.deg2rad(np.asarray(values, dtype=np.float64)) for values in (ra_deg, dec_deg))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def chord(angle_arcsec: float) -> float:
    """Return the chord of an angle on the unit sphere."""
    return 2 * math.sin(math.radians(angle_arcsec / 3600) / 2)
