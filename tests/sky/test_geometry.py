"""Grids and exposures: orientation, unaligned channels, gaps, names and paths."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.sky.fields import sky_fields
from gzjwst_core.sky.geometry import DITHERS, FieldGeometry
from gzjwst_core.sky.options import SkyOptions

GRID = FieldGeometry(150.1, 2.2, 12.0, 17.0, 0.03, (0.12, -0.31), 19.5)


def test_roll_is_the_position_angle_of_the_y_axis() -> None:
    (ra0, ra1), (dec0, dec1) = GRID.wcs.all_pix2world([200, 200], [200, 300], 0)
    angle = np.rad2deg(np.arctan2((ra1 - ra0) * np.cos(np.deg2rad(2.2)), dec1 - dec0))
    assert angle == pytest.approx(17.0, abs=0.01)


@settings(max_examples=15, deadline=None)
@given(x=st.floats(0, 399), y=st.floats(0, 399))
def test_exposures_agree_on_the_grid_and_on_the_sky(x: float, y: float) -> None:
    column, line = round(x), round(y)
    on_grid = np.bitwise_count(GRID.contribution_map()[line, column])
    ra, dec = GRID.wcs.all_pix2world(column, line, 0)
    on_sky = GRID.exposures_at(ra, dec)
    u, v = GRID.to_focal(np.array(float(column)), np.array(float(line)))
    near_edge = {int(np.bitwise_count(GRID.contributions(u + d, v + e))) for d in (-1e-6, 1e-6) for e in (-1e-6, 1e-6)}
    assert int(on_sky) in near_edge | {int(on_grid)}


def test_exposure_counts_are_uneven_with_gaps_inside() -> None:
    bits = GRID.contribution_map()
    counts = np.bitwise_count(bits)
    assert set(np.unique(counts)) == {0, 1, 2, 3, 4}
    assert np.mean(counts == len(DITHERS)) > 0.5
    middle = counts[150:250, 150:250]
    assert (middle == 0).any()  # the gap's crossing
    assert bits.max() < 1 << (len(DITHERS) * GRID.tiles)


def test_nothing_is_exposed_outside_the_footprint_and_all_corners_are() -> None:
    inside = GRID.footprint().mean(axis=0)
    for corner in GRID.footprint():
        assert GRID.exposures_at(*(corner + 0.02 * (corner - inside))) == 0
    ny, nx = GRID.shape
    for x, y in ((0, 0), (nx - 1, 0), (0, ny - 1), (nx - 1, ny - 1)):
        assert GRID.contribution_map()[y, x] == 0


def test_channels_are_not_aligned_but_see_the_same_sky() -> None:
    for field in sky_fields(SkyOptions()):
        assert field.geometry("F115W") == field.geometry("F150W")
        assert field.geometry("F277W") == field.geometry("F444W")
        ra, dec = field.short.wcs.all_pix2world([0.5, 1000.5], [0.5, 1000.5], 0)  # corners of 2x2 blocks
        x, y = field.long.to_pixels(ra, dec)
        for position in (*x, *y):
            assert 0.1 < position % 1 < 0.9


def test_names_uris_and_paths_follow_the_archives() -> None:
    first, south = sky_fields(SkyOptions())
    assert first.obs_id("F115W") == "jw09801-o001_t001_nircam_clear-f115w"
    assert first.path("F115W") == "datalabs/jw09801/jw09801-o001_t001_nircam_clear-f115w_i2d.fits.gz"
    bucket = "bucket/stpubdata/jwst/public/jw09801/L3/t/o001"
    assert first.path("F150W") == f"{bucket}/jw09801-o001_t001_nircam_clear-f150w_i2d.fits"
    assert south.path("F444W") == "mast/hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"
    assert south.uri("F444W") == "mast:HLSP/demo/hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"
    assert re.fullmatch(r"POLYGON ICRS( -?\d+\.\d+){8}", first.short.s_region())
