"""Neighbours' light that no mask takes away: how bright the wings of all other sources are at each source.

Columns in, columns out. It is an estimate for the error, good to a factor of two or so: nothing is subtracted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["Wings"]

Floats = NDArray[np.float64]

_REACH = 8.0
_WIDEST_ARCSEC = 30.0
_LEAST_SCALE = 0.2


@dataclass(frozen=True)
class Wings:
    """Which source shines on which, and with what part of its light.

    Attributes
    ----------
    on, of
        (m,) rows: the source that is shone on, and its neighbour.
    share
        (m,) surface brightness there as a part of the neighbour's total flux, 1/arcsec2.
    count
        Number of sources.
    """

    on: NDArray[np.int64]
    of: NDArray[np.int64]
    share: Floats
    count: int

    @classmethod
    def between(cls, places: Floats, r50: Floats, r90: Floats, total: Floats) -> "Wings":
        """Measure the profiles of a field's sources at each other's places.

        Parameters
        ----------
        places
            (n, 2) positions, arcsec.
        r50, r90
            Radii with 50 and 90 % of the automatic flux, arcsec; NaN = the source shines on none.
        total
            Total / automatic flux.

        Notes
        -----
        The light outside radius r is an exponential through what lies outside r50 and r90, `1 - 0.5 / total` and
        `1 - 0.9 / total`; an exponential disc's own tail is a little steeper, a bulge's shallower. Inside r50 it is as
        bright as there. Round profiles, out to 8 scale lengths beyond r50.
        """
        outer, inner = 1 - 0.5 / total, np.maximum(1 - 0.9 / total, 0.01)
        scale = np.maximum(r90 - r50, _LEAST_SCALE * r50) / np.log(outer / inner)
        reach = np.minimum(r50 + _REACH * scale, _WIDEST_ARCSEC)
        shining = np.flatnonzero(np.isfinite(reach) & (scale > 0))
        found = cKDTree(places).query_ball_point(places[shining], reach[shining], return_sorted=True)
        of = np.repeat(shining, [len(rows) for rows in found])
        on = np.fromiter((row for rows in found for row in rows), dtype=np.int64, count=of.size)
        on, of = on[on != of], of[on != of]
        distance = np.maximum(np.hypot(*(places[on] - places[of]).T), r50[of])
        outside = outer[of] * np.exp(-(distance - r50[of]) / scale[of])
        return cls(on, of, outside / (2 * np.pi * distance * scale[of]), len(places))

    def brightness(self, flux: Floats) -> Floats:
        """Return the summed wings of all neighbours at each source.

        Parameters
        ----------
        flux
            (n,) total fluxes, uJy; what is negative or NaN shines on none.

        Returns
        -------
        ndarray
            uJy/arcsec2.
        """
        shining = np.maximum(np.nan_to_num(flux), 0.0)
        return np.bincount(self.on, weights=self.share * shining[self.of], minlength=self.count).astype(np.float64)
