"""Columns of others as numbers in our units: a stated unit is converted or refused, a missing one is told.

Columns in, arrays out. Which column means what is `outside`; positions such as `10:00:24.5` are `sexagesimal`.
"""

import logging
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from gzjwst_core.catalog.sexagesimal import read_sexagesimal
from gzjwst_core.errors import CatalogError

__all__ = ["ANGLE", "FLUX", "MAGNITUDE", "RIGHT_ASCENSION", "SIZE", "Quantity", "tell", "texts_of", "values_of"]

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)

_NO_VALUE = frozenset(("", "nan", "-", "--", "null", "none", "n/a", "<na>", "masked"))
_NO_UNIT = frozenset(("", "-", "--", "---", "none", "null"))
_UNIT_IN_NAME = re.compile(r".*\S\s*(?:\[(?P<stated>[^][]*)\]|\((?P<perhaps>[^()]*)\))")
_RADII = ("rad", "rads", "amin")
"""End names of sizes that are in another unit: `kron_rad`."""
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d+$)")

_HOUR = u.Unit(15 * u.deg)
_DAY_H = 24.0
_H_M_S, _D_M_S = ("h:m:s", "hms", "hh:mm:ss"), ("d:m:s", "dms", "dd:mm:ss")
_ANGLES: Mapping[str, u.UnitBase] = {
    **dict.fromkeys(("deg", "degs", "deg.", "degree", "degrees", "°", *_D_M_S), u.deg),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), u.rad),
    **dict.fromkeys(("arcmin", "arcmins", "arcminute", "arcminutes", "amin", "'", "\u2032"), u.arcmin),
    **dict.fromkeys(("arcsec", "arcsecs", "arcsecond", "arcseconds", "asec", '"', "\u2033", "''"), u.arcsec),
    **dict.fromkeys(("mas", "milliarcsec", "milliarcsecond", "milliarcseconds"), u.mas),
    **dict.fromkeys(("uas", "microarcsec", "microarcsecond", "microarcseconds"), u.uas),
    "hourangle": _HOUR,
}
_HOURS = dict.fromkeys(("h", "hr", "hrs", "hour", "hours", *_H_M_S), _HOUR)
_PIXELS = dict.fromkeys(("pixel", "pixels", "pix", "px"), u.pix)
_FLUXES: Mapping[str, u.UnitBase] = {  # mJy is astropy's alone: its case tells mega from milli
    **dict.fromkeys(("jy", "jansky", "janskys"), u.Jy),
    **dict.fromkeys(("millijy", "millijansky", "millijanskys"), u.mJy),
    **dict.fromkeys(("ujy", "microjy", "microjansky", "microjanskys"), u.uJy),
    **dict.fromkeys(("njy", "nanojy", "nanojansky", "nanojanskys"), u.nJy),
    **dict.fromkeys(("10njy", "10*njy", "10 njy"), u.Unit(10 * u.nJy)),
    **dict.fromkeys(("nmgy", "nanomaggy", "nanomaggies"), u.Unit(3.631 * u.uJy)),
}
_MAGNITUDES = dict.fromkeys(
    ("mag", "mags", "magnitude", "magnitudes", "ab", "abmag", "mag(ab)", "mag (ab)", "mag_ab", "ab mag", "mag ab"),
    u.mag,
)


class Quantity(NamedTuple):
    """What a column may be."""

    unit: u.UnitBase
    """Ours."""
    allowed: str
    """Named in messages."""
    spellings: Mapping[str, u.UnitBase]
    """In small letters; besides them whatever astropy reads as a unit of this kind."""


RIGHT_ASCENSION = Quantity(u.deg, "deg, rad, arcmin, arcsec, mas, h (15 deg), h:m:s, d:m:s", {**_ANGLES, **_HOURS})
ANGLE = Quantity(u.deg, "deg, rad, arcmin, arcsec, mas, d:m:s", _ANGLES)
SIZE = Quantity(u.arcsec, "arcsec, arcmin, deg, rad, mas, pixel", {**_ANGLES, **_PIXELS})
FLUX = Quantity(u.uJy, "uJy, nJy, 10nJy, mJy, Jy, nanomaggy", _FLUXES)
MAGNITUDE = Quantity(u.mag, "mag, mag(AB)", _MAGNITUDES)


@lru_cache(maxsize=1024)
def tell(said: str) -> None:
    """Log what was taken where a table says nothing; once a process, which may read a table many times."""
    _log.info(said)


def values_of(column: Any, what: Quantity, where: str, *, default: str, pixel_arcsec: float = 0.0) -> Floats:
    """Return a column in our unit.

    Parameters
    ----------
    column
        (n,) astropy column of numbers or text, masked or not.
    what
        What it is.
    where
        Names file and column in messages.
    default
        Unit where the column states none.
    pixel_arcsec
        Side of a pixel, for sizes in pixels; 0 = not known.

    Returns
    -------
    ndarray
        (n,) float64; NaN where there is no value, or text that is none.

    Raises
    ------
    CatalogError
        The stated unit is none of this quantity's, or contradicts the column's name or how the values are written; the
        column holds values and none of them is a number, or some are sexagesimal and some decimal; a sexagesimal right
        ascension without a unit is negative or above 24, and so not in hours.
    """
    beside, named = (_said(unit) for unit in (str(column.unit or ""), _in_name(column.name, what)))
    if beside and named and _differ(beside, named, what):
        raise CatalogError(f"{where} states the unit {beside!r}, its name the unit {named!r}; one of them is allowed")
    stated = beside or named
    if not stated:
        tell(f"{where} states no unit: {default} is taken")
    factor = _factor(stated or default, what, where, pixel_arcsec)
    if column.dtype.kind in "iuf":
        values = np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan))
    else:
        texts = np.array([text or "nan" for text in texts_of(column)], dtype=str)
        values, factors = _of_text(texts, stated, what, where)
        if factors is not None:
            return values * factors
    if stated.lower() in (*_H_M_S, *_D_M_S) and np.isfinite(values).any():
        raise CatalogError(f"{where} states the unit {stated!r} and holds decimal numbers (allowed: {what.allowed})")
    return values if factor == 1 else values * factor


def texts_of(column: Any) -> list[str]:
    """Return a column as text without blanks around it; empty where there is no value, or a word that says so."""
    texts = ("" if value is None else str(value).strip() for value in np.ma.asarray(column).tolist())
    return ["" if text.lower() in _NO_VALUE else text for text in texts]


# ---------------------------------------------------------------- units


def _in_name(name: str, what: Quantity) -> str:
    """Return the unit behind a column's name: `ra [hr]` states one; so do `ra (hr)` and `ra_hr`, where that is one."""
    found = _UNIT_IN_NAME.fullmatch(name)
    if found and found["stated"]:
        return str(found["stated"])
    before, _, after = name.rpartition("_")
    perhaps = str(found["perhaps"]) if found else after
    hours = what is RIGHT_ASCENSION and after.lower() == "h"
    sure = found or (before and (hours or len(after) > 1) and not (what is SIZE and after.lower() in _RADII))
    return perhaps if sure and perhaps.lower() in what.spellings else ""


def _bare(unit: str) -> str:
    """Take a unit out of quotes or brackets."""
    unit = unit.strip()
    wrapped = len(unit) > 2 and unit[0] + unit[-1] in ('""', "''", "[]", "()")
    return _bare(unit[1:-1]) if wrapped else unit


def _said(unit: str) -> str:
    """Return a unit bare; empty where it is a word for none."""
    bare = _bare(unit)
    return "" if bare.lower() in _NO_UNIT else bare


def _differ(beside: str, named: str, what: Quantity) -> bool:
    """Tell whether two texts say two units of this quantity; sexagesimal ones are a way of writing beside a unit."""
    units = [_unit_of(text, what) for text in (beside, named) if text.lower() not in (*_H_M_S, *_D_M_S)]
    return len(units) > 1 and None not in units and units[0] != units[1]


def _unit_of(bare: str, what: Quantity) -> u.UnitBase | None:
    """Return what a text says; None where it is no unit of this quantity."""
    if bare.lower() in what.spellings:
        return what.spellings[bare.lower()]
    unit = u.Unit(bare, parse_strict="silent")
    return unit if isinstance(unit, u.UnitBase) and unit.is_equivalent(what.unit) else None


def _factor(bare: str, what: Quantity, where: str, pixel_arcsec: float) -> float:
    """Return what one of a unit is in ours."""
    unit = _unit_of(bare, what)
    if unit is u.pix:
        if not pixel_arcsec:
            raise CatalogError(f"{where} is in pixels: say with pixel_scale_arcsec how large one is (unit {bare!r})")
        return pixel_arcsec
    if unit is _HOUR:
        return 15.0  # astropy's arithmetic makes it 14.999999999999998
    factor = math.nan if unit is None else float(unit.to(what.unit))
    if not (math.isfinite(factor) and factor > 0):  # dex is -2.5 mag
        raise CatalogError(f"{where} states the unit {bare!r} (allowed: {what.allowed}, or none)")
    return factor


# ---------------------------------------------------------------- text


def _of_text(texts: NDArray[np.str_], stated: str, what: Quantity, where: str) -> tuple[Floats, Floats | None]:
    """Return numbers and, where they are sexagesimal, what one of each row's whole parts is in degrees."""
    try:
        return texts.astype(np.float64), None
    except ValueError:
        decimals = np.array([_decimal(text) for text in texts.tolist()])
    if what.unit == u.deg:
        values, marks = read_sexagesimal(texts)
        written = np.flatnonzero(marks != "")
        if written.size and np.isfinite(decimals).any():
            both = f"row {written[0] + 1} is sexagesimal, row {np.flatnonzero(np.isfinite(decimals))[0] + 1} decimal"
            raise CatalogError(f"{where}: {both}; a column is one or the other")
        beyond = np.flatnonzero((marks == ":") & ((values < 0) | (values > _DAY_H)))
        if what is RIGHT_ASCENSION and not stated and beyond.size:
            said = f"row {beyond[0] + 1} holds {texts[beyond[0]]}, no right ascension in hours"
            raise CatalogError(f"{where} is sexagesimal, {said}: state the unit d:m:s or h:m:s")
        if written.size:
            return values, _degrees_each(marks, stated, what, where)
    return _checked(decimals, texts, what, where), None


def _decimal(text: str) -> float:
    try:
        return float(_FORTRAN.sub("e", text))
    except ValueError:
        return math.nan


def _checked(values: Floats, texts: NDArray[np.str_], what: Quantity, where: str) -> Floats:
    bad = np.flatnonzero(np.isnan(values) & (texts != "nan")).tolist()
    units = [row for row in bad if _bare(str(texts[row])).lower() in what.spellings]
    if units:
        raise CatalogError(f"{where}, row {units[0] + 1} holds a unit ({texts[units[0]]}), not a value; take it out")
    if bad:
        said = f"{where}: {len(bad)} of {values.size} values are no numbers (row {bad[0] + 1}: {texts[bad[0]]})"
        if not np.isfinite(values).any():
            raise CatalogError(said)
        tell(said)
    return values


def _degrees_each(marks: NDArray[np.str_], stated: str, what: Quantity, where: str) -> Floats:
    """Return what one of each row's whole parts is in degrees: colons are hours of a right ascension."""
    ra = what is RIGHT_ASCENSION
    unit = _unit_of(stated, what) if stated else None
    if unit == u.deg:  # a right ascension with colons that is said to be in degrees may be either
        allowed = "d" if ra and stated.lower() not in _D_M_S else ":d"
    elif stated:
        allowed = ":h" if ra and unit == _HOUR else ""
    else:
        allowed = ":hd" if ra else ":d"
    odd = np.flatnonzero((marks != "") & ~np.isin(marks, list(allowed)))
    if odd.size:
        said = f"the unit {stated!r}, which row {odd[0] + 1} contradicts" if stated else f"no unit for row {odd[0] + 1}"
        raise CatalogError(f"{where} is sexagesimal and states {said} (allowed: {'h:m:s or ' if ra else ''}d:m:s)")
    return np.where((marks == "h") | ((marks == ":") & ra & (unit != u.deg)), 15.0, 1.0)
