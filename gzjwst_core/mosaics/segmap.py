"""Segmentation maps: one int32 FITS image a field, written and read in windows.

The file holds an empty PRIMARY and the image `SEG` with the detection grid's WCS; the value of a pixel is the
`segment_id` of the source it belongs to, 0 = none. The bytes depend on the labels and the WCS alone.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.mosaics.geometry import Box, pixel_scale_arcsec
from gzjwst_core.mosaics.layout import read_layout
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.mosaics.wcs import celestial_wcs, wcs_rows
from gzjwst_core.storage.atomic import storage_error

__all__ = ["SegmapReader", "SegmapWriter", "open_segmap"]

_BLOCK = 2880
_NAME = "SEG"


class SegmapReader:
    """Windows of a segmap; a context manager. Built by `open_segmap`."""

    def __init__(self, labels: PixelFile, wcs: WCS) -> None:
        self._labels = labels
        self.shape = labels.shape
        self.wcs = wcs
        self.pixel_scale_arcsec = pixel_scale_arcsec(wcs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._labels.close()

    def window(self, box: Box) -> NDArray[np.int32]:
        """Read labels; 0 outside the segmap.

        Returns
        -------
        ndarray
            (ny, nx) native int32.
        """
        inside = box.clip(self.shape)
        out = np.zeros(box.shape, dtype=np.int32)
        out[inside.shift(-box.y0, -box.x0).slices] = self._labels[inside.slices]
        return out


def open_segmap(path: Path) -> SegmapReader:
    """Open a segmap that `SegmapWriter` wrote.

    Raises
    ------
    CorruptMosaicError
        If the file is damaged or holds no 2-D image `SEG`.
    StorageError
        If it cannot be opened.
    """
    for plane in read_layout(path):
        if plane.name == _NAME and plane.is_image and plane.header["BITPIX"] == 32:
            return SegmapReader(plane.pixels(path), celestial_wcs(plane.header, f"{path.name} [{_NAME}]"))
    raise CorruptMosaicError(f"{path.name} holds no int32 image {_NAME}")


class SegmapWriter:
    """A segmap being made, window by window; a context manager.

    Parameters
    ----------
    path
        A new file, replaced if it is there. It is complete when the writer is closed: give it a temporary path.
    shape
        Rows and columns of the detection grid.
    wcs
        Its celestial WCS.
    """

    def __init__(self, path: Path, shape: tuple[int, int], wcs: WCS) -> None:
        head = _headers(shape, wcs)
        size = shape[0] * shape[1] * 4
        try:
            with path.open("wb") as file:
                file.write(head)
                file.truncate(len(head) + -(-size // _BLOCK) * _BLOCK)  # zeros, and zeros are what FITS pads with
            self._labels = PixelFile(path, ">i4", shape, offset=len(head), writable=True)
        except OSError as error:
            raise storage_error(error, path) from error
        self.shape = shape

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._labels.close()

    def window(self, box: Box) -> NDArray[np.int32]:
        """Read what was written so far in a box inside the segmap."""
        return self._labels[box.slices].astype(np.int32)

    def write(self, box: Box, labels: NDArray[np.int32]) -> None:
        """Add the non-zero labels of a window; a pixel that has a label keeps it.

        Parameters
        ----------
        box
            May reach beyond the segmap; what lies outside is dropped.
        labels
            (ny, nx) of the box.

        Raises
        ------
        StorageError
            The disk is full (`disk_full`), or the file cannot be written.
        """
        inside = box.clip(self.shape)
        new = labels[inside.shift(-box.y0, -box.x0).slices]
        rows = np.flatnonzero(new.any(axis=1))
        if rows.size:  # what is empty stays a hole
            inside = inside._replace(y0=inside.y0 + int(rows[0]), y1=inside.y0 + int(rows[-1]) + 1)
            new, here = new[rows[0] : rows[-1] + 1], self._labels[inside.slices]
            self._labels[inside.slices] = np.where((new > 0) & (here == 0), new, here)


def _headers(shape: tuple[int, int], wcs: WCS) -> bytes:
    primary = fits.Header([("SIMPLE", True, "conforms to FITS standard"), ("BITPIX", 8), ("NAXIS", 0)])
    primary["EXTEND"] = True
    header = fits.Header([("XTENSION", "IMAGE", "Image extension"), ("BITPIX", 32), ("NAXIS", 2)])
    header["NAXIS1"], header["NAXIS2"] = shape[1], shape[0]
    header["PCOUNT"], header["GCOUNT"] = 0, 1
    header["EXTNAME"] = (_NAME, "segment_id of each pixel, 0 = none")
    header.extend(wcs_rows(wcs))
    return b"".join(h.tostring(padding=True).encode("ascii") for h in (primary, header))
