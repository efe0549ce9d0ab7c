"""What is asked of the time-series pipeline, and the run that it becomes."""

import os
from pathlib import Path
from typing import Annotated

from gzjwst_core.errors import ProfileError
from gzjwst_core.paths import files_at
from gzjwst_core.runs.command_line import Argument
from gzjwst_core.runs.profile_file import with_overrides
from gzjwst_core.runs.request import RunRequest, run_values
from gzjwst_core.runs.run import Run
from gzjwst_core.timeseries.profile import TimeSeriesProfile

__all__ = ["TimeSeriesRequest", "TimeSeriesRun", "start"]


class TimeSeriesRun(Run):
    """What one run of the pipeline does."""

    profile: TimeSeriesProfile
    files: tuple[str, ...] = ()
    """Local paths or patterns of the segments; relative ones of the profile are made absolute."""


class TimeSeriesRequest(RunRequest):
    """One run: a profile, or the files themselves."""

    profile: str = ""
    """Name of a shipped profile, or the path of a TOML file; empty = the files, with default options."""
    files: Annotated[tuple[str, ...], Argument(positional=True)] = ()
    """Segments (FITS files or patterns), or one profile (TOML file or name)."""
    name: str = "timeseries"
    """Of the run folder, where files are given."""


def start(request: TimeSeriesRequest) -> TimeSeriesRun:
    """Turn a request into a run.

    Raises
    ------
    ProfileError
        There are neither files nor a profile, a file is not there, or an option is wrong.
    """
    request = _told_apart(request)
    if request.profile:
        values = run_values(request, TimeSeriesProfile)
    elif request.files:
        data = {"timeseries": {"name": request.name}}
        laid = with_overrides(data, request.overrides)
        values = run_values(request, TimeSeriesProfile, (data, "the command line", laid))
    else:
        raise ProfileError("give the segments of a time series (*_rateints.fits), or a profile (a TOML file)")
    run = TimeSeriesRun(**values)
    given = [str(Path(one).absolute()) for one in request.files]
    given += [run.beside_profile(one, "timeseries.files") for one in run.profile.timeseries.files]
    missing = next((one for one in given if not files_at(one)), None)
    if missing is not None or not given:
        raise ProfileError(
            f"timeseries.files: no file fits {missing!r}" if given else "timeseries.files: none are named"
        )
    return run.replace(files=tuple(given))


def _told_apart(request: TimeSeriesRequest) -> TimeSeriesRequest:
    """Take a single name without the ending of a FITS file for a profile."""
    if request.profile or len(request.files) != 1:
        return request
    (one,) = request.files
    is_profile = one.endswith(".toml") or (os.sep not in one and not Path(one).suffix and not files_at(one))
    return request.model_copy(update={"profile": one, "files": ()}) if is_profile else request
