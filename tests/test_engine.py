"""The run's processes: in order, a few items ahead, gone with the run, and a dead worker costs a retry and no more."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gzjwst_core.errors import GzJwstError, WorkerLostError
from gzjwst_core.runs.engine import cpu_map, peak_memory_mb, use_processes


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


def test_work_of_a_run_that_has_ended_fails_for_good_and_none_begins_here() -> None:
    with use_processes(2) as end_processes:
        with use_processes(2) as end_inner_ones:
            end_inner_ones()
        under_way = cpu_map(time.sleep, [0, 600])
        next(under_way)
        end_processes()
        for work in (under_way, cpu_map(abs, [1])):
            with pytest.raises(GzJwstError, match="the run has ended") as caught:
                list(work)
            assert (caught.value.reason, caught.value.retryable) == ("run_ended", False)


def test_the_workers_memory_counts(two_processes: None) -> None:
    before = peak_memory_mb()
    assert list(cpu_map(_fill, [300_000_000] * 2)) == [300_000_000] * 2
    assert peak_memory_mb() > before + 300


def test_without_processes_the_work_runs_here() -> None:
    with use_processes(1):
        assert set(cpu_map(_process, range(3))) == {os.getpid()}


@pytest.mark.parametrize("workers", [1, 2])
def test_work_without_memory_is_named(workers: int) -> None:
    with use_processes(workers), pytest.raises(WorkerLostError, match="fewer --workers") as caught:
        list(cpu_map(_without_memory, [1]))
    assert caught.value.reason == "out_of_memory"


BLOCKED = """
import signal
from gzjwst_core.runs.engine import cpu_map, use_processes
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
with use_processes(2):
    list(cpu_map(abs, [1]))
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_what_a_run_blocks_stays_blocked_when_its_workers_begin() -> None:
    """Else the terminal's Ctrl-C would end a worker that still imports, with a traceback."""
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


RUN = """
import fcntl, sys, time, warnings
from gzjwst_core.runs.engine import cpu_map, use_processes
with open(sys.argv[1], "a") as lock, use_processes(2, lock.fileno()):
    fcntl.flock(lock, fcntl.LOCK_EX)
    list(cpu_map(warnings.warn, ["odd pixels"]))
    next(cpu_map(time.sleep, [0.2, 0.2, 60, 60]))
    print("busy", flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_run_that_is_killed_and_keep_its_lock_until_then(tmp_path: Path) -> None:
    """What they say comes through it, so that whoever reads its output waits for it alone."""
    command = [sys.executable, "-c", RUN, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "busy\n"
        family = psutil.Process(run.pid).children(recursive=True)
        other, held = family[-2:]
        held.suspend()
        run.send_signal(signal.SIGKILL)
        run.wait(10)
        other.wait(10)
        assert held.is_running()
        with (tmp_path / "lock").open("a") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.resume()
            said = run.communicate(timeout=10)[1]
            assert "UserWarning: odd pixels" in said
            assert "leaked" not in said
            assert not psutil.wait_procs(family, 10)[1]
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _without_memory(_: int) -> int:
    raise MemoryError


def _fill(size: int) -> int:
    return len(b"x" * size)


def _process(_: int) -> int:
    return os.getpid()
