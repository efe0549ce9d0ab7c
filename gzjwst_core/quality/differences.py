"""What controls tell: the colour of a star in its core, and how far two pictures of one galaxy differ.

Pictures in, numbers out.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.images.compose import Picture

__all__ = ["core_colour", "rgb_difference", "within_scatter"]

_CORE_ARCSEC = 0.12
"""Within this radius a star is far above the noise at any depth. `images.compare` looks at 0.3 arcsec, for rings."""
_LEAST_LEVEL = 1.0
_LEAST_SHARE = 0.9
_PATCH_ARCSEC = 0.3


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


def rgb_difference(one: Picture, other: Picture, target: NDArray[np.bool_], fov_arcsec: float) -> float:
    """Return the mean absolute difference of the channels over a galaxy, levels of 255.

    Parameters
    ----------
    one, other
        The same sky from two fields.
    target
        (ny, nx) the galaxy's pixels; none = the whole picture.
    fov_arcsec
        Side of the pictures.

    Returns
    -------
    float
        NaN where they were not made from the same bands, or share too little of the galaxy.

    Notes
    -----
    Patches of 0.3 arcsec are averaged first: pixel by pixel two pictures of one sky differ by their noise alone, about
    13 levels where the same recipe leaves 3 over patches.
    """
    wanted = target if target.any() else np.ones_like(target)
    both = wanted & ~(one.gap | other.gap)
    if one.bands != other.bands or one.filled != other.filled or both.sum() < _LEAST_SHARE * wanted.sum():
        return math.nan
    side = max(1, round(_PATCH_ARCSEC / fov_arcsec * both.shape[0]))
    apart = one.rgb.astype(np.float64) - other.rgb
    weight = _patches(both.astype(np.float64), side)
    sums = np.stack([_patches(apart[..., i] * both, side) for i in range(3)])
    return float(np.abs(sums).sum() / (3 * weight.sum()))


def _patches(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Sum over squares of `side` pixels; those at the far edges may be smaller."""
    at = np.arange(0, values.shape[0], side)
    return np.asarray(np.add.reduceat(np.add.reduceat(values, at, axis=0), at, axis=1))


def within_scatter(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
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
