"""Files on disks of this machine, read with errors of our tree: shared by the mounted volume and local mosaics."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gzjwst_core.archives.base import ByteStream
from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError

__all__ = ["file_error", "open_file", "state_of"]


def file_error(error: OSError, path: Path) -> ArchiveError:
    """Put an operating system's error on reading a file in our tree: not there, refused, or not now (EIO, ESTALE)."""
    said = f"{path.name}: {os.strerror(error.errno or 0)}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ProductNotFoundError(said)
    return ArchiveRefusedError(said) if isinstance(error, PermissionError) else ArchiveUnavailableError(said)


def state_of(path: Path) -> tuple[int, int, int]:
    """Size, modification time (ns) and inode of a file.

    Raises
    ------
    ArchiveError
        The file is not there, or its volume does not answer.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise file_error(error, path) from None
    return state.st_size, state.st_mtime_ns, state.st_ino


@contextmanager
def open_file(path: Path) -> Iterator[ByteStream]:
    """Open a file whose errors are ours.

    Raises
    ------
    ArchiveError
        On opening, or while reading.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise file_error(error, path) from None
    with file:
        yield _Reader(file, path)


class _Reader:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise file_error(error, self._path) from None
