"""At most so many transfers at once, over all threads and processes of this machine that share a folder.

A slot is a lock file: whoever transfers holds one, and it is free again when its holder dies. How fast, and from where,
is not decided here.
"""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gzjwst_core.storage.locks import POLL_S, try_exclusive

__all__ = ["transfer_slot"]


@contextmanager
def transfer_slot(folder: Path, count: int) -> Iterator[None]:
    """Wait for one of `count` slots, and hold it until the block ends.

    Parameters
    ----------
    folder
        Shared, such as the cache's; the slots' lock files are in its `locks/`.
    count
        Slots. Where two runs say different counts, each keeps to its own, and all together to the larger one.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    with ExitStack() as slot:
        while not _took_one(slot, folder, count):
            time.sleep(random.uniform(1, 2) * POLL_S)  # noqa: S311  # so that waiters do not come in step
        yield


def _took_one(slot: ExitStack, folder: Path, count: int) -> bool:
    """Take a free slot, the highest first: the low ones are all that a run with a smaller count may take."""
    for number in reversed(range(count)):
        with ExitStack() as tried:
            if tried.enter_context(try_exclusive(folder / "locks" / f"transfer-{number:02d}.lock")):
                slot.push(tried.pop_all())
                return True
    return False
