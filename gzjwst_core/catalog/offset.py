"""One offset between two lists of positions, out of all pairs that are close: its peak, its median, its error.

A pair is two rows, one of each list, and how far the second lies from the first. True pairs pile up around one offset,
chance pairs lie everywhere. Which lists are compared is `astrometry`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

__all__ = ["Offset", "Pairs", "measure_offset", "sky_pairs"]

Floats = NDArray[np.float64]

_BIN_MAS = 50.0
_FIRST_REACH_MAS, _LEAST_REACH_MAS = 200.0, 20.0
_CLIP = 3.5  # of a Rayleigh distribution 0.2 % lie beyond
_ROUNDS = 20
_SIGMA_OF_MAD = 1.4826
_MEDIAN_OVER_MEAN = math.sqrt(math.pi / 2)
_LEAST_ERROR_MAS = 0.1  # a hundredth of the finest pixel we meet: no grid tells more
_SIGNIFICANT = 5.0


class Pairs(NamedTuple):
    """Close pairs of two lists."""

    one: NDArray[np.int64]
    """(n,) rows of the first list."""
    two: NDArray[np.int64]
    dx: Floats
    """(n,) mas to the east, second minus first."""
    dy: Floats
    """(n,) mas to the north."""


class Offset(NamedTuple):
    """What is to be added to the first list's positions so that they agree with the second's."""

    n: int
    """Pairs it was taken from."""
    dra: float
    """mas to the east; NaN without pairs. The others alike."""
    ddec: float
    dra_err: float
    """Standard error of the median, mas."""
    ddec_err: float
    scatter: float
    """1.4826 x the median absolute deviation, of one axis, mas."""
    good: bool
    """Enough pairs, and more than chance would bring."""
    kept: NDArray[np.int64]
    """(n,) which of the pairs were taken."""


_NONE = Offset(0, math.nan, math.nan, math.nan, math.nan, math.nan, good=False, kept=np.zeros(0, dtype=np.int64))


def sky_pairs(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], one: NDArray[np.int64], two: NDArray[np.int64]
) -> Pairs:
    """Say how far the rows of pairs lie apart.

    Parameters
    ----------
    first, second
        Right ascension and declination of each list, deg.
    one, two
        (n,) rows of the first and of the second list; close to each other.
    """
    ra, dec = first[0][one], first[1][one]
    east = ((second[0][two] - ra + 180) % 360 - 180) * np.cos(np.deg2rad(dec))
    return Pairs(one, two, east * 3.6e6, (second[1][two] - dec) * 3.6e6)


def measure_offset(pairs: Pairs, radius_arcsec: float, min_pairs: int) -> Offset:
    """Measure the offset of two lists.

    Parameters
    ----------
    pairs
        Every pair within the radius, chance pairs included.
    radius_arcsec
        The largest offset that is looked for.
    min_pairs
        Fewer do not make an offset good.

    Returns
    -------
    Offset
        `good` is False for an offset that should not be used.

    Notes
    -----
    The peak of the pairs' offsets in bins of 50 mas, three by three; from there the median of those pairs that are each
    other's nearest, clipped at 3.5 times their scatter until nothing changes. Errors are those of a median of normally
    distributed values, sqrt(pi/2) x scatter / sqrt(n), and at least 0.1 mas. An offset is good if its pairs are 5 sigma
    more than the density of the other pairs would bring by chance.
    """
    if pairs.dx.size == 0:
        return _NONE
    kept, reach = _settled(pairs, _peak(pairs, radius_arcsec * 1000))
    n = kept.size
    x, y = _middle(pairs.dx[kept]), _middle(pairs.dy[kept])
    chance = (pairs.dx.size - n) * (reach / (radius_arcsec * 1000)) ** 2
    good = n >= min_pairs and n - chance > _SIGNIFICANT * math.sqrt(max(chance, 1.0))
    scatter = math.sqrt((x[1] ** 2 + y[1] ** 2) / 2)
    return Offset(n, x[0], y[0], _error(x[1], n), _error(y[1], n), scatter, bool(good), kept)


def _peak(pairs: Pairs, radius_mas: float) -> tuple[float, float]:
    """Return the middle of the fullest square of three by three bins; of equally full ones, the nearest to zero."""
    half = math.ceil(radius_mas / _BIN_MAS)
    edges = (np.arange(2 * half + 2) - half - 0.5) * _BIN_MAS
    counts, _, _ = np.histogram2d(pairs.dx, pairs.dy, bins=(edges, edges))
    full = convolve(counts.astype(np.int64), np.ones((3, 3), dtype=np.int64), mode="constant")
    middle = (np.arange(2 * half + 1) - half) * _BIN_MAS
    distance = np.hypot(middle[:, None], middle[None, :])
    best = np.lexsort((distance.ravel(), -full.ravel()))[0]
    at_x, at_y = np.unravel_index(best, full.shape)
    return float(middle[at_x]), float(middle[at_y])


def _settled(pairs: Pairs, centre: tuple[float, float]) -> tuple[NDArray[np.int64], float]:
    """Return the pairs around the offset, and how far around it they were looked for."""
    reach = _FIRST_REACH_MAS
    kept = _nearest(pairs, centre, reach)
    for _ in range(_ROUNDS):
        x, y = _middle(pairs.dx[kept]), _middle(pairs.dy[kept])
        reach = min(max(_CLIP * math.sqrt((x[1] ** 2 + y[1] ** 2) / 2), _LEAST_REACH_MAS), _FIRST_REACH_MAS)
        before, kept = kept, _nearest(pairs, (x[0], y[0]), reach)
        if np.array_equal(before, kept):
            break
    return kept, reach


def _nearest(pairs: Pairs, centre: tuple[float, float], reach: float) -> NDArray[np.int64]:
    """Return the pairs within reach of an offset whose two rows have no pair nearer to it, in their order."""
    distance = np.hypot(pairs.dx - centre[0], pairs.dy - centre[1])
    near = np.flatnonzero(distance <= reach)
    near = near[np.lexsort((pairs.two[near], pairs.one[near], distance[near]))]
    _, first_one = np.unique(pairs.one[near], return_index=True)
    _, first_two = np.unique(pairs.two[near], return_index=True)
    return np.sort(near[np.intersect1d(first_one, first_two)])


def _middle(values: Floats) -> tuple[float, float]:
    """Median and scatter; NaN without values."""
    if values.size == 0:
        return math.nan, math.nan
    median = float(np.median(values))
    return median, _SIGMA_OF_MAD * float(np.median(np.abs(values - median)))


def _error(scatter: float, n: int) -> float:
    return max(_MEDIAN_OVER_MEAN * scatter / math.sqrt(n), _LEAST_ERROR_MAS) if n else math.nan
