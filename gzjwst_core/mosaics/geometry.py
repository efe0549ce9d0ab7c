"""Boxes of pixels: windows, tiles, and where a WCS places them on the sky.

How a WCS is read and written is `wcs`. Axis order is (y, x) everywhere; boxes are half-open and may reach beyond their
array. Nothing here opens a file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from astropy.wcs import WCS, NoConvergence
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError

Floats: TypeAlias = NDArray[np.float64]

__all__ = [
    "Affine",
    "Box",
    "fit_affine",
    "grid_axes",
    "grid_positions",
    "mapped_axes",
    "pixel_scale_arcsec",
    "sky_axes",
    "sky_jacobian",
    "stated_wcs",
    "tiles",
    "whole",
]

_ARCSEC = math.pi / 180 / 3600
_MOST_RETURN_ERROR = 0.01 * _ARCSEC


class Box(NamedTuple):
    """A half-open rectangle of pixels, rows [y0, y1) and columns [x0, x1); it may reach beyond its array."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; never negative."""
        return max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of these pixels in an array that holds them all (clip the box first)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, margin: int) -> "Box":
        """Return the box with a margin on every side."""
        return Box(self.y0 - margin, self.y1 + margin, self.x0 - margin, self.x1 + margin)

    def clip(self, shape: tuple[int, int]) -> "Box":
        """Return the part inside an array of this shape (empty boxes keep their place)."""
        ny, nx = shape
        y0, x0 = min(max(self.y0, 0), ny), min(max(self.x0, 0), nx)
        return Box(y0, max(min(self.y1, ny), y0), x0, max(min(self.x1, nx), x0))

    def shift(self, dy: int, dx: int) -> "Box":
        """Return the box moved by whole pixels."""
        return Box(self.y0 + dy, self.y1 + dy, self.x0 + dx, self.x1 + dx)

    def holds(self, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which pixel positions lie inside."""
        inside: NDArray[np.bool_] = (y >= self.y0) & (y < self.y1) & (x >= self.x0) & (x < self.x1)
        return inside


def whole(shape: tuple[int, int]) -> Box:
    """Return the box of a whole array."""
    return Box(0, shape[0], 0, shape[1])


def tiles(shape: tuple[int, int], side: int) -> Iterator[Box]:
    """Partition an array into squares of `side` pixels, row by row; the last ones of a row or column are smaller.

    Parameters
    ----------
    shape
        Rows and columns of the array.
    side
        Pixels, at least 1.

    Yields
    ------
    Box
        Every pixel of the array is in exactly one of them.
    """
    for y0 in range(0, shape[0], side):
        for x0 in range(0, shape[1], side):
            yield Box(y0, min(y0 + side, shape[0]), x0, min(x0 + side, shape[1]))


def stated_wcs(shape: tuple[int, int], scale_arcsec: float, ra_deg: float, dec_deg: float) -> WCS:
    """Build the WCS of an array whose geometry is stated: TAN, north up, east left, given point at its centre.

    Parameters
    ----------
    shape
        Rows and columns.
    scale_arcsec
        Side of a pixel.
    ra_deg, dec_deg
        Sky position of the array's centre.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def pixel_scale_arcsec(wcs: WCS) -> float:
    """Return the side of a square of a pixel's area at the WCS's reference point, arcsec."""
    return float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600.0


def grid_positions(wcs: WCS, ra_deg: NDArray[Any], dec_deg: NDArray[Any]) -> tuple[Floats, Floats]:
    """Find sky positions on a grid.

    Parameters
    ----------
    wcs
        Celestial.
    ra_deg, dec_deg
        (n,) ICRS; anywhere on the sky.

    Returns
    -------
    x, y
        (n,) 0-based pixels; NaN where the grid does not show the position: a tangent plane has no far side, and a
        distortion is good near its own pixels alone.
    """
    sky = np.column_stack([ra_deg, dec_deg]).astype(float)
    if sky.size == 0:
        return np.empty(0), np.empty(0)
    with np.errstate(all="ignore"):
        found = np.asarray(wcs.all_world2pix(sky, 0, quiet=True))
        found[~np.isfinite(found).all(axis=1)] = np.nan
        back = np.asarray(wcs.all_pix2world(found, 0))
        missed = np.linalg.norm(_vectors(*back.T) - _vectors(*sky.T), axis=0)
        found[~(missed < _MOST_RETURN_ERROR)] = np.nan
    return found[:, 0], found[:, 1]


def sky_jacobian(wcs: WCS, x: NDArray[Any], y: NDArray[Any]) -> Floats:
    """Return how the sky runs along a grid's pixels.

    Parameters
    ----------
    wcs
        Celestial; its distortion counts.
    x, y
        (n,) 0-based pixels.

    Returns
    -------
    ndarray
        (n, 2, 2) arcsec per pixel: [[east along x, east along y], [north along x, north along y]], from differences
        over a pixel. They are taken between unit vectors, so that they hold at a pole and across RA 0.
    """
    x, y, step = np.asarray(x, dtype=float), np.asarray(y, dtype=float), 0.5
    places = [(x, y), (x + step, y), (x - step, y), (x, y + step), (x, y - step)]
    ra, dec = (np.asarray(v) for v in wcs.all_pix2world(*(np.concatenate(v) for v in zip(*places, strict=True)), 0))
    _, right, left, up, down = np.split(_vectors(ra, dec), 5, axis=1)
    lon, lat = np.radians(ra[: x.size]), np.radians(dec[: x.size])
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros(x.size)])
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    along = [[np.sum(axis * step, axis=0) for step in (right - left, up - down)] for axis in (east, north)]
    return np.moveaxis(np.array(along), -1, 0) / _ARCSEC


def mapped_axes(matrix: Floats, a: Floats, b: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """Carry ellipses through linear maps.

    Parameters
    ----------
    matrix
        (2, 2), or (n, 2, 2) with one for each ellipse.
    a, b, theta
        (n,) semi-axes, and the angle of the major one from the first axis to the second, radian.

    Returns
    -------
    a, b, theta
        After the map; NaN where one of them was not finite.

    Notes
    -----
    The quadratic form of an ellipse, C = R diag(a^2, b^2) R^T, becomes M C M^T; its axes are the roots of the
    eigenvalues.
    """
    known = np.isfinite(a) & np.isfinite(b) & np.isfinite(theta)
    cos, sin = np.cos(np.where(known, theta, 0.0)), np.sin(np.where(known, theta, 0.0))
    a2, b2 = np.where(known, a, 1.0) ** 2, np.where(known, b, 1.0) ** 2
    form = np.empty((a2.size, 2, 2))
    form[:, 0, 0] = a2 * cos**2 + b2 * sin**2
    form[:, 1, 1] = a2 * sin**2 + b2 * cos**2
    form[:, 0, 1] = form[:, 1, 0] = (a2 - b2) * sin * cos
    values, vectors = np.linalg.eigh(matrix @ form @ np.swapaxes(matrix, -1, -2))
    short, long = np.sqrt(np.maximum(values, 0)).T
    angle = np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])
    return np.where(known, long, np.nan), np.where(known, short, np.nan), np.where(known, angle, np.nan)


def sky_axes(jacobian: Floats, a: Floats, b: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """Carry ellipses from pixels to the sky.

    Parameters
    ----------
    jacobian
        (n, 2, 2) from `sky_jacobian`, at their centres.
    a, b, theta
        (n,) semi-axes in pixels, and the angle of the major one from +x to +y, radian; NaN where not known.

    Returns
    -------
    a, b, angle
        (n,) semi-axes in arcsec; position angle of the major one, degrees east of north, in [0, 180).
    """
    long, short, turned = mapped_axes(jacobian, a, b, theta)
    return long, short, np.mod(np.mod(90.0 - np.degrees(turned), 180.0), 180.0)


def grid_axes(jacobian: Floats, a: Floats, b: Floats, angle_deg: Floats) -> tuple[Floats, Floats, Floats]:
    """Carry ellipses from the sky to pixels: the inverse of `sky_axes`."""
    return mapped_axes(np.asarray(np.linalg.inv(jacobian), dtype=np.float64), a, b, np.radians(90.0 - angle_deg))


def _vectors(ra_deg: NDArray[Any], dec_deg: NDArray[Any]) -> Floats:
    """Return unit vectors, (3, n)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


@dataclass(frozen=True, slots=True)
class Affine:
    """A local linear map from pixels of one grid to pixels of another: `(x', y') = matrix @ (x, y) + offset`."""

    matrix: NDArray[np.float64]
    """(2, 2), acting on (x, y)."""
    offset: NDArray[np.float64]
    """(2,)."""
    residual: float
    """Largest departure from the true map over the box it was fitted on, pixels of the target grid."""

    def __call__(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Map pixel positions."""
        m, o = self.matrix, self.offset
        return m[0, 0] * x + m[0, 1] * y + o[0], m[1, 0] * x + m[1, 1] * y + o[1]


def fit_affine(source: WCS, target: WCS, box: Box, points: int = 5) -> Affine:
    """Fit the linear map between two grids over a box of the first.

    Parameters
    ----------
    source, target
        WCS of the grid the box is on, and of the grid to map to.
    box
        Where the map is needed.
    points
        Side of the lattice of points the fit uses.

    Raises
    ------
    MosaicLayoutError
        If the two grids do not look at the same part of the sky.

    Notes
    -----
    Least squares. Over a tile of a TAN mosaic the true map departs from it by far less than 0.01 pixel; `residual`
    says by how much, so that a caller can turn to the exact map where a distorted grid needs it.
    """
    y, x = np.meshgrid(np.linspace(box.y0, box.y1, points), np.linspace(box.x0, box.x1, points), indexing="ij")
    here = np.column_stack([x.ravel(), y.ravel()])
    try:
        there = np.asarray(target.all_world2pix(source.all_pix2world(here, 0), 0))
    except (NoConvergence, ValueError) as error:
        raise MosaicLayoutError(f"two grids of one field do not match: {error}", reason="bad_wcs") from error
    if not np.isfinite(there).all():
        raise MosaicLayoutError("two grids of one field look at different parts of the sky", reason="bad_wcs")
    design = np.column_stack([here - here.mean(axis=0), np.ones(len(here))])
    solution, *_ = np.linalg.lstsq(design, there, rcond=None)
    residual = float(np.abs(design @ solution - there).max())
    matrix = solution[:2].T
    return Affine(matrix, solution[2] - matrix @ here.mean(axis=0), residual)
