"""Units of a mosaic's pixels and of our fluxes: everything becomes uJy (a pixel, or a source) and AB magnitudes.

`uJy per pixel = SCI[MJy/sr] x PIXAR_SR x 1e12` and `mag_AB = 23.9 - 2.5 log10(flux / uJy)`: the definitions of the
JWST pipeline's PIXAR_SR and of the AB system (Oke & Gunn 1983). A unit that is not known is refused, never guessed.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError

__all__ = ["AB_ZERO_POINT_UJY", "ab_magnitude", "magnitude_error", "ujy_per_unit", "zero_point_ab"]

AB_ZERO_POINT_UJY = 23.9
"""AB magnitude of 1 uJy."""

_FACTORS: Mapping[str, float] = {"jy": 1e6, "mjy": 1e3, "ujy": 1.0, "njy": 1e-3, "10njy": 1e-2}
_SPELLINGS: Mapping[str, str] = {
    "microjansky": "ujy",
    "microjy": "ujy",
    "nanojansky": "njy",
    "nanojy": "njy",
    "10.0*nanojansky": "10njy",
    "10*nanojansky": "10njy",
    "10.0njy": "10njy",
    "10*njy": "10njy",
    "10.0*njy": "10njy",
    "jansky": "jy",
}
_SURFACE_BRIGHTNESS = ("mjy/sr", "mjysr-1", "mjy.sr-1", "mjy*sr-1", "mjy*sr**-1")


def ujy_per_unit(unit: str, pixel_area_sr: float, where: str) -> float:
    """Return what one unit of a pixel is in uJy per pixel.

    Parameters
    ----------
    unit
        `MJy/sr` (surface brightness), or a flux per pixel: `Jy`, `mJy`, `uJy`, `nJy`, `10nJy`, and their usual
        spellings. Case counts only where it tells mega from milli.
    pixel_area_sr
        Area of a pixel in steradian; used for `MJy/sr` only.
    where
        File and plane, for the error message.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_unit`, if the unit is none of these.
    """
    text = unit.strip().replace(" ", "")
    plain = _SPELLINGS.get(text.lower(), text.lower())
    if plain in _SURFACE_BRIGHTNESS and text.startswith("M"):
        return 1e12 * pixel_area_sr
    if plain in _FACTORS and not text.startswith("MJ"):
        return _FACTORS[plain]
    allowed = "MJy/sr, Jy, mJy, uJy, nJy, 10nJy"
    raise MosaicLayoutError(f"{where}: unit {unit!r} is not known (allowed: {allowed})", reason="bad_unit")


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
