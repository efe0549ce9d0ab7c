"""What the receipts of a stage add up to: they are large, and a record reads those of each stage once."""

from collections import Counter
from typing import NamedTuple

from gzjwst_core.runs.receipts import all_latest
from gzjwst_core.runs.work import Receipt
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import digest_of

__all__ = ["Tallies", "Tally", "identity_of"]


class Tally(NamedTuple):
    """Sums over the receipts of a stage that stand."""

    units: int
    counts: Counter[str]
    files: Counter[str]
    """Number of files by the first folder of their paths."""
    identities: dict[str, str]
    """By unit, as of `identity_of`."""


class Tallies:
    """Sums by stage, made when they are first asked for.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._made: dict[str, Tally] = {}

    def of(self, stage: str) -> Tally:
        """Return the sums of a stage, by its name."""
        if stage not in self._made:
            units, counts, files, identities = 0, Counter[str](), Counter[str](), dict[str, str]()
            for receipt in all_latest(self._folder, stage):
                units += 1
                counts.update(receipt.counts)
                files.update(output.path.partition("/")[0] for output in receipt.files)
                identities[receipt.unit] = identity_of(receipt)
            self._made[stage] = Tally(units, counts, files, identities)
        return self._made[stage]


def identity_of(receipt: Receipt) -> str:
    """Return what a unit was made from and what it is: the receipt's key, and a digest of its files' digests."""
    return f"{receipt.key}|{digest_of([output.digest for output in receipt.files])}"
