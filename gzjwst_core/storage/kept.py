"""Files of a run folder that nothing can make anew are there twice: what damages one of them is healed from the other.

The copies lie in `kept/`, under the same paths; bytes that a copy takes the place of are put aside in
`kept/replaced/`, under their digest.
"""

import hashlib
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from gzjwst_core.errors import CatalogError, ProfileError, SubjectsError
from gzjwst_core.storage.folder import Folder

__all__ = ["KEPT", "put_back", "read_kept", "write_kept"]

KEPT = "kept/"
_REPLACED = f"{KEPT}replaced/"
_log = logging.getLogger(__name__)
T = TypeVar("T")


def write_kept(folder: Folder, relative: str, data: bytes) -> None:
    """Write a file and its copy.

    The copy first: a process that ends between the two leaves a file that can be read, or that its copy completes.
    """
    folder.write(f"{KEPT}{relative}", data)
    folder.write(relative, data)


def put_back(folder: Folder, relative: str, data: bytes) -> str:
    """Write a file as its copy has it.

    Returns
    -------
    str
        Where the bytes are now that were there, for a message; empty where there were none, or only a part of `data`.
    """
    old = folder.read(relative) if folder.exists(relative) else b""
    aside = "" if data.startswith(old) else f"{_REPLACED}{relative.removeprefix(KEPT)}.{_digest(old)[:8]}"
    if aside:
        folder.write(aside, old)
    folder.write(relative, data)
    return aside


def read_kept(
    folder: Folder, relative: str, read: Callable[[Path], T], remedy: str, digests: Collection[str] = ()
) -> T | None:
    """Read a file; from its copy, which then takes its place, where it is gone, damaged or cannot be read.

    Parameters
    ----------
    folder
        The run folder.
    relative
        The file's path.
    read
        Reads a local path.
    remedy
        What a person may do where both are damaged, for the message.
    digests
        SHA-256 that receipts state for the file, if any do. Without them the file is a person's: only one that is gone,
        or cut off within a line, is healed.

    Returns
    -------
    T or None
        None where neither the file nor a copy of it is there.

    Raises
    ------
    ProfileError, CatalogError, SubjectsError
        As `read` does, where the copy is damaged too or is not there.
    """
    copy = f"{KEPT}{relative}"
    has_copy = folder.exists(copy)
    if not folder.exists(relative) and not has_copy:
        return None
    if has_copy and _is_damaged(folder, relative, copy, digests):
        return _healed(folder, relative, read, remedy)
    try:
        with folder.reading(relative) as path:
            return read(path)
    except (ProfileError, CatalogError, SubjectsError) as error:
        also = f" (its copy is {copy})" if has_copy else ""
        raise type(error)(f"{error}{also}; {remedy}", reason=error.reason) from None


def _is_damaged(folder: Folder, relative: str, copy: str, digests: Collection[str]) -> bool:
    """Whether a file is gone, is not what its receipt says while its copy is, or is the beginning of its copy."""
    if not folder.exists(relative):
        return True
    data, whole = folder.read(relative), folder.read(copy)
    if data == whole:
        return False
    if any(digests):
        own, other = _digest(data), _digest(whole)
        return own not in digests and other in digests
    return whole.startswith(data) and not data.endswith(b"\n")  # whole rows that are gone were taken out by a person


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _healed(folder: Folder, relative: str, read: Callable[[Path], T], remedy: str) -> T:
    copy = f"{KEPT}{relative}"
    try:
        with folder.reading(copy) as path:
            value = read(path)
    except (ProfileError, CatalogError, SubjectsError) as error:
        said = f"{folder.url}/{relative} and its copy {copy} are damaged ({error}); {remedy}"
        raise type(error)(said, reason=error.reason) from None
    aside = put_back(folder, relative, folder.read(copy))
    also = f"; what was there is now {aside}" if aside else ""
    _log.warning("%s/%s is not what was written: it is put back from its copy %s%s", folder.url, relative, copy, also)
    return value
