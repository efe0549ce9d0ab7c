"""What the survey is, which products are its mosaics, where they are asked for."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from gzjwst_core.instruments import INSTRUMENTS, known_instrument
from gzjwst_core.options.base import BandOrNone, Bands, Options, Positive, Regex, Share, Slug

__all__ = ["ArchiveOptions", "LocalMosaics", "ProductRule", "QueryOptions", "SurveyOptions"]


class SurveyOptions(Options):
    """What the survey is."""

    name: Slug
    """Name of the output folder and first part of every id_str."""
    title: str = ""
    """For the report."""
    bands: Annotated[Bands, Field(min_length=1)]
    """Bands wanted, in order of wavelength."""
    instrument: Annotated[str, AfterValidator(known_instrument)] = "NIRCAM"
    """Instrument of the mosaics, `NIRCAM` or `NIRISS`: some of their filters have the same names. Products of another
    one are dropped."""
    cite: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    """What to cite, one reference a line."""

    @field_validator("bands")
    @classmethod
    def _once(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(bands)) != len(bands):
            raise ValueError("each band may be named once")
        return bands

    @model_validator(mode="after")
    def _bands_are_the_instruments(self) -> "SurveyOptions":
        of = INSTRUMENTS[self.instrument]
        strange = next((band for band in self.bands if band not in of), None)
        if strange is not None:
            raise ValueError(f"{self.instrument} has no {strange} (it has {', '.join(of)})")
        return self


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
    keep: Annotated[tuple[ProductRule, ...], Field(max_length=200)] = ()
    """A row is kept only if every one of these matches; else it is dropped with the first failing rule's reason."""
    drop: Annotated[tuple[ProductRule, ...], Field(max_length=200)] = ()
    """A row that any of these matches is dropped with that rule's reason."""
    prefer: Annotated[tuple[str, ...], Field(max_length=20)] = ("LE3", "HLSP")
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

    order: Annotated[tuple[str, ...], Field(min_length=1, max_length=20)] = ("datalabs", "s3", "mast")
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
    """Path or glob; relative to the profile's folder; `{cache}` stands for the mosaic cache's folder, `~`, `$NAME` and
    `${NAME}` for the home folder and variables. A file that is there is taken whatever characters its name holds."""
    pattern: Regex = ""
    """Regular expression on the file's name with groups `field` and `band`; empty = the archive's own naming rules."""
    field: str = ""
    """Field, where the name does not tell."""
    band: BandOrNone = ""
    """Band, where the name does not tell."""
    err: str = ""
    """A separate noise map (1 sigma) beside a single mosaic, `.gz` and `.fz` too; relative to the profile's
    folder. Of several planes the one named `ERR`, `RMS`, `SIGMA`, `NOISE` or such is read; its BUNIT counts, the
    mosaic's where it has none."""
    unit: Literal["", "MJy/sr", "mJy", "uJy", "nJy", "10nJy", "Jy"] = ""
    """Unit of the pixels of these files; it wins over BUNIT (told where they differ)."""
    pixel_scale_arcsec: Positive | None = None
    """Pixel scale of a file without WCS (the three go together; north up, east left is assumed). A file that has one
    must agree with them."""
    centre_ra_deg: Annotated[float, Field(ge=0, lt=360)] | None = None
    """Right ascension of the middle of the array, ICRS."""
    centre_dec_deg: Annotated[float, Field(ge=-90, le=90)] | None = None
    """Its declination."""

    @model_validator(mode="after")
    def _whole_geometry(self) -> "LocalMosaics":
        stated = [v is not None for v in (self.pixel_scale_arcsec, self.centre_ra_deg, self.centre_dec_deg)]
        if any(stated) and not all(stated):
            raise ValueError("pixel_scale_arcsec, centre_ra_deg and centre_dec_deg go together")
        return self
