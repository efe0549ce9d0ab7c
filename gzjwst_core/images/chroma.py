"""Colour of what is too faint to have one: where single pixels are noise, their hue is that of their neighbourhood.

Luminance stays as it is to the pixel, and so does colour wherever there is signal. Arrays in, arrays out.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["calmed"]

_LEAST, _SAMPLES = 1e-3, 2.5


def calmed(
    levels: NDArray[np.float32], gap: NDArray[np.bool_], width_px: float, faint: tuple[float, float]
) -> NDArray[np.float32]:
    """Take chroma noise out of the faint parts of a picture.

    Parameters
    ----------
    levels
        (3, ny, nx), 0 to 1, finite.
    gap
        (ny, nx), True where there is no data: it lends no colour to its neighbours.
    width_px
        Sigma of the Gaussian that chroma is averaged with, pixels.
    faint
        Levels of grey: at the first and below, chroma is all averaged; at the second and above, it is all the pixel's.

    Returns
    -------
    ndarray of float32
        (3, ny, nx), 0 to 1.

    Notes
    -----
    Chroma is a channel's difference from the mean of the three. Whether a pixel is faint is read off the averaged mean
    of its neighbourhood, so that no peak of noise counts as signal; only faint pixels go into the average, so that no
    star colours the sky around it.
    """
    grey = levels.mean(axis=0)
    data = (~gap).astype(np.float32)
    low, high = faint
    sure = np.clip((_averaged(grey, data, width_px) - np.float32(low)) / np.float32(high - low), 0, 1)
    sure *= sure * (3 - 2 * sure)  # no edge where it sets in
    chroma = levels - grey
    soft = np.stack([_averaged(c, data * (1 - sure), width_px) for c in chroma])
    return np.asarray(np.clip(grey + sure * chroma + (1 - sure) * soft, 0, 1), dtype=np.float32)


def _averaged(values: NDArray[np.float32], weight: NDArray[np.float32], width_px: float) -> NDArray[np.float32]:
    """Gaussian mean by weight; 0 where nothing has any. A wide one is worked out on larger pixels: 8 times as fast."""
    step = max(1, int(width_px / _SAMPLES))
    total, known = (
        ndimage.gaussian_filter(_reduced(image, step), width_px / step, truncate=3)
        for image in (values * weight, weight)
    )
    mean = np.divide(total, known, out=np.zeros_like(total), where=known > _LEAST)
    ny, nx = values.shape
    box = (0, 0, nx / step, ny / step)
    return np.asarray(Image.fromarray(mean).resize((nx, ny), Image.Resampling.BICUBIC, box=box))


def _reduced(image: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(image).reduce(step)) if step > 1 else image
