"""Total magnitudes: what the automatic aperture misses. Arrays in, arrays out."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Growth", "total_factors"]

Floats = NDArray[np.float64]

_CLEAN_ERROR, _CLEAN_CROWD = 0.05, 0.1
_OPEN_RING = 0.7
_FEWEST = 5
_USUAL_GROWTH, _LEAST_SCATTER = 1.06, 0.03
_LIMITS = (1.0, 1.5)


@dataclass(frozen=True, slots=True)
class Growth:
    """Flux in the Kron aperture, and in the ring from there out to `total_growth` times it, neighbours masked."""

    auto: Floats
    ring: Floats
    """What is masked counts as the ring's other light at the same radius, never as the core's."""
    ring_error: Floats
    ring_share: Floats
    """Part of the ring that is not masked."""


def total_factors(growth: Growth, crowded: Floats, whole: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return total / automatic flux of each source, and its error.

    Parameters
    ----------
    growth
        On the detection image.
    crowded
        Part of the Kron aperture that neighbours cover.
    whole
        No gap in the Kron aperture and no saturated core.

    Returns
    -------
    factor, error
        1-1.5; 1 sigma.

    Notes
    -----
    A source's own growth `g = 1 + ring / auto` is trusted as far as its error allows: the factor is the posterior mean
    `w g + (1 - w) g0` with `w = s0^2 / (s0^2 + e^2)`, `e = ring_error / auto`. Median `g0` and scatter `s0` are those
    of the field's clean sources (e < 0.05, uncrowded, whole); with fewer than five of them g0 = 1.06, between what a
    Kron aperture of factor 2.5 misses of an exponential disc (4 %) and of a de Vaucouleurs bulge (10 %; Graham & Driver
    2005). Crowded sources (> 0.1), broken ones and those with less than 0.7 of the ring open take g0 itself. The error
    is the posterior's, `s0 sqrt(1 - w)`.
    """
    auto = growth.auto
    positive = (auto > 0) & np.isfinite(growth.ring)
    gain = 1 + np.divide(growth.ring, auto, out=np.full(auto.shape, _USUAL_GROWTH - 1), where=positive)
    error = np.divide(growth.ring_error, auto, out=np.full(auto.shape, np.inf), where=positive)
    lonely = (crowded < _CLEAN_CROWD) & whole & (growth.ring_share >= _OPEN_RING)
    clean = positive & lonely & (error < _CLEAN_ERROR)
    usual, scatter = _population(gain[clean], error[clean])
    trust = np.where(lonely, scatter**2 / (scatter**2 + error**2), 0.0)
    factor: Floats = np.clip(trust * gain + (1 - trust) * usual, *_LIMITS)
    return factor, scatter * np.sqrt(1 - trust)


def _population(gain: Floats, error: Floats) -> tuple[float, float]:
    if gain.size < _FEWEST:
        return _USUAL_GROWTH, _LEAST_SCATTER
    usual = float(np.median(gain))
    spread = 1.4826 * float(np.median(np.abs(gain - usual)))
    own = float(np.median(error))
    return usual, max(math.sqrt(max(spread**2 - own**2, 0.0)), _LEAST_SCATTER)
