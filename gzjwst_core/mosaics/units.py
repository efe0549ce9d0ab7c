"""Units of a mosaic's pixels and of our fluxes: everything becomes uJy (a pixel, or a source) and AB magnitudes.

`uJy per pixel = SCI[MJy/sr] x PIXAR_SR x 1e12` and `mag_AB = 23.9 - 2.5 log10(flux / uJy)`: the definitions of the
JWST pipeline's PIXAR_SR and of the AB system (Oke & Gunn 1983). A unit that is not known is refused, never guessed.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError

__all__ = [
    "AB_ZERO_POINT_UJY",
    "SURFACE_BRIGHTNESS",
    "ab_magnitude",
    "known_unit",
    "magnitude_error",
    "names_no_flux",
    "ujy_per_unit",
    "zero_point_ab",
]

AB_ZERO_POINT_UJY = 23.9
"""AB magnitude of 1 uJy."""
SURFACE_BRIGHTNESS = "MJy/sr"
"""The one unit that takes the area of a pixel."""

_FACTORS: Mapping[str, float] = {"Jy": 1e6, "mJy": 1e3, "uJy": 1.0, "nJy": 1e-3, "10nJy": 1e-2}
_PER_PIXEL = r"(?i:/pix(el)?|/px|[.*]?pix(el)?-1)?"
_SPELLINGS: Mapping[str, re.Pattern[str]] = {
    SURFACE_BRIGHTNESS: re.compile(r"MJy(/sr|[.*]?sr(\*\*|\^)?-1)"),
    "Jy": re.compile(r"(?i:jy|jansky)" + _PER_PIXEL),
    "mJy": re.compile(r"(mJy|(?i:milli(jy|jansky)))" + _PER_PIXEL),
    "uJy": re.compile(r"(?i:(u|µ|micro)(jy|jansky))" + _PER_PIXEL),
    "nJy": re.compile(r"(?i:(n|nano)(jy|jansky))" + _PER_PIXEL),
    "10nJy": re.compile(r"(?i:10(\.0*)?\*?(n|nano)(jy|jansky))" + _PER_PIXEL),
}
"""What fits the whole of a unit without its spaces. Case counts where it tells mega from milli."""
_NO_FLUX = re.compile(
    r"(electrons?|e-?|photons?|counts?|cts?|dn|adu)(/s(ec)?|[.*]?s-1)?|cps|unitless|dimensionless|none", re.IGNORECASE
)


def known_unit(text: str) -> str:
    """Return our name of a unit as a header may spell it.

    Parameters
    ----------
    text
        `MJy/sr` (surface brightness) also as `MJy sr-1`, `MJy.sr-1`, `MJy*sr**-1`; a flux per pixel, with or without
        `/pix`: `Jy`, `mJy`, `uJy`, `nJy`, `10nJy`, also as `nanoJansky`, `microJy`, `10.0*nanoJansky` and such. Spaces
        do not count, nor does case, but in `MJy` and `mJy`: `Mjy`, `mjy` and `MJY` may be mega or milli.

    Returns
    -------
    str
        One of `MJy/sr`, `Jy`, `mJy`, `uJy`, `nJy`, `10nJy`; empty where it is none of them.
    """
    packed = "".join(text.split())
    return next((name for name, spelling in _SPELLINGS.items() if spelling.fullmatch(packed)), "")


def names_no_flux(text: str) -> bool:
    """Tell whether a unit is one that mosaics are left with by mistake: electrons, counts, DN (per second) or none."""
    return _NO_FLUX.fullmatch("".join(text.split())) is not None


def ujy_per_unit(unit: str, pixel_area_sr: float, where: str) -> float:
    """Return what one unit of a pixel is in uJy per pixel.

    Parameters
    ----------
    unit
        As `known_unit` reads it.
    pixel_area_sr
        Area of a pixel in steradian; used for `MJy/sr` only.
    where
        File and plane, for the error message.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_unit`, if the unit is not known.
    """
    name = known_unit(unit)
    if name == SURFACE_BRIGHTNESS:
        return 1e12 * pixel_area_sr
    if name:
        return _FACTORS[name]
    allowed = f"{SURFACE_BRIGHTNESS}, {', '.join(_FACTORS)}; case tells mega from milli"
    cure = "state local[].unit or mosaics.unit in the profile"
    raise MosaicLayoutError(f"{where}: unit {unit!r} is not known (allowed: {allowed}): {cure}", reason="bad_unit")


def zero_point_ab(ujy: float) -> float:
    """Return the AB magnitude of one unit in one pixel, from `ujy_per_unit`."""
    return AB_ZERO_POINT_UJY - 2.5 * math.log10(ujy)


def ab_magnitude(flux_ujy: NDArray[Any]) -> NDArray[np.float64]:
    """Return AB magnitudes of fluxes in uJy; NaN where the flux is not positive."""
    flux = np.asarray(flux_ujy, dtype=np.float64)
    return AB_ZERO_POINT_UJY - 2.5 * np.log10(flux, out=np.full(flux.shape, np.nan), where=flux > 0)


def magnitude_error(flux_ujy: NDArray[Any], error_ujy: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1-sigma errors of AB magnitudes, `2.5 / ln 10 x error / flux`; NaN where the flux is not positive."""
    flux = np.asarray(flux_ujy, dtype=np.float64)
    ratio = np.divide(error_ujy, flux, out=np.full(flux.shape, np.nan), where=flux > 0)
    error: NDArray[np.float64] = 2.5 / math.log(10.0) * ratio
    return error
