"""The celestial WCS of an image: read from a header, checked, and written so that the same sky comes out again.

Inside the project a WCS is always one of right ascension and declination in ICRS; what comes in FK5 J2000 is turned.
A header that states more than is read here (another system, another projection, a distortion in other HDUs) is refused
by the name of its card. Nothing here opens a file.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from astropy import units
from astropy.coordinates import FK5, ICRS, CartesianRepresentation
from astropy.io import fits
from astropy.wcs import WCS, NoConvergence
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.mosaics.geometry import pixel_scale_arcsec, sky_axes, sky_jacobian

__all__ = ["celestial_wcs", "check_reach", "wcs_rows"]

Row: TypeAlias = tuple[str, str | int | float, str]
Values: TypeAlias = Mapping[str, str | int | float]

_KEPT = re.compile(
    r"((CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA)[12]|(PC|CD)[12]_[1-9]|PV[12]_[0-9]{1,2}|LONPOLE|LATPOLE|RADESYS|EQUINOX"
    r"|(A|B|AP|BP)_(ORDER|[0-9]_[0-9]))\Z"
)
_OLD_MATRIX = re.compile(r"(PC|CD)00([12])00([1-9])\Z")
_OLD_PROJECTION = re.compile(r"PROJP([0-9]{1,2})\Z")
_TEXTS = {"CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "RADESYS"}
_NEEDED = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
_AXIS = re.compile(r"(RA--|DEC-)-([A-Z]{3})(-SIP)?")
_PROJECTIONS = ("TAN", "SIN", "STG", "ARC", "ZEA", "TPV")
_TABLES = re.compile(r"(CPDIS|CQDIS|D2IMDIS)[1-9]\Z|D2IMARR\Z|AXISCORR\Z|WCSDVARR\Z")
_SIP_ORDERS = range(2, 10)
_MOST_RA_DEG = 720.0
_WIDEST_SCALE_ARCSEC = 10.0
_NARROWEST_SCALE_ARCSEC = 5e-3  # kernels, apertures and cutouts have lengths in arcsec: pixels go with its square
_MOST_RETURN_ERROR_PX = 0.1
_MOST_AREA_CHANGE = 0.02
_MOST_STRETCH = 2.0


def celestial_wcs(header: fits.Header, where: str) -> WCS:
    """Build the 2-D celestial WCS of an image header, checked, in ICRS and without side effects.

    Only the keywords of the image plane are handed to wcslib: dates and observer positions, which it would "fix" with
    a warning, are of no use here.

    Parameters
    ----------
    header
        Header of the image plane. PCi_j, CDi_j, their old spellings PC00i00j and CD00i00j, CROTA2, RADECSYS, EPOCH and
        PROJPn are read, CUNITi in any spelling of an angle, SIP and TPV distortions, and TPV under the name TAN, as
        SCAMP wrote it before 2012.
    where
        File and plane, for the error message.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_wcs`: absent, not of right ascension and declination (ICRS or FK5 J2000) in that order, of
        another projection than TAN, SIN, STG, ARC, ZEA and TPV, with a distortion that is not read, not finite,
        singular, or of an absurd scale.
    """
    cards = _cards(header, where)
    if missing := [key for key in _NEEDED if key not in cards]:
        raise MosaicLayoutError(f"{where} has no WCS: {', '.join(missing)} missing", reason="bad_wcs")
    faults = [*_axis_faults(cards), *_matrix_faults(cards), *_distortion_faults(cards, header), *_frame_faults(cards)]
    if faults:
        raise MosaicLayoutError(f"{where}: the WCS cannot be used: {'; '.join(faults)}", reason="bad_wcs")
    try:
        with np.errstate(all="ignore"):
            wcs = WCS(fits.Header(cards), naxis=2, fix=False)
            scale = pixel_scale_arcsec(wcs)
            corner = np.asarray(wcs.all_pix2world([[0.0, 0.0], [10.0, 10.0]], 0))
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        said = str(error).strip().rpartition("\n")[2]  # wcslib says first where in its own source
        raise MosaicLayoutError(f"{where}: the WCS cannot be used: {said}", reason="bad_wcs") from error
    good = wcs.has_celestial and np.isfinite(corner).all() and np.isfinite(scale)
    if not (good and _NARROWEST_SCALE_ARCSEC < scale < _WIDEST_SCALE_ARCSEC):
        said = f"its pixels are {scale:g} arcsec (CDi_j, or CDELTi and PCi_j); "
        said += f"{_NARROWEST_SCALE_ARCSEC:g} to {_WIDEST_SCALE_ARCSEC:g} are allowed"
        raise MosaicLayoutError(f"{where}: the WCS is singular or absurd: {said}", reason="bad_wcs")
    return _in_icrs(wcs) if _frame(cards) == "FK5" else wcs


def check_reach(wcs: WCS, shape: tuple[int, int], where: str) -> None:
    """Make sure that a WCS serves the whole of its array, and that one pixel scale says how large its pixels are.

    Parameters
    ----------
    wcs
        From `celestial_wcs`.
    shape
        Rows and columns.
    where
        File and plane, for the error message.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_wcs`: at a corner or the centre a pixel is not found back from the sky, differs by more than
        2 % in area from the one at the reference point, or is more than twice as long as wide. Lengths of profile and
        catalog are turned into pixels by one scale for the whole grid.
    """
    y, x = (v.ravel() for v in np.meshgrid(*([0.0, side / 2, float(side)] for side in shape), indexing="ij"))
    here = np.column_stack([x, y])
    try:
        with np.errstate(all="ignore"):
            there = np.asarray(wcs.all_pix2world(here, 0))
            back = np.asarray(wcs.all_world2pix(there, 0))
    except (NoConvergence, ValueError) as error:
        raise MosaicLayoutError(f"{where}: the WCS fails on its own pixels", reason="bad_wcs") from error
    if not (np.isfinite(there).all() and np.abs(back - here).max() < _MOST_RETURN_ERROR_PX):  # NaN is no, too
        raise MosaicLayoutError(f"{where}: the WCS fails on its own pixels", reason="bad_wcs")
    scale = pixel_scale_arcsec(wcs)
    circle = np.ones(x.size)
    long, short, _ = sky_axes(sky_jacobian(wcs, x, y), circle, circle, 0 * circle)
    stretch, area = float((long / short).max()), long * short / scale**2
    if not (stretch < _MOST_STRETCH and np.abs(area - 1).max() < _MOST_AREA_CHANGE):
        said = f"pixels are up to {stretch:.3f} times as long as wide, of {area.min():.3f} to {area.max():.3f} times "
        said += f"({scale:.4g} arcsec)^2; at most {_MOST_STRETCH:g} and 1 +- {_MOST_AREA_CHANGE:g} are allowed"
        raise MosaicLayoutError(f"{where}: the pixels of the WCS differ too much: {said}", reason="bad_wcs")


def wcs_rows(wcs: WCS) -> list[Row]:
    """Cards of a celestial WCS: keyword, value, comment.

    Parameters
    ----------
    wcs
        From `celestial_wcs` or `stated_wcs`, or one of those with another CRVAL, CRPIX or matrix.

    Notes
    -----
    The numbers are written in full, not to the 12 digits of `to_header`; the linear part as CDi_j. SIP terms count from
    CRPIX, so that a window shifts CRPIX alone.
    """
    axes = (1, 2)
    ending = "-SIP" if wcs.sip is not None else ""
    matrix, w = wcs.pixel_scale_matrix, wcs.wcs
    said = wcs.to_header(relax=True)  # wcslib hands TPV and its terms out there alone
    rows: list[Row] = [("WCSAXES", 2, "number of axes")]
    rows += [(f"CTYPE{i}", said[f"CTYPE{i}"].removesuffix("-SIP") + ending, "axis and projection") for i in axes]
    rows += [(f"CUNIT{i}", "deg", "unit of CRVAL and CD") for i in axes]
    rows += [(f"CRPIX{i}", float(w.crpix[i - 1]), "reference pixel, 1-based") for i in axes]
    rows += [(f"CRVAL{i}", float(w.crval[i - 1]), "[deg] at the reference pixel") for i in axes]
    rows += [(f"CD{i}_{j}", float(matrix[i - 1, j - 1]), "[deg] for each pixel") for i in axes for j in axes]
    rows += [("LONPOLE", float(w.lonpole), "[deg] native longitude of the pole")]
    rows += [("LATPOLE", float(w.latpole), "[deg] native latitude of the pole"), ("RADESYS", "ICRS", "")]
    rows += [(card.keyword, card.value, card.comment) for card in said.cards if card.keyword.startswith("PV")]
    return rows + list(_sip_rows(wcs))


def _sip_rows(wcs: WCS) -> Iterator[Row]:
    for name in ("a", "b", "ap", "bp") if wcs.sip is not None else ():
        terms = getattr(wcs.sip, name)
        if terms is None:
            continue
        yield f"{name.upper()}_ORDER", terms.shape[0] - 1, "SIP order"
        for p, q in np.argwhere(terms).tolist():
            yield f"{name.upper()}_{p}_{q}", float(terms[p, q]), "SIP term"


def _cards(header: fits.Header, where: str) -> dict[str, str | int | float]:
    """Return the values that make the WCS, in today's spelling."""
    found: dict[str, str | int | float] = {}
    for card in header.cards:
        if _KEPT.match(card.keyword):
            found.setdefault(card.keyword, card.value)
    for card in header.cards:
        if old := _OLD_MATRIX.match(card.keyword):
            found.setdefault(f"{old[1]}{old[2]}_{old[3]}", card.value)
        elif (old := _OLD_PROJECTION.match(card.keyword)) and card.value:
            found.setdefault(f"PV2_{int(old[1])}", card.value)
    if "RADECSYS" in header:
        found.setdefault("RADESYS", header["RADECSYS"])
    if "EPOCH" in header and "RADESYS" not in found:
        found.setdefault("EQUINOX", header["EPOCH"])
    for key, value in found.items():
        good = isinstance(value, str) if key in _TEXTS else type(value) in {int, float} and math.isfinite(float(value))
        if not good:
            wanted = "text" if key in _TEXTS else "a number"
            said = f"{key} is {value!r}, {wanted} is needed"
            raise MosaicLayoutError(f"{where}: the WCS cannot be used: {said}", reason="bad_wcs")
    return _spelled(found)


def _spelled(found: dict[str, str | int | float]) -> dict[str, str | int | float]:
    """Spell axes and units as wcslib wants them."""
    for key in ("CTYPE1", "CTYPE2"):
        if key in found:
            found[key] = str(found[key]).strip()
    for key in ("CUNIT1", "CUNIT2"):
        if key in found:
            found[key] = _angle(str(found[key])) or found[key]
    further = [key for key in found if key.startswith("PV") and int(key[4:]) > 4]
    if further and "A_ORDER" not in found and "B_ORDER" not in found:  # SCAMP before 2012; astropy reads it alike
        for key in ("CTYPE1", "CTYPE2"):
            if found.get(key) in {"RA---TAN", "DEC--TAN"}:
                found[key] = str(found[key]).replace("TAN", "TPV")
    if not str(found.get("CTYPE1", "")).endswith("TPV"):
        return {key: value for key, value in found.items() if value or not key.startswith("PV2_")}
    return found


def _angle(text: str) -> str:
    """Return wcslib's name of a unit of angle; empty where it is none."""
    word = text.strip().lower()
    for spelled in (word or "deg", word.removesuffix("s")):
        try:
            unit = units.Unit(spelled)
            return str(unit.to_string("fits")) if unit.is_equivalent(units.deg) else ""
        except (ValueError, TypeError):
            continue
    return ""


def _axis_faults(cards: Values) -> Iterator[str]:
    axes = [_AXIS.fullmatch(str(cards[key])) for key in ("CTYPE1", "CTYPE2")]
    written = f"CTYPE1, CTYPE2 = {cards['CTYPE1']!r}, {cards['CTYPE2']!r}"
    if [axis[1] for axis in axes if axis] != ["RA--", "DEC-"]:
        yield f"{written}: right ascension and declination are needed, as RA---TAN and DEC--TAN"
    elif len({axis[2] for axis in axes if axis}) > 1 or any(axis[2] not in _PROJECTIONS for axis in axes if axis):
        yield f"{written}: the projection must be one of {', '.join(_PROJECTIONS)}, the same for both"
    for i, most_deg in ((1, _MOST_RA_DEG), (2, 90.0)):
        unit, value = _angle(str(cards.get(f"CUNIT{i}", ""))), cards[f"CRVAL{i}"]
        if not unit:
            said = "write deg (arcmin, arcsec, mas and rad are read too)"
            yield f"CUNIT{i} = {cards[f'CUNIT{i}']!r} is no angle: {said}"
        elif abs(float(value)) * units.Unit(unit).to(units.deg) > most_deg + 1e-9:
            yield f"CRVAL{i} = {value} {unit}: -{most_deg:g} to {most_deg:g} deg is allowed"


def _matrix_faults(cards: Values) -> Iterator[str]:
    for key, value in cards.items():
        if re.match(r"(PC|CD)[12]_[3-9]", key) and value:
            yield f"{key} = {value} mixes a third axis into the image's"
    has = {kind: any(key.startswith((f"{kind}1_", f"{kind}2_")) for key in cards) for kind in ("PC", "CD")}
    if has["PC"] and has["CD"]:
        yield "PCi_j and CDi_j are both there: one of them is allowed"
    turn, other = cards.get("CROTA2", 0), cards.get("CROTA1", 0)
    if not has["CD"] and (turn or other) and (has["PC"] or other not in {0, turn}):
        yield f"CROTA1 = {other}, CROTA2 = {turn}: CROTA2 alone is read, and no PCi_j beside it"


def _distortion_faults(cards: Values, header: fits.Header) -> Iterator[str]:
    if tables := [key for key in header if _TABLES.match(key)]:
        yield f"{', '.join(tables)}: a distortion by tables in other HDUs is not read (SIP and TPV are)"
    sip = [key for key in cards if key in {"A_ORDER", "B_ORDER"}]
    marked = [str(cards[key]).endswith("-SIP") for key in ("CTYPE1", "CTYPE2")]
    if any(marked) != all(marked) or len(sip) != 2 * any(marked):
        yield "SIP terms and CTYPE do not agree: A_ORDER and B_ORDER go with -SIP at the end of CTYPE1 and CTYPE2"
    for key in (*sip, *(key for key in ("AP_ORDER", "BP_ORDER") if key in cards and cards[key] not in {0, 1})):
        if cards[key] not in _SIP_ORDERS:
            yield f"{key} = {cards[key]}: a SIP order is 2 to 9"
    projection = str(cards["CTYPE1"])[5:8]
    if projection == "TPV" and sip:
        yield "TPV and SIP (A_ORDER) are both there: one of them is allowed"
    if projection == "TPV" and (absent := [key for key in ("PV1_1", "PV2_1") if key not in cards]):
        yield f"{', '.join(absent)} missing with TPV: state the linear terms, 1 where there is no other"
    steps = [cards.get(key, 1.0) for key in ("CDELT1", "CDELT2")]
    if projection == "TPV" and steps != [1.0, 1.0] and not any(key.startswith("CD1_") for key in cards):
        yield f"CDELT1, CDELT2 = {steps} with TPV, which wcslib applies before them: state the matrix as CDi_j"
    most = {"TPV": (39, 39), "SIN": (4, 2)}.get(projection, (4, -1))
    over = [key for key in cards if key.startswith("PV") and int(key[4:]) > most[int(key[2]) - 1]]
    if over:
        yield f"{', '.join(over)} mean nothing in {projection}: distortions of SCAMP go with RA---TPV and DEC--TPV"


def _frame(cards: Values) -> str:
    """Return the system of the coordinates, by the rules of FITS where RADESYS is not there."""
    stated = str(cards.get("RADESYS", "")).strip().upper()
    if stated or "EQUINOX" not in cards:
        return stated or "ICRS"
    return "FK4" if float(cards["EQUINOX"]) < 1984.0 else "FK5"


def _frame_faults(cards: Values) -> Iterator[str]:
    frame, equinox = _frame(cards), cards.get("EQUINOX", 2000.0)
    if frame not in {"ICRS", "FK5"} or abs(float(equinox) - 2000.0) > 1e-6:
        said = cards.get("RADESYS", "not there")
        yield f"RADESYS is {said}, EQUINOX (or EPOCH) {equinox}: ICRS and FK5 of equinox 2000 are allowed"
    if (
        frame == "FK5"
        and not str(cards["CTYPE1"]).endswith("TPV")
        and any(key in cards for key in ("PV1_0", "PV1_1", "PV1_2"))
    ):
        yield "RADESYS is FK5 and PV1_0, PV1_1 or PV1_2 is there: state the WCS in ICRS"


def _in_icrs(wcs: WCS) -> WCS:
    """Turn a grid's sky from FK5 J2000 to ICRS: a rotation, which CRVAL and LONPOLE take up exactly."""
    turn = FK5(CartesianRepresentation(np.eye(3))).transform_to(ICRS()).cartesian.xyz.value
    old = _directions(*wcs.wcs.crval)
    x, y, z = turn @ old[0]
    ra, dec = math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))
    _, east, north = _directions(ra, dec)
    there = turn @ old[2]
    new = wcs.deepcopy()
    new.wcs.crval = [ra, dec]
    new.wcs.lonpole = wcs.wcs.lonpole + math.degrees(math.atan2(there @ east, there @ north))
    new.wcs.radesys, new.wcs.equinox = "ICRS", math.nan
    new.wcs.set()
    return new


def _directions(ra_deg: float, dec_deg: float) -> NDArray[np.float64]:
    """Return unit vectors to a place on the sky, and from there to the east and north: (3, 3)."""
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    away = [math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)]
    north = [-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)]
    return np.array([away, [-math.sin(ra), math.cos(ra), 0.0], north])
