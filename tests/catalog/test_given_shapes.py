"""Given shapes: a centre keeps its pixel, near ones share out what they both cover, light is followed to its end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.regrid import Ellipses
from gzjwst_core.photometry.measure import Scene
from gzjwst_core.photometry.target_apertures import growth_radii, label_ellipses, leaders

SHAPE = (40, 60)
places = st.lists(st.tuples(st.floats(-5, 64), st.floats(-5, 44), st.floats(1, 12), st.floats(0.2, 1)), max_size=8)


def ellipses(rows: list[tuple[float, float, float, float]]) -> Ellipses:
    x, y, a, ratio = np.array(rows, dtype=float).reshape(-1, 4).T
    return Ellipses(x, y, a, np.maximum(a * ratio, 1.0), np.linspace(-1.5, 1.5, x.size))


@settings(max_examples=60, deadline=None)
@given(places)
def test_a_label_is_of_an_ellipse_that_holds_the_pixel_and_centres_keep_theirs(
    rows: list[tuple[float, float, float, float]],
) -> None:
    these = ellipses(rows)
    ids = np.arange(1, len(rows) + 1, dtype=np.int32)
    labels = label_ellipses(these, ids, SHAPE)
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    covered = np.zeros(SHAPE, dtype=bool)
    for n, (x, y, a, _) in enumerate(rows):
        dx, dy, t = xx - x, yy - y, these.theta[n]
        along, across = dx * np.cos(t) + dy * np.sin(t), dy * np.cos(t) - dx * np.sin(t)
        inside = (along / a) ** 2 + (across / these.b[n]) ** 2 <= 1
        covered |= inside
        centre = (yy == np.rint(y)) & (xx == np.rint(x))
        assert not np.any((labels == ids[n]) & ~inside & ~centre)
        assert not np.any(labels[centre] > ids[n])
        covered |= centre
    assert np.array_equal(labels > 0, covered)


def test_what_two_cover_is_shared_out_by_nearness() -> None:
    labels = label_ellipses(ellipses([(20.0, 20.0, 8.0, 1.0), (30.0, 20.0, 8.0, 1.0)]), np.array([3, 5]), SHAPE)
    assert labels[20, 24] == 3
    assert labels[20, 26] == 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), max_size=30))
def test_leaders_are_apart_and_followers_near_theirs(rows: list[tuple[float, float]]) -> None:
    x, y = np.array(rows, dtype=float).reshape(-1, 2).T
    first = leaders(x, y, 1.5)
    assert np.array_equal(first[first], first)
    assert np.all(first <= np.arange(x.size))
    assert np.all(np.hypot(x - x[first], y - y[first]) <= 1.5)
    own = np.unique(first)
    apart = np.hypot(x[own, None] - x[own], y[own, None] - y[own]) + 9 * np.eye(own.size)
    assert np.all(apart > 1.5)


@pytest.mark.parametrize("beside", [0.0, 5.0])
def test_growth_is_of_the_source_alone_and_of_nothing_where_nothing_is(beside: float) -> None:
    """A neighbour 1.8 arcsec away, unknown and five times as bright, does not widen the circle."""
    rng = np.random.default_rng(1)
    yy, xx = np.mgrid[:241, :241]
    sub = rng.normal(0, 0.01, yy.shape) + np.exp(-((xx - 120) ** 2 + (yy - 120) ** 2) / 32)
    sub += beside * np.exp(-((xx - 150) ** 2 + (yy - 120) ** 2) / 32)
    frame = Frame(sub.astype(np.float32), np.full(yy.shape, 0.01, np.float32), np.zeros(yy.shape, dtype=bool))
    scene = Scene(frame, np.zeros(yy.shape, dtype=np.int32), np.array([1, 2], dtype=np.int32), WHITE)
    found = growth_radii(scene, np.array([120.0, 40.0]), np.array([120.0, 60.0]), 0.06)
    assert found[0] == pytest.approx(3 * 1.1774 * 4, rel=0.12)
    assert found[1] < 4
