"""Reading mosaics, detecting, measuring, merging, selecting. Lengths in arcsec: they mean the same on every grid."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import Band, Options, Positive, Regex, Share

__all__ = ["Cut", "DetectOptions", "MergeOptions", "MosaicOptions", "PhotometryOptions", "SelectOptions"]


class MosaicOptions(Options):
    """How a mosaic file is read."""

    sci_planes: tuple[str, ...] = ("SCI_BKSUB", "SCI")
    """Names of the science plane, the first that is there is read."""
    unit: Literal["", "MJy/sr", "uJy", "nJy", "10nJy", "Jy"] = ""
    """Unit of the pixels where BUNIT does not say; a unit that is neither stated nor known is refused."""
    min_valid_fraction: Share = 0.01
    """A mosaic with a smaller share of valid pixels is skipped."""
    persistence: tuple[Regex, ...] = ()
    """Mosaics known for persistence, whose sources get a flag: regular expressions that fit the whole obs_id."""


_RECIPES: Mapping[str, Mapping[str, Any]] = {
    "recommended": {},
    "reference": {
        "combine": "single",
        "noise": "scalar",
        "kernel": "tophat",
        "kernel_arcsec": 0.21,
        "threshold": 3.0,
        "min_area_arcsec2": 0.009,
        "deblend_contrast": 1e-4,
        "mesh_arcsec": 1.92,
    },
}


class DetectOptions(Options):
    """Background, detection image and SEP's extraction. Lengths in arcsec: they mean the same on every grid."""

    recipe: Literal["recommended", "reference"] = "recommended"
    """Named set of defaults for the keys below; a key that is given wins over its recipe."""
    bands: tuple[Band, ...] = ("F277W", "F356W", "F444W")
    """Detection bands; those the field has are used. None there: the field's reddest band is."""
    combine: Literal["ivw", "chi-mean", "single"] = "ivw"
    """Inverse-variance stack of the detection bands, their chi-mean image (segments and positions alone come from it;
    the stack is measured), or the first of them alone."""
    noise: Literal["map", "scalar"] = "map"
    """Threshold against the calibrated error map, or against one rms for the whole mosaic (the reference)."""
    threshold: Positive = 3.8
    """Times the filtered detection image's noise on empty sky (`noise = "map"`), or a pixel's rms (`scalar`). With
    `chi-mean` the level at which noise makes as many islands per area as above this on one filtered image."""
    kernel: Literal["gaussian", "tophat"] = "gaussian"
    """Shape of the detection filter."""
    kernel_arcsec: Positive = 0.05
    """Sigma of the Gaussian, or radius of the tophat."""
    min_area_arcsec2: Positive = 0.0144
    """Least area of a source above the threshold, square arcsec."""
    mesh_arcsec: Positive = 3.84
    """Side of a background mesh."""
    deblend_levels: int = Field(default=32, ge=1, le=64)
    """Levels between threshold and peak at which a source may part."""
    deblend_contrast: Share = 0.001
    """Least share of the light that makes a part a source of its own."""
    clean: float = Field(default=1.0, ge=0)
    """SEP's clean parameter; 0 = no cleaning."""
    passes: Literal["single", "hot+cold"] = "single"
    """One extraction, or a cold one for bright extended galaxies before it: a hot object on a cold one is dropped."""
    cold_threshold: Positive = 20.0
    """Cold pass: times the noise of the stack filtered with its kernel."""
    cold_kernel_arcsec: Positive = 0.15
    """Cold pass: sigma of the Gaussian, or radius of the tophat."""
    cold_min_area_arcsec2: Positive = 0.5
    """Cold pass: least area of a source, square arcsec."""
    cold_deblend_contrast: Share = 0.005
    """Cold pass: least share of the light that makes a part a source of its own."""
    cold_margin_arcsec: float = Field(default=0.2, ge=0, le=2)
    """A hot object whose peak is on a cold one's pixels, or within this of them, is a piece of it."""
    tile_px: int = Field(default=1024, ge=128, le=8192)
    """Side of a tile's own area, detection pixels."""
    halo_px: int = Field(default=128, ge=16, le=1024)
    """Margin read around a tile."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_recipe(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("recipe", "recommended")
        recipe = _RECIPES.get(name, {}) if isinstance(name, str) else {}
        # behind this validator pydantic no longer knows that the data were JSON, whose arrays are tuples to us
        return {**recipe, **{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}}

    @model_validator(mode="after")
    def _chi_needs_the_map(self) -> "DetectOptions":
        if self.combine == "chi-mean" and self.noise == "scalar":
            raise ValueError('combine = "chi-mean" adds signal to noise: it needs noise = "map"')
        return self

    @property
    def cold(self) -> "DetectOptions":
        """These options with the cold pass's threshold, kernel, area and contrast as the only ones."""
        names = ("threshold", "kernel_arcsec", "min_area_arcsec2", "deblend_contrast")
        return self.model_copy(update={name: getattr(self, f"cold_{name}") for name in names})


class PhotometryOptions(Options):
    """What is measured in every band."""

    apertures_arcsec: tuple[Positive, ...] = (0.2, 0.3, 0.5, 0.7, 1.0)
    """Diameters of the fixed apertures."""
    kron_factor: Positive = 2.5
    """Kron ellipse in units of the Kron radius."""
    kron_min_factor: Positive = 2.4
    """Smallest Kron ellipse in units of the moments' ellipse."""
    kron_min_radius_arcsec: Positive = 0.175
    """A source whose Kron ellipse is smaller gets this circle."""
    total_growth: Positive = 2.0
    """The correction to total counts the detection image's light out to this many times the Kron ellipse."""


class MergeOptions(Options):
    """When detections of two fields are one sky object."""

    radius_arcsec: Positive = 0.2
    """Largest distance of two detections of one object, arcsec."""


class Cut(Options):
    """One selection cut: a row passes if every condition that is given holds; NaN never passes."""

    column: str
    minimum: float | None = None
    maximum: float | None = None
    equals: bool | int | str | None = None
    none_of_bits: int | None = Field(default=None, ge=0)
    why: str = ""
    """For the cut flow."""

    @model_validator(mode="after")
    def _says_something(self) -> "Cut":
        if all(v is None for v in (self.minimum, self.maximum, self.equals, self.none_of_bits)):
            raise ValueError("a cut needs minimum, maximum, equals or none_of_bits")
        return self


class SelectOptions(Options):
    """Which sources of the survey catalog become cutouts; every cut and its count land in run.json."""

    cuts: tuple[Cut, ...] = (
        Cut(column="is_primary", equals=True, why="one row a sky object"),
        Cut(column="is_star", equals=False, why="no stars"),
        Cut(column="mag_ref", maximum=25.0, why="bright enough to see structure"),
        Cut(column="r50", minimum=0.1, why="resolved"),
        Cut(column="flags", none_of_bits=24, why="no saturated or empty core, no halo or spike of a bright star"),
        Cut(column="valid_frac_min", minimum=0.9, why="not cut by an edge or gap in any band"),
    )
    """Cuts, in order; a profile that names any names all: the defaults then fall away."""
