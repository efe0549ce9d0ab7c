"""Seals: a text file of ours that states the digest of its own bytes, so that damage is told from what was written.

The seal is the file's last `"seal": "sha256:<digest>"`; the digest is of the same bytes with an empty seal. Files that
were made before there were seals have none, and nothing is said of them.
"""

import hashlib
import re

__all__ = ["BLANK", "is_whole", "sealed"]

BLANK = b'"seal": ""'
"""What `sealed` fills in: near the end of the file."""
_TAIL = 120
_SEAL = re.compile(rb'"seal": "(sha256:[0-9a-f]{64})"')


def sealed(data: bytes) -> bytes:
    """Fill in the last empty seal of a file's bytes.

    Parameters
    ----------
    data
        With `BLANK` in its last line.
    """
    head, _, rest = data.rpartition(BLANK)
    digest = hashlib.sha256(data).hexdigest().encode()
    return b"".join([head, b'"seal": "sha256:', digest, b'"', rest])


def is_whole(data: bytes) -> bool | None:
    """Whether a file's bytes are those that were sealed; None where they were never sealed.

    One changed byte cannot hide that there is a seal: either of two words of it tells.
    """
    tail = data[-_TAIL:]
    if b'"seal": "' not in tail and b"sha256:" not in tail:
        return None
    found = _SEAL.search(tail)
    if found is None:
        return False
    at = len(data) - len(tail) + found.start()
    bare = data[:at] + BLANK + data[at + len(found[0]) :]
    return hashlib.sha256(bare).hexdigest().encode() == found[1].removeprefix(b"sha256:")
