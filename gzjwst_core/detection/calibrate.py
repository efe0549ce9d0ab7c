"""Calibrate the detection image: its noise map, and the noise after filtering.

A stack of calibrated bands is nearly calibrated; resampling one of them, and noise the bands share, leave a factor.
The work items open mosaics through `tiles.band_frames`; the arithmetic is in `noise` and `filtered`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from gzjwst_core.detection.background import source_mask
from gzjwst_core.detection.filtered_noise import FilteredSky, filtered_sky, with_filters
from gzjwst_core.detection.noise import mad_sigma
from gzjwst_core.detection.noise_model import source_scale
from gzjwst_core.detection.tiles import DetectionPlan, band_frames, stacked
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.runs.engine import CpuMap

__all__ = ["calibrate"]

_SAMPLES = 50_000


@dataclass(frozen=True, slots=True)
class _Item:
    plan: DetectionPlan
    box: Box


@dataclass(frozen=True, slots=True)
class _Quiet:
    """What empty sky on one tile says."""

    snr: NDArray[np.float32]
    filtered: NDArray[np.float32]
    err: NDArray[np.float32]
    more: FilteredSky
    """For recipes that filter more than the stack."""


def calibrate(plan: DetectionPlan, *, cpu_map: CpuMap) -> DetectionPlan:
    """Measure the noise of the detection image on empty sky.

    Parameters
    ----------
    plan
        Not calibrated.
    cpu_map
        Where the work runs.

    Returns
    -------
    plan
        With its `err_factor`, `sigma` and `filter_noise`, and what `filtered.with_filters` adds.

    Raises
    ------
    NoValidPixelsError
        There is no empty sky; for chi-mean, none in the first band.
    """
    found = list(cpu_map(_look, [_Item(plan, box) for box in plan.bands[0].sample]))
    factor = mad_sigma(np.concatenate([f.snr for f in found]))
    filtered = mad_sigma(np.concatenate([f.filtered for f in found]))
    if not (factor > 0 and filtered > 0):
        raise NoValidPixelsError(f"{plan.bands[0].source.field}: the detection image has no empty sky")
    sigma = factor * float(np.median(np.concatenate([f.err for f in found])))
    plan = replace(plan, err_factor=factor, sigma=sigma, filter_noise=filtered / factor)
    return with_filters(plan, [f.more for f in found])


def _look(item: _Item) -> _Quiet:
    plan = item.plan
    frames = band_frames(plan, item.box)
    frame = stacked(plan, frames)
    smooth_px, grow_px = source_scale(plan.scale_arcsec)
    sources = source_mask(frame.sub, ~frame.bad, frame.err, smooth_px=smooth_px, grow_px=grow_px)
    quiet = ~(frame.bad | sources)
    kernel = plan.kernel(plan.options)
    smooth = convolve(frame.sub, kernel, mode="nearest")
    step = max(int(quiet.sum()) // _SAMPLES, 1)
    err = frame.err[quiet][::step]
    more = filtered_sky(plan, frames, frame, sources)
    return _Quiet(frame.sub[quiet][::step] / err, smooth[quiet][::step] / err, err, more)
