"""A cutout in colour: bands to channels, channels by the recipe to a picture; channels without data are filled.

How a recipe stretches is `recipes`; one band's pixels are `layers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.images.chroma import calmed
from gzjwst_core.images.layers import CHANNELS, channel_bands, layer_of, reference_sigma
from gzjwst_core.images.planes import Plane, level_of
from gzjwst_core.images.recipes import grey_levels, rendered
from gzjwst_core.images.stretch import asinh_levels
from gzjwst_core.images.warp import picture_grid
from gzjwst_core.options import ImageOptions

__all__ = ["Picture", "bytes_of", "colour"]

_ENOUGH = 0.5
_FAINT_SIGMA = 2.0, 15.0
_NOISE_SIGMA = 1.5  # of the reference: some channel may be noisier


@dataclass(frozen=True, slots=True)
class Picture:
    """A coloured cutout."""

    rgb: NDArray[np.uint8]
    """(size, size, 3); row 0 is the north edge, column 0 the east edge."""
    gap: NDArray[np.bool_]
    """(size, size), True where it is the flat grey of no data."""
    filled: tuple[str, ...]
    """Channels without data, filled from their neighbours."""
    bands: tuple[str, ...]
    """Bands that were used."""

    @property
    def coverage(self) -> float:
        """Part of the picture with data in every channel that is not filled."""
        return float(1 - self.gap.mean())


def colour(cutout: Cutout, options: ImageOptions) -> Picture:
    """Colour a cutout by the survey's recipe.

    Parameters
    ----------
    cutout
        Pixels, sky, segments and WCS of each band.
    options
        Recipe, bands of the channels, pinned sigma and gain.

    Raises
    ------
    ImageError
        `no_data`: no band of any channel has a pixel in the picture; `no_sigma`: see `layers.reference_sigma`.

    Notes
    -----
    A channel with less than half the pixels of the best covered one counts as absent and is filled from its
    neighbours (green from red and blue, red and blue from green); `Picture.filled` says so. Where a channel that is
    present has no data the picture is flat grey: two channels of three would be a false colour.
    """
    sigma = reference_sigma(cutout, options)
    to = picture_grid(cutout.fov_arcsec, options.size_px)
    curve = partial(asinh_levels, options=options)
    layers = {
        channel: [(w, layer_of(cutout, b, options, sigma, curve)) for b, w in bands.items() if b in cutout.bands]
        for channel, bands in channel_bands(options).items()
    }
    planes = rendered({c: found for c, found in layers.items() if found}, to, options)
    present = _present(planes, cutout.id_str)
    used = {band for channel in present for band in channel_bands(options)[channel] if band in cutout.bands}
    return _picture(present, options, tuple(band for band in cutout.bands if band in used), cutout.fov_arcsec)


def _present(planes: Mapping[str, Plane], name: str) -> dict[str, Plane]:
    best = max((plane.coverage for plane in planes.values()), default=0.0)
    if best == 0:
        raise ImageError(f"{name}: no band of the recipe has data in its picture", reason="no_data")
    return {channel: plane for channel, plane in planes.items() if plane.coverage >= _ENOUGH * best}


def _picture(present: Mapping[str, Plane], options: ImageOptions, bands: tuple[str, ...], fov_arcsec: float) -> Picture:
    gap = ~np.logical_and.reduce([plane.valid for plane in present.values()])
    filled = tuple(channel for channel in CHANNELS if channel not in present)
    levels = np.stack([level_of(channel, present) for channel in CHANNELS])
    if options.chroma_smooth > 0:
        levels = calmed(levels, gap, options.chroma_smooth * options.size_px / fov_arcsec, *_faintness(options))
    rgb = bytes_of(np.moveaxis(levels, 0, -1))
    rgb[gap] = options.gap_level
    return Picture(rgb=rgb, gap=gap, filled=filled, bands=bands)


def _faintness(options: ImageOptions) -> tuple[tuple[float, float], float]:
    """Levels between which colour turns from the neighbourhood's to the pixel's own, and the noise's, as `calmed`."""
    at = np.array([0, _NOISE_SIGMA, *_FAINT_SIGMA], dtype=np.float32)
    sky, noise, low, high = grey_levels(at, options).tolist()
    return (low, high), noise - sky


def bytes_of(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Levels from 0 to 1 as bytes, rounded."""
    return np.asarray(np.clip(levels * np.float32(255) + np.float32(0.5), 0, 255), dtype=np.uint8)
