"""A run folder compared with its receipts: every file by its size and digest, every receipt by its own seal."""

import random
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from gzjwst_core.errors import StorageError
from gzjwst_core.runs.engine import cores
from gzjwst_core.runs.receipts import read_receipt, receipt_path
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import Output, Value

__all__ = ["Examined", "Finding", "examine"]

_RECEIPTS = "receipts/"
_RECEIPT = re.compile(r"receipts/[^./]+/[^./][^/]*\.json")


class Finding(Value):
    """One file that is not as it was made."""

    path: str
    what: Literal["differs", "missing", "superseded"]
    """The last is a receipt whose unit was to be made anew, and was not yet."""
    stage: str = ""
    """Who made it; empty = no unit of work."""
    unit: str = ""
    digest: str = ""
    """SHA-256 that it should have, where that is known."""

    @property
    def is_receipt(self) -> bool:
        """Whether the file is a receipt itself."""
        return self.path.startswith(_RECEIPTS)


class Examined(Value):
    """What was found in a run folder."""

    files: int
    """On receipts that stand, and those receipts."""
    checked: int
    """Of which were compared byte by byte; the others by size, which is done for all."""
    checked_bytes: int
    findings: tuple[Finding, ...]
    others: tuple[str, ...]
    """Files that no standing receipt names."""


def examine(folder: Folder, sample: float = 0, seed: int = 1) -> Examined:
    """Compare a run folder with its receipts.

    Parameters
    ----------
    folder
        The run folder.
    sample
        How many of the outputs to compare byte by byte: below 1 a share, from 1 on a count; 0 = all.
    seed
        Of the choice.

    Returns
    -------
    Examined
        Findings in order of their paths.
    """
    sizes = folder.sizes()
    receipts = {path: read_receipt(folder, path) for path in sizes if _RECEIPT.fullmatch(path)}
    findings = [_of_receipt(path, "differs") for path, receipt in receipts.items() if not _is_right(path, receipt)]
    standing = [r for r in receipts.values() if r is not None and r.outcome.kind == "done"]
    units = {(receipt.stage, receipt.unit) for receipt in standing}
    old = {path: r for path, r in receipts.items() if r is not None and r.outcome.kind != "done"}
    findings += [_of_receipt(path, "superseded") for path, r in old.items() if (r.stage, r.unit) not in units]
    made = {output.path: (receipt, output) for receipt in standing for output in receipt.files}
    for path, (receipt, output) in made.items():
        if sizes.get(path) != output.size:
            findings.append(_of_output(receipt, output, "differs" if path in sizes else "missing"))
    whole = sorted(path for path, (_, output) in made.items() if sizes.get(path) == output.size)
    chosen = _chosen(whole, sample, seed)
    damaged = _damaged(folder, {path: made[path][1].digest for path in chosen})
    findings += [_of_output(*made[path], "differs") for path in damaged]
    return Examined(
        files=len(made) + len(receipts),
        checked=len(chosen) + len(receipts),
        checked_bytes=sum(sizes[path] for path in (*chosen, *receipts)),
        findings=tuple(sorted(findings, key=lambda finding: finding.path)),
        others=tuple(path for path in sizes if path not in made and path not in receipts),
    )


def _is_right(path: str, receipt: Receipt | None) -> bool:
    if receipt is None:
        return False
    key = Work(**{name: getattr(receipt, name) for name in Work.model_fields}).key
    return receipt_path(receipt.stage, receipt.key) == path and key == receipt.key


def _of_receipt(path: str, what: Literal["differs", "superseded"]) -> Finding:
    _, stage, name = path.split("/", 2)
    return Finding(path=path, what=what, stage=stage, unit=name.rpartition("-")[0])


def _of_output(receipt: Receipt, output: Output, what: Literal["differs", "missing"]) -> Finding:
    return Finding(path=output.path, what=what, stage=receipt.stage, unit=receipt.unit, digest=output.digest)


def _chosen(paths: list[str], sample: float, seed: int) -> list[str]:
    if not sample:
        return paths
    count = round(sample * len(paths)) if sample < 1 else int(sample)
    return sorted(random.Random(seed).sample(paths, min(max(count, 1), len(paths))))  # noqa: S311 - no secret


def _damaged(folder: Folder, digests: Mapping[str, str]) -> Iterable[str]:
    """Return the files that have another digest, or cannot be read."""

    def differs(path: str) -> bool:
        try:
            return folder.output(path).digest != digests[path]
        except StorageError:
            return True

    with ThreadPoolExecutor(cores()) as pool:  # hashlib lets other threads work
        return [path for path, wrong in zip(digests, pool.map(differs, digests), strict=True) if wrong]
