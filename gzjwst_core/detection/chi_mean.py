"""The chi-mean image of several detection bands, and what its threshold means. Arrays in, arrays out.

Signal-to-noise images are smoothed, scaled to unit variance on empty sky, squared and summed (Szalay, Connolly &
Szokoly 1999); the root of the sum is normalised with the mean and variance of the chi distribution (SWarp's CHI-MEAN).
A dark pixel counts as much as a bright one: the image has no negative side, so a negative sky says nothing about its
false detections. Those are counted on pure noise (docs/catalog.md). Detection alone looks at this image.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.optimize import brentq
from scipy.special import gammaln

from gzjwst_core.detection.calibrated_frame import Frame

__all__ = ["chi_mean", "chi_moments", "chi_threshold", "smoothed_snr"]

Image = NDArray[np.float32]


def smoothed_snr(frame: Frame, kernel: Image) -> Image:
    """Smooth a band's signal to noise; where it has no data it adds nothing, so edges are a little less sensitive."""
    snr = np.divide(frame.sub, frame.err, out=np.zeros_like(frame.sub), where=~frame.bad)
    smooth: Image = convolve(snr, kernel, mode="constant")
    return smooth


def chi_moments(n: int) -> tuple[float, float]:
    """Return mean and standard deviation of a chi variate of n degrees of freedom.

    Notes
    -----
    `mu_n = sqrt(2) Gamma((n + 1) / 2) / Gamma(n / 2)`, variance `n - mu_n^2`.
    """
    mean = float(np.sqrt(2) * np.exp(gammaln((n + 1) / 2) - gammaln(n / 2)))
    return mean, float(np.sqrt(n - mean**2))


@lru_cache(maxsize=64)
def chi_threshold(threshold: float, n: int, island: float = 0.0) -> float:
    """Return the level of the chi-mean image of n bands that means what a threshold means on the stack.

    Parameters
    ----------
    threshold
        Times the noise of a filtered image on empty sky, above 1.
    n
        Number of bands.
    island
        `roughness x least area / (2 pi)`: roughness is the variance of the difference of neighbouring pixels of a
        filtered image of unit noise, the area counts pixels.

    Returns
    -------
    float
        Level at which noise makes as many islands of the least area per area of sky as it makes above `threshold` on
        one Gaussian image of the same correlation.

    Notes
    -----
    Islands are counted by the density of the Euler characteristic of an excursion set in two dimensions, which at high
    levels is their number per area (Adler 1981; Worsley 1994, table 1): for a Gaussian field ~ t exp(-t^2 / 2) /
    (2 pi)^(3/2), for chi-square u^2 of n fields ~ u^(n - 2) exp(-u^2 / 2) (u^2 - n + 1) / (2 pi 2^((n - 2) / 2)
    Gamma(n / 2)), both in units of the roughness L. With n = 1 it is twice the Gaussian's: both signs count. An island
    is a paraboloid whose height is exponential with rate s and whose curvature is L s, s = t for a Gaussian and
    u - (n - 1) / u for chi; so exp(-L s^2 A / (2 pi)) of them are larger than A. Islands of chi are smaller than the
    stack's at the same rarity: without this term it would be four times too strict.
    """
    wanted = np.log(threshold) - threshold**2 / 2 - 1.5 * np.log(2 * np.pi) - island * threshold**2

    def excess(u: float) -> float:
        count = (n - 2) * np.log(u / np.sqrt(2)) - u**2 / 2 + np.log(u**2 - n + 1) - np.log(2 * np.pi) - gammaln(n / 2)
        return float(count - island * (u - (n - 1) / u) ** 2 - wanted)

    highest = float(np.sqrt(((2 * n - 1) + np.sqrt(8 * n - 7)) / 2))  # both factors fall from here on
    u = brentq(excess, highest, threshold + 2 * np.sqrt(n) + 5) if excess(highest) > 0 else highest
    mean, spread = chi_moments(n)
    return float((u - mean) / spread)


def chi_mean(snrs: Sequence[Image], bad: Sequence[NDArray[np.bool_]], threshold: float, island: float = 0.0) -> Frame:
    """Combine signal-to-noise images.

    Parameters
    ----------
    snrs
        From `smoothed_snr`, each scaled to unit variance on empty sky.
    bad
        Where a band has no data: such a pixel counts one band less.
    threshold, island
        As in `chi_threshold`.

    Returns
    -------
    Frame
        `sub` is `(sqrt(sum of squares) - mu_n) / sqrt(n - mu_n^2)` with the number n of bands of each pixel; `err` is
        the level of `chi_threshold` over `threshold`, so that `threshold` times `err` is where to cut; a pixel is bad
        if it is in every band.
    """
    squares = np.zeros(snrs[0].shape, dtype=np.float32)
    bands = np.zeros(squares.shape, dtype=np.int8)
    for snr, empty in zip(snrs, bad, strict=True):
        squares += np.where(empty, np.float32(0), snr**2)
        bands += ~empty
    moments = np.array([(0.0, 1.0), *(chi_moments(n) for n in range(1, len(snrs) + 1))], dtype=np.float32)
    levels = [0.0, *(chi_threshold(threshold, n, island) / threshold for n in range(1, len(snrs) + 1))]
    value = (np.sqrt(squares) - moments[bands, 0]) / moments[bands, 1]
    nothing = bands == 0
    value[nothing] = 0
    return Frame(value, np.array(levels, dtype=np.float32)[bands], nothing)
