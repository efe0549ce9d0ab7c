"""Drawings hold what they say: every source inside the plane, honest heights, no warning on odd tables."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.report.figures import flag_counts, number_counts, size_magnitude, sky_map
from gzjwst_core.report.plots import Axis, Frame, band_colour, nice_ticks, points, spark, steps

BANDS = ("F115W", "F444W")


def catalog(count: int = 300, **values: Any) -> Table:
    rng = np.random.default_rng(5)
    table = Table(
        {
            "field": np.array(["f1", "f2"])[np.arange(count) % 2],
            "is_primary": np.arange(count) % 10 != 0,
            "is_star": np.arange(count) % 7 == 0,
            "ra": (359.99 + rng.uniform(0, 0.02, count)) % 360,
            "dec": rng.uniform(1, 1.02, count),
            "mag_ref": rng.uniform(20, 26, count).astype("float32"),
            "r50": rng.uniform(0.05, 1, count).astype("float32"),
            "flags": np.full(count, int(Flag.BLENDED | Flag.TARGET), dtype="uint32"),
            "F115W_mag_tot": rng.uniform(21, 27, count).astype("float32"),
            "F444W_mag_tot": rng.uniform(20, 26, count).astype("float32"),
        }
    )
    for name, value in values.items():
        table[name] = value
    return table


def points_of(drawing: Markup) -> dict[str, list[tuple[float, float]]]:
    """Places of the points by class, from a drawing that must be well-formed."""
    svg = ET.fromstring(str(drawing).partition("<p ")[0])  # noqa: S314 - a drawing of ours
    found: dict[str, list[tuple[float, float]]] = {}
    for path in svg.iter("path"):
        if path.get("class", "").startswith("points"):
            name = path.get("class", "").split()[1]
            pairs = re.findall(r"M([-\d.]+) ([-\d.]+)h0", path.get("d", ""))
            found.setdefault(name, []).extend((float(x), float(y)) for x, y in pairs)
    return found


def test_every_flag_is_counted_and_explained() -> None:
    counts = {f.name: f for f in flag_counts(catalog())}
    assert set(counts) == {flag.name for flag in Flag}
    assert (counts["BLENDED"].rows, counts["BLENDED"].share) == (300, 1.0)
    assert counts["EDGE"].rows == 0
    assert set(FLAG_MEANINGS) == set(Flag)
    assert flag_counts(catalog(0))[0].share == 0


def test_number_counts_draw_each_band_that_has_magnitudes() -> None:
    drawing = number_counts(catalog(), (*BANDS, "F277W"))
    assert drawing is not None
    assert drawing.count('class="steps"') == 2
    assert "F277W" not in drawing
    assert "galaxies in 0.5 mag" in drawing
    per_area = number_counts(catalog(), BANDS, 10.0)
    assert per_area is not None
    assert "galaxies per mag and arcmin²" in per_area


def test_stars_and_secondaries_are_not_counted() -> None:
    assert number_counts(catalog(is_star=True), BANDS) is None
    assert number_counts(catalog(is_primary=False), BANDS) is None


def test_nothing_to_draw_is_none_and_one_source_is_enough() -> None:
    assert number_counts(catalog(F115W_mag_tot=np.nan, F444W_mag_tot=np.nan), BANDS) is None
    assert size_magnitude(catalog(mag_ref=np.nan)) is None
    assert sky_map(catalog(0)) is None
    one = catalog(2)[1:]
    assert number_counts(one, BANDS) is not None
    assert size_magnitude(one) is not None
    assert sky_map(one) is not None


def test_stars_and_selected_galaxies_stand_out_from_the_others() -> None:
    table = catalog()
    selected = np.asarray(table["is_primary"]) & ~np.asarray(table["is_star"]) & (np.asarray(table["mag_ref"]) < 24)
    drawing = size_magnitude(table, selected)
    assert drawing is not None
    found = points_of(drawing)
    shown = sum(len(places) for places in found.values())
    assert 0.97 * table["is_primary"].sum() <= shown <= table["is_primary"].sum()
    assert 0.95 * selected.sum() <= len(found["chosen"]) <= selected.sum()
    assert len(found["star"]) > 10


def test_a_large_survey_is_thinned() -> None:
    drawing = size_magnitude(catalog(20_000))
    assert drawing is not None
    assert 3000 < sum(len(places) for places in points_of(drawing).values()) < 6000
    assert len(drawing) < 100_000


def test_the_sky_has_east_left_and_no_jump_at_zero_hours() -> None:
    table = catalog(2)
    table["ra"], table["dec"] = [359.999, 0.001], [1.0, 1.002]
    drawing = sky_map(table)
    assert drawing is not None
    west, east = points_of(drawing)["sky"]
    assert east[0] < west[0]
    assert east[1] < west[1]  # north is up, and pixels count downwards
    ticks = [float(t) for t in re.findall(r'middle">([\d.]+)<', drawing)]
    assert all(0 <= tick < 360 for tick in ticks)
    across, up = west[0] - east[0], west[1] - east[1]
    assert across == pytest.approx(up, rel=0.03)  # equal scales: both are 0.002 degrees


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e4))
def test_ticks_are_round_few_and_inside(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)
    assert 2 <= len(ticks) <= 16
    assert all(low - 1e-6 * width <= value <= low + 1.000001 * width for value, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)
    assert all(float(text) == pytest.approx(value, abs=width / 50) for value, text in ticks)


def test_no_width_has_no_ticks() -> None:
    assert nice_ticks(3.0, 3.0) == ()


def test_texts_of_a_drawing_are_escaped() -> None:
    axis = Axis(0, 1, "<b>x</b>", ((0.5, "<i>"),))
    drawing = Frame(axis, axis, '"><script>').draw(points(Frame(axis, axis, ""), [0.5], [0.5], "sky"))
    assert "<b>" not in drawing
    assert "<i>" not in drawing
    assert "<script>" not in drawing


def test_steps_leave_out_bins_where_there_is_nothing() -> None:
    frame = Frame(Axis(0, 3, "x", ()), Axis(0, 1, "y", ()), "steps")
    drawing = steps(frame, [0, 1, 2, 3], [0.5, np.nan, 1.0], "red")
    bottom, middle, top = (float(frame.py(v)) for v in (0, 0.5, 1))
    assert drawing.count("M") == 2
    assert [float(v) for v in re.findall(r"V([-\d.]+)", drawing)] == pytest.approx(
        [middle, bottom, top, bottom], abs=0.06
    )
    ends = [float(v) for v in re.findall(r"H([-\d.]+)", drawing)]
    assert ends == pytest.approx([float(frame.px(v)) for v in (1, 3)], abs=0.06)
    assert steps(frame, [0, 1], [np.nan], "red").count("V") == 0


def test_bands_run_from_blue_to_red() -> None:
    assert band_colour(0, 3).startswith("hsl(222 ")
    assert band_colour(2, 3).startswith("hsl(0 ")
    assert band_colour(0, 1)


def test_a_spark_shows_finite_values_only() -> None:
    assert spark([np.nan]) == ""
    assert spark([1.0, 1.0, np.inf]).count("v-") == 1
