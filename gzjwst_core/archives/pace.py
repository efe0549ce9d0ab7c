"""A stream must keep some pace: a server that sends a byte now and then is as good as none.

Time limits on single reads do not see that. Rates of several streams together are in `several`.
"""

import time
from collections.abc import Callable

from gzjwst_core.archives.base import ByteStream
from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.options import ArchiveOptions

__all__ = ["Paced", "paced"]

Clock = Callable[[], float]


class Paced:
    """A stream that breaks off when its bytes come too slowly.

    Parameters
    ----------
    stream
        Its reads return what is there.
    slowest_kb_s
        The slowest rate that is allowed ...
    window_s
        ... on average over this time.
    what
        The mosaic, for messages.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, stream: ByteStream, slowest_kb_s: float, window_s: float, *, what: str, clock: Clock = time.monotonic
    ) -> None:
        self._stream = stream
        self._slowest_kb_s, self._window_s = slowest_kb_s, window_s
        self._what = what
        self._clock = clock
        self._since, self._count = clock(), 0

    def read(self, size: int, /) -> bytes:
        """Read on.

        Raises
        ------
        ArchiveUnavailableError
            Over the last window the rate was below the slowest allowed (`too_slow`).
        """
        block = self._stream.read(size)
        self._count += len(block)
        waited = self._clock() - self._since
        if block and waited >= self._window_s:
            rate = self._count / waited / 1000
            if rate < self._slowest_kb_s:
                raise ArchiveUnavailableError(f"{self._what}: only {rate:.1f} kB/s", reason="too_slow")
            self._since, self._count = self._clock(), 0
        return block


def paced(stream: ByteStream, options: ArchiveOptions, what: str) -> Paced:
    """Let a mosaic's body keep the pace that a profile asks for."""
    return Paced(stream, options.slowest_kb_s, options.read_timeout_s, what=what)
