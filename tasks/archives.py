"""Tasks of the archives' room: query, locate, fetch."""

import tasks.settings  # noqa: F401, I001 - before prefect

from collections.abc import Sequence

from prefect import task

from gzjwst_core.survey import query as stages
from gzjwst_core.models import Field, Mosaic
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.run import Run
from tasks.policy import ASKED_ANEW

__all__ = ["fetch_mosaic", "locate_field", "query_products", "record_mosaics"]


@task(name="query", task_run_name="query-{run.profile.name}", **ASKED_ANEW)
def query_products(run: Run) -> stages.Listing:
    """Ask MAST which mosaics exist; writes products.parquet."""
    return stages.query(run)


@task(name="locate", task_run_name="locate-{field.name}", **ASKED_ANEW)
def locate_field(run: Run, field: Field) -> Field:
    """Find each mosaic of a field where it is cheapest to read."""
    return stages.locate(run, field)


@task(name="record-mosaics", **ASKED_ANEW)
def record_mosaics(run: Run, fields: list[Field]) -> None:
    """Write mosaics.parquet: where each mosaic is, or why it is missing."""
    stages.record(run, fields)


@task(name="fetch", task_run_name="fetch-{mosaic.field}-{mosaic.band}", **ASKED_ANEW)
def fetch_mosaic(run: Run, mosaic: Mosaic, works: Sequence[Work]) -> stages.Brought:
    """Bring a mosaic's planes to the local disk, unless the works that would read them stand."""
    return stages.fetch(run, mosaic, works)
