"""Pixels that are not to be trusted at any time: telegraph, hot, dead and noisy ones. Arrays in, arrays out."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from gzjwst_core.timeseries.outliers import median_in_time

__all__ = ["bad_pixels", "telegraph_pixels"]

_NEIGHBOURS = 9
"""Pixels along a row that a pixel is compared with: a spectrum changes slowly along them, and steeply across."""
_FLAT = 0.02
"""Share of the level by which neighbours differ anyway: flat field, and the spectrum's own lines."""
_LEAST_SHARE = 0.05
_MOST_CHANGES = 0.25


def telegraph_pixels(series: NDArray[np.float32], *, separation: float) -> NDArray[np.bool_]:
    """Find pixels that switch between two levels (random telegraph signal).

    The values of a pixel are parted halfway between their 10th and 90th percentile. It is a telegraph pixel if the two
    means are `separation` standard deviations within a level apart, each level holds 5 % of the integrations, and it
    changes its level in a quarter of them at most (noise alone does so in half).

    Parameters
    ----------
    series
        (pixels, integrations) with outliers replaced and the white-light curve divided out; NaN = no value.
    separation
        In standard deviations within a level.

    Returns
    -------
    ndarray
        (pixels,) bool.
    """
    values = np.where(np.isnan(series), np.nan_to_num(median_in_time(series))[:, np.newaxis], series)
    low, high = np.percentile(values, [10, 90], axis=1, keepdims=True)
    above = values > (low + high) / 2
    share = above.mean(axis=1)
    upper, lower = (_mean(values, side) for side in (above, ~above))
    inside = np.where(above, values - upper, values - lower).std(axis=1)
    apart = (upper - lower).ravel()
    changes = (above[:, 1:] != above[:, :-1]).mean(axis=1) if series.shape[1] > 1 else np.ones(len(series))
    balanced = (share >= _LEAST_SHARE) & (share <= 1 - _LEAST_SHARE)
    return np.asarray(balanced & (changes <= _MOST_CHANGES) & (apart > separation * inside) & (inside > 0))


def _mean(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    count = np.maximum(where.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.where(where, values, 0).sum(axis=1, keepdims=True, dtype=np.float64) / count)


def bad_pixels(
    level: NDArray[np.float32], scatter: NDArray[np.float32], *, bad_clip: float, noise_clip: float
) -> NDArray[np.bool_]:
    """Find pixels whose level or scatter is unlike that of their neighbours along the row.

    Parameters
    ----------
    level
        (y, x) median in time; NaN = never a value, which is bad.
    scatter
        (y, x) standard deviation of the residual in time.
    bad_clip
        Deviation from the neighbours' median, in units of their scatter and 2 % of their level (added in quadrature).
    noise_clip
        In the median scatter of the neighbours.

    Returns
    -------
    ndarray
        (y, x) bool.
    """
    missing = ~np.isfinite(level)
    known = np.where(missing, 0, level)
    size = (1, min(_NEIGHBOURS, level.shape[1]))
    usual, smooth = (np.asarray(median_filter(of, size=size)) for of in (scatter, known))
    odd = np.abs(known - smooth) > bad_clip * np.maximum(np.hypot(usual, _FLAT * smooth), 1e-30)
    return np.asarray(missing | odd | (scatter > noise_clip * usual))
