"""Files on disks of this machine, read with errors of our tree: shared by the mounted volume and local mosaics."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.transport.streams import ByteStream, Span

__all__ = ["file_error", "open_file", "read_spans", "state_of"]

_PIECE = 16 << 20


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
def open_file(path: Path, start: int = 0) -> Iterator[ByteStream]:
    """Open a file whose errors are ours, at some byte.

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
        file.seek(start)
        yield _Reader(file, path)


def read_spans(path: Path, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
    """Read parts of a file, in pieces.

    Parameters
    ----------
    path
        A file on a mounted volume, the located one.
    spans
        In any order.

    Raises
    ------
    ArchiveError
        It cannot be read, ends too early, or was replaced meanwhile (`changed`).
    """
    before = state_of(path)
    for piece in _pieces(path, spans):
        if state_of(path) != before:
            raise ArchiveUnavailableError(f"{path.name}: changed while it was read", reason="changed")
        yield piece


def _pieces(path: Path, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
    for span in sorted(spans):
        with open_file(path, span.start) as file:
            at = span.start
            while at < span.stop and (block := file.read(min(_PIECE, span.stop - at))):
                yield Span(at, at + len(block)), block
                at += len(block)
        if at < span.stop:
            raise ArchiveUnavailableError(
                f"{path.name}: ends at byte {at}, {span.stop} were asked for", reason="cut_off"
            )


class _Reader:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise file_error(error, self._path) from None
