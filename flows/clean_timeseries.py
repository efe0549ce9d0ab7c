"""Clean a time series: `python flows/clean_timeseries.py FILES... | PROFILE`, or as a deployment of Prefect.

The flow is the table of contents of a run; what each line does is in `tasks/` and, below it, in `gzjwst_core/`.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[1])
if sys.path[0] != _ROOT:  # `flows` and `tasks` are names that other packages use: ours come first
    sys.path.insert(0, _ROOT)

from flows.common.stopping import listen

if __name__ == "__main__":
    listen()  # importing what follows takes seconds

import tasks.settings  # noqa: F401, I001 - before prefect

from prefect import flow

from flows.common.command_line import main
from flows.common.progress import RunProgress
from flows.common.reporting import leave
from flows.common.run_pipeline import FLOW, run_pipeline
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.timeseries.pipeline import TIME_SERIES
from gzjwst_core.timeseries.request import TimeSeriesRequest, TimeSeriesRun
from gzjwst_core.timeseries.stages import CLEAN, SEGMENTS
from tasks.timeseries import clean_series, list_segments, plan_clean

__all__ = ["clean_timeseries"]


@flow(name="timeseries", **FLOW)
def clean_timeseries(request: TimeSeriesRequest) -> RunEnd:
    """Clean the integrations of a time series of cosmic rays, telegraph and bad pixels."""
    return run_pipeline(TIME_SERIES, request, _clean)


def _clean(run: TimeSeriesRun, progress: RunProgress) -> None:
    """Run the stages in order."""
    listing = progress.one(SEGMENTS, list_segments.submit(run))
    progress.keep("faults", {fault.what: f"{fault.reason}|{fault.detail}" for fault in listing.faults})
    progress.stop_after(SEGMENTS)
    works = plan_clean(run, listing)
    progress.each(CLEAN, {unit: clean_series.submit(run, work, series) for unit, (work, series) in works.items()})


if __name__ == "__main__":
    leave(main(TIME_SERIES, clean_timeseries))
