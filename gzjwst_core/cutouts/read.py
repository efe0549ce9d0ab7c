"""Read a cutout file back: `read_cutout` turns bytes into a `Cutout`.

Only what we write is understood: 2-D images, one a HDU (any FITS reader understands them too). Nothing here opens a
file or knows of mosaics.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.cutouts.cards import CardValue, parsed
from gzjwst_core.cutouts.place import Placement, place
from gzjwst_core.errors import ImageError
from gzjwst_core.mosaics.wcs import celestial_wcs

Header = Mapping[str, CardValue]
"""Cards by keyword."""

__all__ = ["Cutout", "CutoutBand", "Header", "header_texts", "read_cutout"]

_BLOCK = 2880
_DTYPES = {8: ">u1", 32: ">i4", -32: ">f4"}


@dataclass(frozen=True)
class CutoutBand:
    """One band of a cutout."""

    band: str
    data: NDArray[np.float32]
    """(ny, nx) uJy per pixel, NaN = no data."""
    header: Header
    err: NDArray[np.float32] | None = None
    """uJy per pixel, where the file has it."""
    wht: NDArray[np.float32] | None = None
    """Weight, 0 = no data, where the file has it."""

    @cached_property
    def wcs(self) -> WCS:
        """Celestial WCS of the pixels."""
        return _wcs(self.header)

    @property
    def pixel_scale_arcsec(self) -> float:
        """Side of a pixel."""
        return float(self.header["PIXSCALE"])

    @property
    def sky(self) -> float:
        """Sky around the target, uJy/arcsec2; 0 where it could not be measured."""
        return float(self.header.get("SKYLOC", 0.0))

    @property
    def sigma(self) -> float:
        """Sky sigma of the mosaic, uJy/arcsec2 in a pixel; where that is not known, the local rms; may be NaN."""
        return float(self.header.get("SIGSKY", self.header.get("SKYRMS", math.nan)))

    @property
    def coverage(self) -> float:
        """Part of the pixels with data."""
        return float(self.header["COVFRAC"])

    @property
    def surface_brightness(self) -> NDArray[np.float32]:
        """Pixels above the local sky, uJy/arcsec2."""
        scaled: NDArray[np.float32] = self.data / np.float32(self.pixel_scale_arcsec**2)
        return scaled - np.float32(self.sky)


@dataclass(frozen=True)
class Cutout:
    """Everything a cutout file holds."""

    bands: Mapping[str, CutoutBand]
    """In order of wavelength."""
    reference: str
    header: Header
    """Of PRIMARY."""
    mask: NDArray[np.uint8]
    """(ny, nx) of the reference band, bits of `extract.MaskBit`."""
    seg: NDArray[np.int32] | None = None
    """(ny, nx) on its own grid; None where nothing was detected."""
    seg_header: Header | None = None

    @property
    def id_str(self) -> str:
        """Name of the source."""
        return str(self.header["ID_STR"])

    @property
    def field(self) -> str:
        """Field it was cut from."""
        return str(self.header["FIELD"])

    @property
    def ra_deg(self) -> float:
        """Right ascension of the target, ICRS."""
        return float(self.header["RA_OBJ"])

    @property
    def dec_deg(self) -> float:
        """Declination of the target, ICRS."""
        return float(self.header["DEC_OBJ"])

    @property
    def fov_arcsec(self) -> float:
        """Side of the field of view, north up."""
        return float(self.header["FOVASEC"])

    @property
    def size_arcsec(self) -> float:
        """Size of the target that the rule of the field of view measured; NaN if it measured none."""
        return float(self.header.get("FOVSIZE", math.nan))

    @property
    def fov_rule(self) -> str:
        """Name of the rule that the field of view follows, or `stated`; empty if the cutout does not say."""
        return str(self.header.get("FOVRULE", ""))

    @property
    def floor_arcsec(self) -> float:
        """Least field of view that shows the whole target; NaN where the rule of the field of view has none."""
        return float(self.header.get("FOVFLOOR", math.nan))

    @property
    def segment_id(self) -> int:
        """Value of the target's pixels in SEG; 0 = none."""
        return int(self.header["SEGID"])

    def placed(self, wcs: WCS) -> Placement:
        """Place the target on the pixels of one of this cutout's planes.

        Raises
        ------
        ImageError
            If that plane's WCS does not reach the target.
        """
        at = place(wcs, self.ra_deg, self.dec_deg)
        if at is None:
            raise ImageError(f"{self.id_str}: a WCS of its cutout does not reach the target", reason="bad_cutout")
        return at

    @cached_property
    def seg_placed(self) -> Placement | None:
        """The target on the pixels of SEG."""
        return None if self.seg_header is None else self.placed(_wcs(self.seg_header))


def read_cutout(data: bytes) -> Cutout:
    """Read a cutout.

    Parameters
    ----------
    data
        A whole FITS file that `fits.make_cutout` made.

    Raises
    ------
    ImageError
        With reason `bad_cutout`: it is damaged, or no cutout of ours.
    """
    try:
        return _assembled({str(header["EXTNAME"]): (header, pixels) for header, pixels in _planes(data)})
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ImageError(f"not a cutout of ours, or damaged: {error}", reason="bad_cutout") from error


def header_texts(data: bytes) -> dict[str, str]:
    """Headers of a cutout as they stand, by EXTNAME, for those who copy cards.

    Parameters
    ----------
    data
        A file that `read_cutout` reads.
    """
    return {str(header["EXTNAME"]): text for header, text, _ in _units(data)}


def _assembled(planes: Mapping[str, tuple[Header, NDArray[Any]]]) -> Cutout:
    header = next(iter(planes.values()))[0]
    bands = {name: _band(name, planes) for name in str(header["BANDS"]).split(",")}
    seg_header, seg = planes.get("SEG", (None, None))
    return Cutout(
        bands=bands,
        reference=str(header["REFBAND"]),
        header=header,
        mask=planes["MASK"][1],
        seg=seg,
        seg_header=seg_header,
    )


def _band(name: str, planes: Mapping[str, tuple[Header, NDArray[Any]]]) -> CutoutBand:
    header, data = planes[f"SCI_{name}"]
    err, wht = (planes.get(f"{plane}_{name}", (None, None))[1] for plane in ("ERR", "WHT"))
    return CutoutBand(band=name, data=data, header=header, err=err, wht=wht)


def _planes(data: bytes) -> Iterator[tuple[Header, NDArray[Any]]]:
    for header, _, raw in _units(data):
        yield header, raw.astype(raw.dtype.newbyteorder("="))


def _units(data: bytes) -> Iterator[tuple[Header, str, NDArray[Any]]]:
    """Yield header, its text and the pixels as they lie in the file, HDU by HDU."""
    if len(data) % _BLOCK or not data:
        raise ValueError(f"{len(data)} bytes are no whole number of FITS blocks")
    at = 0
    while at < len(data):
        text, at = _header(data, at)
        header = parsed(text)
        shape = int(header["NAXIS2"]), int(header["NAXIS1"])
        dtype = np.dtype(_DTYPES[int(header["BITPIX"])])
        count = shape[0] * shape[1]
        yield header, text, np.frombuffer(data, dtype=dtype, count=count, offset=at).reshape(shape)
        at += -(-count * dtype.itemsize // _BLOCK) * _BLOCK


def _header(data: bytes, at: int) -> tuple[str, int]:
    for end in range(at + _BLOCK, len(data) + 1, _BLOCK):
        if any(data[i : i + 8] == b"END     " for i in range(end - _BLOCK, end, 80)):
            return data[at:end].decode("ascii"), end
    raise ValueError("a header has no END")


def _wcs(header: Header) -> WCS:
    try:
        return _celestial(header)
    except (KeyError, TypeError, ValueError) as error:  # our own and wcslib's are ValueErrors too
        raise ImageError(f"a WCS of a cutout is damaged: {error}", reason="bad_cutout") from error


def _celestial(header: Header) -> WCS:
    is_tan = (header["CTYPE1"], header["CTYPE2"]) == ("RA---TAN", "DEC--TAN")
    if not is_tan or any(key.startswith("PV") for key in header):
        return celestial_wcs(fits.Header([(keyword, value) for keyword, value in header.items()]), "cutout")
    wcs = WCS(naxis=2)  # the same as from the header, ten times as fast
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [header["CRPIX1"], header["CRPIX2"]]
    wcs.wcs.crval = [header["CRVAL1"], header["CRVAL2"]]
    wcs.wcs.cd = np.array([[header[f"CD{i}_{j}"] for j in (1, 2)] for i in (1, 2)])
    wcs.wcs.lonpole = header["LONPOLE"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs
