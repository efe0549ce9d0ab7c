"""Cutouts: field of view and contents."""

from typing import Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import BandOrNone, Options, Positive

__all__ = ["CutoutOptions"]


class CutoutOptions(Options):
    """Field of view and contents of a cutout."""

    reference: BandOrNone = ""
    """Band of the PRIMARY pixels; empty = the field's first detection band."""
    fov_rule: Literal["isophote", "bbox", "kron", "r50", "fixed"] = "isophote"
    """What a field of view follows: the diagonal of the box above `photometry.isophote_mag`, the same at any depth (the
    segment's where a source is fainter), but never so little that the whole segment, which grows with depth, is not
    seen (`fov_fill_max`, `fov_zoom`); the diagonal of the segment's box; the Kron ellipse's long axis;
    8 half-light radii; or nothing (`fov_fixed_arcsec`)."""
    fov_factor: Positive = 1.5
    """Field of view in units of what the rule measures."""
    fov_fill_max: float = Field(default=0.65, gt=0, le=1)
    """With `isophote`: the longest side of the whole segment takes at most this part of the frame."""
    fov_zoom: float = Field(default=1.4, ge=1, le=4)
    """With `isophote`: the whole segment stays in view when an image is enlarged so much about its centre, as Zoobot
    does; a galaxy that is too large for `fov_max_arcsec` may be cut."""
    fov_fixed_arcsec: Positive = 6.0
    """With `fixed`: the field of view of every source, arcsec, within the limits; not rounded."""
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
        if self.fov_rule == "fixed" and not self.fov_min_arcsec <= self.fov_fixed_arcsec <= self.fov_max_arcsec:
            raise ValueError("fov_fixed_arcsec must lie within fov_min_arcsec and fov_max_arcsec")
        return self
