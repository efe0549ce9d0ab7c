"""Colour images."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import Band, Bands, Options, Positive
from gzjwst_core.values import digest_of

__all__ = ["ImageOptions", "Pin"]

Pin = Literal["provisional", "unpinned", "final"]


class ImageOptions(Options):
    """The colour recipe, fixed for the whole survey. Fluxes in it are surface brightness in uJy/arcsec2."""

    recipe: Literal["asinh", "lupton", "trilogy", "lupton-matched"] = "asinh"
    """Per-channel asinh; Lupton et al. (2004), which keeps hues; Trilogy's per-channel log (Coe et al. 2012); or Lupton
    with every band convolved to the broadest PSF. All with the survey's own sigma and gain."""
    red: Mapping[Band, Positive] = {"F444W": 1.0}
    """Bands of the red channel and their weights; those a field has are averaged."""
    green: Mapping[Band, Positive] = {"F277W": 1.0}
    """Bands of the green channel."""
    blue: Mapping[Band, Positive] = {"F150W": 1.0, "F115W": 1.0}
    """Bands of the blue channel."""
    low_sigma: float = Field(default=-3.0, ge=-1e4, le=0)
    """Black, in units of the reference sigma from the local sky."""
    knee_sigma: float = Field(default=5.0, ge=0.01, le=1e4)
    """Where asinh turns from linear to logarithmic."""
    high_sigma: float = Field(default=200.0, ge=0.1, le=1e4)
    """White."""
    lupton_q: float = Field(default=6.0, ge=0.01, le=100)
    """Softening of the `lupton` recipes."""
    trilogy_noise: float = Field(default=0.15, gt=0, le=0.5)
    """Level (0 black, 1 white) of the sky's own 1 sigma in the `trilogy` recipe."""
    psf_fwhm: Mapping[Band, Positive] = {}
    """Full width at half maximum of a band's PSF before the mosaic's pixels, arcsec, for `lupton-matched`; bands not
    named have NIRCam's."""
    chroma_smooth: float = Field(default=0.05, ge=0, le=1)
    """Sigma in arcsec over which the colour, never the brightness, of faint pixels is averaged; 0 = it is not."""
    gap_level: int = Field(default=24, ge=0, le=255)
    """Grey of pixels without data."""
    size_px: int = Field(default=424, ge=32, le=2048)
    """Side of an image, pixels."""
    layout: Literal["single", "panels"] = "single"
    """One colour picture, or a grid: the colour picture and each band in grey."""
    panel_bands: Bands = ()
    """Bands of the grid, in its order; empty = every band of the cutout."""
    panel_gap_px: int = Field(default=4, ge=0, le=64)
    """Between panels, pixels of `gap_level`."""
    strip_px: int = Field(default=128, ge=0, le=512)
    """Side of each band in the small grey strip that the report shows on a click; 0 = no strips."""
    format: Literal["jpg", "png"] = "jpg"
    """File format of the images."""
    jpeg_quality: int = Field(default=92, ge=50, le=100)
    """Quality of a JPEG, 4:4:4."""
    sigma: Mapping[Band, Positive] = {}
    """Pinned sky sigma of a band, uJy/arcsec2 in a pixel; bands not named are proposed from the median mosaic."""
    gain: Mapping[Band, Positive] = {}
    """Pinned gain of a band; bands not named are proposed so that the survey's median galaxy is neutral."""
    pins: Mapping[Band, Pin] = {}
    """How long a band's sigma and gain hold; runs write it into the frozen profile. `provisional`: until a whole run
    proposes them anew, or subjects are uploaded; `unpinned`: until a whole run, whatever was uploaded; `final`, as is
    every band that is not named: for good. What a profile itself states for sigma and gain always holds."""

    def digest(self) -> str:
        """Digest of what makes an image: how long its colour holds does not."""
        return digest_of(self.model_dump(mode="json", exclude={"pins"}))

    @model_validator(mode="after")
    def _white_above_black(self) -> "ImageOptions":
        if self.high_sigma <= self.low_sigma:
            raise ValueError("high_sigma must be above low_sigma")
        return self
