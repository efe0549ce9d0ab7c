"""Forced photometry on pixels whose light is known, and what is carried between grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import NoiseLaw
from gzjwst_core.detection.regrid import (
    Ellipses,
    aligned_shift,
    box_on,
    carry_ellipses,
    carry_labels,
    half_turn,
    resample,
)
from gzjwst_core.mosaics.geometry import Affine, Box
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.curve_of_growth import light_radii
from gzjwst_core.photometry.measure import Scene
from gzjwst_core.photometry.star_locus import expected_r50, point_source_r50, star_scores
from gzjwst_core.photometry.total_flux import Growth, total_factors

SIGMA = 3.0
FLUX = 500.0


def ellipses(*rows: tuple[float, float, float, float, float]) -> Ellipses:
    return Ellipses(*np.array(rows, dtype=float).T)


def gaussian_scene(law: NoiseLaw | None = None) -> tuple[Scene, Ellipses]:
    """Two round Gaussians without noise, the second beside a brighter neighbour."""
    y, x = np.mgrid[:120, :160]
    image, labels = np.zeros((120, 160), np.float32), np.zeros((120, 160), np.int32)
    for number, (cy, cx, flux) in enumerate(((60, 40, FLUX), (60, 100, FLUX), (60, 118, 20 * FLUX)), start=11):
        r2 = (y - cy) ** 2 + (x - cx) ** 2
        image += (flux * np.exp(-r2 / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2)).astype(np.float32)
        labels[(r2 < 64) & (labels == 0)] = number
    frame = Frame(image, np.ones_like(image), np.zeros(image.shape, bool), np.full_like(image, 4.0))
    scene = Scene(frame, labels, np.array([11, 12], np.int32), law or NoiseLaw())
    return scene, ellipses((40, 60, SIGMA, SIGMA, 0), (100, 60, SIGMA, SIGMA, 0))


def test_kron_flux_radii_and_segments_of_a_gaussian() -> None:
    scene, moments = gaussian_scene()
    kron = measure.kron_ellipses(scene, moments, PhotometryOptions(), 0.06)
    flux, error = measure.ellipse_fluxes(scene, kron.ellipses)
    assert flux[0] == pytest.approx(FLUX, rel=0.03)
    assert flux[1] == pytest.approx(FLUX, rel=0.25)  # 20 times outshone at 6 sigma: its wings are masked
    assert error[0] == pytest.approx(np.sqrt(kron.ellipses.area[0]), rel=0.01)
    e = kron.ellipses
    radii = light_radii(scene, e.x, e.y, 1.5 * e.a, flux)
    assert radii[0, 1] == pytest.approx(1.1774 * SIGMA, rel=0.03)
    assert (np.diff(radii[0]) > 0).all()
    sums = measure.segment_sums(scene)
    assert sums["npix"].tolist() == [(scene.labels == 11).sum(), (scene.labels == 12).sum()]
    assert sums["flux"][0] == pytest.approx(scene.frame.sub[scene.labels == 11].sum(), rel=1e-5)
    assert sums["peak"][0] == scene.frame.sub[60, 40]
    boxes = measure.segment_boxes(scene)
    assert (boxes["xmin"][0], boxes["xmax"][0], boxes["ymin"][0], boxes["ymax"][0]) == (33, 47, 53, 67)


def test_the_noise_law_scales_every_error() -> None:
    plain, moments = gaussian_scene()
    loud, _ = gaussian_scene(NoiseLaw(alpha=2.0, beta=0.5))
    for one, other in (
        (measure.ellipse_fluxes(plain, moments), measure.ellipse_fluxes(loud, moments)),
        (
            measure.aperture_fluxes(plain, moments.x, moments.y, 4.0),
            measure.aperture_fluxes(loud, moments.x, moments.y, 4.0),
        ),
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(2 * one[1], other[1])


def test_what_is_scaled_up_from_half_an_aperture_is_twice_as_uncertain() -> None:
    """Half the pixels have half the variance; the light scaled by two has four times that."""
    scene, moments = gaussian_scene()
    x, y = moments.x[:1] - 20, moments.y[:1]  # off the source, between two columns
    one = Scene(scene.frame, scene.labels, scene.ids[:1], NoiseLaw())
    whole = measure.aperture_sums(one, x + 0.5, y, 6.0)
    scene.frame.bad[:, : round(x[0]) + 1] = True
    half = measure.aperture_sums(one, x + 0.5, y, 6.0)
    assert half.error[0] / whole.error[0] == pytest.approx(np.sqrt(2), rel=0.03)
    assert half.naive[0] / whole.naive[0] == pytest.approx(1.0, rel=0.01)


def test_a_source_without_light_gets_the_least_circle_and_no_size() -> None:
    scene, _ = gaussian_scene()
    dark = Scene(scene.frame, scene.labels, np.array([99], np.int32), NoiseLaw())
    dark.frame.sub[100:, :20] = -1.0
    kron = measure.kron_ellipses(dark, ellipses((10, 110, 1, 1, 0)), PhotometryOptions(), 0.06)
    assert kron.circle.all()
    assert kron.ellipses.a[0] == kron.ellipses.b[0] == pytest.approx(0.175 / 0.06)
    flux, _ = measure.ellipse_fluxes(dark, kron.ellipses)
    assert flux[0] < 0
    e = kron.ellipses
    assert np.isnan(light_radii(dark, e.x, e.y, 1.5 * e.a, flux)).all()


def test_gaps_shares_and_weights() -> None:
    scene, moments = gaussian_scene()
    wide = moments.scaled(3.0)
    assert measure.valid_share(scene, wide).tolist() == [1.0, 1.0]
    assert measure.crowded_share(scene, wide)[0] == 0
    assert measure.crowded_share(scene, moments.scaled(6.0))[1] > 0.05
    assert np.isinf(measure.edge_distance(scene, moments.x, moments.y)).all()
    scene.frame.bad[:, :40] = True
    assert measure.valid_share(scene, wide)[0] == pytest.approx(0.5, abs=0.06)
    assert measure.edge_distance(scene, moments.x, moments.y).tolist() == [1.0, 61.0]
    scene.frame.wht[:, :41] = 0  # type: ignore[index]
    scene.frame.wht[60, 100] = 1000.0  # type: ignore[index]
    assert measure.median_weight(scene, wide).tolist() == [4.0, 4.0]
    scene.frame.bad[:] = True
    flux, _ = measure.ellipse_fluxes(scene, wide)
    assert np.isnan(flux).all()


def test_an_ellipse_partly_outside_the_window_is_not_whole() -> None:
    scene, _ = gaussian_scene()
    outside = ellipses((0, 60, 5, 5, 0), (-500, 60, 5, 5, 0))
    share = measure.valid_share(scene, outside)
    assert share[0] == pytest.approx(0.5, abs=0.1)
    assert share[1] == 0
    assert np.isnan(measure.median_weight(scene, outside)[1])


def test_a_hole_inside_a_segment_makes_its_owner_hollow() -> None:
    scene, moments = gaussian_scene()
    assert not measure.hollow(scene, 0.06).any()
    scene.frame.bad[59:62, 39:42] = True
    scene.labels[scene.frame.bad] = 0
    scene.frame.bad[100, 100] = True  # on empty sky
    assert measure.hollow(scene, 0.06).tolist() == [True, False]
    assert measure.empty_centre(scene, moments.x, moments.y).tolist() == [True, False]
    assert measure.empty_centre(scene, moments.x + 900, moments.y).tolist() == [False, False]


def turned(angle: float, scale: float, dx: float, dy: float) -> Affine:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return Affine(np.array([[cos, -sin], [sin, cos]]), np.array([dx, dy]), 0.0)


@given(st.floats(-7, 7), st.floats(0.3, 3), st.floats(1, 9), st.floats(0.2, 1), st.floats(-1.5, 1.5))
@settings(max_examples=40, deadline=None)
def test_carried_ellipses_turn_and_scale(angle: float, scale: float, a: float, q: float, theta: float) -> None:
    before = ellipses((10, 20, a, a * q, theta))
    after = carry_ellipses(before, turned(angle, scale, 3, 4), before.x, before.y)
    assert after.a[0] == pytest.approx(scale * a, rel=1e-6)
    assert after.b[0] == pytest.approx(scale * a * q, rel=1e-6)
    assert abs(after.theta[0]) <= np.pi / 2
    if q < 0.95:
        assert np.sin(after.theta[0] - theta - angle) == pytest.approx(0, abs=1e-5)


def test_angles_stay_within_half_a_turn() -> None:
    angles = half_turn(np.linspace(-20, 20, 401))
    assert (np.abs(angles) <= np.pi / 2).all()


def test_labels_are_carried_to_a_finer_turned_grid() -> None:
    labels = np.zeros((40, 50), np.int32)
    labels[10:20, 15:35] = 7
    box = Box(100, 140, 200, 250)
    forward = turned(0.4, 2.0, -300.0, 50.0)
    inverse = np.linalg.inv(forward.matrix).astype(np.float64)
    back = Affine(inverse, -inverse @ forward.offset, 0.0)
    target = box_on(forward, box)
    carried = carry_labels(labels, box, target, back)
    assert carried.shape == target.shape
    assert (carried == 7).sum() == pytest.approx(4 * 200, rel=0.03)
    y, x = np.nonzero(carried == 7)
    centre = forward(np.array(224.5), np.array(114.5))
    assert (x.mean() + target.x0, y.mean() + target.y0) == pytest.approx(centre, abs=0.2)


def test_grids_shifted_by_whole_pixels_are_told() -> None:
    assert aligned_shift(turned(0, 1, 5.0, -3.0)) == (-3, 5)
    assert aligned_shift(turned(0, 1, 5.3, -3.0)) is None
    assert aligned_shift(turned(0, 2, 5.0, -3.0)) is None


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_resampling_keeps_flux_place_and_gaps(scale: float) -> None:
    target, affine = Box(10, 60, 20, 80), turned(0.0, scale, 1.3, -2.6)
    there = box_on(affine, target)
    y, x = np.mgrid[there.y0 : there.y1, there.x0 : there.x1]
    cx, cy = affine(np.array(50.0), np.array(35.0))
    sigma = 3 * scale
    image = (np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)).astype(np.float32)
    bad = np.zeros(image.shape, bool)
    bad[:, : int(affine(np.array(25.0), np.array(0.0))[0]) - there.x0] = True
    frame = resample(Frame(image, np.where(bad, 0, 1).astype(np.float32), bad), there, target, affine)
    assert frame.sub.shape == target.shape
    assert frame.sub.sum() == pytest.approx(1, rel=0.02)
    rows, columns = np.mgrid[: target.shape[0], : target.shape[1]]
    assert float((frame.sub * rows).sum() / frame.sub.sum()) == pytest.approx(25, abs=0.03)
    assert float((frame.sub * columns).sum() / frame.sub.sum()) == pytest.approx(30, abs=0.03)
    assert frame.bad[:, :4].all()
    assert not frame.bad[:, 8:].any()
    assert frame.err[25, 30] == pytest.approx(scale**2 / scale, rel=0.01)


def floats(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=float)


def test_total_factors_trust_growth_as_far_as_it_is_known() -> None:
    n = 40
    auto, ring = np.full(n, 100.0), np.full(n, 5.0)
    ring[0], ring[1] = 30.0, 30.0
    ring_error, share = np.full(n, 0.2), np.ones(n)
    ring_error[1] = 60.0
    crowd, whole = np.zeros(n), np.ones(n, bool)
    crowd[2], ring[2] = 0.5, 200.0
    share[3], ring[3] = 0.6, 200.0
    factor, error = total_factors(Growth(auto, ring, ring_error, share), crowd, whole)
    assert error[0] < 0.01  # its own growth is known to a permille
    assert error[1] == pytest.approx(error[2], rel=0.01) == pytest.approx(0.03)  # the population's scatter
    assert factor[0] > 1.25  # well measured: its own
    assert factor[1] == pytest.approx(1.05, abs=0.01)  # noise: the field's
    assert factor[2] == pytest.approx(1.05, abs=0.005)  # crowded: the field's
    assert factor[3] == pytest.approx(1.05, abs=0.005)  # too little of its ring is open: the field's
    few, _ = total_factors(Growth(floats(1, -1), floats(1, 3), floats(9, 9), floats(1, 1)), floats(0, 0), whole[:2])
    assert few[1] == pytest.approx(1.06)
    assert ((few >= 1) & (few <= 1.5)).all()


def test_stars_stand_out_by_their_size() -> None:
    rng = np.random.default_rng(0)
    stars = 0.07 * np.exp(rng.normal(0, 0.02, 12))
    galaxies = 10 ** rng.uniform(-0.9, 0, 200)
    r50 = np.concatenate([stars, galaxies])
    snr = np.full(r50.size, 60.0)
    locus = point_source_r50(r50, snr, np.zeros(r50.size), expected_r50(["F277W"]))
    assert locus == pytest.approx(0.07, rel=0.02)
    score = star_scores(r50, snr, locus)
    assert (score[:12] > 0.5).all()
    assert (score[12:][galaxies > 0.09] < 0.1).all()
    assert np.isnan(star_scores(floats(np.nan, 0.0), floats(9, 9), 0.07)).all()
    assert point_source_r50(galaxies[:2], snr[:2], np.zeros(2), 0.068) == 0.068
