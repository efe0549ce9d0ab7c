"""Two common ways of others, for reference; only the bench knows them.

`notebook`: astropy's `make_lupton_rgb` on MJy/sr (Q = 2, stretch = 0.1, factors 1.1, 0.75, 0.4).
`percentile`: each image by itself, asinh between the 1 and 99.7 percent points of each channel.
From both the local sky is taken off, as mosaics of high-level releases have it; pixels without data are 0, and linear
pixels are resampled to the picture's grid before the stretch.
"""

import numpy as np
from astropy.visualization import make_lupton_rgb
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import carried
from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.images.compose import Picture
from gzjwst_core.images.layers import channel_bands
from gzjwst_core.images.warp import picture_grid, resampled
from gzjwst_core.options import ImageOptions

__all__ = ["notebook", "percentile"]

_UJY_ARCSEC2 = 23.5044
"""uJy per square arcsec in 1 MJy/sr."""
_FACTORS = (1.1, 0.75, 0.4)


def _channels(cutout: Cutout, options: ImageOptions) -> tuple[list[NDArray[np.float32]], NDArray[np.bool_]]:
    """Red, green and blue in MJy/sr on the picture's grid, gaps 0; and where any of them has no data."""
    shape = options.size_px, options.size_px
    to = picture_grid(cutout.fov_arcsec, options.size_px)
    gap: NDArray[np.bool_] = np.zeros(shape, dtype=np.bool_)
    channels: list[NDArray[np.float32]] = []
    for bands in channel_bands(options).values():
        planes = []
        for band in bands:
            found = cutout.bands[band]
            raw = found.surface_brightness / np.float32(_UJY_ARCSEC2)
            at = cutout.placed(found.wcs)
            gap = gap | ~carried(np.isfinite(raw), at, to, shape)
            planes.append(resampled(np.nan_to_num(raw, nan=0.0), at, to, shape))
        channels.append(np.asarray(np.mean(planes, axis=0), dtype=np.float32))
    return channels, gap


def notebook(cutout: Cutout, options: ImageOptions) -> Picture:
    """Colour as the notebooks do."""
    channels, gap = _channels(cutout, options)
    scaled = [np.float32(factor) * channel for factor, channel in zip(_FACTORS, channels, strict=True)]
    with np.errstate(invalid="ignore"):  # it divides 0 by 0 in gaps
        rgb = make_lupton_rgb(*scaled, minimum=0, stretch=0.1, Q=2)
    return Picture(rgb=np.asarray(rgb, dtype=np.uint8), gap=gap, filled=(), bands=tuple(cutout.bands))


def percentile(cutout: Cutout, options: ImageOptions) -> Picture:
    """Colour each image by its own percentiles."""
    channels, gap = _channels(cutout, options)
    levels = []
    for channel in channels:
        low, high = np.percentile(channel, [1, 99.7])
        part = np.clip((channel - low) / max(float(high - low), 1e-9), 0, 1)
        levels.append(np.arcsinh(10 * part) / np.arcsinh(10.0))
    rgb = np.asarray(255 * np.stack(levels, axis=-1) + 0.5, dtype=np.uint8)
    return Picture(rgb=rgb, gap=gap, filled=(), bands=tuple(cutout.bands))
