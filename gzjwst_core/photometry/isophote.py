"""How large a source is above a fixed surface brightness: the size that does not grow with a survey's depth.

Arrays in, arrays out, on one window of the detection image; positions and lengths are pixels of that window. The box
of a whole segment, which ends where the noise does, is in `measure`; the field of view that follows is `cutouts.fov`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.mosaics.units import AB_ZERO_POINT_UJY
from gzjwst_core.photometry.measure import Scene

__all__ = ["FILTER_ARCSEC", "isophote_diagonals", "limit_ujy", "smoothed"]

FILTER_ARCSEC = 0.1
"""Sigma of the Gaussian that pixels are filtered with first, arcsec; the same on every grid and in every survey."""

_REACH_ARCSEC = 0.6
_EIGHT = np.ones((3, 3), dtype=int)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def limit_ujy(isophote_mag: float, pixel_scale_arcsec: float) -> float:
    """Return the brightness of a pixel on an isophote, uJy per pixel, from AB mag per square arcsec."""
    return float(10 ** (0.4 * (AB_ZERO_POINT_UJY - isophote_mag)) * pixel_scale_arcsec**2)


def isophote_diagonals(scene: Scene, isophote_mag: float, pixel_scale_arcsec: float) -> Floats:
    """Measure each source above an isophote.

    Parameters
    ----------
    scene
        The detection image, uJy per pixel, and the sources' segments.
    isophote_mag
        AB mag per square arcsec.
    pixel_scale_arcsec
        Side of a pixel.

    Returns
    -------
    ndarray of float64, (n,)
        Diagonal, in pixels, of the box around the pixels of a source that are at least so bright and hang together
        (also by corners) with the brightest pixel of its segment; NaN where not even that one is.

    Notes
    -----
    Pixels are those of the source's own segment and, where a shallow survey's segments end above the isophote, those
    of no segment that are nearer to it than to any other, out to 0.6 arcsec. They are filtered first: one noisy pixel
    must not move a box, nor open a gap between a galaxy and its arm. A filter blurs, but alike whatever the depth.
    """
    filtered = smoothed(scene.frame, FILTER_ARCSEC / pixel_scale_arcsec)
    limit, reach = limit_ujy(isophote_mag, pixel_scale_arcsec), int(np.ceil(_REACH_ARCSEC / pixel_scale_arcsec))
    places = ndimage.find_objects(scene.labels)
    found = np.full(scene.ids.size, np.nan)
    for row, name in enumerate(scene.ids.tolist()):
        place = places[name - 1] if name <= len(places) else None
        if place is not None:
            around = tuple(slice(max(s.start - reach, 0), s.stop + reach) for s in place)
            found[row] = _diagonal(filtered[around], scene.labels[around], name, limit)
    return found


def smoothed(frame: Frame, sigma_px: float) -> NDArray[np.float32]:
    """Filter with a Gaussian that leaves out pixels without data; the result is 0 there."""
    weight = ndimage.gaussian_filter((~frame.bad).astype(np.float32), sigma_px, mode="constant")
    light = ndimage.gaussian_filter(np.where(frame.bad, np.float32(0), frame.sub), sigma_px, mode="constant")
    filtered: NDArray[np.float32] = np.divide(light, weight, out=np.zeros_like(light), where=~frame.bad)
    return filtered


def _diagonal(light: NDArray[np.float32], labels: NDArray[np.int32], name: int, limit: float) -> float:
    own = labels == name
    peak = np.unravel_index(np.argmax(np.where(own, light, -np.inf)), own.shape)
    if not light[peak] >= limit:
        return float("nan")
    parts, _ = ndimage.label((light >= limit) & (own | _nearer(own, labels)), structure=_EIGHT)
    rows, columns = np.nonzero(parts == parts[peak])
    return float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1))


def _nearer(own: Bools, labels: NDArray[np.int32]) -> Bools:
    """Tell which pixels of no segment are nearer to this one than to any other; a tie is nobody's."""
    free: Bools = labels == 0
    others = ~free & ~own
    if others.any():
        to_own, to_others = ndimage.distance_transform_edt(~own), ndimage.distance_transform_edt(~others)
        free &= to_own < to_others
    return free
