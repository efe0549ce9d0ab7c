"""One run of a pipeline inside its flow: session, stages, record; again where something damaged is to be made anew."""

import tasks.settings  # noqa: F401, I001 - before prefect

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.common.progress import RunProgress, stops_when_finished
from flows.common.session import open_session
from flows.common.summary import summary
from gzjwst_core.errors import GzJwstError, StorageError
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.products import DAMAGED
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.runs.request import RunRequest
from gzjwst_core.runs.run import Run
from tasks.run import close_run, show_summary

__all__ = ["FLOW", "run_pipeline"]

_TRIES = 4
"""Each finds what was damaged one stage further up; more than this is no chance any more, but a bad disk."""


def _run_name() -> str:
    request = flow_run.parameters["request"]
    profile = request.get("profile", "") if isinstance(request, dict) else request.profile
    name = Path(profile).stem or flow_run.flow_name
    return f"{name}-{flow_run.scheduled_start_time:%Y-%m-%d-%H%M%S}"


FLOW: dict[str, Any] = {
    "flow_run_name": _run_name,
    "task_runner": cast("TaskRunner[Any]", ThreadPoolTaskRunner(max_workers=4)),  # its default has no bound
    "persist_result": False,
}
"""What every flow is declared with: `@flow(name="survey", **FLOW)`."""


def run_pipeline(pipeline: Pipeline, request: RunRequest, stages: Callable[[Any, RunProgress], None]) -> RunEnd:
    """Run a pipeline's stages from first to last, and leave its record.

    Parameters
    ----------
    pipeline
        What runs.
    request
        What was asked.
    stages
        Submits the tasks of every stage, in order, and waits for each stage by `RunProgress`.

    Raises
    ------
    GzJwstError
        What ended the run before its time.
    """
    with open_session(pipeline, request) as (run, progress):
        try:
            end = _complete(pipeline, run, progress, stops_when_finished(stages))
        except GzJwstError as error:
            with suppress(StorageError):  # on a full disk this run is not even told of in run.json
                _close(pipeline, run, progress, error)
            raise
        return progress.end(run, end)


def _complete(
    pipeline: Pipeline, run: Run, progress: RunProgress, stages: Callable[[Any, RunProgress], None]
) -> RunEnd:
    """Run the stages; again, where something that they read was damaged and stands no longer, to make it anew."""
    for _ in range(_TRIES):
        try:
            stages(run, progress)
            return _close(pipeline, run, progress)
        except GzJwstError as error:
            if error.reason != DAMAGED:
                raise
            progress.begin_anew(error)
    stages(run, progress)
    return _close(pipeline, run, progress)


def _close(pipeline: Pipeline, run: Run, progress: RunProgress, error: GzJwstError | None = None) -> RunEnd:
    end = close_run(pipeline, run, progress.log(error))
    show_summary(summary(end, run.folder.url))
    return end
