"""Tasks of the single bands that Zoobot is to have."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.runs.work import Work
from gzjwst_core.survey import training as stages
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import RECEIPTED, as_state

__all__ = ["plan_training", "split_chunk"]


plan_training = stages.plan


@task(name="training", task_run_name="training-{work.unit}", **RECEIPTED)
def split_chunk(run: SurveyRun, work: Work) -> Done:
    """Write one chunk's cutouts band by band."""
    return as_state(stages.split_chunk(run, work))
