"""Names carried over from an earlier release: which of its names belongs to which row of this one, by position.

Arrays in, names out. What the other rows are called is `naming`; reading the earlier release is `sky_tables`.
"""

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.catalog.match_positions import mutual_nearest

__all__ = ["NameCounts", "carried_names", "name_counts"]

Floats = NDArray[np.float64]


class NameCounts(NamedTuple):
    """What became of names: carried + new = rows of this release, carried + gone = rows of the earlier one."""

    carried: int
    new: int
    gone: int


def carried_names(
    places: tuple[Floats, Floats], is_primary: NDArray[np.bool_], earlier: Table, radius_arcsec: float
) -> NDArray[np.str_]:
    """Give rows the names of an earlier release.

    Parameters
    ----------
    places
        Right ascension and declination of the rows, (n,) deg, in the frame of the earlier release.
    is_primary
        (n,)
    earlier
        id_str (unique), ra, dec (deg; a row that is not finite carries nothing), is_primary.
    radius_arcsec
        Farthest distance of one object in both.

    Returns
    -------
    ndarray of str
        (n,) empty for rows without an earlier name. No name is there twice.

    Notes
    -----
    Those that are each other's nearest are one. First primaries are compared with primaries; then primaries that found
    none with the names that are left (another field may speak for the object now); then secondaries with what is left.
    """
    ours = unit_vectors(*places)
    theirs = unit_vectors(earlier["ra"], earlier["dec"])
    free = np.asarray(np.isfinite(theirs).all(axis=1), dtype=np.bool_)
    spoke = np.asarray(earlier["is_primary"], dtype=bool)
    found = np.full(len(ours), -1, dtype=np.int64)
    for mine, wanted in ((is_primary, spoke), (is_primary, np.ones_like(spoke)), (~is_primary, np.ones_like(spoke))):
        rows, names = np.flatnonzero(mine & (found < 0)), np.flatnonzero(wanted & free)
        one, two = mutual_nearest(ours[rows], theirs[names], chord(radius_arcsec))
        found[rows[one]] = names[two]
        free[names[two]] = False
    return np.where(found >= 0, np.append(np.asarray(earlier["id_str"], dtype=str), "")[found], "")


def name_counts(names: NDArray[np.str_], earlier: Table) -> NameCounts:
    """Count what became of the names of an earlier release; no new name is one of them."""
    carried = int(np.isin(names, np.asarray(earlier["id_str"], dtype=str)).sum())
    return NameCounts(carried, len(names) - carried, len(earlier) - carried)
