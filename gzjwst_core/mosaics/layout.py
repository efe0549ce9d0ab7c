"""The layout of a FITS file: where each image plane begins, read from the headers alone and checked before use.

A header may come from anywhere: sizes are compared with the file's own length before anything is allocated, and every
fault has a named error. No pixel is interpreted here; that is `reader`.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from numpy.typing import NDArray

from gzjwst_core.errors import CorruptMosaicError, StorageError

__all__ = ["HEADER_FAULTS", "Plane", "read_layout"]

_BLOCK = 2880
_MOST_BLOCKS = 4000  # 144,000 cards: a hundred times what an i2d carries
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
HEADER_FAULTS = (KeyError, ValueError, TypeError, OverflowError, fits.VerifyError, VerifyWarning)
"""What astropy raises on cards that it cannot read (the warning, where warnings are errors)."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One HDU of a file."""

    name: str
    """EXTNAME in capitals; `PRIMARY` for the first HDU without one."""
    header: fits.Header
    shape: tuple[int, ...]
    """Axes as numpy orders them; empty where there are no pixels or they are not an image's."""
    offset: int
    """Byte in the file where the pixels begin."""
    compressed: bool
    """The image is tile-compressed inside a binary table."""

    @property
    def is_image(self) -> bool:
        """Whether it holds a plain 2-D image."""
        return len(self.shape) == 2 and not self.compressed

    def pixels(self, path: Path) -> NDArray[np.generic]:
        """Map the raw pixels (big-endian, not scaled) into memory, read-only."""
        dtype = _DTYPES[self.header["BITPIX"]]
        return np.memmap(path, dtype=dtype, mode="r", offset=self.offset, shape=self.shape)


def read_layout(path: Path) -> tuple[Plane, ...]:
    """Walk the HDUs of a FITS file.

    Parameters
    ----------
    path
        A plain (not gzipped) FITS file.

    Returns
    -------
    tuple of Plane
        In file order; every plane's pixels lie inside the file.

    Raises
    ------
    CorruptMosaicError
        If it is no FITS file, a header is damaged or without end, or the file is shorter than its headers say.
    StorageError
        If the file cannot be opened.
    """
    try:
        status = path.stat()
        return _walk(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)  # a worker opens the same few mosaics for every tile, and their headers are long
def _walk(path: Path, length: int, _modified: int) -> tuple[Plane, ...]:
    planes: list[Plane] = []
    with path.open("rb") as file:
        while file.tell() < length:
            plane, end = _read_hdu(file, path.name, first=not planes)
            if plane is None:
                break
            if end > length:
                raise CorruptMosaicError(f"{path.name} ends at byte {length}, its headers say {end}")
            planes.append(plane)
            file.seek(end)
    if not planes:
        raise CorruptMosaicError(f"{path.name} is empty")
    return tuple(planes)


def _read_hdu(file: BinaryIO, name: str, *, first: bool) -> tuple[Plane | None, int]:
    raw = _read_header(file, name, first=first)
    if raw is None:
        return None, 0
    offset = file.tell()
    try:
        header = fits.Header.fromstring(raw.decode("ascii"))
        shape = tuple(int(header[f"NAXIS{i}"]) for i in range(int(header["NAXIS"]), 0, -1))
        size = _data_size(header, shape)
        extension = str(header.get("XTENSION", "IMAGE")).strip()
        label = str(header.get("EXTNAME", "PRIMARY" if first else "")).strip().upper()
        compressed = header.get("ZIMAGE", False) is True
    except HEADER_FAULTS as error:
        raise CorruptMosaicError(f"{name}: the header at byte {offset - len(raw)} is damaged: {error}") from error
    if size < 0 or header["BITPIX"] not in _DTYPES or any(n < 0 for n in shape):
        raise CorruptMosaicError(f"{name}: the header at byte {offset - len(raw)} states an impossible image")
    image_shape = shape if extension == "IMAGE" else ()
    return Plane(label, header, image_shape, offset, compressed), offset + -(-size // _BLOCK) * _BLOCK


def _read_header(file: BinaryIO, name: str, *, first: bool) -> bytes | None:
    start = b"SIMPLE  =" if first else b"XTENSION="
    blocks: list[bytes] = []
    while len(blocks) < _MOST_BLOCKS:
        block = file.read(_BLOCK)
        if not blocks and not block.startswith(start):
            if first:
                raise CorruptMosaicError(f"{name} is not a FITS file")
            return None  # what follows the last HDU is no concern of ours (FITS 4.0, 3.5: special records)
        if len(block) < _BLOCK:
            raise CorruptMosaicError(f"{name} ends inside a header")
        blocks.append(block)
        if any(block[i : i + 80].rstrip() == b"END" for i in range(0, _BLOCK, 80)):
            return b"".join(blocks)
    raise CorruptMosaicError(f"{name}: a header has no END")


def _data_size(header: fits.Header, shape: tuple[int, ...]) -> int:
    pixels = 1 if shape else 0
    for n in shape:
        pixels *= n  # Python integers: absurd axes cannot overflow
    groups, extra = int(header.get("GCOUNT", 1)), int(header.get("PCOUNT", 0))
    return abs(int(header["BITPIX"])) // 8 * groups * (extra + pixels)
