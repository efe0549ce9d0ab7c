"""Footprints on the sky: read from `s_region`, compared on a tangent plane.

Pure geometry. A region that cannot be read is no footprint, never an error: the caller groups by name then. Right
ascension may wrap, because positions are unit vectors from the start.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["Footprint", "join_footprints", "overlap_of_smaller", "parse_footprint"]

Vectors: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = shapely.geometry.base.BaseGeometry

_SHAPE = re.compile(r"(POLYGON|CIRCLE)\s*((?:[A-Z][A-Z0-9_]*\s+)*)([-+0-9.E\s,()]*)")
_CIRCLE_CORNERS = 64
_MAX_CIRCLE_DEG = 10.0
_COS_FAR = 0.5  # 60 degrees from the middle: no survey's field, and the tangent plane still behaves


@dataclass(frozen=True, eq=False)
class Footprint:
    """One or more polygons on the sky."""

    rings: tuple[Vectors, ...]
    """Corners of each polygon as unit vectors, shape (n, 3)."""

    @cached_property
    def centre(self) -> Vectors:
        """Mean direction of all corners, a unit vector."""
        return _unit(np.concatenate(self.rings).mean(axis=0))

    @cached_property
    def radius_deg(self) -> float:
        """Largest distance of a corner from the centre."""
        cosines = np.concatenate(self.rings) @ self.centre
        return float(np.degrees(np.arccos(np.clip(cosines.min(), -1.0, 1.0))))

    @cached_property
    def area_deg2(self) -> float:
        """Area on the plane that touches the sky at the centre."""
        return float(self.on_plane(self.centre).area)

    def holds_any(self, ra_deg: Vectors, dec_deg: Vectors, *, margin_deg: float) -> bool:
        """Tell whether some position lies inside, or nearer than a margin."""
        return bool(self.holds(ra_deg, dec_deg, margin_deg=margin_deg).any())

    def holds(self, ra_deg: Vectors, dec_deg: Vectors, *, margin_deg: float) -> NDArray[np.bool_]:
        """Tell which positions lie inside, or nearer than a margin."""
        positions = _vectors(ra_deg, dec_deg)
        if positions is None:
            return np.ones(ra_deg.shape, dtype=bool)  # nobody can tell
        near = positions @ self.centre > np.cos(np.radians(self.radius_deg + margin_deg))
        east, north = _axes(self.centre)
        close = positions[near]
        plane = np.degrees(np.column_stack([close @ east, close @ north]) / (close @ self.centre)[:, None])
        inside = np.zeros(near.shape, dtype=bool)
        inside[near] = shapely.dwithin(self.on_plane(self.centre), shapely.points(plane), margin_deg)
        return inside

    def on_plane(self, centre: Vectors) -> Shape:
        """Gnomonic projection (degrees), in which great circles are straight; empty if a corner is too far away."""
        east, north = _axes(centre)
        polygons = []
        for ring in self.rings:
            depth = ring @ centre
            if depth.min() < _COS_FAR:
                return shapely.Polygon()
            plane = np.degrees(np.column_stack([ring @ east, ring @ north]) / depth[:, None])
            polygons.append(shapely.make_valid(shapely.Polygon(plane)))
        return shapely.union_all(polygons)


def parse_footprint(s_region: str) -> Footprint | None:
    """Read an STC-S region.

    Parameters
    ----------
    s_region
        `POLYGON [frame] ra dec ra dec ...` or `CIRCLE [frame] ra dec radius`, in degrees, one or several.

    Returns
    -------
    Footprint or None
        None when there is no region or any part of it cannot be read.
    """
    shapes = [_ring(kind, numbers) for kind, _frame, numbers in _SHAPE.findall(s_region.upper())]
    rings = tuple(ring for ring in shapes if ring is not None)
    return Footprint(rings) if rings and len(rings) == len(shapes) else None


def join_footprints(footprints: list[Footprint]) -> Footprint | None:
    """Put several footprints together; None for none."""
    rings = tuple(ring for footprint in footprints for ring in footprint.rings)
    return Footprint(rings) if rings else None


def overlap_of_smaller(a: Footprint, b: Footprint) -> float:
    """Shared area over the area of the smaller footprint, 0 to 1."""
    if _distance_deg(a.centre, b.centre) > a.radius_deg + b.radius_deg:
        return 0.0
    middle = _unit(a.centre + b.centre)
    on_a, on_b = a.on_plane(middle), b.on_plane(middle)
    smaller = min(on_a.area, on_b.area)
    return float(on_a.intersection(on_b).area / smaller) if smaller > 0 else 0.0


def _ring(kind: str, text: str) -> Vectors | None:
    try:
        numbers = np.array(re.sub(r"[(),]", " ", text).split(), dtype=np.float64)
    except ValueError:
        return None
    return _circle(numbers) if kind == "CIRCLE" else _polygon(numbers)


def _polygon(numbers: Vectors) -> Vectors | None:
    if numbers.size < 6 or numbers.size % 2:
        return None
    return _vectors(numbers[0::2], numbers[1::2])


def _circle(numbers: Vectors) -> Vectors | None:
    if numbers.size != 3 or not 0 < numbers[2] <= _MAX_CIRCLE_DEG:
        return None
    middle = _vectors(numbers[:1], numbers[1:2])
    if middle is None:
        return None
    east, north = _axes(middle[0])
    angles = np.linspace(0.0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)[:, None]
    radius = np.radians(numbers[2])
    return np.asarray(np.cos(radius) * middle + np.sin(radius) * (np.cos(angles) * east + np.sin(angles) * north))


def _vectors(ra_deg: Vectors, dec_deg: Vectors) -> Vectors | None:
    if not (np.isfinite(ra_deg).all() and (np.abs(dec_deg) <= 90.0).all()):  # NaN fails the comparison too
        return None
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _axes(centre: Vectors) -> tuple[Vectors, Vectors]:
    """Return unit vectors across the line of sight; near a pole any pair does."""
    pole = np.array([0.0, 0.0, 1.0]) if abs(centre[2]) < 0.999999 else np.array([1.0, 0.0, 0.0])
    east = _unit(np.cross(pole, centre))
    return east, np.asarray(np.cross(centre, east))


def _unit(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length) if length > 0 else np.array([1.0, 0.0, 0.0])


def _distance_deg(a: Vectors, b: Vectors) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
