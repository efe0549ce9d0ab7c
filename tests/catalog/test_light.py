"""Centres, radii of light, concentration and shapes on light that is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.mosaics.geometry import sky_axes, sky_jacobian
from gzjwst_core.photometry.centroids import windowed_centres
from gzjwst_core.photometry.curve_of_growth import concentration, light_radii, mean_brightness
from gzjwst_core.photometry.measure import Scene
from gzjwst_core.photometry.moments import segment_shapes
from gzjwst_core.sky.geometry import tangent_wcs

FLUX, SIGMA = 100.0, 3.0


def blob(shape: tuple[int, int], x: float, y: float, q: float = 1.0, theta: float = 0.0) -> NDArray[np.float32]:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    u = np.cos(theta) * (xx - x) + np.sin(theta) * (yy - y)
    v = (np.cos(theta) * (yy - y) - np.sin(theta) * (xx - x)) / q
    light = FLUX * np.exp(-(u**2 + v**2) / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2 * q)
    return np.asarray(light, dtype=np.float32)


def scene_of(image: NDArray[np.float32], labels: NDArray[np.int32]) -> Scene:
    ids = np.unique(labels[labels > 0]).astype(np.int32)
    return Scene(Frame(image, np.full_like(image, 0.01), np.zeros(image.shape, bool)), labels, ids, WHITE)


def floats(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=float)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-1.5, 1.5), st.floats(0.4, 1))
@settings(max_examples=12, deadline=None)
def test_a_windowed_centre_is_the_centre(dx: float, dy: float, off: float, q: float) -> None:
    image = blob((61, 71), 35 + dx, 30 + dy, q, 0.7)
    scene = scene_of(image, (image > 0.05).astype(np.int32))
    x, y = windowed_centres(scene, floats(35 + off), floats(30 - off), floats(1.18 * SIGMA))
    assert (x[0], y[0]) == pytest.approx((35 + dx, 30 + dy), abs=0.02)


def test_a_neighbour_draws_a_centre_less_where_its_segment_is_left_out() -> None:
    image = blob((61, 71), 30, 30) + 3 * blob((61, 71), 42, 30)
    labels = np.zeros(image.shape, np.int32)
    labels[20:41, 20:36], labels[20:41, 36:54] = 1, 2
    start, r50 = (floats(30.5), floats(30.0)), floats(3.5)
    apart, _ = windowed_centres(
        Scene(scene_of(image, labels).frame, labels, np.array([1], np.int32), WHITE), *start, r50
    )
    together, _ = windowed_centres(scene_of(image, np.minimum(labels, 1)), *start, r50)
    assert abs(apart[0] - 30) < 0.35
    assert abs(apart[0] - 30) < 0.7 * abs(together[0] - 30)


def test_a_centre_that_is_lost_is_the_one_before() -> None:
    image = blob((61, 71), 35, 30)
    scene = scene_of(image, (image > 0.05).astype(np.int32))
    for start, r50 in ((floats(35.5), floats(np.nan)), (floats(46.0), floats(3.0)), (floats(5.0), floats(3.0))):
        x, y = windowed_centres(scene, start, floats(30.0), r50)
        assert (x[0], y[0]) == (start[0], 30.0)
    dark = scene_of(-image, scene.labels)
    assert windowed_centres(dark, floats(35.3), floats(30.0), floats(3.5))[0][0] == 35.3
    scene.frame.bad[:] = True
    assert windowed_centres(scene, floats(35.3), floats(30.0), floats(3.5))[0][0] == 35.3


def test_radii_of_a_gaussian_and_what_follows_from_them() -> None:
    image = blob((101, 101), 50.2, 49.7)
    scene = scene_of(image, (image > 0.05).astype(np.int32))
    radii = light_radii(scene, floats(50.2), floats(49.7), floats(25.0), floats(FLUX))
    true = SIGMA * np.sqrt(-2 * np.log(1 - floats(0.2, 0.5, 0.8, 0.9)))
    np.testing.assert_allclose(radii[0], true, rtol=0.015)
    assert concentration(radii[:, 0], radii[:, 2])[0] == pytest.approx(2.145, abs=0.05)  # 5 log10 sqrt(ln .2 / ln .8)
    assert mean_brightness(floats(FLUX), floats(2.0))[0] == pytest.approx(23.9 - 2.5 * np.log10(50 / (4 * np.pi)))
    none = light_radii(scene, floats(50.2), floats(49.7), floats(25.0), floats(-1.0))
    assert np.isnan(none).all()
    assert np.isnan(concentration(none[:, 0], none[:, 2])).all()
    assert np.isnan(mean_brightness(floats(-1.0, 1.0), floats(np.nan, 0.0))).all()
    beyond = light_radii(scene, floats(50.2), floats(49.7), floats(4.0), floats(FLUX))
    assert np.isnan(beyond[0, 2:]).all()


@pytest.mark.parametrize("theta", [-1.2, 0.0, 0.5, 1.4])
def test_shapes_are_the_lights_own(theta: float) -> None:
    image = blob((81, 91), 45, 40, 0.6, theta)
    scene = scene_of(image, (image > 1e-4).astype(np.int32))
    ellipticity, angle = segment_shapes(scene, floats(45.3), floats(39.6), floats(50.0))
    assert ellipticity[0] == pytest.approx(0.4, abs=0.02)
    assert np.sin(angle[0] - theta) == pytest.approx(0, abs=0.01)
    faint = segment_shapes(scene, floats(45.3), floats(39.6), floats(9.0))
    assert np.isnan(faint).all()


def test_a_neighbour_is_no_part_of_a_shape() -> None:
    image, labels = blob((81, 121), 40, 40) + 20 * blob((81, 121), 80, 40), np.zeros((81, 121), np.int32)
    labels[28:53, 28:53], labels[20:60, 62:100] = 1, 2
    ellipticity, _ = segment_shapes(scene_of(image, labels), floats(40, 80), floats(40, 40), floats(99, 99))
    assert ellipticity == pytest.approx([0, 0], abs=0.02)


def test_a_position_angle_counts_from_north_through_east_and_keeps_nan() -> None:
    wcs = tangent_wcs(150.0, 2.0, 20.0, 0.06, (50.0, 50.0))
    x = np.full(3, 49.0)
    a, b, angle = sky_axes(sky_jacobian(wcs, x, x), floats(2, 2, 2), floats(1, 1, 1), floats(np.pi / 2, 0.0, np.nan))
    assert a[:2] == pytest.approx([0.12, 0.12])
    assert b[:2] == pytest.approx([0.06, 0.06])
    assert angle[:2] == pytest.approx([20, 110], abs=0.01)
    assert np.isnan(angle[2])
