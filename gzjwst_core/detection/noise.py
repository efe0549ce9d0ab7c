"""Noise of a mosaic: calibrated error maps, and what drizzle's correlations do to aperture errors.

Arrays in, numbers out. The law `err(N) = sigma1 x alpha x N^beta` for N pixels is measured with apertures on empty
sky, for the mosaic as a whole and for each bin of its depth; white noise has alpha = 1 and beta = 1/2. Where the
apertures lie is decided in `empty`, how deep a place is in `depth`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sep
from numpy.typing import NDArray

from gzjwst_core.mosaics.units import AB_ZERO_POINT_UJY

__all__ = [
    "WHITE",
    "WHITE_EVERYWHERE",
    "Apertures",
    "DepthBin",
    "NoiseLaw",
    "NoiseLaws",
    "empty_apertures",
    "fit_noise_law",
    "fit_noise_laws",
    "half_width",
    "mad_sigma",
    "snr_scatter",
]

_MAD_TO_SIGMA = 1.4826
_ONE_SIGMA = (15.865525393, 84.134474607)
_LEAST_APERTURES, _LEAST_RADII, _LEAST_OF_BIN = 25, 3, 2500
_BIN_MAG, _BINS_EACH_SIDE = 0.25, 4
_DEPTH_SIGMA, _DEPTH_RADIUS_ARCSEC = 5.0, 0.15


@dataclass(frozen=True, slots=True)
class NoiseLaw:
    """`err(N) = sigma1 x alpha x N^beta`: noise of the sum of N pixels whose noise is sigma1 each.

    Attributes
    ----------
    alpha, beta
        One number, or one for each source.
    """

    alpha: float | NDArray[np.float64] = 1.0
    beta: float | NDArray[np.float64] = 0.5

    def factor(self, pixels: NDArray[Any] | float) -> NDArray[np.float64]:
        """Return the true noise of a sum over so many pixels, in units of the root of the sum of their variances."""
        return np.asarray(self.alpha * np.maximum(pixels, 1.0) ** (np.asarray(self.beta) - 0.5), dtype=np.float64)

    def depth_ab(self, sigma1_ujy: float, pixel_scale_arcsec: float) -> float:
        """Return the AB magnitude of 5 sigma in an aperture of 0.3 arcsec diameter."""
        return float(self.depths_ab(np.array(sigma1_ujy, dtype=float), pixel_scale_arcsec))

    def depths_ab(self, sigma1_ujy: NDArray[Any], pixel_scale_arcsec: float) -> NDArray[np.float64]:
        """Do the same for many places; NaN where there is no noise."""
        pixels = math.pi * (_DEPTH_RADIUS_ARCSEC / pixel_scale_arcsec) ** 2
        limit = _DEPTH_SIGMA * np.asarray(sigma1_ujy, dtype=float) * math.sqrt(pixels) * self.factor(pixels)
        depth: NDArray[np.float64] = AB_ZERO_POINT_UJY - 2.5 * np.log10(np.where(limit > 0, limit, np.nan))
        return depth


WHITE = NoiseLaw()
"""What is assumed where nothing can be measured."""


@dataclass(frozen=True, slots=True)
class DepthBin:
    """The law of the places of a mosaic that are about equally deep."""

    law: NoiseLaw
    apertures: int
    """Empty apertures it was fitted to, all radii together."""
    origin: Literal["own", "neighbour", "whole"]
    """Fitted to this bin's own apertures; the nearest bin's that was; the mosaic's."""


@dataclass(frozen=True)
class NoiseLaws:
    """The noise law of a mosaic, and of each bin of its depth.

    Attributes
    ----------
    whole
        Of all empty apertures together.
    limits
        Sigma of a pixel (uJy) at the limits between bins, ascending.
    bins
        One more than limits, deepest first; or none, and the whole's law holds everywhere.
    """

    whole: NoiseLaw = WHITE
    limits: tuple[float, ...] = ()
    bins: tuple[DepthBin, ...] = ()

    def number(self, sigma1: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of the bin of each place; what is not known is in the first."""
        found: NDArray[np.int64] = np.searchsorted(self.limits, np.nan_to_num(sigma1, nan=0.0), side="right")
        return found

    def at(self, sigma1: NDArray[Any]) -> NoiseLaw:
        """Return the law at places whose background noise is sigma1 (uJy per pixel): a value for each."""
        if not self.bins:
            return self.whole
        number = self.number(sigma1)
        alpha, beta = (np.array([getattr(b.law, name) for b in self.bins])[number] for name in ("alpha", "beta"))
        known = np.isfinite(sigma1)
        return NoiseLaw(np.where(known, alpha, self.whole.alpha), np.where(known, beta, self.whole.beta))

    def factor(self, pixels: NDArray[Any] | float, sigma1: NDArray[Any]) -> NDArray[np.float64]:
        """Return the true noise of sums over so many pixels, in units of the root of the sum of their variances."""
        return self.at(sigma1).factor(pixels)


WHITE_EVERYWHERE = NoiseLaws()
"""As `WHITE`."""


def mad_sigma(values: NDArray[Any]) -> float:
    """Return 1.4826 x the median absolute deviation: sigma of a normal distribution; NaN for nothing."""
    if values.size == 0:
        return math.nan
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def half_width(values: NDArray[Any]) -> float:
    """Return half the width of the middle 68.27 %: sigma of a normal distribution.

    Unlike the median deviation it sees the light of sources that were not detected, which is noise to those that were;
    unlike the standard deviation it does not hang on a few of them. NaN for nothing.
    """
    if values.size == 0:
        return math.nan
    low, high = np.percentile(values, _ONE_SIGMA)
    return float(high - low) / 2


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


@dataclass(frozen=True, slots=True)
class Apertures:
    """Empty circles of one radius."""

    ratio: NDArray[np.float32]
    """Their sums in units of what uncorrelated noise would give."""
    y: NDArray[np.float32]
    x: NDArray[np.float32]
    """Centres, 0-based pixels of the mosaic."""


def empty_apertures(
    image: NDArray[np.float32], err: NDArray[np.float32], blocked: NDArray[np.bool_], radii_px: Sequence[float]
) -> list[Apertures]:
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
    list of Apertures
        For each radius `sum(image) / sqrt(sum(err^2))` of the circles that are free: a lattice of them, one and a half
        radii apart at least; centres in pixels of this window.
    """
    taken = blocked.astype(np.float32)
    safe = np.where(blocked, np.float32(0), err)
    samples = []
    for radius in radii_px:
        step = max(math.ceil(1.5 * radius), 3)
        first = math.ceil(radius) + 1
        lattice = (np.arange(first, side - first, step) for side in image.shape)  # empty on a strip of a tile
        y, x = (v.ravel() for v in np.meshgrid(*lattice, indexing="ij"))
        on_sources, _, _ = sep.sum_circle(taken, x.astype(float), y.astype(float), radius + 0.7, subpix=1)
        x, y = (v[on_sources == 0].astype(np.float64) for v in (x, y))
        flux, naive, _ = sep.sum_circle(image, x, y, radius, err=safe, subpix=5)
        ratio = np.divide(flux, naive, out=np.zeros_like(flux), where=naive > 0)
        samples.append(Apertures(*(v.astype(np.float32) for v in (ratio, y, x))))
    return samples


def fit_noise_law(samples: Sequence[NDArray[Any]], radii_px: Sequence[float]) -> NoiseLaw:
    """Fit the law to the scatter of empty apertures.

    Parameters
    ----------
    samples
        Ratios of `empty_apertures`, all tiles of a mosaic together, one array a radius.
    radii_px
        Radii, pixels.

    Returns
    -------
    NoiseLaw
        `log(scatter) = log(alpha) + (beta - 1/2) log(N)` by least squares over the radii with at least 25 apertures,
        weighted by their root number; beta kept in 1/2..1. One radius gives alpha alone, none white noise.
    """
    used = [(s, r) for s, r in zip(samples, radii_px, strict=True) if s.size >= _LEAST_APERTURES and half_width(s) > 0]
    if not used:
        return WHITE
    pixels = np.log([math.pi * r**2 for _, r in used])
    scatter = np.log([half_width(s) for s, _ in used])
    weights = np.sqrt([s.size for s, _ in used])
    if len(used) == 1:
        return NoiseLaw(alpha=float(np.exp(scatter[0])))
    slope, _ = np.polyfit(pixels, scatter, 1, w=weights)
    slope = float(np.clip(slope, 0.0, 0.5))
    level = float(np.average(scatter - slope * pixels, weights=weights**2))
    return NoiseLaw(alpha=math.exp(level), beta=0.5 + slope)


def fit_noise_laws(
    samples: Sequence[NDArray[Any]], sigmas: Sequence[NDArray[Any]], radii_px: Sequence[float], middle: float
) -> NoiseLaws:
    """Fit the law of a mosaic and that of each bin of its depth.

    Parameters
    ----------
    samples
        As for `fit_noise_law`.
    sigmas
        Background noise of a pixel where each aperture lies, uJy; one array a radius.
    radii_px
        Radii, pixels.
    middle
        The mosaic's median noise of a pixel, uJy: what the bins are centred on.

    Returns
    -------
    NoiseLaws
        Nine bins of 0.25 mag in sigma, the outer ones open. A bin with fewer than 2500 apertures in all, or with 25 at
        fewer than three radii, takes the law of the nearest bin that has more, the deeper one of two.
    """
    whole = fit_noise_law(samples, radii_px)
    edges = (np.arange(2 * _BINS_EACH_SIDE) - _BINS_EACH_SIDE + 0.5) * _BIN_MAG
    limits = tuple(float(middle * 10 ** (0.4 * edge)) for edge in edges)
    place = [NoiseLaws(whole, limits).number(sigma) for sigma in sigmas]
    fitted = []
    for number in range(len(limits) + 1):
        here = [s[at == number] for s, at in zip(samples, place, strict=True)]
        fitted.append((sum(s.size for s in here), fit_noise_law(here, radii_px) if _enough(here) else None))
    return NoiseLaws(whole, limits, tuple(_bin(number, fitted, whole) for number in range(len(fitted))))


def _enough(samples: Sequence[NDArray[Any]]) -> bool:
    radii = sum(s.size >= _LEAST_APERTURES for s in samples)
    return radii >= min(_LEAST_RADII, len(samples)) and sum(s.size for s in samples) >= _LEAST_OF_BIN


def _bin(number: int, fitted: Sequence[tuple[int, NoiseLaw | None]], whole: NoiseLaw) -> DepthBin:
    apertures, own = fitted[number]
    if own is not None:
        return DepthBin(own, apertures, "own")
    others = [(abs(at - number), at, law) for at, (_, law) in enumerate(fitted) if law is not None]
    if not others:
        return DepthBin(whole, apertures, "whole")
    return DepthBin(min(others, key=lambda other: other[:2])[2], apertures, "neighbour")
