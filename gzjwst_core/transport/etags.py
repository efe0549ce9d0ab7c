"""Whether a body is the one that an S3 ETag was made of, told as it passes.

An ETag is the MD5 of an object that was uploaded at once; of one that was uploaded in parts it is the MD5 of the parts'
MD5s and says how many there were, not how large: so the customary part sizes are tried. No network here, no files.
"""

import hashlib
import re
from typing import Literal, Protocol

__all__ = ["EtagCheck", "Verdict"]

Verdict = Literal["right", "wrong", "unknown"]

_MIB = 1 << 20
_PART_MIB = (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)
"""Part sizes of the customary clients."""
_PLAIN = re.compile(r"[0-9a-f]{32}\Z")
_IN_PARTS = re.compile(r"(?P<digest>[0-9a-f]{32})-(?P<parts>[1-9][0-9]{0,4})\Z")


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class EtagCheck:
    """A check of one body, which is fed in order.

    Parameters
    ----------
    etag
        With or without its quotes; empty where none is known.
    size
        Bytes of the body, 0 where nobody said: then an ETag of parts tells nothing.

    Notes
    -----
    Objects that are encrypted with a key of somebody (KMS, SSE-C) have ETags that are no MD5; nobody reads those
    anonymously.
    """

    def __init__(self, etag: str, size: int) -> None:
        etag = etag.strip('"')
        in_parts = _IN_PARTS.match(etag)
        self._right = in_parts["digest"] if in_parts else etag
        self._certain = _PLAIN.match(etag) is not None
        self._tries: list[_Digest] = []
        if self._certain:
            self._tries = [_md5()]
        elif in_parts:
            self._tries = [_InParts(part) for part in part_sizes(size, int(in_parts["parts"]))]

    def feed(self, block: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(block)
        for digest in self._tries:
            digest.update(view)

    def verdict(self) -> Verdict:
        """Tell what the bytes so far are: `right`, `wrong`, or `unknown` where the ETag cannot say that."""
        if any(digest.hexdigest() == self._right for digest in self._tries):
            return "right"
        return "wrong" if self._certain else "unknown"


class _InParts:
    """The digest of the digests of parts of one size."""

    def __init__(self, part: int) -> None:
        self._part = part
        self._outer = _md5()
        self._inner, self._room = _md5(), part

    def update(self, data: memoryview, /) -> None:
        while data:
            if not self._room:
                self._outer.update(self._inner.digest())
                self._inner, self._room = _md5(), self._part
            self._inner.update(data[: self._room])
            taken = min(len(data), self._room)
            self._room -= taken
            data = data[taken:]

    def hexdigest(self) -> str:
        whole = self._outer.copy()
        whole.update(self._inner.digest())  # of the last part, or of an empty body's only one
        return whole.hexdigest()


def part_sizes(size: int, parts: int) -> list[int]:
    """Return the part sizes, in bytes, with which a customary client makes so many parts of a body.

    Parameters
    ----------
    size
        Bytes of the body.
    parts
        How many.

    Returns
    -------
    list of int
        Ascending, each once; those that are equal for this body (larger than it) count as one.
    """
    if size <= 0:
        return []
    even = -(-size // (parts * _MIB))
    fitting = {min(mib * _MIB, size) for mib in (*_PART_MIB, even) if -(-size // (mib * _MIB)) == parts}
    return sorted(fitting)


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
