"""Sheets show what they say, the same images every time, and small copies of them."""

import base64
import io

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from gzjwst_core.errors import ImageError
from gzjwst_core.report.galaxies import listed
from gzjwst_core.report.measures import Measure, measure_of
from gzjwst_core.report.panel_boxes import rgb_box
from gzjwst_core.report.sheets import Sheet, choose, sheets_of, thumbnail
from gzjwst_core.report.shown import check_rows, limits_of

INF = float("inf")
MEASURES = {
    "fill": Measure("fill", "", "", 0.2, 0.7),
    "black": Measure("black", "", "", -INF, 0.0, 4),
    "coverage": Measure("coverage", "", "", 1.0, INF),
}


@pytest.fixture
def galaxies(rows: Table, catalog: Table) -> Table:
    rng = np.random.default_rng(3)
    quality = Table({"id_str": catalog["id_str"], "verdict": ["pass"] * 20 + ["warn"] * 3 + ["fail"] * 2})
    for name in MEASURES:
        quality[name] = rng.uniform(0, 1, len(catalog))
    quality["fill"][4] = np.nan
    return listed(rows, catalog, quality, (), 100)


def by_title(galaxies: Table) -> dict[str, Sheet]:
    return {sheet.title: sheet for sheet in sheets_of(galaxies, MEASURES)}


def chosen(title: str, galaxies: Table, count: int = 10) -> Table:
    return galaxies[choose(by_title(galaxies)[title], galaxies, MEASURES, count)]


@pytest.mark.parametrize(
    ("title", "column", "sign"),
    [("Brightest", "mag_ref", 1), ("Faintest", "mag_ref", -1), ("Largest", "r50", -1), ("Smallest", "r50", 1)],
)
def test_the_first_of_a_sheet_are_the_extremes(galaxies: Table, title: str, column: str, sign: int) -> None:
    values = np.asarray(galaxies[column], dtype=float)
    extremes = np.sort(sign * values[np.isfinite(values)])[:10]
    np.testing.assert_allclose(sign * np.asarray(chosen(title, galaxies)[column], dtype=float), extremes, atol=6e-4)
    everything = chosen(title, galaxies, 100)
    assert len(everything) == len(galaxies)
    if column == "mag_ref":
        assert np.isnan(everything["mag_ref"][-1])


def test_the_worst_lie_farthest_from_what_is_good(galaxies: Table) -> None:
    fill = np.asarray(chosen("Worst fill", galaxies, 100)["fill"])
    away = np.maximum(0.2 - fill[:-1], fill[:-1] - 0.7)
    assert (np.diff(away) <= 1.1e-3).all()
    assert np.isnan(fill[-1])
    assert chosen("Worst black", galaxies)["black"][0] == galaxies["black"].max()
    assert chosen("Worst coverage", galaxies)["coverage"][0] == galaxies["coverage"].min()


def test_verdicts_have_sheets_where_there_are_any(galaxies: Table) -> None:
    assert set(chosen("Failed", galaxies)["verdict"]) == {"fail"}
    assert len(chosen("Warned", galaxies)) == 3
    galaxies["verdict"] = "pass"
    assert not {"Failed", "Warned"} & set(by_title(galaxies))
    galaxies.remove_column("verdict")
    assert "Failed" not in by_title(galaxies)


def test_the_random_order_does_not_depend_on_the_rows_order(rows: Table, catalog: Table) -> None:
    forward = listed(rows, catalog, None, (), 8)["id_str"].tolist()
    assert listed(rows[::-1], catalog, None, (), 8)["id_str"].tolist() == forward
    assert forward != sorted(forward)
    assert listed(rows, catalog, None, (), 100)["id_str"][:8].tolist() == forward


def test_what_is_not_known_of_a_galaxy_is_nan_or_empty(rows: Table, catalog: Table) -> None:
    catalog["snr_det"] = np.arange(len(catalog), dtype=float)
    quality = Table({"id_str": catalog["id_str"][:2], "verdict": ["pass", "fail"], "fill": [0.3, 0.4]})
    made = listed(rows, catalog, quality, (), 100)
    known = np.isin(made["id_str"], quality["id_str"])
    assert np.isfinite(made["fill"]).tolist() == known.tolist()
    assert [bool(v) for v in made["verdict"]] == known.tolist()
    place = catalog["id_str"].tolist()
    assert made["snr_det"].tolist() == [place.index(name) for name in made["id_str"]]
    assert set(listed(rows, catalog, quality[:0], (), 100)["verdict"]) == {""}


def test_a_measure_nobody_knows_is_best_at_its_median() -> None:
    table = Table({"star_colour": [0.0, 1.0, 5.0, np.nan]})
    table["star_colour"].info.description = "told by its column"
    measure = measure_of(table["star_colour"])
    assert (measure.words, measure.said, measure.low, measure.high) == ("star colour", "told by its column", 1.0, 1.0)


def test_the_surveys_own_limits_come_before_ours() -> None:
    table = Table({"fill": [0.1], "unheard_of": [1.0]})
    assert measure_of(table["fill"])[3:5] == (0.2, 0.7)
    checks = Table(
        {"name": ["fill", "black", "x"], "warn_low": [0.3, np.nan, np.nan], "warn_high": [0.6, 0.02, np.nan]}
    )
    limits = limits_of(checks)
    assert limits == {"fill": (0.3, 0.6), "black": (-INF, 0.02)}
    assert measure_of(table["fill"], limits["fill"])[3:5] == (0.3, 0.6)
    natural = Table({"name": ["black"], "warn_low": [0.0], "fail_low": [0.0], "warn_high": [0.1], "fail_high": [0.2]})
    assert limits_of(natural) == {"black": (-INF, 0.1)}, "no share is below 0: that is no limit"
    assert check_rows(natural)[0]["limits"] == "warns above 0.1; fails above 0.2"
    assert limits_of(None) == limits_of(Table({"name": ["fill"]})) == {}


def test_checks_say_their_limits_and_shares() -> None:
    row = {"name": ["sky_median"], "scope": ["image"], "says": ["level"], "verdict": ["warn"], "median": [21.5]}
    row |= {"warn_low": [10.0], "warn_high": [40.0], "fail_low": [np.nan], "fail_high": [60.0], "value": [np.nan]}
    one = check_rows(Table(row | {"n_pass": [6], "n_warn": [1], "n_fail": [1], "n_unknown": [2]}))[0]
    assert (one["name"], one["share"], one["value"], one["survey"]) == ("sky level", 0.75, "21.5", False)
    assert one["limits"] == "warns below 10 or above 40; fails above 60"
    nothing = check_rows(Table({"name": ["odd_one"]}))[0]
    assert (nothing["name"], nothing["share"], nothing["limits"]) == ("odd one", None, "")


def test_no_rows_fill_no_sheet(galaxies: Table) -> None:
    none = galaxies[:0]
    assert [choose(sheet, none, MEASURES, 8) for sheet in sheets_of(none, MEASURES)] == [[]] * 8


def picture(side: int, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), (200, 30, 30), dtype=np.uint8)).save(out, format=form)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_thumbnail_is_a_small_jpeg_of_the_same_colour(form: str) -> None:
    coded = thumbnail(picture(424, form))
    with Image.open(io.BytesIO(base64.b64decode(coded))) as small:
        assert (small.format, small.size) == ("JPEG", (132, 132))
        pixel = np.asarray(small)[80, 80].astype(int)
    assert np.abs(pixel - (200, 30, 30)).max() < 12
    assert len(coded) < 8_000


@pytest.mark.parametrize(
    ("panels", "box"),
    [
        ("rgb=0,0,64,64 F115W=68,0,132,64", (0, 0, 64, 64)),
        ("F115W=0,0,64,64 rgb=68,0,132,64", (68, 0, 132, 64)),
        ("", None),
        ("xrgb=0,0,1,1", None),
        ("rgb=5,0,5,9", None),
        ("rgb=a,0,5,9", None),
    ],
)
def test_the_colour_picture_of_a_grid_has_a_box(panels: str, box: tuple[int, ...] | None) -> None:
    assert rgb_box(panels) == box


def test_a_small_copy_of_a_grid_is_of_the_colour_picture_alone() -> None:
    sheet = np.full((132, 132, 3), 128, dtype=np.uint8)
    sheet[:64, 68:] = (200, 30, 30)
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, format="PNG")
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(out.getvalue(), box=(68, 0, 132, 64))))) as small:
        assert small.size == (64, 64)
        assert np.abs(np.asarray(small).astype(int) - (200, 30, 30)).max() < 12
    assert thumbnail(out.getvalue(), box=(68, 0, 133, 64)) == thumbnail(out.getvalue()), "not a box of this image"


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        thumbnail(b"not an image")
    with pytest.raises(ImageError):
        thumbnail(picture(424)[:400])
