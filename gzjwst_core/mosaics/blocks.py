"""Digests of blocks of a planes file that we wrote, checked for the blocks that are read: once a process.

Beside a planes file of the cache lies `blocks.json`: byte ranges, each with its CRC-32, which any change within four
bytes, and all but one of 2^32 larger ones, would alter; it takes a fraction of the time that reading does. Where there
is no such record (a mounted mosaic, a cache of an earlier version) there is nothing to compare.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from isal import isal_zlib
from pydantic import ValidationError

from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.storage.atomic import atomic_path
from gzjwst_core.values import Value

__all__ = [
    "BLOCKS",
    "BLOCK_BYTES",
    "Blocks",
    "Range",
    "Summing",
    "blocks_of",
    "is_damaged",
    "range_of",
    "record_blocks",
]

BLOCKS = "blocks.json"
BLOCK_BYTES = 2 << 20
Range = tuple[int, int, int]
"""First byte, the one behind the last, CRC-32 of what is between."""


class _Record(Value):
    """What is known of a planes file: `blocks.json`."""

    file: str
    algorithm: Literal["crc32"] = "crc32"
    ranges: tuple[Range, ...]


class _Target(Protocol):
    def write(self, block: bytes, /) -> object: ...


class Summing:
    """A file that is written from its beginning to its end, and summed up block by block on the way.

    Parameters
    ----------
    target
        Where the bytes go.
    """

    def __init__(self, target: _Target) -> None:
        self._target = target
        self._at = self._begin = self._crc = 0
        self._ranges: list[Range] = []

    def write(self, data: bytes, /) -> None:
        """Pass bytes on."""
        self._target.write(data)
        rest = memoryview(data)
        while rest:
            part = rest[: self._begin + BLOCK_BYTES - self._at]
            self._crc = isal_zlib.crc32(part, self._crc)
            self._at += len(part)
            rest = rest[len(part) :]
            if self._at == self._begin + BLOCK_BYTES:
                self._end_block()

    def ranges(self) -> list[Range]:
        """Return every block, once all is written."""
        if self._at > self._begin:
            self._end_block()
        return self._ranges

    def _end_block(self) -> None:
        self._ranges.append((self._begin, self._at, self._crc))
        self._begin, self._crc = self._at, 0


def range_of(data: bytes, at: int) -> Range:
    """Sum up bytes that lie at some byte of a file."""
    return at, at + len(data), isal_zlib.crc32(data)


def record_blocks(path: Path, ranges: Iterable[Range], *, more: bool = False) -> None:
    """Write what is known of a planes file.

    Parameters
    ----------
    path
        Of the planes file.
    ranges
        Blocks.
    more
        Add them to what is known; of blocks that overlap, the new one counts.
    """
    new = sorted(ranges)
    old = _read(path) if more else None
    kept = [r for r in (old.ranges if old else ()) if not any(r[0] < stop and start < r[1] for start, stop, _ in new)]
    with atomic_path(path.with_name(BLOCKS)) as temporary:
        record = _Record(file=path.name, ranges=tuple(sorted([*kept, *new])))
        temporary.write_text(record.model_dump_json(), encoding="ascii")


class Blocks:
    """What is known of one planes file, and which of it this process has compared.

    Parameters
    ----------
    path
        Of the planes file.
    ranges
        Blocks, sorted.
    """

    def __init__(self, path: Path, ranges: Iterable[Range]) -> None:
        self._path = path
        table = np.array(list(ranges), dtype=np.int64).reshape(-1, 3)
        self._starts, self._stops, self._sums = table.T.copy()
        self._checked = np.zeros(len(table), dtype=np.bool_)

    def check(self, start: int, stop: int) -> None:
        """Compare the blocks that hold any byte from `start` to before `stop`.

        Raises
        ------
        CorruptMosaicError
            One is not what was written.
        """
        low, high = np.searchsorted(self._stops, start, "right"), np.searchsorted(self._starts, stop, "left")
        left = low + np.flatnonzero(~self._checked[low:high])
        if not left.size:
            return
        with self._path.open("rb") as file:
            for block in left:
                begin, end = int(self._starts[block]), int(self._stops[block])
                if isal_zlib.crc32(os.pread(file.fileno(), end - begin, begin)) != self._sums[block]:
                    said = f"{self._path.name}: bytes {begin} to {end} in the cache are not those that were written"
                    raise CorruptMosaicError(said)
                self._checked[block] = True


def blocks_of(path: Path) -> Blocks | None:
    """Return what is known of a planes file as it is now; None where nothing is."""
    try:
        states = [one.stat() for one in (path, path.with_name(BLOCKS))]
    except OSError:
        return None
    return _known(path, tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states))


def is_damaged(path: Path) -> bool:
    """Whether any block of a planes file is not what was written; reads all of it."""
    record = _read(path)
    if record is None:
        return False
    try:
        Blocks(path, record.ranges).check(0, path.stat().st_size)
    except CorruptMosaicError:
        return True
    return False


@lru_cache(maxsize=64)
def _known(path: Path, _states: tuple[tuple[int, int, int], ...]) -> Blocks | None:
    record = _read(path)
    return None if record is None else Blocks(path, record.ranges)


def _read(path: Path) -> _Record | None:
    """Read what is known; a record that is damaged itself tells nothing."""
    try:
        record = _Record.model_validate_json(path.with_name(BLOCKS).read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.file == path.name else None
