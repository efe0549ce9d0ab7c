"""Background: mesh statistics, gaps, and windows that do not depend on how they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.detection.background import Mesh, cells, fill_cells, mesh_of, mesh_statistics, source_mask
from gzjwst_core.mosaics.geometry import Box


def test_each_cell_tells_level_and_noise_of_its_good_pixels() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(5.0, 2.0, (128, 100)).astype(np.float32)
    image[:64, 64:] += 10
    good = np.ones(image.shape, dtype=bool)
    good[64:, :50] = False
    good[:20, :20], image[:20, :20] = False, 1e6
    back, rms = mesh_statistics(image, good, 64)
    assert back.shape == cells((128, 100), 64) == (2, 2)
    assert back[0] == pytest.approx([5.0, 15.0], abs=0.25)
    assert rms[0] == pytest.approx([2.0, 2.0], rel=0.1)
    good[64:, :64] = False
    assert np.isnan(mesh_statistics(image, good, 64)[0][1, 0])


def test_gaps_take_the_nearest_cell_and_outliers_do_not_count() -> None:
    values = np.full((5, 6), 3.0)
    values[2, 2] = 50.0
    values[0, 5] = np.nan
    assert (fill_cells(values) == 3.0).all()
    assert fill_cells(values, smooth=False)[2, 2] == 50.0
    assert (fill_cells(np.full((3, 3), np.nan)) == 0).all()


@given(y0=st.integers(-20, 150), x0=st.integers(-20, 150), rows=st.integers(1, 6), columns=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_a_window_of_the_background_does_not_depend_on_its_box(y0: int, x0: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(rows * 7 + columns).normal(size=(rows, columns))
    mesh = Mesh(32, values, values)
    full = mesh.back_in(Box(-20, 200, -20, 200))
    part = mesh.back_in(Box(y0, y0 + 17, x0, x0 + 23))
    np.testing.assert_array_equal(part, full[y0 + 20 : y0 + 37, x0 + 20 : x0 + 43])


def test_the_background_is_smooth_exact_at_centres_and_goes_on_outside() -> None:
    ramp = np.add.outer(np.arange(6.0), 2 * np.arange(5.0))
    back = Mesh(11, ramp, ramp).back_in(Box(0, 66, 0, 55))
    np.testing.assert_allclose(back[5::11, 5::11], ramp, atol=1e-5)
    np.testing.assert_allclose(np.diff(back, axis=0), 1 / 11, atol=1e-5)


def test_a_slope_stays_a_slope_at_the_edges_and_beside_what_is_not_known() -> None:
    ramp = np.add.outer(np.arange(6.0), 2 * np.arange(7.0))
    known = ramp.copy()
    known[:2, :3] = np.nan
    filled = fill_cells(known)
    np.testing.assert_allclose(filled[np.isfinite(known)], ramp[np.isfinite(known)])
    spike = ramp.copy()
    spike[3, 3] += 100
    assert np.abs(fill_cells(spike) - ramp).max() <= 3


def test_sources_are_masked_and_noise_is_not() -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(size=(300, 300)).astype(np.float32)
    y, x = np.mgrid[:300, :300]
    image += 8 * np.exp(-((y - 150) ** 2 + (x - 200) ** 2) / 50).astype(np.float32)
    good = np.ones(image.shape, dtype=bool)
    good[:50] = False
    mask = source_mask(image, good, np.ones_like(image), smooth_px=1.5, grow_px=2)
    assert mask[150, 200]
    assert mask[150, 208]
    assert mask[100:].mean() < 0.3
    assert not source_mask(image, np.zeros_like(good), np.ones_like(image), smooth_px=1, grow_px=1).any()


@pytest.mark.parametrize(("scale", "side"), [(0.03, 128), (0.06, 64), (5.0, 8)])
def test_a_mesh_means_the_same_on_every_grid(scale: float, side: int) -> None:
    assert mesh_of(scale, 3.84) == side
