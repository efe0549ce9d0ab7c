"""The columns of our catalogs, in one place: name, unit, UCD, meaning.

Code, parquet metadata, documentation and tests read this table; a column that is not here is not written. Band columns
are templates: `{band}_flux_tot` stands for `F277W_flux_tot`.
"""

from collections.abc import Iterable, Sequence
from enum import IntFlag

from gzjwst_core.options import PhotometryOptions, PsfOptions
from gzjwst_core.storage.tables import Column

__all__ = [
    "BAND_COLUMNS",
    "MATCHED_COLUMNS",
    "SOURCE_COLUMNS",
    "SURVEY_COLUMNS",
    "Flag",
    "aperture_name",
    "catalog_columns",
    "columns_for",
]


class Flag(IntFlag):
    """Bits of `flags` (uint32): what a reader should know before trusting a row."""

    EDGE = 1  # an edge or gap within the Kron ellipse
    BLENDED = 2  # SEP's deblending split it off a neighbour, or its members were merged (sep's OBJ_MERGED)
    TRUNCATED = 4  # the object touches the edge of the mosaic (sep's OBJ_TRUNC)
    SATURATED = 8  # NaN or zero weight inside the segment's own pixels' hull: a saturated or empty core
    BRIGHT_STAR = 16  # within the halo or spikes of a bright star
    FEW_BANDS = 32  # fewer than two bands cover it
    LOW_WEIGHT = 64  # weight below 0.3 of the field's median
    DUPLICATE = 256  # a secondary of its group: another field holds the primary
    KRON_CIRCLE = 512  # Kron radius failed or was too small: circular aperture
    CROWDED = 1024  # neighbours' segments cover more than 30 % of the Kron ellipse
    NO_ERROR_MAP = 2048  # errors come from the background's rms alone
    TARGET = 4096  # a target from a table without a segment of its own


def _c(name: str, dtype: str, unit: str, ucd: str, meaning: str) -> Column:
    return Column(name, dtype, unit, ucd, meaning)


SURVEY_COLUMNS = (
    _c("id_str", "str", "", "meta.id;meta.main", "survey_JHHMMSS.ss+DDMMSS.s, truncated"),
    _c("group_id", "int64", "", "meta.id.assoc", "one number for one sky object over all fields"),
    _c("is_primary", "bool", "", "meta.code", "the row of its group to use"),
)
"""Columns that merging adds in front."""

SOURCE_COLUMNS = (
    _c("field", "str", "", "meta.id;obs.field", "field it was detected in"),
    _c("source_id", "int64", "", "meta.id", "running number within the field, from 1"),
    _c("segment_id", "int32", "", "meta.id", "value of its pixels in segmaps/<field>.fits (0 = none)"),
    _c("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    _c("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    _c("x", "float64", "pix", "pos.cartesian.x;instr.det", "windowed centre, 0-based, detection grid"),
    _c("y", "float64", "pix", "pos.cartesian.y;instr.det", "windowed centre, 0-based, detection grid"),
    _c("a", "float32", "arcsec", "phys.angSize.smajAxis", "rms length along the major axis"),
    _c("b", "float32", "arcsec", "phys.angSize.sminAxis", "rms length along the minor axis"),
    _c("theta_sky", "float32", "deg", "pos.posAng", "position angle of the major axis, east of north, [0, 180)"),
    _c("theta_image", "float32", "deg", "pos.posAng;instr.det", "angle from +x to +y on the detection grid"),
    _c("ellipticity", "float32", "", "src.ellipticity", "1 - b/a"),
    _c("npix", "int32", "pix", "phys.area;instr.pixel", "pixels of the segment"),
    _c("xmin", "int32", "pix", "pos.cartesian.x;stat.min", "first column of the segment, 0-based, detection grid"),
    _c("xmax", "int32", "pix", "pos.cartesian.x;stat.max", "last column of the segment, inclusive"),
    _c("ymin", "int32", "pix", "pos.cartesian.y;stat.min", "first row of the segment, 0-based"),
    _c("ymax", "int32", "pix", "pos.cartesian.y;stat.max", "last row of the segment, inclusive"),
    _c("bbox_diagonal", "float32", "arcsec", "phys.angSize", "diagonal of the segment's bounding box"),
    _c("kron_factor", "float32", "", "stat.fit.param", "Kron ellipse in units of a and b"),
    _c("kron_a", "float32", "arcsec", "phys.angSize.smajAxis", "semi-major axis of the aperture of flux_auto"),
    _c("kron_b", "float32", "arcsec", "phys.angSize.sminAxis", "semi-minor axis of the aperture of flux_auto"),
    _c("r20", "float32", "arcsec", "phys.angSize", "radius with 20 % of flux_auto, detection image"),
    _c("r50", "float32", "arcsec", "phys.angSize", "radius with 50 % of flux_auto, detection image"),
    _c("r90", "float32", "arcsec", "phys.angSize", "radius with 90 % of flux_auto, detection image"),
    _c("concentration", "float32", "", "phys.size;arith.ratio", "5 log10(r80 / r20) of flux_auto, detection image"),
    _c("mu_max", "float32", "mag/arcsec2", "phot.mag.sb;stat.max", "brightest pixel, reference band"),
    _c("snr_det", "float32", "", "stat.snr", "signal to noise in the segment, detection image"),
    _c("total_factor", "float32", "", "arith.factor", "flux_tot / flux_auto"),
    _c("mag_ref", "float32", "mag", "phot.mag", "total AB magnitude in the reference band, NaN if flux <= 0"),
    _c(
        "star_score",
        "float32",
        "",
        "src.class.starGalaxy",
        "1 = as compact as a point source of its flux, 0 = extended",
    ),
    _c("is_star", "bool", "", "src.class.starGalaxy", "taken for a star by size and shape"),
    _c("nn_dist", "float32", "arcsec", "pos.angDistance", "nearest neighbour in the same field"),
    _c(
        "edge_dist",
        "float32",
        "arcsec",
        "pos.angDistance",
        "to the nearest pixel without data; far from it good to 1 arcsec",
    ),
    _c("valid_frac", "float32", "", "stat.value", "part of the Kron ellipse with data, detection image"),
    _c(
        "valid_frac_min",
        "float32",
        "",
        "stat.value;stat.min",
        "the least over the detection image and the bands there",
    ),
    _c("n_bands", "int16", "", "meta.number", "bands with data over at least half the Kron ellipse"),
    _c("flags", "uint32", "", "meta.code.qual", "bits of Flag"),
    _c("ext_id", "str", "", "meta.id.cross", "identifier in the table of targets, if it came from one"),
)

BAND_COLUMNS = (
    _c("{band}_flux_auto", "float32", "uJy", "phot.flux", "inside the Kron ellipse"),
    _c("{band}_fluxerr_auto", "float32", "uJy", "stat.error;phot.flux", "1 sigma, correlated noise included"),
    _c("{band}_flux_tot", "float32", "uJy", "phot.flux", "flux_auto x total_factor"),
    _c("{band}_fluxerr_tot", "float32", "uJy", "stat.error;phot.flux", "1 sigma"),
    _c("{band}_mag_tot", "float32", "mag", "phot.mag", "AB, NaN if flux <= 0"),
    _c("{band}_mag_tot_err", "float32", "mag", "stat.error;phot.mag", "1 sigma"),
    _c("{band}_flux_iso", "float32", "uJy", "phot.flux", "inside the segment"),
    _c("{band}_valid_frac", "float32", "", "stat.value", "part of the Kron ellipse with data"),
    _c("{band}_wht_med", "float32", "", "stat.weight", "median weight inside the Kron ellipse"),
    _c("{band}_r20", "float32", "arcsec", "phys.angSize", "radius with 20 % of the band's flux_auto, NaN if flux <= 0"),
    _c("{band}_r50", "float32", "arcsec", "phys.angSize", "radius with 50 % of the band's flux_auto, NaN if flux <= 0"),
    _c("{band}_r90", "float32", "arcsec", "phys.angSize", "radius with 90 % of the band's flux_auto, NaN if flux <= 0"),
    _c("{band}_mu_50", "float32", "mag/arcsec2", "phot.mag.sb;stat.mean", "mean AB brightness within the band's r50"),
    _c("{band}_concentration", "float32", "", "phys.size;arith.ratio", "5 log10(r80 / r20) of the band's flux_auto"),
    _c("{band}_ellipticity", "float32", "", "src.ellipticity", "1 - b/a of the segment's light, NaN below 10 sigma"),
    _c("{band}_theta_sky", "float32", "deg", "pos.posAng", "its major axis, east of north, [0, 180)"),
    _c("{band}_star_score", "float32", "", "src.class.starGalaxy", "as star_score, by the band's own sizes"),
)


MATCHED_COLUMNS = (
    _c("{band}_flux_matched", "float32", "uJy", "phot.flux", "inside the Kron ellipse, PSF of the reddest band"),
    _c("{band}_fluxerr_matched", "float32", "uJy", "stat.error;phot.flux", "1 sigma, from empty apertures"),
)
"""Columns of a survey whose bands are matched (`psf.match`)."""


def aperture_name(band: str, diameter_arcsec: float, *, error: bool = False) -> str:
    """Name of an aperture flux column, such as `F277W_flux_aper030` for a diameter of 0.30 arcsec."""
    return f"{band}_flux{'err' if error else ''}_aper{round(diameter_arcsec * 100):03d}"


def catalog_columns(bands: Iterable[str], photometry: PhotometryOptions, psf: PsfOptions) -> tuple[Column, ...]:
    """Every column of a field's catalog that these options make, in order."""
    return columns_for(bands, photometry.apertures_arcsec, matched=psf.match != "none")


def columns_for(
    bands: Iterable[str], apertures_arcsec: Sequence[float], *, matched: bool = False
) -> tuple[Column, ...]:
    """Every column of a field's catalog, in order.

    Parameters
    ----------
    bands
        Bands of the survey, in order.
    apertures_arcsec
        Diameters of the fixed apertures.
    matched
        With the fluxes of PSF-matched frames.
    """
    columns = list(SOURCE_COLUMNS)
    templates = BAND_COLUMNS + (MATCHED_COLUMNS if matched else ())
    for band in bands:
        columns += [Column(c.name.format(band=band), c.dtype, c.unit, c.ucd, f"{c.meaning}, {band}") for c in templates]
        for diameter in apertures_arcsec:
            said = f"circle of {diameter:g} arcsec diameter, {band}"
            columns.append(_c(aperture_name(band, diameter), "float32", "uJy", "phot.flux", said))
            error = aperture_name(band, diameter, error=True)
            columns.append(_c(error, "float32", "uJy", "stat.error;phot.flux", f"1 sigma, {said}"))
    return tuple(columns)
