"""One band of a cutout made ready for colour, on its own grid: signal in sigma, saturated cores, gaps.

From a `Cutout` to arrays; the curve is `stretch`, the picture is `compose`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.cutouts.extract import enclosed
from gzjwst_core.cutouts.place import Placement, carried
from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.options import ImageOptions

__all__ = ["CHANNELS", "Layer", "band_sigma", "channel_bands", "layer_of", "reference_sigma"]

CHANNELS = ("red", "green", "blue")

_BRIGHT = 0.9
_WHITE_SIGMA = 1e5


@dataclass(frozen=True, slots=True)
class Layer:
    """One band on its own grid."""

    band: str
    signal: NDArray[np.float32]
    """(ny, nx) surface brightness above the local sky x gain, in reference sigmas; finite: gaps repeat their rim."""
    valid: NDArray[np.bool_]
    """False in gaps; saturated cores count as data."""
    core: NDArray[np.bool_]
    """True in saturated cores, which are filled."""
    at: Placement
    """The target on these pixels."""


def channel_bands(options: ImageOptions) -> dict[str, Mapping[str, float]]:
    """Bands of each channel and their weights."""
    return {"red": options.red, "green": options.green, "blue": options.blue}


def reference_sigma(cutout: Cutout, options: ImageOptions) -> float:
    """Sigma that all three channels are measured in, uJy/arcsec2 (after gains).

    Parameters
    ----------
    cutout
        Its own bands' sigma stands in where nothing is pinned (a picture made outside a survey).
    options
        With the survey's sigma and gain.

    Raises
    ------
    ImageError
        With reason `no_sigma`: neither the options nor the cutout tell any band's.

    Notes
    -----
    The median over the channels of the weighted mean of gain x sigma of a channel's bands. It depends on the survey
    alone while every band is pinned, never on what one field holds.
    """
    of_channel = [_channel_sigma(bands, cutout, options) for bands in channel_bands(options).values()]
    known = [sigma for sigma in of_channel if sigma is not None]
    if not known:
        raise ImageError(f"{cutout.id_str}: no band's sigma is pinned or in its cutout", reason="no_sigma")
    return median(known)


def _channel_sigma(bands: Mapping[str, float], cutout: Cutout, options: ImageOptions) -> float | None:
    known = [
        (weight, sigma) for band, weight in bands.items() if (sigma := band_sigma(band, cutout, options)) is not None
    ]
    total = sum(weight for weight, _ in known)
    return sum(weight * sigma for weight, sigma in known) / total if total else None


def band_sigma(band: str, cutout: Cutout, options: ImageOptions) -> float | None:
    """Sky sigma of one band, pinned or else the cutout's own, uJy/arcsec2 after its gain; None = not known."""
    own = cutout.bands[band].sigma if band in cutout.bands else 0.0
    sigma = options.sigma.get(band, own) * options.gain.get(band, 1.0)
    return sigma if sigma > 0 else None


def layer_of(
    cutout: Cutout,
    band: str,
    options: ImageOptions,
    sigma: float,
    curve: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Layer:
    """Prepare one band.

    Parameters
    ----------
    cutout, band
        The band must be in the cutout.
    options
        For its gain.
    sigma
        `reference_sigma` of the cutout.
    curve
        The stretch, which says how bright the rim of a core looks.

    Notes
    -----
    A saturated core (no data, wholly inside a source) takes the brightest value there is when its rim is bright, else
    (a bad pixel in a disc) the mean of its rim. A gap repeats its nearest pixel, so that interpolation does not ring at
    its edge; `valid` remembers it.
    """
    found = cutout.bands[band]
    signal = found.surface_brightness * np.float32(options.gain.get(band, 1.0) / sigma)
    empty = ~np.isfinite(signal)
    at = cutout.placed(found.wcs)
    if not empty.any():
        return Layer(band, signal, ~empty, empty, at)
    core = _core(cutout, empty, at)
    _fill_cores(signal, core, curve)
    gaps = empty & ~core
    if gaps.any() and not gaps.all():
        nearest = ndimage.distance_transform_edt(gaps, return_distances=False, return_indices=True)
        signal = signal[tuple(nearest)]
    return Layer(band, np.nan_to_num(signal, copy=False, nan=0.0), ~gaps, core, at)


def _core(cutout: Cutout, empty: NDArray[np.bool_], at: Placement) -> NDArray[np.bool_]:
    if cutout.seg is None or cutout.seg_placed is None:
        return np.zeros(empty.shape, dtype=np.bool_)
    return enclosed(empty, carried(cutout.seg != 0, cutout.seg_placed, at, empty.shape))


def _fill_cores(
    signal: NDArray[np.float32], core: NDArray[np.bool_], curve: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    groups, count = ndimage.label(core)
    if count == 0:
        return
    wide = ndimage.maximum_filter(groups, size=3)
    rim = (wide > 0) & np.isfinite(signal)
    number, values = wide[rim], signal[rim]
    brightest = np.full(count + 1, -np.inf, dtype=np.float32)
    np.maximum.at(brightest, number, values)
    sums, pixels = (np.bincount(number, weights, minlength=count + 1) for weights in (values, None))
    fill = np.where(curve(brightest) >= _BRIGHT, _WHITE_SIGMA, sums / np.maximum(pixels, 1)).astype(np.float32)
    signal[core] = fill[groups[core]]
