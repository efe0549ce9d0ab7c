"""The PSF of one mosaic, from the best that is known: the profile's file, else stars of the field, else the formula.

Opens files; stacking and resampling are in `stars` and `stamp`.
"""

import hashlib
import math
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.errors import ProfileError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.options import MosaicOptions, PsfOptions
from gzjwst_core.paths import expanded
from gzjwst_core.psf.model import model_psf
from gzjwst_core.psf.stamp import Psf, odd_square, resampled, unit_sum
from gzjwst_core.psf.stars import stack_stars

__all__ = ["file_digests", "psf_of", "with_folder"]

Floats = NDArray[np.float64]

_RADIUS_ARCSEC = 1.5
_MOST_SIDE_PX = 2048
_LEAST_SNR, _ALONE_ARCSEC, _MOST_STARS = 20.0, 0.6, 60
_NO_DATA = Flag.EDGE | Flag.GAP | Flag.TRUNCATED | Flag.SATURATED
_SPOILT = np.uint32(_NO_DATA | Flag.BLENDED | Flag.BRIGHT_STAR | Flag.PERSISTENCE | Flag.CROWDED | Flag.TARGET)
_NEIGHBOUR_ARCSEC = (0.2, 1.0)


def with_folder(options: PsfOptions, folder: Path) -> PsfOptions:
    """Return the options with paths of files that start from this folder.

    Raises
    ------
    ProfileError
        A path names a variable that is not set.
    """
    files = {band: str(folder / expanded(path, f"psf.files.{band}", folder)) for band, path in options.files.items()}
    return options.model_copy(update={"files": files})


def file_digests(options: PsfOptions) -> dict[str, str]:
    """Return the SHA-256 of each stated file, by band.

    Raises
    ------
    ProfileError
        One cannot be read.
    """
    digests = {}
    for band, path in options.files.items():
        try:
            with Path(path).open("rb") as file:
                digests[band] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ProfileError(f"psf.files.{band}: {path} cannot be read: {error.strerror}") from None
    return digests


def psf_of(source: MosaicSource, options: PsfOptions, mosaics: MosaicOptions, stars: Table) -> Psf:
    """Return the PSF of a mosaic on its own pixels.

    Parameters
    ----------
    source
        The mosaic.
    options
        Files (`with_folder` makes their paths whole), least number of stars.
    mosaics
        How mosaics are read.
    stars
        The field's catalog, or any of its rows; the stars are chosen here, the others are masked as neighbours.

    Raises
    ------
    ProfileError
        The stated file cannot be read, has no 2-D image or no pixel scale.
    MosaicError
        The mosaic cannot be opened.

    Notes
    -----
    Stars: `is_star`, no flag that spoils their light, signal to noise of 20 in the band, no neighbour within 0.6
    arcsec; the brightest 60. Fewer than `min_stars` usable ones: `model.model_psf`.
    """
    with open_mosaic(source, mosaics, check=False) as reader:
        if source.band in options.files:
            return resampled(_read(Path(options.files[source.band]), options), reader.pixel_scale_arcsec)
        model = model_psf(source.band, reader.pixel_scale_arcsec)
        stacked = _stacked(reader, stars, model)
    return stacked if stacked is not None and stacked.stars >= options.min_stars else model


def _read(path: Path, options: PsfOptions) -> Psf:
    try:
        with fits.open(path) as hdus:
            hdu = next(h for h in hdus if getattr(h, "is_image", False) and _is_2d(h))
            if max(hdu.shape) > _MOST_SIDE_PX:
                said = f"has {hdu.shape[1]} x {hdu.shape[0]} pixels, at most {_MOST_SIDE_PX} along a side are read"
                raise ProfileError(f"psf.files: {path.name} {said}")
            image, header = hdu.data, hdu.header
            pixels = odd_square(np.asarray(image, dtype=np.float64))
    except StopIteration:
        raise ProfileError(f"psf.files: {path.name} holds no 2-D image") from None
    except OSError as error:
        raise ProfileError(f"psf.files: {path.name} cannot be read: {error.strerror or error}") from None
    scale = _scale(header) or options.pixel_scale_arcsec
    if scale is None:
        raise ProfileError(f"psf.files: {path.name} states no PIXELSCL: give psf.pixel_scale_arcsec")
    if not (np.isfinite(pixels).all() and pixels.sum() > 0):
        raise ProfileError(f"psf.files: {path.name} is no PSF: its pixels must be finite and sum to more than 0")
    return Psf(unit_sum(pixels), scale, "profile")


def _is_2d(hdu: fits.PrimaryHDU) -> bool:
    return bool(hdu.header.get("NAXIS") == 2 and min(hdu.shape) >= 3)


def _scale(header: fits.Header) -> float | None:
    for key in ("PIXELSCL", "PIXSCALE"):
        if isinstance(header.get(key), int | float):
            return abs(float(header[key])) or None
    pair = [header.get("CD1_1", header.get("CDELT1")), header.get("CD2_1", 0.0)]
    numbers = [float(v) for v in pair if isinstance(v, int | float)]
    return math.hypot(*numbers) * 3600 or None if len(numbers) == 2 else None


def _stacked(reader: MosaicReader, stars: Table, wings: Psf) -> Psf | None:
    if len(stars) == 0:
        return None
    x, y = (
        np.asarray(v)
        for v in reader.wcs.all_world2pix(np.asarray(stars["ra"]), np.asarray(stars["dec"]), 0, quiet=True)
    )
    scale = reader.pixel_scale_arcsec
    half = int(np.ceil(_RADIUS_ARCSEC / scale))
    sizes = np.clip(np.asarray(stars["kron_a"], dtype=float), *_NEIGHBOUR_ARCSEC) / scale
    stamps, bad, centres = [], [], []
    for row in _chosen(stars, reader.band):
        column, line = round(float(x[row])), round(float(y[row]))
        box = Box(line, line + 1, column, column + 1).grow(half)
        sci = reader.windows(box).sci
        stamps.append(sci)
        bad.append(~np.isfinite(sci) | _neighbours(box, x, y, sizes, row))
        centres.append((float(x[row]) - box.x0, float(y[row]) - box.y0))
    return stack_stars(stamps, bad, centres, scale, wings=wings)


def _chosen(stars: Table, band: str) -> NDArray[np.intp]:
    flux, error = (np.asarray(stars[f"{band}_{n}_auto"], dtype=float) for n in ("flux", "fluxerr"))
    snr = np.divide(flux, error, out=np.zeros_like(flux), where=error > 0)
    good = np.asarray(stars["is_star"], dtype=bool) & (snr > _LEAST_SNR)
    good &= (np.asarray(stars["flags"], dtype=np.uint32) & _SPOILT) == 0
    good &= ~(np.asarray(stars["nn_dist"], dtype=float) < _ALONE_ARCSEC)
    rows = np.flatnonzero(good)
    return np.sort(rows[np.argsort(-flux[rows], kind="stable")][:_MOST_STARS])


def _neighbours(box: Box, x: Floats, y: Floats, sizes: Floats, row: int) -> NDArray[np.bool_]:
    """Cover the other sources of a window with discs of their Kron radius."""
    near = (np.abs(x - x[row]) < box.shape[1]) & (np.abs(y - y[row]) < box.shape[0])
    near[row] = False
    covered = np.zeros(box.shape, dtype=bool)
    yy, xx = np.ogrid[box.y0 : box.y1, box.x0 : box.x1]
    for other in np.flatnonzero(near):
        covered |= (xx - x[other]) ** 2 + (yy - y[other]) ** 2 < sizes[other] ** 2
    return covered
