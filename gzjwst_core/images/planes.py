"""One channel of a picture: its bands averaged where they have data, pixels on a common grid, channels filled.

Arrays and placements only; which curve comes when is `recipes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.cutouts.place import Placement, carried
from gzjwst_core.images.layers import Layer

__all__ = ["Plane", "carried_validity", "level_of", "mean_plane", "on_grid"]

_NEIGHBOURS: Mapping[str, tuple[str, ...]] = {"red": ("green",), "green": ("red", "blue"), "blue": ("green",)}


@dataclass(frozen=True, slots=True)
class Plane:
    """One channel, or one band of it, on some grid."""

    level: NDArray[np.float32]
    """(ny, nx), finite: stretched levels, or signal in sigma."""
    valid: NDArray[np.bool_]
    """False in gaps."""

    @property
    def coverage(self) -> float:
        """Part of the pixels with data."""
        return float(self.valid.mean())


def level_of(channel: str, planes: Mapping[str, Plane]) -> NDArray[np.float32]:
    """Level of a channel: its own, else the mean of its neighbours', else of whatever there is (a grey picture)."""
    sources = (channel,) if channel in planes else _NEIGHBOURS[channel]
    levels = [planes[name].level for name in sources if name in planes]
    levels = levels or [plane.level for plane in planes.values()]
    return levels[0] if len(levels) == 1 else np.mean(levels, axis=0, dtype=np.float32)


def mean_plane(planes: list[tuple[float, Plane]]) -> Plane:
    """Weighted mean of the bands that have data, pixel by pixel."""
    if len(planes) == 1:
        return planes[0][1]
    nothing = ~np.logical_or.reduce([plane.valid for _, plane in planes])  # there the filled rims are averaged
    parts = [np.float32(weight) * (plane.valid | nothing) for weight, plane in planes]
    total: NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    level = sum(part * plane.level for part, (_, plane) in zip(parts, planes, strict=True))
    return Plane(np.asarray(level / total, dtype=np.float32), ~nothing)


def carried_validity(
    valid: NDArray[np.bool_], at: Placement, to: Placement, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Bring what has data to another grid; without a gap there is none there either, edges included."""
    return np.ones(shape, dtype=np.bool_) if valid.all() else carried(valid, at, to, shape)


def on_grid(layer: Layer, home: Layer) -> Plane:
    """Bring linear pixels to the grid of another band: bilinear, so that nothing rings."""
    if layer is home:
        return Plane(layer.signal, layer.valid)
    m = (layer.at.matrix @ np.linalg.inv(home.at.matrix))[::-1, ::-1]  # (y, x) order
    offset = np.array([layer.at.y, layer.at.x]) - m @ np.array([home.at.y, home.at.x])
    shape = home.signal.shape
    level = ndimage.affine_transform(layer.signal, m, offset, output_shape=shape, order=1, mode="nearest")
    return Plane(level, carried(layer.valid, layer.at, home.at, shape))
