"""Lay targets out on a field's detection grid, where detection would find sources: their apertures and their segments.

Work items for `cpu_map` open the mosaics; the arithmetic is in `given_shapes`, what becomes of the rows in `targets`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.regrid import Ellipses, half_turn
from gzjwst_core.detection.tiles import BLOCK_PX, OBJECT_DTYPE, Detected, DetectionPlan, detection_frame
from gzjwst_core.mosaics.geometry import Box, grid_axes, grid_positions, sky_jacobian, tiles
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import SegmapWriter
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry.measure import Scene, kron_ellipses
from gzjwst_core.photometry.target_apertures import (
    CIRCLE_OF_R50,
    GIVEN_FACTOR,
    GROWTH_ARCSEC,
    growth_radii,
    label_ellipses,
    leaders,
)
from gzjwst_core.runs.engine import CpuMap

__all__ = ["Layout", "Placed", "places_on"]

Floats = NDArray[np.float64]

_LEAST_ARCSEC = 0.175
_SEGMENT_OF_APERTURE = 0.5


@dataclass(frozen=True, slots=True)
class Placed:
    """Targets on a grid."""

    rows: NDArray[np.int64]
    """(n,) rows of the list that are inside the grid."""
    x: Floats
    y: Floats


@dataclass(frozen=True)
class _Item:
    """One tile, and the targets on it (or reaching into it, where segments are labelled)."""

    plan: DetectionPlan
    photometry: PhotometryOptions
    tile: Box
    ids: NDArray[np.int32]
    ellipses: Ellipses
    """On the whole grid: segments where they are labelled; what the list states where apertures are sought."""
    moments: bool = False


@dataclass(frozen=True, slots=True)
class _Labelled:
    at: NDArray[np.int64]
    """Flat indices of the tile's labelled pixels."""
    labels: NDArray[np.int32]
    empty: NDArray[np.bool_]
    """Blocks of the tile in which some pixel has no data."""


class Layout:
    """Stands in for detection: `find` is what `build_field_catalog` calls.

    Parameters
    ----------
    targets
        From `read_targets`.
    photometry
        Least radius of an aperture; Kron factors where the list has second moments.
    moments
        Whether the list's shapes are second moments.
    cpu_map
        Where the work runs.
    """

    def __init__(self, targets: Table, photometry: PhotometryOptions, *, moments: bool, cpu_map: CpuMap) -> None:
        self._targets = targets
        self._photometry = photometry
        self._moments = moments
        self._map = cpu_map
        self.placed = Placed(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
        """Targets inside the detection grid."""
        self.segments = np.zeros(0, dtype=np.int32)
        """(n,) segment id of each of them: those within 0.175 arcsec of an earlier one share that one's."""

    def find(self, plan: DetectionPlan, segmap_path: Path) -> Detected:
        """Find apertures, write the segmap and return the objects, one a segment, ids from 1 in the list's order."""
        with open_mosaic(plan.bands[0].source, plan.mosaics, check=False) as reader:
            wcs = reader.wcs
        self.placed = places_on(self._targets, wcs, plan.shape)
        least = max(_LEAST_ARCSEC / plan.scale_arcsec, 1.5)
        first = leaders(self.placed.x, self.placed.y, least)
        chosen = np.flatnonzero(first == np.arange(first.size))
        ids = np.arange(1, chosen.size + 1, dtype=np.int32)
        self.segments = ids[np.searchsorted(chosen, first)]
        stated = _stated(self._targets, self.placed, wcs, plan.scale_arcsec).take(chosen)
        boxes = tuple(tiles(plan.shape, plan.options.tile_px))
        nothing = _Item(plan, self._photometry, boxes[0], ids, stated, self._moments)
        apertures = self._apertures(nothing, boxes)
        segments = _at_least(apertures.scaled(_SEGMENT_OF_APERTURE), least)
        blocks = self._label(replace(nothing, ellipses=segments), boxes, segmap_path, wcs)
        return Detected(_objects(apertures, ids, boxes), boxes, blocks)

    def _apertures(self, item: _Item, boxes: Sequence[Box]) -> Ellipses:
        """Return the apertures: those stated, those of second moments, and circles from growth of light."""
        found = np.stack([item.ellipses.a, item.ellipses.b])
        sought = self._moments | np.isnan(found[0])
        least = self._photometry.kron_min_radius_arcsec / item.plan.scale_arcsec
        work = [(rows, one) for rows, one in _by_tile(item, boxes, margin=0.0) if sought[rows].any()]
        for (rows, _), axes in zip(work, self._map(_find_apertures, [one for _, one in work]), strict=True):
            found[:, rows] = axes
        return _at_least(replace(item.ellipses, a=found[0], b=found[1]), least)

    def _label(self, item: _Item, boxes: Sequence[Box], path: Path, wcs: WCS) -> NDArray[np.bool_]:
        """Write the segmap; returns the blocks in which some pixel has no data, where that was looked at."""
        shape = item.plan.shape
        blocks = np.zeros((-(-shape[0] // BLOCK_PX), -(-shape[1] // BLOCK_PX)), dtype=bool)
        work = [one for rows, one in _by_tile(item, boxes, margin=1.0) if rows.size]
        with SegmapWriter(path, shape, wcs) as segmap:
            for one, labelled in zip(work, self._map(_label_tile, work), strict=True):
                labels = np.zeros(one.tile.shape, dtype=np.int32)
                labels.ravel()[labelled.at] = labelled.labels
                segmap.write(one.tile, labels)
                row, column = one.tile.y0 // BLOCK_PX, one.tile.x0 // BLOCK_PX
                height, width = labelled.empty.shape
                blocks[row : row + height, column : column + width] |= labelled.empty
        return blocks


def places_on(targets: Table, wcs: WCS, shape: tuple[int, int]) -> Placed:
    """Find the targets with a good position that lie inside a grid."""
    rows = np.flatnonzero(np.asarray(targets["reason"]) == "")
    ra, dec = (np.asarray(targets[name], dtype=np.float64)[rows] for name in ("ra", "dec"))
    x, y = grid_positions(wcs, ra, dec)
    inside = (x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)
    return Placed(rows[inside], x[inside], y[inside])


def _stated(targets: Table, placed: Placed, wcs: WCS, scale: float) -> Ellipses:
    """Bring the list's shapes onto the grid, pixels: its ellipse, else 3 half-light radii, else NaN."""
    columns = ("r50_arcsec", "a_arcsec", "b_arcsec", "theta_sky")
    r50, a, b, angle = (np.asarray(targets[name], dtype=float)[placed.rows] for name in columns)
    circle = CIRCLE_OF_R50 * r50 / scale
    a, b, theta = grid_axes(sky_jacobian(wcs, placed.x, placed.y), a, b, np.nan_to_num(angle))
    shaped, turned = np.isfinite(a), np.isfinite(a) & np.isfinite(angle)
    theta = np.where(turned, half_turn(theta), 0.0)
    return Ellipses(placed.x, placed.y, np.where(shaped, a, circle), np.where(shaped, b, circle), theta)


def _at_least(ellipses: Ellipses, least: float) -> Ellipses:
    return replace(ellipses, a=np.maximum(ellipses.a, least), b=np.maximum(ellipses.b, least))


def _by_tile(item: _Item, boxes: Sequence[Box], margin: float) -> Iterator[tuple[NDArray[np.int64], _Item]]:
    """Share targets out to tiles: by their centres, or with a margin by all that their ellipses may touch."""
    e = item.ellipses
    reach = margin * (np.nan_to_num(e.a) + 2)
    for box in boxes:
        low = (np.rint(e.x + reach) >= box.x0) & (np.rint(e.y + reach) >= box.y0)
        high = (np.rint(e.x - reach) < box.x1) & (np.rint(e.y - reach) < box.y1)
        rows = np.flatnonzero(low & high)
        yield rows, replace(item, tile=box, ids=item.ids[rows], ellipses=e.take(rows))


def _find_apertures(item: _Item) -> Floats:
    """Return (2, n) semi-axes: a Kron ellipse around second moments, a circle of growth where nothing is known."""
    scale = item.plan.scale_arcsec
    box = item.tile.grow(int(np.ceil(GROWTH_ARCSEC / scale)) + 1)
    here = item.ellipses.shift(-box.y0, -box.x0)
    known = np.isfinite(here.a)
    least = max(_LEAST_ARCSEC / scale, 1.0)
    rough = replace(here, a=np.where(known, here.a, least), b=np.where(known, here.b, least))
    frame = detection_frame(item.plan, box)
    labels = label_ellipses(_at_least(rough.scaled(_SEGMENT_OF_APERTURE), least), item.ids, box.shape)
    scene = Scene(frame, labels, item.ids, WHITE)
    unknown = replace(scene, ids=item.ids[~known])
    axes = np.stack([here.a, here.b])
    axes[:, ~known] = growth_radii(unknown, here.x[~known], here.y[~known], scale)
    if item.moments and known.any():
        few = replace(scene, ids=item.ids[known])
        kron = kron_ellipses(few, here.take(known), item.photometry, scale).ellipses
        axes[:, known] = kron.a, kron.b
    return axes


def _label_tile(item: _Item) -> _Labelled:
    tile = item.tile
    bad = detection_frame(item.plan, tile).bad
    labels = label_ellipses(item.ellipses.shift(-tile.y0, -tile.x0), item.ids, tile.shape)
    labels[bad] = 0
    rows, columns = np.nonzero(bad)
    empty = np.zeros((-(-tile.shape[0] // BLOCK_PX), -(-tile.shape[1] // BLOCK_PX)), dtype=bool)
    empty[rows // BLOCK_PX, columns // BLOCK_PX] = True
    at = np.flatnonzero(labels)
    return _Labelled(at, labels.ravel()[at], empty)


def _objects(apertures: Ellipses, ids: NDArray[np.int32], boxes: Sequence[Box]) -> NDArray[np.void]:
    objects = np.zeros(ids.size, dtype=OBJECT_DTYPE)
    objects["id"] = ids
    for name in ("x", "y", "theta"):
        objects[name] = getattr(apertures, name)
    objects["a"], objects["b"] = apertures.a / GIVEN_FACTOR, apertures.b / GIVEN_FACTOR
    for number, box in enumerate(boxes):
        objects["tile"][box.holds(np.rint(objects["y"]), np.rint(objects["x"]))] = number
    return objects
