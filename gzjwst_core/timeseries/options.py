"""Options of a time series: which files, and how outliers in time are found."""

from typing import Annotated, Literal

from pydantic import Field

from gzjwst_core.options.base import Options, Positive, Slug

__all__ = ["CleanOptions", "TimeSeriesOptions"]

Integration = Annotated[int, Field(ge=1)]


class TimeSeriesOptions(Options):
    """Which files."""

    name: Slug
    """Of the run folder."""
    files: tuple[str, ...] = ()
    """Segments (`*_rateints.fits`, `*gainscalestep.fits`), or patterns; relative to the profile."""


class CleanOptions(Options):
    """How outliers in time are found and replaced."""

    clip: Annotated[float, Field(gt=1, le=100)] = 4.65
    """An outlier is this many standard deviations of its pixel's residual from the running median."""
    window: Annotated[int, Field(ge=3, le=101)] = 15
    """Integrations that the running median spans; an odd number."""
    iterations: Annotated[int, Field(ge=1, le=50)] = 5
    """At most: each leaves outliers that were found out of the median and of the standard deviation."""
    divide_white_light: bool = True
    """Divide the white-light curve out first, so that a transit or a drift is no outlier."""
    frame_clip: Positive = 3.0
    """An integration with more outliers than this many times the median count is vetted."""
    vet: Literal["keep", "reset"] = "keep"
    """What vetting does with such an integration: its outliers stay replaced, or all its pixels stay as they were."""
    keep: tuple[Integration, ...] = ()
    """Integrations (their own numbers, from 1) whose outliers stay replaced, whatever vetting says."""
    reset: tuple[Integration, ...] = ()
    """Integrations whose pixels stay as they were, whatever vetting says."""
    telegraph_separation: Positive = 4.0
    """A telegraph pixel's two levels are this many standard deviations (within a level) apart."""
    bad_clip: Positive = 10.0
    """A bad pixel's level is this many robust standard deviations from its neighbours' along the rows."""
    noise_clip: Positive = 5.0
    """A noisy pixel scatters this many times more than its neighbours along the rows."""
    band_mb: Annotated[float, Field(ge=1)] = 128.0
    """Memory for one band of rows of all integrations, MB (10^6 bytes)."""
