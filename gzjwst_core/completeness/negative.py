"""Sky without sources, and with the sign turned: what is detected there is noise.

A copy of a mosaic's planes in uJy per pixel, made strip by strip. The sign of the science plane is turned; where
the catalog has a source, the nearest empty sky in a list of directions takes its place, with its errors and weights:
holes of that depth would spoil the background and the noise that detection learns, and hide the noise around them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from gzjwst_core.detection.regrid import box_on, carry_labels
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, fit_affine
from gzjwst_core.mosaics.headers import BLOCK
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.mosaics.reader import MosaicReader, Window, open_mosaic
from gzjwst_core.mosaics.segmap import SegmapReader, open_segmap
from gzjwst_core.mosaics.wcs import wcs_rows
from gzjwst_core.options import MosaicOptions

__all__ = ["empty_and_turned", "write_negative"]

Mask = NDArray[np.bool_]

_STRIP_PX = 256
_GROW_ARCSEC = 0.24
_STEPS_ARCSEC = (0.6, 1.0, 1.6, 2.4, 3.6, 5.0)
_DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def empty_and_turned(window: Window, sources: Mask, inner: tuple[slice, slice], steps_px: list[int]) -> Window:
    """Turn the sign of a window, and lay empty sky over its sources.

    Parameters
    ----------
    window
        With a margin of at least the largest step around the part that is asked for.
    sources
        (ny, nx) of the window: pixels of sources.
    inner
        The part that is asked for.
    steps_px
        How far away to look for empty sky, the nearest first; in each of eight directions.

    Returns
    -------
    Window
        Of the inner part. Pixels of sources without empty sky in reach have no data.
    """
    empty = np.isfinite(window.sci) & ~sources
    planes = [-window.sci, window.err, window.wht]
    made = [None if plane is None else plane[inner].copy() for plane in planes]
    open_ = sources[inner] & np.isfinite(window.sci[inner])
    for dy, dx in ((step * y, step * x) for step in steps_px for y, x in _DIRECTIONS):
        there = tuple(slice(s.start + d, s.stop + d) for s, d in zip(inner, (dy, dx), strict=True))
        filled = open_ & empty[there]
        for plane, out in zip(planes, made, strict=True):
            if plane is not None and out is not None:
                out[filled] = plane[there][filled]
        open_ &= ~filled
    sci, err, wht = made
    if sci is not None:
        sci[open_] = np.nan
    return Window(sci if sci is not None else window.sci, err, wht)


def write_negative(source: MosaicSource, options: MosaicOptions, segmap: Path, target: Path) -> MosaicSource:
    """Write the negative copy of a mosaic.

    Parameters
    ----------
    source
        The mosaic.
    options
        How it is read.
    segmap
        Of the field: where its sources are.
    target
        A new plain FITS file.

    Returns
    -------
    MosaicSource
        The copy.
    """
    with open_mosaic(source, options, check=False) as reader, open_segmap(segmap) as labels:
        planes = _new_planes(target, reader)
        for box in _strips(reader.shape):
            made = _strip(reader, labels, box)
            for name, pixels in (("SCI", made.sci), ("ERR", made.err), ("WHT", made.wht)):
                if pixels is not None:
                    planes[name][box.slices] = pixels
        for plane in planes.values():
            plane.close()
    return source.replace(path=str(target), err_path="", unit="uJy", light="", rows=None)


def _strips(shape: tuple[int, int]) -> Iterator[Box]:
    for y0 in range(0, shape[0], _STRIP_PX):
        yield Box(y0, min(y0 + _STRIP_PX, shape[0]), 0, shape[1])


def _strip(reader: MosaicReader, labels: SegmapReader, box: Box) -> Window:
    scale = reader.pixel_scale_arcsec
    steps = [max(round(step / scale), 1) for step in _STEPS_ARCSEC]
    grown = max(round(_GROW_ARCSEC / scale), 1)
    wide = box.grow(steps[-1])
    back = fit_affine(reader.wcs, labels.wcs, wide)
    there = box_on(back, wide)
    sources = carry_labels(labels.window(there), there, wide, back) > 0
    sources = binary_dilation(sources, iterations=grown)
    inner = box.shift(-wide.y0, -wide.x0).slices
    return empty_and_turned(reader.windows(wide), sources, inner, steps)


def _new_planes(path: Path, reader: MosaicReader) -> dict[str, PixelFile]:
    """Lay out a file of the mosaic's planes, all zeros."""
    size = reader.shape[0] * reader.shape[1] * 4
    padded = -(-size // BLOCK) * BLOCK
    offsets: dict[str, int] = {}
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring(padding=True).encode("ascii"))
        for name in [name for name in ("SCI", "ERR", "WHT") if name in reader.planes]:
            file.write(_header(name, reader).tostring(padding=True).encode("ascii"))
            offsets[name] = file.tell()
            file.seek(padded, 1)
        file.truncate(file.tell())
    return {n: PixelFile(path, ">f4", reader.shape, offset=at, writable=True) for n, at in offsets.items()}


def _header(name: str, reader: MosaicReader) -> fits.Header:
    header = fits.Header([("XTENSION", "IMAGE"), ("BITPIX", -32), ("NAXIS", 2)])
    header["NAXIS1"], header["NAXIS2"] = reader.shape[1], reader.shape[0]
    header["PCOUNT"], header["GCOUNT"] = 0, 1
    header["EXTNAME"] = name
    if name == "SCI":
        header["BUNIT"] = "uJy"
        header.extend(wcs_rows(reader.wcs), strip=False)
    return header
