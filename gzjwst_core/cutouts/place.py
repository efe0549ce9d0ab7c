"""Where a target lies on one pixel grid: position, local scale and orientation, and the window to cut.

Sky to pixels through a WCS, and from one window's pixels to another's. Nothing here holds an image's pixels.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from astropy.wcs import WCS, NoConvergence
from numpy.typing import NDArray

from gzjwst_core.mosaics.geometry import Box

T = TypeVar("T", bound=np.generic)

__all__ = ["MARGIN_PX", "Placement", "carried", "place", "window_box"]

MARGIN_PX = 2
"""Pixels that a window holds beyond the field of view on each side: what cubic interpolation reaches."""

_STEP_ARCSEC = 1.0
_ARCSEC = math.pi / 180 / 3600


@dataclass(frozen=True, slots=True)
class Placement:
    """A target on one pixel grid.

    `x = self.x + xe * east + xn * north`, `y = self.y + ye * east + yn * north`, with offsets on the sky in arcsec.
    """

    x: float
    """Column of the target, 0-based."""
    y: float
    """Row of the target, 0-based."""
    xe: float
    """Pixels of x for each arcsec to the east; the others alike."""
    xn: float
    ye: float
    yn: float

    def inside(self, box: Box) -> "Placement":
        """Return the placement on the window's own pixels."""
        return replace(self, x=self.x - box.x0, y=self.y - box.y0)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """[[xe, xn], [ye, yn]], pixels per arcsec."""
        return np.array([[self.xe, self.xn], [self.ye, self.yn]])

    @property
    def scale_arcsec(self) -> float:
        """Side of a square of a pixel's area."""
        return 1 / math.sqrt(abs(self.xe * self.yn - self.xn * self.ye))


def place(wcs: WCS, ra_deg: float, dec_deg: float) -> Placement | None:
    """Find a sky position on a grid.

    Parameters
    ----------
    wcs
        Celestial WCS of two axes.
    ra_deg, dec_deg
        ICRS position.

    Returns
    -------
    Placement or None
        None where the projection does not reach that position.

    Notes
    -----
    The scale comes from points 1 arcsec to each side. Over a field of view of 12 arcsec a mosaic's TAN projection
    departs from this linear map by less than 1e-5 pixel.
    """
    sky = _cross(ra_deg, dec_deg)
    try:
        found = wcs.all_world2pix(sky, 0) if wcs.has_distortion else wcs.wcs_world2pix(sky, 0)
    except NoConvergence:
        return None
    if not np.isfinite(found).all():
        return None
    (x, y), east, west, north, south = found.tolist()
    span = 2 * _STEP_ARCSEC
    return Placement(
        x=x,
        y=y,
        xe=(east[0] - west[0]) / span,
        xn=(north[0] - south[0]) / span,
        ye=(east[1] - west[1]) / span,
        yn=(north[1] - south[1]) / span,
    )


def _cross(ra_deg: float, dec_deg: float) -> NDArray[np.float64]:
    """Return the position itself and the points 1 arcsec to its east, west, north and south: (5, 2), deg."""
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    here = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
    east = np.array([-math.sin(ra), math.cos(ra), 0.0]) * _STEP_ARCSEC * _ARCSEC
    north = np.cross(here, east)
    x, y, z = np.stack([here + east, here - east, here + north, here - north]).T
    sky = np.empty((5, 2))
    sky[0] = ra_deg, dec_deg
    sky[1:, 0] = np.degrees(np.arctan2(y, x))
    sky[1:, 1] = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return sky


def window_box(at: Placement, fov_arcsec: float) -> Box:
    """Window that holds the field of view, north up, whatever the grid's roll.

    Parameters
    ----------
    at
        The target on the grid.
    fov_arcsec
        Side of the square on the sky whose sides run north and east.

    Returns
    -------
    Box
        A square; the target is within half a pixel of its centre. It may reach beyond the mosaic.
    """
    reach = max(abs(at.xe) + abs(at.xn), abs(at.ye) + abs(at.yn))
    side = math.ceil(fov_arcsec * reach - 1e-6) + 2 * MARGIN_PX
    x0 = math.floor(at.x - (side - 1) / 2 + 0.5)
    y0 = math.floor(at.y - (side - 1) / 2 + 0.5)
    return Box(y0, y0 + side, x0, x0 + side)


def carried(values: NDArray[T], at: Placement, to: Placement, shape: tuple[int, int], *, step: int = 1) -> NDArray[T]:
    """Carry labels or masks from one window's grid to another's: the nearest pixel's value, 0 outside.

    Parameters
    ----------
    values
        (ny, nx) of any dtype.
    at
        The target on the pixels of `values`.
    to
        The same target on the pixels of the result.
    shape
        Rows and columns of the result's grid.
    step
        Only every so many rows and columns of the result.

    Returns
    -------
    ndarray
        Dtype of `values`.
    """
    m = at.matrix @ np.linalg.inv(to.matrix)
    dy = (np.arange(0, shape[0], step) - to.y)[:, None]
    dx = (np.arange(0, shape[1], step) - to.x)[None, :]
    x = np.rint(at.x + m[0, 0] * dx + m[0, 1] * dy).astype(np.intp)
    y = np.rint(at.y + m[1, 0] * dx + m[1, 1] * dy).astype(np.intp)
    ny, nx = values.shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    taken: NDArray[T] = values.ravel()[np.where(inside, y * nx + x, 0)]
    taken[~inside] = values.dtype.type(0)
    return taken
