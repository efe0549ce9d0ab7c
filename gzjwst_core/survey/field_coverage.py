"""Which positions lie on the data of a survey: read off its depth maps, or where there are none off its segmaps' grids.

Opens the maps of one field after the other; no map is held longer than its positions are looked up.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.mosaics.geometry import grid_positions
from gzjwst_core.runs.products import reading_made
from gzjwst_core.storage.folder import Folder

__all__ = ["on_data"]

Floats = NDArray[np.float64]

_DETECTION = "DETECTION"


def on_data(folder: Folder, fields: Iterable[str], ra: Floats, dec: Floats) -> tuple[NDArray[np.bool_], bool]:
    """Tell which positions lie on the detection image of some field.

    Parameters
    ----------
    folder
        The run folder, with `depth/<field>.fits` or `segmaps/<field>.fits`.
    fields
        Names.
    ra, dec
        (n,) deg.

    Returns
    -------
    covered, is_exact
        (n,) bool; whether gaps and edges are known. Without depth maps only the grids' rectangles are.
    """
    covered, exact = np.zeros(ra.shape, dtype=bool), True
    for field in fields:
        depth = f"depth/{field}.fits"
        has_depth = folder.exists(depth)
        exact &= has_depth
        with reading_made(folder, "catalog", field, depth if has_depth else f"segmaps/{field}.fits") as path:
            for wcs, shape, data in _images(path, with_data=has_depth):
                covered |= _covered(wcs, shape, data, ra, dec)
    return covered, exact


def _images(path: Path, *, with_data: bool) -> Iterator[tuple[WCS, tuple[int, int], NDArray[np.bool_] | None]]:
    """Yield the detection image's grid, or every image's where none is named so."""
    with fits.open(path) as hdus:
        images = [hdu for hdu in hdus if hdu.header["NAXIS"] == 2]
        for hdu in [hdu for hdu in images if hdu.name == _DETECTION] or images:
            shape = (int(hdu.header["NAXIS2"]), int(hdu.header["NAXIS1"]))
            yield WCS(hdu.header), shape, np.isfinite(hdu.data) if with_data else None


def _covered(
    wcs: WCS, shape: tuple[int, int], data: NDArray[np.bool_] | None, ra: Floats, dec: Floats
) -> NDArray[np.bool_]:
    x, y = (np.rint(v) for v in grid_positions(wcs, ra, dec))
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    if data is not None:
        inside[inside] = data[y[inside].astype(int), x[inside].astype(int)]
    return inside
