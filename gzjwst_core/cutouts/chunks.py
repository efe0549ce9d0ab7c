"""Which cutouts are made together: chunks of a field, by hash of id_str.

A row's chunk depends on its own name and the number of chunks alone, so that a weekly addition touches only the chunks
that it falls into; when the number doubles, each chunk splits in two.
"""

import hashlib
from collections.abc import Iterable

__all__ = ["chunk_of", "chunks", "number_of_chunks"]


def number_of_chunks(rows: int, chunk_size: int) -> int:
    """Return the smallest power of two for which the mean chunk holds at most `chunk_size` rows."""
    count = 1
    while rows > count * chunk_size:
        count *= 2
    return count


def chunk_of(id_str: str, n_chunks: int) -> int:
    """Chunk of one source, from 0.

    Parameters
    ----------
    id_str
        Name of the source.
    n_chunks
        A power of two.
    """
    return int.from_bytes(hashlib.sha256(id_str.encode()).digest()[:8], "big") & (n_chunks - 1)


def chunks(names: Iterable[str], chunk_size: int) -> dict[int, list[int]]:
    """Divide a field's sources.

    Parameters
    ----------
    names
        id_str of each row.
    chunk_size
        Largest mean number of rows in a chunk.

    Returns
    -------
    dict
        Chunk -> rows (positions in `names`, ascending); chunks in order, empty ones left out.
    """
    names = list(names)
    count = number_of_chunks(len(names), chunk_size)
    found: dict[int, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(chunk_of(name, count), []).append(row)
    return dict(sorted(found.items()))
