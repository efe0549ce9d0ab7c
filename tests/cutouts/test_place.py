"""Geometry: where a window lies, for any sky position, field of view, scale and roll."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cutouts.place import MARGIN_PX, Placement, carried, place, window_box
from tests.cutouts.skies import tan_wcs

SHAPE = (900, 1100)
GRIDS = st.builds(
    lambda ra, dec, scale, roll: tan_wcs(SHAPE, scale, roll, ra=ra, dec=dec),
    st.floats(0, 359.99),
    st.floats(-85, 85),
    st.sampled_from([0.02, 0.03, 0.04, 0.06]),
    st.floats(-180, 180),
)
PIXELS = st.tuples(st.floats(-50, 1150), st.floats(-50, 950))


def _sky(wcs: WCS, x: float, y: float) -> tuple[float, float]:
    ra, dec = wcs.wcs_pix2world(x, y, 0)
    return float(ra), float(dec)


@settings(max_examples=40, deadline=None)
@given(GRIDS, PIXELS, st.floats(1.9, 12.0))
def test_target_is_within_half_a_pixel_of_the_centre(wcs: WCS, at: tuple[float, float], fov: float) -> None:
    found = place(wcs, *_sky(wcs, *at))
    assert found is not None
    assert found.x == pytest.approx(at[0], abs=1e-5)
    assert found.y == pytest.approx(at[1], abs=1e-5)
    box = window_box(found, fov)
    inside = found.inside(box)
    ny, nx = box.shape
    assert ny == nx
    assert abs(inside.x - (nx - 1) / 2) <= 0.5 + 1e-6
    assert abs(inside.y - (ny - 1) / 2) <= 0.5 + 1e-6


@settings(max_examples=40, deadline=None)
@given(GRIDS, PIXELS, st.floats(1.9, 12.0))
def test_window_holds_the_whole_field_of_view(wcs: WCS, at: tuple[float, float], fov: float) -> None:
    ra, dec = _sky(wcs, *at)
    found = place(wcs, ra, dec)
    assert found is not None
    box = window_box(found, fov)
    frame = SkyCoord(ra, dec, unit="deg").skyoffset_frame()
    half = fov / 2 * u.arcsec
    corners = SkyCoord([half, half, -half, -half], [half, -half, half, -half], frame=frame).icrs
    x, y = wcs.wcs_world2pix(corners.ra.deg, corners.dec.deg, 0)
    assert (x >= box.x0 - 0.5 + MARGIN_PX / 2).all()
    assert (x <= box.x1 - 0.5 - MARGIN_PX / 2).all()
    assert (y >= box.y0 - 0.5 + MARGIN_PX / 2).all()
    assert (y <= box.y1 - 0.5 - MARGIN_PX / 2).all()


@settings(max_examples=40, deadline=None)
@given(GRIDS, PIXELS, st.floats(-6, 6), st.floats(-6, 6))
def test_linear_map_is_the_wcs(wcs: WCS, at: tuple[float, float], east: float, north: float) -> None:
    ra, dec = _sky(wcs, *at)
    found = place(wcs, ra, dec)
    assert found is not None
    frame = SkyCoord(ra, dec, unit="deg").skyoffset_frame()
    there = SkyCoord(east * u.arcsec, north * u.arcsec, frame=frame).icrs
    x, y = wcs.wcs_world2pix(there.ra.deg, there.dec.deg, 0)
    assert found.x + found.xe * east + found.xn * north == pytest.approx(float(x), abs=0.01)
    assert found.y + found.ye * east + found.yn * north == pytest.approx(float(y), abs=0.01)
    assert found.scale_arcsec == pytest.approx(abs(wcs.wcs.cdelt[0]) * 3600, rel=1e-4)


def test_the_other_side_of_the_sky_is_nowhere() -> None:
    assert place(tan_wcs(SHAPE, 0.03, ra=10.0, dec=20.0), 190.0, -20.0) is None


def test_at_the_pole() -> None:
    found = place(tan_wcs(SHAPE, 0.03, ra=10.0, dec=90.0), 77.0, 90.0)
    assert found is not None
    assert found.scale_arcsec == pytest.approx(0.03, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 360), st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, 3))
def test_labels_are_carried_by_the_nearest_pixel(angle: float, ratio: float, step: int) -> None:
    labels = np.arange(1, 30 * 40 + 1, dtype=np.int32).reshape(30, 40)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    at = Placement(20.3, 14.8, -cos * ratio, sin * ratio, sin * ratio, cos * ratio)
    to = Placement(9.9, 12.2, -1.0, 0.0, 0.0, 1.0)
    got = carried(labels, at, to, (25, 20), step=step)
    for i, y in enumerate(range(0, 25, step)):
        for j, x in enumerate(range(0, 20, step)):
            east, north = -(x - to.x), y - to.y
            sx = round(at.x + at.xe * east + at.xn * north)
            sy = round(at.y + at.ye * east + at.yn * north)
            expected = labels[sy, sx] if 0 <= sx < 40 and 0 <= sy < 30 else 0
            assert got[i, j] == expected
