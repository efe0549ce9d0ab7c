"""Detection tile by tile: work items, ownership of objects, and the field's segmap.

A tile owns the objects whose filtered peak lies on it: an integer pixel that every window showing the whole object
agrees on, so that nothing is found twice or lost at a seam. A tile looks again with a wider margin while something it
owns hangs together with pixels its window cuts. Opening and reading is done here, arithmetic in `detect`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame, band_frame
from gzjwst_core.detection.chi_mean import chi_mean, smoothed_snr
from gzjwst_core.detection.detect import Extraction, area_px, combine, extract, fill_cores, kernel_for, touches_edge
from gzjwst_core.detection.hot_cold import linked_pixels, merge_passes
from gzjwst_core.detection.noise_model import Learned
from gzjwst_core.detection.regrid import aligned_shift, box_on, resample
from gzjwst_core.errors import CatalogError
from gzjwst_core.mosaics.geometry import Box, fit_affine, tiles
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import SegmapWriter
from gzjwst_core.options import DetectOptions, MosaicOptions
from gzjwst_core.runs.engine import CpuMap

__all__ = [
    "BLOCK_PX",
    "OBJECT_DTYPE",
    "Detected",
    "DetectionPlan",
    "band_frames",
    "detect_field",
    "detection_frame",
    "stacked",
]

_log = logging.getLogger(__name__)
_WIDEST_HALO_PX = 1024
BLOCK_PX = 16
_FLOATS = ("x", "y", "a", "b", "theta")
OBJECT_DTYPE = np.dtype([("id", np.int32), ("tile", np.int32), ("flag", np.int32), *((n, float) for n in _FLOATS)])


@dataclass(frozen=True)
class DetectionPlan:
    """What a worker needs to make any window of the detection image, and to detect on it."""

    bands: tuple[Learned, ...]
    """Detection bands; the first one's grid is the detection grid."""
    mosaics: MosaicOptions
    options: DetectOptions
    err_factor: float = 1.0
    """Calibration of the stack's noise."""
    sigma: float = float("nan")
    """Median noise of a pixel of the stack, uJy."""
    filter_noise: float = 1.0
    """Noise of the filtered stack in units of a pixel's."""
    band_noise: tuple[float, ...] = ()
    """Noise of each band's filtered signal to noise (chi-mean alone)."""
    roughness: float = 0.0
    """Variance of the difference of neighbouring pixels of such an image, in units of its own (chi-mean alone)."""
    cold_noise: float = 1.0
    """As `filter_noise`, with the kernel of the cold pass (two passes alone)."""
    v3_deg: float | None = None
    """Position angle of the telescope's V3 axis, where the first band's header states it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the detection grid."""
        return self.bands[0].grid.shape

    @property
    def scale_arcsec(self) -> float:
        """Pixel scale of the detection grid."""
        return self.bands[0].grid.scale_arcsec

    def kernel(self, options: DetectOptions) -> NDArray[np.float32]:
        """Return a pass's detection kernel on the detection grid."""
        return kernel_for(options, self.scale_arcsec, self.bands[0].grid.stretch)


@dataclass(frozen=True, slots=True)
class _Item:
    plan: DetectionPlan
    tile: Box


@dataclass(frozen=True, slots=True)
class _Runs:
    """Non-zero labels of a window: first flat index, length and label of each run."""

    starts: NDArray[np.int32]
    lengths: NDArray[np.int32]
    labels: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Found:
    """Objects a tile owns, and their pixels as runs along rows."""

    objects: NDArray[Any]
    box: Box
    runs: "_Runs"
    empty_blocks: NDArray[np.int32]
    """(n, 2) row and column of the 16-pixel blocks of its area in which some pixel has no data."""
    saturated: bool = False
    """It is above the threshold nearly everywhere: nothing was detected."""


@dataclass(frozen=True)
class Detected:
    """All objects of a field; positions on the detection grid."""

    objects: NDArray[Any]
    """`OBJECT_DTYPE`: segment id, index of the tile that owns it, SEP's flag, centre, axes (pixels), angle."""
    tiles: tuple[Box, ...]
    empty_blocks: NDArray[np.bool_]
    """Blocks of 16 pixels in which some pixel has no data."""
    saturated: int = 0
    """Tiles that are above the threshold nearly everywhere: nothing was detected there."""


def detection_frame(plan: DetectionPlan, box: Box) -> Frame:
    """Make a window of the inverse-variance stack, which is what sources are measured on.

    Parameters
    ----------
    plan
        Bands and their models.
    box
        On the detection grid; may reach beyond it.

    Returns
    -------
    Frame
        uJy per pixel of the detection grid.
    """
    return stacked(plan, band_frames(plan, box))


def band_frames(plan: DetectionPlan, box: Box) -> list[Frame]:
    """Make a window of every detection band, on the detection grid."""
    first = plan.bands[0]
    with open_mosaic(first.source, plan.mosaics, check=False) as reader:
        wcs = reader.wcs
        frames = [band_frame(reader.windows(box), first.model, box)]
    for learned in plan.bands[1:]:
        with open_mosaic(learned.source, plan.mosaics, check=False) as reader:
            frames.append(_on_grid(reader, learned, wcs, box))
    return frames


def stacked(plan: DetectionPlan, frames: list[Frame]) -> Frame:
    """Stack a window of the detection bands, its noise calibrated."""
    stack = combine(frames)
    return Frame(stack.sub, stack.err * np.float32(plan.err_factor), stack.bad)


def _on_grid(reader: MosaicReader, learned: Learned, wcs: WCS, box: Box) -> Frame:
    affine = fit_affine(wcs, reader.wcs, box)
    shift = aligned_shift(affine)
    if shift is not None:
        there = box.shift(*shift)
        return band_frame(reader.windows(there), learned.model, there)
    there = box_on(affine, box)
    return resample(band_frame(reader.windows(there), learned.model, there), there, box, affine)


def detect_field(plan: DetectionPlan, segmap_path: Path, *, cpu_map: CpuMap) -> Detected:
    """Detect on every tile and write the segmap.

    Parameters
    ----------
    plan
        The detection image and how to detect.
    segmap_path
        A temporary path; the file is complete when this returns.
    cpu_map
        Where the work runs; ids do not depend on it.

    Raises
    ------
    CatalogError
        SEP failed, or tiles are above the threshold nearly everywhere and others hold no source (`saturated`).
    """
    boxes = tuple(tiles(plan.shape, plan.options.tile_px))
    first = plan.bands[0]
    with open_mosaic(first.source, plan.mosaics, check=False) as reader:
        wcs = reader.wcs
    parts: list[NDArray[Any]] = []
    last = saturated = 0
    blocks = np.zeros((-(-plan.shape[0] // BLOCK_PX), -(-plan.shape[1] // BLOCK_PX)), dtype=bool)
    with SegmapWriter(segmap_path, plan.shape, wcs) as segmap:
        for number, found in enumerate(cpu_map(_detect_tile, [_Item(plan, box) for box in boxes])):
            objects = found.objects
            objects["tile"] = number
            objects["id"] += last
            segmap.write(found.box, _labelled(found, last))
            parts.append(objects)
            last += len(objects)
            saturated += found.saturated
            blocks[tuple(found.empty_blocks.T)] = True
    if saturated:
        said = f"{first.source.field}: {saturated} of {len(boxes)} tiles are above the threshold nearly everywhere"
        if last == 0:
            raise CatalogError(f"{said}, and there is no source elsewhere", reason="saturated")
        _log.warning("%s: nothing was detected there", said)
    return Detected(np.concatenate(parts), boxes, blocks, saturated)


def _labelled(found: _Found, last: int) -> NDArray[np.int32]:
    runs = found.runs
    labels = np.zeros(found.box.shape[0] * found.box.shape[1], dtype=np.int32)
    ends = np.cumsum(runs.lengths)
    within = np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - runs.lengths, runs.lengths)
    labels[np.repeat(runs.starts, runs.lengths) + within] = np.repeat(runs.labels + last, runs.lengths)
    return labels.reshape(found.box.shape)


def _detect_tile(item: _Item) -> _Found:
    plan, tile = item.plan, item.tile
    margin = plan.options.cold_margin_arcsec / plan.scale_arcsec
    for halo in _halos(plan.options.halo_px):
        box = tile.grow(halo).clip(plan.shape)
        frames = band_frames(plan, box)
        frame = stacked(plan, frames)
        empty = _empty_blocks(frame.bad, box, tile)
        if frame.bad.all():
            return _nothing(box, empty)
        try:
            passes = _passes(plan, frames, frame)
        except CatalogError as error:
            if error.reason != "saturated":
                raise
            return _nothing(box, empty, saturated=True)
        linked = linked_pixels(passes, margin)
        if not any(_unsure(found, linked, item, box) for found in passes):
            break
    found = merge_passes(passes, margin)
    return _collect(found.objects, np.where(frame.bad, 0, found.labels), _owned(found, tile, box), box, empty)


def _passes(plan: DetectionPlan, frames: list[Frame], frame: Frame) -> list[Extraction]:
    """Extract once, or cold and hot; the cold pass looks at the stack, whatever the hot one looks at."""
    options, scale = plan.options, plan.scale_arcsec
    whole = fill_cores(frame, scale)
    rms = plan.sigma if options.noise == "scalar" else None
    passes = []
    if options.passes == "hot+cold":
        passes.append(
            extract(whole, options.cold, scale, kernel=plan.kernel(options.cold), filter_noise=plan.cold_noise, rms=rms)
        )
    if options.combine == "chi-mean":
        passes.append(extract(_chi(plan, frames), options, scale, filtered=True))
    else:
        passes.append(
            extract(whole, options, scale, kernel=plan.kernel(options), filter_noise=plan.filter_noise, rms=rms)
        )
    return passes


def _chi(plan: DetectionPlan, frames: list[Frame]) -> Frame:
    kernel = plan.kernel(plan.options)
    filled = [fill_cores(frame, plan.scale_arcsec) for frame in frames]
    snrs = [smoothed_snr(f, kernel) / np.float32(noise) for f, noise in zip(filled, plan.band_noise, strict=True)]
    island = plan.roughness * area_px(plan.options, plan.scale_arcsec) / (2 * np.pi)
    return chi_mean(snrs, [frame.bad for frame in filled], plan.options.threshold, island)


def _unsure(found: Extraction, linked: NDArray[np.bool_], item: _Item, box: Box) -> bool:
    """Tell whether something the tile owns may look different in a wider window."""
    ny, nx = item.plan.shape
    sides = (box.y0 > 0, box.y1 < ny, box.x0 > 0, box.x1 < nx)
    touched = touches_edge(found.labels, len(found.objects), sides, linked)
    return bool((_owned(found, item.tile, box) & touched).any())


def _owned(found: Extraction, tile: Box, box: Box) -> NDArray[np.bool_]:
    return tile.holds(found.objects["ycpeak"] + box.y0, found.objects["xcpeak"] + box.x0)


def _empty_blocks(bad: NDArray[np.bool_], box: Box, tile: Box) -> NDArray[np.int32]:
    rows, columns = np.nonzero(bad[tile.shift(-box.y0, -box.x0).slices])
    pairs = np.column_stack([(rows + tile.y0) // BLOCK_PX, (columns + tile.x0) // BLOCK_PX])
    return np.unique(pairs, axis=0).astype(np.int32)


def _halos(first: int) -> Iterator[int]:
    halo = first
    yield halo
    while halo < _WIDEST_HALO_PX:
        halo *= 2
        yield halo


def _nothing(box: Box, empty: NDArray[np.int32], *, saturated: bool = False) -> _Found:
    return _Found(np.zeros(0, dtype=OBJECT_DTYPE), box, _runs(np.zeros(0, dtype=np.int32)), empty, saturated)


def _collect(
    objects: NDArray[Any], labels: NDArray[np.int32], owned: NDArray[np.bool_], box: Box, empty: NDArray[np.int32]
) -> _Found:
    """Keep what the tile owns and has pixels, in order of the peaks; ids from 1."""
    owned &= np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:] > 0
    rows = np.flatnonzero(owned)
    rows = rows[np.lexsort((objects["xcpeak"][rows], objects["ycpeak"][rows]))]
    kept = np.zeros(len(rows), dtype=OBJECT_DTYPE)
    kept["id"] = np.arange(1, len(rows) + 1)
    for name in ("flag", *_FLOATS):
        kept[name] = objects[name][rows]
    # half a turn as float32 is a hair more than as float64, which sep refuses
    kept["theta"] = np.clip(kept["theta"], -np.pi / 2, np.pi / 2)
    kept["x"] += box.x0
    kept["y"] += box.y0
    renumber = np.zeros(len(objects) + 1, dtype=np.int32)
    renumber[rows + 1] = kept["id"]
    return _Found(kept, box, _runs(renumber[labels].ravel()), empty)


def _runs(labels: NDArray[np.int32]) -> _Runs:
    edges = np.flatnonzero(np.diff(labels, prepend=0, append=0))
    begins, ends = edges[:-1], edges[1:]
    on = labels[begins] > 0 if begins.size else np.zeros(0, dtype=bool)
    begins, ends = begins[on], ends[on]
    return _Runs(begins.astype(np.int32), (ends - begins).astype(np.int32), labels[begins])
