"""Forced photometry: Kron ellipses, circles, segments, and what lies in them. Arrays in, columns out.

Follows SExtractor through SEP (Bertin & Arnouts 1996; Kron 1980) with neighbours masked by the segmap. Errors are the
root of the sum of calibrated variances times the noise law's factor for that many pixels. Positions are 0-based
pixels of the window that is given.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import sep
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import NoiseLaw
from gzjwst_core.detection.regrid import Ellipses, Owners
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry.annuli import RINGS, SAMPLE_RADII, SAMPLES, SUBPIX, ring_light
from gzjwst_core.photometry.apertures import SMALL_PX, border_light, excess_noise, shared_ellipses, small_circles

__all__ = [
    "Kron",
    "RingSums",
    "Scene",
    "Sums",
    "aperture_fluxes",
    "aperture_sums",
    "ellipse_fluxes",
    "ellipse_sums",
    "kron_ellipses",
    "ranked_labels",
    "ring_sums",
    "segment_sums",
]

Floats = NDArray[np.float64]

_MOMENT_ELLIPSE = 6.0
_LARGEST_KRON = 7.5
_HOLLOW_ARCSEC2, _HOLLOW_RIM_SHARE = 4.0, 0.5


@dataclass(frozen=True)
class Scene:
    """One window and the sources in it: what every measurement needs.

    Attributes
    ----------
    frame
        Pixels, noise, gaps.
    labels
        (ny, nx) int32 segment ids on the same grid.
    ids
        (n,) segment ids of the sources.
    law
        Noise of sums: one law, or one for each source.
    fine
        Labels where they were drawn, if that was on another grid.
    flat
        Pixels are taken as even inside, by small circles too.
    """

    frame: Frame
    labels: NDArray[np.int32]
    ids: NDArray[np.int32]
    law: NoiseLaw
    fine: Owners | None = None
    flat: bool = False

    @property
    def owners(self) -> Owners:
        """Whose the sky is, at places within pixels."""
        return self.fine or Owners.same_grid(self.labels)

    @property
    def masks(self) -> dict[str, Any]:
        """Keywords by which SEP leaves out gaps and neighbours' segments."""
        return {"mask": self.frame.bad, "segmap": self.labels, "seg_id": self.ids}


@dataclass(frozen=True, slots=True)
class Kron:
    """Apertures of the automatic flux on the detection grid."""

    ellipses: Ellipses
    factor: Floats
    """Aperture in units of the moments' ellipse."""
    circle: NDArray[np.bool_]
    """The Kron radius failed or was too small: a circle of the least radius."""


def kron_ellipses(scene: Scene, moments: Ellipses, options: PhotometryOptions, pixel_scale_arcsec: float) -> Kron:
    """Find the aperture of the automatic flux.

    Parameters
    ----------
    scene
        The detection image.
    moments
        Second-moment ellipses (rms lengths, pixels).
    options
        Kron factor, its least value, least radius.
    pixel_scale_arcsec
        Of this grid.

    Notes
    -----
    `kron_factor x` the Kron radius within 6 moment ellipses, kept in `kron_min_factor`..7.5. SEP gives 0 where the
    light does not add up; such sources, and those whose aperture is smaller than a circle of the least radius, get
    that circle.
    """
    e = moments
    radius, _ = sep.kron_radius(scene.frame.sub, e.x, e.y, e.a, e.b, e.theta, _MOMENT_ELLIPSE, **scene.masks)
    radius = np.where(np.isfinite(radius), radius, 0.0)
    factor = np.clip(options.kron_factor * radius, options.kron_min_factor, _LARGEST_KRON)
    least = options.kron_min_radius_arcsec / pixel_scale_arcsec
    circle = (radius <= 0) | (factor * np.sqrt(e.a * e.b) < least)
    a, b = np.where(circle, least, factor * e.a), np.where(circle, least, factor * e.b)
    return Kron(Ellipses(e.x, e.y, a, b, np.where(circle, 0.0, e.theta)), factor, circle)


class Sums(NamedTuple):
    """Light of apertures, uJy, one value a source; NaN without any pixel."""

    flux: Floats
    """Masked pixels count as the mean of the others: in ellipses of those at their radius, in circles of all."""
    error: Floats
    """1 sigma: correlated noise of the pixels that are not masked, scaled to the whole aperture as their light is."""
    naive: Floats
    """Root of the sum of the pixels' calibrated variances."""


def ellipse_fluxes(scene: Scene, ellipses: Ellipses) -> tuple[Floats, Floats]:
    """Return flux and error of `ellipse_sums`."""
    sums = ellipse_sums(scene, ellipses)
    return sums.flux, sums.error


def ellipse_sums(scene: Scene, ellipses: Ellipses) -> Sums:
    """Sum the light of ellipses; what is masked counts as the mean at its own radius, where some of that is open."""
    e = ellipses
    flux, naive, flag = sep.sum_ellipse(
        scene.frame.sub, e.x, e.y, e.a, e.b, e.theta, 1.0, err=scene.frame.err, subpix=SUBPIX, **scene.masks
    )
    sums = _with_law(scene, (flux, naive, flag), e)
    some = np.flatnonzero((flag & sep.APER_HASMASKED != 0) & np.isfinite(sums.flux))
    return _filled_by_radius(scene, e, sums, some) if some.size else sums


def _filled_by_radius(scene: Scene, ellipses: Ellipses, sums: Sums, some: NDArray[np.intp]) -> Sums:
    """Put in the sums of masked ellipses ring by ring: the mean of all of one has the core's light in it."""
    part, few = replace(scene, ids=scene.ids[some]), ellipses.take(some)
    free = _open_points(part, few)
    light, spread = ring_light(scene.frame, part.masks, free, few, (0.0, 1.0))
    if scene.fine is not None:
        finer = shared_ellipses(scene.frame, scene.fine, part.ids, few, rings=RINGS)
        light = np.where(np.isfinite(finer), finer, light)
    rows, naive = some[np.isfinite(light)], sums.naive[some]
    even = naive / np.sqrt(np.maximum(free.mean(axis=1), 1 / SAMPLES))
    louder = np.divide(spread, even, out=np.ones_like(even), where=even > 0)
    flux, error = sums.flux.copy(), sums.error.copy()
    flux[rows] = light[np.isfinite(light)]
    error[rows] *= np.where(np.isfinite(louder), louder, 1.0)[np.isfinite(light)]
    return Sums(flux, error, sums.naive)


def _shared(scene: Scene, ellipses: Ellipses, flux: Floats, flag: NDArray[Any]) -> Floats:
    """Put in the sums of those that neighbours reach into, which whole pixels of another grid do not tell well."""
    some = np.flatnonzero(flag & sep.APER_HASMASKED)
    if scene.fine is None or some.size == 0:
        return flux
    finer = shared_ellipses(scene.frame, scene.fine, scene.ids[some], ellipses.take(some))
    flux[some] = np.where(np.isfinite(finer), finer, flux[some])
    return flux


def aperture_fluxes(scene: Scene, x: Floats, y: Floats, radius_px: float) -> tuple[Floats, Floats]:
    """Return flux and error of `aperture_sums`."""
    sums = aperture_sums(scene, x, y, radius_px)
    return sums.flux, sums.error


def aperture_sums(scene: Scene, x: Floats, y: Floats, radius_px: float) -> Sums:
    """Sum the light of circles."""
    flux, naive, flag = sep.sum_circle(
        scene.frame.sub, x, y, radius_px, err=scene.frame.err, subpix=SUBPIX, **scene.masks
    )
    radii = np.full(x.shape, radius_px)
    circles = Ellipses(x, y, radii, radii, np.zeros(x.shape))
    small = radius_px <= SMALL_PX and not scene.flat
    if small:
        flux = small_circles(scene.frame, scene.owners, scene.ids, np.column_stack([x, y]), radius_px)
    else:
        flux = _shared(scene, circles, flux, flag)
    sums = _with_law(scene, (flux, naive, flag), circles)
    return sums._replace(error=sums.error * excess_noise(radius_px)) if small else sums


def _with_law(scene: Scene, found: tuple[Floats, Floats, NDArray[Any]], ellipses: Ellipses) -> Sums:
    """Make errors of what SEP found. It scales the variance, not the error, to the whole aperture: too little."""
    flux, naive, flag = found
    nothing = (flag & sep.APER_ALLMASKED) != 0
    share = np.maximum(_open_share(scene, ellipses), 1 / SAMPLES)
    error = naive * scene.law.factor(ellipses.area * share) / np.sqrt(share)
    return Sums(*(np.where(nothing, np.nan, v) for v in (flux, error, naive)))


class RingSums(NamedTuple):
    """Light between an ellipse and a larger one, one value a source."""

    flux: Floats
    """uJy; NaN where some radius is masked all around."""
    error: Floats
    share: Floats
    """Part of the area that is not masked."""


def ring_sums(scene: Scene, ellipses: Ellipses, growth: float) -> RingSums:
    """Sum the light from ellipses out to `growth` times them; a growth of 1 or less has none.

    Notes
    -----
    In four rings: a neighbour or an edge masks mostly what is far out and dark, and the mean of one would not do.
    """
    if growth <= 1:
        nothing = np.zeros(scene.ids.size)
        return RingSums(nothing, nothing, nothing + 1)
    free = _open_points(scene, ellipses.scaled(growth))
    flux, spread = ring_light(scene.frame, scene.masks, free, ellipses, (1.0, growth))
    share: Floats = free[:, growth * SAMPLE_RADII >= 1].mean(axis=1)
    area = ellipses.area * (growth**2 - 1)
    return RingSums(flux, spread * scene.law.factor(area * share), share)


def _open_share(scene: Scene, ellipses: Ellipses) -> Floats:
    """Part of each ellipse that has data and belongs to no neighbour."""
    share: Floats = _open_points(scene, ellipses).mean(axis=1)
    return share


def _open_points(scene: Scene, ellipses: Ellipses) -> NDArray[np.bool_]:
    """Tell which of the points of `sample_ellipses` have data and belong to no neighbour, (n, 64)."""
    at, inside = sample_ellipses(ellipses, (scene.labels.shape[0], scene.labels.shape[1]))
    owner = scene.labels.ravel()[at]
    free = ~scene.frame.bad.ravel()[at] & ((owner == 0) | (owner == scene.ids[:, None]))
    return np.asarray(inside & free)


def segment_sums(scene: Scene) -> dict[str, Floats]:
    """Add up each source's own segment.

    Returns
    -------
    dict
        `flux` and `error` (uJy, NaN without pixels), `npix`, `peak` (uJy in the brightest pixel).
    """
    labels, ids = scene.labels.ravel(), scene.ids
    at = np.flatnonzero(labels)
    owners, rows = labels[at], np.argsort(ids)
    place = np.searchsorted(ids[rows], owners)
    place[place == ids.size] = 0
    mine = ids[rows][place] == owners if ids.size else np.zeros(at.size, dtype=bool)
    at, row = at[mine], rows[place[mine]]
    good = ~scene.frame.bad.ravel()[at]
    values, errors = scene.frame.sub.ravel()[at], scene.frame.err.ravel()[at]
    npix = np.bincount(row[good], minlength=ids.size).astype(float)
    flux = np.asarray(np.bincount(row, weights=values, minlength=ids.size), dtype=np.float64)
    if scene.fine is not None:
        flux += border_light(scene.frame, scene.labels, scene.fine, ids)
    naive = np.sqrt(np.bincount(row, weights=errors.astype(float) ** 2, minlength=ids.size))
    peak = np.full(ids.size, -np.inf)
    np.maximum.at(peak, row[good], values[good])
    some = npix > 0
    error = np.where(some, naive * scene.law.factor(npix), np.nan)
    return {"flux": np.where(some, flux, np.nan), "error": error, "npix": npix, "peak": np.where(some, peak, np.nan)}


def segment_boxes(scene: Scene) -> dict[str, NDArray[np.int64]]:
    """Find the bounding box of each source's segment: `xmin`, `xmax`, `ymin`, `ymax`, inclusive; -1 without pixels."""
    found = ndimage.find_objects(ranked_labels(scene))
    limits = np.full((4, scene.ids.size), -1, dtype=np.int64)
    for row, place in enumerate(found[: scene.ids.size]):
        if place is not None:
            limits[:, row] = place[1].start, place[1].stop - 1, place[0].start, place[0].stop - 1
    return dict(zip(("xmin", "xmax", "ymin", "ymax"), limits, strict=True))


def ranked_labels(scene: Scene) -> NDArray[np.int32]:
    """Return the labels as row in `ids` + 1, (ny, nx); those of other sources 0."""
    rank = np.zeros(int(max(scene.labels.max(initial=0), scene.ids.max(initial=0))) + 1, dtype=np.int32)
    rank[scene.ids] = np.arange(1, scene.ids.size + 1)
    return rank[scene.labels]


def sample_ellipses(ellipses: Ellipses, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Spread 64 points of equal area over each ellipse.

    Returns
    -------
    at, inside
        (n, 64): flat index of the pixel a point falls on (0 outside the window), and whether it is in the window.

    Notes
    -----
    A sunflower: radius `sqrt((i + 1/2) / 64)`, angle i times the golden angle. Shares and medians over an aperture
    are read off these points, to 1/64, instead of walking through its pixels source by source.
    """
    radius, angle = SAMPLE_RADII, np.arange(SAMPLES) * np.pi * (3 - np.sqrt(5))
    u, v = ellipses.a[:, None] * radius * np.cos(angle), ellipses.b[:, None] * radius * np.sin(angle)
    cos, sin = np.cos(ellipses.theta)[:, None], np.sin(ellipses.theta)[:, None]
    x = np.rint(ellipses.x[:, None] + u * cos - v * sin).astype(np.int64)
    y = np.rint(ellipses.y[:, None] + u * sin + v * cos).astype(np.int64)
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    return np.where(inside, y * shape[1] + x, 0), inside


def valid_share(scene: Scene, ellipses: Ellipses) -> Floats:
    """Return the part of each ellipse that has data."""
    at, inside = sample_ellipses(ellipses, (scene.labels.shape[0], scene.labels.shape[1]))
    share: Floats = (inside & ~scene.frame.bad.ravel()[at]).mean(axis=1)
    return share


def crowded_share(scene: Scene, ellipses: Ellipses) -> Floats:
    """Return the part of each ellipse that neighbours' segments cover."""
    at, inside = sample_ellipses(ellipses, (scene.labels.shape[0], scene.labels.shape[1]))
    owner = scene.labels.ravel()[at]
    share: Floats = (inside & (owner > 0) & (owner != scene.ids[:, None])).mean(axis=1)
    return share


def median_weight(scene: Scene, ellipses: Ellipses) -> Floats:
    """Return the median weight over each ellipse, gaps left out; NaN without data or weights."""
    if scene.frame.wht is None:
        return np.full(scene.ids.size, np.nan)
    at, inside = sample_ellipses(ellipses, (scene.labels.shape[0], scene.labels.shape[1]))
    weight = scene.frame.wht.ravel()[at].astype(np.float64)
    weight[~inside | (weight <= 0)] = np.inf  # sorts behind every weight that counts
    weight.sort(axis=1)
    count = np.isfinite(weight).sum(axis=1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    rows = np.arange(weight.shape[0])
    middle = 0.5 * (weight[rows, low] + weight[rows, np.minimum(high, SAMPLES - 1)])
    return np.where(count > 0, middle, np.nan)


def edge_distance(scene: Scene, x: Floats, y: Floats) -> Floats:
    """Return the distance from each source to the nearest pixel without data in the window, pixels; inf if none."""
    if not scene.frame.bad.any():
        return np.full(x.size, np.inf)
    distance = ndimage.distance_transform_edt(~scene.frame.bad)
    rows = np.clip(np.rint(y).astype(int), 0, distance.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, distance.shape[1] - 1)
    found: Floats = distance[rows, columns]
    return found


def empty_centre(scene: Scene, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Tell which sources have no data at their own centre."""
    rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
    inside = (rows >= 0) & (rows < scene.labels.shape[0]) & (columns >= 0) & (columns < scene.labels.shape[1])
    empty: NDArray[np.bool_] = inside.copy()
    empty[inside] = scene.frame.bad[rows[inside], columns[inside]]
    return empty


def hollow(scene: Scene, pixel_scale_arcsec: float) -> NDArray[np.bool_]:
    """Tell which sources have a saturated or empty core.

    A region without data of at most 4 square arcsec, more than half of whose rim is segments: every source that owns
    at least a tenth of that rim is hollow.
    """
    found = np.zeros(scene.ids.size, dtype=bool)
    ranked = ranked_labels(scene)
    regions, count = ndimage.label(scene.frame.bad, structure=np.ones((3, 3), dtype=int))
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    for number, place in enumerate(ndimage.find_objects(regions), start=1):
        if sizes[number] > _HOLLOW_ARCSEC2 / pixel_scale_arcsec**2:
            continue
        around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in place)
        hole = regions[around] == number
        rim = ndimage.binary_dilation(hole, structure=np.ones((3, 3), dtype=int)) & ~hole
        if np.mean(scene.labels[around][rim] > 0) > _HOLLOW_RIM_SHARE:
            owners = np.bincount(ranked[around][rim], minlength=scene.ids.size + 1)[1:]
            found |= owners >= 0.1 * rim.sum()
    return found
