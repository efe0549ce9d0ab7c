"""Locks between threads and processes of one machine, by `flock`: they die with whoever held them.

Here are only locks; what they guard is the callers' business. This module never removes a lock file, and where somebody
else did, a lock counts only if its file still stands at its path: or two would hold what they think is the same. Every
wait polls, so Ctrl-C and a cancelled run end it. On a file system without locks the work goes on, guarded within this
process only, with one warning.
"""

import errno
import fcntl
import functools
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gzjwst_core.storage.atomic import storage_error

__all__ = ["POLL_S", "exclusive", "is_held", "try_exclusive"]

POLL_S = 0.05
"""How long a waiter sleeps between two tries."""
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_log = logging.getLogger(__name__)
_ours: set[tuple[int, int]] = set()
_ours_guard = threading.Lock()


@contextmanager
def exclusive(path: Path, *, poll_s: float = POLL_S) -> Iterator[None]:
    """Hold a lock alone; waits for it as long as it takes.

    Parameters
    ----------
    path
        Lock file; made, with its folder, if missing. Threads exclude each other too; one thread asking for what it
        holds already waits for ever.
    poll_s
        Seconds between two tries.

    Raises
    ------
    StorageError
        The file cannot be made or opened, or is a link.
    """
    while (descriptor := _try(path)) is None:
        time.sleep(poll_s)
    try:
        yield
    finally:
        _release(descriptor)


@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Hold a lock alone if it is free; yields whether it was. Never waits."""
    descriptor = _try(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody alive holds the lock alone; makes no file, and is False where there is none.

    Raises
    ------
    StorageError
        The file is there, but cannot be opened.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error(error, path) from error
    free = False
    try:
        free = _take(descriptor, fcntl.LOCK_SH, path)
    finally:
        _release(descriptor) if free else os.close(descriptor)
    return not free


def _try(path: Path) -> int | None:
    """Open and lock a file, None if others hold it, or its file has just been removed."""
    descriptor, taken, kept = _open(path), False, False
    try:
        taken = _take(descriptor, fcntl.LOCK_EX, path)
        kept = taken and _stands(descriptor, path)
    finally:
        if not kept:
            _release(descriptor) if taken else os.close(descriptor)
    return descriptor if kept else None


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, _FLAGS | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(error, path) from error


def _stands(descriptor: int, path: Path) -> bool:
    try:
        state = path.lstat()
    except OSError:
        return False
    return (state.st_dev, state.st_ino) == _name(descriptor)


def _take(descriptor: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise storage_error(error, path) from error
        _warn(path.parent, error.strerror)
        return _take_here(descriptor)
    return True


def _take_here(descriptor: int) -> bool:
    with _ours_guard:
        name = _name(descriptor)
        free = name not in _ours
        _ours.add(name)
        return free


def _release(descriptor: int) -> None:
    # by name, not by closing alone: a forked child may still have the same open file
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    with _ours_guard:
        _ours.discard(_name(descriptor))
    os.close(descriptor)


def _name(descriptor: int) -> tuple[int, int]:
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino


@functools.cache
def _warn(folder: Path, said: str | None) -> None:
    _log.warning("%s: files cannot be locked there (%s): start no second run with it", folder, said)
