"""CPU work of a run: one process pool that lives as long as the run, or inline.

Under the thread runner `use_processes` opens one loky pool (its workers import neither the flow file nor Prefect);
under Dask nothing is opened and the work runs inline, since a daemonic worker may have no children. Core functions
take `cpu_map` and never know which it is.
"""

import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from loky import ProcessPoolExecutor
from loky.process_executor import TerminatedWorkerError

from gzjwst_core.errors import CatalogError

__all__ = ["CpuMap", "cpu_map", "peak_memory_mb", "use_processes"]

T = TypeVar("T")
R = TypeVar("R")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_pool: ProcessPoolExecutor | None = None


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
    single = dict.fromkeys(_THREAD_VARIABLES, "1")  # sep and numpy share cores with the other workers
    _pool = ProcessPoolExecutor(max_workers=workers, timeout=600, env={**os.environ, **single})
    try:
        yield
    finally:
        pool, _pool = _pool, None
        pool.shutdown(wait=True, kill_workers=True)


def cpu_map(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Apply a function to every item on the run's pool, or inline without one.

    Parameters
    ----------
    function
        Defined at the top of a module.
    items
        Small picklable values.

    Returns
    -------
    Iterator
        Results in the items' order, so that products do not depend on the number of workers.

    Raises
    ------
    CatalogError
        A worker died (killed, out of memory); reason `worker_lost`.
    """
    if _pool is None:
        yield from map(function, items)
        return
    futures = [_pool.submit(function, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    except TerminatedWorkerError as error:
        raise CatalogError(f"a worker process died: {error}", reason="worker_lost") from error
    finally:
        for future in futures:
            future.cancel()


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB (10^6 bytes); mapped mosaics count."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux kibibytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
