"""The FITS file of one cutout, as bytes.

PRIMARY holds the reference band's pixels and carries EXTNAME `SCI_<BAND>` like every other band's extension, so that
`hdus[0].data` is a 2-D image (what Zoobot's loader reads), `hdus["SCI_F277W"]` works for every band, and no pixel is
stored twice. Then `SCI_<BAND>` of the other bands, `ERR_<BAND>` and `WHT_<BAND>` on request, SEG (int32, the segmap's
grid) and MASK (uint8, the reference band's grid, bits of `MaskBit`). No clock: the same input gives the same bytes.
Reading it back is `read`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.cards import CardRow, cards, hdu_bytes
from gzjwst_core.cutouts.extract import BandWindow, Extract, Target, extract
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import MosaicReader
from gzjwst_core.mosaics.segmap import SegmapReader
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift
from gzjwst_core.mosaics.wcs import wcs_rows
from gzjwst_core.options import CutoutOptions

__all__ = ["Cutter", "Provenance", "make_cutout", "reference_band"]

_STERADIAN_PER_ARCSEC2 = (math.pi / 180 / 3600) ** 2
_COPIED = (
    ("TELESCOP", "telescope"),
    ("INSTRUME", "instrument"),
    ("PROGRAM", "programme"),
    ("CAL_VER", "calibration software of the mosaic"),
    ("CRDS_CTX", "calibration references of the mosaic"),
)
_BITPIX = {"f": -32, "i": 32, "u": 8}
_MASK_MEANING = "1 no data, 2 none in other band, 4 neighbour, 8 target, 16 core"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every cutout says of where it came from."""

    survey: str
    version: str
    """Of this software."""
    options_digest: str
    """Digest of the options that a cutout depends on; an option that does not reach it must not change it."""


@dataclass(frozen=True)
class Cutter:
    """Open mosaics of one field and everything that all of its cutouts share."""

    readers: Mapping[str, MosaicReader]
    """By band, in the order of the survey's bands."""
    reference: str
    """Band of the PRIMARY pixels."""
    options: CutoutOptions
    provenance: Provenance
    segmap: SegmapReader | None = None
    shift: SkyShift = NO_SHIFT
    """By how much the grids' WCS were moved, for the record (cards ASTRDRA, ASTRDDEC)."""
    sigma: Mapping[str, float] = field(default_factory=dict)
    """Sky sigma of each mosaic where it was measured, uJy/arcsec2 in a pixel (card SIGSKY)."""
    gain: Mapping[str, float] = field(default_factory=dict)
    """Pinned colour gain of each band, for the record (card GAIN)."""

    @cached_property
    def constant(self) -> dict[str, str]:
        """Cards of each band that are the same in all its cutouts."""
        return {band: cards(self._band_rows(reader)) for band, reader in self.readers.items()}

    @cached_property
    def seg_constant(self) -> str:
        """Cards of SEG that are the same in all cutouts."""
        return "" if self.segmap is None else cards(self.grid_rows(self.segmap))

    def grid_rows(self, grid: MosaicReader | SegmapReader) -> list[CardRow]:
        """Cards of a grid's WCS but for CRPIX, and what was added to it."""
        said = "[mas] added to CRVAL, the field's offset:"
        shift: list[CardRow] = [
            ("ASTRDRA", self.shift.dra_mas, f"{said} E"),
            ("ASTRDDEC", self.shift.ddec_mas, f"{said} N"),
        ]
        kept = [row for row in wcs_rows(grid.wcs) if not row[0].startswith("CRPIX")]
        return [*kept, *(shift if self.shift != NO_SHIFT else [])]

    def _band_rows(self, reader: MosaicReader) -> Iterator[CardRow]:
        band, source, scale = reader.band, reader.source, _scale(reader)
        yield "FILTER", band, "band"
        yield "BUNIT", "uJy", "for each pixel"
        yield "PHOTZP", 23.9, "[mag] AB zero point of uJy"
        yield "PIXSCALE", scale, "[arcsec] side of a pixel"
        yield "PIXAR_SR", scale**2 * _STERADIAN_PER_ARCSEC2, "[sr] area of a pixel"
        yield "SIGSKY", self.sigma.get(band), "[uJy/arcsec2] sky sigma of the mosaic"
        yield "GAIN", self.gain.get(band), "colour gain of the survey"
        yield "MOSAIC", source.uri.rsplit("/", 1)[-1].rsplit(":", 1)[-1], "file of the mosaic"
        yield "MOSURI", source.uri, "where the mosaic was read"
        yield "MOSID", source.identity, "its identity"
        yield "VERIFIED", source.verified, "its whole body was seen and checked"
        yield "OBS_ID", source.obs_id or None, "observation"
        for keyword, comment in _COPIED:
            yield keyword, _plain(reader.primary.get(keyword)), comment
        yield from self.grid_rows(reader)


def _scale(reader: MosaicReader) -> float:
    return float(f"{reader.pixel_scale_arcsec:.10g}")


def _plain(value: Any) -> str | float | None:
    return value if isinstance(value, str | float | int) and not isinstance(value, bool) else None


def reference_band(options: CutoutOptions, bands: tuple[str, ...], detection: tuple[str, ...]) -> str:
    """Choose the band of the PRIMARY pixels.

    Parameters
    ----------
    options
        `reference` wins where the field has that band.
    bands
        Bands the field has, in order of wavelength.
    detection
        Detection bands in their order: the first that the field has; without any, the field's reddest.
    """
    wanted = [band for band in (options.reference, *detection) if band in bands]
    return wanted[0] if wanted else bands[-1]


def make_cutout(target: Target, cutter: Cutter) -> bytes | None:
    """Cut one target out of a field's mosaics.

    Parameters
    ----------
    target
        Position, field of view, segment.
    cutter
        The field's open mosaics.

    Returns
    -------
    bytes or None
        A whole FITS file; None when the target is off every mosaic.
    """
    found = extract(
        target, cutter.readers, cutter.segmap, reference=cutter.reference, planes=tuple(cutter.options.planes)
    )
    if found is None:
        return None
    return b"".join(_hdus(found, cutter))


def _hdus(found: Extract, cutter: Cutter) -> Iterator[bytes]:
    reference = found.bands[found.reference]
    yield _band_hdu(reference, "SCI", cutter, first=list(_target_rows(found, cutter)))
    others = [window for band, window in found.bands.items() if band != found.reference]
    for window in others:
        yield _band_hdu(window, "SCI", cutter)
    for plane in cutter.options.planes:
        for window in (reference, *others):
            if plane in window.planes:
                yield _band_hdu(window, plane, cutter)
    if found.seg is not None:
        rows = [("EXTNAME", "SEG", "segment_id of each pixel, 0 = none"), *_window_rows(cutter.segmap, found.seg.box)]
        yield _image(found.seg.inner, rows, cutter.seg_constant)
    yield _image(found.mask, _mask_rows(reference, cutter), cards(cutter.grid_rows(cutter.readers[found.reference])))


def _target_rows(found: Extract, cutter: Cutter) -> Iterator[CardRow]:
    target, made = found.target, cutter.provenance
    yield "ORIGIN", "gzjwst", "made by"
    yield "GZVER", made.version, "version of gzjwst"
    yield "PROFDIG", made.options_digest, "digest of the options used"
    yield "SURVEY", made.survey, "survey"
    yield "FIELD", target.field, "field"
    yield "ID_STR", target.id_str, "name of the source"
    yield "SEGID", target.segment_id, "its value in SEG, 0 = none"
    yield "RA_OBJ", target.ra_deg, "[deg] ICRS"
    yield "DEC_OBJ", target.dec_deg, "[deg] ICRS"
    yield "FOVASEC", target.fov_arcsec, "[arcsec] side of the field of view, N up"
    yield "FOVRULE", target.fov_rule, "rule of the field of view"
    yield "FOVSIZE", target.size_arcsec, "[arcsec] size that the rule measured"
    yield "FOVFLOOR", target.floor_arcsec, "[arcsec] least that shows the whole source"
    yield "REFBAND", found.reference, "band of these pixels"
    yield "BANDS", ",".join(found.bands), "bands in this file, by wavelength"
    yield "COVALL", _round(found.coverage), "part with data in every band"


def _band_hdu(window: BandWindow, plane: str, cutter: Cutter, first: list[CardRow] | None = None) -> bytes:
    reader = cutter.readers[window.band]
    per_arcsec2 = 1 / _scale(reader) ** 2
    rows: list[CardRow] = [
        ("EXTNAME", f"{plane}_{window.band}", ""),
        *(first or []),
        ("COVFRAC", _round(window.coverage), "part of these pixels with data"),
        ("SKYLOC", _round(window.sky.level * per_arcsec2), "[uJy/arcsec2] sky around the target"),
        ("SKYRMS", _round(window.sky.rms * per_arcsec2), "[uJy/arcsec2] its rms in a pixel"),
        *_window_rows(reader, window.box),
    ]
    return _image(window.planes[plane], rows, cutter.constant[window.band], primary=first is not None)


def _mask_rows(reference: BandWindow, cutter: Cutter) -> list[CardRow]:
    rows: list[CardRow] = [("EXTNAME", "MASK", "bits, see MASKBITS"), ("MASKBITS", _MASK_MEANING, "")]
    return rows + _window_rows(cutter.readers[reference.band], reference.box)


def _window_rows(grid: MosaicReader | SegmapReader | None, box: Box) -> list[CardRow]:
    if grid is None:
        return []
    crpix = grid.wcs.wcs.crpix
    return [
        ("CRPIX1", float(crpix[0]) - box.x0, "reference pixel, 1-based"),
        ("CRPIX2", float(crpix[1]) - box.y0, "reference pixel, 1-based"),
        ("CUTX0", box.x0, "first column in the mosaic, 0-based"),
        ("CUTY0", box.y0, "first row in the mosaic, 0-based"),
    ]


def _image(pixels: NDArray[Any], rows: list[CardRow], constant: str, *, primary: bool = False) -> bytes:
    start: list[CardRow] = [
        ("SIMPLE", True, "FITS") if primary else ("XTENSION", "IMAGE", "image extension"),
        ("BITPIX", _BITPIX[pixels.dtype.kind], ""),
        ("NAXIS", 2, ""),
        ("NAXIS1", pixels.shape[1], ""),
        ("NAXIS2", pixels.shape[0], ""),
    ]
    start += [("EXTEND", True, "")] if primary else [("PCOUNT", 0, ""), ("GCOUNT", 1, "")]
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False)
    return hdu_bytes(cards([*start, *rows]) + constant, big_endian.tobytes())


def _round(value: float) -> float:
    """Six digits: sums in another order or on another processor give the same text."""
    return float(f"{value:.6g}") if np.isfinite(value) else math.nan
