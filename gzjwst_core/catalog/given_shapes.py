"""Shapes that are given instead of detected: segments of ellipses, and apertures from growth of light.

Arrays in, arrays out. Positions are 0-based pixels of the window that is given. Whose shapes they are, and where they
come from, is `targets`.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.catalog import measure
from gzjwst_core.catalog.carry import Ellipses
from gzjwst_core.catalog.measure import Kron, Scene

__all__ = ["GIVEN_FACTOR", "GROWTH_ARCSEC", "given_apertures", "growth_radii", "label_ellipses", "leaders"]

Floats = NDArray[np.float64]

GIVEN_FACTOR = 6.0
"""Given apertures in units of the objects' ellipses, which stand for them where windows are laid out."""
GROWTH_ARCSEC = 6.0
"""Light is followed out to this radius."""
_FIRST_ARCSEC, _RADII = 0.1, 20
_EMPTY_SIGMA, _RISE_SIGMA, _RISE, _FALLEN = 1.0, 2.0, 1.1, 0.5


def given_apertures(ellipses: Ellipses) -> Kron:
    """Return apertures that were given, as if they were Kron ellipses; round ones count as circles."""
    whole = ellipses.scaled(GIVEN_FACTOR)
    return Kron(whole, np.full(ellipses.a.shape, np.nan), ellipses.a == ellipses.b)


def label_ellipses(ellipses: Ellipses, ids: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Label the pixels of ellipses; a pixel in several is the one's whose centre is nearest, in units of its axes.

    Parameters
    ----------
    ellipses
        On this window; may reach beyond it.
    ids
        (n,) above 0.
    shape
        Rows and columns of the window.

    Returns
    -------
    ndarray
        (ny, nx) int32; 0 = in none. The pixel of a centre is its own ellipse's, the first one's where centres share it.
    """
    labels, nearest = np.zeros(shape, dtype=np.int32), np.full(shape, np.inf)
    for row in range(ellipses.a.size):
        place = _window(ellipses, row, shape)
        distance = _axes_away(ellipses, row, place)
        closer = (distance <= 1) & (distance < nearest[place])
        labels[place][closer] = ids[row]
        nearest[place][closer] = distance[closer]
    y, x = np.rint(ellipses.y).astype(int)[::-1], np.rint(ellipses.x).astype(int)[::-1]
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    labels[y[inside], x[inside]] = ids[::-1][inside]
    return labels


def _window(ellipses: Ellipses, row: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    reach = ellipses.a[row] + 1
    y, x = ellipses.y[row], ellipses.x[row]
    low_y, high_y = np.clip([np.floor(y - reach), np.ceil(y + reach) + 1], 0, shape[0]).astype(int)
    low_x, high_x = np.clip([np.floor(x - reach), np.ceil(x + reach) + 1], 0, shape[1]).astype(int)
    return slice(low_y, high_y), slice(low_x, high_x)


def _axes_away(ellipses: Ellipses, row: int, place: tuple[slice, slice]) -> Floats:
    """Squared distance of pixels from the centre, in units of the axes."""
    dy = np.arange(place[0].start, place[0].stop)[:, None] - ellipses.y[row]
    dx = np.arange(place[1].start, place[1].stop)[None, :] - ellipses.x[row]
    cos, sin = np.cos(ellipses.theta[row]), np.sin(ellipses.theta[row])
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    squared: Floats = (along / ellipses.a[row]) ** 2 + (across / ellipses.b[row]) ** 2
    return squared


def growth_radii(scene: Scene, x: Floats, y: Floats, scale_arcsec: float) -> Floats:
    """Find the circles out to which sources have light.

    Parameters
    ----------
    scene
        The detection image, with neighbours' segments.
    x, y
        Where.
    scale_arcsec
        Side of a pixel.

    Returns
    -------
    ndarray
        (n,) pixels, between 0.1 and 6 arcsec: the inner radius of the first ring whose surface brightness is within 1
        sigma of nothing, or rises again, by a tenth and 2 sigma, after it had fallen to half its height (a neighbour).
    """
    radii = np.geomspace(_FIRST_ARCSEC, GROWTH_ARCSEC, _RADII) / scale_arcsec
    sums = [measure.aperture_fluxes(scene, x, y, float(radius)) for radius in radii]
    flux, error = (np.nan_to_num(np.array([one[n] for one in sums])) for n in (0, 1))
    area = np.diff(np.pi * radii**2)[:, None]
    light = np.diff(flux, axis=0) / area
    noise = np.sqrt(np.maximum(np.diff(error**2, axis=0), 0)) / area
    low, high = np.minimum.accumulate(light), np.maximum.accumulate(light)
    fallen = np.zeros(light.shape, dtype=bool)
    fallen[1:] = low[:-1] < _FALLEN * high[:-1]
    lowest = np.vstack([light[:1], low[:-1]])
    ended = (light <= _EMPTY_SIGMA * noise) | (fallen & (light > _RISE * lowest + _RISE_SIGMA * noise))
    last = np.where(ended.any(axis=0), ended.argmax(axis=0), len(radii) - 1)
    return radii[last]


def leaders(x: Floats, y: Floats, radius_px: float) -> NDArray[np.int64]:
    """Return for each place the first one within the radius that is no follower itself; places too close are one.

    Parameters
    ----------
    x, y
        (n,) in order of precedence.
    radius_px
        Two places this close are one object.
    """
    cell = np.floor(np.stack([x, y]) / max(radius_px, 1e-9)).astype(np.int64).T.tolist()
    chosen = np.arange(x.size)
    taken: dict[tuple[int, int], list[int]] = {}
    for row, (column, line) in enumerate(cell):
        beside = [one for i in (-1, 0, 1) for j in (-1, 0, 1) for one in taken.get((column + i, line + j), ())]
        close = [one for one in beside if np.hypot(x[one] - x[row], y[one] - y[row]) <= radius_px]
        if close:
            chosen[row] = min(close)
        else:
            taken.setdefault((column, line), []).append(row)
    return chosen
