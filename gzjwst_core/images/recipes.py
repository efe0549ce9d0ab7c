"""The colour recipes by name: bands of each channel to stretched channels on the picture's grid.

`asinh` and `trilogy` stretch each band on its own grid and then bring it to the picture; bands of one channel are
averaged after the stretch, since only there do they share a grid: near the sky, where noise matters, the curve is
nearly linear and it is the mean of the bands, and no linear pixel is ever interpolated. `lupton` needs all channels on
one grid before the stretch: that of the finest band, reached by bilinear interpolation (which cannot ring).
`lupton-matched` first gives all bands the broadest PSF; its grid is then that band's, which samples all of them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import Placement
from gzjwst_core.images.layers import CHANNELS, Layer, channel_bands
from gzjwst_core.images.matched import broadest, matched
from gzjwst_core.images.planes import Plane, carried_validity, level_of, mean_plane, on_grid
from gzjwst_core.images.stretch import asinh_levels, lupton_levels, trilogy_levels
from gzjwst_core.images.warp import resampled
from gzjwst_core.options import ImageOptions

__all__ = ["RECIPES", "grey_levels", "rendered"]

Channels = Mapping[str, list[tuple[float, Layer]]]
"""Weight and layer of each band, by channel; channels without a band are left out."""
Curve = Callable[[NDArray[np.float32], ImageOptions], NDArray[np.float32]]
Recipe = Callable[[Channels, Placement, ImageOptions], dict[str, Plane]]


def rendered(channels: Channels, to: Placement, options: ImageOptions) -> dict[str, Plane]:
    """Stretch channels by the options' recipe and bring them to the picture's grid.

    Parameters
    ----------
    channels
        Weight and layer of each band that the cutout has, by channel.
    to
        The target on the picture's pixels.
    options
        Recipe, its curve, and the picture's size.

    Returns
    -------
    dict
        The same channels, (size, size) each, levels from 0 to 1.
    """
    return _TABLE[options.recipe](channels, to, options)


def grey_levels(signal: NDArray[np.float32], options: ImageOptions) -> NDArray[np.float32]:
    """Level, under the options' recipe, of signals that are the same in all channels; (n,) sigma to (n,)."""
    return _GREY[options.recipe](signal, options)


def _by_channel(channels: Channels, to: Placement, options: ImageOptions, *, curve: Curve) -> dict[str, Plane]:
    shape = options.size_px, options.size_px

    def convolved(layer: Layer) -> Plane:
        level = resampled(curve(layer.signal, options), layer.at, to, shape)
        return Plane(level, carried_validity(layer.valid, layer.at, to, shape))

    return {channel: mean_plane([(w, convolved(layer)) for w, layer in layers]) for channel, layers in channels.items()}


def _lupton(channels: Channels, to: Placement, options: ImageOptions) -> dict[str, Plane]:
    return _on_one_grid(channels, min(_layers(channels), key=lambda layer: layer.at.scale_arcsec), to, options)


def _layers(channels: Channels) -> list[Layer]:
    return [layer for layers in channels.values() for _, layer in layers]


def _on_one_grid(channels: Channels, home: Layer, to: Placement, options: ImageOptions) -> dict[str, Plane]:
    shape = options.size_px, options.size_px
    planes = {c: mean_plane([(weight, on_grid(layer, home)) for weight, layer in ls]) for c, ls in channels.items()}
    signals = np.stack([level_of(channel, planes) for channel in CHANNELS])
    levels = dict(zip(CHANNELS, lupton_levels(signals, options), strict=True))
    return {
        channel: Plane(
            resampled(levels[channel], home.at, to, shape), carried_validity(plane.valid, home.at, to, shape)
        )
        for channel, plane in planes.items()
    }


def _lupton_matched(channels: Channels, to: Placement, options: ImageOptions) -> dict[str, Plane]:
    target = broadest((band for bands in channel_bands(options).values() for band in bands), options)
    home = max(_layers(channels), key=lambda layer: (layer.band == target, layer.at.scale_arcsec))
    alike = {layer.band: matched(layer, target, home.at.scale_arcsec, options) for layer in _layers(channels)}
    swapped = {
        channel: [(weight, alike[layer.band]) for weight, layer in layers] for channel, layers in channels.items()
    }
    return _on_one_grid(swapped, alike[home.band], to, options)


_TABLE: Final[Mapping[str, Recipe]] = {
    "asinh": partial(_by_channel, curve=asinh_levels),
    "lupton": _lupton,
    "trilogy": partial(_by_channel, curve=trilogy_levels),
    "lupton-matched": _lupton_matched,
}


def _lupton_grey(signal: NDArray[np.float32], options: ImageOptions) -> NDArray[np.float32]:
    return np.asarray(lupton_levels(np.stack([signal] * len(CHANNELS)), options)[0])


_GREY: Final[Mapping[str, Curve]] = {
    "asinh": asinh_levels,
    "lupton": _lupton_grey,
    "trilogy": trilogy_levels,
    "lupton-matched": _lupton_grey,
}

RECIPES: Final = tuple(_TABLE)
"""Names of all recipes, in the order in which they are compared."""
