"""Reading what a unit made: its bytes are compared with the digest on its receipt when they are read.

Sizes alone say whether work stands, so that a run of a large survey begins at once; damage that keeps the size is found
here. A damaged unit stands no longer, so that a run makes it anew, and nobody goes on with its bytes. Files that are no
unit's of work (lists of products, the frozen profile) get a receipt of their own by `keep`.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from astropy.table import Table

from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.runs.receipts import claims, latest, read_receipt, receipt_path, supersede, write_receipt
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.values import Output

__all__ = ["DAMAGED", "Made", "keep", "made_by", "read_made", "read_table", "read_table_if_whole", "reading_made"]

_log = logging.getLogger(__name__)

DAMAGED = "damaged"
"""Reason of the error: whoever runs the stages again makes the file anew."""
_SURVEY = "survey"
_proved: set[tuple[object, ...]] = set()
"""Files that this process has compared, as they were then."""


class Made(NamedTuple):
    """One output of a unit."""

    stage: str
    unit: str
    output: Output


def made_by(folder: Folder, stage: str, key: str) -> tuple[Made, ...]:
    """Return the outputs of a unit, by its receipt's key.

    Raises
    ------
    StorageError
        There is no such receipt (`not_found`), or it stands no longer (`damaged`).
    """
    path = receipt_path(stage, key)
    receipt = read_receipt(folder, path)
    if receipt is None:
        raise StorageError(f"{folder.url}: {path} is not there", reason="not_found")
    if receipt.outcome.kind != "done":
        raise _damaged(folder, stage, receipt.unit, path)
    return tuple(Made(stage, receipt.unit, output) for output in receipt.files)


def read_made(folder: Folder, made: Made) -> bytes:
    """Read an output whose receipt is at hand; without a digest there is nothing to compare it with.

    Raises
    ------
    StorageError
        It is not there (`not_found`), or its bytes are not those of its receipt (`damaged`): its unit stands no longer.
    """
    data = folder.read(made.output.path)
    if made.output.digest and _sha256(data) != made.output.digest:
        raise _damaged(folder, made.stage, made.unit, made.output.path)
    return data


@contextmanager
def reading_made(folder: Folder, stage: str, unit: str, relative: str) -> Iterator[Path]:
    """Yield a local path that holds an output, compared with its receipt once a process.

    Parameters
    ----------
    folder
        The run folder.
    stage, unit
        Who made the file; where no receipt of theirs names it, there is nothing to compare it with.
    relative
        Its path.

    Raises
    ------
    StorageError
        As of `read_made`.
    """
    with folder.reading(relative) as path:
        if not path.is_file():
            raise _damaged(folder, stage, unit, relative)
        claimed = claims(folder, stage, unit, relative)
        stays = folder.local() is not None
        if claimed and not any(digest and _is(path, digest, stays=stays) for digest in claimed):
            raise _damaged(folder, stage, unit, relative)
        yield path


def read_table(folder: Folder, relative: str, columns: Iterable[str] | None = None, *, stage: str = "") -> Table | None:
    """Read a table of the run folder, or some columns of it; None if it is not there.

    Parameters
    ----------
    folder, relative, columns
        The table, and what of it; None = all.
    stage
        Whose survey unit made it: its bytes are compared with the receipt. Empty = they are taken as they are.
    """
    if not folder.exists(relative):
        return None
    with reading_made(folder, stage, "survey", relative) if stage else folder.reading(relative) as path:
        return read_parquet(path, columns)


def read_table_if_whole(
    folder: Folder, relative: str, columns: Iterable[str] | None = None, *, stage: str
) -> Table | None:
    """Read a table as `read_table`; None if it cannot be parsed: that has ended the run, and is told as what did."""
    try:
        return read_table(folder, relative, columns, stage=stage)
    except CatalogError:
        return None


def keep(folder: Folder, stage: str, relative: str, data: bytes, *, copy: str = "") -> None:
    """Write a file that no unit of work makes, with a receipt of its own; nothing is written where nothing changed.

    Parameters
    ----------
    folder, stage
        The run folder, and the name its receipt goes by.
    relative, data
        The file.
    copy
        Path of a second copy, for a file that nothing could make anew; empty = none.
    """
    work = Work(stage=stage, version="1", unit=_SURVEY, inputs={}, options="")
    paths = [copy, relative] if copy else [relative]
    files = tuple(Output(path=path, size=len(data), digest=_sha256(data)) for path in paths)
    receipt = Receipt(**work.model_dump(), key=work.key, outputs={"file": files})
    if latest(folder, stage, _SURVEY) != receipt:
        supersede(folder, stage, lambda _: True)  # a run that is killed in between leaves nothing that looks damaged
    for path in paths:
        folder.write(path, data)
    write_receipt(folder, receipt)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is(path: Path, digest: str, *, stays: bool) -> bool:
    """Whether a local file has a digest; not asked twice of one that stays there and as it is."""
    state = path.stat()
    known = (path, state.st_ino, state.st_size, state.st_mtime_ns, digest)
    if known in _proved:
        return True
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == digest
    if same and stays:
        _proved.add(known)
    return same


def _damaged(folder: Folder, stage: str, unit: str, relative: str) -> StorageError:
    supersede(folder, stage, lambda one: one == unit)
    said = f"{folder.url}/{relative}: damaged (its SHA-256 is not its receipt's): stage {stage} makes {unit} anew"
    return StorageError(said, reason=DAMAGED)
