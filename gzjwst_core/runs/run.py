"""Where a run writes, alone, and where its cache is."""

import fcntl
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gzjwst_core.errors import StorageError
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder

__all__ = ["existing_folder", "writing_alone"]

_log = logging.getLogger(__name__)


@contextmanager
def writing_alone(folder: Folder, cache: Path) -> Iterator[int]:
    """Keep runs, and other verbs, out of a run folder; yields the lock's descriptor.

    Raises
    ------
    StorageError
        As of `locked`.
    """
    with _opened(_lock_path(folder, cache)) as file:
        _take(file, folder.url)
        yield file.fileno()


def _opened(path: Path) -> TextIO:
    existing_folder(path.parent)
    try:
        return path.open("a")
    except OSError as error:
        raise storage_error(error, path) from error


def existing_folder(folder: Path) -> Path:
    """Return a local folder, made where it is not there.

    Raises
    ------
    StorageError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return folder


def _lock_path(folder: Folder, cache: Path) -> Path:
    local = folder.local()
    if local is not None:
        return local.with_name(f".{local.name}.lock")
    return cache / "locks" / f"{hashlib.sha256(folder.url.encode()).hexdigest()[:20]}.lock"


def _take(file: TextIO, url: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # dies with the last process that holds it
    except BlockingIOError:
        raise StorageError(f"another run is writing to {url}: wait for it", reason="busy") from None
    except OSError as error:  # some cluster file systems have no locks
        _log.warning("%s cannot be locked (%s): start no second run there", url, error.strerror)
