"""Tasks of the hand-overs."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.runs.work import Work
from gzjwst_core.survey import publish as stages
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import RECEIPTED, as_state

__all__ = ["count_uploads", "hand_over", "plan_publish"]

plan_publish = stages.plan
count_uploads = stages.count_uploads


@task(name="publish", task_run_name="publish-{run.profile.name}", **RECEIPTED)
def hand_over(run: SurveyRun, work: Work) -> Done:
    """Write the Zooniverse manifests and the Zoobot catalog."""
    return as_state(stages.hand_over(run, work))
