"""Total magnitudes: what the automatic aperture misses. Arrays in, arrays out."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["total_factors"]

Floats = NDArray[np.float64]

_CLEAN_ERROR, _CLEAN_CROWD = 0.05, 0.1
_FEWEST = 5
_USUAL_GROWTH, _LEAST_SCATTER = 1.06, 0.03
_LIMITS = (1.0, 1.5)


def total_factors(
    auto: Floats, auto_error: Floats, wide: Floats, wide_error: Floats, crowded: Floats, whole: NDArray[np.bool_]
) -> Floats:
    """Return total / automatic flux of each source.

    Parameters
    ----------
    auto, auto_error
        Flux in the Kron aperture, detection image.
    wide, wide_error
        Flux in the Kron aperture enlarged `total_growth` times, neighbours masked.
    crowded
        Part of the Kron aperture that neighbours cover.
    whole
        No gap in it and no saturated core.

    Returns
    -------
    ndarray
        1-1.5.

    Notes
    -----
    A source's own growth `g = wide / auto` is trusted as far as its error allows: the factor is the posterior mean
    `w g + (1 - w) g0` with `w = s0^2 / (s0^2 + e^2)`, `e = sqrt(wide_error^2 - auto_error^2) / auto`. Median `g0` and
    scatter `s0` are those of the field's clean sources (e < 0.05, uncrowded, whole); with fewer than five of them
    g0 = 1.06, the loss that Kron apertures of factor 2.5 have for exponential discs (Graham & Driver 2005) and that
    we measure for Sersic galaxies with a NIRCam-like PSF. Crowded sources (> 0.1) and broken ones take g0 itself.
    """
    positive = (auto > 0) & np.isfinite(wide)
    growth = np.divide(wide, auto, out=np.full(auto.shape, _USUAL_GROWTH), where=positive)
    extra = np.sqrt(np.maximum(wide_error**2 - auto_error**2, 0.0))
    error = np.divide(extra, auto, out=np.full(auto.shape, np.inf), where=positive)
    clean = positive & (error < _CLEAN_ERROR) & (crowded < _CLEAN_CROWD) & whole
    usual, scatter = _population(growth[clean], error[clean])
    trust = np.where((crowded < _CLEAN_CROWD) & whole, scatter**2 / (scatter**2 + error**2), 0.0)
    return np.clip(trust * growth + (1 - trust) * usual, *_LIMITS)


def _population(growth: Floats, error: Floats) -> tuple[float, float]:
    if growth.size < _FEWEST:
        return _USUAL_GROWTH, _LEAST_SCATTER
    usual = float(np.median(growth))
    spread = 1.4826 * float(np.median(np.abs(growth - usual)))
    own = float(np.median(error))
    return usual, max(np.sqrt(max(spread**2 - own**2, 0.0)), _LEAST_SCATTER)
