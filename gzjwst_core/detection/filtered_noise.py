"""Noise of filtered images on empty sky, for the recipes that filter more than the stack: chi-mean, and the cold pass.

Arrays in, numbers out, on the tiles on which `calibrate` measures the stack itself; the filters are `chi`'s and
`detect`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.chi_mean import smoothed_snr
from gzjwst_core.detection.noise import mad_sigma
from gzjwst_core.detection.tiles import DetectionPlan
from gzjwst_core.errors import NoValidPixelsError

__all__ = ["FilteredSky", "filtered_sky", "with_filters"]

_SAMPLES = 50_000

Values = NDArray[np.float32]


def _nothing() -> Values:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class FilteredSky:
    """Signal to noise on the empty sky of one tile; nothing where the recipe needs nothing."""

    bands: tuple[Values, ...] = ()
    """Of each band, filtered (chi-mean)."""
    steps: Values = field(default_factory=_nothing)
    """Between neighbouring pixels of the first band (chi-mean)."""
    cold: Values = field(default_factory=_nothing)
    """Of the stack, filtered with the cold kernel (two passes)."""


def filtered_sky(plan: DetectionPlan, frames: Sequence[Frame], stack: Frame, sources: NDArray[np.bool_]) -> FilteredSky:
    """Filter a window of the detection bands as the recipe will.

    Parameters
    ----------
    plan
        Its options and pixel scale.
    frames, stack
        Of the bands, and their stack, (ny, nx).
    sources
        What is no empty sky.
    """
    found = FilteredSky()
    if plan.options.combine == "chi-mean":
        kernel = plan.kernel(plan.options)
        smooth = [smoothed_snr(frame, kernel) for frame in frames]
        empty = [~frame.bad & ~sources for frame in frames]
        bands = tuple(_thinned(snr, quiet) for snr, quiet in zip(smooth, empty, strict=True))
        steps = _thinned(np.diff(smooth[0], axis=1), empty[0][:, 1:] & empty[0][:, :-1])
        found = replace(found, bands=bands, steps=steps)
    if plan.options.passes == "hot+cold":
        quiet = ~stack.bad & ~sources
        cold = convolve(stack.sub, plan.kernel(plan.options.cold), mode="nearest")
        snr = np.divide(cold, stack.err, out=np.zeros_like(cold), where=quiet)
        found = replace(found, cold=_thinned(snr, quiet))
    return found


def with_filters(plan: DetectionPlan, found: Sequence[FilteredSky]) -> DetectionPlan:
    """Put the noise of filtered images into a plan.

    Parameters
    ----------
    plan
        With a calibrated stack.
    found
        Of each tile, before the calibration.

    Returns
    -------
    DetectionPlan
        With `band_noise` and `roughness` for chi-mean and `cold_noise` for two passes; as it was for the other recipes.

    Raises
    ------
    NoValidPixelsError
        The stack, or for chi-mean the first band, has no empty sky.
    """
    if plan.options.passes == "hot+cold":
        cold = mad_sigma(np.concatenate([f.cold for f in found])) / plan.err_factor
        if not cold > 0:
            raise NoValidPixelsError(f"{plan.bands[0].source.field}: the detection image has no empty sky")
        plan = replace(plan, cold_noise=cold)
    return _with_bands(plan, found) if plan.options.combine == "chi-mean" else plan


def _with_bands(plan: DetectionPlan, found: Sequence[FilteredSky]) -> DetectionPlan:
    """Take a band that has no empty sky on these tiles as calibrated: it may have some elsewhere."""
    noises = [mad_sigma(np.concatenate(values)) for values in zip(*(f.bands for f in found), strict=True)]
    steps = mad_sigma(np.concatenate([f.steps for f in found]))
    if not (noises[0] > 0 and steps >= 0):
        raise NoValidPixelsError(f"{plan.bands[0].source.field}: the first detection band has no empty sky")
    bands = tuple(noise if noise > 0 else 1.0 for noise in noises)
    return replace(plan, band_noise=bands, roughness=(steps / noises[0]) ** 2)


def _thinned(values: Values, quiet: NDArray[np.bool_]) -> Values:
    chosen = values[quiet]
    return chosen[:: max(chosen.size // _SAMPLES, 1)]
