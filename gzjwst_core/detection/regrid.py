"""Carry positions, ellipses and labels from the detection grid to another grid of the same sky.

Positions go through both WCS exactly; shapes and labels through the local affine map of a tile. Science pixels are
never resampled for photometry; only a second detection band is, by `resample`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, uniform_filter

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.mosaics.geometry import Affine, Box, mapped_axes

__all__ = ["Ellipses", "Owners", "aligned_shift", "box_on", "carry_ellipses", "carry_labels", "resample"]

_ALIGNED_PX = 0.02
_MARGIN_PX = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ellipses:
    """Ellipses on one grid, one array each: 0-based centre, semi-axes in pixels, theta in radian from +x to +y."""

    x: Floats
    y: Floats
    a: Floats
    b: Floats
    theta: Floats

    def take(self, which: NDArray[Any]) -> "Ellipses":
        """Return some of them."""
        return Ellipses(self.x[which], self.y[which], self.a[which], self.b[which], self.theta[which])

    def scaled(self, factor: Floats | float) -> "Ellipses":
        """Return them with both axes scaled."""
        return Ellipses(self.x, self.y, self.a * factor, self.b * factor, self.theta)

    def shift(self, dy: float, dx: float) -> "Ellipses":
        """Return them moved."""
        return Ellipses(self.x + dx, self.y + dy, self.a, self.b, self.theta)

    @property
    def area(self) -> Floats:
        """Pixels inside."""
        area: Floats = np.pi * self.a * self.b
        return area


def aligned_shift(affine: Affine) -> tuple[int, int] | None:
    """Return the whole-pixel shift (dy, dx) between two grids, or None where they are not the same lattice."""
    shift = np.rint(affine.offset)
    same = np.abs(affine.matrix - np.eye(2)).max() * 4096 < _ALIGNED_PX
    same &= np.abs(affine.offset - shift).max() < _ALIGNED_PX
    return (int(shift[1]), int(shift[0])) if same else None


def box_on(affine: Affine, box: Box, margin: int = _MARGIN_PX) -> Box:
    """Return the box on the other grid that holds a whole box of this one, with a margin."""
    x = np.array([box.x0, box.x1, box.x0, box.x1], dtype=float)
    y = np.array([box.y0, box.y0, box.y1, box.y1], dtype=float)
    x, y = affine(x, y)
    low_y, high_y = int(np.floor(y.min())), int(np.ceil(y.max()))
    low_x, high_x = int(np.floor(x.min())), int(np.ceil(x.max()))
    return Box(low_y, high_y + 1, low_x, high_x + 1).grow(margin)


def carry_ellipses(ellipses: Ellipses, affine: Affine, x: Floats, y: Floats) -> Ellipses:
    """Carry shapes through a linear map.

    Parameters
    ----------
    ellipses
        On the grid the map comes from.
    affine
        Map to the other grid.
    x, y
        Centres on the other grid (exact, from the WCS).
    """
    a, b, theta = mapped_axes(affine.matrix, ellipses.a, ellipses.b, ellipses.theta)
    return Ellipses(x, y, a, b, half_turn(theta))


def half_turn(theta: Floats) -> Floats:
    """Bring angles of axes into (-pi/2, pi/2], as SEP wants them."""
    turned: Floats = np.pi / 2 - np.mod(np.pi / 2 - theta, np.pi)
    return np.clip(turned, -np.pi / 2, np.pi / 2)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose the sky is, at places finer than a band's own pixels: the labels where they were drawn."""

    labels: NDArray[np.int32]
    """(ny, nx) window of the detection grid."""
    back: Affine
    """From pixels of the band's window to pixels of that window."""

    def at(self, x: Floats, y: Floats) -> NDArray[np.int32]:
        """Return the label at places of the band's window (arrays that broadcast); 0 beyond the labels."""
        column, line = (np.rint(v).astype(np.int64) for v in self.back(*np.broadcast_arrays(x, y)))
        ny, nx = self.labels.shape
        inside = (column >= 0) & (column < nx) & (line >= 0) & (line < ny)
        found = self.labels[np.where(inside, line, 0), np.where(inside, column, 0)]
        return np.where(inside, found, np.int32(0))

    @classmethod
    def same_grid(cls, labels: NDArray[np.int32]) -> "Owners":
        """Return the labels of a window that were drawn on its own pixels."""
        return cls(labels, Affine(np.eye(2), np.zeros(2), 0.0))

    @classmethod
    def carried(cls, labels: NDArray[np.int32], box: Box, target: Box, back: Affine) -> "Owners":
        """Return the labels of a box, seen from another grid's window; arguments as for `carry_labels`."""
        start = back.matrix @ np.array([target.x0, target.y0]) + back.offset - np.array([box.x0, box.y0])
        return cls(labels, Affine(back.matrix, start, back.residual))


def carry_labels(labels: NDArray[np.int32], box: Box, target: Box, back: Affine) -> NDArray[np.int32]:
    """Look labels up for the pixels of another grid: each gets the label of the pixel its centre falls on.

    Parameters
    ----------
    labels
        (ny, nx) of `box`, on the detection grid.
    box, target
        Where the labels lie, and which pixels of the other grid are asked for.
    back
        Map from the other grid to the detection grid.

    Returns
    -------
    ndarray
        (ny, nx) of `target`; 0 outside `box`.
    """
    m = back.matrix
    x, y = np.arange(target.shape[1]), np.arange(target.shape[0])
    start = m @ np.array([target.x0, target.y0]) + back.offset - np.array([box.x0, box.y0])
    at_x = _nearest(m[0, 0] * x, m[0, 1] * y + start[0])
    at_y = _nearest(m[1, 0] * x, m[1, 1] * y + start[1])
    ny, nx = labels.shape
    framed = np.zeros((ny + 2, nx + 2), dtype=np.int32)  # what falls outside is clipped onto a frame of zeros
    framed[1:-1, 1:-1] = labels
    at_x, at_y = np.clip(at_x, -1, nx) + 1, np.clip(at_y, -1, ny) + 1
    carried: NDArray[np.int32] = framed.ravel().take(at_y * (nx + 2) + at_x)
    return carried


def _nearest(along: Floats, across: Floats) -> NDArray[np.int32]:
    summed = along.astype(np.float32)[None, :] + across.astype(np.float32)[:, None]
    nearest: NDArray[np.int32] = np.rint(summed).astype(np.int32)
    return nearest


def resample(frame: Frame, box: Box, target: Box, affine: Affine) -> Frame:
    """Bring a band onto the detection grid; for the detection image only.

    Parameters
    ----------
    frame, box
        Pixels of the other grid, and where they lie.
    target
        Pixels of the detection grid that are asked for.
    affine
        Map from the detection grid to the other one.

    Returns
    -------
    Frame
        uJy per pixel of the detection grid. Cubic interpolation; where the other grid is finer its pixels are first
        averaged over a detection pixel. A pixel is bad if what it is made of is not all good.
    """
    area = abs(float(np.linalg.det(affine.matrix)))
    matrix = affine.matrix[::-1, ::-1]
    start = affine.matrix @ np.array([target.x0, target.y0]) + affine.offset - np.array([box.x0, box.y0])
    width = round(np.sqrt(area))
    sub, var = frame.sub, frame.err**2
    if width > 1:
        sub, var = uniform_filter(sub, width), uniform_filter(var, width) / width**2
    late = 0.5 if width > 1 and width % 2 == 0 else 0.0  # an even average is centred half a pixel early
    more: dict[str, Any] = {"offset": start[::-1] + late, "output_shape": target.shape, "mode": "constant"}
    empty = uniform_filter(frame.bad.astype(np.float32), max(width, 1))
    bad = affine_transform(empty, matrix, order=1, cval=1.0, **more) > 1e-3
    value = affine_transform(sub, matrix, order=3, **more) * np.float32(area)
    err = np.sqrt(affine_transform(var, matrix, order=1, **more)) * np.float32(area)
    bad |= ~(err > 0)
    value[bad], err[bad] = 0, 0
    return Frame(value, err, bad)
