"""Bands brought to one PSF before they are coloured: kernels from what is known of NIRCam's PSFs, and the convolution.

Cutouts hold no PSF and need none: a picture asks for the width of a star in each band, not for photometry. Convolution
that colours of the catalog may rest on is `psf.matching`. Arrays in, arrays out.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from gzjwst_core.bands import wavelength_um
from gzjwst_core.images.layers import Layer
from gzjwst_core.options import ImageOptions
from gzjwst_core.psf.matching import convolved
from gzjwst_core.psf.model import model_psf
from gzjwst_core.psf.stamp import Psf, resampled, unit_sum

Kernel = NDArray[np.float32]
Seen = tuple[str, float, float]
"""Filter, side of its pixels, width of a star in them (arcsec)."""

__all__ = ["band_psf", "broadest", "fwhm_arcsec", "kernel", "matched", "seen_width"]

_REGULARIZATION = 1e-4
_FINER = 8
_ARCSEC_PER_UM, _PIXEL_WIDENS = 0.033, 0.75


def fwhm_arcsec(psf: Psf) -> float:
    """Full width at half maximum along the middle row and column (mean of both), by a cubic spline."""
    half = psf.pixels.shape[0] // 2
    steps = np.arange(half * _FINER) / _FINER
    middle = np.full_like(steps, half)
    image = psf.pixels.astype(np.float64)
    arms = [
        ndimage.map_coordinates(image, place, order=3)
        for away in (half + steps, half - steps)
        for place in ([middle, away], [away, middle])
    ]
    profile = np.mean(arms, axis=0)
    below = int(np.argmax(profile < 0.5 * profile[0]))
    part = (profile[below - 1] - 0.5 * profile[0]) / (profile[below - 1] - profile[below])
    return float(2 * (below - 1 + part) / _FINER * psf.scale_arcsec)


def seen_width(band: str, scale_arcsec: float, options: ImageOptions) -> float:
    """Return the width of a star in a mosaic, arcsec: what the profile states, else NIRCam's.

    Notes
    -----
    NIRCam's widths are 0.033 arcsec for each micrometre (JWST user documentation, NIRCam point spread functions; within
    5 % from 1.1 to 4.8 micrometre); a mosaic's pixel widens them by 3/4 of itself, in quadrature.
    """
    optics = _ARCSEC_PER_UM * wavelength_um(band)
    return options.psf_fwhm.get(band) or math.hypot(optics, _PIXEL_WIDENS * scale_arcsec)


@cache
def band_psf(band: str, scale_arcsec: float, fwhm: float) -> Psf:
    """Return the PSF of a band on pixels of a mosaic: the shape of `psf.model.model_psf`, stretched to a width.

    Parameters
    ----------
    band
        NIRCam filter.
    scale_arcsec
        Side of a pixel.
    fwhm
        Width of a star, arcsec.
    """
    psf = model_psf(band, scale_arcsec)
    ratio = fwhm / fwhm_arcsec(psf)
    return resampled(replace(psf, scale_arcsec=scale_arcsec * ratio), scale_arcsec)


def broadest(bands: Iterable[str], options: ImageOptions) -> str:
    """Return the band with the widest PSF: the survey's choice, whatever one field holds."""
    return max(sorted(set(bands)), key=lambda band: seen_width(band, 0.0, options))


@cache
def kernel(source: Seen, target: Seen) -> Kernel:
    """Return the kernel that gives one band another's PSF.

    Parameters
    ----------
    source, target
        NIRCam filter, side of its pixels and width of a star in them, arcsec.

    Returns
    -------
    ndarray of float32
        (n, n), n odd, on the source's pixels, sum 1.

    Notes
    -----
    Ratio of Fourier transforms with a Wiener denominator that punishes high frequencies by a Laplacian (Boucaud et al.
    2016, A&A 596, A63): S* T / (|S|^2 + r |L|^2). Between these PSFs it is good to 0.5 % of the peak.
    """
    narrow = band_psf(*source).pixels
    wide = resampled(band_psf(*target), source[1]).pixels
    side = 2 * max(narrow.shape[0], wide.shape[0]) + 1
    s, t = (fft.rfft2(_cornered(image, side)) for image in (narrow, wide))
    laplacian = np.zeros((side, side))
    laplacian[[0, 0, 0, 1, -1], [0, 1, -1, 0, 0]] = 4, -1, -1, -1, -1
    ratio = t * s.conj() / (np.abs(s) ** 2 + _REGULARIZATION * np.abs(fft.rfft2(laplacian)) ** 2)
    whole = fft.fftshift(fft.irfft2(ratio, (side, side)))
    cut = (side - wide.shape[0]) // 2
    return unit_sum(whole[cut : side - cut, cut : side - cut])


def _cornered(image: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Pad a centred stamp and put its middle pixel into the corner, where Fourier transforms have their origin."""
    grow = side // 2 - image.shape[0] // 2
    return np.asarray(fft.ifftshift(np.pad(image.astype(np.float64), grow)))


def matched(layer: Layer, target: str, scale_arcsec: float, options: ImageOptions) -> Layer:
    """Bring one band to the PSF of another.

    Parameters
    ----------
    layer
        The band.
    target
        The band with the PSF that is wanted; itself stays as it is.
    scale_arcsec
        Side of that band's pixels.
    options
        For widths that the profile states.

    Returns
    -------
    Layer
        On the same grid. Each pixel is the mean of what has data under the kernel: neither gaps nor filled cores bleed.
    """
    if layer.band == target:
        return layer
    unknown = ~layer.valid | layer.core
    to_target = kernel(_seen(layer.band, layer.at.scale_arcsec, options), _seen(target, scale_arcsec, options))
    signal, lost = convolved(layer.signal, unknown, to_target)
    return replace(layer, signal=np.where(lost, layer.signal, signal))


def _seen(band: str, scale_arcsec: float, options: ImageOptions) -> Seen:
    scale = round(scale_arcsec, 4)  # scales that differ by the WCS's rounding share a kernel
    return band, scale, seen_width(band, scale, options)
