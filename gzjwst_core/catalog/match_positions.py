"""Rows of two lists of positions that are near each other: every pair within reach, or each other's nearest.

Unit vectors in, row numbers out; both come from `astrometry`, like what the pairs are for.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["close_rows", "mutual_nearest"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_NO_ROWS: Rows = np.zeros(0, dtype=np.int64)


def close_rows(one: Floats, two: Floats, reach: float) -> tuple[Rows, Rows]:
    """Return every pair of rows within reach, in order of the rows of the first list, then of the second.

    Parameters
    ----------
    one, two
        Unit vectors, (n, 3) and (m, 3).
    reach
        A chord.
    """
    if not (len(one) and len(two)):
        return _NO_ROWS, _NO_ROWS
    near = cKDTree(one).sparse_distance_matrix(cKDTree(two), reach, output_type="ndarray")
    order = np.lexsort((near["j"], near["i"]))
    return near["i"][order].astype(np.int64), near["j"][order].astype(np.int64)


def mutual_nearest(one: Floats, two: Floats, reach: float) -> tuple[Rows, Rows]:
    """Return the rows of two lists that are each other's nearest, and within reach.

    Parameters
    ----------
    one, two
        Unit vectors, (n, 3) and (m, 3).
    reach
        A chord.
    """
    if not (len(one) and len(two)):
        return _NO_ROWS, _NO_ROWS
    distance, there = cKDTree(two).query(one)
    _, back = cKDTree(one).query(two)
    rows = np.arange(len(one))
    mutual = (back[there] == rows) & (distance <= reach)
    return rows[mutual], np.asarray(there[mutual], dtype=np.int64)
