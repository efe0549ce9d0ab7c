"""Exact zeros of a mosaic without weights: gaps, or pixels whose light came out as 0.

A resampled mosaic is 0 where no exposure lies, and nowhere else by chance. Where pixels are whole numbers of some step
(integers, `fpack` without dither) one in ten may be 0 on empty sky: there only regions of zeros are gaps. Every pixel
is judged from a block of the mosaic's own grid and a margin, so that the answer is the same in every window.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.mosaics.geometry import Box

__all__ = ["surroundings", "zero_gaps"]

_BLOCK_PX = 128
_MARGIN_PX = 32
_STEPPED_SHARE = 0.05
"""Share of values that come more than once: float32 noise over a block has 0.2 %, a step of a hundredth of it 40 %."""
_SQUARE_PX = 4
_RUN_PX = 16
"""Side of a square, and part of a row or column, that is a gap: one by chance in 10^11 pixels, with a zero in five."""
_BRIGHT = 10.0
"""Times the scatter: what light beside a zero makes it a hole."""
_EIGHT = np.ones((3, 3), dtype=bool)


def surroundings(box: Box, shape: tuple[int, int]) -> Box:
    """Return what must be known to judge the zeros of a box inside a mosaic of this shape."""
    y0, x0 = (at // _BLOCK_PX * _BLOCK_PX for at in (box.y0, box.x0))
    y1, x1 = (-(-at // _BLOCK_PX) * _BLOCK_PX for at in (box.y1, box.x1))
    return Box(y0, y1, x0, x1).grow(_MARGIN_PX).clip(shape)


def zero_gaps(sci: NDArray[np.float32], around: Box, box: Box) -> NDArray[np.bool_]:
    """Tell which exact zeros of a box are no coverage.

    Parameters
    ----------
    sci
        (ny, nx), NaN = nothing is known; any unit.
    around
        Where it lies in its mosaic: the box's `surroundings`; less gives an answer that depends on the window.
    box
        Inside `around`.

    Returns
    -------
    ndarray
        Of the box's shape, bool. In each block of the grid all zeros, unless many of the block's values come more than
        once. Then those of a region (connected by sides) that holds a square of 4 pixels or 16 in a row or column, and
        holes in bright light, which saturation leaves.
    """
    gaps = np.zeros(box.shape, dtype=bool)
    for y0 in range(box.y0 // _BLOCK_PX * _BLOCK_PX, box.y1, _BLOCK_PX):
        for x0 in range(box.x0 // _BLOCK_PX * _BLOCK_PX, box.x1, _BLOCK_PX):
            block = Box(y0, y0 + _BLOCK_PX, x0, x0 + _BLOCK_PX)
            inner, wide = _common(block, box), _common(block.grow(_MARGIN_PX), around)
            if (sci[_at(inner, around)] == 0).any():
                gaps[_at(inner, box)] = _gaps_of(sci[_at(wide, around)])[_at(inner, wide)]
    return gaps


def _common(one: Box, other: Box) -> Box:
    return Box(max(one.y0, other.y0), min(one.y1, other.y1), max(one.x0, other.x0), min(one.x1, other.x1))


def _at(box: Box, origin: Box) -> tuple[slice, slice]:
    """Index of a box in the array of another that holds it."""
    return box.shift(-origin.y0, -origin.x0).slices


def _gaps_of(sci: NDArray[np.float32]) -> NDArray[np.bool_]:
    zero: NDArray[np.bool_] = sci == 0
    values = sci[np.isfinite(sci) & ~zero]
    if not _is_stepped(values):
        return zero
    regions, count = ndimage.label(zero)
    is_gap = np.zeros(count + 1, dtype=bool)
    is_gap[regions[_solid(zero)]] = True
    gaps: NDArray[np.bool_] = is_gap[regions] & zero
    return gaps | _holes(zero & ~gaps, np.abs(sci) > _BRIGHT * _scatter(values))


def _is_stepped(values: NDArray[np.float32]) -> bool:
    ordered = np.sort(values)
    return bool(np.count_nonzero(ordered[1:] == ordered[:-1]) > _STEPPED_SHARE * ordered.size)


def _solid(zero: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark one pixel or more of every square and run of zeros."""
    marks = zero.astype(np.uint8)
    square = ndimage.minimum_filter(marks, _SQUARE_PX, mode="constant")
    runs = [ndimage.minimum_filter1d(marks, _RUN_PX, axis, mode="constant") for axis in (0, 1)]
    solid: NDArray[np.bool_] = (square | runs[0] | runs[1]) > 0
    return solid


def _scatter(values: NDArray[np.float32]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _holes(zero: NDArray[np.bool_], bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the groups of zeros (connected by sides or corners) that touch nothing but bright light and gaps."""
    groups, count = ndimage.label(zero, structure=_EIGHT)
    is_hole = np.ones(count + 1, dtype=bool)
    is_hole[groups[ndimage.binary_dilation(~(zero | bright), structure=_EIGHT)]] = False
    holes: NDArray[np.bool_] = is_hole[groups] & zero
    return holes
