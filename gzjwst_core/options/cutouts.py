"""Cutouts: field of view and contents."""

from typing import Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import BandOrNone, Options, Positive

__all__ = ["CutoutOptions"]


class CutoutOptions(Options):
    """Field of view and contents of a cutout."""

    reference: BandOrNone = ""
    """Band of the PRIMARY pixels; empty = the field's first detection band."""
    fov_rule: Literal["bbox", "kron"] = "bbox"
    """Size from the diagonal of the segment's bounding box, or from the Kron ellipse (3 x its long axis)."""
    fov_factor: Positive = 1.5
    """Field of view in units of what the rule measures."""
    fov_min_arcsec: Positive = 1.9
    """Smallest field of view, arcsec."""
    fov_max_arcsec: Positive = 12.0
    """Largest field of view, arcsec."""
    fov_steps: int = Field(default=8, ge=0, le=64)
    """Sizes are rounded up to this many steps between the limits, evenly in their logarithm; 0 = not rounded."""
    planes: tuple[Literal["ERR", "WHT"], ...] = ()
    """Further planes a band's cutout carries."""
    chunk_size: int = Field(default=1000, ge=1, le=5000)
    """Largest mean number of cutouts of one chunk (one task)."""

    @model_validator(mode="after")
    def _limits_in_order(self) -> "CutoutOptions":
        if self.fov_max_arcsec < self.fov_min_arcsec:
            raise ValueError("fov_max_arcsec must not be below fov_min_arcsec")
        return self
