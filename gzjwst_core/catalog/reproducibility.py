"""Purity from overlaps: of the sources that one field detects where another looked too, how many the other has.

Tables in, a table out. What lies inside a field is told by its own sources: each knows how far the nearest pixel
without data is. Not here: what artificial sources say of completeness, and the negative image of purity.
"""

import math
from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.flag_bits import Flag
from gzjwst_core.storage.tables import Column, apply_columns, empty_table

__all__ = ["OVERLAP_COLUMNS", "reproducibility"]

Floats = NDArray[np.float64]

_BIN_MAG = 0.5
_MARGIN_ARCSEC = 1.5  # edge_dist is good to 1 arcsec
_NEIGHBOURS = 24
_APART = 2.0
_AWAY_ARCSEC = 3.0
_CUT = np.uint32(Flag.EDGE | Flag.GAP | Flag.TRUNCATED)

OVERLAP_COLUMNS = (
    Column("field", "str", "", "meta.id;obs.field", "field that detected the sources"),
    Column("other", "str", "", "meta.id;obs.field", "field that looked at the same sky"),
    Column("mag_low", "float64", "mag", "phot.mag;stat.min", "mag_ref from; NaN = rows without a magnitude"),
    Column("mag_high", "float64", "mag", "phot.mag;stat.max", "mag_ref below"),
    Column("n", "int64", "", "meta.number", "sources of the field well inside the other"),
    Column("n_found", "int64", "", "meta.number", "of these, detected by the other within the radius"),
    Column("n_chance", "float64", "", "meta.number", "found within the radius of a place 3 arcsec away, mean of four"),
)
"""Columns of catalog/overlap.parquet."""


class _Places(NamedTuple):
    """Sources of one field."""

    xyz: Floats
    """(n, 3) unit vectors."""
    east: Floats
    """(n, 3) towards east and north, unit length."""
    north: Floats
    mag: Floats
    edge: Floats
    """arcsec to the nearest pixel without data."""
    whole: NDArray[np.bool_]
    tree: cKDTree
    centre: Floats
    """(3,) not of unit length; `reach` is the chord from there that holds every source."""
    reach: float


def reproducibility(rows: Table, places: tuple[Floats, Floats], radius_arcsec: float) -> Table:
    """Count, for every two fields that overlap, how many sources of one the other detects too.

    Parameters
    ----------
    rows
        Detections of all fields: field, mag_ref, edge_dist (arcsec), flags.
    places
        Their right ascension and declination (n,), deg, offsets between fields taken off.
    radius_arcsec
        Farthest distance of one object in both.

    Returns
    -------
    Table
        OVERLAP_COLUMNS: a row for both directions of two fields and every bin of 0.5 mag of the first's magnitudes.

    Notes
    -----
    A place is well inside a field if it is nearer to one of that field's sources than that source is to a pixel without
    data, by 1.5 arcsec at least. Sources within two radii of the place do not count there: whether it lies inside must
    not hang on its being detected. Rows that an edge cuts are left out. `n_found / n` is the purity times the other's
    completeness, so a lower limit of the purity; `n_chance` of `n_found` are chance.
    """
    fields = _by_field(rows, places)
    parts = [row for one, two in permutations(sorted(fields), 2) for row in _compare(fields, one, two, radius_arcsec)]
    if not parts:
        return empty_table(OVERLAP_COLUMNS)
    names = [column.name for column in OVERLAP_COLUMNS]
    return apply_columns(Table(dict(zip(names, zip(*parts, strict=True), strict=True))), OVERLAP_COLUMNS)


def _by_field(rows: Table, places: tuple[Floats, Floats]) -> dict[str, _Places]:
    names, field = np.unique(np.asarray(rows["field"]), return_inverse=True)
    return {
        name: _places_of(rows, places, np.flatnonzero(field == number)) for number, name in enumerate(names.tolist())
    }


def _places_of(rows: Table, places: tuple[Floats, Floats], mine: NDArray[np.int64]) -> _Places:
    ra, dec = (values[mine] for values in places)
    xyz = unit_vectors(ra, dec)
    east = unit_vectors(ra + 90.0, np.zeros_like(ra))
    edge = np.nan_to_num(np.asarray(rows["edge_dist"], dtype=np.float64)[mine], nan=0.0)
    whole = (np.asarray(rows["flags"], dtype=np.uint32)[mine] & _CUT) == 0
    mag = np.asarray(rows["mag_ref"], dtype=np.float64)[mine]
    centre = xyz.mean(axis=0)
    reach = float(np.linalg.norm(xyz - centre, axis=1).max())
    return _Places(xyz, east, np.cross(xyz, east), mag, edge, whole, cKDTree(xyz), centre, reach)


def _compare(fields: dict[str, _Places], name: str, other_name: str, radius_arcsec: float) -> Iterator[tuple[Any, ...]]:
    one, other = fields[name], fields[other_name]
    if np.linalg.norm(one.centre - other.centre) > one.reach + other.reach:
        return
    near = np.flatnonzero(one.whole & (np.linalg.norm(one.xyz - other.centre, axis=1) <= other.reach))
    if near.size == 0:
        return
    inside = near[_well_inside(one.xyz[near], other, _APART * radius_arcsec)]
    found = _is_found(one.xyz[inside], other, radius_arcsec)
    chance = _chance(one, inside, other, radius_arcsec)
    mag_bin = np.floor(one.mag[inside] / _BIN_MAG)  # NaN stays, and is a bin of its own
    for value in np.unique(mag_bin, equal_nan=True).tolist():
        here = np.isnan(mag_bin) if math.isnan(value) else mag_bin == value
        edges = value * _BIN_MAG, (value + 1) * _BIN_MAG
        yield name, other_name, *edges, int(here.sum()), int(found[here].sum()), float(chance[here].sum())


def _well_inside(xyz: Floats, other: _Places, apart_arcsec: float) -> NDArray[np.bool_]:
    distance, there = other.tree.query(xyz, k=min(_NEIGHBOURS, len(other.edge)))
    distance, there = (values.reshape(len(xyz), -1) for values in (distance, there))
    arcsec = np.rad2deg(distance) * 3600
    inside: NDArray[np.bool_] = np.any((arcsec > apart_arcsec) & (arcsec + _MARGIN_ARCSEC <= other.edge[there]), axis=1)
    return inside


def _is_found(xyz: Floats, other: _Places, radius_arcsec: float) -> NDArray[np.bool_]:
    distance, _ = other.tree.query(xyz, distance_upper_bound=chord(radius_arcsec) * (1 + 1e-12))
    return np.asarray(np.isfinite(distance), dtype=np.bool_)


def _chance(one: _Places, inside: NDArray[np.int64], other: _Places, radius_arcsec: float) -> Floats:
    step = math.radians(_AWAY_ARCSEC / 3600)
    xyz, east, north = one.xyz[inside], one.east[inside], one.north[inside]
    away = [xyz + sign * step * way for way in (east, north) for sign in (1, -1)]
    return np.asarray(np.mean([_is_found(there, other, radius_arcsec) for there in away], axis=0), dtype=np.float64)
