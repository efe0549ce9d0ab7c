"""From field catalogs to the survey catalog: which detections are one sky object, which of them speaks, its name.

Rows are taken in order of quality. Each becomes the *primary* of a new group, unless an earlier primary of ANOTHER
field lies within the radius: then it is a *secondary* of the nearest such primary. So every group has one primary, no
two primaries of different fields are closer than the radius, groups never grow by chains, and what one field saw as
two stays two unless a better field saw it as one. Nothing depends on the order of the fields. Not here: measuring
(`measure`), cutting (`select`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.columns import SURVEY_COLUMNS, Flag
from gzjwst_core.errors import CatalogError
from gzjwst_core.names import id_str
from gzjwst_core.options import MergeOptions

__all__ = ["merge_fields", "unit_vectors"]

_NEEDED = ("field", "source_id", "ra", "dec", "valid_frac", "edge_dist", "flags")
_WEIGHT = "_wht_med"
_COVERED = 0.999


class Groups(NamedTuple):
    """Who belongs to whom."""

    leader: NDArray[np.int64]
    """(n,) row of each row's primary; a primary's own row."""
    is_primary: NDArray[np.bool_]


def merge_fields(tables: Mapping[str, Table], survey: str, options: MergeOptions) -> Table:
    """Merge field catalogs into one survey catalog that keeps every detection.

    Parameters
    ----------
    tables
        Field catalogs by field; all with the same columns, `field` equal to the key, `source_id` unique in it.
    survey
        The survey's name, first part of every id_str.
    options
        `radius_arcsec`: detections of two fields closer than this are one sky object.

    Returns
    -------
    Table
        SURVEY_COLUMNS, then the fields' columns; rows by field, then source_id. `id_str` is unique for every row,
        secondaries included; `flags` has DUPLICATE on secondaries only.

    Raises
    ------
    CatalogError
        No tables, columns that differ, a position that is not finite, rows that are not the field's; names the field.

    Notes
    -----
    The primary is the row that is fully covered and free of edge flags; then of the highest weight (in the reddest band
    that every field has); then farthest from an edge; then of the first field by name.
    """
    rows = _stack(tables)
    groups = group_rows(rows, options.radius_arcsec)
    names = _unique_names(survey, rows, groups)
    leaders = names[groups.leader]
    flags = np.asarray(rows["flags"], dtype=np.uint32) & ~np.uint32(Flag.DUPLICATE)
    rows["flags"][:] = np.where(groups.is_primary, flags, flags | np.uint32(Flag.DUPLICATE))
    numbers = np.array([_group_number(name) for name in leaders], dtype=np.int64)
    front = dict(zip((c.name for c in SURVEY_COLUMNS), (names, numbers, groups.is_primary), strict=True))
    made = [_column(front[c.name], c.name, c.unit, c.meaning, {"ucd": c.ucd}) for c in SURVEY_COLUMNS]
    return Table([*made, *rows.itercols()], meta={"survey": survey, "radius_arcsec": options.radius_arcsec})


def group_rows(rows: Table, radius_arcsec: float) -> Groups:
    """Decide for every row whether it is a primary, and whose secondary it is otherwise.

    Parameters
    ----------
    rows
        (n,) with field, source_id, ra, dec, valid_frac, edge_dist, flags and any `<band>_wht_med`.
    radius_arcsec
        Rows of two fields closer than this are one object.
    """
    order = quality_order(rows)
    near = _neighbours(rows, radius_arcsec, rank=np.argsort(order))
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
    """Return row numbers, the best measured first (see the notes of `merge_fields`)."""
    flags = np.asarray(rows["flags"], dtype=np.uint32)
    clean = (flags & np.uint32(Flag.EDGE | Flag.GAP | Flag.TRUNCATED)) == 0
    whole = clean & (np.asarray(rows["valid_frac"]) >= _COVERED)
    edge = np.nan_to_num(np.asarray(rows["edge_dist"], dtype=np.float64), nan=-1.0)
    return np.lexsort((np.asarray(rows["source_id"]), np.asarray(rows["field"]), -edge, -_weights(rows), ~whole))


def unit_vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors (n, 3) of sky positions: a chord is as good as an angle at these distances."""
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def _stack(tables: Mapping[str, Table]) -> Table:
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


def _neighbours(rows: Table, radius_arcsec: float, rank: NDArray[np.int64]) -> dict[int, list[tuple[float, int, int]]]:
    """By row: (chord, quality rank, row) of every row of another field within the radius."""
    near: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    if len(rows) < 2:
        return near
    vectors = unit_vectors(np.asarray(rows["ra"]), np.asarray(rows["dec"]))
    chord = 2 * np.sin(np.deg2rad(radius_arcsec / 3600) / 2)
    pairs = cKDTree(vectors).query_pairs(chord, output_type="ndarray")
    field = np.asarray(rows["field"])
    pairs = pairs[field[pairs[:, 0]] != field[pairs[:, 1]]]
    distance = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    for (one, two), separation in zip(pairs.tolist(), distance.tolist(), strict=True):
        near[one].append((separation, int(rank[two]), two))
        near[two].append((separation, int(rank[one]), one))
    return near


def _weights(rows: Table) -> NDArray[np.float64]:
    """Weight of each row in the reddest band that every field has; zeros if there is none."""
    _, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    for name in reversed([n for n in rows.colnames if n.endswith(_WEIGHT)]):
        weight = np.asarray(rows[name], dtype=np.float64)
        measured = np.isfinite(weight)
        if len(np.unique(field[measured])) == len(np.unique(field)):
            return np.where(measured, weight, -1.0)
    return np.zeros(len(rows))


def _unique_names(survey: str, rows: Table, groups: Groups) -> NDArray[np.str_]:
    """Names after the position; only where several rows share one they get letters, primaries first.

    A lone primary keeps the bare name whatever secondaries share it, so that a field added later renames no image.
    """
    ra, dec = np.asarray(rows["ra"], dtype=np.float64), np.asarray(rows["dec"], dtype=np.float64)
    names = [id_str(survey, r, d) for r, d in zip(ra.tolist(), dec.tolist(), strict=True)]
    order = np.lexsort((rows["source_id"], rows["field"], ra, dec, ~groups.is_primary))
    sharing: dict[str, list[int]] = defaultdict(list)
    for row in order.tolist():
        sharing[names[row]].append(row)
    for name, same in sharing.items():
        primaries = int(groups.is_primary[same].sum())
        for place, row in enumerate(same if len(same) > 1 else ()):
            names[row] = name if place == 0 and primaries == 1 else name + _letters(place)
    return np.array(names, dtype=str)


def _letters(place: int) -> str:
    """0 is `a`, 25 `z`, 26 `aa`."""
    text = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        text = chr(ord("a") + letter) + text
    return text


def _group_number(name: str) -> int:
    """Turn a primary's name into a number that stays when fields are added: digits of the position, sign, letters."""
    position = name.rpartition("_J")[2]
    digits = "".join(c for c in position if c.isdigit())
    letters = "".join(c for c in position if c.islower())
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("a") + 1
    return (int(digits) * 2 + ("-" in position)) * 1000 + place
