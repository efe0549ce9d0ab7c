"""A PSF from stars: stamps cleaned, recentred, normalised and combined. Arrays in, arrays out.

Which sources are stars, and where their pixels come from, is in `known`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.psf.stamp import Psf, offsets_arcsec, resampled, unit_sum

__all__ = ["stack_stars"]

Image = NDArray[np.float64]

_CORE_ARCSEC, _SKY_FROM = 0.25, 0.75
_ROUNDS, _WINDOW_ARCSEC = 8, 0.08
_FARTHEST_PX = 1.5
_CLIP_SIGMA = 4.0
_WING_SNR, _JOINT_ARCSEC = 3.0, 0.15
_WEIGHT_LIMIT = 4.0


@dataclass(frozen=True, slots=True)
class _Star:
    """One clean stamp: star on the middle pixel, sky off, unit flux in the core; NaN where nothing is known."""

    pixels: Image
    flux: float


def stack_stars(
    stamps: Sequence[NDArray[np.floating]],
    bad: Sequence[NDArray[np.bool_]],
    centres: Sequence[tuple[float, float]],
    scale_arcsec: float,
    *,
    wings: Psf | None = None,
) -> Psf | None:
    """Combine stars into a PSF.

    Parameters
    ----------
    stamps
        (n, n) pixels of one star each, n odd and the same for all, any unit.
    bad
        Pixels that do not count: no data, neighbours.
    centres
        Catalogued place (x, y) of the star in its stamp, 0-based; found anew to sub-pixels.
    scale_arcsec
        Side of a pixel.
    wings
        Profile for radii at which the stack has no signal; None = nothing is replaced.

    Returns
    -------
    Psf or None
        None where no stamp is usable: a usable star has all its core (0.25 arcsec), positive, near the stated place.

    Notes
    -----
    Each star: centre by a Gaussian-weighted centroid (sigma 0.08 arcsec, as SExtractor's XWIN), median of the outer
    quarter taken off as sky, shifted by a quintic spline, divided by its core. All: pixels away from the median by more
    than 4 sigma (median absolute deviation, no less than 2 % of the pixel) are neighbours that nobody knew; mean with
    the core fluxes as weights, capped at 4 times the median one. From the radius on where the ring's mean is below 3
    times its error, `wings` takes over, scaled to the 0.15 arcsec inside of it.
    """
    made = (
        _clean(np.asarray(s, dtype=float), b, c, scale_arcsec) for s, b, c in zip(stamps, bad, centres, strict=True)
    )
    stars = [star for star in made if star is not None]
    if not stars:
        return None
    flux = np.array([star.flux for star in stars])
    pixels = _mean(np.stack([star.pixels for star in stars]), np.minimum(flux, _WEIGHT_LIMIT * np.median(flux)))
    if wings is not None:
        pixels = _with_wings(pixels, resampled(wings, scale_arcsec), scale_arcsec)
    return Psf(unit_sum(pixels), scale_arcsec, "stars", len(stars))


def _clean(stamp: Image, bad: NDArray[np.bool_], centre: tuple[float, float], scale: float) -> _Star | None:
    good = ~bad & np.isfinite(stamp)
    distance = _distance(stamp.shape, centre) * scale
    if not good[distance < _CORE_ARCSEC].all():
        return None
    reach = stamp.shape[0] / 2 * scale
    around = stamp[good & (distance > _SKY_FROM * reach)]
    sky = float(np.median(around)) if around.size else 0.0
    image = np.where(good, stamp - sky, 0.0)
    found = _centroid(image, centre, _WINDOW_ARCSEC / scale)
    if found is None:
        return None
    shift = np.array([stamp.shape[0] // 2 - found[1], stamp.shape[1] // 2 - found[0]])
    moved = ndimage.shift(image, shift, order=5, mode="constant")
    known = ndimage.shift(good.astype(float), shift, order=1, mode="constant") > 0.99
    core = float(moved[_distance(stamp.shape, _middle(stamp.shape)) * scale < _CORE_ARCSEC].sum())
    return _Star(np.where(known, moved / core, np.nan), core) if core > 0 else None


def _middle(shape: tuple[int, ...]) -> tuple[float, float]:
    return shape[1] // 2, shape[0] // 2


def _distance(shape: tuple[int, ...], centre: tuple[float, float]) -> Image:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(x - centre[0], y - centre[1]))


def _centroid(image: Image, start: tuple[float, float], sigma_px: float) -> tuple[float, float] | None:
    """Find the centre by a Gaussian-weighted mean that is doubled at each round, as SExtractor's windowed positions."""
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    sigma_px = max(sigma_px, 1.0)
    at = start
    for _ in range(_ROUNDS):
        weight = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma_px**2)) * image
        total = float(weight.sum())
        if total <= 0:
            return None
        at = (
            at[0] + 2 * float((weight * (x - at[0])).sum()) / total,
            at[1] + 2 * float((weight * (y - at[1])).sum()) / total,
        )
        if np.hypot(at[0] - start[0], at[1] - start[1]) > max(_FARTHEST_PX, 2 * sigma_px):
            return None
    return at


def _mean(cube: Image, flux: Image) -> Image:
    """Weighted mean over stars (first axis), outliers and unknown pixels left out; 0 where nothing is known."""
    known = np.isfinite(cube)
    if len(cube) > 2:
        middle = _known_median(cube, known)
        deviation = np.abs(cube - middle)
        spread = 1.4826 * _known_median(deviation, known)
        known &= deviation <= _CLIP_SIGMA * np.maximum(spread, 0.02 * np.abs(middle)) + 1e-12
    weight = np.where(known, flux[:, None, None], 0.0)
    total = weight.sum(axis=0)
    summed = (weight * np.where(known, cube, 0.0)).sum(axis=0)
    return np.asarray(np.divide(summed, total, out=np.zeros_like(total), where=total > 0))


def _known_median(cube: Image, known: NDArray[np.bool_]) -> Image:
    """Median along the first axis over what is known; 0 where nothing is."""
    count = known.sum(axis=0)
    ordered = np.sort(np.where(known, cube, np.inf), axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(cube) - 1)
    pair = [np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, high)]
    return np.where(count > 0, 0.5 * (pair[0] + pair[1]), 0.0)


def _with_wings(pixels: Image, wings: Psf, scale: float) -> Image:
    """Put the other profile in from where the stack's rings have no signal."""
    distance = offsets_arcsec(pixels.shape[0], scale)
    outer = _framed(wings.pixels, pixels.shape[0])
    ring = np.floor(distance / scale).astype(int)
    for number in range(int(_CORE_ARCSEC / scale), pixels.shape[0] // 2 + 1):
        values = pixels[ring == number]
        error = 1.4826 * np.median(np.abs(values - np.median(values))) / np.sqrt(values.size)
        if values.mean() < _WING_SNR * error:
            break
    end = number * scale
    joint = (distance < end) & (distance >= end - _JOINT_ARCSEC)
    level = max(float(pixels[joint].sum()), 0.0) / float(outer[joint].sum())
    return np.where(distance < end, pixels, level * outer)


def _framed(pixels: NDArray[np.float32], side: int) -> Image:
    """Cut or pad a centred stamp to another odd side."""
    grow = side // 2 - pixels.shape[0] // 2
    if grow < 0:
        return pixels[-grow:grow, -grow:grow].astype(float)
    return np.pad(pixels.astype(float), grow)
