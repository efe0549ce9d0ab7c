"""Tasks of any pipeline: its record, and what the UI shows of it."""

import tasks.settings  # noqa: F401, I001 - before prefect

import logging
from collections.abc import Callable

import httpx
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.exceptions import PrefectException

from gzjwst_core.runs import close as stages
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.record import RunEnd, RunLog
from gzjwst_core.runs.run import Run
from tasks.policy import UNCACHED

__all__ = ["close_run", "show_summary", "show_table"]

_LOG = logging.getLogger(__name__)


@task(name="close-run", **UNCACHED)
def close_run(pipeline: Pipeline, run: Run, log: RunLog) -> RunEnd:
    """Write the report if anything changed, and append this run to run.json."""
    return stages.close_run(pipeline, run, log)


def show_table(key: str, rows: list[dict[str, str | int]], description: str) -> None:
    """Show a table in the UI.

    Parameters
    ----------
    key
        Name of the artifact.
    rows
        Values by column.
    description
        What it is, in one sentence.
    """
    _show(lambda: create_table_artifact(table=rows, key=key, description=description))


def show_summary(markdown: str) -> None:
    """Show the run's summary in the UI."""
    _show(lambda: create_markdown_artifact(markdown=markdown, key="summary", description="What this run did"))


def _show(create: Callable[[], object]) -> None:
    try:
        create()
    except (PrefectException, httpx.HTTPError) as error:  # a page that cannot be shown must not end a survey
        _LOG.warning("the UI's artifact was not written: %s", error)
