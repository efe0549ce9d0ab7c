"""Windowed centres: where a source's light is, weighted with a Gaussian of its own size. Arrays in, arrays out.

Barycentres of segments lean towards whatever the threshold happened to take in; these do not. They are SExtractor's
XWIN_IMAGE, with neighbours' segments left out.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.photometry.measure import Scene
from gzjwst_core.photometry.stamps import gather

__all__ = ["windowed_centres"]

Floats = NDArray[np.float64]

_SIGMA_OF_R50 = 2 / 2.3548
_REACH_SIGMA, _LEAST_SIGMA_PX = 3.5, 0.8
_ROUNDS, _STILL_PX = 30, 2e-3
_LEAST_SHARE = 0.3
_SIZES = (4, 6, 9, 13, 19, 28, 41, 60)
_PIXELS_AT_ONCE = 2_000_000


def windowed_centres(scene: Scene, x: Floats, y: Floats, r50_px: Floats) -> tuple[Floats, Floats]:
    """Find the centres of sources.

    Parameters
    ----------
    scene
        The detection image.
    x, y
        Barycentres, 0-based pixels of the window.
    r50_px
        Half-light radii about them, pixels; NaN keeps the barycentre.

    Returns
    -------
    x, y
        Pixels. The barycentre where the search does not settle, loses its light, or ends more than r50 away.

    Notes
    -----
    `c += 2 sum(w I (p - c)) / sum(w I)` with `w = exp(-(p - c)^2 / 2 s^2)` out to 3.5 s, `s = 2 r50 / 2.3548`
    (Bertin & Arnouts 1996; SExtractor's manual, "Windowed parameters"). A pixel of a neighbour or without data is
    left out together with its mirror image across the centre, so that what is missing on one side draws nothing to
    the other; a window with more than 70 % of its weight left out is not used.
    """
    at = np.column_stack([x, y]).astype(float)
    sigma = np.maximum(_SIGMA_OF_R50 * r50_px, _LEAST_SIGMA_PX)
    for rows, half in _classes(sigma):
        at[rows] = _settle(scene, rows, at[rows], sigma[rows], half)
    moved = np.hypot(at[:, 0] - x, at[:, 1] - y)
    good = moved <= r50_px  # a NaN is no, too
    return np.where(good, at[:, 0], x), np.where(good, at[:, 1], y)


def _classes(sigma: Floats) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Group sources by the size of their window, in groups that fit into memory."""
    rows = np.flatnonzero(np.isfinite(sigma))
    size = np.searchsorted(_SIZES, _REACH_SIGMA * sigma[rows]).clip(max=len(_SIZES) - 1)
    for number in np.unique(size):
        half = _SIZES[number]
        here = rows[size == number]
        step = max(_PIXELS_AT_ONCE // (2 * half + 1) ** 2, 1)
        for first in range(0, here.size, step):
            yield here[first : first + step], half


def _settle(scene: Scene, rows: NDArray[np.intp], start: Floats, sigma: Floats, half: int) -> Floats:
    at = start.copy()
    moving = np.arange(rows.size)
    for _ in range(_ROUNDS):
        step = _step(scene, scene.ids[rows[moving]], at[moving], sigma[moving], half)
        at[moving] += step
        moving = moving[np.hypot(step[:, 0], step[:, 1]) > _STILL_PX]  # NaN: lost, and no longer moving
        if moving.size == 0:
            break
    at[moving] = np.nan
    return at


def _step(scene: Scene, ids: NDArray[np.int32], at: Floats, sigma: Floats, half: int) -> Floats:
    """One round: how far each centre moves, (n, 2) pixels in x and y; NaN where there is no light to go by."""
    stamps = gather(scene.frame, at, half)
    owner, dx, dy = scene.labels.ravel()[stamps.pixel], stamps.dx, stamps.dy
    good = stamps.usable & ((owner == 0) | (owner == ids[:, None, None]))
    good &= good[:, ::-1, ::-1]
    along_x, along_y = (np.exp(-(d**2) / (2 * sigma[:, None] ** 2)) for d in (dx, dy))
    weight = np.where(good, along_y[:, :, None] * along_x[:, None, :], 0.0)
    share = weight.sum(axis=(1, 2)) / (along_x.sum(axis=1) * along_y.sum(axis=1))
    light = weight * stamps.values
    total = light.sum(axis=(1, 2))
    pull = np.column_stack([(light.sum(axis=1) * dx).sum(axis=1), (light.sum(axis=2) * dy).sum(axis=1)])
    usable = (total > 0) & (share > _LEAST_SHARE)
    return np.where(usable[:, None], 2 * pull / np.where(usable, total, 1.0)[:, None], np.nan)
