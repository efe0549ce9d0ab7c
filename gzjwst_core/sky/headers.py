"""Header cards of the synthetic mosaics: JWST's keywords with values that follow from field and band.

The primary header's fixed part is data, `primary.hdr` beside this module (card images with the keywords and comments
of JWST's core schema); values that depend on the mosaic are set here. Dates are made up once and for all: there is
no clock.
"""

from functools import lru_cache
from importlib.resources import files

from astropy.io.fits import Header
from astropy.time import Time, TimeDelta

from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.fields import SkyField
from gzjwst_core.sky.geometry import DITHERS

__all__ = ["primary_header", "science_header"]

_FIRST_EXPOSURE = "2025-12-05T08:14:21.500"
_EXPOSURE_S = 944.836
_OVERHEAD_S = 42.946


def primary_header(field: SkyField, band: str) -> Header:
    """Make the PRIMARY header of a mosaic: 318 cards, as a level-3 i2d has them.

    Parameters
    ----------
    field
        The field.
    band
        Filter name.

    Returns
    -------
    Header
        Without SIMPLE, BITPIX and the like, which the writer adds.
    """
    header = _template().copy()
    for keyword, value in (_names(field, band) | _places(field) | _times(field, band)).items():
        if keyword not in header:
            raise KeyError(keyword)  # a typo here would otherwise append a card in the wrong place
        header[keyword] = value
    return header


def science_header(field: SkyField, band: str) -> Header:
    """Make the header of a SCI plane: photometry, times, pointing and WCS."""
    optics, geometry = BANDS[band], field.geometry(band)
    beg, end = _span(field, band)
    seconds = len(DITHERS) * _EXPOSURE_S
    header = Header()
    cards: dict[str, tuple[str | float, str]] = {
        "BUNIT": ("MJy/sr", "physical units of the array values"),
        "PHOTMJSR": (optics.photmjsr, "Flux density (MJy/steradian) producing 1 cps"),
        "PHOTUJA2": (optics.photmjsr * 23.50443, "Flux density (uJy/arcsec2) producing 1 cps"),
        "PIXAR_SR": (optics.pixel_area_sr, "Nominal pixel area in steradians"),
        "PIXAR_A2": (optics.pixel_scale_arcsec**2, "Nominal pixel area in arcsec^2"),
        "SRCTYPE": ("UNKNOWN", "Advised source type (point/extended)"),
        "MJD-BEG": (beg.mjd, "[d] exposure start time in MJD"),
        "MJD-AVG": ((beg.mjd + end.mjd) / 2, "[d] exposure mid-point in MJD"),
        "MJD-END": (end.mjd, "[d] exposure end time in MJD"),
        "XPOSURE": (seconds, "[s] Effective exposure time"),
        "TELAPSE": (seconds + len(DITHERS) * _OVERHEAD_S, "[s] Total elapsed exposure time"),
        "RA_V1": (geometry.ra_deg, "[deg] RA of telescope V1 axis"),
        "DEC_V1": (geometry.dec_deg, "[deg] Dec of telescope V1 axis"),
        "PA_V3": (geometry.focal_roll_deg % 360, "[deg] Position angle of telescope V3 axis"),
        "RA_REF": (geometry.ra_deg, "[deg] Right ascension of the reference point"),
        "DEC_REF": (geometry.dec_deg, "[deg] Declination of the reference point"),
        "ROLL_REF": (geometry.focal_roll_deg % 360, "[deg] V3 roll angle at the ref point"),
        "V2_REF": (-0.3174, "[arcsec] Telescope v2 coordinate of ref point"),
        "V3_REF": (-492.591, "[arcsec] Telescope v3 coordinate of ref point"),
        "V3I_YANG": (0.0, "[deg] Angle from V3 axis to Ideal y axis"),
        "VPARITY": (-1, "Relative sense of rotation between Ideal xy and"),
        "VELOSYS": (-4071.33, "[m/s] Barycentric correction to radial velocity"),
        "S_REGION": (geometry.s_region(), "spatial extent of the observation"),
    }
    header.update(cards)
    wcs = geometry.wcs.to_header()
    del wcs["MJDREF"]  # JWST writes none: readers meet the same date fixes as with real files
    header.update(wcs)
    return header


@lru_cache(maxsize=1)
def _template() -> Header:
    """Read the fixed cards. The blank ones keep their place: they are the headings of a real header's sections."""
    text = files("gzjwst_core.sky").joinpath("primary.hdr").read_text("ascii")
    return Header.fromstring("".join(line.ljust(80) for line in text.splitlines()))


def _names(field: SkyField, band: str) -> dict[str, str | int | float]:
    optics, programme = BANDS[band], f"{field.proposal:05d}"
    observation = f"{field.number:03d}"
    return {
        "FILENAME": field.filename(band).removesuffix(".gz"),
        "ASNPOOL": f"jw{programme}_20260120t020312_pool.csv",
        "ASNTABLE": f"jw{programme}-o{observation}_20260120t020312_image3_{field.number:05d}_asn.json",
        "OBS_ID": f"V{programme}{observation}001P0000000002101",
        "VISIT_ID": f"{programme}{observation}001",
        "PROGRAM": programme,
        "OBSERVTN": observation,
        "CHANNEL": optics.channel,
        "FILTER": band,
        "NDRIZ": len(DITHERS) * field.geometry(band).tiles,
        "PXSCLRT": optics.pixel_scale_arcsec / (0.0312 if optics.channel == "SHORT" else 0.0629),
        "BKGLEVEL": 0.08 * optics.sky_mjysr,
    }


def _places(field: SkyField) -> dict[str, float]:
    ra, dec = field.short.ra_deg, field.short.dec_deg
    at_target = dict.fromkeys(("TARG_RA", "PROP_RA", "VA_RA"), ra)
    at_target |= dict.fromkeys(("TARG_DEC", "PROP_DEC", "VA_DEC"), dec)
    return at_target | {"GS_RA": (ra + 0.06) % 360, "GS_DEC": dec + 0.04}


def _times(field: SkyField, band: str) -> dict[str, str | float]:
    beg, end = _span(field, band)
    mid_mjd = (beg.mjd + end.mjd) / 2
    times: dict[str, str | float] = {"EXPSTART": beg.mjd, "EXPMID": mid_mjd, "EXPEND": end.mjd}
    for prefix, delay_s in (("B", 311.2213), ("H", 309.0487)):
        names = (f"{prefix}STRTIME", f"{prefix}MIDTIME", f"{prefix}ENDTIME")
        times |= {name: mjd + delay_s / 86400 for name, mjd in zip(names, (beg.mjd, mid_mjd, end.mjd), strict=True)}
    day, clock = beg.isot.split("T")
    times |= {"DATE-OBS": day, "TIME-OBS": clock, "DATE-BEG": beg.isot, "DATE-END": end.isot}
    return times | dict.fromkeys(("VSTSTART", "GSSTRTTM"), beg.isot) | dict.fromkeys(("GSENDTIM", "VISITEND"), end.isot)


def _span(field: SkyField, band: str) -> tuple[Time, Time]:
    """First and last moment of a mosaic's exposures: one field every two days, one band after the other."""
    seconds = len(DITHERS) * (_EXPOSURE_S + _OVERHEAD_S)
    start = Time(_FIRST_EXPOSURE, format="isot", scale="utc")
    beg = start + TimeDelta((field.number - 1) * 2 * 86400 + field.bands.index(band) * seconds, format="sec")
    return beg, beg + TimeDelta(seconds, format="sec")
