"""One band of a cutout as a FITS file of its own, for those who train on single bands.

PRIMARY is all there is: 2-D float32 in uJy, a square of the field of view's side around the target, on the mosaic's own
pixels (copied, never resampled: north is where the WCS says). Networks and the loader's scaling stop at NaN, so that no
pixel is without a value: gaps hold the local sky, saturated cores the brightest pixel at their rim, and the cards
NFILLED and NCORE say how many. Cutout bytes in, file bytes out: nothing is opened here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.cutouts.cards import CardRow, cards, copied, hdu_bytes
from gzjwst_core.cutouts.extract import enclosed
from gzjwst_core.cutouts.place import Placement, carried
from gzjwst_core.cutouts.read import Cutout, Header, header_texts, read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.values import Outcome

__all__ = ["Single", "filled", "is_flat", "single_bands", "single_path"]

_DONE = Outcome()
_SCALED_TO = 0.997
_LAYOUT = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "PCOUNT", "GCOUNT", "EXTNAME")
_SUMS = ("DATASUM", "CHECKSUM")
_OF_WINDOW = ("COVFRAC", "CRPIX1", "CRPIX2", "CUTX0", "CUTY0")
_OF_CUTOUT = ("FOVASEC", "SEGID", "REFBAND", "BANDS", "COVALL")
"""Cards that tell of the cutout's own shape and planes."""


@dataclass(frozen=True, slots=True)
class Single:
    """How one band of one cutout ended."""

    band: str
    data: bytes | None
    """The file; None unless the outcome is done."""
    outcome: Outcome = _DONE


def single_path(cutout: str, band: str) -> str:
    """Path of a cutout's single-band file, `zoobot/<band>/<field>/<stem>.fits`, relative to the survey's folder."""
    return f"zoobot/{band}/{cutout.partition('/')[2]}"


def single_bands(name: str, data: bytes, bands: Sequence[str]) -> list[Single]:
    """Make the single-band files of one cutout.

    Parameters
    ----------
    name
        Of the cutout, for messages.
    data
        Its bytes.
    bands
        Bands that are wanted.

    Returns
    -------
    list of Single
        One for each band: `skipped` where the field does not have it (`no_band`) or it shows nothing there (`no_data`),
        `failed` where the cutout cannot be read.
    """
    try:
        cutout, texts = read_cutout(data), header_texts(data)
        return [_single(name, cutout, texts, band) for band in bands]
    except ImageError as error:
        broken = Outcome(kind="failed", reason=error.reason, detail=f"{name}: {error}")
        return [Single(band, None, broken) for band in bands]


def _single(name: str, cutout: Cutout, texts: Mapping[str, str], band: str) -> Single:
    if band not in cutout.bands:
        return Single(band, None, Outcome(kind="skipped", reason="no_band", detail=f"{name} has no {band}"))
    found = cutout.bands[band]
    at = cutout.placed(found.wcs)
    box = _square(at, cutout.fov_arcsec, found.data.shape)
    inside = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    core = _core(cutout, ~np.isfinite(found.data), at)[inside]
    sky = float(f"{found.sky * found.pixel_scale_arcsec**2:.6g}")  # as the card says it
    pixels = filled(found.data[inside], core, sky)
    if is_flat(pixels):
        return Single(band, None, Outcome(kind="skipped", reason="no_data", detail=f"{name}: {band} shows nothing"))
    side: CardRow = ("FOVASEC", cutout.fov_arcsec, "[arcsec] side of the field of view, here as the mosaic lies")
    empty = ~np.isfinite(found.data[inside])
    own = cards([side, *_filled_rows(empty, core, sky), *_window_rows(found.header, box)])
    return Single(band, _file(pixels, own, texts[f"SCI_{cutout.reference}"], texts[f"SCI_{band}"]))


def _filled_rows(empty: NDArray[np.bool_], core: NDArray[np.bool_], sky: float) -> list[CardRow]:
    return [
        ("COVFRAC", float(f"{1 - empty.mean():.6g}"), "part of these pixels with data"),
        ("NFILLED", int(np.count_nonzero(empty & ~core)), "pixels without data: they hold FILLVAL"),
        ("FILLVAL", sky, "[uJy] the local sky"),
        ("NCORE", int(np.count_nonzero(core)), "saturated: they hold their rim's brightest"),
    ]


def _window_rows(header: Header, box: Box) -> list[CardRow]:
    return [
        ("CRPIX1", float(header["CRPIX1"]) - box.x0, "reference pixel, 1-based"),
        ("CRPIX2", float(header["CRPIX2"]) - box.y0, "reference pixel, 1-based"),
        ("CUTX0", int(header["CUTX0"]) + box.x0, "first column in the mosaic, 0-based"),
        ("CUTY0", int(header["CUTY0"]) + box.y0, "first row in the mosaic, 0-based"),
    ]


def _file(pixels: NDArray[np.float32], own: str, primary: str, of_band: str) -> bytes:
    """Put the file together; the first cards of a cutout's PRIMARY, up to COVFRAC, tell of the target."""
    left_out = {*_LAYOUT, *_SUMS, *_OF_WINDOW, *_OF_CUTOUT}
    target = copied(primary, left_out, before="COVFRAC")
    told = {target[at : at + 8].rstrip() for at in range(0, len(target), 80)}
    layout: list[CardRow] = [
        ("SIMPLE", True, "FITS"),
        ("BITPIX", -32, ""),
        ("NAXIS", 2, ""),
        ("NAXIS1", pixels.shape[1], ""),
        ("NAXIS2", pixels.shape[0], ""),
    ]
    return hdu_bytes(cards(layout) + target + own + copied(of_band, left_out | told), pixels.astype(">f4").tobytes())


def _square(at: Placement, fov_arcsec: float, shape: tuple[int, int]) -> Box:
    """Find the square of the field of view's side with the target in its middle: a cutout's window holds its turn."""
    side = min(max(round(fov_arcsec / at.scale_arcsec), 1), *shape)
    y0, x0 = (
        min(max(round(centre - (side - 1) / 2), 0), size - side)
        for centre, size in zip((at.y, at.x), shape, strict=True)
    )
    return Box(y0, y0 + side, x0, x0 + side)


def _core(cutout: Cutout, empty: NDArray[np.bool_], at: Placement) -> NDArray[np.bool_]:
    if cutout.seg is None or cutout.seg_placed is None or not empty.any():
        return np.zeros(empty.shape, dtype=np.bool_)
    return enclosed(empty, carried(cutout.seg != 0, cutout.seg_placed, at, empty.shape))


def filled(pixels: NDArray[np.float32], core: NDArray[np.bool_], sky: float) -> NDArray[np.float32]:
    """Give every pixel a value.

    Parameters
    ----------
    pixels
        (ny, nx), NaN = no data.
    core
        Same shape; True where a source is saturated.
    sky
        What gaps are filled with.

    Returns
    -------
    ndarray of float32
        Finite. Each connected core holds the brightest pixel that touches it, the sky where none does.
    """
    made: NDArray[np.float32] = np.where(np.isfinite(pixels), pixels, np.float32(sky))
    groups, count = ndimage.label(core)
    if count:
        wide = ndimage.maximum_filter(groups, size=3)
        rim = (wide > 0) & np.isfinite(pixels)
        brightest = np.full(count + 1, np.float32(sky))
        np.maximum.at(brightest, wide[rim], pixels[rim])
        made[core] = brightest[groups[core]]
    return made


def is_flat(pixels: NDArray[np.float32]) -> bool:
    """Whether there is nothing to scale: galaxy-datasets divides by the 99.7 % quantile above the smallest pixel."""
    return bool(np.quantile(pixels, _SCALED_TO) <= pixels.min())
