"""Noise as drizzle leaves it: how correlated it is, how deep it must be, and its parts.

Arrays in, arrays out. The correlation is that of drizzle with square drops as large as the output pixel; the level
follows from the depth a band must reach in an aperture, so that depth and correlation agree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from gzjwst_core.sky.bands import BandOptics

__all__ = ["DRIZZLE_TAPS", "NoiseParts", "aperture_factor", "correlated_noise", "full_depth_sigma", "noise_parts"]

Image = NDArray[np.float32]

DRIZZLE_TAPS = np.array([0.1213, 1.0, 0.1213]) / np.hypot(1.0, np.hypot(0.1213, 0.1213))
"""Weights along one axis, of unit squared sum. Noise summed over a large area is 1.5 times what uncorrelated pixels
of the same rms give: R of Fruchter & Hook (2002, sect. 7) for drops as large as the output pixel; 1.5^0.5 per axis."""

_POISSON_SHARE = 0.8
_FLAT_ERROR = 0.002


@dataclass(frozen=True)
class NoiseParts:
    """Variances (MJy/sr)^2 and what follows from them, each of shape (ny, nx), NaN where there is no data.

    Attributes
    ----------
    poisson
        Photon noise of sky and sources.
    rnoise
        Read noise.
    flat
        Error of the flat field.
    err
        Sigma per pixel, MJy/sr: the root of the sum of all three.
    wht
        Inverse read-noise variance ("ivm" weight), 0 where there is no data.
    """

    poisson: Image
    rnoise: Image
    flat: Image
    err: Image
    wht: Image


def correlated_noise(shape: tuple[int, int], rng: Generator) -> Image:
    """Draw noise of zero mean and unit rms with drizzle's correlation, shape (ny, nx)."""
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    taps = DRIZZLE_TAPS.astype(np.float32)
    smooth = convolve1d(convolve1d(white, taps, axis=0, mode="constant"), taps, axis=1, mode="constant")
    return np.ascontiguousarray(smooth[1:-1, 1:-1], dtype=np.float32)


def aperture_factor(radius_px: float) -> float:
    """Return the rms of the sum over a circular aperture, for correlated noise of unit rms per pixel."""
    fine, half = 10, int(np.ceil(radius_px)) + 2
    points = (np.arange((2 * half + 1) * fine) + 0.5) / fine - half - 0.5
    disc = (points[:, None] ** 2 + points[None, :] ** 2 <= radius_px**2).astype(float)
    aperture = disc.reshape(2 * half + 1, fine, 2 * half + 1, fine).mean(axis=(1, 3))
    spread = convolve1d(convolve1d(aperture, DRIZZLE_TAPS, axis=0, mode="constant"), DRIZZLE_TAPS, axis=1)
    return float(np.sqrt(np.sum(spread**2)))


def full_depth_sigma(band: BandOptics, depth_offset_mag: float = 0.0) -> float:
    """Return the background's rms per pixel (MJy/sr) that gives a band its 5-sigma depth in a 0.3 arcsec aperture."""
    limit_ujy = 10 ** (0.4 * (23.9 - band.depth_ab - depth_offset_mag))
    sigma_ujy = limit_ujy / 5 / aperture_factor(0.15 / band.pixel_scale_arcsec)
    return sigma_ujy / band.ujy_per_mjysr


def noise_parts(light: Image, exposures: Image, sigma_mjysr: float, sky_mjysr: float) -> NoiseParts:
    """Split the noise of an image into its parts.

    Parameters
    ----------
    light
        Noise-free light of sources, MJy/sr, shape (ny, nx).
    exposures
        Exposure depth as a fraction of the full one, shape (ny, nx); 0 where there is no data.
    sigma_mjysr
        Background rms at full depth, MJy/sr.
    sky_mjysr
        Sky whose photons make most of it, MJy/sr; a source as bright as the sky doubles the photon noise.

    Returns
    -------
    NoiseParts
        The variances, their sum's root and the weight.
    """
    with np.errstate(divide="ignore"):
        background = np.float32(sigma_mjysr**2) / exposures
    background[exposures <= 0] = np.nan
    poisson = np.float32(_POISSON_SHARE) * background * (1 + np.maximum(light, 0) / np.float32(sky_mjysr))
    rnoise = np.float32(1 - _POISSON_SHARE) * background
    flat = (np.float32(_FLAT_ERROR) * light) ** 2 + 0 * background
    planes = (poisson, rnoise, flat, np.sqrt(poisson + rnoise + flat), np.nan_to_num(1 / rnoise, nan=0.0))
    return NoiseParts(*(np.asarray(plane, dtype=np.float32) for plane in planes))
