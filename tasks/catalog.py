"""Tasks of the catalog: one field's sources, the survey's catalog."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.survey.query import Prefetch, Transfers
from gzjwst_core.survey import catalog as stages
from gzjwst_core.survey.invalidate import drop_stale
from gzjwst_core.models import Field
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.runs.receipts import Done
from tasks.policy import UNCACHED, RECEIPTED, as_state

__all__ = [
    "catalog_field",
    "drop_stale",
    "merge_survey",
    "plan_catalog",
    "plan_merge",
    "plan_transfers",
    "with_targets",
]

plan_catalog = stages.plan_field
plan_merge = stages.plan_merge
with_targets = stages.with_targets


@task(name="plan-transfers", **UNCACHED)
def plan_transfers(run: SurveyRun, fields: list[Field]) -> Transfers:
    """Say what is to be moved, and see that the cache has room for the largest field."""
    return stages.plan_transfers(run, fields)


@task(name="catalog", task_run_name="catalog-{field.name}", **RECEIPTED)
def catalog_field(run: SurveyRun, work: Work, field: Field, fetched: list[Prefetch]) -> Done:
    """Detect and measure one field's sources; writes its table and segmap."""
    return as_state(stages.catalog_field(run, work, field, fetched))


@task(name="merge", task_run_name="merge-{run.profile.name}", **RECEIPTED)
def merge_survey(run: SurveyRun, work: Work) -> Done:
    """Settle duplicates over all fields; writes the survey catalog."""
    return as_state(stages.merge(run, work))
