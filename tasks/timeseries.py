"""Tasks of a time series."""

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import task

from gzjwst_core.runs.receipts import Done
from gzjwst_core.runs.work import Work
from gzjwst_core.timeseries import stages
from gzjwst_core.timeseries.request import TimeSeriesRun
from gzjwst_core.timeseries.segments import Series
from tasks.policy import RECEIPTED, UNCACHED, as_state

__all__ = ["clean_series", "list_segments", "plan_clean"]

plan_clean = stages.plan_clean


@task(name="segments", task_run_name="segments-{run.profile.name}", **UNCACHED)
def list_segments(run: TimeSeriesRun) -> stages.Listing:
    """Read the headers of every segment."""
    return stages.list_segments(run)


@task(name="clean", task_run_name="clean-{work.unit}", **RECEIPTED)
def clean_series(run: TimeSeriesRun, work: Work, series: Series) -> Done:
    """Clean one series of outliers in time."""
    return as_state(stages.clean(run, work, series))
