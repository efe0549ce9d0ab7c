"""The noise of sums of pixels, from apertures on empty sky: off every segment, in every band and the detection image.

It is measured when sources are known: a mask made from the same pixels would cut off the noise's own peaks. Work items
open mosaics and the segmap themselves; the arithmetic is in `noise` and `depth`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.detection.background import source_mask
from gzjwst_core.detection.calibrated_frame import Frame, band_frame
from gzjwst_core.detection.depth import DETECTION, DepthMap, Lattice, SkyNoise, stacked_noise
from gzjwst_core.detection.noise import Apertures, empty_apertures, fit_noise_laws
from gzjwst_core.detection.noise_model import Learned, source_scale
from gzjwst_core.detection.regrid import box_on, carry_labels
from gzjwst_core.detection.tiles import DetectionPlan, detection_frame
from gzjwst_core.mosaics.geometry import Box, fit_affine, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.runs.engine import CpuMap

__all__ = ["FieldNoise", "SkyTile", "circles", "measure_noise", "sky_window", "with_laws"]

_RADII_ARCSEC = (0.1, 0.15, 0.25, 0.4, 0.6, 0.9)
_BRIGHT_SIGMA, _BRIGHT_UNSEEN_SIGMA = 5.0, 2.5
"""What is above this without a segment is no empty sky either: sources where the detection image has no data, or where
nothing was detected at all."""


@dataclass(frozen=True)
class FieldNoise:
    """What the noise of a field is."""

    bands: tuple[Learned, ...]
    """With their noise laws; small enough to send to a worker."""
    detection: SkyNoise
    """Of the detection image."""
    maps: tuple[DepthMap, ...]
    """Of the bands, then of the detection image."""


@dataclass(frozen=True, slots=True)
class SkyTile:
    """A tile of a mosaic whose empty sky is looked at."""

    plan: DetectionPlan
    learned: Learned | None
    """None for the detection image."""
    segmap: str
    """Empty where nothing was detected."""
    box: Box

    @property
    def scale_arcsec(self) -> float:
        """Side of a pixel."""
        return self.plan.scale_arcsec if self.learned is None else self.learned.grid.scale_arcsec


def measure_noise(
    plan: DetectionPlan, learned: Mapping[str, Learned], segmap: Path | None, *, cpu_map: CpuMap
) -> FieldNoise:
    """Measure the noise of sums of pixels on a field.

    Parameters
    ----------
    plan
        Calibrated.
    learned
        Bands, with their lattices.
    segmap
        Of the field; None where nothing was detected: sources are then what is above 2.5 sigma.
    cpu_map
        Where the work runs.

    Notes
    -----
    Circles are spread over at most 12 tiles of each mosaic. They keep off segments, gaps, and what is brighter than 5
    sigma without a segment; the wings of sources and what is too faint to be detected is part of the noise, as it is in
    a source's own aperture.
    """
    slim = {band: one.slim() for band, one in learned.items()}
    wcs = {band: _wcs(plan, one) for band, one in learned.items()}
    first = plan.bands[0]
    grids = {band: one.grid for band, one in learned.items()} | {DETECTION: first.grid}
    lattices = {band: one.lattice for band, one in learned.items()} | {DETECTION: _stack(plan, learned, wcs)}
    boxes = {band: one.sample for band, one in learned.items()} | {DETECTION: first.sample}
    items = [SkyTile(plan, slim.get(name), str(segmap or ""), box) for name, chosen in boxes.items() for box in chosen]
    results = iter(list(cpu_map(_look, items)))
    noise = {}
    for name, lattice in lattices.items():
        parts = [next(results) for _ in boxes[name]]
        noise[name] = with_laws(lattice.coarse(), lattice.median, parts, grids[name].scale_arcsec)
    wcs[DETECTION] = wcs[first.source.band]
    maps = [DepthMap(n, lattices[n], noise[n].laws, grids[n].scale_arcsec, wcs[n]) for n in boxes]
    bands = tuple(replace(one, model=replace(one.model, noise=noise[band])) for band, one in slim.items())
    return FieldNoise(bands, noise[DETECTION], tuple(maps))


def _wcs(plan: DetectionPlan, learned: Learned) -> WCS:
    with open_mosaic(learned.source, plan.mosaics, check=False) as reader:
        return reader.wcs


def _stack(plan: DetectionPlan, learned: Mapping[str, Learned], wcs: Mapping[str, WCS]) -> Lattice:
    """Noise of the detection image, from that of its bands."""
    names = [one.source.band for one in plan.bands]
    maps = [fit_affine(wcs[names[0]], wcs[name], whole(plan.shape)) for name in names[1:]]
    return stacked_noise([learned[name].lattice for name in names], maps, plan.err_factor)


def _look(tile: SkyTile) -> list[Apertures]:
    frame, taken = sky_window(tile)
    return circles(frame, taken, tile)


def sky_window(tile: SkyTile) -> tuple[Frame, NDArray[np.bool_]]:
    """Read a window and tell which of its pixels are no empty sky: segments, and what is bright without one.

    Returns
    -------
    frame, taken
        (ny, nx) of the tile's box, which may reach beyond the mosaic; pixels without data are not `taken`.
    """
    frame, labels = _window(tile)
    smooth_px, grow_px = source_scale(tile.scale_arcsec)
    level = _BRIGHT_SIGMA if tile.segmap else _BRIGHT_UNSEEN_SIGMA
    good = ~frame.bad
    bright = source_mask(frame.sub, good, frame.err, smooth_px=smooth_px, grow_px=grow_px, threshold=level)
    return frame, bright | (labels > 0)


def circles(frame: Frame, taken: NDArray[np.bool_], tile: SkyTile) -> list[Apertures]:
    """Measure empty apertures on a tile's window; centres in pixels of the mosaic."""
    found = empty_apertures(frame.sub, frame.err, frame.bad | taken, _radii_px(tile.scale_arcsec))
    return [replace(one, y=one.y + np.float32(tile.box.y0), x=one.x + np.float32(tile.box.x0)) for one in found]


def _window(tile: SkyTile) -> tuple[Frame, NDArray[np.int32]]:
    """Return a window, and the labels there, carried to a band's own grid."""
    if tile.learned is None:
        frame, wcs = detection_frame(tile.plan, tile.box), None
    else:
        with open_mosaic(tile.learned.source, tile.plan.mosaics, check=False) as reader:
            frame, wcs = band_frame(reader.windows(tile.box), tile.learned.model, tile.box), reader.wcs
    if not tile.segmap:
        return frame, np.zeros(tile.box.shape, dtype=np.int32)
    with open_segmap(Path(tile.segmap)) as segmap:
        if wcs is None:
            return frame, segmap.window(tile.box)
        affine = fit_affine(wcs, segmap.wcs, tile.box)
        there = box_on(affine, tile.box)
        return frame, carry_labels(segmap.window(there), there, tile.box, affine)


def _radii_px(scale_arcsec: float) -> list[float]:
    """Return the radii of the empty apertures in pixels: 0.1 to 0.9 arcsec."""
    return [radius / scale_arcsec for radius in _RADII_ARCSEC]


def with_laws(sky: SkyNoise, median: float, parts: Sequence[Sequence[Apertures]], scale_arcsec: float) -> SkyNoise:
    """Fit the noise laws to empty apertures.

    Parameters
    ----------
    sky
        Noise of a pixel over the mosaic.
    median
        Its median, uJy.
    parts
        Of each tile, the apertures of each radius.
    scale_arcsec
        Side of a pixel.
    """
    by_radius = list(zip(*parts, strict=True))
    samples = [np.concatenate([one.ratio for one in same]) for same in by_radius]
    sigmas = [np.concatenate([sky.sigma_at(one.y, one.x) for one in same]) for same in by_radius]
    return replace(sky, laws=fit_noise_laws(samples, sigmas, _radii_px(scale_arcsec), median))
