"""The layout of a FITS file: where each image plane begins, read from the headers alone and checked before use.

A header may come from anywhere: sizes are compared with the file's own length before anything is allocated, and every
fault has a named error. How headers become bytes and sizes is `headers`; pixels are `reader`'s work.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from gzjwst_core.errors import CorruptMosaicError, StorageError
from gzjwst_core.mosaics.blocks import blocks_of
from gzjwst_core.mosaics.headers import DTYPES, MAX_MOSAIC_BYTES, Hdu, Headers
from gzjwst_core.mosaics.pixels import PixelFile

__all__ = ["HEADER_FAULTS", "Plane", "Readable", "header_digest", "read_hdu", "read_layout"]

HEADER_FAULTS = (KeyError, ValueError, TypeError, OverflowError, fits.VerifyError, VerifyWarning)
"""What astropy raises on cards that it cannot read (the warning, where warnings are errors)."""

_UNNAMED = {"", "COMPRESSED_IMAGE"}  # fpack and astropy move the pixels of PRIMARY to an extension
_MAX_TILE_PIXELS = 1 << 24  # a tile is unpacked whole


@dataclass(frozen=True, slots=True)
class Plane:
    """One HDU of a file."""

    name: str
    """EXTNAME in capitals; `PRIMARY` for the first HDU without one, and for a tile-compressed image without one."""
    header: fits.Header
    """Its plain values; damaged cards, comments and history are left out."""
    shape: tuple[int, ...]
    """Axes of the image as numpy orders them; empty where there are no pixels or they are not an image's."""
    offset: int
    """Byte in the file where its data begin."""
    compressed: bool
    """The image is tile-compressed inside a binary table."""

    @property
    def is_image(self) -> bool:
        """Whether it holds a plain 2-D image."""
        return len(self.shape) == 2 and not self.compressed

    def pixels(self, path: Path) -> PixelFile:
        """Open the raw pixels (big-endian, not scaled) for reading."""
        return PixelFile(path, DTYPES[self.header["BITPIX"]], self.shape, offset=self.offset)


def header_digest(path: Path) -> str:
    """SHA-256 of all headers of a FITS file: what tells its version without its pixels.

    Raises
    ------
    CorruptMosaicError
        A header is damaged.
    OSError
        The file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at < size:
            file.seek(at)
            plane, end = read_hdu(file, path.name, first=at == 0)
            if plane is None:
                break
            file.seek(at)
            digest.update(file.read(plane.offset - at))
            at = end
    return digest.hexdigest()


def read_layout(path: Path) -> tuple[Plane, ...]:
    """Walk the HDUs of a FITS file.

    Parameters
    ----------
    path
        A plain (not gzipped) FITS file.

    Returns
    -------
    tuple of Plane
        In file order; every plane's data lie inside the file.

    Raises
    ------
    CorruptMosaicError
        If it is no FITS file, a header is damaged or without end, or the file is shorter than its headers say.
    StorageError
        If the file cannot be opened.
    """
    try:
        status = path.stat()
        return _walk(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)  # a worker opens the same few mosaics for every tile, and their headers are long
def _walk(path: Path, length: int, _modified: int, _inode: int) -> tuple[Plane, ...]:
    planes: list[Plane] = []
    blocks, begin = blocks_of(path), 0
    with path.open("rb") as file:
        for hdu in Headers(file.read, path.name):
            if blocks is not None:
                blocks.check(begin, file.tell())
            begin = end = file.tell() + hdu.data_bytes
            if end > length:
                raise CorruptMosaicError(f"{path.name} ends at byte {length}, its headers say {end}")
            planes.append(_plane(hdu, file.tell(), path.name))
            file.seek(end)
    return tuple(planes)


class Readable(Protocol):
    """As much of a file as reading headers takes."""

    def read(self, size: int, /) -> bytes:
        """Read on: as many bytes as are asked for, fewer at the end."""
        ...

    def tell(self) -> int:
        """Where it stands."""
        ...


def read_hdu(file: Readable, name: str, *, first: bool) -> tuple[Plane | None, int]:
    """Read one HDU's header.

    Parameters
    ----------
    file
        Stands where the header begins.
    name
        For messages.
    first
        Whether it must be the PRIMARY one.

    Returns
    -------
    plane, end
        The plane, and the byte where the next HDU would begin; None at the end of the file.

    Raises
    ------
    CorruptMosaicError
        The header is damaged, endless, states an impossible image, or something else stands there.
    """
    hdu = Headers(file.read, name, first=first).next()
    if hdu is None:
        return None, 0
    return _plane(hdu, file.tell(), name), file.tell() + hdu.data_bytes


def _plane(hdu: Hdu, offset: int, what: str) -> Plane:
    try:
        header = fits.Header.fromstring(hdu.text)
    except HEADER_FAULTS as error:  # pragma: no cover - plain values are all that is left of it
        raise CorruptMosaicError(f"{what}: the header before byte {offset} is damaged: {error}") from error
    compressed = not hdu.is_image and hdu.cards.get("ZIMAGE") == "T"
    shape = _tiled_shape(hdu) if compressed else hdu.shape if hdu.is_image else ()
    name = "PRIMARY" if compressed and hdu.name in _UNNAMED else hdu.name
    return Plane(name, header, shape, offset, compressed)


def _tiled_shape(hdu: Hdu) -> tuple[int, ...]:
    """Return the shape of a tile-compressed image, whose table must have a row for each tile (FITS 4.0, 10.1)."""
    axes = range(hdu.integer("ZNAXIS") if len(hdu.shape) == 2 else 0, 0, -1)
    shape = tuple(hdu.integer(f"ZNAXIS{i}") for i in axes)
    tile = tuple(hdu.integer(f"ZTILE{i}", hdu.integer("ZNAXIS1") if i == 1 else 1) for i in axes)
    rows = math.prod(-(-n // step) for n, step in zip(shape, tile, strict=True) if step)
    if (
        not axes
        or rows != hdu.shape[0]
        or 0 in tile
        or math.prod(tile) > _MAX_TILE_PIXELS
        or math.prod(shape) > MAX_MOSAIC_BYTES
    ):
        raise CorruptMosaicError(f"[{hdu.name}]: tiles of {tile} in an image of {shape} make no sense")
    return shape
