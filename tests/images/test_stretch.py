"""The curves: monotone, bounded, finite for anything finite, the same for every channel."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gzjwst_core.images.stretch import asinh_levels, lupton_levels, sky_level, trilogy_levels
from gzjwst_core.options import ImageOptions

OPTIONS = ImageOptions()
ANYTHING = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32))
Curve = Callable[[NDArray[Any], ImageOptions], NDArray[Any]]
CURVES = st.builds(
    ImageOptions, low_sigma=st.floats(-10, 0), knee_sigma=st.floats(0.5, 20), high_sigma=st.floats(10, 5000)
)


@pytest.mark.parametrize("curve", [asinh_levels, trilogy_levels])
@given(ANYTHING, CURVES)
def test_levels_are_bounded_and_nan_stays(curve: Curve, signal: NDArray[Any], options: ImageOptions) -> None:
    levels = curve(signal, options)
    assert levels.dtype == np.float32
    assert (np.isnan(levels) == np.isnan(signal)).all()
    known = levels[~np.isnan(signal)]
    assert ((known >= 0) & (known <= 1)).all()


@pytest.mark.parametrize("curve", [asinh_levels, trilogy_levels])
@given(ANYTHING, CURVES)
def test_brighter_is_never_darker(curve: Curve, signal: NDArray[Any], options: ImageOptions) -> None:
    ordered = np.sort(signal[~np.isnan(signal)])
    assert (np.diff(curve(ordered, options)) >= 0).all()


@given(CURVES)
def test_black_and_white_points(options: ImageOptions) -> None:
    signal = np.array([options.low_sigma, 0.0, options.high_sigma], dtype=np.float32)
    black, sky, white = asinh_levels(signal, options)
    assert black == pytest.approx(0, abs=1e-5)
    assert sky == pytest.approx(sky_level(options), abs=1e-5)
    assert white == pytest.approx(1, abs=1e-5)


@settings(max_examples=40)
@given(CURVES, st.floats(0.05, 0.5))
def test_trilogy_puts_noise_and_white_where_they_are_asked_for(curve: ImageOptions, noise: float) -> None:
    options = curve.model_copy(update={"trilogy_noise": noise})
    lowest = (1 - options.low_sigma) / (options.high_sigma - options.low_sigma)  # of a linear curve
    signal = np.array([options.low_sigma, 1.0, options.high_sigma], dtype=np.float32)
    black, sky, white = trilogy_levels(signal, options)
    assert black == pytest.approx(0, abs=1e-5)
    assert sky == pytest.approx(max(noise, lowest), rel=1e-3)
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
    """Of what is above black, once its faintest part is bent by the toe, which is 1 sigma wide."""
    brightness = np.geomspace(1, 3000, 7)
    above = np.stack([3 * brightness, 2 * brightness, brightness])[:, None, :]
    levels = lupton_levels((above + OPTIONS.low_sigma).astype(np.float32), OPTIONS)
    bent = (above + np.sqrt(above**2 + 4)) / 2
    np.testing.assert_allclose(levels[0] / levels[2], bent[0] / bent[2], rtol=1e-4)
    np.testing.assert_allclose(levels[1] / levels[2], bent[1] / bent[2], rtol=1e-4)
    bright = brightness > 200
    np.testing.assert_allclose((levels[0] / levels[2])[0, bright], 3, rtol=1e-4)
    np.testing.assert_allclose((levels[1] / levels[2])[0, bright], 2, rtol=1e-4)


def test_lupton_paints_filled_cores_white() -> None:
    signals = np.array([1e5, 200, 10], dtype=np.float32).reshape(3, 1, 1)
    assert (lupton_levels(signals, OPTIONS) == 1).all()


@settings(max_examples=40)
@given(hnp.arrays(np.float32, (3, 1, 8), elements=st.floats(-30, 3, width=32)))
def test_lupton_has_no_black_pixel(signals: NDArray[Any]) -> None:
    levels = lupton_levels(signals, OPTIONS)
    assert (levels > 0).all()
    brighter = lupton_levels(signals + np.float32(1), OPTIONS)
    assert (brighter.mean(axis=0) > levels.mean(axis=0)).all()
