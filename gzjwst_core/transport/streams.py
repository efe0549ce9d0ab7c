"""Bytes of a body: a stream of all of them, a span of some, and who is told as they come."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["NO_RANGES", "ByteStream", "Progress", "Span"]


NO_RANGES = "no_ranges"
"""Reason of the error that says: this body can only be read from its first byte."""


Progress = Callable[[int], None]
"""Is told the bytes that came, block by block."""


class Span(NamedTuple):
    """Bytes of a body from `start` to before `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


class ByteStream(Protocol):
    """Bytes in order, as a file open for reading gives them."""

    def read(self, size: int, /) -> bytes:
        """Return what is there, at most `size` bytes, as soon as there is any; none at the end."""
        ...
