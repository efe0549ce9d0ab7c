"""Windows of a tile-compressed image (FITS 4.0, 10): only the tiles that a window touches are unpacked.

The unpacking is astropy's. Before it, a tile's bytes must lie inside the file's heap and may not unpack to more than a
tile holds: a few bytes of gzip can make gigabytes.
"""

import io
import re
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.hdu.compressed._compression import CfitsioException  # it has no public name
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError
from gzjwst_core.mosaics.layout import HEADER_FAULTS, Plane

__all__ = ["TiledImage"]

_GZIP = 31  # window of 32 kB, gzip's own header and trailer
_MAGIC = b"\x1f\x8b"
_PACKED = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
_COLUMNS = {*_PACKED, "ZSCALE", "ZZERO", "ZBLANK"}
_ITEM_BYTES = {"B": 1, "I": 2, "J": 4}
_SLACK = 4096  # what an algorithm may add to a tile that it cannot make smaller
_ALGORITHMS = ("RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS")
"""Those whose unpacking is known to stay inside its buffers."""
_SETTINGS = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4, 8)}
_NEEDED = re.compile(
    r"(XTENSION|BITPIX|NAXIS[12]?|[PG]COUNT|TFIELDS|TTYPE[0-9]|TFORM[0-9]|THEAP|EXTNAME|BSCALE|BZERO|BLANK"
    r"|Z(IMAGE|TENSION|BITPIX|NAXIS[12]?|TILE[12]|CMPTYPE|(NAME|VAL)[0-9]|QUANTIZ|DITHER0|BLANK))\Z"
)
_FORM = re.compile(r"1?([PQ][BIJ](\([0-9]+\))?|[IJDE])")
_FAULTS = (
    *HEADER_FAULTS,
    *(OSError, RuntimeError, IndexError, AttributeError, MemoryError, ArithmeticError),
    *(AstropyWarning, CfitsioException, zlib.error),
)
"""What astropy raises on a table, a tile or a setting that it cannot use (warnings, where they are errors)."""


class TiledImage:
    """A tile-compressed 2-D image that is read like an array.

    Parameters
    ----------
    path
        Of the file.
    plane
        The compressed image.

    Raises
    ------
    CorruptMosaicError
        Its table cannot be understood.
    MosaicLayoutError
        It is packed in a way that is not read here.
    """

    def __init__(self, path: Path, plane: Plane) -> None:
        self._where = f"{path.name} [{plane.name}]"
        _check_packing(plane.header, self._where)
        self._file = _Cleaned(path, plane)
        try:
            table = fits.BinTableHDU.readfrom(self._file)
            self._heap = _Heap(path, plane, table)
            self._image = fits.CompImageHDU(bintable=table)
        except _FAULTS as error:
            self.close()
            raise self._corrupt(error) from error

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        """Unpack a window that lies inside the image, scaled as its header says.

        Raises
        ------
        CorruptMosaicError
            A tile is damaged.
        """
        shape = tuple(max(part.stop - part.start, 0) for part in index)
        if 0 in shape:
            return np.empty(shape, np.float32)
        try:
            self._heap.check(index, self._image.tile_shape, self._image.shape)
            with np.errstate(all="ignore"):
                return np.asarray(self._image.section[index])
        except _FAULTS as error:
            raise self._corrupt(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _corrupt(self, error: BaseException) -> CorruptMosaicError:
        return CorruptMosaicError(f"{self._where}: its tiles cannot be read: {error}")


class _Cleaned(io.RawIOBase):
    """One HDU as a file of its own: with the few cards that count, so that astropy meets none that it stumbles over."""

    def __init__(self, path: Path, plane: Plane) -> None:
        skipped = "BLANK" if plane.header["ZBITPIX"] < 0 else ""
        cards = [c for c in plane.header.cards if _NEEDED.match(c.keyword) and c.keyword != skipped]
        self._head = fits.Header(cards).tostring(padding=True).encode("ascii")
        self._file = path.open("rb")
        self._shift = plane.offset - len(self._head)
        self._at = 0
        self._end = path.stat().st_size - self._shift

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, at: int, whence: int = 0, /) -> int:
        self._at = at + (0, self._at, self._end)[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self._at < len(self._head):
            block = self._head[self._at : self._at + len(buffer)]
        else:
            self._file.seek(self._at + self._shift)
            block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Heap:
    """Where each tile's bytes are, by the table's own word."""

    def __init__(self, path: Path, plane: Plane, table: Any) -> None:
        header, dtype = plane.header, table.columns.dtype
        if dtype.itemsize != header["NAXIS1"]:
            raise ValueError(f"columns of {dtype.itemsize} bytes in rows of {header['NAXIS1']}")
        rows: Any = np.memmap(path, dtype.newbyteorder(">"), "r", plane.offset, (header["NAXIS2"],))
        begin = int(header.get("THEAP", rows.nbytes))
        self._bytes = np.memmap(path, np.uint8, "r", plane.offset, (rows.nbytes + int(header["PCOUNT"]),))[begin:]
        kinds = {column.name: str(column.format).removeprefix("1") for column in table.columns}
        self._tiles = [(rows[name], _ITEM_BYTES[kinds[name][1]]) for name in _PACKED if name in kinds]
        self._pixel_bytes = abs(int(header["ZBITPIX"])) // 8

    def check(self, index: tuple[slice, slice], tile: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Look at every tile of a window before it is unpacked."""
        most = tile[0] * tile[1] * max(self._pixel_bytes, 4) + _SLACK
        touched = (range(part.start // n, (part.stop - 1) // n + 1) for part, n in zip(index, tile, strict=True))
        across = -(-shape[1] // tile[1])
        for y, x in product(*touched):
            for descriptors, item in self._tiles:
                length, at = (int(n) for n in descriptors[y * across + x])
                self._check_tile(length * item, at, most)

    def _check_tile(self, length: int, at: int, most: int) -> None:
        if not (0 <= length <= 2 * most and 0 <= at <= self._bytes.size - length):
            raise ValueError(f"a tile of {length} bytes at {at}")
        packed = self._bytes[at : at + length].tobytes()
        if not packed.startswith(_MAGIC):
            return
        member = zlib.decompressobj(_GZIP)
        if len(member.decompress(packed, most + 1)) > most or member.unused_data:
            raise ValueError("a tile unpacks to more than it may hold")


def _check_packing(header: fits.Header, where: str) -> None:
    if header.get("ZCMPTYPE") not in _ALGORITHMS:
        allowed = ", ".join(_ALGORITHMS)
        raise MosaicLayoutError(
            f"{where}: tiles packed by {header.get('ZCMPTYPE')} are not read (allowed: {allowed}); use funpack"
        )
    columns = range(1, min(header.get("TFIELDS", 0), 9) + 1)
    found = {str(header.get(f"TTYPE{i}")).strip(): str(header.get(f"TFORM{i}")).strip() for i in columns}
    if not (found.keys() <= _COLUMNS and all(_FORM.fullmatch(form) for form in found.values())):
        raise CorruptMosaicError(f"{where}: a table of {found} holds no tiles")
    for key, allowed_values in _SETTINGS.items():
        values = [header.get(f"ZVAL{i}") for i in range(1, 10) if header.get(f"ZNAME{i}") == key]
        if not set(values) <= set(allowed_values):
            raise MosaicLayoutError(f"{where}: tiles with {key} = {values} are not read (allowed: {allowed_values})")
