"""Several spans of one body read at once, on an event loop, and handed out block by block.

Memory is bounded: who reads gets on only as blocks are taken away. The first span that fails ends them all. What a span
is read from is not known here.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Protocol

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.transport.streams import Span

__all__ = ["AT_ONCE", "BLOCK", "Opened", "Pace", "Several", "in_pieces"]

AT_ONCE = 8
"""Spans that are read at once."""
BLOCK = 2 << 20
"""Bytes that are handed out at once."""
_BLOCKS = 16
"""Blocks that wait, are being filled or are in the reader's hands."""
_PIECES = tuple(mib << 20 for mib in (32, 24, 16, 8, 4))
"""Sizes of pieces to choose from; of equally good ones the first, which makes the fewest requests."""
_REQUEST = 4 << 20
"""Bytes that come in the time that a request waits for its answer: 50 ms at 80 MB/s."""


class Opened(Protocol):
    """A span that can be read."""

    async def filled(self, size: int, came: Callable[[int], None]) -> bytes:
        """Return `size` bytes; `came` is told how many, as they come."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Pace:
    """The slowest rate that all spans together may have, over some time.

    Parameters
    ----------
    least
        Bytes that must come ...
    window_s
        ... in this time.
    what
        The mosaic, for messages.
    """

    def __init__(self, least: float, window_s: float, what: str) -> None:
        self.least, self.window_s, self.what = least, window_s, what
        self._bytes = 0

    def came(self, count: int) -> None:
        """Count bytes."""
        self._bytes += count

    async def first(self, ready: "asyncio.Queue[Block]") -> "Block":
        """Return a queue's next item.

        Raises
        ------
        ArchiveUnavailableError
            None came while too few bytes did (`too_slow`).
        """
        while True:
            before = self._bytes
            try:
                async with asyncio.timeout(self.window_s):
                    return await ready.get()
            except TimeoutError:
                if self._bytes - before < self.least:
                    rate = (self._bytes - before) / self.window_s / 1000
                    raise ArchiveUnavailableError(f"{self.what}: only {rate:.1f} kB/s", reason="too_slow") from None


Block = tuple[Span, bytes] | None
"""None = no more will come."""


class Several:
    """Spans that are read at once. All but `__init__` is to be called on the loop.

    Parameters
    ----------
    open_
        Opens a span.
    spans
        What to read, in this order.
    pace
        Is told of every byte.
    at_once
        How many at once.
    """

    def __init__(
        self,
        open_: Callable[[Span], Awaitable[Opened]],
        spans: Sequence[Span],
        *,
        pace: Pace,
        at_once: int = AT_ONCE,
    ) -> None:
        self._open = open_
        self._left = deque(spans)
        self._at_once = at_once
        self._pace = pace
        self._ready: asyncio.Queue[Block] = asyncio.Queue()
        self._room = asyncio.Semaphore(_BLOCKS)
        self._driver: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None

    async def begin(self) -> None:
        """Start reading."""
        self._driver = asyncio.create_task(self._drive())

    async def next(self) -> list[Block]:
        """Return what is ready, at least one block; None is the last.

        Raises
        ------
        BaseException
            What made a span fail, once all blocks that came were taken.
        """
        blocks = [await self._pace.first(self._ready)]
        while not self._ready.empty():
            blocks.append(self._ready.get_nowait())
        if blocks == [None] and self._failed is not None:
            raise self._failed
        if len(blocks) > 1 and blocks[-1] is None:
            self._ready.put_nowait(blocks.pop())
        return blocks

    def taken(self) -> None:
        """Make room for one more block."""
        self._room.release()

    async def end(self) -> None:
        """Stop reading, and wait until every connection is let go."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait([self._driver])

    async def _drive(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(self._left))):
                    group.create_task(self._work())
        except* Exception as failed:  # noqa: BLE001 - it is raised again in the reader's thread
            self._failed = failed.exceptions[0]
        finally:
            self._ready.put_nowait(None)

    async def _work(self) -> None:
        while self._left:
            span = self._left.popleft()
            opened = await self._open(span)
            try:
                await self._bring(span, opened)
            finally:
                await opened.close()

    async def _bring(self, span: Span, opened: Opened) -> None:
        for start in range(span.start, span.stop, BLOCK):
            await self._room.acquire()
            part = Span(start, min(start + BLOCK, span.stop))
            self._ready.put_nowait((part, await opened.filled(part.size, self._pace.came)))


def in_pieces(spans: Sequence[Span], at_once: int = AT_ONCE) -> list[Span]:
    """Cut large spans, each into equal pieces, so that several readers are done with all of them soonest.

    Parameters
    ----------
    spans
        Bytes of a body.
    at_once
        How many are read at once.

    Returns
    -------
    list of Span
        The same bytes, the largest piece first; none larger than 32 MiB.
    """
    ways = [[part for span in spans for part in _cut(span, -(-span.size // piece))] for piece in _PIECES]
    largest_first = [sorted(way, key=lambda part: (-part.size, part.start)) for way in ways]
    return min(largest_first, key=lambda way: _time(way, at_once))


def _time(pieces: Sequence[Span], at_once: int) -> int:
    """When the last of some readers is done, each taking the next piece when it is free; in bytes."""
    busy = [0] * at_once
    for piece in pieces:
        heapq.heapreplace(busy, busy[0] + _REQUEST + piece.size)
    return max(busy)


def _cut(span: Span, count: int) -> list[Span]:
    at = [span.start + span.size * i // count for i in range(count + 1)] if count else []
    return [Span(start, stop) for start, stop in pairwise(at)]
