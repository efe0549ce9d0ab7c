"""Colour of what is too faint to have one: where single pixels are noise, their hue is that of their neighbourhood.

Luminance stays as it is to the pixel, and so does colour well above the noise. Arrays in, arrays out.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["calmed"]

_LEAST, _SAMPLES = 1e-3, 2.5
_NARROWER = 2


def calmed(
    levels: NDArray[np.float32], gap: NDArray[np.bool_], width_px: float, faint: tuple[float, float], noise: float
) -> NDArray[np.float32]:
    """Take chroma noise out of the faint parts of a picture.

    Parameters
    ----------
    levels
        (3, ny, nx), 0 to 1, finite.
    gap
        (ny, nx), True where there is no data: it lends no colour to its neighbours.
    width_px
        Sigma of the Gaussian neighbourhood that a faint pixel's chroma is read off, pixels.
    faint
        Levels of grey: at the first and below, chroma is all the neighbourhood's; at the second and above, it is all
        the pixel's. The second may equal the first.
    noise
        Scatter of grey that noise alone makes: where grey varies by no more, it tells nothing of colour.

    Returns
    -------
    ndarray of float32
        (3, ny, nx), 0 to 1.

    Notes
    -----
    Chroma is a channel's difference from the mean of the three. A faint pixel's is that of the straight line of chroma
    over grey fitted to its neighbourhood, at the pixel's own grey (a guided filter, He et al. 2013, IEEE TPAMI 35,
    1397, with grey as the guide and noise^2 as its epsilon): sky gets the mean, while a knot narrower than the
    neighbourhood keeps its colour, since there chroma rises with grey. Whether a pixel is faint is read off a mean
    half as wide, so that neither a peak of noise counts as signal nor a compact source as sky; only faint pixels go
    into the fit, so that a star hardly colours the sky around it. What is white stays white.

    As the default recipe uses it, on a 1.9 arcsec picture: of the R - B in the core of a source half as wide as the
    neighbourhood, 68, 89, 95 and 100 % are kept at peaks of 8, 15, 20 and 40 sigma (28, 49, 64 and 97 % with the mean
    in place of the line); a red star of 400 sigma tints the sky two to three neighbourhoods away by 1.4 levels of 255;
    the sky's R - B scatters by 5.1 levels in place of 14.1.
    """
    grey = levels.mean(axis=0)
    data = (~gap).astype(np.float32)
    sure = _sure(_averaged(grey, data, width_px / _NARROWER), faint)
    sure[levels.min(axis=0) >= 1] = 1
    chroma = levels - grey
    soft = _fitted(chroma, grey, data * (1 - sure), width_px, max(noise, _LEAST))
    return np.asarray(np.clip(grey + sure * chroma + (1 - sure) * soft, 0, 1), dtype=np.float32)


def _sure(grey: NDArray[np.float32], faint: tuple[float, float]) -> NDArray[np.float32]:
    """0 where all is faint, 1 where nothing is; no edge where it sets in."""
    low, high = faint
    part = np.clip((grey - np.float32(low)) / np.float32(max(high - low, _LEAST)), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), dtype=np.float32)


class _Around:
    """Gaussian means by weight, 0 where nothing has any; a wide one lives on larger pixels: 8 times as fast."""

    def __init__(self, weight: NDArray[np.float32], width_px: float) -> None:
        self._weight, self._width = weight, width_px
        self._step = max(1, int(width_px / _SAMPLES))
        self._known = self._blurred(weight)

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean around each larger pixel."""
        total = self._blurred(values * self._weight)
        return np.divide(total, self._known, out=np.zeros_like(total), where=self._known > _LEAST)

    def on_pixels(self, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring larger pixels back to the picture's."""
        ny, nx = self._weight.shape
        box = (0, 0, nx / self._step, ny / self._step)
        return np.asarray(Image.fromarray(mean).resize((nx, ny), Image.Resampling.BICUBIC, box=box))

    def _blurred(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        reduced = np.asarray(Image.fromarray(image).reduce(self._step)) if self._step > 1 else image
        return np.asarray(ndimage.gaussian_filter(reduced, self._width / self._step, truncate=3))


def _averaged(values: NDArray[np.float32], weight: NDArray[np.float32], width_px: float) -> NDArray[np.float32]:
    around = _Around(weight, width_px)
    return around.on_pixels(around.mean(values))


def _fitted(
    chroma: NDArray[np.float32], grey: NDArray[np.float32], weight: NDArray[np.float32], width_px: float, noise: float
) -> NDArray[np.float32]:
    """Chroma at each pixel's grey of the line fitted around it; the three add up to 0, so two are worked out."""
    around = _Around(weight, width_px)
    middle = around.mean(grey)
    spread = np.maximum(around.mean(grey * grey) - middle * middle, 0) + np.float32(noise**2)

    def line(of: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = around.mean(of)
        slope = np.asarray((around.mean(grey * of) - middle * mean) / spread, dtype=np.float32)
        return around.on_pixels(slope) * grey + around.on_pixels(mean - slope * middle)

    red, blue = line(chroma[0]), line(chroma[2])
    return np.stack([red, -red - blue, blue])
