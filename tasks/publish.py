"""Tasks of the publishing room: hand-overs, report, the run's own record, artifacts for the UI."""

import tasks.settings  # noqa: F401, I001 - before prefect

import logging
from collections.abc import Callable

import httpx
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.exceptions import PrefectException

from gzjwst_core.runs.work import Work
from gzjwst_core.survey import publish as stages
from gzjwst_core.survey.run_record import RunLog
from gzjwst_core.survey.publish import RunEnd
from gzjwst_core.survey.run import Run
from gzjwst_core.runs.receipts import Done
from tasks.policy import ASKED_ANEW, RECEIPTED, as_state

__all__ = ["close_run", "count_uploads", "hand_over", "plan_publish", "show_mosaics", "show_summary"]

_LOG = logging.getLogger(__name__)

plan_publish = stages.plan
count_uploads = stages.count_uploads


@task(name="publish", task_run_name="publish-{run.profile.name}", **RECEIPTED)
def hand_over(run: Run, work: Work) -> Done:
    """Write the Zooniverse manifests and the Zoobot catalog."""
    return as_state(stages.hand_over(run, work))


@task(name="close-run", **ASKED_ANEW)
def close_run(run: Run, log: RunLog) -> RunEnd:
    """Write report.html if anything changed, and append this run to run.json."""
    return stages.close(run, log)


def show_mosaics(rows: list[dict[str, str | int]]) -> None:
    """Show fields x bands as a table in the UI: where each mosaic was found, its bytes and outcome."""
    _show(lambda: create_table_artifact(table=rows, key="mosaics", description="Where each mosaic was found"))


def show_summary(markdown: str) -> None:
    """Show the run's summary in the UI."""
    _show(lambda: create_markdown_artifact(markdown=markdown, key="summary", description="What this run did"))


def _show(create: Callable[[], object]) -> None:
    try:
        create()
    except (PrefectException, httpx.HTTPError) as error:  # a page that cannot be shown must not end a survey
        _LOG.warning("the UI's artifact was not written: %s", error)
