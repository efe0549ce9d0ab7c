"""The two fields of the synthetic survey: what they are called, where they point, which archive holds what.

Field 1 is a level-3 product of one JWST observation, field 2 a high-level science product of a team (HLSP) that
overlaps it to the south. Names, URIs and paths are made here; pixels are not.
"""

from dataclasses import dataclass
from typing import Literal

from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.geometry import EXTENT, FieldGeometry, tangent_wcs
from gzjwst_core.sky.options import SkyOptions

__all__ = ["ArchiveName", "Collection", "SkyField", "sky_fields"]

ArchiveName = Literal["datalabs", "s3", "mast"]
Collection = Literal["JWST", "HLSP"]

_FOCAL_TURN_DEG = 2.5
"""Angle from field 1's pixel grid to the focal plane: the footprint stands a little askew in the array."""


@dataclass(frozen=True)
class SkyField:
    """One field: a pointing with all its bands.

    Attributes
    ----------
    key
        Name of the field within the survey: ``"o001_t001"`` (observation and target) or ``"south"``.
    number
        1 for the first field; part of its random seeds.
    collection
        ``"JWST"`` for level-3 products, ``"HLSP"`` for a team's.
    proposal
        Programme number.
    bands
        Bands held, in order.
    short, long
        Grids of the two channels.
    """

    key: str
    number: int
    collection: Collection
    proposal: int
    bands: tuple[str, ...]
    short: FieldGeometry
    long: FieldGeometry

    def geometry(self, band: str) -> FieldGeometry:
        """Return the pixel grid of a band."""
        return self.short if BANDS[band].channel == "SHORT" else self.long

    def obs_id(self, band: str) -> str:
        """Return the observation's name at MAST, e.g. ``jw09801-o001_t001_nircam_clear-f115w``."""
        if self.collection == "JWST":
            return f"jw{self.proposal:05d}-{self.key}_nircam_clear-{band.lower()}"
        return f"hlsp_demo_jwst_nircam_{self.key}_{band.lower()}_v1.0"

    def filename(self, band: str) -> str:
        """Return the product's file name at MAST."""
        return self.obs_id(band) + ("_i2d.fits" if self.collection == "JWST" else "_i2d.fits.gz")

    def uri(self, band: str) -> str:
        """Return the product's URI at MAST."""
        return f"mast:{'JWST/product' if self.collection == 'JWST' else 'HLSP/demo'}/{self.filename(band)}"

    def archive(self, band: str) -> ArchiveName:
        """Name the cheapest archive that holds this band: field 1's bands take turns, field 2 is at MAST alone."""
        if self.collection == "HLSP":
            return "mast"
        return "datalabs" if self.bands.index(band) % 2 == 0 else "s3"

    def path(self, band: str) -> str:
        """Return where that archive keeps the file, relative to the sky's folder."""
        programme, observation = f"jw{self.proposal:05d}", self.key.split("_", maxsplit=1)[0]
        folder = {
            "datalabs": f"datalabs/{programme}",
            "s3": f"bucket/stpubdata/jwst/public/{programme}/L3/t/{observation}",
            "mast": "mast",
        }[self.archive(band)]
        packed = ".gz" if self.archive(band) == "datalabs" else ""
        return f"{folder}/{self.filename(band)}{packed}"


def sky_fields(options: SkyOptions) -> tuple[SkyField, SkyField]:
    """Lay out both fields.

    Parameters
    ----------
    options
        The sky.

    Returns
    -------
    tuple of SkyField
        Field 1 around the options' centre; field 2 below it in the focal plane, so that their footprints share
        `overlap_fraction` of their area, on a grid turned by 6 deg.
    """
    focal_deg = options.roll_deg + _FOCAL_TURN_DEG
    step_arcsec = EXTENT * options.size_arcsec * (1 - options.overlap_fraction)
    frame = tangent_wcs(options.centre_ra_deg, options.centre_dec_deg, focal_deg, 1.0)
    south_ra, south_dec = (float(value) for value in frame.all_pix2world(0.0, -step_arcsec, 0))
    first = _channels(options, options.centre_ra_deg, options.centre_dec_deg, options.roll_deg)
    second = _channels(options, south_ra, south_dec, options.roll_deg + 6.0)
    return (
        SkyField("o001_t001", 1, "JWST", options.proposal, options.bands, *first),
        SkyField("south", 2, "HLSP", options.proposal, options.bands, *second),
    )


def _channels(
    options: SkyOptions, ra_deg: float, dec_deg: float, roll_deg: float
) -> tuple[FieldGeometry, FieldGeometry]:
    """Return the short- and long-wave grid of one pointing; their pixels do not line up."""
    focal_deg = options.roll_deg + _FOCAL_TURN_DEG
    place = (ra_deg, dec_deg, options.size_arcsec, roll_deg)
    short = FieldGeometry(*place, 0.03, (0.12, -0.31), focal_deg, columns=2, rows=2)
    long = FieldGeometry(*place, 0.06, (0.37, 0.21), focal_deg, columns=2, rows=1)
    return short, long
