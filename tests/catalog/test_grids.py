"""The same sky on grids of 0.06 and 0.03 arcsec, shifted and turned: fluxes agree within 1 %, beside neighbours too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sep
from numpy.typing import NDArray
from scipy.special import erf

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.regrid import Ellipses, Owners, box_on, carry_ellipses, carry_labels
from gzjwst_core.mosaics.geometry import Affine, Box
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.apertures import excess_noise, small_circles
from gzjwst_core.photometry.curve_of_growth import FRACTIONS, light_radii, sharpened
from gzjwst_core.photometry.measure import Scene
from tests.soak.skies import measured

COARSE = 0.06
CORE, WINGS = 0.0616, 0.16  # sigmas of F444W's point source and its wings, arcsec
BOX = Box(0, 240, 0, 260)


@dataclass(frozen=True)
class Light:
    """Round Gaussians on the sky: places and sigmas in arcsec, fluxes."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    sigma: NDArray[np.float64]
    flux: NDArray[np.float64]


def sky_of_pairs() -> Light:
    """Point sources, discs and long galaxies, alone and in pairs 0.4-0.8 arcsec apart, one 10 times the other."""
    rng = np.random.default_rng(3)
    rows: list[tuple[float, float, float, float]] = []

    def point(x: float, y: float, flux: float) -> None:
        rows.extend([(x, y, CORE, 0.8 * flux), (x, y, WINGS, 0.2 * flux)])

    def galaxy(x: float, y: float, size: float, flux: float) -> None:
        dx, dy = size * np.array([np.cos(angle := rng.uniform(0, 3)), np.sin(angle)])
        rows.extend((x + i * dx, y + i * dy, float(np.hypot(CORE, 0.6 * size)), flux / 3) for i in (-1, 0, 1))

    for number, (line, column) in enumerate(np.ndindex(4, 4)):
        x, y = 2 + 3.6 * column + rng.uniform(-0.3, 0.3), 2 + 3.4 * line + rng.uniform(-0.3, 0.3)
        (point if number % 2 else lambda x, y, f: galaxy(x, y, rng.uniform(0.05, 0.25), f))(x, y, rng.uniform(20, 60))
        if number % 3:
            turn, apart = rng.uniform(0, 6), rng.uniform(0.4, 0.8)
            point(x + apart * np.cos(turn), y + apart * np.sin(turn), rng.uniform(4, 60))
    return Light(*np.array(rows).T)


def render(light: Light, shape: tuple[int, int], affine: Affine, scale: float) -> NDArray[np.float32]:
    """Integrate over pixels; `affine` goes from arcsec / 0.06 to pixels."""
    x, y = affine(light.x / COARSE, light.y / COARSE)
    sigma = light.sigma / scale

    def along(places: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        edges = np.arange(count + 1) - 0.5
        return np.asarray(np.diff(0.5 * erf((edges - places[:, None]) / (np.sqrt(2) * sigma[:, None])), axis=1))

    rows, columns = along(y, shape[0]), along(x, shape[1])
    return np.asarray(np.einsum("i,ij,ik->jk", light.flux, rows, columns), dtype=np.float32)


def scene_of(
    image: NDArray[np.float32], labels: NDArray[np.int32], ids: NDArray[np.int32], fine: Owners | None = None
) -> Scene:
    bad = np.zeros(image.shape, bool)
    return Scene(Frame(image, np.full_like(image, 1e-3), bad), labels, ids, WHITE, fine)


def grid(angle_deg: float, scale: float, dx: float, dy: float) -> Affine:
    c, s = (COARSE / scale * f(np.radians(angle_deg)) for f in (np.cos, np.sin))
    return Affine(np.array([[c, -s], [s, c]]), np.array([dx, dy]), 0.0)


@pytest.fixture(scope="module")
def detected() -> tuple[Light, Scene, Ellipses]:
    light = sky_of_pairs()
    image = render(light, BOX.shape, grid(0, COARSE, 0, 0), COARSE)
    objects, labels = sep.extract(image, 0.02, minarea=6, deblend_cont=1e-3, segmentation_map=True)
    assert len(objects) > 20
    scene = scene_of(image, labels, np.arange(1, len(objects) + 1, dtype=np.int32))
    moments = Ellipses(*(objects[name].astype(float) for name in ("x", "y", "a", "b", "theta")))
    return light, scene, measure.kron_ellipses(scene, moments, PhotometryOptions(), COARSE).ellipses


@pytest.mark.parametrize(
    "turned", [(0.0, 0.03, 0.5, 0.5), (0.0, 0.03, 0.31, 0.87), (28.0, 0.03, 300.3, 80.0), (40.0, 0.06, 210.0, 60.7)]
)
def test_fluxes_agree_between_grids(
    detected: tuple[Light, Scene, Ellipses], turned: tuple[float, float, float, float]
) -> None:
    light, here, kron = detected
    affine, scale = grid(*turned), turned[1]
    target = box_on(affine, BOX)
    inverse = np.asarray(np.linalg.inv(affine.matrix), dtype=np.float64)
    x, y = affine(kron.x, kron.y)
    ellipses = carry_ellipses(kron, affine, x, y).shift(-target.y0, -target.x0)
    back = Affine(inverse, -inverse @ affine.offset, 0.0)
    labels, fine = carry_labels(here.labels, BOX, target, back), Owners.carried(here.labels, BOX, target, back)
    shifted = Affine(affine.matrix, affine.offset - np.array([target.x0, target.y0]), 0.0)
    there = scene_of(render(light, target.shape, shifted, scale), labels, here.ids, fine)

    def ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(other / one - 1)

    auto = measure.ellipse_fluxes(here, kron)[0], measure.ellipse_fluxes(there, ellipses)[0]
    assert ratio(*auto).max() < 0.01
    assert np.median(ratio(*auto)) < 0.002
    iso = ratio(measure.segment_sums(here)["flux"], measure.segment_sums(there)["flux"])
    assert iso.max() < 0.01
    for diameter in (0.2, 0.3, 0.5, 0.7, 1.0):
        one, _ = measure.aperture_fluxes(here, kron.x, kron.y, diameter / 2 / COARSE)
        other, _ = measure.aperture_fluxes(there, ellipses.x, ellipses.y, diameter / 2 / scale)
        assert ratio(one, other).max() < 0.01, diameter
    radii = light_radii(here, kron.x, kron.y, 1.5 * kron.a, auto[0]) * COARSE
    others = light_radii(there, ellipses.x, ellipses.y, 1.5 * ellipses.a, auto[1]) * scale
    assert np.nanmedian(ratio(radii, others), axis=0)[FRACTIONS.index(0.5)] < 0.01


def test_a_small_circle_is_the_sky_within_it_wherever_the_pixels_lie() -> None:
    ids, labels, places = np.ones(1, np.int32), np.zeros((41, 41), np.int32), np.random.default_rng(0)
    for _ in range(20):
        at = 20 + places.uniform(-0.5, 0.5, 2)
        light = Light(at[:1] * COARSE, at[1:] * COARSE, np.array([CORE]), np.array([1.0]))
        image = render(light, (41, 41), grid(0, COARSE, 0, 0), COARSE)
        frame = Frame(image, np.ones_like(image), np.zeros(image.shape, bool))
        for radius in (0.1, 0.15, 0.25):
            found = small_circles(frame, Owners.same_grid(labels), ids, at[None], radius / COARSE)
            assert found[0] == pytest.approx(1 - np.exp(-(radius**2) / (2 * CORE**2)), abs=0.007)


def test_masked_pixels_count_as_the_mean_of_the_others() -> None:
    image, labels = np.full((31, 31), 2.0, np.float32), np.zeros((31, 31), np.int32)
    bad = np.zeros(image.shape, bool)
    bad[:, :15] = True
    image[bad] = 0
    labels[16:, :] = 9
    image[labels == 9] = 4
    frame = Frame(image, np.ones_like(image), bad)
    found = small_circles(frame, Owners.same_grid(labels), np.array([1, 9], np.int32), np.full((2, 2), 15.0), 2.0)
    assert found[0] == pytest.approx(2 * np.pi * 4, rel=0.01)
    assert 2 < found[1] / (np.pi * 4) < 4
    bad[:] = True
    assert np.isnan(
        small_circles(frame, Owners.same_grid(labels), np.array([1], np.int32), np.full((1, 2), 15.0), 2.0)
    ).all()


def test_small_circles_are_a_little_noisier_and_their_errors_say_so() -> None:
    noise = np.random.default_rng(5).standard_normal((400, 400)).astype(np.float32)
    frame, labels = Frame(noise, np.ones_like(noise), np.zeros(noise.shape, bool)), np.zeros(noise.shape, np.int32)
    at = np.mgrid[20:380:12, 20:380:12].reshape(2, -1).T + np.random.default_rng(6).uniform(-0.5, 0.5, (900, 2))
    found = small_circles(frame, Owners.same_grid(labels), np.ones(900, np.int32), at, 1.67)
    plain, _, _ = sep.sum_circle(noise, at[:, 0], at[:, 1], 1.67)
    assert found.std() / plain.std() == pytest.approx(excess_noise(1.67), rel=0.02)
    assert excess_noise(1.67) == pytest.approx(1.09, abs=0.02)
    assert excess_noise(20.0) == 1.0


def test_sharpening_keeps_light_and_leaves_gaps_alone() -> None:
    light = Light(np.array([1.2]), np.array([1.2]), np.array([CORE]), np.array([5.0]))
    image = render(light, (41, 41), grid(0, COARSE, 0, 0), COARSE)
    sharp = sharpened(image, np.zeros(image.shape, bool))
    assert float(sharp.sum()) == pytest.approx(5.0, rel=1e-5)
    assert sharp.max() > image.max()
    hole = np.zeros(image.shape, bool)
    hole[20, 22] = True
    assert sharpened(image, hole)[20, 20] == image[20, 20]
    assert sharpened(image, hole)[20, 19] == sharp[20, 19]


def test_a_catalog_shows_the_sky_of_any_grid(tmp_path: Path) -> None:
    """Galaxies are drawn on the sky as astropy reads it: FK5, SIP terms, old keywords, long oblique pixels."""
    off = measured(tmp_path, "all at once")
    assert max(off["radec_mas"], off["product_mas"]) < 1
    assert off["true_mas"] < 2
    assert off["theta_deg"] < 2
    assert (off["axis_ratio"], off["major"], off["flux"]) == pytest.approx((0, 0, 0), abs=0.04)
