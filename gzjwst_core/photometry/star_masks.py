"""What surrounds a bright star: a round halo and diffraction spikes, and which sources lie in them. Arrays in and out.

NIRCam's pattern, as JWST's mirror and struts draw it: six big spikes 60 deg apart, one pair along the telescope's V3
axis, and a small pair across that axis. The angle of V3 is the header's where it states one, else the six-fold moment
of the stars' own segments tells the six; where neither does, the zone is round. Who is a star is decided in `stars`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.mosaics.geometry import sky_jacobian
from gzjwst_core.mosaics.layout import HEADER_FAULTS
from gzjwst_core.photometry.measure import Scene

__all__ = ["Zones", "in_zones", "sixfold_moments", "v3_angle", "zones_of"]

Floats = NDArray[np.float64]

_HALO_ARCSEC, _HALO_SLOPE, _HALO_LIMITS = 1.0, 0.11, (0.5, 20.0)
_SPIKE_ARCSEC, _SPIKE_SLOPE, _SPIKE_LIMITS = 4.0, 0.2, (1.0, 40.0)
_ZERO_MAG = 20.0
_HALO_OF_SEGMENT, _SPIKE_OF_SEGMENT, _SMALL_OF_BIG = 1.3, 0.7, 0.5
_HALF_WIDTH_ARCSEC, _FLARE = 0.25, 0.03
_LEAST_MOMENT = 0.15
_BIG_DEG, _SMALL_DEG = (0.0, 60.0, 120.0), 90.0


@dataclass(frozen=True)
class Zones:
    """The zones around bright stars, lengths in pixels."""

    rows: NDArray[np.int64]
    """Rows of the stars."""
    halo: Floats
    """Radius around each."""
    spike: Floats
    """Length of the big spikes of each."""
    angle: Floats
    """Of one big spike, radian from +x to +y; NaN = not known: the zone is round, as wide as half a spike."""
    small: bool
    """The small pair is known too."""
    scale_arcsec: float


def v3_angle(*headers: Mapping[str, Any]) -> float | None:
    """Return the position angle of the telescope's V3 axis that headers state, deg east of north.

    `ROLL_REF` or `PA_V3`; else `PA_APER`, the angle of the detectors' y axis, less the angle between the two
    (`V3I_YANG`, 0 where it is not stated). None where no header says anything. A mosaic of several visits has the
    angle of one of them.
    """
    for key in ("ROLL_REF", "PA_V3", "PA_APER"):
        for header in headers:
            value = _number(header, key)
            if value is not None:
                return value - (_number(header, "V3I_YANG") or 0.0 if key == "PA_APER" else 0.0)
    return None


def _number(header: Mapping[str, Any], key: str) -> float | None:
    try:
        value = header.get(key)
    except HEADER_FAULTS:  # a card that cannot be read says nothing
        return None
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def sixfold_moments(scene: Scene, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Measure how far each segment is a star of six rays, and in which direction.

    Parameters
    ----------
    scene
        Labels and ids; pixels without data count, as they do in a star's core.
    x, y
        Centres, pixels of the window.

    Returns
    -------
    ndarray, ndarray
        Real and imaginary part of `sum(r^2 exp(6 i phi)) / sum(r^2)` over the segment's pixels; 0 without pixels.
    """
    ranked = np.zeros(int(max(scene.labels.max(initial=0), scene.ids.max(initial=0))) + 1, dtype=np.int32)
    ranked[scene.ids] = np.arange(1, scene.ids.size + 1)
    rows, columns = np.nonzero(ranked[scene.labels])
    owner = ranked[scene.labels[rows, columns]] - 1
    ray = (columns - x[owner]) + 1j * (rows - y[owner])
    r2 = np.abs(ray) ** 2
    six = r2 * np.exp(6j * np.angle(ray))
    total = np.maximum(np.bincount(owner, r2, scene.ids.size), 1e-12)
    return np.bincount(owner, six.real, scene.ids.size) / total, np.bincount(owner, six.imag, scene.ids.size) / total


def zones_of(stars: Mapping[str, Any], rows: NDArray[np.int64], wcs: WCS, v3_deg: float | None, scale: float) -> Zones:
    """Lay out the zones.

    Parameters
    ----------
    stars
        Columns of all sources: `x`, `y` (pixels), `mag_ref`, `npix`, `bbox_diagonal` (arcsec), `sixfold_re`,
        `sixfold_im`.
    rows
        The bright stars among them.
    wcs
        Of the detection grid.
    v3_deg
        From `v3_angle`.
    scale
        Pixel scale, arcsec.

    Notes
    -----
    Halo `1.0 x 10^(0.11 (20 - mag))` arcsec, light that falls as r^-3.6, and not less than 1.3 times the radius of a
    circle of the segment's area; spikes `4.0 x 10^(0.2 (20 - mag))` arcsec, light that falls as r^-2, and not less
    than 0.7 of the segment's bounding box's diagonal (half of which it reaches already). A saturated star is fainter
    in the catalog than on the sky: then the segment decides.
    """
    mag = stars["mag_ref"][rows]
    halo = _HALO_ARCSEC * 10 ** (_HALO_SLOPE * (_ZERO_MAG - mag))
    halo = np.clip(np.fmax(halo, _HALO_OF_SEGMENT * np.sqrt(stars["npix"][rows] / np.pi) * scale), *_HALO_LIMITS)
    spike = _SPIKE_ARCSEC * 10 ** (_SPIKE_SLOPE * (_ZERO_MAG - mag))
    spike = np.clip(np.fmax(spike, _SPIKE_OF_SEGMENT * stars["bbox_diagonal"][rows]), *_SPIKE_LIMITS)
    x, y = stars["x"][rows], stars["y"][rows]
    angle = np.full(rows.size, _measured_angle(stars, rows)) if v3_deg is None else _on_grid(wcs, x, y, v3_deg)
    return Zones(rows, halo / scale, spike / scale, angle, v3_deg is not None, scale)


def _measured_angle(stars: Mapping[str, Any], rows: NDArray[np.int64]) -> float:
    """Angle of one of the six rays of all stars together; NaN where they are round."""
    weight = np.asarray(stars["npix"][rows], dtype=float)
    if weight.sum() == 0:
        return float("nan")
    six = np.average(stars["sixfold_re"][rows] + 1j * stars["sixfold_im"][rows], weights=weight)
    return float(np.angle(six) / 6) if abs(six) > _LEAST_MOMENT else float("nan")


def _on_grid(wcs: WCS, x: Floats, y: Floats, angle_deg: float) -> Floats:
    """Direction on the grid of a position angle on the sky, radian from +x to +y."""
    east, north = np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))
    along = np.linalg.inv(sky_jacobian(wcs, x, y)) @ np.array([east, north])
    return np.asarray(np.arctan2(along[:, 1], along[:, 0]))


def in_zones(zones: Zones, x: Floats, y: Floats, mag: Floats) -> NDArray[np.bool_]:
    """Tell which sources lie in a bright star's halo or on its spikes, and are fainter than it.

    Parameters
    ----------
    zones
        Of the field.
    x, y
        All sources, pixels.
    mag
        NaN counts as faint.
    """
    inside = np.zeros(x.size, dtype=bool)
    if zones.rows.size == 0:
        return inside
    tree = cKDTree(np.column_stack([x, y]))
    for number, star in enumerate(zones.rows.tolist()):
        reach = float(max(zones.halo[number], zones.spike[number]))
        near = np.array(tree.query_ball_point((x[star], y[star]), reach), dtype=int)
        within = _within(zones, number, x[near] - x[star], y[near] - y[star])
        inside[near[within & ~(mag[near] < mag[star]) & (near != star)]] = True
    return inside


def _within(zones: Zones, number: int, dx: Floats, dy: Floats) -> NDArray[np.bool_]:
    """Tell which offsets (pixels) from one star are in its halo or on its spikes."""
    r, spike, angle = np.hypot(dx, dy), zones.spike[number], zones.angle[number]
    if np.isnan(angle):
        return np.asarray(r <= max(zones.halo[number], spike / 2))
    width = _HALF_WIDTH_ARCSEC / zones.scale_arcsec + _FLARE * r
    inside = r <= zones.halo[number]
    lengths = [(axis, spike) for axis in _BIG_DEG] + ([(_SMALL_DEG, _SMALL_OF_BIG * spike)] if zones.small else [])
    for axis, length in lengths:
        across = np.abs(dx * np.sin(angle + np.deg2rad(axis)) - dy * np.cos(angle + np.deg2rad(axis)))
        inside |= (across <= width) & (r <= length)
    return np.asarray(inside)
