"""The run's processes: in order, a few items ahead, and a dead worker costs a retry and no more."""

import os
from collections.abc import Iterator

import pytest

from gzjwst_core.engine import cpu_map, peak_memory_mb, use_processes
from gzjwst_core.errors import WorkerLostError


@pytest.fixture
def two_processes() -> Iterator[None]:
    with use_processes(2):
        yield


def test_results_come_in_order_and_items_are_taken_as_they_are_needed(two_processes: None) -> None:
    """What a large mosaic gives must not pile up before it is read."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(-40, 0):
            taken.append(number)
            yield number

    results = cpu_map(abs, items())
    assert next(results) == 40
    assert len(taken) < 10
    assert list(results) == list(range(39, 0, -1))


def test_a_dead_worker_is_named_and_others_take_its_place(two_processes: None) -> None:
    with pytest.raises(WorkerLostError) as caught:
        list(cpu_map(os._exit, [1]))
    assert (caught.value.reason, caught.value.retryable) == ("worker_lost", True)
    assert sum(cpu_map(abs, range(20))) == 190


def test_the_workers_memory_counts(two_processes: None) -> None:
    before = peak_memory_mb()
    assert list(cpu_map(_fill, [300_000_000] * 2)) == [300_000_000] * 2
    assert peak_memory_mb() > before + 300


def test_without_processes_the_work_runs_here() -> None:
    with use_processes(1):
        assert set(cpu_map(_process, range(3))) == {os.getpid()}


def _fill(size: int) -> int:
    return len(b"x" * size)


def _process(_: int) -> int:
    return os.getpid()
