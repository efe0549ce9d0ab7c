"""From surface brightness to display: asinh and Lupton stretches in units of one reference sigma.

Pure arrays, on whatever grid they are. Levels run from 0 (black) to 1 (white); NaN stays NaN, so that the caller can
tell gaps from sky.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.options import ImageOptions

__all__ = ["asinh_levels", "lupton_levels", "sky_level"]

_CORE_SIGMA = 1e4


def asinh_levels(signal: NDArray[np.float32], options: ImageOptions) -> NDArray[np.float32]:
    """Stretch one channel by itself.

    Parameters
    ----------
    signal
        Surface brightness above the local sky x gain, in units of the reference sigma; any shape.
    options
        `low_sigma` is black, `high_sigma` is white, `knee_sigma` is where the curve turns from linear to logarithmic.

    Returns
    -------
    ndarray of float32
        Same shape, within [0, 1]; NaN where the signal is; infinities are black and white.

    Notes
    -----
    asinh((s - low) / knee) / asinh((high - low) / knee). All channels share it: equal signals are exactly grey,
    whatever their brightness, and a bright core saturates to white in every channel.
    """
    low, high = np.float32(options.low_sigma), np.float32(options.high_sigma)
    levels = np.asarray(np.clip(signal, low, high), dtype=np.float32)
    levels -= low
    levels *= np.float32(1 / options.knee_sigma)
    np.arcsinh(levels, out=levels)
    levels *= np.float32(1 / math.asinh(_range(options)))
    return np.minimum(levels, np.float32(1), out=levels)


def _range(options: ImageOptions) -> float:
    return (options.high_sigma - options.low_sigma) / options.knee_sigma


def sky_level(options: ImageOptions) -> float:
    """Level of the sky itself under `asinh_levels`."""
    return math.asinh(-options.low_sigma / options.knee_sigma) / math.asinh(_range(options))


def lupton_levels(signals: NDArray[np.float32], options: ImageOptions) -> NDArray[np.float32]:
    """Stretch the brightness of three channels and keep their hue.

    Parameters
    ----------
    signals
        (3, ny, nx) on one grid: surface brightness above the local sky x gain, in units of the reference sigma.
    options
        `low_sigma`, `knee_sigma`, and `lupton_q`: white is reached `knee sinh(q)` above black.

    Returns
    -------
    ndarray of float32
        (3, ny, nx) within [0, 1]; NaN in all three where any of them is.

    Notes
    -----
    Lupton et al. (2004, PASP 116, 133): with I the mean of the channels above black, each is multiplied by
    f(I) / I, f(I) = asinh(I / knee) / q, and a pixel whose largest channel exceeds 1 is divided by it. Point sources
    show rings of colour where the bands' PSFs differ: that is the nature of the recipe, not a fault. Only what exceeds
    10,000 sigma in some channel (a filled core) is white.
    """
    above = signals - np.float32(options.low_sigma)
    mean = above.mean(axis=0)
    bright = np.maximum(mean, np.float32(1e-6))
    factor = np.arcsinh(bright * np.float32(1 / options.knee_sigma)) * np.float32(1 / options.lupton_q) / bright
    levels = np.maximum(above * np.where(mean > 0, factor, np.float32(0)), np.float32(0))
    levels /= np.maximum(levels.max(axis=0), np.float32(1))
    levels[:, (signals > _CORE_SIGMA).any(axis=0)] = 1
    levels[:, ~np.isfinite(mean)] = np.nan
    return np.asarray(levels, dtype=np.float32)
