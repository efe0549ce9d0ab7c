"""A cutout in colour: three channels on the picture's grid, north up and east left.

`asinh` stretches each band on its own grid and then brings it to the picture; bands of one channel are averaged after
the stretch, since only there do they share a grid: near the sky, where noise matters, the curve is linear and it is
the mean of the bands, and no linear pixel is ever interpolated. `lupton` needs all channels on one grid before the
stretch: that of the finest band, reached by bilinear interpolation (which cannot ring), then as above.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.cutouts.place import Placement, carried
from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.images.layers import CHANNELS, Layer, channel_bands, layer_of, reference_sigma
from gzjwst_core.images.stretch import asinh_levels, lupton_levels
from gzjwst_core.images.warp import picture_grid, resampled
from gzjwst_core.options import ImageOptions

__all__ = ["Picture", "colour"]

_ENOUGH = 0.5
_NEIGHBOURS: Mapping[str, tuple[str, ...]] = {"red": ("green",), "green": ("red", "blue"), "blue": ("green",)}


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


@dataclass(frozen=True, slots=True)
class _Plane:
    """One channel on the picture's grid."""

    level: NDArray[np.float32]
    valid: NDArray[np.bool_]

    @property
    def coverage(self) -> float:
        return float(self.valid.mean())


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
    paint = _lupton_planes if options.recipe == "lupton" else _asinh_planes
    planes = paint({c: found for c, found in layers.items() if found}, to, options)
    present = _present(planes, cutout.id_str)
    used = {band for channel in present for band in channel_bands(options)[channel] if band in cutout.bands}
    return _picture(present, options, tuple(band for band in cutout.bands if band in used))


def _present(planes: Mapping[str, _Plane], name: str) -> dict[str, _Plane]:
    best = max((plane.coverage for plane in planes.values()), default=0.0)
    if best == 0:
        raise ImageError(f"{name}: no band of the recipe has data in its picture", reason="no_data")
    return {channel: plane for channel, plane in planes.items() if plane.coverage >= _ENOUGH * best}


def _picture(present: Mapping[str, _Plane], options: ImageOptions, bands: tuple[str, ...]) -> Picture:
    gap = ~np.logical_and.reduce([plane.valid for plane in present.values()])
    filled = tuple(channel for channel in CHANNELS if channel not in present)
    rgb = np.empty((*gap.shape, 3), dtype=np.uint8)
    for i, channel in enumerate(CHANNELS):
        level = _level(channel, present) * np.float32(255) + np.float32(0.5)
        rgb[..., i] = np.clip(level, 0, 255)
    rgb[gap] = options.gap_level
    return Picture(rgb=rgb, gap=gap, filled=filled, bands=bands)


def _level(channel: str, present: Mapping[str, _Plane]) -> NDArray[np.float32]:
    sources = (channel,) if channel in present else _NEIGHBOURS[channel]
    levels = [present[name].level for name in sources if name in present]
    levels = levels or [plane.level for plane in present.values()]  # only one channel has data: a grey picture
    return levels[0] if len(levels) == 1 else np.mean(levels, axis=0, dtype=np.float32)


def _asinh_planes(
    channels: Mapping[str, list[tuple[float, Layer]]], to: Placement, options: ImageOptions
) -> dict[str, _Plane]:
    shape = options.size_px, options.size_px
    return {channel: _averaged(layers, to, shape, options) for channel, layers in channels.items()}


def _averaged(
    layers: list[tuple[float, Layer]], to: Placement, shape: tuple[int, int], options: ImageOptions
) -> _Plane:
    planes = []
    for weight, layer in layers:
        level = resampled(asinh_levels(layer.signal, options), layer.at, to, shape)
        planes.append((weight, _Plane(level, _valid(layer.valid, layer.at, to, shape))))
    return _mean_plane(planes)


def _mean_plane(planes: list[tuple[float, _Plane]]) -> _Plane:
    """Weighted mean of the bands that have data, pixel by pixel."""
    if len(planes) == 1:
        return planes[0][1]
    nothing = ~np.logical_or.reduce([plane.valid for _, plane in planes])  # there the filled rims are averaged
    parts = [np.float32(weight) * (plane.valid | nothing) for weight, plane in planes]
    total: NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    level = sum(part * plane.level for part, (_, plane) in zip(parts, planes, strict=True))
    return _Plane(np.asarray(level / total, dtype=np.float32), ~nothing)


def _valid(valid: NDArray[np.bool_], at: Placement, to: Placement, shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.ones(shape, dtype=np.bool_) if valid.all() else carried(valid, at, to, shape)


def _lupton_planes(
    channels: Mapping[str, list[tuple[float, Layer]]], to: Placement, options: ImageOptions
) -> dict[str, _Plane]:
    shape = options.size_px, options.size_px
    home = min((layer for layers in channels.values() for _, layer in layers), key=lambda layer: layer.at.scale_arcsec)
    planes = {
        channel: _mean_plane([(weight, _on_grid(layer, home)) for weight, layer in layers])
        for channel, layers in channels.items()
    }
    signals = np.stack([_level(channel, planes) for channel in CHANNELS])
    levels = dict(zip(CHANNELS, lupton_levels(signals, options), strict=True))
    return {
        channel: _Plane(resampled(levels[channel], home.at, to, shape), _valid(plane.valid, home.at, to, shape))
        for channel, plane in planes.items()
    }


def _on_grid(layer: Layer, home: Layer) -> _Plane:
    """Bring linear pixels to the common grid: bilinear, so that nothing rings."""
    if layer is home:
        return _Plane(layer.signal, layer.valid)
    m = (layer.at.matrix @ np.linalg.inv(home.at.matrix))[::-1, ::-1]  # (y, x) order
    offset = np.array([layer.at.y, layer.at.x]) - m @ np.array([home.at.y, home.at.x])
    shape = home.signal.shape
    level = ndimage.affine_transform(layer.signal, m, offset, output_shape=shape, order=1, mode="nearest")
    return _Plane(level, carried(layer.valid, layer.at, home.at, shape))
