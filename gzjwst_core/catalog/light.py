"""How a source's light is spread over radii: radii of light, concentration, mean surface brightness.

Circles about the windowed centre; what counts as all of the light is flux_auto of the same image. Shapes are in
`shapes`, fluxes in `measure`. Arrays in, arrays out.
"""

import numpy as np
import sep
from numpy.typing import NDArray

from gzjwst_core.catalog.measure import Scene
from gzjwst_core.mosaics.units import ab_magnitude

__all__ = ["FRACTIONS", "concentration", "light_radii", "mean_brightness"]

Floats = NDArray[np.float64]

FRACTIONS = (0.2, 0.5, 0.8, 0.9)
"""Parts of flux_auto whose radii are measured."""

_SUBPIX = 5


def light_radii(scene: Scene, x: Floats, y: Floats, reach_px: Floats, flux: Floats) -> Floats:
    """Find the radii of circles with 20, 50, 80 and 90 % of a flux.

    Parameters
    ----------
    scene
        The image; neighbours' segments and gaps are left out, and count as the mean of their ring.
    x, y
        Centres, 0-based pixels of the window.
    reach_px
        Circles are tried up to this radius.
    flux
        All of the light, in the image's unit.

    Returns
    -------
    ndarray
        (n, 4) pixels, NaN where the flux is not positive or no circle holds that part.
    """
    good = flux > 0
    whole = np.where(good, flux, 1.0)
    radii, _ = sep.flux_radius(
        scene.frame.sub, x, y, reach_px, FRACTIONS, normflux=whole, subpix=_SUBPIX, **scene.masks
    )
    return np.where(good[:, None] & (radii > 0) & (radii < reach_px[:, None]), radii, np.nan)


def concentration(r20: Floats, r80: Floats) -> Floats:
    """Return `5 log10(r80 / r20)` (Bershady, Jangren & Conselice 2000; Conselice 2003); NaN without both radii.

    Notes
    -----
    All of the light is flux_auto here; those papers take what lies within 1.5 or 2 Petrosian radii. The PSF is in
    both radii: small sources lean towards its own concentration.
    """
    ratio = np.divide(r80, r20, out=np.full(r80.shape, np.nan), where=r20 > 0)
    index: Floats = 5 * np.log10(ratio)
    return index


def mean_brightness(flux: Floats, r50_arcsec: Floats) -> Floats:
    """Return the mean AB surface brightness within r50, mag/arcsec2: half of the flux over the circle's area."""
    area = np.pi * r50_arcsec**2
    mean = np.divide(0.5 * flux, area, out=np.full(flux.shape, np.nan), where=area > 0)
    return ab_magnitude(mean)
