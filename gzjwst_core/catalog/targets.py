"""Targets instead of a survey's own sources: the catalog of one field for the positions a person brings.

The field is segmented and measured exactly as for a survey, so that a target which is a source has the survey's own
numbers. A target without a segment within 0.5 arcsec gets a small round one of its own. Only targets are rows. The
list itself is read by `target_list`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from gzjwst_core.catalog.centres import STATED_PLACE
from gzjwst_core.catalog.columns import Flag, catalog_columns
from gzjwst_core.catalog.field import FieldCatalog, Sections, build_field_catalog
from gzjwst_core.catalog.target_list import FOV_OF_DIAGONAL, read_targets, unplaced
from gzjwst_core.catalog.tiles import OBJECT_DTYPE, Detected, DetectionPlan, detection_frame
from gzjwst_core.engine import CpuMap
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.rows import near
from gzjwst_core.mosaics.segmap import SegmapReader, SegmapWriter, open_segmap
from gzjwst_core.options import MosaicOptions
from gzjwst_core.storage.tables import empty_table

__all__ = ["catalog_of_targets", "read_targets", "unplaced"]

_REACH_ARCSEC = 0.5
_CIRCLE_ARCSEC = 0.175
_UNKNOWN_OF_CIRCLES = ("a", "b", "theta_sky", "theta_image", "ellipticity", "star_score")
_UNKNOWN_IN_BANDS = ("_ellipticity", "_theta_sky", "_star_score")


@dataclass(frozen=True, slots=True)
class _Places:
    """Targets on a grid."""

    rows: NDArray[np.int64]
    """(n,) rows of the list that are inside the grid."""
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def catalog_of_targets(
    targets: Table,
    sources: Sequence[MosaicSource],
    profile: Sections,
    segmap_path: Path,
    *,
    bands: tuple[str, ...],
    cpu_map: CpuMap = map,
) -> FieldCatalog:
    """Measure the targets that lie in one field.

    Parameters
    ----------
    targets
        From `read_targets`; rows with a reason are left out.
    sources, profile, segmap_path, bands, cpu_map
        As for `build_field_catalog`.

    Returns
    -------
    FieldCatalog
        One row a target in the field, in the order of the list, with `ext_id`. Flag TARGET: it has no segment of its
        own but a circle of 0.175 arcsec radius, and is never taken for a star. `bbox_diagonal` is a stated field of
        view / 1.5 where the list has one. Two targets on one segment are two rows with the same numbers.
        `counts` has `targets`, and `circles` among them. A field without targets is not looked at: no rows, no mosaics.

    Raises
    ------
    CatalogError, MosaicError
        As `build_field_catalog`.

    Notes
    -----
    In the field is what has data in a detection band, within 0.175 arcsec where there is no segment.
    """
    if not _any_here(targets, sources, profile.mosaics):
        return _nothing(sources, profile, segmap_path, bands)
    circles = _Circles(targets)
    found = build_field_catalog(sources, profile, segmap_path, bands=bands, cpu_map=cpu_map, add=circles.add)
    with open_segmap(segmap_path) as segmap:
        places = _places(targets, segmap.wcs, segmap.shape)
        segments = _segments(places, segmap)
    row_of = {segment: row for row, segment in enumerate(np.asarray(found.table["segment_id"]).tolist())}
    placed = [(at, row_of[s]) for at, s in zip(places.rows.tolist(), segments, strict=True) if s in row_of]
    table = _rows(found.table, targets, placed, circles.first)
    own = int(np.count_nonzero(np.asarray(table["flags"]) & np.uint32(Flag.TARGET)))
    counts = {**found.counts, "targets": len(table), "circles": own}
    return FieldCatalog(table, found.mosaics, found.reference_band, counts)


def _any_here(targets: Table, sources: Sequence[MosaicSource], options: MosaicOptions) -> bool:
    for source in sources:
        with open_mosaic(source, options, check=False) as reader:
            if _places(targets, reader.wcs, reader.shape).rows.size:
                return True
    return False


def _nothing(
    sources: Sequence[MosaicSource], profile: Sections, segmap_path: Path, bands: tuple[str, ...]
) -> FieldCatalog:
    with (
        open_mosaic(sources[0], profile.mosaics, check=False) as reader,
        SegmapWriter(segmap_path, reader.shape, reader.wcs),
    ):
        table = empty_table(catalog_columns(bands, profile.photometry, profile.psf))
        return FieldCatalog(table, Table(), reader.band, {"targets": 0, "circles": 0})


def _rows(table: Table, targets: Table, placed: Sequence[tuple[int, int]], first_circle: int) -> Table:
    """Take the targets' rows out of the field's table, and put in what the list states."""
    wanted = np.array([at for at, _ in placed], dtype=int)
    made = table[np.array([row for _, row in placed], dtype=int)]
    made["source_id"] = np.arange(1, len(made) + 1, dtype=made["source_id"].dtype)
    _replace(made, "ext_id", np.asarray(targets["ext_id"])[wanted].astype(str))
    stated = np.asarray(targets["fov_arcsec"], dtype=np.float64)[wanted] / FOV_OF_DIAGONAL
    made["bbox_diagonal"][:] = np.where(np.isfinite(stated), stated, made["bbox_diagonal"])
    circle = np.asarray(made["segment_id"]) >= first_circle
    made["flags"][circle] |= np.uint32(Flag.TARGET)
    made["is_star"][circle] = False
    for name in (*_UNKNOWN_OF_CIRCLES, *(n for n in made.colnames if n.endswith(_UNKNOWN_IN_BANDS))):
        made[name][circle] = np.nan
    return made


def _replace(table: Table, name: str, values: NDArray[Any]) -> None:
    """Put in values of any length of text, and keep what the column says of itself."""
    old = table[name]
    table.replace_column(name, type(old)(values, name=name, unit=old.unit, description=old.description, meta=old.meta))


# ---------------------------------------------------------------- between detecting and measuring


class _Circles:
    """Gives every target without a segment a small round one, in the segmap and among the objects.

    Parameters
    ----------
    targets
        From `read_targets`.
    """

    def __init__(self, targets: Table) -> None:
        self._targets = targets
        self.first = 0
        """Segment id from which on segments are circles."""

    def add(self, plan: DetectionPlan, detected: Detected, segmap_path: Path) -> Detected:
        """Label the circles, and return all objects."""
        with open_segmap(segmap_path) as segmap:
            places = _places(self._targets, segmap.wcs, segmap.shape)
            lonely = [at for at, segment in zip(_pairs(places), _segments(places, segmap), strict=True) if not segment]
        self.first = int(detected.objects["id"].max(initial=0)) + 1
        made: list[tuple[int, float, float]] = []
        with fits.open(segmap_path, mode="update", memmap=True) as hdus:
            for x, y in lonely:
                segment = self.first + len(made)
                if _paint(hdus["SEG"].data, plan, x, y, segment):
                    made.append((segment, x, y))
        return _with_objects(detected, made, _CIRCLE_ARCSEC / plan.scale_arcsec)


def _paint(labels: NDArray[np.int32], plan: DetectionPlan, x: float, y: float, segment: int) -> bool:
    """Label the pixels with data of a circle, unless another target's circle has its middle; says whether it did."""
    if labels[round(y), round(x)]:
        return False
    radius = max(_CIRCLE_ARCSEC / plan.scale_arcsec, 1.0)
    box = _around(x, y, radius).clip((labels.shape[0], labels.shape[1]))
    yy, xx = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    circle = ((xx - x) ** 2 + (yy - y) ** 2 <= radius**2) & ~detection_frame(plan, box).bad
    circle &= labels[box.slices] == 0
    labels[box.slices][circle] = segment
    return bool(circle.any())


def _with_objects(detected: Detected, new: Sequence[tuple[int, float, float]], radius_px: float) -> Detected:
    objects = np.zeros(len(new), dtype=OBJECT_DTYPE)
    for name, values in zip(("id", "x", "y"), zip(*new, strict=True), strict=False):
        objects[name] = values
    objects["flag"] = STATED_PLACE
    # so small that the Kron aperture falls back to its smallest circle
    objects["a"] = objects["b"] = radius_px / 10
    for number, tile in enumerate(detected.tiles):
        objects["tile"][tile.holds(np.rint(objects["y"]), np.rint(objects["x"]))] = number
    return Detected(np.concatenate([detected.objects, objects]), detected.tiles, detected.empty_blocks)


# ---------------------------------------------------------------- places


def _places(targets: Table, wcs: WCS, shape: tuple[int, int]) -> _Places:
    rows = np.flatnonzero(np.asarray(targets["reason"]) == "")
    ra, dec = (np.asarray(targets[name], dtype=np.float64)[rows] for name in ("ra", "dec"))
    close = near(ra, dec, wcs)
    x, y = (np.asarray(v) for v in wcs.all_world2pix(ra[close], dec[close], 0))
    inside = (x >= -0.5) & (x < shape[1] - 0.5) & (y >= -0.5) & (y < shape[0] - 0.5)
    return _Places(rows[close][inside], x[inside], y[inside])


def _pairs(places: _Places) -> list[tuple[float, float]]:
    return list(zip(places.x.tolist(), places.y.tolist(), strict=True))


def _around(x: float, y: float, reach: float) -> Box:
    size = int(np.ceil(reach)) + 1
    return Box(round(y), round(y) + 1, round(x), round(x) + 1).grow(size)


def _segments(places: _Places, segmap: SegmapReader) -> list[int]:
    """Segment of the nearest labelled pixel within reach of each place; 0 = none."""
    reach = _REACH_ARCSEC / segmap.pixel_scale_arcsec
    return [_nearest(segmap.window(_around(x, y, reach)), reach) for x, y in _pairs(places)]


def _nearest(labels: NDArray[np.int32], reach: float) -> int:
    middle = (labels.shape[0] // 2, labels.shape[1] // 2)
    if labels[middle] or not labels.any():
        return int(labels[middle])
    distance, nearest = distance_transform_edt(labels == 0, return_indices=True)
    return int(labels[nearest[0][middle], nearest[1][middle]]) if distance[middle] <= reach else 0
