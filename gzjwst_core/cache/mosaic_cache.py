"""The mosaic cache: verified planes of mosaics as plain FITS, on a local disk.

One entry a mosaic and what was asked of it: other bytes, or other planes, are another entry. Whoever fills one does so
alone, whoever reads holds what it reads, and the budget is kept by removing what nobody holds. Where things lie is in
`entries`, which entries are held and which are removed is in `budget`; what a mosaic's bytes must prove is in `fetch`.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from gzjwst_core.archives.digests import DigestIndex
from gzjwst_core.cache.budget import CacheBudget
from gzjwst_core.cache.entries import RECORD, CacheEntries, CacheEntry, Item, Kind
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.blocks import is_damaged
from gzjwst_core.names import tidy_name
from gzjwst_core.storage.atomic import atomic_path, is_temporary, storage_error
from gzjwst_core.storage.locks import exclusive
from gzjwst_core.values import digest_of

__all__ = ["CacheEntry", "MosaicCache"]

_log = logging.getLogger(__name__)

_KEEP_TEMPORARIES_S = 600.0
"""A temporary file that grew within this time may be another machine's, whatever process it names."""
_KEEP_BODIES_S = 24 * 3600.0
"""A body that nobody fills is kept this long, so that a run begun anew can go on with it."""


class MosaicCache:
    """Mosaics under one local folder; any number of threads and processes may use it at once.

    Parameters
    ----------
    folder
        Of the cache; made when something is put in.
    budget
        Bytes it may take; None = what the disk gives but for a reserve.
    """

    def __init__(self, folder: Path, budget: int | None = None) -> None:
        self.folder = folder
        self._entries = CacheEntries(folder)
        self._room = CacheBudget(self._entries, budget)

    @property
    def digests(self) -> DigestIndex:
        """Digests of files on mounted volumes."""
        return DigestIndex(self.folder / "digests", self.folder / "locks")

    def key(self, mosaic: Mosaic, planes: tuple[str, ...], more: str = "") -> str:
        """Return the name of the entry for a located mosaic.

        Parameters
        ----------
        mosaic
            Located: its identity counts.
        planes
            Names of the science plane that were asked for.
        more
            What else the file depends on, such as which rows were asked for.
        """
        asked = [mosaic.identity, *planes]
        return digest_of({"asked": asked, "more": more} if more else asked)

    def find(self, key: str, mosaic: Mosaic) -> Path | None:
        """Return the planes' file of an entry, None if it is not there whole. Asks no archive."""
        entry = self._entries.entry(key)
        if entry is None or entry.identity != mosaic.identity:
            return None
        return self._entries.place(key) / entry.file

    def size(self, key: str) -> int | None:
        """Bytes of an entry's planes, None if it is not there whole."""
        entry = self._entries.entry(key)
        return None if entry is None else entry.size

    def put(self, key: str, mosaic: Mosaic) -> Path:
        """Return the final path of an entry's planes; the file counts once it is recorded.

        Raises
        ------
        StorageError
            A link stands in the way.
        """
        stem = tidy_name(mosaic.filename).removesuffix(".gz").removesuffix(".fits")
        return self._entries.guard(self._entries.place(key) / f"{stem}.fits")

    def record(self, path: Path, **facts: Any) -> CacheEntry:
        """Make a file that stands in its place count, with what is known of it (fields of `CacheEntry`)."""
        entry = CacheEntry(file=path.name, size=path.stat().st_size, **facts)
        with atomic_path(path.with_name(RECORD)) as temporary:
            temporary.write_text(json.dumps(entry.model_dump(), indent=1) + "\n", encoding="utf-8")
        return entry

    @contextmanager
    def filling(self, key: str) -> Iterator[Path]:
        """Fill an entry alone: other threads and processes wait, and find it done afterwards.

        Yields
        ------
        Path
            Where the body goes, as the archive sends it. What is there came earlier: it survives errors and kills, so
            that a transfer can go on. Whoever has finished removes it.

        Raises
        ------
        StorageError
            The cache cannot be written (`disk_full`, ...); errors of files in the block become this too.
        """
        body = self._entries.guard(self._entries.body(key))
        with exclusive(self._entries.lock(key)):
            try:
                body.parent.mkdir(parents=True, exist_ok=True)
                yield body
            except OSError as error:
                if hasattr(error, "retryable"):  # ours already
                    raise
                raise storage_error(error, body) from error

    def holding(self, wanted: Mapping[str, int]) -> AbstractContextManager[None]:
        """Have room for entries, and keep them from being removed, until the block ends. Waits while others need it.

        Parameters
        ----------
        wanted
            Keys of all entries that the block fills or reads, with the bytes each will take at most, its body
            included. An entry that is there counts as what it takes. Ask for everything at once, and not again inside.

        Raises
        ------
        StorageError
            The cache cannot be written.
        """
        return self._room.holding(wanted)

    def ahead(self, wanted: Mapping[str, int]) -> AbstractContextManager[bool]:
        """Have room for entries that are wanted later; yields whether there is some. As `holding`, but never waits.

        Only entries that were read already (and leftovers) make way, and a reader that waits for room goes first.
        """
        return self._room.ahead(wanted)

    def used(self, key: str) -> None:
        """Say that a reader has read an entry: of those that were read, it is now the last to go."""
        self._entries.touch(key)

    def forget_damaged(self, key: str) -> None:
        """Let an entry whose planes are not what was written count no longer, so that it is fetched anew."""
        with exclusive(self._entries.lock(key)):
            entry = self._entries.entry(key)
            if entry is not None and is_damaged(self._entries.place(key) / entry.file):
                _log.warning("%s: damaged in the cache: fetched anew", entry.uri)
                self._entries.forget(key)

    def entries(self) -> list[CacheEntry]:
        """Return what the cache holds, by logical address; entries that cannot be read are left out."""
        return sorted((item.entry for item in self.items() if item.entry), key=lambda entry: entry.uri)

    def items(self) -> list[Item]:
        """Return what can be removed, in the order in which it makes way."""
        return self._entries.items()

    def held(self) -> set[str]:
        """Return the keys that somebody holds now."""
        return set(self._room.held())

    def usage(self) -> int:
        """Bytes on the disk: entries (sparse files by their blocks), and bodies that are on their way."""
        return self._entries.usage()

    def capacity(self) -> int:
        """Bytes that it may take."""
        return self._room.capacity()

    def clear(self, chosen: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
        """Remove what is chosen, but not what is held or being filled; returns what is gone and what was left."""
        return self._room.clear(chosen) if self.folder.is_dir() else ([], [])

    def sweep(self) -> int:
        """Remove what nobody will need: what killed processes left, and bodies of yesterday; returns how many."""
        if not self.folder.is_dir():
            return 0
        whole = {item.key for item in self.items() if item.entry}
        return _remove_temporaries(self.folder) + len(self.clear(lambda item: _is_garbage(item, whole))[0])


def _is_garbage(item: Item, whole: Container[str]) -> bool:
    """Whether an item is of no use: unfinished planes, a body of yesterday or of an entry that was finished since."""
    if item.kind is Kind.BODY:
        return item.key in whole or item.age_s() > _KEEP_BODIES_S
    return item.kind is Kind.UNFINISHED


def _remove_temporaries(folder: Path) -> int:
    """Remove temporary files that nobody writes to any more, and return how many."""
    found = [path for path in folder.rglob(".*.part") if is_temporary(path.name)]
    left = [path for path in found if not _is_alive(path.name) and not _is_young(path)]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _is_alive(name: str) -> bool:
    """Whether the process that a temporary file is named after still runs, were it this machine's."""
    pid = name.rsplit(".", 2)[-2].partition("-")[0]
    if not (pid.isascii() and pid.isdigit() and 0 < int(pid) < 1 << 31):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _is_young(path: Path) -> bool:
    """Whether a file was written to lately: other machines and containers may share the cache, with other processes."""
    try:
        return time.time() - path.lstat().st_mtime < _KEEP_TEMPORARIES_S
    except FileNotFoundError:
        return True  # its owner has just put it in place
