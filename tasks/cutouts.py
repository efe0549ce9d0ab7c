"""Tasks of the cutouts."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey.query import Prefetch
from gzjwst_core.survey import cutouts as stages
from gzjwst_core.models import Field
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import UNCACHED, RECEIPTED, as_state

__all__ = ["cut_chunk", "plan_cutouts", "tidy_chunks"]


@task(name="plan-cutouts", **UNCACHED)
def plan_cutouts(run: SurveyRun, fields: list[Field]) -> stages.Plan:
    """Select the targets and share them out to chunks."""
    return stages.plan(run, fields)


@task(name="cutouts", task_run_name="cutouts-{work.unit}", **RECEIPTED)
def cut_chunk(run: SurveyRun, work: Work, field: Field, fetched: list[Prefetch]) -> Done:
    """Cut out one chunk of a field's targets in every band."""
    return as_state(stages.cut_chunk(run, work, field, fetched))


@task(name="tidy", **UNCACHED)
def tidy_chunks(run: SurveyRun, plan: stages.Plan) -> int:
    """Remove what is no longer selected."""
    return stages.tidy(run, plan)
