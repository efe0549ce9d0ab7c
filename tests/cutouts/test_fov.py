"""The field of view: what each rule reads and makes of it, limits, steps, and what is never cut off."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.catalog.columns import SOURCE_COLUMNS
from gzjwst_core.cutouts.fov import RULES, columns_of, fov_arcsec, fov_steps, quantise, views_of
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import CutoutOptions

OPTIONS = CutoutOptions()
SIZES = {
    "isophote_diagonal": [1.0, 2.0, 0.1, 30.0],
    "bbox_diagonal": [1.0, 2.0, 0.9, 30.0],
    "ellipticity": [0.0, 0.0, 0.0, 0.0],
    "segment_reach": [0.4, 0.8, 0.4, 12.0],
    "kron_a": [0.5, 1.0, 0.1, 15.0],
    "r50": [0.125, 0.25, 0.01, 4.0],
}
"""Of four sources, chosen so that every rule that measures says 1.5, 3, small, large arcsec."""


def by(rule: str, **more: Any) -> CutoutOptions:
    return CutoutOptions.model_validate({"fov_rule": rule, "fov_steps": 0, **more})


def catalog(**columns: Any) -> dict[str, Any]:
    return {name: np.asarray(values, dtype=float) for name, values in {**SIZES, **columns}.items()}


@pytest.mark.parametrize("rule", ["isophote", "bbox", "kron", "r50"])
def test_a_rule_multiplies_what_it_measures_and_keeps_the_limits(rule: str) -> None:
    assert fov_arcsec(catalog(), by(rule)).tolist() == pytest.approx([1.9, 3.0, 1.9, 12.0])
    assert fov_arcsec(catalog(), by(rule, fov_factor=2.0)).tolist() == pytest.approx([2.0, 4.0, 1.9, 12.0])
    seen = views_of(catalog(), by(rule))
    assert seen.size_arcsec[:2].tolist() == pytest.approx([1.0, 2.0])
    assert seen.rule.tolist() == [rule] * 4


def test_the_constant_of_fixed_is_the_field_of_view_of_all_whatever_the_steps() -> None:
    options = CutoutOptions(fov_rule="fixed", fov_fixed_arcsec=4.3)
    seen = views_of(catalog(), options)
    assert seen.fov_arcsec.tolist() == [4.3] * 4
    assert np.isnan(seen.size_arcsec).all()
    assert fov_arcsec(catalog(), by("fixed", fov_fixed_arcsec=4.3)).tolist() == [4.3] * 4
    with pytest.raises(ValueError, match="fov_fixed_arcsec must lie within"):
        CutoutOptions(fov_rule="fixed", fov_fixed_arcsec=20.0)


def test_the_default_takes_the_isophote_and_the_segment_where_a_source_is_fainter() -> None:
    sizes = catalog(isophote_diagonal=[2.0, np.nan, np.nan, np.nan], bbox_diagonal=[2.5, 2.5, np.nan, 0.2])
    sizes["segment_reach"] = sizes["bbox_diagonal"] / 3
    seen = views_of(sizes, by("isophote"))
    assert CutoutOptions().fov_rule == "isophote"
    assert seen.fov_arcsec.tolist() == pytest.approx([3.0, 3.75, 1.9, 1.9])
    np.testing.assert_array_equal(seen.size_arcsec, [2.0, 2.5, np.nan, 0.2])


@given(
    core=st.floats(0.1, 4.0), segment=st.floats(1.0, 7.0), ratio=st.floats(0.05, 1.0), angle=st.floats(0, np.pi),
    fill=st.floats(0.5, 0.7),
)  # fmt: skip
def test_a_segment_is_never_cut_off_however_little_of_it_is_above_the_isophote(
    core: float, segment: float, ratio: float, angle: float, fill: float
) -> None:
    """The box of an ellipse of that diagonal and axis ratio, turned by any angle, fills at most so much."""
    a = segment / 2 / np.hypot(1, ratio)
    width, height = (2 * a * np.hypot(f(angle), ratio * g(angle)) for f, g in ((np.cos, np.sin), (np.sin, np.cos)))
    assert np.hypot(width, height) == pytest.approx(segment)
    one = {"isophote_diagonal": [core], "bbox_diagonal": [segment], "ellipticity": [1 - ratio], "segment_reach": [a]}
    seen = views_of(one, by("isophote", fov_max_arcsec=20.0, fov_fill_max=fill))
    assert max(width, height) <= fill * seen.fov_arcsec[0] * (1 + 1e-9)
    assert seen.fov_arcsec[0] >= 1.5 * core * (1 - 1e-9)
    assert seen.size_arcsec[0] == core
    assert seen.fov_arcsec[0] == pytest.approx(max(1.9, 1.5 * core, seen.floor_arcsec[0]))


@given(core=st.floats(0.1, 4.0), reach=st.floats(0.1, 6.0), segment=st.floats(0.2, 12.0), steps=st.integers(0, 8))
def test_the_farthest_end_of_a_segment_is_within_zoobots_zoom_unless_the_largest_frame_cuts_it(
    core: float, reach: float, segment: float, steps: int
) -> None:
    """However far off the middle of its segment a galaxy's position lies."""
    one = {"isophote_diagonal": [core], "bbox_diagonal": [segment], "ellipticity": [0.5], "segment_reach": [reach]}
    (fov,) = fov_arcsec(one, CutoutOptions(fov_steps=steps))
    assert reach <= fov / 2 / 1.4 * (1 + 1e-8) or fov == CutoutOptions().fov_max_arcsec


def test_a_source_without_an_ellipticity_counts_as_a_line() -> None:
    one = {"isophote_diagonal": [0.1], "bbox_diagonal": [2.6], "ellipticity": [np.nan], "segment_reach": [np.nan]}
    assert fov_arcsec(one, by("isophote", fov_fill_max=0.65)).tolist() == pytest.approx([4.0])
    assert views_of(one, by("isophote", fov_fill_max=0.65)).floor_arcsec.tolist() == pytest.approx([4.0])
    assert np.isnan(views_of(catalog(), by("bbox")).floor_arcsec).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_stated_field_of_view_is_the_field_of_view_within_the_limits(rule: str) -> None:
    seen = views_of(catalog(ext_fov=[3.5, 0.5, 99.0, np.nan]), by(rule))
    assert seen.fov_arcsec[:3].tolist() == pytest.approx([3.5, 1.9, 12.0])
    assert seen.fov_arcsec[3] == fov_arcsec(catalog(), by(rule))[3]
    assert seen.rule.tolist() == ["stated", "stated", "stated", rule]
    assert np.isnan(seen.size_arcsec[:3]).all()
    assert np.isnan(seen.floor_arcsec[:3]).all()
    assert fov_arcsec({"ext_fov": [3.0]}, by(rule)).tolist() == [3.0]  # what the rule would read is not needed


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"fixed"}))
def test_a_catalog_without_what_the_rule_reads_is_refused_by_name(rule: str) -> None:
    for name in RULES[rule].columns:
        short = {other: values for other, values in catalog().items() if other != name}
        with pytest.raises(CatalogError, match=f"'{rule}' reads {name}, .* choose another of isophote, bbox") as caught:
            fov_arcsec(short, by(rule))
        assert caught.value.reason == "no_column"


def test_profiles_name_the_rules_that_exist_and_catalogs_have_what_they_read() -> None:
    assert get_args(CutoutOptions.model_fields["fov_rule"].annotation) == tuple(RULES)
    known = {column.name for column in SOURCE_COLUMNS}
    assert all(set(columns_of(by(rule))) <= known for rule in RULES)


@pytest.mark.parametrize("rule", RULES)
def test_empty_catalog(rule: str) -> None:
    assert fov_arcsec({name: [] for name in SIZES}, by(rule)).shape == (0,)


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
