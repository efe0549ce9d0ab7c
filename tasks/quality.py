"""Tasks of image quality: controls cut beside a field's cutouts, and the verdict on every image."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey.query import Prefetch
from gzjwst_core.survey.cutouts import Plan
from gzjwst_core.models import Field
from gzjwst_core.runs.work import Work
from gzjwst_core.survey import quality as stages
from gzjwst_core.survey.controls import Control, ControlPlan
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import UNCACHED, RECEIPTED, as_state

__all__ = ["check_images", "cut_controls", "plan_controls", "plan_quality"]

plan_quality = stages.plan_quality


@task(name="plan-controls", **UNCACHED)
def plan_controls(run: SurveyRun, fields: list[Field], cutouts: Plan) -> ControlPlan:
    """Choose stars, and galaxies that two fields show."""
    return stages.plan_controls(run, fields, cutouts)


@task(name="controls", task_run_name="controls-{field.name}", **RECEIPTED)
def cut_controls(
    run: SurveyRun, work: Work, controls: tuple[Control, ...], field: Field, fetched: list[Prefetch]
) -> Done:
    """Cut out a field's controls, which no volunteer sees."""
    return as_state(stages.cut_controls(run, work, controls, field, fetched))


@task(name="quality", task_run_name="quality-{run.profile.name}", **RECEIPTED)
def check_images(run: SurveyRun, work: Work) -> Done:
    """Judge every image: pass, warn or fail, with the reasons."""
    return as_state(stages.check_images(run, work))
