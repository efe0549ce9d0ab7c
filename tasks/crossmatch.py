"""Tasks of the comparisons with catalogs of others."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey import crossmatch as stages
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import RECEIPTED, as_state

__all__ = ["crossmatch_survey", "plan_crossmatch"]

plan_crossmatch = stages.plan_crossmatch


@task(name="crossmatch", task_run_name="crossmatch-{run.profile.name}", **RECEIPTED)
def crossmatch_survey(run: SurveyRun, work: Work) -> Done:
    """Compare the survey catalog with the catalogs that the profile names."""
    return as_state(stages.crossmatch(run, work))
