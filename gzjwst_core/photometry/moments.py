"""Shapes of sources in one band, from second moments of their segment's pixels.

The segment is the detection image's, so that bands are compared over the same sky and neighbours are left out. The PSF
is in the moments. Arrays in, arrays out.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.photometry.measure import Scene, ranked_labels

__all__ = ["segment_shapes"]

Floats = NDArray[np.float64]

_LEAST_SNR = 10.0
_PIXEL_VARIANCE = 1 / 12


def segment_shapes(scene: Scene, x: Floats, y: Floats, snr: Floats) -> tuple[Floats, Floats]:
    """Measure ellipticity and orientation.

    Parameters
    ----------
    scene
        One band.
    x, y
        About where the sources are, pixels of the window.
    snr
        Of each segment's light in this band.

    Returns
    -------
    ellipticity, theta
        1 - b/a and the angle of the major axis from +x to +y, radian; NaN below a signal to noise of 10, where the
        error of an ellipticity passes 0.2, and where noise leaves no positive axes.

    Notes
    -----
    Flux-weighted second moments about their own barycentre, as SExtractor's A, B and THETA, but without a threshold,
    which would lean on positive noise; a pixel's own variance of 1/12 is taken off, so that grids agree.
    """
    ranked = ranked_labels(scene).ravel()
    at = np.flatnonzero((ranked > 0) & ~scene.frame.bad.ravel())
    row, light = ranked[at] - 1, scene.frame.sub.ravel()[at].astype(float)
    line, column = np.divmod(at, scene.labels.shape[1])
    dx, dy = column - x[row], line - y[row]
    total = np.bincount(row, weights=light, minlength=x.size)
    good = (snr > _LEAST_SNR) & (total > 0)
    whole = np.where(good, total, 1.0)
    weights = (light * w for w in (dx, dy, dx * dx, dy * dy, dx * dy))
    mx, my, xx, yy, xy = (np.bincount(row, weights=w, minlength=x.size) / whole for w in weights)
    xx, yy, xy = xx - mx**2 - _PIXEL_VARIANCE, yy - my**2 - _PIXEL_VARIANCE, xy - mx * my
    mean, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    good &= mean - half > 0
    ratio = np.divide(mean - half, mean + half, out=np.ones_like(mean), where=good)
    theta = 0.5 * np.arctan2(2 * xy, xx - yy)
    return np.where(good, 1 - np.sqrt(ratio), np.nan), np.where(good, theta, np.nan)
