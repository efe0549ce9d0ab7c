"""Pixels of one plane in a file, read and written in windows by system calls, never mapped into memory.

A full disk, a file that was cut short or a server that is gone ends a process that has such a file mapped with SIGBUS;
here each of them is an error with a name. A file may have holes: what was never written reads as zeros, takes no room.
"""

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.storage.atomic import storage_error

__all__ = ["PixelFile"]


class PixelFile:
    """A 2-D plane in a file, indexed by two slices like an array.

    Parameters
    ----------
    path
        Of the file.
    dtype
        Of the pixels in the file.
    shape
        Rows and columns.
    offset
        Byte in the file where the pixels begin.
    writable
        Whether windows are written too; the file is made if it is not there, and at least as long as the plane.

    Raises
    ------
    OSError
        The file cannot be opened.
    """

    def __init__(
        self, path: Path, dtype: DTypeLike, shape: tuple[int, ...], *, offset: int = 0, writable: bool = False
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.shape = (int(shape[0]), int(shape[1]))
        self._path = path
        self._offset = offset
        self._row_bytes = self.shape[1] * self.dtype.itemsize
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY, 0o666)
        self._closing = weakref.finalize(self, os.close, self._descriptor)
        end = offset + self.shape[0] * self._row_bytes
        if writable and os.fstat(self._descriptor).st_size < end:
            os.truncate(self._descriptor, end)

    def close(self) -> None:
        """Let go of the file."""
        self._closing()

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        """Read a window that lies inside the plane, in the file's own dtype.

        Raises
        ------
        CorruptMosaicError
            The file ends before it.
        StorageError
            The file cannot be read.
        """
        rows, columns = self._inside(index)
        out = np.empty((len(rows), len(columns)), self.dtype)
        for at, part in self._parts(out, rows, columns):
            self._read(at, part)
        return out

    def __setitem__(self, index: tuple[slice, slice], pixels: NDArray[Any]) -> None:
        """Write a window that lies inside the plane.

        Raises
        ------
        StorageError
            The disk is full (`disk_full`), or the file cannot be written.
        """
        rows, columns = self._inside(index)
        given = np.ascontiguousarray(pixels, self.dtype)
        for at, part in self._parts(given, rows, columns):
            self._write(at, part)

    def _inside(self, index: tuple[slice, slice]) -> tuple[range, range]:
        rows, columns = (range(n)[part] for n, part in zip(self.shape, index, strict=True))
        return rows, columns

    def _parts(self, window: NDArray[Any], rows: range, columns: range) -> Iterator[tuple[int, memoryview]]:
        """Yield the bytes of a window piece by piece, each with its place: rows, or all at once where they touch."""
        if not window.size:
            return
        first = self._offset + rows.start * self._row_bytes + columns.start * self.dtype.itemsize
        data = window.data.cast("B")
        step = len(data) if len(columns) == self.shape[1] else len(data) // len(rows)
        for number, start in enumerate(range(0, len(data), step)):
            yield first + number * self._row_bytes, data[start : start + step]

    def _read(self, at: int, part: memoryview) -> None:
        while part:
            try:
                count = os.preadv(self._descriptor, [part], at)
            except OSError as error:
                raise storage_error(error, self._path) from error
            if count == 0:
                raise CorruptMosaicError(f"{self._path.name} ends at byte {at}, before its last pixel")
            at, part = at + count, part[count:]

    def _write(self, at: int, part: memoryview) -> None:
        while part:
            try:
                count = os.pwrite(self._descriptor, part, at)  # fewer bytes than asked for where a disk is nearly full
            except OSError as error:
                raise storage_error(error, self._path) from error
            at, part = at + count, part[count:]
