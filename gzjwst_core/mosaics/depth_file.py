"""Depth maps of a field as one FITS file: an image a band, on a coarse grid with a WCS of its own.

What the depth is, `catalog.depth` says; here it only gets headers. Equal maps give equal bytes: there is no clock.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, Sip
from numpy.typing import NDArray

from gzjwst_core.mosaics.wcs import wcs_rows
from gzjwst_core.storage.atomic import storage_error

__all__ = ["binned_wcs", "write_depth"]


def write_depth(path: Path, field: str, maps: Sequence[tuple[str, NDArray[np.float32], WCS, int]]) -> None:
    """Write the depth maps of a field.

    Parameters
    ----------
    path
        A temporary path, replaced if it is there.
    field
        The field's name.
    maps
        Name of the extension; (rows, columns) AB magnitudes, NaN without data; WCS of the mosaic's own pixels; side of
        a block, pixels.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    primary = fits.PrimaryHDU()
    primary.header["FIELD"] = (field, "field")
    hdus = fits.HDUList([primary])
    for name, depth, wcs, side in maps:
        hdu = fits.ImageHDU(np.asarray(depth, dtype=">f4"), name=name)
        hdu.header.extend(wcs_rows(binned_wcs(wcs, side)))
        hdu.header["BUNIT"] = ("mag", "AB")
        hdu.header["DEPSIGMA"] = (5.0, "significance of the limit")
        hdu.header["DEPDIAM"] = (0.3, "[arcsec] diameter of the aperture")
        hdu.header["BLOCK"] = (side, "[pix] side of a block on the mosaic")
        hdus.append(hdu)
    data = BytesIO()  # of a full disk astropy's own writing to files does not tell the error's number
    hdus.writeto(data)
    try:
        path.write_bytes(data.getbuffer())
    except OSError as error:
        raise storage_error(error, path) from error


def binned_wcs(wcs: WCS, side: int) -> WCS:
    """Return the WCS of blocks of pixels that begin at the first pixel of an image.

    Parameters
    ----------
    wcs
        Of the pixels; with SIP terms or without.
    side
        Pixels along a side of a block.
    """
    binned = wcs.deepcopy()
    binned.wcs.crpix = (np.asarray(wcs.wcs.crpix) - 0.5) / side + 0.5
    if wcs.wcs.has_cd():
        binned.wcs.cd = wcs.wcs.cd * side
    else:
        binned.wcs.cdelt = np.asarray(wcs.wcs.cdelt) * side
    if wcs.sip is not None:
        terms = [_scaled(getattr(wcs.sip, name), side) for name in ("a", "b", "ap", "bp")]
        binned.sip = Sip(*terms, binned.wcs.crpix)
    binned.wcs.set()
    return binned


def _scaled(terms: NDArray[np.float64] | None, side: int) -> NDArray[np.float64] | None:
    """Polynomial in blocks: u = side U, and f(u, v) = side F(U, V)."""
    if terms is None:
        return None
    order = np.add.outer(np.arange(terms.shape[0]), np.arange(terms.shape[1]))
    scaled: NDArray[np.float64] = terms * float(side) ** (order - 1)
    return scaled
