"""The sections of a profile: how a survey is processed, never data.

Every section is strict and frozen; every field says its unit and meaning. Stages digest just the section they read, so
that changing a colour does not redo a catalog. Reading TOML and merging overrides is in `profile`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gzjwst_core.bands import known_band
from gzjwst_core.models import digest_of

__all__ = [
    "ArchiveOptions",
    "Band",
    "Cut",
    "CutoutOptions",
    "DetectOptions",
    "ImageOptions",
    "LocalMosaics",
    "MergeOptions",
    "MosaicOptions",
    "Options",
    "PhotometryOptions",
    "ProductRule",
    "PublishOptions",
    "QueryOptions",
    "SelectOptions",
    "SurveyOptions",
]


def _known_band_or_none(name: str) -> str:
    return known_band(name) if name else name


def _slug(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ValueError(f"{name!r} must be 1-40 of a-z, 0-9 and '-', and start with a letter or digit")
    return name


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


def _link(template: str) -> str:
    try:
        template.format(ra=0.0, dec=0.0, id_str="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"{template!r}: {error} (allowed: {{ra}}, {{dec}}, {{id_str}})") from error
    return template


Band = Annotated[str, AfterValidator(known_band)]
Regex = Annotated[str, AfterValidator(_regex)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """Base of the sections: strict, frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def digest(self) -> str:
        """Digest of every value in this section."""
        return digest_of(self.model_dump(mode="json"))


class SurveyOptions(Options):
    """What the survey is."""

    name: Annotated[str, AfterValidator(_slug)]
    """Name of the output folder and first part of every id_str."""
    title: str = ""
    """For the report."""
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    """Bands wanted, in order of wavelength."""
    cite: tuple[str, ...] = ()
    """What to cite, one reference a line."""

    @field_validator("bands")
    @classmethod
    def _once(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(bands)) != len(bands):
            raise ValueError("each band may be named once")
        return bands


class ProductRule(Options):
    """One rule on one column of MAST's product list."""

    column: str
    """Column as MAST names it: `productFilename`, `obs_id`, `dataRights`, ..."""
    matches: Regex
    """Regular expression that must match the whole value (masked values count as empty text)."""
    reason: str
    """Why a row is dropped by this rule; lands in products.parquet."""


class QueryOptions(Options):
    """Which products are the survey's mosaics: rules as data."""

    observations: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    """Sets of criteria of MAST's observation search; the union of the sets is taken. `*` is a wildcard."""
    keep: tuple[ProductRule, ...] = ()
    """A row is kept only if every one of these matches; else it is dropped with the first failing rule's reason."""
    drop: tuple[ProductRule, ...] = ()
    """A row that any of these matches is dropped with that rule's reason."""
    prefer: tuple[str, ...] = ("LE3", "HLSP")
    """Which kind is taken where two kinds hold the same band of the same field."""
    field_pattern: Regex = ""
    """For team products with names of their own: regular expression on obs_id with groups `field` and `band`."""
    same_field_overlap: Share = 0.6
    """Footprints that share at least this part of the smaller one are one field."""
    expected_mosaics: int | None = Field(default=None, ge=0)
    """Mosaics the survey should have; another number is reported and the run ends as done in part."""
    expected_missing: tuple[str, ...] = ()
    """obs_ids known to be in no archive: missing them is no failure."""
    observations_per_request: int = Field(default=100, ge=1, le=500)
    """Observations whose products are asked for in one request."""


class ArchiveOptions(Options):
    """Where mosaics may be, and in what order to ask."""

    order: Annotated[tuple[str, ...], Field(min_length=1)] = ("datalabs", "s3", "mast")
    """Archives to ask, in this order: `datalabs`, `s3`, `mast`, `directory`, or one of your own (ARCHITECTURE.md)."""
    datalabs_root: str = "/data/user/jwst_jwst01_data/jwst-artifacts-repository"
    """Mounted volume with one folder `jwPPPPP` a programme; never written to."""
    s3_bucket: str = "stpubdata"
    """Public bucket that mirrors MAST."""
    s3_region: str = "us-east-1"
    """Its region."""
    s3_endpoint: str = ""
    """Its server's address; empty = Amazon's, or what `AWS_ENDPOINT_URL_S3` says."""
    s3_hlsp: tuple[str, ...] = ("jades",)
    """Teams whose products (HLSP) have their path of MAST in the bucket; for others MAST's look-up is asked."""
    directory_url: str = ""
    """For `directory`: address of a mosaic on a plain web server, such as `https://host/mosaics/{filename}`."""
    connect_timeout_s: Positive = 10.0
    """Seconds to wait for a connection."""
    read_timeout_s: Positive = 60.0
    """Seconds to wait for the next bytes."""
    slowest_kb_s: Annotated[float, Field(ge=0)] = 10.0
    """A transfer that is slower than this over `read_timeout_s` is broken off and tried again."""
    transfers: int = Field(default=4, ge=1, le=32)
    """Transfers at once, over all runs of this machine that share a cache."""
    windows: bool = True
    """Where a run needs only cutouts (`--catalog`), read just the rows around its targets, from archives that allow."""


class LocalMosaics(Options):
    """Mosaics given as a path or glob: no archive is asked."""

    path: str
    """Path or glob; relative to the profile's folder; `{cache}` stands for the mosaic cache's folder."""
    pattern: Regex = ""
    """Regular expression on the file's name with groups `field` and `band`; empty = the archive's own naming rules."""
    field: str = ""
    """Field, where the name does not tell."""
    band: Annotated[str, AfterValidator(_known_band_or_none)] = ""
    """Band, where the name does not tell."""
    err: str = ""
    """A separate noise map beside a single mosaic; relative to the profile's folder."""
    unit: Literal["", "MJy/sr", "uJy", "nJy", "10nJy", "Jy"] = ""
    """Unit of the pixels where BUNIT does not say."""
    pixel_scale_arcsec: Positive | None = None
    """Pixel scale of a file without WCS (the three go together; north up, east left is assumed)."""
    centre_ra_deg: Annotated[float, Field(ge=0, lt=360)] | None = None
    centre_dec_deg: Annotated[float, Field(ge=-90, le=90)] | None = None

    @model_validator(mode="after")
    def _whole_geometry(self) -> "LocalMosaics":
        stated = [v is not None for v in (self.pixel_scale_arcsec, self.centre_ra_deg, self.centre_dec_deg)]
        if any(stated) and not all(stated):
            raise ValueError("pixel_scale_arcsec, centre_ra_deg and centre_dec_deg go together")
        return self


class MosaicOptions(Options):
    """How a mosaic file is read."""

    sci_planes: tuple[str, ...] = ("SCI_BKSUB", "SCI")
    """Names of the science plane, the first that is there is read."""
    unit: Literal["", "MJy/sr", "uJy", "nJy", "10nJy", "Jy"] = ""
    """Unit of the pixels where BUNIT does not say; a unit that is neither stated nor known is refused."""
    min_valid_fraction: Share = 0.01
    """A mosaic with a smaller share of valid pixels is skipped."""


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
    combine: Literal["ivw", "single"] = "ivw"
    """Inverse-variance stack of the detection bands, or the first of them alone."""
    noise: Literal["map", "scalar"] = "map"
    """Threshold against the calibrated error map, or against one rms for the whole mosaic (the reference)."""
    threshold: Positive = 3.8
    """Times the filtered detection image's noise on empty sky (`noise = "map"`), or a pixel's rms (`scalar`)."""
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


class CutoutOptions(Options):
    """Field of view and contents of a cutout."""

    reference: Annotated[str, AfterValidator(_known_band_or_none)] = ""
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
    link: Annotated[str, AfterValidator(_link)] = (
        "https://aladin.cds.unistra.fr/AladinLite/?target={ra:.6f}%20{dec:+.6f}&fov=0.02"
    )
    """Sky viewer on a subject's Talk page."""
    test_share: Share = 0.2
    """Part of the sky cells whose galaxies are Zoobot's test set."""
    split_cell_arcmin: Positive = 1.0
    """Side of a sky cell; all galaxies of a cell are on one side of the split."""
    contact_sheet: int = Field(default=48, ge=0, le=400)
    """Images on each contact sheet of the report."""
