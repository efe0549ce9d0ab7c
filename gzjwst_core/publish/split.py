"""Zoobot's split: which side of train and test a galaxy is on, and that it stays there.

Sides are drawn by sky cell, from the cell's place alone. But every grid has borders: a later field may speak for a
galaxy, rename it and move it by a few mas across one. So what an earlier hand-over said is carried over, by name and
then by position; only who is new is drawn. Tables in, sides out.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.options import PublishOptions

__all__ = ["NEAR_ARCSEC", "SPLIT_COLUMNS", "sides_of", "sky_cells", "split_rule"]

SPLIT_COLUMNS = ("id_str", "ra", "dec", "split")
"""All that is read of an earlier hand-over."""

NEAR_ARCSEC = 1.0
"""A new object this close to an earlier one may be a part of it, or the same under a new name."""


def split_rule(options: PublishOptions) -> dict[str, float]:
    """Tell what sides are drawn by; it is kept in the hand-over: under another rule nothing is carried over."""
    return {"split_cell_arcmin": options.split_cell_arcmin, "test_share": options.test_share}


def sides_of(rows: Table, options: PublishOptions, earlier: Table | None = None) -> NDArray[np.str_]:
    """Find the side of every row.

    Parameters
    ----------
    rows
        id_str, group_id, ra, dec.
    options
        `split_cell_arcmin` and `test_share`.
    earlier
        The hand-over before, SPLIT_COLUMNS; taken as nothing if its meta tells another rule.

    Returns
    -------
    ndarray of str
        (n,) `train` or `test`; rows of one group are on one side. A row that was handed over stays where it was, known
        by its name, else by the nearest position within 1 arcsec. Groups without such a row are drawn by the cell of
        their first row.

    Notes
    -----
    Where a better field shows that two galaxies of different sides are one, it goes to `train`: what a model may have
    been trained on never becomes test.
    """
    _, first, group = np.unique(np.asarray(rows["group_id"]), return_index=True, return_inverse=True)
    kept = _kept(rows, earlier if _is_of(earlier, split_rule(options)) else None)
    was = {side: np.bincount(group[kept == side], minlength=len(first)) > 0 for side in ("train", "test")}
    drawn = _drawn(rows[first], options)
    sides: NDArray[np.str_] = np.where(was["train"], "train", np.where(was["test"], "test", drawn)).astype("U5")
    return sides[group]


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


def _is_of(earlier: Table | None, rule: Mapping[str, Any]) -> bool:
    return earlier is not None and all(earlier.meta.get(key) == value for key, value in rule.items())


def _kept(rows: Table, earlier: Table | None) -> NDArray[np.str_]:
    """Return the side that each row was on, empty for new ones."""
    if earlier is None or len(earlier) == 0:
        return np.zeros(len(rows), dtype="U5")
    was = np.append(np.asarray(earlier["split"], dtype="U5"), "")
    place = {name: row for row, name in enumerate(np.asarray(earlier["id_str"]).tolist())}
    named = np.array([place.get(name, -1) for name in np.asarray(rows["id_str"]).tolist()], dtype=np.int64)
    known = cKDTree(unit_vectors(earlier["ra"], earlier["dec"]))
    _, near = known.query(unit_vectors(rows["ra"], rows["dec"]), distance_upper_bound=chord(NEAR_ARCSEC))
    return was[np.where(named >= 0, named, near)]  # cKDTree says `len` where nothing is near: the empty one


def _drawn(rows: Table, options: PublishOptions) -> NDArray[np.str_]:
    ra, dec = (np.asarray(rows[name], dtype=np.float64) for name in ("ra", "dec"))
    cells = sky_cells(ra, dec, options.split_cell_arcmin)
    return np.array([_side(cell, options.test_share) for cell in cells], dtype="U5")


def _side(cell: tuple[int, int], test_share: float) -> str:
    draw = int.from_bytes(hashlib.sha256(f"{cell[0]}:{cell[1]}".encode()).digest()[:8]) / 2.0**64
    return "test" if draw < test_share else "train"
