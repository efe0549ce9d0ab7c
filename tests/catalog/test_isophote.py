"""Sizes above a fixed surface brightness, and how far segments reach: on known light, in other windows and depths."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.mosaics.units import ab_magnitude
from gzjwst_core.photometry.isophote import FILTER_ARCSEC, isophote_diagonals, limit_ujy
from gzjwst_core.photometry.measure import Scene
from gzjwst_core.photometry.segment_extent import segment_reaches

SCALE, SIGMA, PEAK = 0.06, 4.0, 1.0
BLUR = FILTER_ARCSEC / SCALE


def scene_of(image: NDArray[np.float64], labels: NDArray[np.int32], bad: NDArray[np.bool_] | None = None) -> Scene:
    empty = np.zeros(image.shape, dtype=bool) if bad is None else bad
    pixels = np.where(empty, 0, image).astype(np.float32)
    ids = np.unique(labels[labels > 0]).astype(np.int32)
    return Scene(Frame(pixels, np.ones_like(pixels), empty), np.where(empty, 0, labels).astype(np.int32), ids, WHITE)


def gaussian(y: float = 40.0, x: float = 40.0, size: int = 81) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:size, :size]
    return np.asarray(PEAK * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * SIGMA**2)))


def disc(radius: float, name: int = 1, y: float = 40.0, x: float = 40.0, size: int = 81) -> NDArray[np.int32]:
    rows, columns = np.mgrid[:size, :size]
    return np.where(np.hypot(rows - y, columns - x) <= radius, name, 0).astype(np.int32)


def mag_at(light: float) -> float:
    """Surface brightness of a pixel with so many uJy, AB mag per square arcsec."""
    return float(ab_magnitude(np.array(light / SCALE**2)))


def diagonal(scene: Scene, light: float = 0.1) -> float:
    (found,) = isophote_diagonals(replace(scene, ids=scene.ids[:1]), mag_at(light), SCALE)
    return float(found)


def expected(light: float = 0.1) -> float:
    """Diagonal of the box around a blurred Gaussian's pixels: the square around a circle."""
    wide = SIGMA**2 + BLUR**2
    return float(2 * np.sqrt(2) * np.sqrt(2 * wide * np.log(PEAK * SIGMA**2 / wide / light)))


def test_the_limit_is_the_magnitude_of_a_square_arcsec() -> None:
    assert limit_ujy(23.9, 1.0) == pytest.approx(1.0)
    assert limit_ujy(mag_at(0.37), SCALE) == pytest.approx(0.37)


@pytest.mark.parametrize("radius", [20.0, 12.0, 6.0, 3.0])
def test_the_box_of_a_gaussian_is_the_isophotes_wherever_its_segment_ends(radius: float) -> None:
    """Deep, middling, shallow: a segment that ends above the isophote is followed beyond its end."""
    assert diagonal(scene_of(gaussian(), disc(radius))) == pytest.approx(expected(), abs=1.5)


def test_a_source_fainter_than_the_isophote_has_none() -> None:
    assert np.isnan(diagonal(scene_of(gaussian(), disc(9.0)), light=1.1))
    nobody = replace(scene_of(gaussian(), disc(9.0)), ids=np.array([7], dtype=np.int32))
    assert np.isnan(isophote_diagonals(nobody, 25.0, SCALE)).tolist() == [True]


@given(st.integers(0, 80), st.integers(0, 80), st.floats(0.5, 2.0))
@settings(max_examples=30, deadline=None)
def test_one_hot_or_dead_pixel_does_not_move_the_box(row: int, column: int, light: float) -> None:
    """Up to twice the isophote alone in the dark, and no light at all in the middle of it."""
    image, dead = gaussian(), gaussian()
    image[row, column] += 0.1 * light
    dead[row, column] = 0
    segment = disc(20.0)
    for changed in (image, dead):
        assert diagonal(scene_of(changed, segment)) == pytest.approx(diagonal(scene_of(gaussian(), segment)), abs=1.5)


def test_light_that_does_not_hang_together_with_the_peak_does_not_count() -> None:
    image, segment = gaussian(40, 25) + 0.5 * gaussian(40, 62), disc(36.0)
    assert diagonal(scene_of(image, segment)) == pytest.approx(expected(), abs=1.5)
    bridge = image.copy()
    bridge[38:43, 25:62] += 0.3
    assert diagonal(scene_of(bridge, segment)) > expected() + 10


def test_a_neighbour_keeps_its_pixels_and_those_that_are_nearer_to_it() -> None:
    """Two alike, whose isophotes meet: each ends half way, however little of them the segments hold."""
    image = gaussian(40, 33) + gaussian(40, 47)
    for radius in (6.5, 3.0):
        labels = np.maximum(disc(radius, 1, x=33), disc(radius, 2, x=47))
        left, right = isophote_diagonals(scene_of(image, labels), mag_at(0.1), SCALE)
        assert left == right
        alone = expected() / np.sqrt(2)
        assert left == pytest.approx(np.hypot(alone, alone / 2 + 7), abs=1.6)


def test_pixels_without_data_belong_to_nobody_and_do_not_darken_the_others() -> None:
    bad = disc(2.0) > 0  # a saturated core
    assert diagonal(scene_of(gaussian(), disc(20.0), bad)) == pytest.approx(expected(), abs=1.5)
    half = np.zeros((81, 81), dtype=bool)
    half[:, 41:] = True
    side = expected() / np.sqrt(2)
    assert diagonal(scene_of(gaussian(), disc(20.0), half)) == pytest.approx(np.hypot(side, side / 2), abs=2)


@given(st.integers(0, 15), st.integers(0, 15))
@settings(max_examples=15, deadline=None)
def test_the_window_makes_no_difference(top: int, left: int) -> None:
    """To the bit, noise and all, as long as it holds the source and what the filter reaches."""
    image = gaussian() + 0.03 * np.random.default_rng(5).normal(size=(81, 81))
    labels = np.maximum(disc(8.0), disc(4.0, 2, x=58.0))
    whole = isophote_diagonals(scene_of(image, labels), mag_at(0.1), SCALE)
    part = isophote_diagonals(scene_of(image[top:, left:], labels[top:, left:]), mag_at(0.1), SCALE)
    np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize("depth", [0.5, 1.0, 2.0])
def test_a_field_of_another_depth_measures_the_same(depth: float) -> None:
    """A disc whose segment ends at four times the noise, which is up to half as bright as the isophote."""
    rows, columns = np.mgrid[:81, :81]
    image = 3.0 * np.exp(-np.hypot(rows - 40, (columns - 40) / 0.6) / 6.0)
    noise = 0.025 * depth * gaussian_filter(np.random.default_rng(7).normal(size=(5, 81, 81)), (0, 0.5, 0.5)) / 0.55
    noisy = image + noise
    segment = np.where(image > 4 * 0.025 * depth, 1, 0).astype(np.int32)
    sizes = [diagonal(scene_of(one, segment)) for one in noisy]
    assert np.abs(np.array(sizes) - diagonal(scene_of(image, segment))).max() < 2.5
    assert np.mean(sizes) == pytest.approx(diagonal(scene_of(image, segment)), abs=1.3)


# ---------------------------------------------------------------- how far a segment reaches


@given(st.floats(30, 50), st.floats(30, 50), st.floats(0, 2 * np.pi))
@settings(max_examples=30, deadline=None)
def test_a_square_around_the_position_holds_the_segment_however_it_is_turned(y: float, x: float, turn: float) -> None:
    labels = np.maximum(disc(9.0, 1), disc(4.0, 2, x=58.0))
    scene = scene_of(gaussian(), labels)
    one, other = segment_reaches(scene, np.array([x, 58.0]), np.array([y, 40.0]))
    corners = np.argwhere(labels == 1)[:, None] + np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)])
    dy, dx = (corners.reshape(-1, 2) - (y, x)).T
    assert np.hypot(dy, dx).max() == pytest.approx(one)
    assert np.abs([dx * np.cos(turn) - dy * np.sin(turn), dx * np.sin(turn) + dy * np.cos(turn)]).max() <= one + 1e-9
    assert other == pytest.approx(np.hypot(4.5, 0.5))


def test_who_has_no_segment_reaches_nowhere() -> None:
    nobody = replace(scene_of(gaussian(), disc(9.0)), ids=np.array([7], dtype=np.int32))
    assert np.isnan(segment_reaches(nobody, np.array([40.0]), np.array([40.0]))).all()
