"""Controls: who is chosen, and what their pictures tell."""

from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.images.compose import Picture
from gzjwst_core.options import CutoutOptions, QualityOptions
from gzjwst_core.quality.choose import PAIRS, STARS, choose_controls, star_fov
from gzjwst_core.quality.differences import core_colour, rgb_difference, within_scatter, worst_median

CUTOUTS, OPTIONS = CutoutOptions(), QualityOptions(control_stars=3, control_pairs=2)


def catalog(rows: list[dict[str, object]]) -> Table:
    usual = {"field": "a", "is_primary": True, "is_star": False, "snr_det": 90.0, "nn_dist": 3.0, "flags": 0}
    usual |= {
        "valid_frac_min": 1.0,
        "bbox_diagonal": 2.0,
        "isophote_diagonal": 2.0,
        "ellipticity": 0.0,
        "segment_reach": 0.7,
        "kron_a": 1.0,
        "ext_fov": np.nan,
        "segment_id": 7,
    }
    made = [usual | {"id_str": f"J{n}", "group_id": n, "ra": 150.0 + n, "dec": 2.0} | row for n, row in enumerate(rows)]
    return Table(made)


def chosen(table: Table, *selected: int) -> dict[str, dict[str, list[str]]]:
    mask = np.isin(np.arange(len(table)), selected)
    found = choose_controls(table, mask, CUTOUTS, OPTIONS)
    return {field: {view: rows["id_str"].tolist() for view, rows in views.items()} for field, views in found.items()}


def test_stars_are_bright_clean_and_alone() -> None:
    star: dict[str, object] = {"is_star": True}
    spoilt: list[dict[str, object]] = [
        {"snr_det": 20.0}, {"nn_dist": 0.5}, {"flags": 8}, {"flags": 16}, {"valid_frac_min": 0.5}, {"is_star": False},
    ]  # fmt: skip
    rows = [star, star | {"nn_dist": np.nan}, *(star | one for one in spoilt)]
    assert chosen(catalog(rows)) == {"a": {STARS: ["J0", "J1"]}}
    assert [star_fov(CutoutOptions(fov_steps=steps)) for steps in (0, 1, 8)] == [1.9, 12.0, 1.9]


def test_a_star_of_two_fields_is_cut_from_both_where_its_primary_is() -> None:
    table = catalog([{"is_star": True}, {"field": "b", "group_id": 0, "is_primary": False, "ra": 1.0, "segment_id": 9}])
    views = choose_controls(table, np.zeros(2, dtype=bool), CUTOUTS, OPTIONS)
    assert sorted(views) == ["a", "b"]
    (row,) = views["b"][STARS]
    assert (row["id_str"], row["ra"], row["field"], row["segment_id"], row["ext_fov"]) == ("J0", 150.0, "b", 9, 1.9)
    table["valid_frac_min"][1] = 0.5
    assert chosen(table) == {"a": {STARS: ["J0"]}}


def test_stars_that_two_fields_show_come_first() -> None:
    rows: list[dict[str, object]] = [{"is_star": True} for _ in range(40)]
    again: list[dict[str, object]] = [{"field": "b", "group_id": group, "is_primary": False} for group in (7, 30)]
    views = chosen(catalog([*rows, *again]))
    assert {"J7", "J30"} < set(views["a"][STARS])
    assert len(views["a"][STARS]) == 3
    assert views["b"] == {STARS: ["J7", "J30"]}


def test_a_galaxy_that_is_shown_is_cut_again_from_the_other_field() -> None:
    again = {"field": "b", "group_id": 0, "is_primary": False, "bbox_diagonal": 9.0, "isophote_diagonal": 9.0}
    table = catalog([{}, again, {"field": "b"}, again | {"id_str": "part"}])
    assert chosen(table, 0, 2) == {"b": {PAIRS: ["J0"]}}
    assert chosen(table, 2) == {}
    rows = choose_controls(table, np.array([True, False, False, False]), CUTOUTS, OPTIONS)["b"][PAIRS]
    assert rows["ext_fov"][0] == pytest.approx(3.0, rel=0.3)  # of the primary's size, not of this field's
    table["valid_frac_min"][1] = table["valid_frac_min"][3] = 0.5
    assert chosen(table, 0) == {}


def test_no_more_are_taken_than_asked_for_and_new_fields_move_none() -> None:
    rows: list[dict[str, object]] = [{"is_star": True} for _ in range(9)]
    few = chosen(catalog(rows))["a"][STARS]
    assert len(few) == 3
    more = chosen(catalog([*rows, *({"is_star": True, "field": "b"} for _ in range(9))]))
    assert more["a"][STARS] == few
    assert len(more["b"][STARS]) == 3
    assert choose_controls(catalog(rows)[:0], np.zeros(0, dtype=bool), CUTOUTS, OPTIONS) == {}


def picture(rgb: NDArray[Any], **more: object) -> Picture:
    plain = {"gap": np.zeros(rgb.shape[:2], dtype=bool), "filled": (), "bands": ("F150W", "F277W", "F444W")}
    return Picture(rgb=np.clip(rgb, 0, 255).astype(np.uint8), **{**plain, **more})  # type: ignore[arg-type]


def star(size: int, fov: float, levels: tuple[int, int, int]) -> Picture:
    """A disc of 0.3 arcsec on grey sky."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    disc = np.hypot(x, y) * fov / size < 0.3
    return picture(np.where(disc[..., None], np.array(levels), 33).astype(float))


def test_a_stars_colour_is_that_of_its_core_at_any_size() -> None:
    colours = [core_colour(star(160, fov, (200, 150, 100)), fov) for fov in (1.9, 4.2)]
    assert colours == pytest.approx([1.0, 1.0])
    one = star(160, 1.9, (200, 150, 100))
    spoilt = [
        Picture(rgb=one.rgb, gap=np.ones_like(one.gap), filled=(), bands=one.bands),
        Picture(rgb=one.rgb, gap=one.gap, filled=("red",), bands=one.bands),
        star(160, 1.9, (200, 150, 0)),
    ]
    assert np.isnan([core_colour(bad, 1.9) for bad in spoilt]).all()


def test_scatter_is_that_of_views_of_one_star_not_of_stars() -> None:
    groups = np.array(["1", "1", "2", "2", "3"])
    assert within_scatter(np.array([0.0, 0.0, 5.0, 5.0, 9.0]), groups) == 0
    assert within_scatter(np.array([-0.1, 0.1, 5.0, np.nan, 9.0]), groups) == pytest.approx(0.2 / np.sqrt(2))
    assert np.isnan(within_scatter(np.array([1.0, np.nan, 2.0]), groups[[0, 0, 2]]))
    assert np.isnan(within_scatter(np.empty(0), groups[:0]))


def test_a_field_that_differs_is_not_hidden_by_the_others() -> None:
    fields = np.array(["a", "a", "a", "b", "b", "c"])
    assert worst_median(np.array([1.0, 2.0, 9.0, 6.0, np.nan, np.nan]), fields) == 6
    assert np.isnan(worst_median(np.array([np.nan] * 6), fields))
    assert np.isnan(worst_median(np.empty(0), fields[:0]))


def test_noise_is_no_difference_and_a_colour_or_a_brightness_is() -> None:
    rng = np.random.default_rng(3)
    galaxy = star(160, 3.0, (70, 60, 50)).rgb.astype(float)
    one, other = (picture(galaxy + rng.normal(0, 10, (160, 160, 3))) for _ in range(2))
    target = star(160, 3.0, (1, 1, 1)).rgb[..., 0] == 1
    assert np.abs(one.rgb.astype(int) - other.rgb).mean() > 10
    assert rgb_difference(one, other, target) < 1.5
    for apart, expected in (((8.0, 0.0, 0.0), 8), ((-8.0, 0.0, 0.0), 8), ((4.0, 0.0, -4.0), 8), ((8.0, 8.0, 8.0), 8)):
        changed = picture(other.rgb + np.array(apart))
        assert rgb_difference(changed, one, target) == pytest.approx(expected, abs=1.5)
        assert rgb_difference(one, changed, np.zeros_like(target)) == pytest.approx(expected, abs=1.5)


def test_pictures_of_other_bands_or_of_half_a_galaxy_are_not_compared() -> None:
    one, target = star(160, 3.0, (200, 150, 100)), star(160, 3.0, (1, 1, 1)).rgb[..., 0] == 1
    gap = np.zeros((160, 160), dtype=bool)
    gap[:, 82:] = True
    dark = picture(np.full((160, 160, 3), 33.0))
    assert rgb_difference(one, one, target) == 0
    assert np.isnan(rgb_difference(dark, dark, target))
    for bad in (picture(one.rgb, bands=("F444W",)), picture(one.rgb, gap=gap), picture(one.rgb, filled=("red",))):
        assert np.isnan(rgb_difference(one, bad, target))
