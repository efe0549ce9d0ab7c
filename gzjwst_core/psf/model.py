"""The PSF that a formula gives: an annular aperture's diffraction, averaged over the filter and the pixel.

It is what is used where the profile states no PSF and the field has too few stars. Rings and wings are those of a round
mirror: no hexagons, no spikes, no wavefront error. No data files.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1

from gzjwst_core.bands import wavelength_um
from gzjwst_core.psf.stamp import Psf, unit_sum

__all__ = ["annular_airy", "model_psf"]

_MIRROR_M, _OBSCURED = 6.5, 0.30
_RADIUS_ARCSEC = 1.5
_ARCSEC = np.pi / 180 / 3600
_FINE, _COLOURS, _TABLE = 5, 5, 20_001
_RELATIVE_WIDTH = {"W": 0.22, "M": 0.09, "N": 0.01, "2": 0.45}


def annular_airy(radius_arcsec: NDArray[np.float64], microns: float) -> NDArray[np.float64]:
    """Return the diffraction pattern of a round mirror with a round obstruction, relative to its peak.

    Notes
    -----
    `I(v) = [2 J1(v)/v - e^2 2 J1(e v)/(e v)]^2 / (1 - e^2)^2` with `v = pi D theta / lambda` (Born & Wolf, Principles
    of Optics, sect. 8.6.2). D = 6.5 m. e = 0.30 stands for everything that takes light out of the core: it lies between
    the secondary mirror's own 0.11 and the 0.48 that leaves JWST's collecting area of 25.4 m2 of a full circle.
    """
    v = np.maximum(np.pi * _MIRROR_M * radius_arcsec * _ARCSEC / (microns * 1e-6), 1e-9)
    inner = _OBSCURED * v
    amplitude = 2 * j1(v) / v - _OBSCURED**2 * 2 * j1(inner) / inner
    brightness: NDArray[np.float64] = (amplitude / (1 - _OBSCURED**2)) ** 2
    return brightness


def model_psf(band: str, scale_arcsec: float) -> Psf:
    """Return the PSF of a band from its name alone.

    Parameters
    ----------
    band
        NIRCam filter.
    scale_arcsec
        Side of a pixel.

    Returns
    -------
    Psf
        Out to 1.5 arcsec, integrated over pixels.

    Notes
    -----
    The wavelength is the number in the filter's name; the mean is taken over five wavelengths across a filter of 22 %
    (W), 9 % (M), 1 % (N) or 45 % (W2) width, and over 5 x 5 points of each pixel.
    """
    half = int(np.ceil(_RADIUS_ARCSEC / scale_arcsec))
    side = 2 * half + 1
    steps = ((np.arange(side * _FINE) + 0.5) / _FINE - half - 0.5) * scale_arcsec
    radius = np.hypot(steps[:, None], steps[None, :])
    spread = _RELATIVE_WIDTH[band[-1]] * (np.arange(_COLOURS) - _COLOURS // 2) / _COLOURS
    colours = [wavelength_um(band) * (1 + part) for part in spread]
    along = np.linspace(0, float(radius.max()), _TABLE)
    # the peak of a point source's image goes with 1 / lambda^2
    profile = np.sum([annular_airy(along, microns) / microns**2 for microns in colours], axis=0)
    fine = np.interp(radius, along, profile)
    pixels = fine.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
    return Psf(unit_sum(pixels), scale_arcsec, "model")
