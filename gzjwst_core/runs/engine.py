"""CPU work of a run: one process pool that lives as long as the run, or inline.

Under the thread runner `use_processes` opens one loky pool (its workers import neither the flow file nor Prefect);
under Dask nothing is opened and the work runs inline, since a daemonic worker may have no children. Core functions
take `cpu_map` and never know which it is.

A worker ends when the process that started it has ended, however that was. Until then it keeps that process's lock of
the run folder, so that no other run writes there while a worker still may. It has no stream of the run's: what it
prints goes to the run, which prints it, so that whoever reads the run's output waits for the run alone.
"""

import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

from loky import ProcessPoolExecutor
from loky import cpu_count as usable_cores
from loky.process_executor import ShutdownExecutorError

from gzjwst_core.errors import GzJwstError, WorkerLostError

__all__ = [
    "CpuMap",
    "cores",
    "cpu_map",
    "peak_memory_mb",
    "silence_resource_trackers",
    "stop_processes",
    "use_processes",
]

T = TypeVar("T")
R = TypeVar("R")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_AHEAD = 3
"""Items a worker that are under way or wait to be taken: results of a large mosaic must not pile up."""
_PRINTER_ENDS_S = 5.0
_TRACKERS_WARNING = "ignore:resource_tracker"


class _Pool:
    """The run's processes; others take their place when one of them dies."""

    def __init__(self, workers: int, held: int | None) -> None:
        self.workers = workers
        self.peaks_mb: dict[int, float] = {}
        """Highest resident memory of each process."""
        self.closed = False
        self._guard = threading.Lock()
        ours, self._theirs = socket.socketpair()
        # loky hands sockets and connections over to a worker, not bare descriptors
        self._lock = None if held is None else Connection(os.dup(held))
        self._printer = threading.Thread(target=_print, args=(ours,), daemon=True)
        self._printer.start()
        silence_resource_trackers()
        # starting Python's own tracker unblocks Ctrl-C in this thread, and a worker would begin with that
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self.executor = self._new()

    def replace(self, broken: ProcessPoolExecutor) -> None:
        """Start new processes, unless another thread that lost its work has done so."""
        with self._guard:
            if self.executor is broken and not self.closed:
                self.executor = self._new()
                self.peaks_mb = {}

    def result(self, future: "Future[tuple[R, int, float]]") -> R:
        """Wait for what a worker made, and note the memory it took."""
        made, process, peak_mb = future.result()
        self.peaks_mb[process] = peak_mb
        return made

    def close(self) -> None:
        """End the processes, and print what they still said."""
        with self._guard:
            if self.closed:
                return
            self.closed = True
        self.executor.shutdown(wait=True, kill_workers=True)
        self._theirs.close()
        if self._lock is not None:
            self._lock.close()
        self._printer.join(_PRINTER_ENDS_S)

    def _new(self) -> ProcessPoolExecutor:
        single = dict.fromkeys(_THREAD_VARIABLES, "1")  # sep and numpy share cores with the other workers
        return ProcessPoolExecutor(
            max_workers=self.workers,
            timeout=600,
            env={**os.environ, **single},
            initializer=_begin,
            initargs=(self._theirs, self._lock),
        )


_pool: _Pool | None = None


class CpuMap(Protocol):
    """`map`, in order, wherever the work runs; function and items must be picklable."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Apply a function to every item; results come in the items' order."""
        ...


@contextmanager
def use_processes(workers: int, lock: int | None = None) -> Iterator[Callable[[], None]]:
    """Give `cpu_map` a pool of processes for as long as the block runs, unless there is one already.

    Parameters
    ----------
    workers
        Processes; 1 or less runs everything inline.
    lock
        Descriptor of a locked file, which the processes hold too: a lock of `flock` ends with the last of them.

    Yields
    ------
    callable
        Ends the block's processes before the block does: work that is under way fails at once (reason `run_ended`), and
        none begins any more.
    """
    global _pool  # noqa: PLW0603 - one pool a process is the point
    if workers <= 1 or _pool is not None:
        yield lambda: None
        return
    pool = _pool = _Pool(workers, lock)
    try:
        yield pool.close
    finally:
        pool.close()
        _pool = None


def silence_resource_trackers() -> None:
    """Have those that start from now on remove the semaphores of a run that was killed without a warning."""
    given = os.environ.get("PYTHONWARNINGS", "").split(",")
    os.environ["PYTHONWARNINGS"] = ",".join(dict.fromkeys(filter(None, [*given, _TRACKERS_WARNING])))


def stop_processes() -> None:
    """Kill the run's processes at once, without waiting for their work."""
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)


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
        A worker died (killed, out of memory); the next call gets a new pool. Or there was no memory for an item
        (reason `out_of_memory`).
    GzJwstError
        The run has ended (reason `run_ended`).
    """
    try:
        yield from map(function, items) if _pool is None else _on(_pool, function, items)
    except MemoryError as error:
        said = "a worker needs more memory than there is: fewer --workers need less"
        raise WorkerLostError(said, reason="out_of_memory") from error


def _on(pool: _Pool, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    executor = pool.executor
    under_way: deque[Future[tuple[R, int, float]]] = deque()
    try:
        for item in items:
            under_way.append(executor.submit(_measured, function, item))
            if len(under_way) >= _AHEAD * pool.workers:
                yield pool.result(under_way.popleft())
        while under_way:
            yield pool.result(under_way.popleft())
    except (BrokenProcessPool, ShutdownExecutorError) as error:
        if pool.closed:
            raise GzJwstError("the run has ended", reason="run_ended") from error
        pool.replace(executor)
        raise WorkerLostError("a worker process died, out of memory perhaps: fewer --workers need less") from error
    finally:
        for future in under_way:
            future.cancel()


def cores() -> int:
    """Cores that this process may use: a container's or a batch job's share, not all that the machine has."""
    return int(usable_cores())


def _print(ours: socket.socket) -> None:
    """Print what the workers say."""
    with ours, ours.makefile("r", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                sys.stderr.write(line)


def _begin(run: socket.socket, _lock: Connection | None) -> None:
    """Make a new worker one of the run: what loky gave it is kept for as long as it lives, `_lock` too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends its workers
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the run may block it
    for stream in range(3):
        os.dup2(run.fileno(), stream)
    threading.Thread(target=_end_with, args=(run,), daemon=True).start()


def _end_with(run: socket.socket) -> None:
    run.recv(1)  # nothing is ever sent: this returns when the run's end is closed
    os._exit(1)


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
