"""From surface brightness to display: asinh, log and Lupton stretches in units of one reference sigma.

Pure arrays, on whatever grid they are. Levels run from 0 (black) to 1 (white); NaN stays NaN, so that the caller can
tell gaps from sky.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from gzjwst_core.options import ImageOptions

__all__ = ["asinh_levels", "lupton_levels", "sky_level", "trilogy_levels"]

_CORE_SIGMA = 1e4
_TOE_SIGMA = 1.0
_FARTHEST_SIGMA = np.float32(1e6)
_LEAST_K, _MOST_K = 1e-9, 1e9


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


def trilogy_levels(signal: NDArray[np.float32], options: ImageOptions) -> NDArray[np.float32]:
    """Stretch one channel by itself, logarithmically, so that the sky's noise has a given level.

    Parameters
    ----------
    signal
        Surface brightness above the local sky x gain, in units of the reference sigma; any shape.
    options
        `low_sigma` is black, one sigma above the sky is `trilogy_noise`, `high_sigma` is white.

    Returns
    -------
    ndarray of float32
        Same shape, within [0, 1]; NaN where the signal is.

    Notes
    -----
    log10(k (s - low) + 1) / r, with k and r such that 1 sigma and `high_sigma` get their levels: the scaling of Trilogy
    (Coe et al. 2012, ApJ 757, 22). Trilogy itself reads its three points off each picture's histogram; here they are
    fixed for the survey, since else a star in the frame would darken the target.
    """
    k, r = _log_scale(options.low_sigma, options.high_sigma, options.trilogy_noise)
    levels = np.asarray(np.clip(signal, options.low_sigma, options.high_sigma), dtype=np.float32)
    levels -= np.float32(options.low_sigma)
    levels *= np.float32(k)
    np.log1p(levels, out=levels)
    levels *= np.float32(1 / r)
    return np.clip(levels, np.float32(0), np.float32(1), out=levels)


@cache
def _log_scale(low: float, high: float, noise: float) -> tuple[float, float]:
    """Return k and ln(k (high - low) + 1), so that 1 sigma gets the level `noise`.

    The level of 1 sigma grows with k from its linear value (1 - low) / (high - low) towards 1; a lower one is not to be
    had, and the scale is then as good as linear.
    """
    part, whole = 1 - low, high - low

    def excess(log_k: float) -> float:
        k = math.exp(log_k)
        return math.log1p(k * part) / math.log1p(k * whole) - noise

    ends = math.log(_LEAST_K), math.log(_MOST_K)
    at = brentq(excess, *ends) if excess(ends[0]) < 0 < excess(ends[1]) else ends[int(excess(ends[1]) <= 0)]
    k = math.exp(at)
    return k, math.log1p(k * whole)


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
    f(I) / I, f(I) = asinh(I / knee) / q, and a pixel whose largest channel exceeds 1 is divided by it. Channels below
    black end softly in a toe (`_toe`): cut off at black, single pixels of sky would be black or of pure colour. Point
    sources show rings of colour where the bands' PSFs differ: that is the nature of the recipe, and `lupton-matched`
    cures it. What exceeds 10,000 sigma in some channel (a filled core) is white.
    """
    above = _toe(np.clip(signals, -_FARTHEST_SIGMA, _FARTHEST_SIGMA) - np.float32(options.low_sigma))
    mean = above.mean(axis=0)
    levels = above * (np.arcsinh(mean * np.float32(1 / options.knee_sigma)) / (np.float32(options.lupton_q) * mean))
    levels /= np.maximum(levels.max(axis=0), np.float32(1))
    levels[:, (signals > _CORE_SIGMA).any(axis=0)] = 1
    levels[:, ~np.isfinite(mean)] = np.nan
    return np.asarray(levels, dtype=np.float32)


def _toe(above: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend what is near or below black into small positive values: (x + sqrt(x^2 + 4 t^2)) / 2, t = 1 sigma.

    The sky (3 sigma above black) is lifted by a tenth, a pixel at black gets 1 sigma, and none gets nothing.
    """
    root = np.sqrt(above * above + np.float32(4 * _TOE_SIGMA**2))
    far = np.float32(2 * _TOE_SIGMA**2) / (root - np.minimum(above, np.float32(0)))  # the same, without cancellation
    return np.asarray(np.where(above > 0, (above + root) * np.float32(0.5), far), dtype=np.float32)
