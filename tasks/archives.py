"""Tasks of the archives: query, locate, fetch."""

import tasks.settings  # noqa: F401, I001 - before prefect

from collections.abc import Sequence

from prefect import task

from gzjwst_core.survey import query as stages
from gzjwst_core.models import Field, Mosaic
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import SurveyRun
from tasks.policy import UNCACHED

__all__ = ["fetch_mosaic", "locate_field", "query_products", "record_mosaics"]


@task(name="query", task_run_name="query-{run.profile.name}", **UNCACHED)
def query_products(run: SurveyRun) -> stages.Listing:
    """Ask MAST which mosaics exist; writes products.parquet."""
    return stages.query(run)


@task(name="locate", task_run_name="locate-{field.name}", **UNCACHED)
def locate_field(run: SurveyRun, field: Field) -> Field:
    """Find each mosaic of a field where it is cheapest to read."""
    return stages.locate(run, field)


@task(name="record-mosaics", **UNCACHED)
def record_mosaics(run: SurveyRun, fields: list[Field]) -> None:
    """Write mosaics.parquet: where each mosaic is, or why it is missing."""
    stages.record(run, fields)


@task(name="fetch", task_run_name="fetch-{mosaic.field}-{mosaic.band}", **UNCACHED)
def fetch_mosaic(run: SurveyRun, mosaic: Mosaic, works: Sequence[Work]) -> stages.Prefetch:
    """Bring a mosaic's planes to the local disk, unless the works that would read them stand."""
    return stages.fetch(run, mosaic, works)
