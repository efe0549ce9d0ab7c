"""Image quality: limits of what is measured on each image and over the survey, and the controls that are cut for it."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from gzjwst_core.options.base import Options

__all__ = ["Limits", "QualityOptions"]


def _range(given: tuple[float, ...]) -> tuple[float, ...]:
    if len(given) not in (0, 2) or list(given) != sorted(given):
        raise ValueError(f"{list(given)} must be [lowest, highest], or [] for no limit")
    return given


Range = Annotated[tuple[float, ...], AfterValidator(_range)]
"""Lowest and highest value that is still within; empty = every value is."""


class Limits(Options):
    """Two ranges of one measure, both ends included. Named in part, the other range keeps its default."""

    warn: Range = ()
    """Outside it, an image gets a warning; [] = never."""
    fail: Range = ()
    """Outside it, an image fails, and is not shown to volunteers; [] = never."""

    @model_validator(mode="after")
    def _warns_before_it_fails(self) -> "Limits":
        if self.warn and self.fail and not self.fail[0] <= self.warn[0] <= self.warn[1] <= self.fail[1]:
            raise ValueError(f"warn {list(self.warn)} must lie within fail {list(self.fail)}")
        return self


class QualityOptions(Options):
    """When an image passes, warns or fails. Levels are of 255; shares are from 0 to 1."""

    black: Limits = Limits(warn=(0, 0.02), fail=(0, 0.2))
    """Share of the pixels with data that are black in every channel."""
    white: Limits = Limits(warn=(0, 0.01), fail=(0, 0.1))
    """Share of the pixels with data that are white in every channel."""
    sky_median: Limits = Limits(warn=(10, 40), fail=(4, 70))
    """Median grey level of the sky, sources and gaps aside."""
    sky_chroma: Limits = Limits(warn=(0, 4), fail=(0, 12))
    """Difference of red and blue in the mean colour of the sky, whichever is brighter."""
    fill: Limits = Limits(warn=(0.2, 0.7), fail=(0.05, 0.95))
    """Longer side of the target's segment, in units of the picture's side."""
    reach: Limits = Limits(warn=(0, 0.714), fail=(0, 1))
    """How far the target's segment reaches from the centre, 1 = an edge; training zooms in 1.4 times: to 0.714."""
    coverage: Limits = Limits(warn=(1, 1), fail=(0.7, 1))
    """Part of the picture with data."""
    centring: Limits = Limits(warn=(0, 0.025), fail=(0, 0.1))
    """Distance of the middle of the target's light from the centre, in units of the picture's side."""
    contrast: Limits = Limits(warn=(4, 255), fail=(1, 255))
    """Upper tenth of the target's grey above the upper tenth of the sky's, in units of the sky's noise. Pieces of
    empty sky reach 0.4, one in a hundred more; what a person can only just tell from noise lies at 2 to 4."""
    size_bytes: Limits = Limits(warn=(1000, 600_000), fail=(1, 1_048_576))
    """Size of the image's file; Zooniverse takes no more than 1 MiB."""
    star_colour_sd: Limits = Limits(warn=(0, 0.03), fail=(0, 0.1))
    """Scatter of log2(red / blue) between fields that show one star (survey). Noise makes 0.004, red wrong in
    one of two fields by 1.1, 1.3, 1.5 makes 0.033, 0.09, 0.14; one of two bands of blue 0.011, 0.03, 0.045."""
    same_galaxy: Limits = Limits(warn=(0, 4), fail=(0, 7))
    """Difference of the channels over one galaxy between its images from two fields: the median of the field where it
    is largest, levels (survey). A band that one field has wrong by 1.2 warns, by 1.5 it fails (`rgb_difference`)."""
    fill_share: Limits = Limits(warn=(0.95, 1), fail=(0.8, 1))
    """Share of the images whose fill is within its range of warning (survey)."""
    control_stars: int = Field(default=8, ge=0, le=200)
    """Most stars of a field that are cut for the survey's checks; volunteers never see them."""
    control_pairs: int = Field(default=12, ge=0, le=500)
    """Most galaxies of other fields that are cut out of a field again, to be compared."""

    @model_validator(mode="before")
    @classmethod
    def _keep_the_other_range(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: _over_default(cls.model_fields.get(name), value) for name, value in given.items()}


def _over_default(field: Any, value: Any) -> Any:
    default = getattr(field, "default", None)
    if not isinstance(default, Limits) or not isinstance(value, dict):
        return value
    # what a validator hands on is Python's, where a strict tuple takes no list
    given = {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
    return {**default.model_dump(), **given}
