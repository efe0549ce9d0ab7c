"""What the report is made of: plain values that whoever ran the survey fills in.

Every field may stay at its default: the report then leaves its section out. Nothing here is computed or drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.runs.record import Missing, RunRecord

__all__ = ["DepthMap", "FailedImage", "FileNote", "Galaxies", "MosaicCell", "ReportFacts", "Residuals"]


@dataclass(frozen=True, slots=True)
class MosaicCell:
    """One mosaic of the matrix fields x bands."""

    field: str
    band: str
    outcome: Literal["located", "expected", "missing", "failed"] = "located"
    """`expected`: missing, and the profile said so; `failed`: located, but it could not be fetched or read."""
    archive: str = ""
    """`datalabs`, `s3`, `mast`, `local`; empty = none."""
    size: int = 0
    """Bytes."""
    obs_id: str = ""
    reason: str = ""
    """Stable code of the error tree, where it is not there."""
    detail: str = ""
    """One sentence: what each archive answered."""


@dataclass(frozen=True, slots=True)
class Galaxies:
    """The galaxies that the report lists."""

    rows: Table
    """Of `galaxies.listed`: one row an image, in random order."""
    total: int
    """Images that there are: more than rows where only a part is listed."""
    measures: tuple[str, ...] = ()
    """Columns of `rows` that measure images."""
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Good ranges of measures, where the survey's checks have them."""
    bands: tuple[str, ...] = ()
    link: str = ""
    """The sky viewer's address with `{ra}`, `{dec}`, `{id_str}`."""
    sheet: int = 48
    """Images on a contact sheet, and on a page of the grid."""
    small: Mapping[str, str] = field(default_factory=dict)
    """By id_str, `sheets.thumbnail`: the small copies that the page holds (of `explorer.embedded_names`)."""


@dataclass(frozen=True, slots=True)
class FileNote:
    """One output and what it is for."""

    path: str
    """Relative to report.html; a trailing `/` for a folder."""
    what: str
    count: int | None = None
    """Files in a folder, rows of a table."""
    size: int | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    """One image that failed a check."""

    id_str: str
    href: str
    """Its path relative to report.html; empty = not known."""
    reasons: str


@dataclass(frozen=True, slots=True)
class DepthMap:
    """Depth over one field."""

    field: str
    values: NDArray[np.float32]
    """(ny, nx) AB mag of 5 sigma in an aperture of 0.3 arcsec diameter; NaN = no data."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far the two rows of one sky object lie apart."""

    name: str
    """The two fields."""
    dra: NDArray[np.float64]
    """(n,) first minus second in right ascension times cos dec, mas."""
    ddec: NDArray[np.float64]
    """(n,) in declination, mas."""


@dataclass(frozen=True)
class ReportFacts:
    """Everything the report shows."""

    record: RunRecord
    """This run: outcome, what was asked, sums, missing, cut flow, stages, versions."""
    title: str = ""
    """The survey's name for people; empty = its short name."""
    bands: tuple[str, ...] = ()
    """Bands of the survey, in order of wavelength: columns of the matrix, curves of the counts."""
    mosaics: tuple[MosaicCell, ...] = ()
    catalog: Table | None = None
    """The survey catalog; read are is_primary, is_star, flags, field, ra, dec, mag_ref, r50 and `<band>_mag_tot`."""
    selected: NDArray[np.bool_] | None = None
    """(n,) rows of the catalog that became cutouts."""
    area_arcmin2: float | None = None
    """Sky that was searched, overlaps counted once: number counts are then given per area."""
    depth: Table | None = None
    """catalog/mosaics.parquet: one row a mosaic; every column is shown, with its unit."""
    depth_maps: tuple[DepthMap, ...] = ()
    """Depth of the detection image over each field."""
    completeness: Table | None = None
    """catalog/completeness.parquet: what came back of the galaxies that were put in, by field, magnitude and size."""
    purity: Table | None = None
    """catalog/purity.parquet: what the negative image says, by field and magnitude."""
    limits: Table | None = None
    """catalog/fields.parquet: magnitudes of 50, 80 and 90 % completeness of each field."""
    overlap: Table | None = None
    """catalog/overlap.parquet: how many sources of one field another finds again, by magnitude."""
    catalog_completeness: NDArray[np.float64] | None = None
    """(n,) completeness at each catalog row's own magnitude, size and field; NaN = not known."""
    residuals: tuple[Residuals, ...] = ()
    """Offsets of duplicates between each two fields."""
    astrometry: Table | None = None
    """catalog/astrometry.parquet; every column is shown, with its unit."""
    crossmatch: Table | None = None
    """catalog/crossmatch.parquet: comparisons with catalogs of others."""
    image_measures: Table | None = None
    """One row an image; the distribution of every numeric column is shown, with its unit and description."""
    image_checks: Table | None = None
    """images/checks.parquet: one row a check; what is read of it says `shown.check_rows`."""
    failed_images: tuple[FailedImage, ...] = ()
    """Images that failed a check."""
    galaxies: Galaxies | None = None
    """What can be looked through."""
    unread: tuple[Missing, ...] = ()
    """Images of which no small copy could be made; the record is to tell of them too."""
    files: tuple[FileNote, ...] = ()
    cite: tuple[str, ...] = ()
    """What to cite, one reference an entry; an address that starts with https:// becomes a link."""
    earlier: tuple[RunRecord, ...] = ()
    """Runs before this one, oldest first."""
    made_from: str = ""
    """What the page was made from, for `report.told_of` to read back; empty = it is to be made anew."""
