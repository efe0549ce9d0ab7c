"""CPU work of a run: one process pool that lives as long as the run, or inline.

Under the thread runner `use_processes` opens one loky pool (its workers import neither the flow file nor Prefect);
under Dask nothing is opened and the work runs inline, since a daemonic worker may have no children. Core functions
take `cpu_map` and never know which it is.
"""

import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TypeVar

from loky import ProcessPoolExecutor
from loky import cpu_count as usable_cores

from gzjwst_core.errors import WorkerLostError

__all__ = ["CpuMap", "cores", "cpu_map", "peak_memory_mb", "stop_processes", "use_processes"]

T = TypeVar("T")
R = TypeVar("R")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_AHEAD = 3
"""Items a worker that are under way or wait to be taken: results of a large mosaic must not pile up."""


class _Pool:
    """The run's processes; others take their place when one of them dies."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.peaks_mb: dict[int, float] = {}
        """Highest resident memory of each process."""
        self._lock = Lock()
        self.executor = self._new()

    def replace(self, broken: ProcessPoolExecutor) -> None:
        """Start new processes, unless another thread that lost its work has done so."""
        with self._lock:
            if self.executor is broken:
                self.executor = self._new()
                self.peaks_mb = {}

    def result(self, future: "Future[tuple[R, int, float]]") -> R:
        """Wait for what a worker made, and note the memory it took."""
        made, process, peak_mb = future.result()
        self.peaks_mb[process] = peak_mb
        return made

    def _new(self) -> ProcessPoolExecutor:
        single = dict.fromkeys(_THREAD_VARIABLES, "1")  # sep and numpy share cores with the other workers
        return ProcessPoolExecutor(
            max_workers=self.workers, timeout=600, env={**os.environ, **single}, initializer=_leave_ctrl_c_to_the_run
        )


_pool: _Pool | None = None


class CpuMap(Protocol):
    """`map`, in order, wherever the work runs; function and items must be picklable."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Apply a function to every item; results come in the items' order."""
        ...


@contextmanager
def use_processes(workers: int) -> Iterator[None]:
    """Give `cpu_map` a pool of processes for as long as the block runs.

    Parameters
    ----------
    workers
        Processes; 1 or less runs everything inline.
    """
    global _pool  # noqa: PLW0603 - one pool a process is the point
    if workers <= 1 or _pool is not None:
        yield
        return
    _pool = _Pool(workers)
    try:
        yield
    finally:
        pool, _pool = _pool, None
        pool.executor.shutdown(wait=True, kill_workers=True)


def stop_processes() -> None:
    """Kill the run's pool at once, without waiting for its work."""
    if _pool is not None:
        _pool.executor.shutdown(wait=False, kill_workers=True)


def cpu_map(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Apply a function to every item on the run's pool, or inline without one.

    Parameters
    ----------
    function
        Defined at the top of a module.
    items
        Small picklable values; taken as results are, a few ahead.

    Returns
    -------
    Iterator
        Results in the items' order, so that products do not depend on the number of workers.

    Raises
    ------
    WorkerLostError
        A worker died (killed, out of memory). The next call gets a new pool.
    """
    if _pool is None:
        yield from map(function, items)
        return
    pool, executor = _pool, _pool.executor
    under_way: deque[Future[tuple[R, int, float]]] = deque()
    try:
        for item in items:
            under_way.append(executor.submit(_measured, function, item))
            if len(under_way) >= _AHEAD * pool.workers:
                yield pool.result(under_way.popleft())
        while under_way:
            yield pool.result(under_way.popleft())
    except BrokenProcessPool as error:
        pool.replace(executor)
        raise WorkerLostError("a worker process died, out of memory perhaps: fewer --workers need less") from error
    finally:
        for future in under_way:
            future.cancel()


def cores() -> int:
    """Cores that this process may use: a container's or a batch job's share, not all that the machine has."""
    return int(usable_cores())


def _leave_ctrl_c_to_the_run() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def peak_memory_mb() -> float:
    """Highest resident memory so far, in MB (10^6 bytes): of this process, plus that of each of the pool's workers.

    They need not have been reached at the same time, and mapped mosaics count in each: it is never too low.
    """
    workers = () if _pool is None else _pool.peaks_mb.values()
    return round(_own_peak_mb() + sum(workers), 1)


def _measured(function: Callable[[T], R], item: T) -> tuple[R, int, float]:
    return function(item), os.getpid(), _own_peak_mb()


def _own_peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
