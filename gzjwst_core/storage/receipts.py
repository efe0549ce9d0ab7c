"""Receipts: the record of every finished unit, and what a second run believes.

A unit stands when its receipt is there and each of its outputs is there with its size. One unit has one receipt: when
its inputs or options change, the new receipt takes the old one's place, and files that only the old one claimed go.
"""

import secrets
from collections.abc import Callable

from pydantic import ValidationError

from gzjwst_core.errors import StorageError
from gzjwst_core.models import Receipt, Value, Work
from gzjwst_core.storage.folder import Folder

__all__ = ["Done", "cache_key", "complete", "latest", "receipt_path", "retire", "standing"]


class Done(Value):
    """What a stage's task hands back: the unit's receipt, and whether the work was done just now."""

    receipt: Receipt
    fresh: bool


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
        None when the receipt is missing or cannot be read, or when an output is missing or of another size.
    """
    try:
        receipt = Receipt.model_validate_json(folder.read(receipt_path(work.stage, work.key)))
    except (StorageError, ValidationError):
        return None
    return receipt if receipt.key == work.key and _outputs_stand(folder, receipt) else None


def _outputs_stand(folder: Folder, receipt: Receipt) -> bool:
    parents = {output.path.rpartition("/")[0] for output in receipt.outputs}
    if len(receipt.outputs) <= 3 * len(parents):
        return all(folder.size(output.path) == output.size for output in receipt.outputs)
    sizes: dict[str, int] = {}
    for parent in parents:  # one listing a folder instead of one question a file
        sizes |= folder.sizes(parent)
    return all(sizes.get(output.path) == output.size for output in receipt.outputs)


def cache_key(folder: Folder, work: Work) -> str:
    """Prefect's cache key: the receipt's key while the work stands, else a key that was never used.

    So Prefect shows Cached when and only when the work stands.
    """
    key = f"{work.stage}-v{work.version}-{work.key}"
    return key if standing(folder, work) is not None else f"{key}-{secrets.token_hex(4)}"


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
        The standing receipt, or the new one, which is on disk by then.
    """
    receipt = standing(folder, work)
    if receipt is not None:
        return Done(receipt=receipt, fresh=False)
    receipt = make()
    folder.write(receipt_path(work.stage, work.key), receipt.model_dump_json(indent=1).encode() + b"\n")
    retire(folder, work.stage, lambda old: old.unit == work.unit and old.key != work.key)
    return Done(receipt=receipt, fresh=True)


def latest(folder: Folder, stage: str) -> dict[str, Receipt]:
    """Receipts of a stage whose outputs are all there, by unit."""
    found = (receipt for _, receipt in _receipts(folder, stage))
    return {receipt.unit: receipt for receipt in found if receipt and _outputs_stand(folder, receipt)}


def retire(folder: Folder, stage: str, is_old: Callable[[Receipt], bool]) -> int:
    """Remove receipts that no longer count, and the files that only they claim.

    Parameters
    ----------
    folder
        The run folder.
    stage
        Whose receipts to look at.
    is_old
        Says which receipts go. A receipt that cannot be read goes too; its files stay for their next owner.

    Returns
    -------
    int
        Files removed, receipts not counted.
    """
    receipts = _receipts(folder, stage)
    old = [(path, receipt) for path, receipt in receipts if receipt is None or is_old(receipt)]
    gone = {path for path, _ in old}
    claimed = {o.path for path, receipt in receipts if receipt and path not in gone for o in receipt.outputs}
    orphans = {o.path for _, receipt in old if receipt for o in receipt.outputs} - claimed
    for path in sorted(orphans):
        folder.remove(path)
    for path, _ in old:
        folder.remove(path)
    return len(orphans)


def _receipts(folder: Folder, stage: str) -> list[tuple[str, Receipt | None]]:
    return [(path, _parse(folder.read(path))) for path in folder.sizes(f"receipts/{stage}")]


def _parse(data: bytes) -> Receipt | None:
    try:
        return Receipt.model_validate_json(data)
    except ValidationError:
        return None
