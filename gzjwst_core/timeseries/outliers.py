"""Outliers in time: a running median of each pixel, and what lies too far from it. Arrays in, arrays out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

__all__ = ["Outliers", "find_outliers", "median_in_time", "running_median", "white_light_of_ratios"]

Floats = NDArray[np.float32]


class Outliers(NamedTuple):
    """What was found in the series of some pixels."""

    flags: NDArray[np.bool_]
    """(pixels, integrations)."""
    model: Floats
    """(pixels, integrations): the running median, which takes an outlier's place."""
    scatter: Floats
    """(pixels,) standard deviation of the residual without outliers."""


def running_median(series: Floats, window: int) -> Floats:
    """Return the median over a window of time around each integration.

    Parameters
    ----------
    series
        (pixels, integrations) without NaN. Both ends are mirrored.
    window
        Integrations; odd. A series that is shorter than it takes the longest window that fits.

    Returns
    -------
    ndarray
        (pixels, integrations).
    """
    half = min(window, 2 * series.shape[1] - 1) // 2
    if half == 0:
        return series.copy()
    padded = np.concatenate([series[:, half:0:-1], series, series[:, -2 : -2 - half : -1]], axis=1)
    # one long row: scipy's filter of one axis takes the same time for any window, and no window leaves its series
    return np.asarray(median_filter(padded.ravel(), size=2 * half + 1)).reshape(padded.shape)[:, half:-half]


def median_in_time(series: Floats) -> Floats:
    """Return the median of each pixel over all integrations, without NaN; NaN where a pixel has no value at all.

    Parameters
    ----------
    series
        (pixels, integrations).
    """
    level = np.median(series, axis=1)  # NaN where a value is: numpy's nanmedian of everything takes ten times as long
    for row in np.flatnonzero(np.isnan(level)):
        values = series[row][~np.isnan(series[row])]
        level[row] = np.median(values) if values.size else np.nan
    return np.asarray(level, dtype=np.float32)


def white_light_of_ratios(series: Floats) -> NDArray[np.float64]:
    """Return the light curve that bright pixels share: in each integration the median of value over own median.

    Cosmic rays hit few pixels of one integration, so that the median knows nothing of them.

    Parameters
    ----------
    series
        (pixels, integrations) of bright pixels; NaN = no value.

    Returns
    -------
    ndarray
        (integrations,) with median 1; 1 where no pixel has a value.
    """
    level = median_in_time(series)[:, np.newaxis]
    ratios = (series / level)[(level > 0).ravel()]
    known = np.isfinite(ratios).any(axis=0)
    curve = np.ones(series.shape[1])
    if known.any():
        curve[known] = np.nanmedian(ratios[:, known], axis=0)
    return curve / np.median(curve)


def find_outliers(series: Floats, *, clip: float, window: int, iterations: int) -> Outliers:
    """Find values that are too far from the running median of their pixel.

    The residual's standard deviation is that of the pixel over all time. Outliers that were found take the running
    median's value in the next iteration, for the pixels that had any.

    Parameters
    ----------
    series
        (pixels, integrations); NaN = no value: never an outlier.
    clip
        In standard deviations of the residual.
    window
        Of the running median, integrations.
    iterations
        At most.
    """
    missing = np.isnan(series)
    values = np.where(missing, np.nan_to_num(median_in_time(series))[:, np.newaxis], series).astype(np.float32)
    flags = np.zeros(series.shape, dtype=bool)
    model, scatter = np.empty_like(values), np.zeros(len(values), dtype=np.float32)
    active, filled = np.arange(len(values)), values
    for _ in range(iterations):
        median = running_median(filled, window)
        before, unknown = flags[active], missing[active]
        residual = values[active] - median
        used = ~(before | unknown)
        counted = np.where(used, residual, 0.0)
        sigma = np.sqrt(np.einsum("ij,ij->i", counted, counted) / np.maximum(used.sum(axis=1), 1))
        found = (np.abs(residual) > clip * sigma[:, np.newaxis]) & ~unknown & (sigma > 0)[:, np.newaxis]
        model[active], scatter[active], flags[active] = median, sigma, found
        changed = (found != before).any(axis=1)
        active = active[changed]
        if active.size == 0:
            break
        filled = np.where(flags[active], median[changed], values[active])
    return Outliers(flags, model, scatter)
