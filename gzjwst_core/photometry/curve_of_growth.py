"""How a source's light is spread over radii: radii of light, concentration, mean surface brightness.

Circles about the windowed centre; what counts as all of the light is flux_auto of the same image. Shapes are in
`shapes`, fluxes in `measure`. Arrays in, arrays out.
"""

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, maximum_filter1d

from gzjwst_core.mosaics.units import ab_magnitude
from gzjwst_core.photometry.measure import Scene

__all__ = ["FRACTIONS", "concentration", "light_radii", "mean_brightness"]

Floats = NDArray[np.float64]

FRACTIONS = (0.2, 0.5, 0.8, 0.9)
"""Parts of flux_auto whose radii are measured."""

_SUBPIX = 5
_HIGH_PASS = np.array([-0.25, 0.5, -0.25])
"""The filter whose transfer is s = sin^2(pi f), of the formula in `sharpened`."""

_SHARPEN = np.array([0, 0, 1, 0, 0]) + np.pad(_HIGH_PASS, 1) / 3 + 8 / 45 * np.convolve(_HIGH_PASS, _HIGH_PASS)


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
    sharp = scene.frame.sub if scene.flat else sharpened(scene.frame.sub, scene.frame.bad)
    good = flux > 0
    whole = np.where(good, flux, 1.0)
    radii, _ = sep.flux_radius(sharp, x, y, reach_px, FRACTIONS, normflux=whole, subpix=_SUBPIX, **scene.masks)
    return np.where(good[:, None] & (radii > 0) & (radii < reach_px[:, None]), radii, np.nan)


def sharpened(image: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Take the width of the pixels out of an image, as far as its sums over apertures go.

    Parameters
    ----------
    image
        (ny, nx) light in each pixel.
    bad
        Pixels without data; within two pixels of one nothing is changed.

    Returns
    -------
    ndarray of float32
        Same sum. The same star has the same radii of light on 0.03 and 0.06 arcsec pixels, to about 1 %.

    Notes
    -----
    A pixel averages the sky over its square, and a circle's sum takes it as even over that square once more: together
    1 / sinc^2 along each axis to be undone. With s = sin^2(pi f), that is 1 + s/3 + 8 s^2/45 up to s^2.
    """
    sharp = image
    for axis in (0, 1):
        sharp = convolve1d(sharp, _SHARPEN, axis=axis, mode="nearest")
    if bad.any():
        near = maximum_filter1d(maximum_filter1d(bad.astype(np.uint8), 5, axis=0), 5, axis=1) > 0
        sharp[near] = image[near]
    return sharp


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
