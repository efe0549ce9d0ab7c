"""Background of a mosaic: statistics of square meshes, and their smooth evaluation in any window.

Arrays in, arrays out. The meshes lie on a lattice fixed to the mosaic's first pixel, so that statistics made tile by
tile are those of the whole mosaic, and an evaluated window does not depend on how it was cut.
"""

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt, gaussian_filter, generic_filter, maximum_filter1d

from gzjwst_core.mosaics.geometry import Box

__all__ = ["Mesh", "cells", "fill_cells", "mesh_of", "mesh_statistics", "source_mask"]

Cells = NDArray[np.float64]

_LEAST_SHARE = 0.2
_SMALLEST_MESH_PX = 8
_MAD_TO_SIGMA = 1.4826
_SOURCE_SIGMA = 2.5


@dataclass(frozen=True)
class Mesh:
    """Background and noise of a mosaic on a lattice of square cells, without gaps.

    Attributes
    ----------
    side
        Side of a cell, pixels.
    back, rms
        (rows, columns) of cells; same unit as the image.
    """

    side: int
    back: Cells
    rms: Cells

    def back_in(self, box: Box) -> NDArray[np.float32]:
        """Evaluate the background at the pixels of a box, (ny, nx)."""
        return _evaluate(self.back, self.side, box)

    def rms_in(self, box: Box) -> NDArray[np.float32]:
        """Evaluate the rms of the background noise at the pixels of a box, (ny, nx)."""
        return _evaluate(self.rms, self.side, box)


def mesh_of(pixel_scale_arcsec: float, mesh_arcsec: float) -> int:
    """Return the side of a mesh in pixels: a multiple of 4, so that blocks of a quarter fit in, and at least 8."""
    return max(4 * round(mesh_arcsec / pixel_scale_arcsec / 4), _SMALLEST_MESH_PX)


def cells(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Return rows and columns of cells that cover an array."""
    return -(-shape[0] // side), -(-shape[1] // side)


def mesh_statistics(image: NDArray[np.float32], good: NDArray[np.bool_], side: int) -> tuple[Cells, Cells]:
    """Measure background and noise in each cell of a window whose first pixel begins a cell.

    Parameters
    ----------
    image
        (ny, nx), any unit.
    good
        Pixels to use: with data, and preferably without sources.
    side
        Side of a cell, pixels; the last row and column of cells may be cut.

    Returns
    -------
    back, rms
        (rows, columns) of cells, NaN where less than a fifth of a cell is good.

    Notes
    -----
    SEP's estimator, which is SExtractor's: 3-sigma clipping around the median, then the mode 2.5 median - 1.5 mean,
    or the median in crowded cells (Bertin & Arnouts 1996). It is given the good pixels of a cell in a row, so
    that a half-masked cell is measured as well as a whole one.
    """
    shape = cells((image.shape[0], image.shape[1]), side)
    back, rms = np.full(shape, np.nan), np.full(shape, np.nan)
    for row, column in np.ndindex(shape):
        cell = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        values = image[cell][good[cell]]
        if values.size >= _LEAST_SHARE * side * side:
            found = sep.Background(values.reshape(1, -1), bw=values.size, bh=1, fw=1, fh=1)
            back[row, column], rms[row, column] = found.globalback, found.globalrms
    return back, rms


def fill_cells(values: Cells, *, smooth: bool = True) -> Cells:
    """Close the gaps of a lattice with the nearest measured cell, and optionally take the median of 3 x 3 cells.

    Parameters
    ----------
    values
        NaN where nothing was measured; all NaN gives all zeros.
    smooth
        Median filter over 3 x 3 cells first: one under a galaxy's wings does not count. A neighbour counts if the cell
        opposite to it was measured too, or an edge would bend a slope (SExtractor's rule at the image's edges).
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    if smooth:
        median = generic_filter(values, _known_median, size=3, mode="constant", cval=np.nan)
        values = np.where(known, median, np.nan)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled: Cells = values[tuple(nearest)]
    return filled


def _known_median(neighbours: NDArray[np.float64]) -> float:
    known = np.isfinite(neighbours)
    balanced = neighbours[known & known[::-1]]
    return float(np.median(balanced)) if balanced.size else np.nan


def source_mask(
    image: NDArray[np.float32],
    good: NDArray[np.bool_],
    rms: NDArray[np.float32],
    *,
    smooth_px: float,
    grow_px: int,
    threshold: float = _SOURCE_SIGMA,
) -> NDArray[np.bool_]:
    """Tell which pixels belong to sources, generously.

    Parameters
    ----------
    image
        (ny, nx), background subtracted.
    good
        Pixels with data.
    rms
        Noise of a pixel.
    smooth_px
        Sigma of the Gaussian the significance is smoothed with.
    grow_px
        How far the mask reaches beyond what is significant.
    threshold
        What is significant.

    Returns
    -------
    ndarray of bool
        True on sources: above so many times the noise of the smoothed image, as its median absolute deviation tells.
    """
    snr = np.zeros_like(image)
    np.divide(image, rms, out=snr, where=good & (rms > 0))
    smooth = gaussian_filter(snr, smooth_px, mode="nearest", truncate=3.0)
    sample = smooth[good]
    if sample.size == 0:
        return np.zeros(image.shape, dtype=bool)
    sample = sample[:: max(sample.size // 100_000, 1)]
    middle = np.median(sample)
    level = middle + threshold * _MAD_TO_SIGMA * np.median(np.abs(sample - middle))
    mask = ((smooth > level) & good).astype(np.uint8)
    for axis in (0, 1):
        mask = maximum_filter1d(mask, 2 * grow_px + 1, axis=axis, mode="constant")
    found: NDArray[np.bool_] = mask.astype(bool)
    return found


def _evaluate(values: Cells, side: int, box: Box) -> NDArray[np.float32]:
    """Natural cubic splines through the cells' centres, along both axes; they go on beyond the outer centres."""
    y, x = (np.arange(box.y0, box.y1) + 0.5) / side - 0.5, (np.arange(box.x0, box.x1) + 0.5) / side - 0.5
    return np.asarray(_spline(_spline(values, y, axis=0), x, axis=1), dtype=np.float32)


def _spline(values: Cells, at: NDArray[np.float64], *, axis: int) -> Cells:
    """Evaluate point by point: a product of matrices would round differently in windows of different size."""
    count = values.shape[axis]
    if count == 1:
        return np.repeat(values, at.size, axis=axis)
    within = np.clip(at, -0.5, count - 0.5)  # a window may reach beyond the mosaic, where nothing is measured
    found: Cells = CubicSpline(np.arange(count), values, axis=axis, bc_type="natural")(within)
    return found
