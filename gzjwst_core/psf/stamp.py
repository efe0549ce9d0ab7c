"""What a point-spread function is here, and how it is resampled onto other pixels.

Unit-sum pixels of odd side with the source on the middle one. Where a PSF comes from is in `model`, `stars`, `known`;
what is done with it (matching, injection) is in other rooms. Arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

__all__ = ["Psf", "odd_square", "offsets_arcsec", "resampled", "unit_sum"]

_SAME = 1e-3


@dataclass(frozen=True, slots=True)
class Psf:
    """A point-spread function as unit-sum pixels."""

    pixels: NDArray[np.float32]
    """(n, n), n odd, sum 1, centred on the middle pixel."""
    scale_arcsec: float
    """Side of these pixels; it may be finer than the mosaic's."""
    origin: str
    """`profile`, `stars` or `model`: recorded in products."""
    stars: int = 0
    """How many stars were stacked."""


def unit_sum(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale pixels to a sum of one, as contiguous float32."""
    whole = np.asarray(pixels, dtype=np.float64)
    return np.ascontiguousarray(whole / whole.sum(), dtype=np.float32)


def odd_square(image: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cut an image to the largest square of odd side about its middle; of an even side half a pixel is interpolated."""
    side = min(image.shape) - (min(image.shape) + 1) % 2
    steps = np.arange(side) - side // 2
    y, x = ((size - 1) / 2 + steps for size in image.shape)
    places = np.array(np.meshgrid(y, x, indexing="ij"))
    whole = np.asarray(image, dtype=np.float64)
    return np.asarray(map_coordinates(whole, places, order=3, mode="nearest"), dtype=np.float64)


def offsets_arcsec(side: int, scale_arcsec: float) -> NDArray[np.float64]:
    """Return the distance of each pixel's centre from the middle pixel's, (side, side), arcsec."""
    steps = (np.arange(side) - side // 2) * scale_arcsec
    distance: NDArray[np.float64] = np.hypot(steps[:, None], steps[None, :])
    return distance


def resampled(psf: Psf, scale_arcsec: float, *, turn_deg: float = 0.0) -> Psf:
    """Bring a PSF onto pixels of another size or direction.

    Parameters
    ----------
    psf
        As it is.
    scale_arcsec
        Side of the pixels asked for.
    turn_deg
        How far the PSF is turned on its grid, from +x to +y.

    Returns
    -------
    Psf
        Reaches as far as it did, to half a pixel; unit sum.

    Notes
    -----
    Cubic spline through the pixels. A wider pixel is the mean of as many points along its side as narrow ones fit in,
    since those already hold the light of their own area. Onto narrower pixels the old ones' width stays in the PSF.
    """
    ratio = scale_arcsec / psf.scale_arcsec
    if abs(ratio - 1) < _SAME and turn_deg % 360 == 0:
        return psf
    old = psf.pixels.shape[0] // 2
    half = max(round((old + 0.5) / ratio - 0.5), 1)
    fine = max(round(ratio), 1)
    steps = ((np.arange((2 * half + 1) * fine) + 0.5) / fine - half - 0.5) * ratio
    x, y = steps[None, :], steps[:, None]
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    places = np.array([cos * y - sin * x + old, cos * x + sin * y + old])
    values = map_coordinates(psf.pixels.astype(np.float64), places, order=3, mode="constant")
    side = 2 * half + 1
    pixels = values.reshape(side, fine, side, fine).mean(axis=(1, 3))
    return Psf(unit_sum(pixels), scale_arcsec, psf.origin, psf.stars)
