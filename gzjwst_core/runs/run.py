"""A run: a profile, where it writes, where its cache is; and the lock that keeps other runs out of its folder.

A pipeline's run is a subclass. Nothing of where or how it runs (output URL, cache, workers) enters a key or a product.
"""

import fcntl
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TextIO

from gzjwst_core.errors import StorageError
from gzjwst_core.paths import expanded
from gzjwst_core.runs.profile_file import Profile
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import Value

__all__ = ["Run", "existing_folder", "locked", "writing_alone"]

_log = logging.getLogger(__name__)


class Run(Value):
    """What one run does, as plain values."""

    profile: Profile
    out: str
    """URL of the folder that holds the run's folder."""
    cache: str
    """Local folder of the cache."""
    cache_gb: float = 0.0
    """What the cache may hold, GB; 0 = what its disk gives."""
    profile_folder: str = "."
    """Folder that relative paths of the profile are read from."""
    offline: bool = False
    """Ask no archive: the run folder's lists and the cache must do."""

    @cached_property
    def folder(self) -> Folder:
        """The run's own folder: named as the profile is."""
        return Folder(self.out).below(self.profile.name)

    def beside_profile(self, path: str, key: str) -> str:
        """Return the local path, or pattern, of a file that the profile names under a key; empty for none.

        Parameters
        ----------
        path
            As the profile gives it.
        key
            Where, for messages.

        Raises
        ------
        ProfileError
            It names a variable that is not set.
        """
        return path and str(Path(self.profile_folder) / expanded(path, key, self.profile_folder))


@contextmanager
def locked(run: Run) -> Iterator[int]:
    """Keep other runs out of the same run folder, and remove what a killed one left; yields the lock's descriptor.

    The lock lies beside a local run folder, however that is called; for others it is this machine's, in the cache.

    Raises
    ------
    StorageError
        Another run is writing there (reason `busy`), or nothing can be written there.
    """
    with writing_alone(run.folder, Path(run.cache)) as lock:
        run.folder.sweep()
        yield lock


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
