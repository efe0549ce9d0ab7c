"""Zoobot's split: which side of train and test a galaxy is on, and that it stays there.

Sides are drawn by sky cell, from the cell's place alone. But every grid has borders: a later field may speak for a
galaxy, rename it and move it by a few mas across one. So what earlier hand-overs said is carried over, by name and
then by position; only who is new is drawn, those close together as one. What was said is kept of everyone who ever was
in a hand-over: a galaxy may be missing from any of them. Tables in, tables out.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.options import PublishOptions
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = ["NEAR_ARCSEC", "SIDES_COLUMNS", "remembered", "sides_of", "sky_cells", "split_rule"]

SIDES_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "unique name"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension when it was last handed over, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination when it was last handed over, ICRS"),
    Column("split", "str", "", "meta.code", "train or test"),
)
"""All that is remembered of hand-overs; the rule is in the table's meta."""

_RULE = ("split_cell_arcmin", "test_share")
NEAR_ARCSEC = 1.0
"""A new object this close to an earlier one may be a part of it, or the same under a new name."""
_RENAMED_ARCSEC = 0.3
"""An object this close to an earlier one is the same, as for uploads."""


def split_rule(options: PublishOptions) -> dict[str, float]:
    """Tell what sides are drawn by; it is kept in the hand-over: under another rule nothing is carried over."""
    return {name: getattr(options, name) for name in _RULE}


def sides_of(rows: Table, options: PublishOptions, earlier: Table | None = None) -> NDArray[np.str_]:
    """Find the side of every row.

    Parameters
    ----------
    rows
        id_str, group_id, ra, dec.
    options
        `split_cell_arcmin` and `test_share`.
    earlier
        What was remembered, SIDES_COLUMNS; taken as nothing if its meta tells another rule.

    Returns
    -------
    ndarray of str
        (n,) `train` or `test`; rows of one group are on one side. A row that was handed over stays where it was, known
        by its name, else by the nearest position within 1 arcsec. Groups without such a row join those within 1 arcsec
        of them; where none of these was handed over either, they are drawn together, by the cell of their first row.

    Notes
    -----
    Where a better field shows that two galaxies of different sides are one, it goes to `train`: what a model may have
    been trained on never becomes test.
    """
    _, first, group = np.unique(np.asarray(rows["group_id"]), return_index=True, return_inverse=True)
    known = _said(_kept(rows, _of_rule(earlier, split_rule(options))), group, len(first))
    together = _together(rows, group, known == "")
    start = np.full(together.max(initial=-1) + 1, len(rows))
    np.minimum.at(start, together, first)
    joined = _said(known, together, len(start))
    sides = np.where(joined == "", _drawn(rows[start], options), joined)[together]
    return np.where(known == "", sides, known)[group]


def remembered(handed: Table, earlier: Table | None = None) -> Table:
    """Return the side of everyone who was ever handed over by one rule.

    Parameters
    ----------
    handed
        A hand-over, SIDES_COLUMNS and more; its meta tells the rule.
    earlier
        What was remembered before it; forgotten if its meta tells another rule.

    Returns
    -------
    Table
        SIDES_COLUMNS in order of id_str: the rows of `handed`, and those before it under other names. Of those, one
        within 0.3 arcsec of a row that is `train` is that galaxy under an earlier name: `train` from now on.
    """
    rule = {key: handed.meta[key] for key in _RULE}
    before = _of_rule(earlier, rule)
    every = [handed]
    if before is not None:
        gone = before[~np.isin(before["id_str"], handed["id_str"])]
        trained = handed[np.asarray(handed["split"]) == "train"]
        gone["split"] = np.where(_near(gone, trained, _RENAMED_ARCSEC) < len(trained), "train", gone["split"])
        every.append(gone)
    columns = {c.name: np.concatenate([np.asarray(one[c.name]) for one in every]) for c in SIDES_COLUMNS}
    order = np.argsort(columns["id_str"], kind="stable")
    return apply_columns(Table(columns, meta=rule)[order], SIDES_COLUMNS)


def sky_cells(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], side_arcmin: float) -> list[tuple[int, int]]:
    """Find the cell of each position: rings of equal height, cut into cells about as wide as they are high.

    Parameters
    ----------
    ra_deg, dec_deg
        (n,) ICRS positions.
    side_arcmin
        Side of a cell.

    Returns
    -------
    list of (ring, cell)
        Integers that depend on the position and the side alone.
    """
    ring = np.floor((dec_deg + 90.0) * 60.0 / side_arcmin).astype(np.int64)
    middle = np.deg2rad((ring + 0.5) * side_arcmin / 60.0 - 90.0)
    count = np.maximum(1, np.floor(360.0 * 60.0 / side_arcmin * np.cos(middle))).astype(np.int64)
    cell = np.floor((ra_deg % 360.0) / 360.0 * count).astype(np.int64)
    return list(zip(ring.tolist(), np.minimum(cell, count - 1).tolist(), strict=True))


def _of_rule(earlier: Table | None, rule: Mapping[str, Any]) -> Table | None:
    """Return what there is to carry over; None where it was drawn by another rule."""
    is_of = earlier is not None and len(earlier) and all(earlier.meta.get(key) == value for key, value in rule.items())
    return earlier if is_of else None


def _kept(rows: Table, earlier: Table | None) -> NDArray[np.str_]:
    """Return the side that each row was on, empty for new ones."""
    if earlier is None:
        return np.zeros(len(rows), dtype="U5")
    return np.append(np.asarray(earlier["split"], dtype="U5"), "")[_known(rows, earlier)]


def _said(sides: NDArray[np.str_], of: NDArray[np.int64], count: int) -> NDArray[np.str_]:
    """Return the side of each of `count` sets, train where both are in it; empty where no member has one."""
    has = {side: np.bincount(of[sides == side], minlength=count) > 0 for side in ("train", "test")}
    return np.where(has["train"], "train", np.where(has["test"], "test", "")).astype("U5")


def _together(rows: Table, group: NDArray[np.int64], is_new: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find which set each group is in: sets are close together; two that were handed over do not tie each other."""
    tree = cKDTree(unit_vectors(rows["ra"], rows["dec"]))
    a, b = group[tree.query_pairs(chord(NEAR_ARCSEC), output_type="ndarray").T]
    tied = is_new[a] | is_new[b]
    pairs = coo_array((np.ones(np.count_nonzero(tied)), (a[tied], b[tied])), shape=(len(is_new), len(is_new)))
    return np.asarray(connected_components(pairs, directed=False)[1], dtype=np.int64)


def _known(rows: Table, earlier: Table) -> NDArray[np.int64]:
    """Find the earlier row that each row is, by its name, else by its place; the number of earlier rows if none."""
    place = {name: row for row, name in enumerate(np.asarray(earlier["id_str"]).tolist())}
    named = np.array([place.get(name, -1) for name in np.asarray(rows["id_str"]).tolist()], dtype=np.int64)
    return np.where(named >= 0, named, _near(rows, earlier, NEAR_ARCSEC))


def _near(rows: Table, others: Table, within_arcsec: float) -> NDArray[np.int64]:
    """Find the nearest other row of each row; the number of others where none is so near."""
    tree = cKDTree(unit_vectors(others["ra"], others["dec"]))
    _, near = tree.query(unit_vectors(rows["ra"], rows["dec"]), distance_upper_bound=chord(within_arcsec))
    return np.asarray(near, dtype=np.int64)


def _drawn(rows: Table, options: PublishOptions) -> NDArray[np.str_]:
    ra, dec = (np.asarray(rows[name], dtype=np.float64) for name in ("ra", "dec"))
    cells = sky_cells(ra, dec, options.split_cell_arcmin)
    return np.array([_side(cell, options.test_share) for cell in cells], dtype="U5")


def _side(cell: tuple[int, int], test_share: float) -> str:
    draw = int.from_bytes(hashlib.sha256(f"{cell[0]}:{cell[1]}".encode()).digest()[:8]) / 2.0**64
    return "test" if draw < test_share else "train"
