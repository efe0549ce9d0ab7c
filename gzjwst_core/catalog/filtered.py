"""Noise of filtered images on empty sky, for the recipes that filter more than the stack: chi-mean, and the cold pass.

The work items open mosaics through `tiles`; the arithmetic is in `chi` and `noise`. The stack itself is calibrated in
`calibrate`, before this.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from gzjwst_core.catalog.background import source_mask
from gzjwst_core.catalog.chi import smoothed_snr
from gzjwst_core.catalog.detect import kernel_for
from gzjwst_core.catalog.frames import Frame
from gzjwst_core.catalog.learn import source_scale
from gzjwst_core.catalog.noise import mad_sigma
from gzjwst_core.catalog.tiles import DetectionPlan, band_frames, stacked
from gzjwst_core.engine import CpuMap
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.mosaics.geometry import Box

__all__ = ["calibrate_filters"]

_SAMPLES = 50_000

Values = NDArray[np.float32]
_NONE: Values = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Item:
    plan: DetectionPlan
    box: Box


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Signal to noise on the empty sky of one tile."""

    bands: list[Values]
    """Of each band, filtered (chi-mean alone)."""
    steps: Values
    """Between neighbouring pixels of the first band (chi-mean alone)."""
    cold: Values
    """Of the stack, filtered with the cold kernel."""


def calibrate_filters(plan: DetectionPlan, *, cpu_map: CpuMap) -> DetectionPlan:
    """Measure what the recipe needs beyond the stack's own noise.

    Parameters
    ----------
    plan
        With a calibrated stack.
    cpu_map
        Where the work runs.

    Returns
    -------
    DetectionPlan
        With `band_noise` and `roughness` for chi-mean and `cold_noise` for two passes; as it was for the other recipes.

    Raises
    ------
    NoValidPixelsError
        The stack, or for chi-mean the first band, has no empty sky.
    """
    options = plan.options
    if options.combine != "chi-mean" and options.passes == "single":
        return plan
    found = list(cpu_map(_look, [_Item(plan, box) for box in plan.bands[0].sample]))
    cold = mad_sigma(np.concatenate([f.cold for f in found]))
    if not cold > 0:
        raise NoValidPixelsError(f"{plan.bands[0].source.field}: the detection image has no empty sky")
    plan = replace(plan, cold_noise=cold)
    return _with_bands(plan, found) if options.combine == "chi-mean" else plan


def _with_bands(plan: DetectionPlan, found: Sequence[_Quiet]) -> DetectionPlan:
    """Take a band that has no empty sky on these tiles as calibrated: it may have some elsewhere."""
    noises = [mad_sigma(np.concatenate(values)) for values in zip(*(f.bands for f in found), strict=True)]
    steps = mad_sigma(np.concatenate([f.steps for f in found]))
    if not (noises[0] > 0 and steps >= 0):
        raise NoValidPixelsError(f"{plan.bands[0].source.field}: the first detection band has no empty sky")
    bands = tuple(noise if noise > 0 else 1.0 for noise in noises)
    return replace(plan, band_noise=bands, roughness=(steps / noises[0]) ** 2)


def _look(item: _Item) -> _Quiet:
    plan = item.plan
    frames = band_frames(plan, item.box)
    stack = stacked(plan, frames)
    smooth_px, grow_px = source_scale(plan.scale_arcsec)
    sources = source_mask(stack.sub, ~stack.bad, stack.err, smooth_px=smooth_px, grow_px=grow_px)
    bands, steps = _filtered(plan, frames, sources) if plan.options.combine == "chi-mean" else ([], _NONE)
    cold = convolve(stack.sub, kernel_for(plan.options.cold, plan.scale_arcsec), mode="nearest")
    quiet = ~stack.bad & ~sources
    return _Quiet(bands, steps, _thinned(np.divide(cold, stack.err, out=np.zeros_like(cold), where=quiet), quiet))


def _filtered(plan: DetectionPlan, frames: list[Frame], sources: NDArray[np.bool_]) -> tuple[list[Values], Values]:
    kernel = kernel_for(plan.options, plan.scale_arcsec)
    smooth = [smoothed_snr(frame, kernel) for frame in frames]
    empty = [~frame.bad & ~sources for frame in frames]
    steps = _thinned(np.diff(smooth[0], axis=1), empty[0][:, 1:] & empty[0][:, :-1])
    return [_thinned(snr, quiet) for snr, quiet in zip(smooth, empty, strict=True)], steps


def _thinned(values: Values, quiet: NDArray[np.bool_]) -> Values:
    chosen = values[quiet]
    return chosen[:: max(chosen.size // _SAMPLES, 1)]
