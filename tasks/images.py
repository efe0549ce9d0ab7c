"""Tasks of the images: the pinned colour, and images from cutouts only."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey import images as stages
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import UNCACHED, RECEIPTED, as_state

__all__ = ["pin_colour", "plan_images", "render_chunk"]

plan_images = stages.plan


@task(name="images", task_run_name="images-{work.unit}", **RECEIPTED)
def render_chunk(run: SurveyRun, work: Work) -> Done:
    """Colour one chunk of cutouts for volunteers."""
    return as_state(stages.render_chunk(run, work))


@task(name="pin-colour", **UNCACHED)
def pin_colour(run: SurveyRun, passing: tuple[str, ...], uploaded: int) -> stages.Pinned:
    """Pin the survey's sigma and gain of each band; writes profile.toml."""
    return stages.pin(run, passing, uploaded)
