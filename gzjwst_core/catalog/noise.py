"""Noise of a mosaic: calibrated error maps, and what drizzle's correlations do to aperture errors.

Arrays in, numbers out. The law `err(N) = sigma1 x alpha x N^beta` for N pixels is measured with apertures on empty
sky; white noise has alpha = 1 and beta = 1/2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from gzjwst_core.mosaics.units import AB_ZERO_POINT_UJY

__all__ = ["WHITE", "NoiseLaw", "empty_apertures", "fit_noise_law", "mad_sigma", "snr_scatter"]

_MAD_TO_SIGMA = 1.4826
_LEAST_APERTURES = 25
_DEPTH_SIGMA, _DEPTH_RADIUS_ARCSEC = 5.0, 0.15


@dataclass(frozen=True, slots=True)
class NoiseLaw:
    """`err(N) = sigma1 x alpha x N^beta`: noise of the sum of N pixels whose noise is sigma1 each."""

    alpha: float = 1.0
    beta: float = 0.5

    def factor(self, pixels: NDArray[Any] | float) -> NDArray[np.float64]:
        """Return the true noise of a sum over so many pixels, in units of the root of the sum of their variances."""
        return np.asarray(self.alpha * np.maximum(pixels, 1.0) ** (self.beta - 0.5), dtype=np.float64)

    def depth_ab(self, sigma1_ujy: float, pixel_scale_arcsec: float) -> float:
        """Return the AB magnitude of 5 sigma in an aperture of 0.3 arcsec diameter."""
        pixels = math.pi * (_DEPTH_RADIUS_ARCSEC / pixel_scale_arcsec) ** 2
        limit = _DEPTH_SIGMA * sigma1_ujy * math.sqrt(pixels) * float(self.factor(pixels))
        return AB_ZERO_POINT_UJY - 2.5 * math.log10(limit) if limit > 0 else math.nan


WHITE = NoiseLaw()
"""What is assumed where nothing can be measured."""


def mad_sigma(values: NDArray[Any]) -> float:
    """Return 1.4826 x the median absolute deviation: sigma of a normal distribution; NaN for nothing."""
    if values.size == 0:
        return math.nan
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def snr_scatter(
    image: NDArray[np.float32], err: NDArray[np.float32], good: NDArray[np.bool_], side: int
) -> NDArray[np.float64]:
    """Measure the scatter of image / err in each cell of a window: the factor by which an error map is too small.

    Parameters
    ----------
    image, err
        (ny, nx), same unit; a constant or slowly changing background does no harm.
    good
        Pixels with data and without sources.
    side
        Side of a cell, pixels.

    Returns
    -------
    ndarray
        (rows, columns) of cells, NaN where less than a fifth of a cell is good.
    """
    snr = np.divide(image, err, out=np.zeros_like(image), where=good)
    shape = -(-image.shape[0] // side), -(-image.shape[1] // side)
    scatter = np.full(shape, np.nan)
    for row, column in np.ndindex(shape):
        cell = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        values = snr[cell][good[cell]]
        if values.size >= 0.2 * side * side:
            scatter[row, column] = mad_sigma(values)
    return scatter


def empty_apertures(
    image: NDArray[np.float32], err: NDArray[np.float32], blocked: NDArray[np.bool_], radii_px: Sequence[float]
) -> list[NDArray[np.float64]]:
    """Measure circles on empty sky, in units of what uncorrelated noise would give.

    Parameters
    ----------
    image, err
        (ny, nx), background subtracted, calibrated.
    blocked
        Pixels without data or on sources; a circle that holds one is not used.
    radii_px
        Radii, pixels.

    Returns
    -------
    list of ndarray
        For each radius `sum(image) / sqrt(sum(err^2))` of the circles that are free: a lattice of them, two radii
        apart at least.
    """
    taken = blocked.astype(np.float32)
    safe = np.where(blocked, np.float32(0), err)
    samples = []
    for radius in radii_px:
        step = max(math.ceil(2.2 * radius), 3)
        first = math.ceil(radius) + 1
        lattice = (np.arange(first, side - first, step) for side in image.shape)  # empty on a strip of a tile
        y, x = (v.ravel() for v in np.meshgrid(*lattice, indexing="ij"))
        x, y = x.astype(np.float64), y.astype(np.float64)
        on_sources, _, _ = sep.sum_circle(taken, x, y, radius + 0.7, subpix=1)
        free = on_sources == 0
        flux, naive, _ = sep.sum_circle(image, x[free], y[free], radius, err=safe, subpix=5)
        samples.append(np.divide(flux, naive, out=np.zeros_like(flux), where=naive > 0))
    return samples


def fit_noise_law(samples: Sequence[NDArray[np.float64]], radii_px: Sequence[float]) -> NoiseLaw:
    """Fit the law to the scatter of empty apertures.

    Parameters
    ----------
    samples
        From `empty_apertures`, all tiles of a mosaic together, one array a radius.
    radii_px
        Radii, pixels.

    Returns
    -------
    NoiseLaw
        `log(scatter) = log(alpha) + (beta - 1/2) log(N)` by least squares over the radii with at least 25 apertures,
        weighted by their root number; beta kept in 1/2..1. One radius gives alpha alone, none white noise.
    """
    used = [(s, r) for s, r in zip(samples, radii_px, strict=True) if s.size >= _LEAST_APERTURES and mad_sigma(s) > 0]
    if not used:
        return WHITE
    pixels = np.log([math.pi * r**2 for _, r in used])
    scatter = np.log([mad_sigma(s) for s, _ in used])
    weights = np.sqrt([s.size for s, _ in used])
    if len(used) == 1:
        return NoiseLaw(alpha=float(np.exp(scatter[0])))
    slope, _ = np.polyfit(pixels, scatter, 1, w=weights)
    slope = float(np.clip(slope, 0.0, 0.5))
    level = float(np.average(scatter - slope * pixels, weights=weights))
    return NoiseLaw(alpha=math.exp(level), beta=0.5 + slope)
