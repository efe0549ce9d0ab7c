"""What controls tell: the colour of a star in its core, and how far two pictures of one galaxy differ.

Pictures in, numbers out.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.images.compose import Picture

__all__ = ["core_colour", "rgb_difference", "within_scatter", "worst_median"]

_CORE_ARCSEC = 0.12
"""Within this radius a star is far above the noise at any depth. `images.compare` looks at 0.3 arcsec, for rings."""
_LEAST_LEVEL = 1.0
_LEAST_SHARE = 0.9


def core_colour(picture: Picture, fov_arcsec: float) -> float:
    """Return log2(red / blue) of the mean levels in the core of a star in the middle.

    Parameters
    ----------
    picture
        Of the star.
    fov_arcsec
        Its side, which makes the core the same patch of sky in every view.

    Returns
    -------
    float
        NaN where a channel is filled, or the core has a gap or is black.
    """
    size = picture.gap.shape[0]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    core = np.hypot(x, y) * fov_arcsec / size < _CORE_ARCSEC
    red, _, blue = (float(picture.rgb[..., i][core].mean()) for i in range(3))
    if picture.filled or picture.gap[core].any() or min(red, blue) < _LEAST_LEVEL:
        return math.nan
    return math.log2(red / blue)


def rgb_difference(one: Picture, other: Picture, target: NDArray[np.bool_]) -> float:
    """Return how far the channels differ over a galaxy, levels of 255.

    Parameters
    ----------
    one, other
        The same sky from two fields.
    target
        (ny, nx) the galaxy's pixels; none = the whole picture.

    Returns
    -------
    float
        Spread of the three channels' mean differences and of 0, which is none at all: it grows where the colour differs
        and where the brightness does. NaN where the pictures were not made from the same bands, share too little of the
        galaxy, or it is not brighter than its sky.

    Notes
    -----
    Differences keep their sign, so that noise averages out, and weigh by how far both pictures together stand above the
    sky: a wrong zero point changes bright pixels most. Measured over the demo's 7 galaxies of two fields, median of the
    worse field: 2.3 as it is (of one galaxy at most 3.3). With a band of one field wrong by a factor, for F444W and
    F277W, which are red and green alone, and for F150W and F115W, which share blue: x 1.1: 3.8, 2.9, 3.3, 3.4; x 1.2:
    6.3, 5.7, 4.5, 4.7; x 1.3: 9.1, 8.3, 5.9, 6.2; x 1.5: 14.3, 13.3, 8.1, 8.4; x 0.77: 8.5, 9.7, 4.1, 4.3; x 0.67:
    12.4, 13.3, 5.9, 6.2. With all of them wrong: x 1.1: 4.2; x 1.2: 7.0.
    """
    wanted = target if target.any() else np.ones_like(target)
    seen = ~(one.gap | other.gap)
    both = wanted & seen
    if one.bands != other.bands or one.filled != other.filled or both.sum() < _LEAST_SHARE * wanted.sum():
        return math.nan
    grey = (one.rgb.mean(axis=2) + other.rgb.mean(axis=2)) / 2
    sky = float(np.median(grey[seen & ~wanted])) if (seen & ~wanted).any() else 0.0
    weight = np.maximum(grey[both] - sky, 0)
    if weight.sum() == 0:
        return math.nan
    apart = np.average(one.rgb[both].astype(np.float64) - other.rgb[both], axis=0, weights=weight)
    return float(np.ptp([*apart, 0.0]))


def worst_median(values: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    """Return the largest of the groups' medians; NaN = not known, of a value, and where no value is."""
    known = np.isfinite(values)
    medians = [float(np.median(values[known & (groups == group)])) for group in np.unique(groups[known]).tolist()]
    return max(medians, default=math.nan)


def within_scatter(values: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    """Return the standard deviation of values around the mean of their own group, over all groups.

    Parameters
    ----------
    values
        (n,), NaN = not known.
    groups
        (n,) which values belong together.

    Returns
    -------
    float
        sqrt(sum of squared deviations / sum of (members - 1)); NaN where no group has two known values.
    """
    known = np.isfinite(values)
    _, which = np.unique(groups[known], return_inverse=True)
    count = np.bincount(which)
    mean = np.bincount(which, values[known]) / np.maximum(count, 1)
    freedom = int((count - 1).sum())
    return math.sqrt(float(((values[known] - mean[which]) ** 2).sum()) / freedom) if freedom else math.nan
