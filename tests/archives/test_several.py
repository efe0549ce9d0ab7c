"""Spans read at once: every byte once, memory bounded, and the first failure ends them all."""

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.mosaics.rows import joined
from gzjwst_core.transport import concurrent_ranges as several
from gzjwst_core.transport.concurrent_ranges import Block, Pace, Several, in_pieces
from gzjwst_core.transport.streams import Span

BODY = random.Random(3).randbytes(60_000)
STARTS = st.integers(0, len(BODY))
SPANS = st.lists(st.tuples(STARTS, STARTS).map(lambda pair: Span(min(pair), max(pair))), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several, "BLOCK", 1000)
        yield


class Store:
    """Opens spans of `BODY`, and counts what is open and what was handed out."""

    def __init__(self, fail_at: int = -1, stop_at: int = -1) -> None:
        self.fail_at, self.stop_at = fail_at, stop_at
        self.open, self.most_open, self.read = 0, 0, 0

    async def opened(self, span: Span) -> "_Part":
        await asyncio.sleep(0)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        return _Part(self, span)


class _Part:
    def __init__(self, store: Store, span: Span) -> None:
        self._store, self._at = store, span.start

    async def filled(self, size: int, came: Callable[[int], None]) -> bytes:
        await asyncio.sleep(0)
        start, self._at = self._at, self._at + size
        if start <= self._store.fail_at < self._at:
            raise ArchiveUnavailableError("broken", reason="cut_off")
        if start <= self._store.stop_at < self._at:
            await asyncio.sleep(60)
        came(size)
        self._store.read += size
        return BODY[start : self._at]

    async def close(self) -> None:
        self._store.open -= 1


def made(store: Store, spans: list[Span], *, at_once: int = 3, window_s: float = 30.0) -> Several:
    return Several(store.opened, spans, at_once=at_once, pace=Pace(1, window_s, "mosaic"))


async def taken(reading: Several, blocks: int = 10**9) -> list[tuple[Span, bytes]]:
    """Take so many blocks, or all."""
    out: list[tuple[Span, bytes]] = []
    await reading.begin()
    try:
        while True:
            for block in await reading.next():
                if block is None or len(out) == blocks:
                    return out
                out.append(block)
                reading.taken()
    finally:
        await reading.end()


def others() -> int:
    """Tasks beside the one that asks."""
    return len(asyncio.all_tasks()) - 1


@settings(max_examples=40, deadline=None)
@given(spans=SPANS, at_once=st.integers(1, 9))
def test_every_byte_once(spans: list[Span], at_once: int) -> None:
    store = Store()
    blocks = asyncio.run(taken(made(store, spans, at_once=at_once)))
    assert all(data == BODY[span.start : span.stop] for span, data in blocks)
    assert sorted(i for span, _ in blocks for i in range(*span)) == sorted(i for span in spans for i in range(*span))
    assert max((span.size for span, _ in blocks), default=0) <= 1000
    assert store.open == 0
    assert store.most_open <= at_once


def test_who_reads_waits_for_who_takes() -> None:
    async def slowly() -> tuple[int, int]:
        store = Store()
        reading = made(store, [Span(0, 30_000), Span(30_000, 60_000)], at_once=2)
        await reading.begin()
        await asyncio.sleep(0.05)
        full = store.read
        for _ in await reading.next():
            reading.taken()
        await asyncio.sleep(0.05)
        again = store.read
        await reading.end()
        return full, again

    assert asyncio.run(slowly()) == (16_000, 32_000)


@pytest.mark.parametrize("at_once", [1, 4])
def test_the_first_failure_ends_all(at_once: int) -> None:
    async def failing() -> int:
        store = Store(fail_at=2_500, stop_at=50_000)
        with pytest.raises(ArchiveUnavailableError) as caught:
            await taken(made(store, [Span(0, 5_000), Span(49_000, 60_000)], at_once=at_once))
        assert caught.value.reason == "cut_off"
        assert store.open == 0
        return others()

    assert asyncio.run(failing()) == 0


def test_what_came_before_a_failure_is_handed_out() -> None:
    async def failing() -> list[Block]:
        reading = made(Store(fail_at=3_500), [Span(0, 5_000)])
        await reading.begin()
        await asyncio.sleep(0.02)
        first = await reading.next()
        with pytest.raises(ArchiveUnavailableError):
            await reading.next()
        await reading.end()
        return first

    assert [block and block[0] for block in asyncio.run(failing())] == [Span(i, i + 1000) for i in (0, 1000, 2000)]


def test_leaving_early_leaves_nothing() -> None:
    async def leaving() -> int:
        store = Store()
        assert len(await taken(made(store, [Span(0, 60_000)]), blocks=2)) == 2
        assert store.open == 0
        return others()

    assert asyncio.run(leaving()) == 0


def test_bytes_that_come_too_slowly() -> None:
    with pytest.raises(ArchiveUnavailableError) as caught:
        asyncio.run(taken(made(Store(stop_at=10), [Span(0, 5_000)], window_s=0.05)))
    assert caught.value.reason == "too_slow"


def test_errors_of_ours_are_not_hidden() -> None:
    async def broken(_: Span) -> _Part:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(taken(Several(broken, [Span(0, 9)], at_once=1, pace=Pace(1, 1, "mosaic"))))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 1 << 26), st.integers(1, 1 << 29)), max_size=12),
    at_once=st.integers(1, 16),
)
def test_pieces_are_the_same_bytes(steps: list[tuple[int, int]], at_once: int) -> None:
    spans, at = [], 0
    for gap, size in steps:
        spans.append(Span(at + gap, at + gap + size))
        at = spans[-1].stop
    pieces = in_pieces(spans, at_once)
    assert joined(pieces) == tuple(map(tuple, spans))
    assert sum(piece.size for piece in pieces) == sum(span.size for span in spans)  # none twice
    assert all(0 < piece.size <= 32 << 20 for piece in pieces)


def test_pieces_keep_all_readers_busy() -> None:
    plane = 400_000_000
    for spans in (
        [Span(0, plane)],
        [Span(0, plane // 3), Span(plane // 2, plane)],
        [Span(0, plane - 1), Span(plane, plane + 9)],
    ):
        pieces = in_pieces(spans, 8)
        assert len(pieces) <= 25
        alone = several._time([Span(0, plane // 8)], 1)  # what one of eight would take for its share
        assert several._time(pieces, 8) <= 1.3 * alone


def test_an_empty_span_is_no_piece() -> None:
    assert in_pieces([Span(5, 5)], 8) == in_pieces([], 8) == []
