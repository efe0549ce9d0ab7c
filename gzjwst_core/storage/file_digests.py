"""Files that others made: which a path or pattern names, what each is called, and the digest of what they hold."""

import hashlib
from os import PathLike
from pathlib import Path

from gzjwst_core.errors import StorageError
from gzjwst_core.paths import files_at
from gzjwst_core.storage.atomic import storage_error

__all__ = ["digest_of_files", "existing_files", "file_label"]


_OPTAP = "_optap"
"""Ends the names of ASTRODEEP's files; what is before it names the field."""


def digest_of_files(path: str | PathLike[str], *, named: bool = False) -> str:
    """Digest of what the files hold; where there are several their names count too, as rows are named by them.

    Parameters
    ----------
    path
        As for `read_outside`.
    named
        The name of a single file counts as well: `which_catalogue` is made of it.

    Raises
    ------
    StorageError
        A file is not there (`not_found`) or cannot be read.
    """
    digests = {file_label(file): _digest(file) for file in existing_files(path)}
    if len(digests) == 1 and not named:
        return next(iter(digests.values()))
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def existing_files(path: str | PathLike[str]) -> list[Path]:
    """Return the files that a path or pattern names, sorted.

    Raises
    ------
    StorageError
        There is none (`not_found`).
    """
    files = files_at(path)
    if not files:
        raise StorageError(f"{path}: no such file", reason="not_found")
    return files


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(error, path) from error


def file_label(path: Path) -> str:
    """Return the file's name without its endings, and without what ASTRODEEP's files end in."""
    return path.name.partition(".")[0].removesuffix(_OPTAP)
