"""Reading mosaics, detecting, measuring, merging, selecting. Lengths in arcsec: they mean the same on every grid."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gzjwst_core.options.base import Band, Bands, Options, Positive, Regex, Share
from gzjwst_core.values import digest_of

__all__ = [
    "AstrometryOptions",
    "CompletenessOptions",
    "Cut",
    "DetectOptions",
    "MergeOptions",
    "MosaicOptions",
    "PhotometryOptions",
    "PsfOptions",
    "SelectOptions",
]


class MosaicOptions(Options):
    """How a mosaic file is read."""

    sci_planes: Annotated[tuple[str, ...], Field(max_length=20)] = ("SCI_BKSUB", "SCI")
    """Names of the science plane, the first that is there is read."""
    unit: Literal["", "MJy/sr", "mJy", "uJy", "nJy", "10nJy", "Jy"] = ""
    """Unit of the pixels where there is no BUNIT, or one that is no flux (electrons/s, DN, counts: told); any other
    BUNIT counts, and one that is not known is refused. `local[].unit` wins over every BUNIT."""
    pixel_area: Literal["", "header", "wcs"] = ""
    """Whose area of a pixel turns MJy/sr into uJy: PIXAR_SR of the header, or the WCS in the middle of the grid; empty:
    PIXAR_SR, refused where it is more than 3 % off. Without PIXAR_SR the WCS counts."""
    min_valid_fraction: Share = 0.01
    """A mosaic with a smaller share of valid pixels is skipped."""
    persistence: Annotated[tuple[Regex, ...], Field(max_length=1000)] = ()
    """Mosaics known for persistence, whose sources get a flag: regular expressions that fit the whole obs_id."""

    def pixels_digest(self) -> str:
        """Digest of what changes pixels: flags do not."""
        return digest_of(self.model_dump(mode="json", exclude={"persistence"}))


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
    bands: Bands = ("F277W", "F356W", "F444W")
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

    apertures_arcsec: Annotated[tuple[Positive, ...], Field(max_length=20)] = (0.2, 0.3, 0.5, 0.7, 1.0)
    """Diameters of the fixed apertures."""
    pixels: Literal["smooth", "flat"] = "smooth"
    """Light inside a pixel: as its neighbours tell, so that grids agree on small circles; or even, as SExtractor's."""
    kron_factor: Positive = 2.5
    """Kron ellipse in units of the Kron radius."""
    kron_min_factor: Positive = 2.4
    """Smallest Kron ellipse in units of the moments' ellipse."""
    kron_min_radius_arcsec: Positive = 0.175
    """A source whose Kron ellipse is smaller gets this circle."""
    total_growth: Positive = 2.0
    """The correction to total counts the detection image's light out to this many times the Kron ellipse."""
    isophote_mag: float = Field(default=25.0, ge=15, le=32)
    """AB mag per square arcsec down to which `isophote_diagonal` is measured, on the detection image: 1.7 sigma of a
    pixel of 0.06 arcsec where a survey reaches 28 mag (5 sigma, 0.3 arcsec). One number for all that is compared."""


class PsfOptions(Options):
    """Point-spread functions: where they come from, and whether bands are matched for colours."""

    files: Mapping[Band, str] = {}
    """FITS image of a band's PSF, turned as on the mosaic; path relative to the profile's folder."""
    pixel_scale_arcsec: Positive | None = None
    """Pixel scale of those files where the header has no PIXELSCL, PIXSCALE, CD or CDELT."""
    min_stars: int = Field(default=5, ge=1)
    """A field with at least so many good stars has its PSF from them; one with fewer gets that of a formula."""
    match: Literal["none", "reddest"] = "none"
    """`reddest`: a second flux of every band, with its PSF matched to the reddest band's (needs the extra `psf`)."""

    def digest(self) -> str:
        """Digest of what decides here; files count by their content, not by their place."""
        return digest_of(self.model_dump(mode="json", exclude={"files"}))


class MergeOptions(Options):
    """When detections of two fields are one sky object."""

    radius_arcsec: Positive = 0.2
    """Largest distance of two detections of one object, arcsec, once offsets between fields are taken off."""
    ids_from: str = ""
    """Catalog of an earlier release (id_str, ra, dec; parquet, FITS, CSV or ECSV) whose names are carried over by
    position; relative to the profile's folder. `--ids-from` wins."""

    def digest(self) -> str:
        """Digest of what decides here; the earlier release counts by its content, not by its place."""
        return digest_of(self.model_dump(mode="json", exclude={"ids_from"}))


class AstrometryOptions(Options):
    """Offsets between overlapping fields and against a reference: always measured, taken off if asked."""

    reference: str = ""
    """Reference catalog (parquet, FITS, CSV or ECSV with right ascension and declination; a magnitude if you like) that
    fields are compared with; relative to the profile's folder. Positions must be of the survey's epoch."""
    radius_arcsec: float = Field(default=1.0, gt=0, le=10)
    """The largest offset that is looked for."""
    min_pairs: int = Field(default=10, ge=3)
    """Fewer sources in common do not make an offset."""
    remove: bool = False
    """Take the offsets off: the catalog's positions and the cutouts' WCS are corrected. Without it they are only used
    to tell which detections of two fields are one object."""

    def digest(self) -> str:
        """Digest of what decides here; the reference counts by its content, not by its place."""
        return digest_of(self.model_dump(mode="json", exclude={"reference"}))


class Cut(Options):
    """One selection cut: a row passes if every condition that is given holds; NaN never passes."""

    column: str
    """Column of the survey catalog."""
    minimum: float | None = None
    """Lowest value that passes."""
    maximum: float | None = None
    """Highest value that passes."""
    equals: bool | int | str | None = None
    """The one value that passes."""
    none_of_bits: int | None = Field(default=None, ge=0)
    """Sum of bits, none of which may be set: `none_of_bits = 68` keeps rows without bits 4 and 64 of flags."""
    why: str = ""
    """For the cut flow."""

    @model_validator(mode="after")
    def _says_something(self) -> "Cut":
        if all(v is None for v in (self.minimum, self.maximum, self.equals, self.none_of_bits)):
            raise ValueError("a cut needs minimum, maximum, equals or none_of_bits")
        return self


class SelectOptions(Options):
    """Which sources of the survey catalog become cutouts; every cut and its count land in run.json."""

    cuts: Annotated[tuple[Cut, ...], Field(max_length=100)] = (
        Cut(column="is_primary", equals=True, why="one row a sky object"),
        Cut(column="is_star", equals=False, why="no stars"),
        Cut(column="mag_ref", maximum=25.0, why="bright enough to see structure"),
        Cut(column="r50", minimum=0.1, why="resolved"),
        Cut(column="flags", none_of_bits=24, why="no saturated or empty core, no halo or spike of a bright star"),
        Cut(column="valid_frac_min", minimum=0.9, why="not cut by an edge or gap in any band"),
    )
    """Cuts, in order; a profile that names any names all: the defaults then fall away."""


_FULLEST = 0.25
"""Of random places, density times distance squared cannot pass 0.70 (the jamming limit of discs, 0.547 x 4 / pi);
towards it ever more tries are in vain."""


class CompletenessOptions(Options):
    """Galaxies put into copies of the mosaics and looked for again by the very same code: what the catalog misses."""

    sources: int = Field(default=1000, ge=0, le=1_000_000)
    """Galaxies injected into each field, over all batches; 0 = completeness and purity are not measured."""
    density: Positive = 40.0
    """Injected at once, per square arcmin: few beside a deep field's own sources, so that noise and crowding stay."""
    batches: int = Field(default=25, ge=1)
    """A field is catalogued anew at most so often: one too small for all of `sources` at this density gets fewer."""
    apart_arcsec: float = Field(default=2.0, ge=0)
    """Least distance between two that are injected at once; from real sources no distance is kept."""
    mag_range: tuple[float, float] = (22.0, 29.0)
    """Total AB magnitudes in the field's reference band, drawn evenly over this range."""
    mag_step: Positive = 0.5
    """Width of a magnitude bin."""
    r50_range: tuple[Positive, Positive] = (0.05, 1.0)
    """Half-light radii along the major axis before the PSF, arcsec, drawn evenly in the logarithm."""
    r50_bins: int = Field(default=4, ge=1, le=50)
    """Bins of equal width in the logarithm of the radius."""
    match_arcsec: Positive = 0.2
    """A detection this close, or within half of r50 if that is more, is the injected galaxy's."""
    limit_r50: Positive = 0.2
    """Half-light radius for which mag_50, mag_80 and mag_90 are given, arcsec; within r50_range."""
    seed: int = Field(default=1, ge=0)
    """Another number draws other galaxies; the field's name and the batch count too."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> "CompletenessOptions":
        for name, (low, high) in (("mag_range", self.mag_range), ("r50_range", self.r50_range)):
            if not low < high:
                raise ValueError(f"{name}: {low} must be below {high}")
        if not self.r50_range[0] <= self.limit_r50 <= self.r50_range[1]:
            raise ValueError(f"limit_r50 {self.limit_r50} must lie within r50_range")
        return self

    def digest_of_injection(self) -> str:
        """Digest of what decides what is injected and found, and not of how it is counted."""
        counting = {"mag_step", "r50_bins", "limit_r50"}
        return digest_of(self.model_dump(mode="json", exclude=counting))

    @model_validator(mode="after")
    def _so_many_fit(self) -> "CompletenessOptions":
        if self.density * (self.apart_arcsec / 60) ** 2 > _FULLEST:
            most = _FULLEST / (self.apart_arcsec / 60) ** 2
            raise ValueError(
                f"density {self.density:g}: at most {most:g} find places {self.apart_arcsec:g} arcsec apart"
            )
        return self
