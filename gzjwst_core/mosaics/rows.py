"""Rows of a mosaic that some places on the sky need: the arithmetic of reading only parts of a plane.

A plane is stored row by row, so the cheapest part of it to read is a band of whole rows. Bands are half-open
`(y0, y1)`, sorted and apart from each other. Arrays and numbers only; fetching is `archives.windows`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.mosaics.geometry import grid_positions

__all__ = ["Places", "Rows", "joined", "rows_around", "without"]

Rows = tuple[tuple[int, int], ...]
_MARGIN_PX = 2


class Places(NamedTuple):
    """Squares on the sky, north up."""

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    reach_arcsec: NDArray[np.float64]
    """From a place to the sides of its square."""


def rows_around(wcs: WCS, shape: tuple[int, int], places: Places) -> Rows:
    """Find the rows of a grid that cover places on the sky.

    Parameters
    ----------
    wcs
        Celestial, of the grid.
    shape
        Rows and columns of the grid.
    places
        Those off the grid count for nothing.

    Returns
    -------
    tuple of (int, int)
        Bands of rows, whatever the grid's roll.
    """
    x, y = grid_positions(wcs, places.ra_deg, places.dec_deg)
    px_per_deg = np.linalg.inv(wcs.pixel_scale_matrix)
    reach = places.reach_arcsec / 3600.0 * float(np.abs(px_per_deg).sum(axis=1).max()) + _MARGIN_PX
    on_grid = (x > -reach) & (x < shape[1] + reach) & (y > -reach) & (y < shape[0] + reach)
    low = np.clip(np.floor(y - reach)[on_grid], 0, shape[0]).astype(int)
    high = np.clip(np.ceil(y + reach)[on_grid] + 1, 0, shape[0]).astype(int)
    return joined(zip(low.tolist(), high.tolist(), strict=True))


def joined(bands: Iterable[tuple[int, int]], gap: int = 0) -> Rows:
    """Join bands that overlap, touch, or leave at most `gap` rows between them; empty ones go."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(band for band in bands if band[0] < band[1]):
        if out and low <= out[-1][1] + gap:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def without(bands: Rows, have: Rows) -> Rows:
    """Return what of some bands is not in others."""
    left: list[tuple[int, int]] = []
    for low, high in bands:
        at = low
        for begin, end in have:
            if end <= at or begin >= high:
                continue
            left.append((at, min(begin, high)))
            at = max(at, end)
        left.append((at, high))
    return joined(left)
