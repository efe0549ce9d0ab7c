"""A time series' profile."""

from typing import ClassVar

from gzjwst_core.runs.profile_file import Profile
from gzjwst_core.timeseries.options import CleanOptions, TimeSeriesOptions

__all__ = ["TimeSeriesProfile"]


class TimeSeriesProfile(Profile):
    """Everything that makes one time series different from another."""

    head: ClassVar[str] = "timeseries"
    timeseries: TimeSeriesOptions
    clean: CleanOptions = CleanOptions()
