"""The curves: monotone, bounded, finite for anything finite, the same for every channel."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gzjwst_core.images.stretch import asinh_levels, lupton_levels, sky_level
from gzjwst_core.options import ImageOptions

OPTIONS = ImageOptions()
ANYTHING = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32))
CURVES = st.builds(
    ImageOptions, low_sigma=st.floats(-10, 0), knee_sigma=st.floats(0.5, 20), high_sigma=st.floats(10, 5000)
)


@given(ANYTHING, CURVES)
def test_levels_are_bounded_and_nan_stays(signal: NDArray[Any], options: ImageOptions) -> None:
    levels = asinh_levels(signal, options)
    assert levels.dtype == np.float32
    assert (np.isnan(levels) == np.isnan(signal)).all()
    known = levels[~np.isnan(signal)]
    assert ((known >= 0) & (known <= 1)).all()


@given(ANYTHING, CURVES)
def test_brighter_is_never_darker(signal: NDArray[Any], options: ImageOptions) -> None:
    ordered = np.sort(signal[~np.isnan(signal)])
    assert (np.diff(asinh_levels(ordered, options)) >= 0).all()


@given(CURVES)
def test_black_and_white_points(options: ImageOptions) -> None:
    signal = np.array([options.low_sigma, 0.0, options.high_sigma], dtype=np.float32)
    black, sky, white = asinh_levels(signal, options)
    assert black == pytest.approx(0, abs=1e-5)
    assert sky == pytest.approx(sky_level(options), abs=1e-5)
    assert white == pytest.approx(1, abs=1e-5)


def test_input_is_left_alone() -> None:
    signal = np.ones(4, dtype=np.float32)
    asinh_levels(signal, OPTIONS)
    assert (signal == 1).all()


@settings(max_examples=60)
@given(hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(-1e5, 1e5, width=32) | st.just(float("nan"))))
def test_lupton_is_bounded_and_nan_is_shared(signals: NDArray[Any]) -> None:
    levels = lupton_levels(signals, OPTIONS)
    gap = np.isnan(signals).any(axis=0)
    assert np.isnan(levels[:, gap]).all()
    assert ((levels[:, ~gap] >= 0) & (levels[:, ~gap] <= 1)).all()


def test_lupton_keeps_the_hue() -> None:
    brightness = np.geomspace(1, 3000, 7, dtype=np.float32)
    above = np.stack([3 * brightness, 2 * brightness, brightness])[:, None, :]
    levels = lupton_levels(above + np.float32(OPTIONS.low_sigma), OPTIONS)
    np.testing.assert_allclose(levels[0] / levels[2], 3, rtol=1e-4)
    np.testing.assert_allclose(levels[1] / levels[2], 2, rtol=1e-4)


def test_lupton_paints_filled_cores_white() -> None:
    signals = np.array([1e5, 200, 10], dtype=np.float32).reshape(3, 1, 1)
    assert (lupton_levels(signals, OPTIONS) == 1).all()
