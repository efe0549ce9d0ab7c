"""Sersic profiles that fade out at a stated radius: the law, its half-light radius, and unit-sum stamps of a galaxy.

The law is I(r) ~ exp(-b (r/re)^(1/n)) with P(2n, b) = 1/2 (Sersic 1963; Graham & Driver 2005, eq. 1), brought to
zero by a cosine between 4 and 8 re along the major axis, as surveys truncate their models. A galaxy's total flux and
half-light radius are those of the light that is left, so that the truth table states what the pixels hold.
"""

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

__all__ = ["TRUNCATION", "effective_radius", "sersic_stamp"]

TRUNCATION = 8.0
"""Radius at which the light ends, in units of the untruncated law's effective radius."""

_FADE_FROM = 4.0
_CORE_HALF, _CORE_FINE = 4, 7


def effective_radius(r50: float, n: float) -> float:
    """Return the untruncated law's effective radius whose truncated light has the half-light radius `r50`."""
    return r50 / _half_light(n)


def sersic_stamp(
    *, n: float, r50_px: float, axis_ratio: float, major: tuple[float, float], centre: tuple[float, float]
) -> NDArray[np.float32]:
    """Draw one galaxy of unit flux, integrated over its pixels, without any PSF.

    Parameters
    ----------
    n
        Sersic index.
    r50_px
        Semi-major axis of the ellipse that holds half of the light, pixels.
    axis_ratio
        Minor over major axis, 0-1.
    major
        Unit vector (x, y) along the major axis.
    centre
        Offset (x, y) of the galaxy from the stamp's middle pixel, pixels.

    Returns
    -------
    ndarray of float32
        Square, of odd side, axis order (y, x); sums to one.

    Notes
    -----
    Pixels are sampled at their centres, the innermost 9 x 9 as the mean of 7 x 7 points each.
    """
    draw = partial(_ellipse, n=n, re_px=effective_radius(r50_px, n), axis_ratio=axis_ratio, major=major)
    half = int(np.ceil(TRUNCATION * effective_radius(r50_px, n))) + 1
    steps = np.arange(-half, half + 1, dtype=np.float64)
    stamp = draw(steps - centre[0], steps - centre[1])
    core = min(half, _CORE_HALF)
    side = 2 * core + 1
    fine = (np.arange(side * _CORE_FINE) + 0.5) / _CORE_FINE - side / 2
    dense = draw(fine - centre[0], fine - centre[1])
    middle = slice(half - core, half + core + 1)
    stamp[middle, middle] = dense.reshape(side, _CORE_FINE, side, _CORE_FINE).mean(axis=(1, 3))
    return np.asarray(stamp / stamp.sum(dtype=np.float64), dtype=np.float32)


def _ellipse(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    n: float,
    re_px: float,
    axis_ratio: float,
    major: tuple[float, float],
) -> NDArray[np.float32]:
    """Evaluate the law on the grid of x and y offsets (1-D each), not normalised."""
    cos, sin = major[0] / re_px, major[1] / re_px
    along = np.add.outer(sin * y, cos * x, dtype=np.float32)
    across = np.add.outer(cos * y / axis_ratio, -sin * x / axis_ratio, dtype=np.float32)
    light = np.zeros(along.shape, dtype=np.float32)
    radius2 = np.asarray(along * along + across * across, dtype=np.float32)
    inside = radius2 < TRUNCATION**2
    light[inside] = _law(radius2[inside], n)
    return light


def _law(radius2: NDArray[np.float32], n: float) -> NDArray[np.float32]:
    """Brightness at squared radii (units of re), relative to the centre's."""
    light = np.exp(np.float32(-gammaincinv(2 * n, 0.5)) * radius2 ** np.float32(0.5 / n))
    outer = radius2 > _FADE_FROM**2
    phase = (np.sqrt(radius2[outer]) - _FADE_FROM) / (TRUNCATION - _FADE_FROM)
    light[outer] *= 0.5 + 0.5 * np.cos(np.pi * phase)
    return np.asarray(light, dtype=np.float32)


@lru_cache(maxsize=4096)
def _half_light(n: float) -> float:
    """Half-light radius of the truncated light in units of re, by summing 1-D rings that crowd at the centre."""
    radius = TRUNCATION * np.linspace(0, 1, 4001) ** 3
    light = _law((radius * radius).astype(np.float32), n).astype(np.float64) * radius
    total = np.concatenate([[0.0], np.cumsum((light[1:] + light[:-1]) / 2 * np.diff(radius))])
    return float(np.interp(0.5, total / total[-1], radius))
