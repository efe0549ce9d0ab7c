"""Folders whose files are obeyed, not only read: nobody else may write there.

Prefect's result store is one: its records name the code that reads them, so whoever can write a record there can run
code as us. The folder's own permissions are the only wall.
"""

import os
import stat
from pathlib import Path

from gzjwst_core.errors import StorageError

__all__ = ["check_private"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_private(folder: Path) -> None:
    """See that nobody else can put a file into a folder.

    Parameters
    ----------
    folder
        It need not be there yet: then the one that would hold it counts.

    Raises
    ------
    StorageError
        It belongs to somebody else, or others may write there (reason `not_private`): neither it nor a folder above it
        is closed to them.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists()).resolve()
    if any(_is_closed(path) for path in (there, *there.parents)):
        return
    state = there.stat()
    if state.st_uid != os.getuid() or state.st_mode & _OTHERS_WRITE:
        said = f"{there}: others may write there, and what lies there is run as code: chmod 700 it, or set PREFECT_HOME"
        raise StorageError(said, reason="not_private")


def _is_closed(path: Path) -> bool:
    state = path.stat()
    return state.st_uid == os.getuid() and not state.st_mode & _OTHERS
