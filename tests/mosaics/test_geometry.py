"""Boxes, tiles and linear maps between grids."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.mosaics.geometry import (
    Box,
    fit_affine,
    pixel_scale_arcsec,
    stated_wcs,
    tiles,
    whole,
)
from gzjwst_core.mosaics.wcs import celestial_wcs, check_reach

sides = st.integers(1, 60)
ends = st.integers(-40, 90)


@given(ny=sides, nx=sides, side=sides)
@settings(max_examples=40, deadline=None)
def test_tiles_partition_the_array(ny: int, nx: int, side: int) -> None:
    hits = np.zeros((ny, nx), dtype=int)
    for tile in tiles((ny, nx), side):
        assert max(tile.shape) <= side
        hits[tile.slices] += 1
    assert (hits == 1).all()


@given(rows=st.tuples(ends, ends), columns=st.tuples(ends, ends), shape=st.tuples(sides, sides))
@settings(max_examples=60, deadline=None)
def test_a_clipped_box_is_the_part_inside(
    rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]
) -> None:
    box = Box(min(rows), max(rows), min(columns), max(columns))
    inside = box.clip(shape)
    y, x = np.mgrid[-50:100, -50:100]
    assert (inside.holds(y, x) == (box.holds(y, x) & whole(shape).holds(y, x))).all()
    assert inside.clip(shape) == inside


@given(y0=ends, x0=ends, margin=st.integers(0, 9), dy=ends, dx=ends)
@settings(max_examples=30, deadline=None)
def test_boxes_grow_and_move_by_whole_pixels(y0: int, x0: int, margin: int, dy: int, dx: int) -> None:
    box = Box(y0, y0 + 5, x0, x0 + 7)
    assert box.grow(margin).shape == (5 + 2 * margin, 7 + 2 * margin)
    assert box.grow(margin).grow(-margin) == box
    assert box.shift(dy, dx).shift(-dy, -dx) == box


def test_a_stated_wcs_has_its_centre_scale_and_orientation() -> None:
    wcs = stated_wcs((209, 419), 0.06, 150.1, 1.9)
    ra, dec = wcs.all_pix2world(209.0, 104.0, 0)
    assert (float(ra), float(dec)) == pytest.approx((150.1, 1.9), abs=1e-10)
    assert pixel_scale_arcsec(wcs) == pytest.approx(0.06)
    east, north = wcs.all_pix2world([208.0, 209.0], [104.0, 105.0], 0)
    assert east[0] > 150.1  # east to the left
    assert north[1] > 1.9


def test_the_affine_map_between_rotated_grids_follows_the_wcs() -> None:
    here, there = stated_wcs((1000, 1000), 0.06, 150.1, 2.2), stated_wcs((2000, 2000), 0.03, 150.1003, 2.2002)
    there.wcs.pc = [[0.96, -0.28], [0.28, 0.96]]
    affine = fit_affine(here, there, Box(300, 800, -50, 500))
    assert affine.residual < 1e-3
    x, y = affine(np.array([10.0, 444.4]), np.array([777.0, 345.6]))
    exact = there.all_world2pix(here.all_pix2world([[10.0, 777.0], [444.4, 345.6]], 0), 0)
    assert np.abs(np.column_stack([x, y]) - exact).max() < 1e-3
    assert abs(np.linalg.det(affine.matrix)) == pytest.approx(4.0, rel=1e-5)


def test_grids_on_opposite_sides_of_the_sky_do_not_match() -> None:
    with pytest.raises(MosaicLayoutError) as caught:
        fit_affine(stated_wcs((9, 9), 0.06, 10.0, 0.0), stated_wcs((9, 9), 0.06, 190.0, 0.0), Box(0, 9, 0, 9))
    assert caught.value.reason == "bad_wcs"


GOOD = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.0, "CRPIX2": 5.0, "CRVAL1": 150.0, "CRVAL2": 2.0,
    "CDELT1": -1e-5, "CDELT2": 1e-5, "DATE-OBS": "2023-01-01", "MJD-OBS": 59945.0, "OBSGEO-X": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"CTYPE1": None},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
        {"CTYPE1": "RA---XXX"},
        {"CDELT1": 0.0},
        {"CDELT1": -1.0, "CDELT2": 1.0},
        {"PC1_1": 0.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": 0.0},
        {"CRVAL1": "north"},
        {"CRPIX2": None},
        {"CRVAL1": True},
        {"CRVAL2": 91.0},
        {"CRVAL2": None},
        {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"},
        {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
        {"CTYPE1": "RA---TAB", "CTYPE2": "DEC--TAB"},
        {"CTYPE2": "DEC--SIN"},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"},
        {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 100_000, "B_ORDER": 2},
        {"CPDIS1": "LOOKUP"},
        {"RADESYS": "FK4"},
        {"RADESYS": "FK5", "EQUINOX": 1950.0},
        {"CD1_1": 1.0, "CD1_2": 1.0, "CD2_1": 1.0, "CD2_2": 1.0, "CDELT1": None, "CDELT2": None},
        {"CDELT1": 1e-9, "CDELT2": 1e-9},
        {"CDELT1": 1e300, "CDELT2": 1e300},
        {"LONPOLE": "up"},
    ],
)
def test_a_bad_wcs_is_a_named_error(change: dict[str, object]) -> None:
    header = fits.Header({k: v for k, v in {**GOOD, **change}.items() if v is not None})
    with pytest.raises(MosaicLayoutError) as caught:
        celestial_wcs(header, "field one [SCI]")
    assert caught.value.reason == "bad_wcs"
    assert "field one [SCI]" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"RADESYS": "ICRS"},
        {"CUNIT1": "deg", "CUNIT2": "deg", "LONPOLE": 180.0, "LATPOLE": 2.0},
        {"WCSAXES": 3, "CTYPE3": "WAVE", "CRVAL3": 1.0},
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-9, "B_0_2": 1e-9},
    ],
)
def test_the_usual_ways_of_writing_it_are_read(change: dict[str, object]) -> None:
    wcs = celestial_wcs(fits.Header({**GOOD, **change}), "x")
    check_reach(wcs, (1000, 1000), "x")
    assert wcs.all_pix2world([[4.0, 4.0]], 0)[0] == pytest.approx([150.0, 2.0])
    assert pixel_scale_arcsec(wcs) == pytest.approx(0.036)


def test_a_wcs_must_serve_its_whole_array() -> None:
    folded = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": -1e-3}
    wcs = celestial_wcs(fits.Header({**GOOD, **folded}), "x")  # good around its reference, folded over further out
    check_reach(wcs, (10, 10), "x")
    with pytest.raises(MosaicLayoutError, match=r"field one: the WCS fails") as caught:
        check_reach(wcs, (5000, 5000), "field one")
    assert caught.value.reason == "bad_wcs"
    with pytest.raises(MosaicLayoutError, match="the WCS fails on its own pixels"):
        check_reach(celestial_wcs(fits.Header({**GOOD, "CRPIX1": 1e200}), "x"), (10, 10), "x")


def test_dates_and_observatory_positions_in_a_header_do_no_harm() -> None:
    assert pixel_scale_arcsec(celestial_wcs(fits.Header(GOOD), "x")) == pytest.approx(0.036)
