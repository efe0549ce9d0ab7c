"""Cutouts, colour images and hand-overs."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import Band, BandOrNone, Link, Options, Positive, Share

__all__ = ["CutoutOptions", "ImageOptions", "PublishOptions"]


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


class ImageOptions(Options):
    """The colour recipe, fixed for the whole survey. Fluxes in it are surface brightness in uJy/arcsec2."""

    recipe: Literal["asinh", "lupton"] = "asinh"
    """Per-channel asinh, or Lupton et al. (2004), both with the survey's own sigma and gain."""
    red: Mapping[Band, Positive] = {"F444W": 1.0}
    """Bands of the red channel and their weights; those a field has are averaged."""
    green: Mapping[Band, Positive] = {"F277W": 1.0}
    """Bands of the green channel."""
    blue: Mapping[Band, Positive] = {"F150W": 1.0, "F115W": 1.0}
    """Bands of the blue channel."""
    low_sigma: float = -3.0
    """Black, in units of the reference sigma below the local sky."""
    knee_sigma: Positive = 5.0
    """Where asinh turns from linear to logarithmic."""
    high_sigma: Positive = 200.0
    """White."""
    lupton_q: Positive = 8.0
    """Softening of the `lupton` recipe."""
    gap_level: int = Field(default=24, ge=0, le=255)
    """Grey of pixels without data."""
    size_px: int = Field(default=424, ge=32, le=2048)
    """Side of an image, pixels."""
    format: Literal["jpg", "png"] = "jpg"
    """File format of the images."""
    jpeg_quality: int = Field(default=92, ge=50, le=100)
    """Quality of a JPEG, 4:4:4."""
    sigma: Mapping[Band, Positive] = {}
    """Pinned sky sigma of a band, uJy/arcsec2 in a pixel; bands not named are proposed from the median mosaic."""
    gain: Mapping[Band, Positive] = {}
    """Pinned gain of a band; bands not named are proposed so that the survey's median galaxy is neutral."""

    @model_validator(mode="after")
    def _white_above_black(self) -> "ImageOptions":
        if self.high_sigma <= self.low_sigma:
            raise ValueError("high_sigma must be above low_sigma")
        return self


class PublishOptions(Options):
    """Hand-overs."""

    manifest_rows: int = Field(default=1000, ge=1, le=10000)
    """Subjects in one Zooniverse manifest."""
    link: Link = "https://aladin.cds.unistra.fr/AladinLite/?target={ra:.6f}%20{dec:+.6f}&fov=0.02"
    """Sky viewer on a subject's Talk page."""
    test_share: Share = 0.2
    """Part of the sky cells whose galaxies are Zoobot's test set."""
    split_cell_arcmin: Positive = 1.0
    """Side of a sky cell; all galaxies of a cell are on one side of the split."""
    contact_sheet: int = Field(default=48, ge=0, le=400)
    """Images on each contact sheet of the report."""
