"""Bands of rows: joined, taken away from each other, and wide enough for what is cut out."""

from itertools import pairwise

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cutouts.local_sky import sky_margin_px
from gzjwst_core.cutouts.place import place, window_box
from gzjwst_core.mosaics.rows import Places, Rows, joined, rows_around, without

BANDS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def rows_of(bands: Rows) -> set[int]:
    return {row for low, high in bands for row in range(low, high)}


@settings(max_examples=100, deadline=None)
@given(BANDS, st.integers(0, 5))
def test_joined_bands_hold_all_and_are_apart(bands: list[tuple[int, int]], gap: int) -> None:
    out = joined(bands, gap)
    wanted = {row for low, high in bands for row in range(low, high)}
    assert wanted <= rows_of(out)
    assert all(b[0] - a[1] > gap for a, b in pairwise(out))
    assert gap or rows_of(out) == wanted


@settings(max_examples=100, deadline=None)
@given(BANDS, BANDS)
def test_without_is_the_difference(bands: list[tuple[int, int]], have: list[tuple[int, int]]) -> None:
    wanted, there = joined(bands), joined(have)
    assert rows_of(without(wanted, there)) == rows_of(wanted) - rows_of(there)


def rolled(degrees: float, *, scale_arcsec: float = 0.05, side: int = 1500) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [side / 2, side / 2]
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    wcs.wcs.cd = scale_arcsec / 3600 * np.array([[-c, s], [s, c]])
    wcs.wcs.set()
    return wcs


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 360), st.floats(-0.012, 0.012), st.floats(-0.012, 0.012), st.floats(1.9, 12.0))
def test_rows_hold_whatever_a_cutout_reads(roll: float, east: float, north: float, fov: float) -> None:
    wcs, shape = rolled(roll), (1500, 1500)
    ra, dec = 150.0 + east, 2.0 + north
    at = place(wcs, ra, dec)
    assert at is not None
    read = window_box(at, fov).grow(sky_margin_px(fov, 0.05)).clip(shape)
    reach = fov / 2 + sky_margin_px(fov, 1.0)
    rows = rows_around(wcs, shape, Places(np.array([ra]), np.array([dec]), np.array([reach])))
    if read.x1 > read.x0:
        assert set(range(read.y0, read.y1)) <= rows_of(rows)


@pytest.mark.parametrize("position", [(150.2, 2.0), (330.0, -2.0), (150.0, 2.5)])
def test_places_elsewhere_need_nothing(position: tuple[float, float]) -> None:
    """Also on the far side of the sky, which a tangent plane shows upside down."""
    ra, dec = position
    assert rows_around(rolled(20.0), (1500, 1500), Places(np.array([ra]), np.array([dec]), np.array([5.0]))) == ()
