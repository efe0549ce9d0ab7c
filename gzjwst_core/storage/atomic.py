"""A file at its final name is complete, or it is not there.

The one way a local file of ours comes into being: temp in the same folder → fsync → replace → fsync of the folder.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from gzjwst_core.errors import GzJwstError, StorageError, StorageUnavailableError

__all__ = ["atomic_path", "is_temporary", "storage_error", "sync_path"]

_SUFFIX = ".part"
_REASONS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EACCES: "not_writable",
    errno.EROFS: "not_writable",
}
_PASSING = {
    *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNABORTED, errno.EAGAIN),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
}
"""What a network file system says while its server is away, or has come back and forgotten the open file."""


@contextmanager
def atomic_path(target: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside the target, and put it in place when the block succeeds.

    Parameters
    ----------
    target
        Final path; its folder is made if missing.
    sync
        Force the bytes to disk before the name appears. Members of a chunk may leave it to one `sync_path` each before
        their receipt.

    Raises
    ------
    StorageError
        The disk is full (`disk_full`), the place is not ours to write (`not_writable`), or another file fault.
    StorageUnavailableError
        Its server is away.
    """
    temporary = target.with_name(f".{target.name[:150]}.{os.getpid()}-{uuid4().hex[:8]}{_SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if sync:
            sync_path(temporary)
        temporary.replace(target)
        if sync:
            sync_path(target.parent)
    except GzJwstError:
        raise
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file name is one of `atomic_path`'s, left by a process that was killed."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def storage_error(error: OSError, path: Path | str) -> StorageError:
    """Put an operating system's error in our tree, with its stable reason; one that may pass is retryable."""
    text = f"{path}: {' '.join((error.strerror or str(error)).split())}"  # Arrow's have several lines
    if error.errno in _PASSING:
        return StorageUnavailableError(text)
    return StorageError(text, reason=_REASONS.get(error.errno or 0, "storage"))


def sync_path(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
