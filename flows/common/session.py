"""What has to be there before a run and gone after it: its archives, its lock, its pool of processes."""

import tasks.settings  # noqa: F401, I001 - before prefect

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import FlowRunContext
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH
from prefect.task_runners import ThreadPoolTaskRunner

from flows.common.progress import RunProgress
from flows.common.terminal import Terminal
from gzjwst_core.errors import ProfileError
from gzjwst_core.runs.engine import use_processes
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.request import RunRequest
from gzjwst_core.runs.run import Run, locked
from gzjwst_core.storage.private import check_private
from gzjwst_core.transport.redact import guard_logs

__all__ = ["open_session"]


@contextmanager
def open_session(pipeline: Pipeline, request: RunRequest) -> Iterator[tuple[Run, RunProgress]]:
    """Make ready for a run, and clear up after it.

    Parameters
    ----------
    pipeline
        What runs.
    request
        What was asked.

    Yields
    ------
    tuple
        The run, and its progress.

    Raises
    ------
    ProfileError
        The request is wrong.
    StorageError
        Another run is writing to the same folder (reason `busy`), or others may write where Prefect keeps results
        (`not_private`).
    """
    guard_logs()
    check_private(PREFECT_LOCAL_STORAGE_PATH.value())
    run = pipeline.start(request)
    with (
        pipeline.prepared(run),
        locked(run) as lock,
        use_processes(_processes(request, run), lock) as end_processes,
        _tasks_awaited(),
    ):
        try:
            pipeline.begin(run)
            yield run, RunProgress(pipeline, request, Terminal(quiet=request.quiet))
        finally:
            end_processes()


def _processes(request: RunRequest, run: Run) -> int:
    if _runs_in_threads():
        return 1 if run.folder.is_private else request.processes
    if run.folder.is_private:
        raise ProfileError(f"--out {run.out}: Dask's workers cannot write there")
    return 1


@contextmanager
def _tasks_awaited() -> Iterator[None]:
    """Wait for tasks that an early end left running: the lock is theirs until the last has ended."""
    try:
        yield
    finally:
        context = FlowRunContext.get()
        if context is not None and isinstance(context.task_runner, ThreadPoolTaskRunner):
            context.task_runner.cancel_all()


def _runs_in_threads() -> bool:
    context = FlowRunContext.get()
    return context is None or isinstance(context.task_runner, ThreadPoolTaskRunner)
