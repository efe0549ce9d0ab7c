"""Square stamps of many sources at once, out of one window: which pixels, and which of them count.

For arithmetic that SEP does not have, done over all sources together. Arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame

__all__ = ["Stamps", "gather"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stamps:
    """(n, side, side) pixels around n places; axis order (source, y, x)."""

    pixel: NDArray[np.int64]
    """Flat index in the window; of the nearest pixel where a stamp reaches beyond it."""
    values: NDArray[np.float32]
    usable: NDArray[np.bool_]
    """In the window, with data."""
    dx: Floats
    dy: Floats
    """(n, side): offsets of columns and rows from the place, pixels."""


def gather(frame: Frame, at: Floats, half: int) -> Stamps:
    """Cut a stamp around each place.

    Parameters
    ----------
    frame
        The window.
    at
        (n, 2) places x, y, 0-based pixels; a stamp's middle pixel is the nearest one.
    half
        A stamp reaches so many pixels to each side.
    """
    ny, nx = frame.sub.shape
    middle = np.rint(at).astype(np.int64)
    steps = np.arange(-half, half + 1)
    column, line = middle[:, :1] + steps, middle[:, 1:] + steps
    inside = ((line >= 0) & (line < ny))[:, :, None] & ((column >= 0) & (column < nx))[:, None, :]
    pixel = np.clip(line, 0, ny - 1)[:, :, None] * nx + np.clip(column, 0, nx - 1)[:, None, :]
    usable = inside & ~frame.bad.ravel()[pixel]
    return Stamps(pixel, frame.sub.ravel()[pixel], usable, column - at[:, :1], line - at[:, 1:])
