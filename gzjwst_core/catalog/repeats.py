"""Reproducibility: which detections are there again in another field that looked at the same sky.

Arrays in, arrays out. It is a lower limit of purity that knows every kind of false detection, not only noise: one that
is not repeated may also be real and missed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from gzjwst_core.catalog.recovery import nearest
from gzjwst_core.mosaics.rows import near

__all__ = ["DepthGrid", "Detections", "repeats"]

Floats = NDArray[np.float64]

_SHALLOWER_MAG = 0.2


@dataclass(frozen=True)
class DepthGrid:
    """Depth of a field's detection image in blocks."""

    depth: NDArray[np.float32]
    """(rows, columns) AB mag, NaN without data."""
    wcs: WCS
    """Of the blocks."""

    def at(self, ra: Floats, dec: Floats) -> Floats:
        """Return the least depth of the 3 x 3 blocks around places (deg); NaN where one of them has no data."""
        least = minimum_filter(np.nan_to_num(self.depth, nan=-np.inf), 3, mode="constant", cval=-np.inf)
        made = np.full(len(ra), np.nan)
        close = near(ra, dec, self.wcs)
        x, y = (np.rint(v).astype(int) for v in self.wcs.all_world2pix(ra[close], dec[close], 0))
        inside = (x >= 0) & (y >= 0) & (x < least.shape[1]) & (y < least.shape[0])
        rows = np.flatnonzero(close)[inside]
        made[rows] = least[y[inside], x[inside]]
        made[np.isinf(made)] = np.nan
        return made


@dataclass(frozen=True)
class Detections:
    """One field."""

    ra: Floats
    """(n,) deg."""
    dec: Floats
    grid: DepthGrid


def repeats(
    mine: Detections, others: Sequence[Detections], radius_arcsec: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Look a field's detections up in other fields.

    Parameters
    ----------
    mine
        The field.
    others
        The survey's other fields.
    radius_arcsec
        Of a match.

    Returns
    -------
    overlap, repeated
        (n,) Whether another field has data there that are not more than 0.2 mag shallower; and whether one of those
        has a detection there.
    """
    own = mine.grid.at(mine.ra, mine.dec)
    overlap, repeated = np.zeros(len(own), dtype=bool), np.zeros(len(own), dtype=bool)
    for other in others:
        here = other.grid.at(mine.ra, mine.dec) >= own - _SHALLOWER_MAG
        overlap |= here
        repeated[here] |= nearest(mine.ra[here], mine.dec[here], other.ra, other.dec)[1] <= radius_arcsec
    return overlap, repeated
