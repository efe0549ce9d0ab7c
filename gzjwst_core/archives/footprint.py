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

_FRAMES = "ICRS|FK5|J2000"
_PLACES = "BARYCENTER|GEOCENTER|TOPOCENTER|HELIOCENTER|UNKNOWNREFPOS|SPHERICAL2"
_SHAPE = re.compile(rf"(POLYGON|CIRCLE)[\s(]*(?:(?:{_FRAMES}|{_PLACES})\s+)*([-+0-9.E\s,()]*)")
_BETWEEN = re.compile(rf"(?:UNION|{_FRAMES}|{_PLACES}|[\s(),])*")
_CIRCLE_CORNERS = 64
_MAX_RADIUS_DEG = 10.0
_MAX_RA_DEG = 720.0
_HALF_OF_LEAST_WIDTH_DEG = 0.1 / 3600
_COS_NEAR = 0.98  # 11 degrees: a plane's areas are right within some per cent
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
        """Area, overlaps counted once: on a plane for each group of polygons that are near each other."""
        area, left = 0.0, list(self.rings)
        while left:
            middle = _unit(left[0].mean(axis=0))
            near = [ring for ring in left if _unit(ring.mean(axis=0)) @ middle > _COS_NEAR]
            area += float(Footprint(tuple(near)).on_plane(middle).area)
            left = [ring for ring in left if not any(ring is other for other in near)]
        return area

    def holds_any(self, ra_deg: Vectors, dec_deg: Vectors, *, margin_deg: float) -> bool:
        """Tell whether some position lies inside, or nearer than a margin."""
        return bool(self.holds(ra_deg, dec_deg, margin_deg=margin_deg).any())

    def holds(self, ra_deg: Vectors, dec_deg: Vectors, *, margin_deg: float) -> NDArray[np.bool_]:
        """Tell which positions lie inside, or nearer than a margin."""
        positions = _vectors(ra_deg, dec_deg)
        if positions is None:
            return np.ones(ra_deg.shape, dtype=bool)  # nobody can tell
        inside = np.zeros(ra_deg.shape, dtype=bool)
        for ring in self.rings:
            one = Footprint((ring,))
            near = positions @ one.centre > np.cos(np.radians(one.radius_deg + margin_deg))
            polygon = shapely.Polygon(_on_plane(ring, one.centre))
            if not polygon.is_valid:  # its corners are in some other order: what they enclose is not known
                polygon = polygon.convex_hull
            places = shapely.points(_on_plane(positions[near], one.centre))
            inside[near] |= shapely.dwithin(polygon, places, margin_deg)
        return inside

    def on_plane(self, centre: Vectors) -> Shape:
        """Gnomonic projection (degrees), in which great circles are straight, of what is within 60 degrees of it."""
        near = [ring for ring in self.rings if (ring @ centre).min() > _COS_FAR]
        return shapely.union_all([shapely.make_valid(shapely.Polygon(_on_plane(ring, centre))) for ring in near])


def parse_footprint(s_region: str) -> Footprint | None:
    """Read an STC-S region.

    Parameters
    ----------
    s_region
        `POLYGON [frame] ra dec ra dec ...` or `CIRCLE [frame] ra dec radius`, in degrees, one or several, or a UNION
        of them; the frame is ICRS, FK5 or J2000, which differ by less than 0.1 arcsec.

    Returns
    -------
    Footprint or None
        None where nobody can tell what it covers: there is no region, some part of it cannot be read, is in another
        frame, reaches farther than 10 degrees from its middle, or is nowhere 0.2 arcsec wide.
    """
    text = s_region.upper()
    if not _BETWEEN.fullmatch(_SHAPE.sub(" ", text)):
        return None
    shapes = [_usable(_ring(kind, numbers)) for kind, numbers in _SHAPE.findall(text)]
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


def _usable(ring: Vectors | None) -> Vectors | None:
    if ring is None:
        return None
    one = Footprint((ring,))
    if not one.radius_deg <= _MAX_RADIUS_DEG or one.on_plane(one.centre).buffer(-_HALF_OF_LEAST_WIDTH_DEG).is_empty:
        return None
    return ring


def _on_plane(vectors: Vectors, centre: Vectors) -> Vectors:
    """Return (n, 2) degrees on the plane that touches the sky at a centre."""
    east, north = _axes(centre)
    return np.degrees(np.column_stack([vectors @ east, vectors @ north]) / (vectors @ centre)[:, None])


def _polygon(numbers: Vectors) -> Vectors | None:
    if numbers.size < 6 or numbers.size % 2:
        return None
    return _vectors(numbers[0::2], numbers[1::2])


def _circle(numbers: Vectors) -> Vectors | None:
    if numbers.size != 3 or not 0 < numbers[2] <= _MAX_RADIUS_DEG:
        return None
    middle = _vectors(numbers[:1], numbers[1:2])
    if middle is None:
        return None
    east, north = _axes(middle[0])
    angles = np.linspace(0.0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)[:, None]
    radius = np.radians(numbers[2])
    return np.asarray(np.cos(radius) * middle + np.sin(radius) * (np.cos(angles) * east + np.sin(angles) * north))


def _vectors(ra_deg: Vectors, dec_deg: Vectors) -> Vectors | None:
    if not ((np.abs(ra_deg) <= _MAX_RA_DEG).all() and (np.abs(dec_deg) <= 90.0).all()):  # NaN fails the comparison too
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
