"""From field catalogs to the survey catalog: which detections are one sky object, and which of them speaks.

Offsets between fields are taken off first; then rows are taken in order of quality. Each becomes the *primary* of a new
group, unless an earlier primary of ANOTHER field lies within the radius: then it is a *secondary* of the nearest such
primary. So every group has one primary, no two primaries of different fields are closer than the radius, groups never
grow by chains, and what one field saw as two stays two unless a better field saw it as one. Nothing depends on the
order of the fields. Not here: offsets (`astrometry`), names (`naming`), cutting (`select`).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.catalog.carried_ids import carried_names
from gzjwst_core.catalog.columns import SURVEY_COLUMNS
from gzjwst_core.catalog.source_names import NOTHING_EARLIER, Earlier, group_number, unique_names
from gzjwst_core.errors import CatalogError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.options import MergeOptions

__all__ = ["EarlierRelease", "merge_rows", "stack"]

Floats = NDArray[np.float64]

_NEEDED = ("field", "source_id", "ra", "dec", "valid_frac", "edge_dist", "flags")
_NOISE = re.compile(r"(?P<band>.+)_fluxerr_aper(?P<size>\d+)_naive")
_UNCLEAN = np.uint32(Flag.EDGE | Flag.GAP | Flag.TRUNCATED | Flag.SATURATED)
_COVERED = 0.999


class EarlierRelease(NamedTuple):
    """A release whose names are carried over."""

    table: Table
    """id_str, ra, dec, is_primary."""
    places: tuple[Floats, Floats]
    """Right ascension and declination (n,) of this release's rows in the frame of that one, deg."""


class Groups(NamedTuple):
    """Who belongs to whom."""

    leader: NDArray[np.int64]
    """(n,) row of each row's primary; a primary's own row."""
    is_primary: NDArray[np.bool_]


def merge_rows(
    rows: Table,
    places: tuple[Floats, Floats],
    survey: str,
    options: MergeOptions,
    *,
    earlier: EarlierRelease | None = None,
) -> Table:
    """Merge the detections of all fields.

    Parameters
    ----------
    rows
        From `stack`; `ra` and `dec` are those that the catalog will state. `flags` are changed in place.
    places
        Right ascension and declination (n,), deg, with the offsets between fields taken off.
    survey
        The survey's name, first part of every id_str that is made here.
    options
        `radius_arcsec`: detections of two fields closer than this are one sky object.
    earlier
        A release whose names are carried over to the objects that are in both.

    Returns
    -------
    Table
        SURVEY_COLUMNS, then the fields' columns; rows by field, then source_id. `id_str` is unique for every row,
        secondaries included; `flags` has DUPLICATE on secondaries only.

    Notes
    -----
    The primary is the row that is fully covered and free of the flags EDGE, GAP, TRUNCATED and SATURATED; then the one
    with the least noise (naive error of the smallest aperture in the reddest band that every field has: the full one
    holds neighbours' light, and weights of two reductions have no common unit); then farthest from an edge; then of
    the first field by name.
    """
    groups = group_rows(rows, places, options.radius_arcsec)
    names = unique_names(survey, rows, groups.is_primary, _earlier_names(earlier, groups, options.radius_arcsec))
    flags = np.asarray(rows["flags"], dtype=np.uint32) & ~np.uint32(Flag.DUPLICATE)
    rows["flags"][:] = np.where(groups.is_primary, flags, flags | np.uint32(Flag.DUPLICATE))
    numbers = np.array([group_number(name, survey) for name in names[groups.leader].tolist()], dtype=np.int64)
    front = dict(zip((c.name for c in SURVEY_COLUMNS), (names, numbers, groups.is_primary), strict=True))
    made = [_column(front[c.name], c.name, c.unit, c.meaning, {"ucd": c.ucd}) for c in SURVEY_COLUMNS]
    return Table([*made, *rows.itercols()], meta={"survey": survey, "radius_arcsec": options.radius_arcsec})


def _earlier_names(earlier: EarlierRelease | None, groups: Groups, radius_arcsec: float) -> Earlier:
    if earlier is None:
        return NOTHING_EARLIER
    carried = carried_names(earlier.places, groups.is_primary, earlier.table, radius_arcsec)
    return Earlier(carried, frozenset(np.asarray(earlier.table["id_str"]).tolist()))


def group_rows(rows: Table, places: tuple[Floats, Floats], radius_arcsec: float) -> Groups:
    """Decide for every row whether it is a primary, and whose secondary it is otherwise.

    Parameters
    ----------
    rows
        (n,) with field, source_id, valid_frac, edge_dist, flags and any `<band>_fluxerr_aper<size>_naive`.
    places
        Right ascension and declination (n,), deg.
    radius_arcsec
        Rows of two fields closer than this are one object.
    """
    order = quality_order(rows)
    near = _neighbours(np.asarray(rows["field"]), unit_vectors(*places), radius_arcsec, rank=np.argsort(order))
    leader = np.arange(len(rows))
    is_primary = np.zeros(len(rows), dtype=bool)
    for row in order.tolist():
        # rows that are not decided yet are no primaries yet: only better ones count
        primaries = [close for close in near.get(row, ()) if is_primary[close[2]]]
        is_primary[row] = not primaries
        if primaries:
            leader[row] = min(primaries)[2]
    return Groups(leader, is_primary)


def quality_order(rows: Table) -> NDArray[np.int64]:
    """Return row numbers, the best measured first (see the notes of `merge_rows`)."""
    flags = np.asarray(rows["flags"], dtype=np.uint32)
    whole = ((flags & _UNCLEAN) == 0) & (np.asarray(rows["valid_frac"]) >= _COVERED)
    edge = np.nan_to_num(np.asarray(rows["edge_dist"], dtype=np.float64), nan=-1.0)
    return np.lexsort((np.asarray(rows["source_id"]), np.asarray(rows["field"]), -edge, _noise(rows), ~whole))


def stack(tables: Mapping[str, Table]) -> Table:
    """Put the detections of all fields into one table: by field, then source_id.

    Parameters
    ----------
    tables
        Field catalogs by field; all with the same columns, `field` equal to the key, `source_id` unique in it.

    Raises
    ------
    CatalogError
        No tables, columns that differ, a position that is not finite, rows that are not the field's; names the field.
    """
    if not tables:
        raise CatalogError("no field catalog to merge")
    fields = sorted(tables)
    for field in fields:
        _check(field, tables[field], tables[fields[0]])
    parts = [tables[f][np.argsort(np.asarray(tables[f]["source_id"]), kind="stable")] for f in fields]
    return Table([_joined([part[name] for part in parts]) for name in parts[0].colnames])


def _joined(columns: Sequence[TableColumn]) -> TableColumn:
    first = columns[0]
    values = np.concatenate([np.asarray(column) for column in columns])
    return _column(values, first.name, first.unit, first.description, dict(first.meta))


def _column(values: NDArray[Any], name: str, unit: object, description: str, meta: dict[str, Any]) -> TableColumn:
    made = TableColumn(values, name=name, unit=unit or None, description=description)
    made.meta.update(meta)
    return made


def _check(field: str, table: Table, like: Table) -> None:
    missing = [n for n in _NEEDED if n not in table.colnames]
    if missing or table.colnames != like.colnames:
        strange = missing or sorted(set(table.colnames) ^ set(like.colnames)) or "in another order"
        raise CatalogError(f"field {field}: its columns differ from those of the other fields: {strange}")
    if not np.all(np.asarray(table["field"]) == field):
        raise CatalogError(f"field {field}: its catalog holds rows of another field")
    if len(np.unique(table["source_id"])) != len(table):
        raise CatalogError(f"field {field}: source_id is not unique")
    bad = ~(np.isfinite(table["ra"]) & np.isfinite(table["dec"]))
    if bad.any():
        raise CatalogError(f"field {field}: source_id {table['source_id'][bad][0]} has no finite position")


def _neighbours(
    field: NDArray[Any], vectors: Floats, radius_arcsec: float, rank: NDArray[np.int64]
) -> dict[int, list[tuple[float, int, int]]]:
    """By row: (chord, quality rank, row) of every row of another field within the radius."""
    near: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    if len(vectors) < 2:
        return near
    pairs = cKDTree(vectors).query_pairs(chord(radius_arcsec), output_type="ndarray")
    pairs = pairs[field[pairs[:, 0]] != field[pairs[:, 1]]]
    distance = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    for (one, two), separation in zip(pairs.tolist(), distance.tolist(), strict=True):
        near[one].append((separation, int(rank[two]), two))
        near[two].append((separation, int(rank[one]), one))
    return near


def _noise(rows: Table) -> Floats:
    """Naive error (uJy) of each row's smallest aperture in the reddest band that every field has; zeros without one."""
    _, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    named = [found for name in rows.colnames if (found := _NOISE.fullmatch(name))]
    smallest = {found["band"]: found.string for found in sorted(named, key=lambda found: -int(found["size"]))}
    for name in reversed([smallest[band] for band in dict.fromkeys(found["band"] for found in named)]):
        error = np.asarray(rows[name], dtype=np.float64)
        measured = np.isfinite(error)
        if len(np.unique(field[measured])) == len(np.unique(field)):
            return np.where(measured, error, np.inf)
    return np.zeros(len(rows))
