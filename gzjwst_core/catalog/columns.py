"""The columns of our catalogs, in one place: name, dtype, unit, UCD, meaning, source of the definition.

Code, parquet metadata, FITS headers, docs/columns.md and tests read this table; a column that is not here is not
written. Band columns are templates: `{band}_flux_tot` stands for `F277W_flux_tot`. A meaning is ASCII of at most 68
characters, one card of a FITS header. The sources are spelled out in `definitions`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gzjwst_core.catalog.definitions import SOURCE_OF
from gzjwst_core.options import PhotometryOptions, PsfOptions
from gzjwst_core.storage.tables import Column

__all__ = [
    "APERTURE_COLUMNS",
    "BAND_COLUMNS",
    "MATCHED_COLUMNS",
    "SOURCE_COLUMNS",
    "SURVEY_COLUMNS",
    "aperture_name",
    "catalog_columns",
    "columns_for",
    "naive_name",
]


def _c(name: str, dtype: str, unit: str, ucd: str, meaning: str) -> Column:
    return Column(name, dtype, unit, ucd, meaning, SOURCE_OF.get(name, ""))


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
    _c("isophote_diagonal", "float32", "arcsec", "phys.angSize", "diagonal of the box above photometry.isophote_mag"),
    _c("segment_reach", "float32", "arcsec", "pos.angDistance", "from ra, dec to the farthest end of the segment"),
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
    _c("total_factor_err", "float32", "", "stat.error;arith.factor", "1 sigma; the same factor serves every band"),
    _c("mag_ref", "float32", "mag", "phot.mag", "total AB magnitude in the reference band, NaN if flux <= 0"),
    _c(
        "star_score",
        "float32",
        "",
        "src.class.starGalaxy",
        "1 = as compact as a point source of its flux, 0 = extended",
    ),
    _c("is_star", "bool", "", "src.class.starGalaxy", "taken for a star by size and shape; S/N above 20"),
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
    _c("which_catalogue", "str", "", "meta.id;meta.file", "file of the table of targets"),
    _c("ext_fov", "float32", "arcsec", "instr.fov", "field of view of a target: stated, or 12 r50; NaN = by rule"),
)

BAND_COLUMNS = (
    _c("{band}_flux_auto", "float32", "uJy", "phot.flux", "inside the Kron ellipse"),
    _c(
        "{band}_fluxerr_auto",
        "float32",
        "uJy",
        "stat.error;phot.flux",
        "1 sigma: noise as correlated as it is, and neighbours' wings",
    ),
    _c("{band}_fluxerr_auto_naive", "float32", "uJy", "stat.error;phot.flux", "root of the summed variances"),
    _c("{band}_flux_tot", "float32", "uJy", "phot.flux", "flux_auto x total_factor"),
    _c("{band}_fluxerr_tot", "float32", "uJy", "stat.error;phot.flux", "1 sigma, total_factor's own included"),
    _c("{band}_mag_tot", "float32", "mag", "phot.mag", "AB, NaN if flux <= 0"),
    _c("{band}_mag_tot_err", "float32", "mag", "stat.error;phot.mag", "1 sigma, total_factor's own included"),
    _c("{band}_flux_iso", "float32", "uJy", "phot.flux", "inside the segment"),
    _c(
        "{band}_sb_wings",
        "float32",
        "uJy/arcsec2",
        "phot.flux.sb",
        "estimated light of neighbours' wings; in the errors",
    ),
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

APERTURE_COLUMNS = (
    _c("{band}_flux_aper{aper}", "float32", "uJy", "phot.flux", "circle of {diameter} arcsec diameter"),
    _c(
        "{band}_fluxerr_aper{aper}",
        "float32",
        "uJy",
        "stat.error;phot.flux",
        "1 sigma, circle of {diameter} arcsec diameter",
    ),
    _c(
        "{band}_fluxerr_aper{aper}_naive",
        "float32",
        "uJy",
        "stat.error;phot.flux",
        "root of summed variances, {diameter} arcsec circle",
    ),
)
"""Of every aperture in every band; `{aper}` is its diameter in hundredths of an arcsec."""


MATCHED_COLUMNS = (
    _c("{band}_flux_matched", "float32", "uJy", "phot.flux", "inside the Kron ellipse, PSF of the reddest band"),
    _c("{band}_fluxerr_matched", "float32", "uJy", "stat.error;phot.flux", "1 sigma: noise and wings, as auto"),
)
"""Columns of a survey whose bands are matched (`psf.match`)."""


def aperture_name(band: str, diameter_arcsec: float, *, error: bool = False) -> str:
    """Name of an aperture flux column, such as `F277W_flux_aper030` for a diameter of 0.30 arcsec."""
    return f"{band}_flux{'err' if error else ''}_aper{round(diameter_arcsec * 100):03d}"


def naive_name(error: str) -> str:
    """Name of the column that keeps an error as uncorrelated noise would have it."""
    return f"{error}_naive"


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
        columns += [_filled(column, band=band) for column in templates]
        for diameter in apertures_arcsec:
            size = {"aper": f"{round(diameter * 100):03d}", "diameter": f"{diameter:g}"}
            columns += [_filled(column, band=band, **size) for column in APERTURE_COLUMNS]
    return tuple(columns)


def _filled(template: Column, **given: str) -> Column:
    meaning = f"{template.meaning.format(**given)}, {given['band']}"
    return replace(template, name=template.name.format(**given), meaning=meaning)
