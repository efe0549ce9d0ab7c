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

from gzjwst_core.catalog.background import source_mask
from gzjwst_core.catalog.carry import box_on, carry_labels
from gzjwst_core.catalog.depth import DETECTION, DepthMap, Lattice, SkyNoise, stacked_noise
from gzjwst_core.catalog.frames import Frame, band_frame
from gzjwst_core.catalog.learn import Learned, source_scale
from gzjwst_core.catalog.noise import Apertures, empty_apertures, fit_noise_laws
from gzjwst_core.catalog.tiles import DetectionPlan, detection_frame
from gzjwst_core.engine import CpuMap
from gzjwst_core.mosaics.geometry import Box, fit_affine, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap

__all__ = ["FieldNoise", "measure_noise", "radii_px"]

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
class _Item:
    plan: DetectionPlan
    learned: Learned | None
    """None for the detection image."""
    segmap: str
    """Empty where nothing was detected."""
    box: Box


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
    items = [_Item(plan, slim.get(name), str(segmap or ""), box) for name, chosen in boxes.items() for box in chosen]
    results = iter(list(cpu_map(_look, items)))
    noise = {
        name: _fit(lattices[name], [next(results) for _ in boxes[name]], grids[name].scale_arcsec) for name in boxes
    }
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


def _look(item: _Item) -> list[Apertures]:
    frame, labels = _window(item)
    scale = item.plan.scale_arcsec if item.learned is None else item.learned.grid.scale_arcsec
    smooth_px, grow_px = source_scale(scale)
    level = _BRIGHT_SIGMA if item.segmap else _BRIGHT_UNSEEN_SIGMA
    good = ~frame.bad
    bright = source_mask(frame.sub, good, frame.err, smooth_px=smooth_px, grow_px=grow_px, threshold=level)
    found = empty_apertures(frame.sub, frame.err, frame.bad | bright | (labels > 0), radii_px(scale))
    return [replace(one, y=one.y + np.float32(item.box.y0), x=one.x + np.float32(item.box.x0)) for one in found]


def _window(item: _Item) -> tuple[Frame, NDArray[np.int32]]:
    """Return a window, and the labels there, carried to a band's own grid."""
    if item.learned is None:
        frame, wcs = detection_frame(item.plan, item.box), None
    else:
        with open_mosaic(item.learned.source, item.plan.mosaics, check=False) as reader:
            frame, wcs = band_frame(reader.windows(item.box), item.learned.model, item.box), reader.wcs
    if not item.segmap:
        return frame, np.zeros(item.box.shape, dtype=np.int32)
    with open_segmap(Path(item.segmap)) as segmap:
        if wcs is None:
            return frame, segmap.window(item.box)
        affine = fit_affine(wcs, segmap.wcs, item.box)
        there = box_on(affine, item.box)
        return frame, carry_labels(segmap.window(there), there, item.box, affine)


def radii_px(scale_arcsec: float) -> list[float]:
    """Return the radii of the empty apertures in pixels: 0.1 to 0.9 arcsec."""
    return [radius / scale_arcsec for radius in _RADII_ARCSEC]


def _fit(lattice: Lattice, parts: Sequence[Sequence[Apertures]], scale_arcsec: float) -> SkyNoise:
    coarse = lattice.coarse()
    samples = [np.concatenate([one.ratio for one in of_radius]) for of_radius in zip(*parts, strict=True)]
    sigmas = [
        np.concatenate([coarse.sigma_at(one.y, one.x) for one in of_radius]) for of_radius in zip(*parts, strict=True)
    ]
    laws = fit_noise_laws(samples, sigmas, radii_px(scale_arcsec), lattice.median)
    return replace(coarse, laws=laws)
