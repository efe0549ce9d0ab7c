"""The time-series pipeline, declared: cosmic rays and bad pixels of one exposure's integrations."""

from gzjwst_core.runs.dry_run import DryRun, dry_run_of
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.timeseries.profile import TimeSeriesProfile
from gzjwst_core.timeseries.request import TimeSeriesRequest, TimeSeriesRun, start
from gzjwst_core.timeseries.stages import STAGES, facts_of_run, list_segments, plan_clean, write_report

__all__ = ["TIME_SERIES"]


def _dry_run(run: TimeSeriesRun) -> DryRun:
    return dry_run_of(run, [work for work, _ in plan_clean(run, list_segments(run)).values()])


TIME_SERIES = Pipeline(
    entrypoint="flows/clean_timeseries.py:clean_timeseries",
    description="Clean the integrations of a JWST time series of cosmic rays, telegraph and bad pixels.",
    profile=TimeSeriesProfile,
    request=TimeSeriesRequest,
    stages=STAGES,
    start=start,
    dry_run=_dry_run,
    facts=facts_of_run,
    report=write_report,
)
