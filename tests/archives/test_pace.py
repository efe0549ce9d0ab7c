"""Streams that share a line are judged together, and only for the time in which somebody waits for bytes."""

from collections.abc import Sequence

import pytest

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.transport.minimum_rate import Pace, Paced


class Line:
    """A stream of which each read takes a second, on a clock of its own."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.now = 100.0
        self._sizes = iter(sizes)

    def clock(self) -> float:
        return self.now

    def read(self, _: int, /) -> bytes:
        self.now += 1
        return bytes(next(self._sizes))


def pace_of(line: Line) -> Pace:
    """1 kB/s over 10 s."""
    return Pace(1.0, 10.0, what="x.fits", clock=line.clock)


def read(stream: Paced, times: int) -> None:
    for _ in range(times):
        stream.read(1 << 20)


def test_a_line_at_the_slowest_rate_goes_on() -> None:
    line = Line([1000] * 50)
    read(Paced(line, pace_of(line)), 50)


def test_a_line_below_it_is_left_after_the_time() -> None:
    line = Line([999] * 50)
    stream = Paced(line, pace_of(line))
    read(stream, 9)
    with pytest.raises(ArchiveUnavailableError, match=r"x\.fits: only 1\.0 kB/s") as caught:
        read(stream, 1)
    assert caught.value.reason == "too_slow"


def test_several_share_the_rate() -> None:
    """Each of these four has a quarter of it."""
    line = Line([1000] * 60)
    pace = pace_of(line)
    streams = [Paced(line, pace) for _ in range(4)]
    for turn in range(60):
        read(streams[turn % 4], 1)


def test_several_that_are_too_slow_together() -> None:
    line = Line([900] * 60)
    pace = pace_of(line)
    streams = [Paced(line, pace) for _ in range(4)]
    with pytest.raises(ArchiveUnavailableError, match=r"only 0\.9 kB/s"):
        for turn in range(60):
            read(streams[turn % 4], 1)
    assert line.now == 110


def test_time_in_which_nobody_reads_does_not_count() -> None:
    line = Line([1000] * 50)
    stream = Paced(line, pace_of(line))
    for _ in range(50):
        read(stream, 1)
        line.now += 1000


def test_time_counts_while_another_reads() -> None:
    line = Line([1000] * 5)
    pace = pace_of(line)
    pace.begin()
    line.now += 20
    with pytest.raises(ArchiveUnavailableError):
        read(Paced(line, pace), 1)


def test_a_read_that_fails_is_over() -> None:
    line = Line([])
    pace = pace_of(line)
    with pytest.raises(StopIteration):
        read(Paced(line, pace), 1)
    line.now += 1000
    read(Paced(Line([1]), pace), 1)
