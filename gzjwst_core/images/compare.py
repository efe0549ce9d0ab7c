"""Recipes side by side: which galaxies to look at, and what one looks like in numbers.

Cutouts and pictures in, numbers out. Figures over a sample are `compare_figures`, drawing the sheet is `compare_sheet`,
files and the command line are `compare_verb`. Measures of one image are `quality`'s; here is what only a comparison
needs.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import carried
from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.images.compose import Picture
from gzjwst_core.images.quality import Measures, labels_of, measure

__all__ = ["Look", "Seen", "StarColour", "look_at", "sample", "seen", "star_colour"]

_STAR_R50_ARCSEC = 0.11
_CORE_ARCSEC, _RING_ARCSEC = 0.3, 0.05
_BRIGHTNESS_BINS, _SIZE_BINS = 4, 3


@dataclass(frozen=True, slots=True)
class Look:
    """What choosing a sample needs of a cutout."""

    path: str
    id_str: str
    flux_ujy: float
    """Of the target's segment in the reference band; NaN where there is none."""
    size_arcsec: float
    """Diameter of a circle of the segment's area; the field of view where there is no segment."""
    r50_arcsec: float
    """Half of that flux lies within this radius of the target; NaN as the flux."""
    fov_arcsec: float
    coverage: float
    """Smallest part with data over the bands, 0 to 1."""

    @property
    def mag(self) -> float:
        """AB magnitude of the flux, NaN where it is not positive."""
        return 23.9 - 2.5 * math.log10(self.flux_ujy) if self.flux_ujy > 0 else math.nan

    @property
    def star_like(self) -> bool:
        """Whether its light is as compact as a star's."""
        return self.r50_arcsec < _STAR_R50_ARCSEC


def look_at(path: str, cutout: Cutout) -> Look:
    """Measure brightness and size of a cutout's target on its own pixels.

    Parameters
    ----------
    path
        Where the cutout lies, to find it again.
    cutout
        Its reference band and its segments are read.
    """
    band = cutout.bands[cutout.reference]
    light = band.surface_brightness * np.float32(band.pixel_scale_arcsec**2)
    at = cutout.placed(band.wcs)
    y, x = np.nonzero(_target_pixels(cutout, light) & np.isfinite(light))
    flux = np.asarray(light[y, x], dtype=np.float64)
    radius = np.hypot(x - at.x, y - at.y) * band.pixel_scale_arcsec
    area = x.size * band.pixel_scale_arcsec**2
    return Look(
        path=path,
        id_str=cutout.id_str,
        flux_ujy=float(flux.sum()) if flux.size else math.nan,
        size_arcsec=math.sqrt(4 * area / math.pi) if flux.size else cutout.fov_arcsec,
        r50_arcsec=_half_light(radius, flux),
        fov_arcsec=cutout.fov_arcsec,
        coverage=min(found.coverage for found in cutout.bands.values()),
    )


def _target_pixels(cutout: Cutout, light: NDArray[np.float32]) -> NDArray[np.bool_]:
    if cutout.seg is None or cutout.seg_placed is None or cutout.segment_id == 0:
        return np.zeros(light.shape, dtype=np.bool_)
    at = cutout.placed(cutout.bands[cutout.reference].wcs)
    own: NDArray[np.bool_] = carried(cutout.seg, cutout.seg_placed, at, light.shape) == cutout.segment_id
    return own


def _half_light(radius: NDArray[np.float64], flux: NDArray[np.float64]) -> float:
    if not flux.size or flux.sum() <= 0:
        return math.nan
    order = np.argsort(radius, kind="stable")
    grown = np.maximum.accumulate(np.cumsum(flux[order]))
    return float(np.interp(0.5 * flux.sum(), grown, radius[order]))


def sample(looks: Sequence[Look], count: int) -> list[tuple[int, str]]:
    """Choose the galaxies of a sheet.

    Parameters
    ----------
    looks
        All that there is to choose from, in any order.
    count
        How many, at least.

    Returns
    -------
    list of (int, str)
        Row of `looks` and why it was taken (`brightest`, `faintest`, `largest`, `partly covered`, or empty), from
        bright to faint. The four named ones are always there (a target without a measured flux is neither brightest
        nor faintest); the others go by turns to the cells of a grid of four bins of brightness x three of size, in
        each cell by a hash of the name: the same every time.
    """
    if not looks:
        return []
    chosen = _named(looks)
    cells = _cells(looks)
    while len(chosen) < min(count, len(looks)):
        for cell in cells:
            left = [row for row in cell if row not in chosen]
            if left and len(chosen) < count:
                chosen[left[0]] = ""
    return sorted(chosen.items(), key=lambda item: (-_flux(looks[item[0]]), looks[item[0]].path))


def _named(looks: Sequence[Look]) -> dict[int, str]:
    every = range(len(looks))
    measured = [row for row in every if math.isfinite(looks[row].flux_ujy)]
    partly = [row for row in every if looks[row].coverage < 1]
    keys: list[tuple[str, Sequence[int], Callable[[int], float]]] = [
        ("brightest", measured, lambda row: -looks[row].flux_ujy),
        ("faintest", measured, lambda row: looks[row].flux_ujy),
        ("largest", every, lambda row: -looks[row].size_arcsec),
        ("partly covered", partly, lambda row: looks[row].coverage),
    ]
    found: dict[int, str] = {}
    for name, rows, key in keys:
        row = min(rows, key=lambda row: (key(row), looks[row].path), default=None)
        if row is not None:
            found[row] = f"{found[row]}, {name}" if row in found else name
    return found


def _flux(look: Look) -> float:
    """To sort by: what has no flux comes after the faintest."""
    return look.flux_ujy if math.isfinite(look.flux_ujy) else -math.inf


def _cells(looks: Sequence[Look]) -> list[list[int]]:
    """Rows of each cell of brightness x size, in the order in which they are taken."""
    by_flux = sorted(range(len(looks)), key=lambda row: (-_flux(looks[row]), looks[row].path))
    cells = []
    for some in np.array_split(by_flux, _BRIGHTNESS_BINS):
        by_size = sorted(some.tolist(), key=lambda row: (-looks[row].size_arcsec, looks[row].path))
        cells += [sorted(part.tolist(), key=lambda row: _draw(looks[row])) for part in _split(by_size)]
    return cells


def _split(rows: list[int]) -> list[NDArray[np.intp]]:
    return np.array_split(np.array(rows, dtype=np.intp), _SIZE_BINS)


def _draw(look: Look) -> bytes:
    return hashlib.sha256(look.path.encode()).digest()


class StarColour(NamedTuple):
    """Colour of a star in the middle of a picture."""

    ring: float
    """How far R - B, in rings 0.05 arcsec wide within 0.3 arcsec, goes back and forth from the centre outwards, levels.

    0 for a star whose one colour fades into the sky; a white core in a blue rim, or a bullseye, is not.
    """
    log2_rb: float
    """log2 of R over B, each summed over that disc."""
    brightness: float
    """Mean level of the disc."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One galaxy in one recipe, in numbers. Levels are of 255; NaN where there is nothing to measure."""

    measures: Measures
    sky_sd: float
    """Scatter of the sky's grey level (1.4826 x median absolute deviation)."""
    lift: float
    """Median grey level of the target's segment above the sky's."""
    star: StarColour | None
    """None unless the target is star-like."""
    size_bytes: int
    """Of the file."""
    ms: float
    """To colour the cutout; reading and encoding not counted."""


def seen(cutout: Cutout, picture: Picture, size_bytes: int, ms: float, *, star: bool = False) -> Seen:
    """Measure one picture.

    Parameters
    ----------
    cutout
        What it was made from.
    picture
        The picture before encoding.
    size_bytes
        Of its file.
    ms
        What colouring took.
    star
        Whether the target is star-like.
    """
    grey = picture.rgb.mean(axis=2, dtype=np.float32)
    labels = labels_of(cutout, picture.gap.shape)
    sky = grey[~picture.gap & (labels == 0)]
    own = grey[~picture.gap & (labels == cutout.segment_id)] if cutout.segment_id else grey[:0]
    middle = float(np.median(sky)) if sky.size else math.nan
    return Seen(
        measures=measure(cutout, picture),
        sky_sd=float(1.4826 * np.median(np.abs(sky - middle))) if sky.size else math.nan,
        lift=float(np.median(own)) - middle if own.size else math.nan,
        star=star_colour(picture.rgb, cutout.fov_arcsec) if star else None,
        size_bytes=size_bytes,
        ms=ms,
    )


def star_colour(rgb: NDArray[np.uint8], fov_arcsec: float) -> StarColour:
    """Measure the colour of a star in the middle of a picture.

    Parameters
    ----------
    rgb
        (size, size, 3).
    fov_arcsec
        Side of the picture.
    """
    size = rgb.shape[0]
    y, x = np.indices(rgb.shape[:2]) - (size - 1) / 2
    radius = np.hypot(x, y) * fov_arcsec / size
    disc = radius < _CORE_ARCSEC
    number = np.asarray(radius[disc] / _RING_ARCSEC, dtype=np.intp)
    levels = rgb[disc].astype(np.float64)
    pixels = np.bincount(number)
    difference = np.bincount(number, levels[:, 0] - levels[:, 2])[pixels > 0] / pixels[pixels > 0]
    red, blue = levels[:, 0].sum() + 1, levels[:, 2].sum() + 1  # black in one channel is still a number
    return StarColour(_back_and_forth(difference), math.log2(red / blue), float(levels.mean()))


def _back_and_forth(values: NDArray[np.float64]) -> float:
    """Half of what a profile's ups and downs are more than the way from its first to its last value."""
    return float(np.abs(np.diff(values)).sum() - abs(values[-1] - values[0])) / 2
