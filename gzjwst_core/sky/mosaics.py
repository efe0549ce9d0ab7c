"""Planes into the extensions of a level-3 i2d file or of a CEERS-like HLSP file; in memory, no file is opened.

The two layouts differ in more than their order: an i2d has NaN where there is no data and one science plane with the
background in it; the HLSP has exact zeros there, a background-subtracted plane, the background and its mask.
"""

import numpy as np
from astropy.io.fits import HDUList, Header, ImageHDU, PrimaryHDU
from numpy.typing import NDArray

from gzjwst_core.sky.fields import SkyField
from gzjwst_core.sky.headers import primary_header, science_header
from gzjwst_core.sky.render import BandImage

__all__ = ["HLSP_PLANES", "I2D_PLANES", "mosaic_hdus"]

I2D_PLANES = ("SCI", "ERR", "CON", "WHT", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
HLSP_PLANES = ("SCI_BKSUB", *I2D_PLANES, "BKGD", "BKGMASK")

_MASK_SIGMA = 0.5


def mosaic_hdus(field: SkyField, band: str, image: BandImage) -> HDUList:
    """Lay a rendered mosaic out as its archive would.

    Parameters
    ----------
    field
        The field; its collection chooses the layout.
    band
        Filter name.
    image
        The planes.

    Returns
    -------
    HDUList
        PRIMARY and the planes of `I2D_PLANES` or `HLSP_PLANES`, big-endian.
    """
    planes = _i2d_planes(image) if field.collection == "JWST" else _hlsp_planes(image)
    names = I2D_PLANES if field.collection == "JWST" else HLSP_PLANES
    hdus = HDUList([PrimaryHDU(header=primary_header(field, band))])
    for name in names:
        pixels = planes[name]
        big_endian = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False)
        hdus.append(ImageHDU(big_endian, header=_header(field, band, name), name=name))
    return hdus


def _i2d_planes(image: BandImage) -> dict[str, NDArray[np.generic]]:
    return {
        "SCI": image.sci,
        "ERR": image.err,
        "CON": image.con,
        "WHT": image.wht,
        "VAR_POISSON": image.var_poisson,
        "VAR_RNOISE": image.var_rnoise,
        "VAR_FLAT": image.var_flat,
    }


def _hlsp_planes(image: BandImage) -> dict[str, NDArray[np.generic]]:
    """Return the i2d's planes and the background's, with zeros for missing data."""
    covered = image.wht > 0
    bright = image.light > _MASK_SIGMA * np.nan_to_num(image.err)
    background = np.where(covered, image.background, np.float32(0))
    planes = {name: _zero_filled(plane) for name, plane in _i2d_planes(image).items()}
    planes["SCI_BKSUB"] = planes["SCI"] - background
    planes["BKGD"] = background
    planes["BKGMASK"] = (bright | ~covered).astype(np.int16)
    return planes


def _zero_filled(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.nan_to_num(plane, nan=0.0) if plane.dtype.kind == "f" else plane


def _header(field: SkyField, band: str, name: str) -> Header:
    """Return a plane's header; as in the real files only science planes carry WCS and photometry."""
    if name in ("SCI", "SCI_BKSUB"):
        return science_header(field, band)
    return Header([("BUNIT", "MJy/sr", "physical units of the array values")] if name in ("ERR", "BKGD") else [])
