"""Shapes that are given instead of detected: segments of ellipses, and apertures from growth of light.

Arrays in, arrays out. Positions are 0-based pixels of the window that is given. Whose shapes they are, and where they
come from, is `targets`.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.detection.regrid import Ellipses
from gzjwst_core.photometry.measure import Kron, Scene

__all__ = [
    "CIRCLE_OF_R50",
    "GIVEN_FACTOR",
    "GROWTH_ARCSEC",
    "given_apertures",
    "growth_radii",
    "label_ellipses",
    "leaders",
]

Floats = NDArray[np.float64]

GIVEN_FACTOR = 6.0
"""Given apertures in units of the objects' ellipses, which stand for them where windows are laid out."""
GROWTH_ARCSEC = 6.0
"""Light is followed out to this radius."""
_FIRST_ARCSEC, _RINGS = 0.1, 20
CIRCLE_OF_R50 = 3.0
"""Apertures where only the half-light radius is known: 96 % of the light of an exponential disc."""
_MEDIAN_OVER_MEAN = float(np.sqrt(np.pi / 2))
_EMPTY_SIGMA, _RISE_SIGMA, _RISE, _FALLEN = 2.0, 4.0, 1.1, 0.5


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
    """Find circles that hold the light of sources of which only the place is known: 3 half-light radii.

    Parameters
    ----------
    scene
        The detection image, with neighbours' segments; one id a source.
    x, y
        (n,) where.
    scale_arcsec
        Side of a pixel.

    Returns
    -------
    ndarray
        (n,) pixels; 0 where there is no light.

    Notes
    -----
    The half-light radius is that of the growth of light in rings, each of the median surface brightness of its pixels:
    neighbours that cover less than half of a ring do not count. It ends at the first ring whose median is within 2
    sigma of nothing, or rises again, by a tenth and 4 sigma, after it had fallen to half its height; at 6 arcsec at
    the latest. Sigma is that of uncorrelated pixels, about half of what it is in drizzled ones.
    """
    edges = np.concatenate([[0.0], np.geomspace(_FIRST_ARCSEC, GROWTH_ARCSEC, _RINGS)]) / scale_arcsec
    found = np.zeros(x.size)
    for row in range(x.size):
        light, noise = _rings(scene, row, (float(x[row]), float(y[row])), edges)
        last = _end_of_light(light, noise)
        growth = np.concatenate([[0.0], np.cumsum((light * np.diff(np.pi * edges**2))[:last])])
        if last:
            found[row] = CIRCLE_OF_R50 * np.interp(growth[-1] / 2, growth, edges[: last + 1])
    return found


def _rings(scene: Scene, row: int, at: tuple[float, float], edges: Floats) -> tuple[Floats, Floats]:
    """Median surface brightness of rings and its error, uJy a pixel; 0 where a ring has no pixel."""
    shape = (scene.labels.shape[0], scene.labels.shape[1])
    one = np.array([edges[-1]])
    place = _window(Ellipses(np.array([at[0]]), np.array([at[1]]), one, one, np.zeros(1)), 0, shape)
    dy = np.arange(place[0].start, place[0].stop)[:, None] - at[1]
    dx = np.arange(place[1].start, place[1].stop)[None, :] - at[0]
    labels = scene.labels[place]
    mine = ~scene.frame.bad[place] & ((labels == 0) | (labels == scene.ids[row]))
    ring = np.searchsorted(edges, np.hypot(dx, dy)[mine], side="right") - 1
    sub, err = scene.frame.sub[place][mine], scene.frame.err[place][mine]
    light, noise = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
    for number in range(edges.size - 1):
        inside = ring == number
        count = int(inside.sum())
        if count:
            light[number] = np.median(sub[inside])
            noise[number] = _MEDIAN_OVER_MEAN * np.median(err[inside]) / np.sqrt(count)
    return light, noise


def _end_of_light(light: Floats, noise: Floats) -> int:
    """Count the rings before the first one without light."""
    low, high = np.minimum.accumulate(light), np.maximum.accumulate(light)
    ended = light <= _EMPTY_SIGMA * noise
    fallen = low[:-1] < _FALLEN * high[:-1]
    ended[1:] |= fallen & (light[1:] > _RISE * low[:-1] + _RISE_SIGMA * noise[1:])
    return int(ended.argmax()) if ended.any() else light.size


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
