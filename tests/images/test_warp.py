"""Interpolation to the picture's grid: exact where cubics are exact, for any roll and scale."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import Placement
from gzjwst_core.images.warp import binned, picture_grid, resampled

SIDE, SIZE = 80, 100
ROLLS = st.floats(-180, 180)


def grid(roll_deg: float, scale: float, x: float, y: float) -> Placement:
    cos, sin = np.cos(np.radians(roll_deg)) / scale, np.sin(np.radians(roll_deg)) / scale
    return Placement(x, y, -cos, sin, sin, cos)


def offsets(fov: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """East and north of each picture pixel."""
    i, j = np.mgrid[:SIZE, :SIZE]
    scale = fov / SIZE
    return ((SIZE - 1) / 2 - j) * scale, ((SIZE - 1) / 2 - i) * scale


@settings(max_examples=40, deadline=None)
@given(ROLLS, st.sampled_from([0.03, 0.045, 0.06]), st.floats(38.5, 40.5), st.floats(38.5, 40.5))
def test_a_plane_of_the_sky_stays_one(roll: float, scale: float, x: float, y: float) -> None:
    at = grid(roll, scale, x, y)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    east, north = np.linalg.inv(at.matrix) @ np.stack([(columns - x).ravel(), (rows - y).ravel()])
    plane = (1 + 0.3 * east - 0.2 * north).reshape(SIDE, SIDE).astype(np.float32)
    fov = 0.6 * SIDE * scale
    got = resampled(plane, at, picture_grid(fov, SIZE), (SIZE, SIZE))
    e, n = offsets(fov)
    np.testing.assert_allclose(got, 1 + 0.3 * e - 0.2 * n, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(ROLLS, st.floats(-1, 1))
def test_a_constant_stays_constant_beyond_the_edge_too(roll: float, value: float) -> None:
    levels = np.full((SIDE, SIDE), value, dtype=np.float32)
    at = grid(roll, 0.03, 5.0, 70.0)
    got = resampled(levels, at, picture_grid(3.0, SIZE), (SIZE, SIZE))
    np.testing.assert_allclose(got, np.float32(value), atol=1e-5)


def test_pixels_on_pixels_are_kept() -> None:
    levels = np.random.default_rng(1).random((SIDE, SIDE)).astype(np.float32)
    at = Placement(39.5, 39.5, -10.0, 0.0, 0.0, 10.0)
    got = resampled(levels, at, picture_grid(8.0, SIDE), (SIDE, SIDE))
    np.testing.assert_allclose(got, levels[::-1], atol=1e-5)  # row 0 of a picture is north


def test_small_pictures_average_blocks() -> None:
    noise = np.random.default_rng(1).normal(size=(400, 400)).astype(np.float32)
    got = resampled(noise, grid(17, 0.03, 199.5, 199.5), picture_grid(8.0, 40), (40, 40))
    assert got.std() < 0.25  # 44 pixels go into each; taken singly they would keep a spread of about 1


@settings(max_examples=20)
@given(st.integers(2, 5), st.floats(10, 60), st.floats(10, 60))
def test_binning_keeps_the_target_in_its_place(side: int, x: float, y: float) -> None:
    ramp = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))
    blocks, at = binned(ramp, grid(0, 0.03, x, y), side)
    j = np.arange(blocks.shape[1])
    np.testing.assert_allclose(np.interp(at.x, j, blocks[0]), x, atol=1e-4)
    assert at.scale_arcsec == pytest.approx(0.03 * side)


@settings(max_examples=20, deadline=None)
@given(st.floats(1.0, 6.0))
def test_any_scale_ends(coarser: float) -> None:
    got = resampled(
        np.ones((200, 200), dtype=np.float32), grid(17, 0.03, 99.5, 99.5), picture_grid(0.9 * coarser, 30), (30, 30)
    )
    np.testing.assert_allclose(got, 1, atol=1e-5)
