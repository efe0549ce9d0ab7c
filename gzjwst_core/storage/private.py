"""Folders whose files are obeyed, not only read: nobody else may write there.

Prefect's result store is one: its records name the code that reads them, so whoever can write a record there can run
code as us. The folder's own permissions are the only protection.
"""

import logging
import os
import stat
from pathlib import Path

from gzjwst_core.errors import StorageError
from gzjwst_core.storage.atomic import storage_error

__all__ = ["check_private"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ROOT = 0
_log = logging.getLogger(__name__)


def check_private(folder: Path) -> None:
    """See to it that nobody else can put a file into a folder.

    Parameters
    ----------
    folder
        Made if it is not there. From one of ours, others' right to write is taken away: where the umask is 002, as on
        Ubuntu, a library makes such folders.

    Raises
    ------
    StorageError
        It is not ours, others' rights cannot be taken away, or the folder above is a stranger's in which others could
        put another in its place (reason `not_private`). Or it cannot be made.
    """
    try:
        _make(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    there = folder.resolve()
    _check_swap(there.parent)
    if there.stat().st_uid != os.getuid():
        raise _not_private(there, "it is somebody else's")
    if there.stat().st_mode & _OTHERS_WRITE:
        _close(there)


def _make(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def _close(folder: Path) -> None:
    try:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~_OTHERS_WRITE)
    except OSError as error:
        raise _not_private(folder, f"others may write there, which cannot be changed ({error.strerror})") from error
    if folder.stat().st_mode & _OTHERS_WRITE:  # some file systems only say yes
        raise _not_private(folder, "others may write there, which cannot be changed")
    _log.warning("%s: others could write there, where Prefect keeps what it runs: no longer", folder)


def _check_swap(parent: Path) -> None:
    state = parent.stat()
    ours = state.st_uid in {os.getuid(), _ROOT}
    if not ours and state.st_mode & _OTHERS_WRITE and not state.st_mode & stat.S_ISVTX:
        raise _not_private(parent, "it is somebody else's, and others may write there")


def _not_private(folder: Path, said: str) -> StorageError:
    why = "what lies there is run as code: set PREFECT_HOME to a folder of your own"
    return StorageError(f"{folder}: {said}, and {why}", reason="not_private")
