"""The synthetic point-spread function, and nothing else: a surface-brightness law and unit-sum stamps of it.

It is smooth and sums to one: a Gaussian core, Moffat wings, and diffraction spikes as JWST's mirror and struts draw
them: three big pairs 60 deg apart and one small pair across. Widths grow with wavelength. It is no model of the real
PSF (no rings, no spider speckles), only one with the same difficulties: colour-dependent width, wings, spikes.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.sky.bands import BandOptics

__all__ = ["psf_brightness", "psf_stamp"]

CORE, WINGS, SPIKES = 0.80, 0.16, 0.04
"""Parts of the light in core, wings and spikes."""

_BIG_AXES_DEG, _SMALL_AXIS_DEG, _SMALL_SHARE = (30.0, 90.0, 150.0), 0.0, 0.06
_SPIKE_LENGTH_ARCSEC, _SPIKE_POWER = 0.30, 0.85
_WING_BETA = 1.9
_TAPER_FROM = 0.75


def psf_brightness(u: NDArray[np.float32], v: NDArray[np.float32], band: BandOptics) -> NDArray[np.float32]:
    """Surface brightness of a point source of (nearly) unit flux.

    Parameters
    ----------
    u, v
        Offsets from the source in the focal plane, arcsec; shapes that broadcast.
    band
        The band.

    Returns
    -------
    ndarray of float32
        Brightness per square arcsec; its integral is one only up to truncation, so stamps are normalised.
    """
    sigma = band.psf_fwhm_arcsec / 2.3548
    alpha = 0.05 + 1.1 * band.psf_fwhm_arcsec
    r2 = u * u + v * v
    light = CORE / (2 * np.pi * sigma**2) * np.exp(-r2 / (2 * sigma**2))
    light += WINGS * (_WING_BETA - 1) / (np.pi * alpha**2) * (1 + r2 / alpha**2) ** -_WING_BETA
    for axis in _BIG_AXES_DEG:
        light += (1 - _SMALL_SHARE) / len(_BIG_AXES_DEG) * _spike(u, v, axis, band.psf_fwhm_arcsec)
    light += _SMALL_SHARE * _spike(u, v, _SMALL_AXIS_DEG, band.psf_fwhm_arcsec)
    return np.asarray(light, dtype=np.float32)


def psf_stamp(
    band: BandOptics,
    *,
    scale_arcsec: float,
    turn_deg: float = 0.0,
    radius_arcsec: float,
    centre: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float32]:
    """Sample the PSF on a pixel grid.

    Parameters
    ----------
    band
        The band.
    scale_arcsec
        Pixel side, arcsec; at most half the core's width, or the samples miss light.
    turn_deg
        Angle from the grid to the focal plane (position angle of its +y minus the grid's), deg.
    radius_arcsec
        The stamp ends at this radius, with a cosine taper over its last quarter.
    centre
        Offset (x, y) of the source from the stamp's middle pixel, pixels.

    Returns
    -------
    ndarray of float32
        Square, of odd side, axis order (y, x); sums to one.
    """
    half = int(np.ceil(radius_arcsec / scale_arcsec))
    steps = np.arange(-half, half + 1, dtype=np.float32) * np.float32(scale_arcsec)
    x = (steps - np.float32(centre[0] * scale_arcsec))[None, :]
    y = (steps - np.float32(centre[1] * scale_arcsec))[:, None]
    cos, sin = np.float32(np.cos(np.deg2rad(turn_deg))), np.float32(np.sin(np.deg2rad(turn_deg)))
    stamp = psf_brightness(cos * x + sin * y, cos * y - sin * x, band) * _taper(np.hypot(x, y) / radius_arcsec)
    return np.asarray(stamp / stamp.sum(dtype=np.float64), dtype=np.float32)


def _spike(u: NDArray[np.float32], v: NDArray[np.float32], axis_deg: float, fwhm_arcsec: float) -> NDArray[np.float32]:
    """Draw a pair of spikes of unit flux along one axis: a power law along it, a Gaussian across."""
    cos, sin = np.float32(np.cos(np.deg2rad(axis_deg))), np.float32(np.sin(np.deg2rad(axis_deg)))
    along, across = cos * u + sin * v, cos * v - sin * u
    width = 0.02 + 0.35 * fwhm_arcsec
    profile = (1 + (along / _SPIKE_LENGTH_ARCSEC) ** 2) ** -_SPIKE_POWER
    # the integral of (1 + t^2)^-p over all t is sqrt(pi) gamma(p - 1/2) / gamma(p) = 4.057 for p = 0.85
    peak = SPIKES / (4.057 * _SPIKE_LENGTH_ARCSEC * np.sqrt(2 * np.pi) * width)
    return np.asarray(peak * profile * np.exp(-(across**2) / (2 * width**2)), dtype=np.float32)


def _taper(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """One inside, zero from the stamp's edge on, a cosine between."""
    phase = np.clip((radius - _TAPER_FROM) / (1 - _TAPER_FROM), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * phase), dtype=np.float32)
