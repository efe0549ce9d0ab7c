"""Which entries the mosaic cache holds and which are removed: one budget over all threads and processes.

Whoever fills or reads entries holds them by a pin: a file `pins/<name>.json` with the bytes of each key, locked for as
long as its holder lives. One lock over the whole cache guards every decision; nobody waits for room while holding it,
and a reader holds nothing while it waits, so there is no deadlock. Clocks only order what is removed first.
"""

import functools
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from gzjwst_core.cache.entries import CacheEntries, Item, Kind
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.locks import POLL_S, exclusive, is_held

__all__ = ["CacheBudget"]

_WAIT_S = 4 * POLL_S
_DECIDE_S = POLL_S / 10
"""A decision takes milliseconds."""
_RESERVE_SHARE = 0.05
_RESERVE_BYTES = 2 << 30
_PIN, _WAIT = ".json", ".wait"
_MARK = re.compile(r"[0-9a-f]{32}\.(json|wait)\Z")
_log = logging.getLogger(__name__)


class CacheBudget:
    """The cache's budget.

    Parameters
    ----------
    entries
        What lies in the cache.
    budget
        Bytes; None = what is used and free, but for a reserve of 5 % of the disk (at most 2 GiB).
    """

    def __init__(self, entries: CacheEntries, budget: int | None) -> None:
        self._entries = entries
        self._budget = budget

    @contextmanager
    def holding(self, wanted: Mapping[str, int]) -> Iterator[None]:
        """Hold keys from the moment there is room for them; waits until then. See `MosaicCache.holding`."""
        with ExitStack() as pin:
            if wanted and not self._admitted(wanted, pin):
                with self._waiting():
                    while not self._admitted(wanted, pin):
                        time.sleep(_WAIT_S)
            yield

    @contextmanager
    def ahead(self, wanted: Mapping[str, int]) -> Iterator[bool]:
        """Hold keys if there is room for them now, or can be by removing what was read; yields whether there is."""
        with ExitStack() as pin:
            yield self._admitted_ahead(wanted, pin)

    def capacity(self) -> int:
        """Bytes that may lie in the cache: its budget, or what is there and free on its disk but for the reserve."""
        if self._budget is not None:
            return self._budget
        there = next(path for path in (self._entries.folder, *self._entries.folder.parents) if path.exists())
        disk = shutil.disk_usage(there)
        return max(self._entries.usage() + disk.free - _reserve(disk.total), 0)

    def held(self) -> dict[str, int]:
        """Return the keys that are held now, with the bytes their holders said; takes no lock."""
        return _together(_read(mark) for mark in self._marks() if is_held(mark))

    def clear(self, chosen: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
        """Remove what is chosen and neither held nor being filled; returns what is gone and what was left."""
        with self._deciding():
            held = _together(map(_read, self._alive()))
            items = [item for item in self._entries.items() if chosen(item)]
            gone = [item for item in items if item.key not in held and self._entries.remove(item)]
            return gone, [item for item in items if item not in gone]

    def _admitted(self, wanted: Mapping[str, int], pin: ExitStack) -> bool:
        with self._deciding():
            others = _together(_read(mark) for mark in self._alive() if mark.suffix == _PIN)
            held = _together([others, wanted])
            items = self._entries.items()
            unheld, excess = _without(items, held), self._excess(held, items)
            if excess > _bytes(unheld):
                if not others:
                    _warn_tight(self._entries.folder)
                elif self._to_come(held) > self._to_come(others):
                    return False
            self._make_room(unheld, excess)
            pin.enter_context(self._marked(_PIN, wanted))
            return True

    def _admitted_ahead(self, wanted: Mapping[str, int], pin: ExitStack) -> bool:
        with self._deciding():
            others = self._alive()
            if any(mark.suffix == _WAIT for mark in others):  # readers go first
                return False
            held = _together([*map(_read, others), wanted])
            items = self._entries.items()
            read = [item for item in _without(items, held) if item.kind <= Kind.USED]
            excess = self._excess(held, items)
            if excess > _bytes(read) or self._make_room(read, excess) > 0:  # > 0: some of it is being filled again
                return False
            pin.enter_context(self._marked(_PIN, wanted))
            return True

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        folder = self._entries.folder
        with exclusive(self._entries.guard(folder / "locks" / "room.lock"), poll_s=_DECIDE_S):
            try:
                yield
            except OSError as error:
                if hasattr(error, "retryable"):  # ours already
                    raise
                raise storage_error(error, folder) from error

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        with ExitStack() as mark:
            with self._deciding():  # or another would take the mark, not locked yet, for one of the gone
                mark.enter_context(self._marked(_WAIT))
            yield

    @contextmanager
    def _marked(self, kind: str, wanted: Mapping[str, int] = MappingProxyType({})) -> Iterator[None]:
        mark = self._entries.guard(self._entries.folder / "pins" / f"{uuid4().hex}{kind}")
        with exclusive(mark):
            try:
                mark.write_text(json.dumps(dict(wanted)), encoding="ascii")
                yield
            finally:
                mark.unlink(missing_ok=True)

    def _marks(self) -> list[Path]:
        folder = self._entries.guard(self._entries.folder / "pins")
        return [mark for mark in folder.glob("*") if _MARK.match(mark.name) and not mark.is_symlink()]

    def _alive(self) -> list[Path]:
        """Return the marks of those who hold or wait, and remove those of the gone."""
        alive = []
        for mark in self._marks():
            if is_held(mark):
                alive.append(mark)
            else:
                mark.unlink(missing_ok=True)
        return alive

    def _excess(self, held: Mapping[str, int], items: list[Item]) -> int:
        """Bytes that have to go, so that there is room for all that is held once it is there."""
        to_come = self._to_come(held)
        if self._budget is not None:
            return to_come + _bytes(items) - self._budget
        disk = shutil.disk_usage(self._entries.folder)
        return (
            to_come and to_come + _reserve(disk.total) - disk.free
        )  # what is there stays, however full others make the disk

    def _to_come(self, held: Mapping[str, int]) -> int:
        """Bytes that held entries will take beside what they take now; one that is whole grows no more."""
        missing = 0
        for key, said in held.items():
            entry = self._entries.entry(key)
            if entry is None or entry.checked == "rows":
                missing += max(said - self._entries.size(key), 0)
        return missing

    def _make_room(self, items: Iterable[Item], excess: int) -> int:
        """Remove one after the other until enough has gone; returns the bytes that are still too many."""
        gone: list[Item] = []
        for item in items:
            if _bytes(gone) >= excess:
                break
            if self._entries.remove(item):
                gone.append(item)
        if gone:
            _log.info("%s: %d items, %.1f MB, made way", self._entries.folder, len(gone), _bytes(gone) / 1e6)
        return excess - _bytes(gone)


def _reserve(disk: int) -> int:
    return min(round(_RESERVE_SHARE * disk), _RESERVE_BYTES)


def _without(items: Iterable[Item], held: Mapping[str, int]) -> list[Item]:
    return [item for item in items if item.key not in held]


def _bytes(items: Iterable[Item]) -> int:
    return sum(item.size for item in items)


def _together(held: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Each key once, with the most that a holder said of it."""
    most: dict[str, int] = {}
    for pin in held:
        for key, said in pin.items():
            most[key] = max(said, most.get(key, 0))
    return most


def _read(mark: Path) -> dict[str, int]:
    try:
        return {str(key): int(said) for key, said in json.loads(mark.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # gone meanwhile, or not written yet


@functools.cache
def _warn_tight(folder: Path) -> None:
    _log.warning("%s: there is less room than one field needs; going on with that field alone", folder)
