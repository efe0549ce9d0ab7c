"""Tasks of the selection function: galaxies injected into each field, and the survey's tables of what was found."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey.query import Prefetch
from gzjwst_core.survey import completeness as stages
from gzjwst_core.models import Field
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import RECEIPTED, as_state

__all__ = ["inject_field", "measure_completeness", "plan_completeness", "plan_injections"]

plan_injections = stages.plan_fields
plan_completeness = stages.plan_survey


@task(name="injection", task_run_name="injection-{field.name}", **RECEIPTED)
def inject_field(run: SurveyRun, work: Work, field: Field, fetched: list[Prefetch]) -> Done:
    """Inject galaxies into one field, and look for them by the code that made its catalog."""
    return as_state(stages.inject_field(run, work, field, fetched))


@task(name="completeness", task_run_name="completeness-{run.profile.name}", **RECEIPTED)
def measure_completeness(run: SurveyRun, work: Work) -> Done:
    """Write the survey's completeness, purity and magnitude limits."""
    return as_state(stages.measure(run, work))
