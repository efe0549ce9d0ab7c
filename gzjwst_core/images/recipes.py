"""The colour recipes by name: bands of each channel to stretched channels on the picture's grid.

`asinh` and `trilogy` stretch each band on its own grid and then bring it to the picture; bands of one channel are
averaged after the stretch, since only there do they share a grid: near the sky, where noise matters, the curve is
nearly linear and it is the mean of the bands, and no linear pixel is ever interpolated. `lupton` needs all channels on
one grid before the stretch: that of the finest band, reached by bilinear interpolation (which cannot ring).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import Placement
from gzjwst_core.images.layers import CHANNELS, Layer
from gzjwst_core.images.planes import Plane, carried_validity, level_of, mean_plane, on_grid
from gzjwst_core.images.stretch import asinh_levels, lupton_levels, trilogy_levels
from gzjwst_core.images.warp import resampled
from gzjwst_core.options import ImageOptions

__all__ = ["RECIPES", "painted"]

Channels = Mapping[str, list[tuple[float, Layer]]]
"""Weight and layer of each band, by channel; channels without a band are left out."""
Curve = Callable[[NDArray[np.float32], ImageOptions], NDArray[np.float32]]
Recipe = Callable[[Channels, Placement, ImageOptions], dict[str, Plane]]


def painted(channels: Channels, to: Placement, options: ImageOptions) -> dict[str, Plane]:
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


def _by_channel(channels: Channels, to: Placement, options: ImageOptions, *, curve: Curve) -> dict[str, Plane]:
    shape = options.size_px, options.size_px

    def brought(layer: Layer) -> Plane:
        level = resampled(curve(layer.signal, options), layer.at, to, shape)
        return Plane(level, carried_validity(layer.valid, layer.at, to, shape))

    return {channel: mean_plane([(w, brought(layer)) for w, layer in layers]) for channel, layers in channels.items()}


def _lupton(channels: Channels, to: Placement, options: ImageOptions) -> dict[str, Plane]:
    shape = options.size_px, options.size_px
    home = min((layer for layers in channels.values() for _, layer in layers), key=lambda layer: layer.at.scale_arcsec)
    planes = {c: mean_plane([(weight, on_grid(layer, home)) for weight, layer in ls]) for c, ls in channels.items()}
    signals = np.stack([level_of(channel, planes) for channel in CHANNELS])
    levels = dict(zip(CHANNELS, lupton_levels(signals, options), strict=True))
    return {
        channel: Plane(
            resampled(levels[channel], home.at, to, shape), carried_validity(plane.valid, home.at, to, shape)
        )
        for channel, plane in planes.items()
    }


_TABLE: Final[Mapping[str, Recipe]] = {
    "asinh": partial(_by_channel, curve=asinh_levels),
    "lupton": _lupton,
    "trilogy": partial(_by_channel, curve=trilogy_levels),
    "lupton-matched": _lupton,
}

RECIPES: Final = tuple(_TABLE)
"""Names of all recipes, in the order in which they are compared."""
