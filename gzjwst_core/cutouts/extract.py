"""One target's pixels out of a field's mosaics: each band on its own grid, the segments, and a mask.

Pixels are copied, never resampled; NaN stays where a mosaic has no data. What a FITS file of them looks like is
`fits`, how large the field of view is `fov`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.cutouts.fov import STATED
from gzjwst_core.cutouts.local_sky import LocalSky, grown, local_sky, sky_margin_px, sky_step
from gzjwst_core.cutouts.place import Placement, carried, place, window_box
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import MosaicReader
from gzjwst_core.mosaics.segmap import SegmapReader

T = TypeVar("T", bound=np.generic)

__all__ = ["BandWindow", "Extract", "MaskBit", "SegWindow", "Target", "enclosed", "extract"]

_WINGS_ARCSEC = 0.15


class MaskBit(IntFlag):
    """Bits of MASK (uint8), on the reference band's grid."""

    NO_DATA = 1  # the reference band has no data
    NO_DATA_OTHER = 2  # another band has none there (carried by WCS, nearest pixel)
    NEIGHBOUR = 4  # another source's segment
    TARGET = 8  # the target's own segment
    ENCLOSED = 16  # no data in the reference band, but wholly inside a source: a saturated core


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be cut out."""

    id_str: str
    field: str
    ra_deg: float
    dec_deg: float
    fov_arcsec: float
    segment_id: int = 0
    """Value of its pixels in the segmap; 0 = it has none."""
    fov_rule: str = STATED
    """Rule that the field of view follows, or `stated`."""
    size_arcsec: float = math.nan
    """What that rule measured; NaN if nothing."""
    floor_arcsec: float = math.nan
    """Least field of view that shows the whole of it; NaN where the rule has none."""


@dataclass(frozen=True, slots=True)
class BandWindow:
    """One band's pixels around a target."""

    band: str
    box: Box
    """Window in the mosaic."""
    at: Placement
    """The target, on the window's pixels."""
    planes: Mapping[str, NDArray[np.float32]]
    """SCI and ERR in uJy per pixel (NaN = no data), WHT (0 = no data), each (ny, nx)."""
    sky: LocalSky
    """uJy per pixel."""
    gaps: NDArray[np.bool_]
    """No data, in the wider window around `box` that the sky was measured in."""
    margin: int
    """Pixels between the edges of `gaps` and of `box`."""

    @property
    def coverage(self) -> float:
        """Part of the window's pixels with data."""
        return float(np.count_nonzero(np.isfinite(self.planes["SCI"])) / self.planes["SCI"].size)


@dataclass(frozen=True, slots=True)
class SegWindow:
    """The segmap around a target, wide enough for the sky of every band."""

    labels: NDArray[np.int32]
    light: NDArray[np.bool_]
    """Where sources and their wings are: not sky."""
    at: Placement
    """The target, on the pixels of `labels`."""
    box: Box
    """The part that is written, in the segmap's own pixels."""
    margin: int

    @property
    def inner(self) -> NDArray[np.int32]:
        """Labels within the field of view: every source keeps its own id."""
        return _inside(self.labels, self.margin)


@dataclass(frozen=True, slots=True)
class Extract:
    """Everything that a cutout file holds."""

    target: Target
    bands: Mapping[str, BandWindow]
    """In the order of the survey's bands."""
    reference: str
    seg: SegWindow | None
    mask: NDArray[np.uint8]
    """(ny, nx) of the reference band, bits of `MaskBit`."""

    @property
    def coverage(self) -> float:
        """Part of the reference band's window where every band has data."""
        return float(np.count_nonzero((self.mask & 3) == 0) / self.mask.size)


def extract(
    target: Target,
    readers: Mapping[str, MosaicReader],
    segmap: SegmapReader | None,
    *,
    reference: str,
    planes: tuple[str, ...] = (),
) -> Extract | None:
    """Cut one target out of every band.

    Parameters
    ----------
    target
        Position, field of view, segment.
    readers
        Open mosaics by band, in the order of the survey's bands.
    segmap
        Labels on the detection grid; None where nothing was detected.
    reference
        Band whose grid carries the mask; one of `readers`.
    planes
        Further planes (`ERR`, `WHT`); those a mosaic does not have are left out.

    Returns
    -------
    Extract or None
        None when no band has a single pixel with data in the window.
    """
    seg = _cut_segmap(target, segmap)
    cut = {band: _cut_band(target, reader, seg, planes) for band, reader in readers.items()}
    bands = {band: window for band, window in cut.items() if window is not None}
    if reference not in bands or all(window.coverage == 0 for window in bands.values()):
        return None
    mask = _mask(target, bands, reference, seg)
    return Extract(target=target, bands=bands, reference=reference, seg=seg, mask=mask)


def _cut_segmap(target: Target, segmap: SegmapReader | None) -> SegWindow | None:
    at = None if segmap is None else place(segmap.wcs, target.ra_deg, target.dec_deg)
    if segmap is None or at is None:
        return None
    box = window_box(at, target.fov_arcsec)
    margin = sky_margin_px(target.fov_arcsec, at.scale_arcsec)
    wide = box.grow(margin)
    labels = segmap.window(wide)
    light = grown(labels != 0, round(_WINGS_ARCSEC / at.scale_arcsec))
    return SegWindow(labels=labels, light=light, at=at.inside(wide), box=box, margin=margin)


def _cut_band(
    target: Target, reader: MosaicReader, seg: SegWindow | None, planes: tuple[str, ...]
) -> BandWindow | None:
    at = place(reader.wcs, target.ra_deg, target.dec_deg)
    if at is None:
        return None
    box = window_box(at, target.fov_arcsec)
    margin = sky_margin_px(target.fov_arcsec, at.scale_arcsec)
    wide = reader.windows(box.grow(margin))
    found = {"SCI": wide.sci, "ERR": wide.err, "WHT": wide.wht}
    return BandWindow(
        band=reader.band,
        box=box,
        at=at.inside(box),
        planes={p: _inside(pixels, margin) for p in ("SCI", *planes) if (pixels := found[p]) is not None},
        sky=_sky_of(wide.sci, at.inside(box.grow(margin)), seg),
        gaps=~np.isfinite(wide.sci),
        margin=margin,
    )


def _inside(wide: NDArray[T], margin: int) -> NDArray[T]:
    return np.ascontiguousarray(wide[margin:-margin, margin:-margin])


def _sky_of(wide: NDArray[np.float32], at: Placement, seg: SegWindow | None) -> LocalSky:
    step = sky_step(wide.shape)
    pixels = wide[::step, ::step]
    if seg is None:
        return local_sky(pixels, np.zeros(pixels.shape, dtype=np.bool_))
    return local_sky(pixels, carried(seg.light, seg.at, at, wide.shape, step=step))


def _mask(target: Target, bands: Mapping[str, BandWindow], reference: str, seg: SegWindow | None) -> NDArray[np.uint8]:
    home = bands[reference]
    empty = ~np.isfinite(home.planes["SCI"])
    mask = np.where(empty, MaskBit.NO_DATA, 0).astype(np.uint8)
    for band, other in bands.items():
        if band != reference and other.gaps.any():
            _mark(mask, _gaps_on(other, home.at, mask.shape), MaskBit.NO_DATA_OTHER)
    if seg is not None:
        labels = carried(seg.labels, seg.at, home.at, mask.shape)
        _mark(mask, (labels != 0) & (labels != target.segment_id), MaskBit.NEIGHBOUR)
        if target.segment_id:
            _mark(mask, labels == target.segment_id, MaskBit.TARGET)
        _mark(mask, enclosed(empty, labels != 0), MaskBit.ENCLOSED)
    return mask


def _mark(mask: NDArray[np.uint8], where: NDArray[np.bool_], bit: MaskBit) -> None:
    mask[where] |= np.uint8(bit)


def _gaps_on(other: BandWindow, to: Placement, shape: tuple[int, int]) -> NDArray[np.bool_]:
    wide_box = Box(-other.margin, 0, -other.margin, 0)  # only its origin counts
    gaps: NDArray[np.bool_] = carried(other.gaps, other.at.inside(wide_box), to, shape)
    return gaps


def enclosed(empty: NDArray[np.bool_], sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels without data that lie wholly inside sources: saturated cores, not gaps.

    Parameters
    ----------
    empty
        (ny, nx), True = no data.
    sources
        Same shape, True = some source's segment; holes in segments are filled first, since detection leaves pixels
        without data out of them.

    Returns
    -------
    ndarray of bool
        True for each connected group of empty pixels of which none lies outside the sources.

    Notes
    -----
    A chip gap that crosses a galaxy leaves it on both sides, and so is none.
    """
    if not empty.any():
        return np.zeros(empty.shape, dtype=np.bool_)
    inside = ndimage.binary_fill_holes(sources)
    groups, count = ndimage.label(empty)
    leaves = np.zeros(count + 1, dtype=np.bool_)
    leaves[groups[empty & ~inside]] = True
    leaves[0] = True
    core: NDArray[np.bool_] = ~leaves[groups]
    return core
