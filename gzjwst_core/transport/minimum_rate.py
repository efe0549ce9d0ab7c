"""Streams must keep some pace: a server that sends a byte now and then is as good as none.

Time limits on single reads do not see that. Streams that share a line are judged together, in whatever threads they are
read; for those of an event loop `several` has its own judge.
"""

import time
from collections.abc import Callable
from threading import Lock

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.streams import ByteStream

__all__ = ["Pace", "Paced", "pace_of", "paced"]

Clock = Callable[[], float]


class Pace:
    """The slowest rate that some streams may have together, while any of them is read.

    Parameters
    ----------
    slowest_kb_s
        The slowest rate that is allowed ...
    window_s
        ... on average over this time.
    what
        The mosaic, for messages.
    clock
        Seconds that only grow.
    """

    def __init__(self, slowest_kb_s: float, window_s: float, *, what: str, clock: Clock = time.monotonic) -> None:
        self._slowest_kb_s, self._window_s = slowest_kb_s, window_s
        self._what = what
        self._clock = clock
        self._lock = Lock()
        self._readers, self._count = 0, 0
        self._since = self._idle_since = clock()

    def begin(self) -> None:
        """Note that somebody begins to wait for bytes."""
        with self._lock:
            if not self._readers:  # the time in which nobody asked says nothing about the line
                self._since += self._clock() - self._idle_since
            self._readers += 1

    def end(self, count: int) -> None:
        """Note that this many bytes came, or none.

        Raises
        ------
        ArchiveUnavailableError
            Over the last window the rate was below the slowest allowed (`too_slow`).
        """
        with self._lock:
            self._readers -= 1
            self._count += count
            self._idle_since = now = self._clock()
            waited = now - self._since
            if count and waited >= self._window_s:
                rate = self._count / waited / 1000
                if rate < self._slowest_kb_s:
                    raise ArchiveUnavailableError(f"{self._what}: only {rate:.1f} kB/s", reason="too_slow")
                self._since, self._count = now, 0


class Paced:
    """A stream that breaks off when its bytes come too slowly.

    Parameters
    ----------
    stream
        Its reads return what is there.
    pace
        Its own, or shared with other streams.
    """

    def __init__(self, stream: ByteStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    def read(self, size: int, /) -> bytes:
        """Read on.

        Raises
        ------
        ArchiveUnavailableError
            The bytes come too slowly (`Pace.end`).
        """
        block = b""
        self._pace.begin()
        try:
            block = self._stream.read(size)
        finally:
            self._pace.end(len(block))
        return block


def pace_of(options: ArchiveOptions, what: str) -> Pace:
    """Return the pace that a profile asks of a mosaic's bytes."""
    return Pace(options.slowest_kb_s, options.read_timeout_s, what=what)


def paced(stream: ByteStream, options: ArchiveOptions, what: str) -> Paced:
    """Let a mosaic's body keep the pace that a profile asks for."""
    return Paced(stream, pace_of(options, what))
