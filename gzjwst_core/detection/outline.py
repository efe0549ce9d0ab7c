"""The outline of a mosaic: which missing pixels lie outside it, and which are gaps in it. Arrays in, arrays out.

Told on the field's blocks of 16 pixels, so that it needs no mosaic in memory. The outside is what is left when the
blocks with data are closed over bays up to 6 arcsec wide and filled; a chip gap is a gap even where it runs out to the
edge, the 44 arcsec between NIRCam's modules are outside unless data surround them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt

__all__ = ["Missing", "missing_kind", "outside_of"]

_BAY_ARCSEC = 6.0

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Missing:
    """Which sources lack data because of what."""

    edge: Bools
    """The outside of the mosaic."""
    gap: Bools
    """A gap in it."""


def outside_of(empty_blocks: Bools, block_arcsec: float) -> Bools:
    """Tell which blocks belong to the outside of a mosaic.

    Parameters
    ----------
    empty_blocks
        (rows, columns): some pixel of the block has no data.
    block_arcsec
        Side of a block.

    Returns
    -------
    ndarray of bool
        (rows + 2, columns + 2): with a rim of blocks around the array, which is always outside.
    """
    reach = max(round(_BAY_ARCSEC / 2 / block_arcsec), 1)
    full = np.pad(~empty_blocks, reach + 1)
    step = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.5
    closed = binary_fill_holes(binary_closing(full, step) | full)
    trimmed: Bools = ~closed[reach:-reach, reach:-reach]
    return trimmed


def missing_kind(
    empty_blocks: Bools, block_arcsec: float, place: tuple[Floats, Floats], reach: Floats, missing: Bools
) -> Missing:
    """Tell edges from gaps.

    Parameters
    ----------
    empty_blocks, block_arcsec
        As in `outside_of`.
    place
        Positions (y, x) of sources in blocks: pixels over 16.
    reach
        Semi-minor axis of what must be inside, blocks.
    missing
        Which sources lack data there, by exact pixels.

    Returns
    -------
    Missing
        The nearer kind for every source that lacks data, and the other one as well where it too lies within reach.
    """
    outside = outside_of(empty_blocks, block_arcsec)
    gaps = np.pad(empty_blocks, 1) & ~outside
    at = tuple(np.clip(np.floor(p).astype(int) + 1, 0, n - 1) for p, n in zip(place, outside.shape, strict=True))
    to_outside = distance_transform_edt(~outside)[at]
    to_gap = distance_transform_edt(~gaps)[at] if gaps.any() else np.full(missing.shape, np.inf)
    edge = (to_outside <= to_gap) | (to_outside <= reach)
    gap = (to_gap < to_outside) | (to_gap <= reach)
    return Missing(missing & edge, missing & gap)
