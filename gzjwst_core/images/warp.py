"""Bring stretched pixels to the picture's grid: north up, east left, by the WCS of each band.

Arrays and placements only. Stretching comes first: linear pixels around a star would ring here.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import Placement

__all__ = ["binned", "picture_grid", "resampled"]

_PAD = 2
_COARSEST = 1.5


def picture_grid(fov_arcsec: float, size_px: int) -> Placement:
    """Return the grid of a picture: row 0 is the north edge, column 0 the east edge, the target in the very centre."""
    centre, scale = (size_px - 1) / 2, size_px / fov_arcsec
    return Placement(x=centre, y=centre, xe=-scale, xn=0.0, ye=0.0, yn=-scale)


def resampled(levels: NDArray[np.float32], at: Placement, to: Placement, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate to another grid with Catmull-Rom cubics, in two passes.

    Parameters
    ----------
    levels
        (ny, nx), finite.
    at
        The target on the pixels of `levels`.
    to
        The target on the pixels of the result.
    shape
        Rows and columns of the result.

    Returns
    -------
    ndarray of float32
        What lies outside repeats the edge.

    Notes
    -----
    Rows first, then columns, as in Catmull and Smith (1980, SIGGRAPH 14, 279): 8 taps a pixel where a plain cubic
    needs 16.
    Where the result's pixels are much larger than the input's (a small picture), blocks are averaged first.
    """
    m = at.matrix @ np.linalg.inv(to.matrix)
    coarser = math.sqrt(abs(np.linalg.det(m)))
    if coarser > _COARSEST:
        return resampled(*binned(levels, at, math.floor(coarser + 0.5)), to, shape)
    if abs(m[1, 1]) < abs(m[1, 0]):  # nearer to a quarter turn: swap the axes of the input
        levels, m, at = levels.T, m[::-1], replace(at, x=at.y, y=at.x)
    x0, y0 = np.array([at.x, at.y]) - m @ np.array([to.x, to.y])
    (a, b), (c, d) = m
    rows, columns = np.arange(levels.shape[0])[:, None], np.arange(shape[1])[None, :]
    x = (x0 - b * y0 / d) + (a - b * c / d) * columns + (b / d) * rows
    across = _cubic_rows(levels, x.astype(np.float32))
    y = y0 + c * columns + d * np.arange(shape[0])[:, None]
    return _cubic_columns(across, y.astype(np.float32))


def _cubic_rows(values: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Value at column x of each row; x is (ny, n)."""
    padded = np.pad(values, ((0, 0), (_PAD, _PAD)), mode="edge")
    first, part = _split(x, values.shape[1])
    first += np.arange(values.shape[0], dtype=np.int32)[:, None] * np.int32(padded.shape[1])
    return _catmull_rom(padded.ravel(), first, 1, part)


def _cubic_columns(values: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Value at row y of each column; y is (n, nx)."""
    padded = np.pad(values, ((_PAD, _PAD), (0, 0)), mode="edge")
    first, part = _split(y, values.shape[0])
    first *= np.int32(padded.shape[1])
    first += np.arange(values.shape[1], dtype=np.int32)[None, :]
    return _catmull_rom(padded.ravel(), first, padded.shape[1], part)


def _split(positions: NDArray[np.float32], count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """First of the four taps (index into the padded axis) and the fraction beyond the second."""
    inside = np.clip(positions, np.float32(-1), np.float32(count - 0.001))  # the fourth tap stays on the padding
    below = np.floor(inside)
    inside -= below
    return below.astype(np.int32) + np.int32(_PAD - 1), inside


def _catmull_rom(
    flat: NDArray[np.float32], first: NDArray[np.int32], step: int, t: NDArray[np.float32]
) -> NDArray[np.float32]:
    p0, p1, p2, p3 = (flat.take(first + np.int32(k * step), mode="clip") for k in range(4))
    out = 3 * (p1 - p2)
    out += p3
    out -= p0
    out *= t
    out += 2 * p0
    out -= 5 * p1
    out += 4 * p2
    out -= p3
    out *= t
    out += p2
    out -= p0
    out *= t
    out *= np.float32(0.5)
    out += p1
    return np.asarray(out, dtype=np.float32)


def binned(levels: NDArray[np.float32], at: Placement, side: int) -> tuple[NDArray[np.float32], Placement]:
    """Average blocks of `side` x `side` pixels (what does not fill a block at the far edges is dropped)."""
    ny, nx = levels.shape[0] // side * side, levels.shape[1] // side * side
    blocks = levels[:ny, :nx].reshape(ny // side, side, nx // side, side).mean(axis=(1, 3), dtype=np.float32)
    half = (side - 1) / 2
    moved = Placement(
        x=(at.x - half) / side,
        y=(at.y - half) / side,
        xe=at.xe / side,
        xn=at.xn / side,
        ye=at.ye / side,
        yn=at.yn / side,
    )
    return blocks, moved
