"""Noise of filtered images on empty sky, for the recipes that filter more than the stack: chi-mean, and the cold pass.

The work items open mosaics through `tiles`; the arithmetic is in `chi` and `noise`. The stack itself is calibrated in
`calibrate`, before this.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from gzjwst_core.catalog.background import source_mask
from gzjwst_core.catalog.chi import smoothed_snr
from gzjwst_core.catalog.detect import kernel_for
from gzjwst_core.catalog.learn import source_scale
from gzjwst_core.catalog.noise import mad_sigma
from gzjwst_core.catalog.tiles import DetectionPlan, band_frames, stacked
from gzjwst_core.engine import CpuMap
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.mosaics.geometry import Box

__all__ = ["calibrate_filters"]

_SAMPLES = 50_000

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Item:
    plan: DetectionPlan
    box: Box


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Signal to noise on the empty sky of one tile."""

    bands: list[Values]
    """Of each band, filtered."""
    steps: Values
    """Between neighbouring pixels of the first band."""
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
        A detection band has no empty sky.
    """
    options = plan.options
    if options.combine != "chi-mean" and options.passes == "single":
        return plan
    found = list(cpu_map(_look, [_Item(plan, box) for box in plan.bands[0].sample]))
    bands = tuple(mad_sigma(np.concatenate(values)) for values in zip(*(f.bands for f in found), strict=True))
    steps, cold = (
        mad_sigma(np.concatenate(values)) for values in zip(*((f.steps, f.cold) for f in found), strict=True)
    )
    if not (np.array([*bands, cold]) > 0).all():
        raise NoValidPixelsError(f"{plan.bands[0].source.field}: a detection band has no empty sky")
    return replace(plan, band_noise=bands, roughness=(steps / bands[0]) ** 2, cold_noise=cold)


def _look(item: _Item) -> _Quiet:
    plan = item.plan
    frames = band_frames(plan, item.box)
    stack = stacked(plan, frames)
    smooth_px, grow_px = source_scale(plan.scale_arcsec)
    sources = source_mask(stack.sub, ~stack.bad, stack.err, smooth_px=smooth_px, grow_px=grow_px)
    kernel = kernel_for(plan.options, plan.scale_arcsec)
    smooth = [smoothed_snr(frame, kernel) for frame in frames]
    empty = [~frame.bad & ~sources for frame in frames]
    bands = [_thinned(snr, quiet) for snr, quiet in zip(smooth, empty, strict=True)]
    steps = _thinned(np.diff(smooth[0], axis=1), empty[0][:, 1:] & empty[0][:, :-1])
    cold = convolve(stack.sub, kernel_for(plan.options.cold, plan.scale_arcsec), mode="nearest")
    quiet = ~stack.bad & ~sources
    return _Quiet(bands, steps, _thinned(np.divide(cold, stack.err, out=np.zeros_like(cold), where=quiet), quiet))


def _thinned(values: Values, quiet: NDArray[np.bool_]) -> Values:
    chosen = values[quiet]
    return chosen[:: max(chosen.size // _SAMPLES, 1)]
