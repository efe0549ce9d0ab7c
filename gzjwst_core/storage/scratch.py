"""Scratch files: large, local, of one block of work, and never a product.

They are called like temporaries of `atomic`, so that whoever sweeps those also removes what a killed process left.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from gzjwst_core.storage.atomic import storage_error

__all__ = ["scratch"]


@contextmanager
def scratch(folder: Path) -> Iterator[Callable[[str], Path]]:
    """Yield a maker of paths for files that are removed when the block ends.

    Parameters
    ----------
    folder
        Local, made if missing; one that is swept, such as one below the mosaic cache.

    Yields
    ------
    callable
        Takes a short name and returns a new path; the file itself is the caller's to write.

    Raises
    ------
    StorageError
        The disk is full or cannot be written, there or anywhere in the block.
    """
    made: list[Path] = []

    def place(name: str) -> Path:
        made.append(folder / f".{name}.{os.getpid()}-{uuid4().hex[:8]}.part")
        return made[-1]

    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield place
    except OSError as error:
        if hasattr(error, "retryable"):  # ours already
            raise
        raise storage_error(error, folder) from error
    finally:
        for path in made:
            path.unlink(missing_ok=True)
