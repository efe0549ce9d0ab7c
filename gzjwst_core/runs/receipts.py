"""Receipts: the record of every finished unit, and what a second run believes.

A unit stands when its receipt is there and each of its outputs is there with its size. One unit has one receipt: when
its inputs or options change, the old receipt is marked as superseded before the first file is touched, so that a mix of
old and new files never stands; then the new one takes its place, and files that only the old one claimed go. Receipts
are found by their names, `<unit>-<digest>.json`: none but those that are asked for are read.
"""

import secrets
from collections.abc import Callable, Iterator
from functools import lru_cache

from pydantic import ValidationError

from gzjwst_core.errors import StorageError, WorkerLostError
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.seal import is_whole, sealed
from gzjwst_core.values import Outcome, Output, Value, digest_of

__all__ = [
    "Done",
    "all_latest",
    "cache_key",
    "claims",
    "complete",
    "latest",
    "read_receipt",
    "receipt_path",
    "receipt_paths",
    "retire",
    "standing",
    "supersede",
    "write_receipt",
]

_SUPERSEDED = Outcome(kind="failed", reason="superseded", detail="its files are being replaced")


class Done(Value):
    """What a stage's task hands back: small, however many files the unit has. The rest is in its receipt."""

    unit: str
    key: str
    """Of the receipt."""
    counts: dict[str, int]
    files: str
    """Digest of the outputs' digests."""
    fresh: bool
    """Whether the work was done just now."""


_SHAPE = digest_of(Done.model_json_schema(), 8)


def receipt_path(stage: str, key: str) -> str:
    """Path of a receipt below the run folder."""
    return f"receipts/{stage}/{key}.json"


def standing(folder: Folder, work: Work) -> Receipt | None:
    """Return the receipt of a unit whose work stands.

    Parameters
    ----------
    folder
        The run folder.
    work
        The unit.

    Returns
    -------
    Receipt or None
        None when the receipt is missing, superseded or cannot be read, or when an output is missing or of another size.
    """
    receipt = read_receipt(folder, receipt_path(work.stage, work.key))
    return receipt if receipt and receipt.key == work.key and _stands(folder, receipt) else None


def cache_key(folder: Folder, work: Work) -> str:
    """Prefect's cache key: the receipt's key while the work stands alone, else a key that was never used.

    So Prefect shows Cached when and only when the work stands. The key knows the form of `Done`, so that what another
    version of it left in Prefect's store is never read.
    """
    key = f"{work.stage}-v{work.version}-{work.key}-{_SHAPE}"
    settled = standing(folder, work) is not None and not _rivals(folder, work)
    return key if settled else f"{key}-{secrets.token_hex(4)}"


def complete(folder: Folder, work: Work, make: Callable[[], Receipt]) -> Done:
    """Do a unit's work unless it stands, and leave its receipt.

    Parameters
    ----------
    folder
        The run folder.
    work
        The unit.
    make
        Does the work and returns the receipt of what it wrote.

    Returns
    -------
    Done
        Of the standing receipt, or of the new one, which is on disk by then.

    Raises
    ------
    WorkerLostError
        The work, here or in a worker, was refused memory (`out_of_memory`).
    """
    rivals = _rivals(folder, work)
    receipt = standing(folder, work)
    if fresh := receipt is None:
        for path in rivals:
            _supersede(folder, path)
        try:
            receipt = make()
        except MemoryError as error:
            said = f"{work.stage} of {work.unit}: out of memory ({error}): fewer --workers need less"
            raise WorkerLostError(said, reason="out_of_memory") from error
        write_receipt(folder, receipt)
    for path in rivals:
        _drop(folder, path, keep={output.path for output in receipt.files})
    files = digest_of([output.digest for output in receipt.files])
    return Done(unit=work.unit, key=work.key, counts=dict(receipt.counts), files=files, fresh=fresh)


def write_receipt(folder: Folder, receipt: Receipt) -> None:
    """Put a receipt in its place, sealed."""
    folder.write(receipt_path(receipt.stage, receipt.key), _bytes(receipt))


def read_receipt(folder: Folder, path: str) -> Receipt | None:
    """Read a receipt, whatever became of its outputs; None if it is gone or damaged."""
    try:
        data = folder.read(path)
        receipt = Receipt.model_validate_json(data)
    except ValidationError:
        return None
    except StorageError as error:
        if error.reason == "not_found":
            return None
        raise
    return None if is_whole(data) is False else receipt.model_copy(update={"seal": ""})


def claims(folder: Folder, stage: str, unit: str, relative: str, *, superseded: bool = False) -> list[str]:
    """Return the digest that each receipt of a unit states for a file.

    Parameters
    ----------
    folder, stage, unit, relative
        The file.
    superseded
        Whether receipts that stand no longer count too; otherwise they state an empty text.
    """
    found = (read_receipt(folder, path) for path in receipt_paths(folder, stage) if _unit(path) == unit)
    return [
        output.digest if superseded or receipt.outcome.kind == "done" else ""
        for receipt in found
        if receipt
        for output in receipt.files
        if output.path == relative
    ]


def latest(folder: Folder, stage: str, unit: str) -> Receipt | None:
    """Return the receipt of a unit whose outputs are all there, whatever it was made from."""
    found = (read_receipt(folder, path) for path in receipt_paths(folder, stage) if _unit(path) == unit)
    return next((receipt for receipt in found if receipt and _stands(folder, receipt)), None)


def all_latest(folder: Folder, stage: str) -> Iterator[Receipt]:
    """Yield the receipts of a stage whose outputs are all there, in order of their units; one at a time in memory."""
    sizes = lru_cache(maxsize=2)(folder.sizes)  # units of a field share its folders
    for path in sorted(receipt_paths(folder, stage), key=lambda path: (_unit(path), path)):
        receipt = read_receipt(folder, path)
        if receipt and _stands(folder, receipt, sizes):
            yield receipt


def retire(folder: Folder, stage: str, is_old: Callable[[str], bool]) -> int:
    """Remove units that no longer count, and the files that only they claim.

    Parameters
    ----------
    folder
        The run folder.
    stage
        Whose receipts to look at.
    is_old
        Says which units go.

    Returns
    -------
    int
        Files removed, receipts not counted.
    """
    paths = receipt_paths(folder, stage)
    gone = [path for path in paths if is_old(_unit(path))]
    orphans = {output.path for path in gone for output in _outputs(folder, path)}
    for path in paths if orphans else ():
        if not is_old(_unit(path)):
            orphans.difference_update(output.path for output in _outputs(folder, path))
    for path in (*sorted(orphans), *gone):
        folder.remove(path)
    return len(orphans)


def supersede(folder: Folder, stage: str, is_old: Callable[[str], bool]) -> None:
    """Let units stand no longer, before others write to their files; `retire` removes them when those are done."""
    for path in receipt_paths(folder, stage):
        if is_old(_unit(path)):
            _supersede(folder, path)


def receipt_paths(folder: Folder, stage: str) -> list[str]:
    """Return the paths of a stage's receipts below the run folder."""
    return [f"receipts/{stage}/{name}" for name in folder.names(f"receipts/{stage}") if name.endswith(".json")]


def _unit(path: str) -> str:
    return path.rpartition("/")[2].rpartition("-")[0]


def _rivals(folder: Folder, work: Work) -> list[str]:
    """Receipts that the unit had for other inputs or options."""
    own = receipt_path(work.stage, work.key)
    return [path for path in receipt_paths(folder, work.stage) if _unit(path) == work.unit and path != own]


def _supersede(folder: Folder, path: str) -> None:
    receipt = read_receipt(folder, path)
    if receipt is not None:
        folder.write(path, _bytes(receipt.replace(outcome=_SUPERSEDED)))


def _drop(folder: Folder, path: str, keep: set[str]) -> None:
    for output in _outputs(folder, path):
        if output.path not in keep:
            folder.remove(output.path)
    folder.remove(path)


def _outputs(folder: Folder, path: str) -> tuple[Output, ...]:
    receipt = read_receipt(folder, path)
    return tuple(receipt.files) if receipt else ()


def _bytes(receipt: Receipt) -> bytes:
    return sealed(receipt.model_dump_json(indent=1).encode() + b"\n")


def _stands(folder: Folder, receipt: Receipt, sizes: Callable[[str], dict[str, int]] | None = None) -> bool:
    if receipt.outcome.kind != "done":
        return False
    if folder.local() is not None:
        return all(folder.size(output.path) == output.size for output in receipt.files)
    listed: dict[str, int] = {}
    for parent in {output.path.rpartition("/")[0] for output in receipt.files}:
        listed |= (sizes or folder.sizes)(parent)  # one listing a folder instead of one question a file
    return all(listed.get(output.path) == output.size for output in receipt.files)
