"""A small shift on the sky: of positions, and of the WCS that they are placed on.

What was found wrong with a field's astrometry is one such shift. Positions and WCS are moved alike, so that a corrected
position on the corrected WCS is the pixel that it always was. How a shift is found is `catalog.astrometry`.
"""

from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

__all__ = ["NO_SHIFT", "SkyShift", "moved", "shifted_wcs"]

_MAS = 1 / 3.6e6


class SkyShift(NamedTuple):
    """What is added to positions, mas along the great circles to the east and north."""

    dra_mas: float = 0.0
    """Change of right ascension times cos(declination)."""
    ddec_mas: float = 0.0


NO_SHIFT = SkyShift()


def moved(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], shift: SkyShift
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add a shift to positions.

    Parameters
    ----------
    ra_deg, dec_deg
        (n,) degrees.
    shift
        At most a few arcsec.

    Returns
    -------
    tuple of ndarray
        Right ascension in [0, 360) and declination; the same values where there is no shift.
    """
    if shift == NO_SHIFT:
        return ra_deg, dec_deg
    ra = ra_deg + shift.dra_mas * _MAS / np.cos(np.deg2rad(dec_deg))
    return np.mod(ra, 360.0), dec_deg + shift.ddec_mas * _MAS


def shifted_wcs(wcs: WCS, shift: SkyShift) -> WCS:
    """Return a WCS whose every pixel lies a shift farther on the sky; the same one where there is none.

    Parameters
    ----------
    wcs
        Celestial, two axes.
    shift
        Is added to CRVAL.

    Notes
    -----
    A shift of a tangent plane turns it by the shift times tan(declination) as seen from the pole: 5 arcmin from CRVAL,
    at declination 53 deg, positions that were `moved` by 100 mas are beside it by less than 0.3 mas.
    """
    if shift == NO_SHIFT:
        return wcs
    new = wcs.deepcopy()
    ra, dec = moved(wcs.wcs.crval[:1], wcs.wcs.crval[1:], shift)
    new.wcs.crval = [float(ra[0]), float(dec[0])]
    new.wcs.set()
    return new
