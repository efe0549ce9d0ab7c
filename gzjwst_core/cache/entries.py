"""What lies in the cache's folder: entries of mosaics, bodies that are on their way, and how to remove them safely.

`mosaics/<key>/` holds one planes' file, its record `source.json` (written last: without it the file does not count),
`used`, whose date says when it was read, `rows.json` of `windows` and `blocks.json`, digests of the planes. In
`partial/<key>.body` is what came of a body so far. Only files that we made are counted or removed, and no link is ever
followed. What to remove is decided in `budget`.
"""

import os
import re
import stat
import time
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from gzjwst_core.errors import NameRefusedError, StorageError
from gzjwst_core.mosaics.blocks import BLOCKS
from gzjwst_core.names import safe_name
from gzjwst_core.storage.atomic import is_temporary
from gzjwst_core.storage.locks import try_exclusive
from gzjwst_core.values import Value

__all__ = ["RECORD", "CacheEntries", "CacheEntry", "Item", "Kind"]

RECORD = "source.json"
_USED = "used"
_ROWS = "rows.json"
_CRUMBS = (RECORD, _ROWS, BLOCKS, _USED)
_KEY = re.compile(r"[0-9a-f]{20}\Z")
_BODY = ".body"


class Kind(IntEnum):
    """What an item is, in the order in which items make way."""

    UNFINISHED = 0
    """An entry's folder without a record."""
    USED = 1
    """An entry that was read."""
    UNREAD = 2
    """An entry that nobody has read yet."""
    BODY = 3
    """A body that is on its way."""


class CacheEntry(Value):
    """What is known of one cached mosaic: `source.json`."""

    uri: str
    identity: str
    source_size: int
    """Bytes of the body that the archive sent."""
    source_sha256: str
    planes: tuple[str, ...]
    file: str
    size: int
    """Bytes of the planes' file."""
    checked: str = "size"
    """How the body was verified: `digest`, `etag`, `gzip`, `size`; `rows` where only some of its rows are there."""


class Item(NamedTuple):
    """Something of ours on the disk that is removed as one."""

    key: str
    kind: Kind
    size: int
    """Bytes it takes: a sparse file counts by its blocks; the record and other crumbs do not count."""
    changed_ns: int
    """When it was read last, or else when it came."""
    entry: CacheEntry | None = None

    def age_s(self) -> float:
        """Seconds since it was read, or came."""
        return time.time() - self.changed_ns / 1e9


class CacheEntries:
    """The cache's folder.

    Parameters
    ----------
    folder
        Of the cache; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, key: str) -> Path:
        """Return an entry's folder.

        Raises
        ------
        NameRefusedError
            That is no key of ours.
        """
        return self.folder / "mosaics" / _checked(key)

    def body(self, key: str) -> Path:
        """Return the path of a body that is on its way."""
        return self.folder / "partial" / f"{_checked(key)}{_BODY}"

    def lock(self, key: str) -> Path:
        """Return the lock file of whoever fills or removes an entry."""
        return self.guard(self.folder / "locks" / f"mosaic-{_checked(key)}.lock")

    def entry(self, key: str) -> CacheEntry | None:
        """Return an entry's record if its file is there whole; None otherwise."""
        return _whole(self.place(key), self._record(key))

    def guard(self, path: Path) -> Path:
        """Return a path that is about to be written.

        Raises
        ------
        StorageError
            It, or a folder of ours above it, is a link: what it leads to is not ours.
        """
        for part in (path, *path.parents):
            if part == self.folder:
                break
            if part.is_symlink():
                raise StorageError(f"{part}: is a link, and the cache follows none: remove it", reason="not_writable")
        return path

    def items(self) -> list[Item]:
        """Return what can be removed, in the order in which it makes way: the oldest of each kind first."""
        items = [self._item(key) for key in self._keys()]
        items += [Item(path.stem, Kind.BODY, _taken(path), _changed_ns(path)) for path in self._bodies()]
        return sorted(items, key=lambda item: (item.kind, item.changed_ns, item.key))

    def size(self, key: str) -> int:
        """Bytes an entry and its body take on the disk, however far it is."""
        return sum(map(_taken, [*self._files(self.place(key), self._record(key)), *self._own_body(key)]))

    def usage(self) -> int:
        """Bytes that all entries and bodies take on the disk."""
        return sum(item.size for item in self.items())

    def touch(self, key: str) -> None:
        """Remember that an entry was read just now."""
        place = self.place(key)
        if _is_link(place.parent, place):
            return
        with suppress(OSError):  # gone meanwhile, or not ours to write: only the order of removal suffers
            descriptor = os.open(place / _USED, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                os.utime(descriptor)
            finally:
                os.close(descriptor)

    def remove(self, item: Item) -> bool:
        """Remove one thing, unless somebody is filling its entry; whether it is gone."""
        with try_exclusive(self.lock(item.key)) as free:
            if not free or (item.kind is Kind.UNFINISHED and self.entry(item.key)):  # whole by now
                return False
            if item.kind is Kind.BODY:
                for path in self._own_body(item.key):
                    path.unlink(missing_ok=True)
            else:
                self._remove_files(item.key)
            return True

    def forget(self, key: str) -> None:
        """Let an entry count no longer, but leave its planes to whoever reads them; whoever fills it replaces them."""
        for name in (RECORD, _ROWS):
            (self.place(key) / name).unlink(missing_ok=True)

    def _item(self, key: str) -> Item:
        place, record = self.place(key), self._record(key)
        size = sum(map(_taken, self._files(place, record)))
        entry = _whole(place, record)
        if entry is None:
            return Item(key, Kind.UNFINISHED, size, _changed_ns(place))
        used_ns = _changed_ns(place / _USED)
        kind = Kind.USED if used_ns else Kind.UNREAD
        return Item(key, kind, size, used_ns or _changed_ns(place / RECORD), entry)

    def _remove_files(self, key: str) -> None:
        place = self.place(key)
        files = self._files(place, self._record(key))
        # the record first: what is left of a removal that was cut short does not count
        for path in (*(place / name for name in _CRUMBS), *files):
            if _is_file(path):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # a file that is not ours is in it: that stays
            place.rmdir()

    def _record(self, key: str) -> CacheEntry | None:
        place = self.place(key)
        if _is_link(place.parent, place, place / RECORD):
            return None
        try:
            entry = CacheEntry.model_validate_json((place / RECORD).read_bytes())
            return entry if safe_name(entry.file) else None
        except (OSError, ValidationError, NameRefusedError):
            return None

    def _bodies(self) -> list[Path]:
        paths = _listed(self.folder / "partial")
        return [p for p in paths if p.suffix == _BODY and _KEY.match(p.stem) and _is_file(p)]

    def _own_body(self, key: str) -> list[Path]:
        path = self.body(key)
        return [path] if _is_file(path) and not _is_link(path.parent) else []

    def _keys(self) -> list[str]:
        return [p.name for p in _listed(self.folder / "mosaics") if _KEY.match(p.name) and _is_folder(p)]

    def _files(self, place: Path, entry: CacheEntry | None) -> list[Path]:
        """Files of ours in an entry's folder but for crumbs; without a record, any planes' file there is one."""
        return [
            path
            for path in _listed(place)
            if _is_file(path)
            and (is_temporary(path.name) or (path.name == entry.file if entry else path.suffix == ".fits"))
        ]


def _taken(path: Path) -> int:
    """Bytes a file takes on its disk; 0 if it is gone."""
    try:
        state = path.lstat()
    except OSError:
        return 0
    return min(state.st_size, state.st_blocks * 512)


def _whole(place: Path, entry: CacheEntry | None) -> CacheEntry | None:
    try:
        state = (place / entry.file).lstat() if entry else None
    except OSError:  # removed meanwhile
        return None
    return entry if entry and state and stat.S_ISREG(state.st_mode) and state.st_size == entry.size else None


def _checked(key: str) -> str:
    if not _KEY.match(key):
        raise NameRefusedError(f"{key[:40]!r} is no key of the mosaic cache (20 hexadecimal digits)")
    return key


def _listed(folder: Path) -> list[Path]:
    """List a folder of ours by name; nothing if it is a link or not there."""
    if folder.is_symlink():
        return []
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_link(*paths: Path) -> bool:
    return any(path.is_symlink() for path in paths)


def _is_file(path: Path) -> bool:
    return not path.is_symlink() and path.is_file()


def _is_folder(path: Path) -> bool:
    return not path.is_symlink() and path.is_dir()


def _changed_ns(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0
