"""The field of view rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.cutouts.fov import fov_arcsec, fov_steps, quantise
from gzjwst_core.options import CutoutOptions

OPTIONS = CutoutOptions()


def test_bbox_rule_before_rounding() -> None:
    options = CutoutOptions(fov_steps=0)
    sizes = fov_arcsec({"bbox_diagonal": np.array([0.4, 2.0, 30.0, np.nan])}, options)
    np.testing.assert_allclose(sizes, [1.9, 3.0, 12.0, 1.9])


def test_kron_rule() -> None:
    options = CutoutOptions(fov_rule="kron", fov_steps=0)
    np.testing.assert_allclose(fov_arcsec({"kron_a": np.array([0.1, 1.0])}, options), [1.9, 3.0])


def test_steps_hold_both_limits_and_ascend() -> None:
    steps = fov_steps(OPTIONS)
    assert len(steps) == 8
    assert (steps[0], steps[-1]) == (1.9, 12.0)
    assert (np.diff(steps) > 0).all()
    assert np.ptp(np.log(steps[1:] / steps[:-1])) < 0.01


def test_one_step_is_the_upper_limit() -> None:
    assert quantise([2.0, 11.0], CutoutOptions(fov_steps=1)).tolist() == [12.0, 12.0]


@given(st.lists(st.floats(1.9, 12.0), min_size=1, max_size=20), st.integers(1, 20))
def test_rounding_is_up_to_the_nearest_step(sizes: list[float], count: int) -> None:
    options = CutoutOptions(fov_steps=count)
    steps = fov_steps(options)
    rounded = quantise(sizes, options)
    assert np.isin(rounded, steps).all()
    for size, got in zip(sizes, rounded, strict=True):
        assert got >= size * (1 - 1e-8)
        assert not ((steps >= size) & (steps < got)).any()


def test_a_step_stays_itself() -> None:
    steps = fov_steps(OPTIONS)
    assert quantise(steps, OPTIONS).tolist() == steps.tolist()


@pytest.mark.parametrize("rule", ["bbox", "kron"])
def test_empty_catalog(rule: str) -> None:
    options = CutoutOptions.model_validate({"fov_rule": rule})
    assert fov_arcsec({"bbox_diagonal": [], "kron_a": []}, options).shape == (0,)


@pytest.mark.parametrize("rule", ["bbox", "kron"])
def test_a_stated_field_of_view_is_the_field_of_view_within_the_limits(rule: str) -> None:
    options = CutoutOptions(fov_rule=rule, fov_factor=2.0, fov_steps=0)  # type: ignore[arg-type]
    columns = {
        "ext_fov": [3.0, 0.5, 99.0, np.nan],
        "bbox_diagonal": [1.0, 1.0, 1.0, 2.0],
        "kron_a": [1.0, 1.0, 1.0, 4 / 3],
    }
    assert fov_arcsec(columns, options).tolist() == pytest.approx([3.0, 1.9, 12.0, 4.0])
    assert fov_arcsec({"ext_fov": [3.0]}, options).tolist() == [3.0]
