"""Integrations with far more outliers than usual: kept, or reset. Arrays in, arrays out."""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.timeseries.options import CleanOptions

__all__ = ["vetted"]


def vetted(counts: NDArray[np.int64], numbers: NDArray[np.int64], options: CleanOptions) -> NDArray[np.str_]:
    """Say what becomes of each integration's outliers.

    Parameters
    ----------
    counts
        (integrations,) outliers.
    numbers
        (integrations,) numbers within the exposure, from 1: what the options' lists name.
    options
        Limit, rule and lists. A list wins over the rule, `keep` over `reset`.

    Returns
    -------
    ndarray
        (integrations,) `usual`; of those with more than `frame_clip` times the median count, or that a list names,
        `kept` or `reset`.
    """
    limit = options.frame_clip * max(float(np.median(counts)), 1.0)
    outcome = np.where(counts > limit, "reset" if options.vet == "reset" else "kept", "usual").astype("<U5")
    outcome[np.isin(numbers, options.reset)] = "reset"
    outcome[np.isin(numbers, options.keep)] = "kept"
    return outcome
