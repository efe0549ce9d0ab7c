"""The sky level around a target: what colour takes away from each band.

Measured while cutting, from a window wider than the field of view: inside it, a galaxy may leave little sky. Arrays
in, numbers out.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["LocalSky", "grown", "local_sky", "sky_margin_px", "sky_step"]

_CLIP = 2.5
_ROUNDS = 5
_FEWEST = 64
_SAMPLE_SIDE = 128
_QUANTILES = (0.15865525, 0.5, 0.84134475)  # median and 1 sigma to each side


class LocalSky(NamedTuple):
    """Sky of one window, in the unit of its pixels; NaN where nothing could be measured."""

    level: float
    rms: float


def sky_margin_px(fov_arcsec: float, scale_arcsec: float) -> int:
    """How far beyond the field of view the sky is looked at: 1.5 arcsec or a fifth of the field, whichever is more."""
    return math.ceil(max(1.5, 0.2 * fov_arcsec) / scale_arcsec)


def sky_step(shape: tuple[int, int]) -> int:
    """Only every so many rows and columns are looked at: drizzled neighbours tell the same, and 16,000 pixels do."""
    return max(1, min(shape) // _SAMPLE_SIDE)


def grown(sources: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Grow a mask by a square of `2 radius + 1` pixels: wings of sources are not sky."""
    if radius_px < 1 or not sources.any():
        return sources
    size = 2 * radius_px + 1
    wide: NDArray[np.bool_] = ndimage.maximum_filter(sources, size=size, mode="constant", cval=False)
    return wide


def local_sky(pixels: NDArray[np.float32], sources: NDArray[np.bool_]) -> LocalSky:
    """Measure the sky: the median of pixels without a source, clipped at 2.5 sigma until nothing changes.

    Parameters
    ----------
    pixels
        (ny, nx), NaN = no data.
    sources
        Same shape; True where a source's light is. Ignored when it leaves fewer than 64 pixels.

    Returns
    -------
    LocalSky
        Median, and half the distance of the 16 % and 84 % quantiles.
    """
    valid = np.isfinite(pixels)
    sky = pixels[valid & ~sources]
    if sky.size < _FEWEST:
        sky = pixels[valid]
    if sky.size < _FEWEST:
        return LocalSky(math.nan, math.nan)
    return _clipped(sky)


def _clipped(values: NDArray[np.float32]) -> LocalSky:
    values = np.sort(values)  # every later step is a look-up in it
    first, last = 0, values.size - 1
    level = rms = 0.0
    for _ in range(_ROUNDS):
        low, level, high = (float(values[first + round(q * (last - first))]) for q in _QUANTILES)
        rms = (high - low) / 2
        edges = np.searchsorted(values, np.array([level - _CLIP * rms, level + _CLIP * rms], dtype=np.float32))
        kept = int(edges[0]), max(int(edges[1]) - 1, int(edges[0]))
        if rms == 0 or kept == (first, last):
            break
        first, last = kept
    return LocalSky(level, rms)
