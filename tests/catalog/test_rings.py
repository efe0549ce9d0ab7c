"""Masked parts of apertures count as light at their own radius, never as the core's; and errors say what that costs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.regrid import Ellipses, Owners
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.measure import Scene

ONE = np.array([1], np.int32)
Y, X = np.mgrid[:241, :241].astype(float)
R = np.hypot(X - 100, Y - 120)
IMAGE = (100 / (50 * np.pi) * np.exp(-R / 5)).astype(np.float32)
"""An exponential disc of 100, alone."""
NOTHING = np.zeros(R.shape, bool)


def disc(hidden: NDArray[np.bool_], *, by_neighbour: bool = False) -> Scene:
    labels = np.where(R < 17, 1, 0).astype(np.int32)
    labels = np.where(hidden & by_neighbour, 2, labels).astype(np.int32)
    bad = hidden & (not by_neighbour)
    return Scene(Frame(np.where(bad, np.float32(0), IMAGE), np.full_like(IMAGE, 1e-3), bad), labels, ONE, WHITE)


@pytest.fixture(scope="module")
def kron() -> Ellipses:
    moments = Ellipses(*(np.array([v]) for v in (100.0, 120.0, 8.0, 8.0, 0.0)))
    return measure.kron_ellipses(disc(NOTHING), moments, PhotometryOptions(), 0.06).ellipses


@pytest.mark.parametrize("by_neighbour", [False, True])
def test_growth_does_not_take_masked_sky_for_light(kron: Ellipses, by_neighbour: bool) -> None:
    reach = kron.a[0]
    whole = measure.ring_sums(disc(NOTHING), kron, 2.0)
    assert whole.share[0] == 1
    assert whole.flux[0] == pytest.approx(100 - measure.ellipse_fluxes(disc(NOTHING), kron)[0][0], abs=0.4)
    assert whole.error[0] == pytest.approx(1e-3 * np.sqrt(3 * kron.area[0]), rel=0.01)
    edge = 100 + 1.02 * reach < X
    gap = (abs(Y - X - 20) < 0.5 * reach) & (1.02 * reach < R)
    beside = np.hypot(X - 100 - 1.6 * reach, Y - 120) < 0.6 * reach
    for hidden in (edge, gap, beside):
        less = measure.ring_sums(disc(hidden, by_neighbour=by_neighbour), kron, 2.0)
        assert 0.7 < less.share[0] < 0.9
        assert abs(less.flux[0] - whole.flux[0]) < 1  # of 100
        assert whole.error[0] < less.error[0] < 1.6 * whole.error[0]


def test_without_growth_there_is_no_ring(kron: Ellipses) -> None:
    assert [v.tolist() for v in measure.ring_sums(disc(NOTHING), kron, 1.0)] == [[0], [0], [1]]


@pytest.mark.parametrize("finer", [False, True])
def test_a_masked_rim_of_the_kron_ellipse_counts_as_rim(kron: Ellipses, finer: bool) -> None:
    whole, _ = measure.ellipse_fluxes(disc(NOTHING), kron)
    scene = disc(100 + 0.45 * kron.a[0] < X, by_neighbour=True)
    if finer:
        scene = Scene(scene.frame, scene.labels, ONE, WHITE, Owners.same_grid(scene.labels))
    masked, _ = measure.ellipse_fluxes(scene, kron)
    assert masked[0] == pytest.approx(whole[0], rel=0.02)


@pytest.mark.parametrize("border", [5.5, 0.5, -1.5])
def test_errors_hold_what_filling_rings_costs(border: float) -> None:
    """Noise alone, with a neighbour over all of each ellipse to the right of a border."""
    noise = np.random.default_rng(1).standard_normal((600, 600)).astype(np.float32)
    frame = Frame(noise, np.ones_like(noise), np.zeros(noise.shape, bool))
    y, x = (v.ravel().astype(float) for v in np.mgrid[12:590:24, 12:590:24])
    labels = np.where(np.arange(600) % 24 - 12 > border, 9, 0) * np.ones((600, 1))
    scene = Scene(frame, np.ascontiguousarray(labels, dtype=np.int32), np.ones(x.size, np.int32), WHITE)
    axis = np.full(x.size, 10.0)
    flux, error = measure.ellipse_fluxes(scene, Ellipses(x, y, axis, axis, np.zeros(x.size)))
    assert np.std(flux / error) == pytest.approx(1, abs=0.1)
