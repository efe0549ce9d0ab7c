"""Tables that others made: targets (`--catalog`) and catalogs to compare with. Which of their columns mean what."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from gzjwst_core.options.base import Band, Options, Positive, Slug, checked_template
from gzjwst_core.values import digest_of

__all__ = ["CompareOptions", "TableOptions", "TargetOptions"]

# ASTRODEEP-JWST (Merlin et al. 2024): ID, RA, DEC and f_<band> in uJy are used so by readers of the public files.
# COSMOS2025 (Shuntov et al. 2025), COSMOSWeb_mastercatalog_v1: names from schemas of the file; that Kron axes are in
# arcsec follows from the code that made them; how its theta is counted could not be verified, so no angle is read.
# JADES DR5, extension KRON: names and units from the file's own header; the zero of THETA_KRON is not verified.
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "auto": {},
    "astrodeep": {"id": "ID", "ra": "RA", "dec": "DEC", "flux": "f_{band}", "flux_unit": "uJy"},
    "cosmos-web": {
        "hdu": "1",
        "id": "id",
        "ra": "ra",
        "dec": "dec",
        "a": "kron1_a",
        "b": "kron1_b",
        "magnitude": "mag_auto_{band}",
    },
    "jades": {
        "hdu": "KRON",
        "id": "ID",
        "ra": "RA",
        "dec": "DEC",
        "a": "A_KRON",
        "b": "B_KRON",
        "flux": "{BAND}_KRON",
        "flux_unit": "nJy",
    },
}


def _of_band(template: str) -> str:
    return checked_template(template, band="", BAND="")


BandColumn = Annotated[str, AfterValidator(_of_band)]


class TableOptions(Options):
    """Columns of somebody's table, by name in any case; empty = the format's, then the usual names."""

    format: Literal["auto", "astrodeep", "cosmos-web", "jades"] = "auto"
    """Named set of defaults for the keys below; a key that is given wins over its format."""
    hdu: str = ""
    """Extension of a FITS file or table of a VOTable, by name or number; empty = the first table."""
    id: str = ""
    """Identifier, unique in the table. It is text: leading zeros and every digit count."""
    ra: str = ""
    """Right ascension, ICRS; degrees unless the column states another unit, or is sexagesimal: then hours."""
    dec: str = ""
    """Declination, likewise."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_format(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("format", "auto")
        preset = _FORMATS.get(name, {}) if isinstance(name, str) else {}
        return {**{key: value for key, value in preset.items() if key in cls.model_fields}, **given}


class TargetOptions(TableOptions):
    """How a table of targets (`--catalog`) is read. Shapes and sizes are optional; what is missing is measured."""

    fov: str = ""
    """Field of view of the cutout."""
    r50: str = ""
    """Half-light radius; 12 of them are the field of view where none is stated."""
    a: str = ""
    """Semi-major axis of the ellipse to measure in; without `b`, or without `theta`, a circle of its area."""
    b: str = ""
    """Semi-minor axis."""
    theta: str = ""
    """Angle of the major axis; degrees unless the column states another unit."""
    theta_from: Literal["north", "x"] = "north"
    """Zero of `theta`: north, towards east; or +x of an image with north up, towards north (THETA_IMAGE)."""
    axes: Literal["aperture", "rms"] = "aperture"
    """`a` and `b` are those of an aperture (a Kron ellipse), or second moments, whose Kron radius is then found."""
    size_unit: Literal["arcsec", "arcmin", "deg", "pixel"] = "arcsec"
    """Unit of `fov`, `r50`, `a` and `b` where the column states none, in its header or its name."""
    pixel_scale_arcsec: Annotated[float, Field(ge=0)] = 0.0
    """Side of a pixel, for sizes in pixels; 0 = not known: such sizes are refused."""

    @model_validator(mode="after")
    def _knows_its_pixels(self) -> "TargetOptions":
        if self.size_unit == "pixel" and not self.pixel_scale_arcsec:
            raise ValueError("size_unit pixel needs pixel_scale_arcsec")
        return self


class CompareOptions(TableOptions):
    """A catalog to compare ours with: `[[compare]]`."""

    name: Slug
    """Names its files and rows."""
    path: str
    """File, or a pattern such as `astrodeep/*_optap.fits`; relative paths start at the profile's folder."""
    band: Band = "F444W"
    """Band whose total magnitudes are compared."""
    magnitude: BandColumn = ""
    """Column with AB magnitudes; `{band}` and `{BAND}` stand for the band in small and in capital letters."""
    flux: BandColumn = ""
    """Column with fluxes, where there are no magnitudes."""
    flux_unit: Literal["uJy", "nJy", "10nJy", "mJy", "Jy"] = "uJy"
    """Unit of `flux` where the column states none."""
    radius_arcsec: Positive = 0.3
    """Largest distance of a match, once the systematic offset is taken off."""
    offset_radius_arcsec: Positive = 1.0
    """How far the systematic offset is looked for."""

    @model_validator(mode="after")
    def _reaches_out(self) -> "CompareOptions":
        if self.offset_radius_arcsec < self.radius_arcsec:
            raise ValueError("offset_radius_arcsec must not be below radius_arcsec")
        return self

    def of_band(self, column: str) -> str:
        """Return the name of a column of the band."""
        return column.format(band=self.band.lower(), BAND=self.band)

    def digest(self) -> str:
        """Digest of what decides here; the files count by their content, not by their place."""
        return digest_of(self.model_dump(mode="json", exclude={"path"}))
