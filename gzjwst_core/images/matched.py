"""Bands convolved to one width of star before they are coloured, so that a star's core has one colour.

Cutouts hold no PSF and need none: a picture asks for the width of a star in each band. Convolution that colours of the
catalog may rest on is `psf.matching`. Arrays in, arrays out.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from gzjwst_core.bands import wavelength_um
from gzjwst_core.images.layers import Layer
from gzjwst_core.options import ImageOptions

__all__ = ["broadest", "matched", "seen_width"]

_ARCSEC_PER_UM, _PIXEL_WIDENS = 0.033, 0.75
_FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))


def seen_width(band: str, scale_arcsec: float, options: ImageOptions) -> float:
    """Return the full width at half maximum of a star in a mosaic, arcsec.

    Parameters
    ----------
    band
        NIRCam filter.
    scale_arcsec
        Side of the mosaic's pixels.
    options
        `psf_fwhm`, where the profile states one.

    Notes
    -----
    NIRCam's widths are 0.033 arcsec for each micrometre (JWST user documentation, NIRCam point spread functions; within
    5 % from 1.1 to 4.8 micrometre); a pixel widens them by 3/4 of itself, in quadrature.
    """
    optics = options.psf_fwhm.get(band) or _ARCSEC_PER_UM * wavelength_um(band)
    return math.hypot(optics, _PIXEL_WIDENS * scale_arcsec)


def broadest(bands: Iterable[str], options: ImageOptions) -> str:
    """Return the band with the widest stars: the survey's choice, whatever one field holds."""
    return max(sorted(set(bands)), key=lambda band: seen_width(band, 0.0, options))


def matched(layer: Layer, target: str, scale_arcsec: float, options: ImageOptions) -> Layer:
    """Bring one band to the width of another.

    Parameters
    ----------
    layer
        The band.
    target
        The band whose width is wanted; itself stays as it is.
    scale_arcsec
        Side of that band's pixels.
    options
        For widths that the profile states.

    Returns
    -------
    Layer
        On the same grid. Each pixel is the mean of what has data under the kernel: neither gaps nor filled cores bleed.

    Notes
    -----
    A Gaussian, whose variance is the difference of both. A ratio of Fourier transforms of `psf.model`'s PSFs matches
    real cores better where their widths are known to a per cent, and much worse where they are not: it has negative
    lobes, raises the noise of neighbouring bands, and moves light into rings that a drizzled mosaic does not show.
    """
    scale = layer.at.scale_arcsec
    wider = seen_width(target, scale_arcsec, options) ** 2 - seen_width(layer.band, scale, options) ** 2
    if layer.band == target or wider <= 0:
        return layer
    sigma_px = math.sqrt(wider) / _FWHM_PER_SIGMA / scale
    unknown = ~layer.valid | layer.core
    known = (~unknown).astype(np.float32)
    total, share = (ndimage.gaussian_filter(image, sigma_px) for image in (layer.signal * known, known))
    signal = np.divide(total, share, out=layer.signal.copy(), where=~unknown)
    return replace(layer, signal=signal)
