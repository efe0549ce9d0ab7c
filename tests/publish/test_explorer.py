"""What the page embeds comes back as it was: every name however hostile, every number to its decimals."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gzjwst_core.flag_bits import Flag
from gzjwst_core.report.explorer import embedded_names, explorer_data, measures_shown, random_sheet
from gzjwst_core.report.facts import Galaxies, ReportFacts
from gzjwst_core.report.galaxies import listed
from gzjwst_core.report.packing import choices, doubles, numbers, paths, script_json, texts
from gzjwst_core.report.report import report_html
from gzjwst_core.report.sheets import choose, sheets_of, thumbnail
from gzjwst_core.zoobot.rows import join_rows
from tests.publish.conftest import LINK, make_catalog, make_image
from tests.publish.test_report import record

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--",
    "a&amp;b",
    '"\\',
    "\u2028\u2029",
    "$& ${x} {stem}",
    "ünï 🌌",
    "_J+-",
)
BANDS = ("F115W", "F444W")


def unpacked(column: dict[str, Any]) -> Any:
    """As `templates/galaxies.data.js` reads it."""
    if "choices" in column:
        return [column["choices"][int(place)] for place in unpacked(column["of"])]
    if "texts" in column:
        return [column["prefix"] + text for text in column["texts"]]
    raw = np.frombuffer(
        base64.b64decode(column["data"]), dtype=f"<{'f' if column['bits'] == 64 else 'i'}{column['bits'] // 8}"
    )
    if column["bits"] == 64:
        return raw
    none = raw == -(2 ** (column["bits"] - 1))
    return np.where(none, np.nan, raw / 10 ** column["digits"])


def galaxies(count: int, *, sheet: int = 6, image: bytes = b"") -> Galaxies:
    catalog = make_catalog(count)
    for band in BANDS:
        catalog[f"{band}_mag_tot"], catalog[f"{band}_mag_tot_err"] = catalog["mag_ref"], 0.01
    rows = listed(join_rows(catalog, [make_image(catalog, n) for n in range(count)]), catalog, None, BANDS, count)
    made = Galaxies(rows, count, bands=BANDS, link=LINK, sheet=sheet)
    return replace(made, small=dict.fromkeys(embedded_names(made), thumbnail(image or noise())))


def noise() -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(20, 60, (424, 424, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(out, format="JPEG")
    return out.getvalue()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text() | st.sampled_from(HOSTILE), max_size=6))
def test_any_text_survives_the_page_and_none_ends_the_script(values: list[str]) -> None:
    page = script_json([texts(values), {value: value for value in values}])
    assert not set(page) & set("<>&\u2028\u2029")
    packed, same = json.loads(page)
    assert unpacked(packed) == values
    assert same == {value: value for value in values}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=8), st.integers(0, 5))
def test_any_number_comes_back_to_its_decimals(values: list[float], digits: int) -> None:
    found = unpacked(numbers(values, digits))
    expected = np.where(np.isfinite(values), values, np.nan)
    big = np.abs(np.nan_to_num(expected)).max(initial=0) * 10**digits >= 2**31
    if not big:
        np.testing.assert_allclose(found, expected, atol=0.5000001 * 10.0**-digits, rtol=1e-12)
    else:
        np.testing.assert_array_equal(found, np.asarray(values))


def test_numbers_take_no_more_bits_than_they_need() -> None:
    assert numbers([32.767, np.nan], 3)["bits"] == 16
    assert numbers([32.768], 3)["bits"] == 32
    assert numbers([2.2e6], 3)["bits"] == 64
    assert numbers([], 3)["data"] == ""
    assert unpacked(doubles([150.123456789], 6)).tolist() == [150.123456789]


def test_few_texts_are_kept_once() -> None:
    packed = choices(["south", "north", "south"])
    assert packed["choices"] == ["north", "south"]
    assert unpacked(packed) == ["south", "north", "south"]


def test_paths_follow_a_pattern_and_exceptions_are_kept() -> None:
    names = ["s_J1.0+2.0", "s_J1.0-3.0", "odd"]
    given_paths = ["images/f/s_J1.0p2.0.jpg", "images/g/s_J1.0m3.0.jpg", "elsewhere/x.png"]
    packed = paths(given_paths, ["f", "g", "g"], names)
    assert packed == {"like": "images/{field}/{stem}.jpg", "but": {"2": "elsewhere/x.png"}}
    assert paths(["", ""], ["f", "g"], names[:2]) == {"like": "", "but": {}}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_survey_is_embedded_whole(hostile: str) -> None:
    made = galaxies(4)
    for name in ("id_str", "field", "ext_id", "image", "filters_rgb"):
        made.rows[name] = [f"{hostile}{n}" for n in range(4)]
    page = script_json(explorer_data(replace(made, small={})))
    columns = json.loads(page)["columns"]
    for name in ("id_str", "field", "ext_id", "filters_rgb"):
        assert unpacked(columns[name]) == made.rows[name].tolist(), name
    assert "<" not in page


def test_every_column_says_what_it_is() -> None:
    data = explorer_data(galaxies(12))
    np.testing.assert_allclose(unpacked(data["columns"]["mag_ref"]), galaxies(12).rows["mag_ref"], atol=6e-4)
    assert unpacked(data["columns"]["ra"]).tolist() == galaxies(12).rows["ra"].tolist()
    assert (data["columns"]["fov_arcsec"]["words"], data["columns"]["fov_arcsec"]["unit"]) == ("field of view", "″")
    assert (data["columns"]["F444W_mag_tot"]["words"], data["columns"]["flags"]["words"]) == ("F444W", "flags")
    assert all(column["group"] == "" or column["words"] for column in data["columns"].values())
    assert [flag[1] for flag in data["flags"]] == [flag.name for flag in Flag]
    assert json.dumps(data, allow_nan=False)


def test_boxes_of_panels_are_told_where_there_are_any() -> None:
    made = galaxies(3)
    assert "panels" not in explorer_data(made)["columns"]
    boxes = ["rgb=0,0,9,9 F115W=13,0,22,9", "", "rgb=0,0,9,9"]
    made.rows["panels"] = boxes
    assert unpacked(explorer_data(made)["columns"]["panels"]) == boxes


def test_the_worst_file_is_the_largest() -> None:
    made = galaxies(4)
    made.rows["size_bytes"] = [9_000, 30_000, 2_000, 90_000]
    for limits in ({"size_bytes": (1000.0, 600_000.0)}, {"size_bytes": (1000.0, np.inf)}, {}):
        measures = measures_shown(replace(made, measures=("size_bytes",), limits=limits))
        sheet = next(one for one in sheets_of(made.rows, measures) if one.sort == "worst:size_bytes")
        assert choose(sheet, made.rows, measures, 4) == [3, 1, 0, 2]


def test_the_sky_viewers_address_is_taken_apart_or_written_out() -> None:
    data = explorer_data(galaxies(2))
    assert data["links"] == []
    assert data["link"] == [
        {"text": "https://viewer.example/?target="},
        {"of": ["ra", 6, False]},
        {"text": "%20"},
        {"of": ["dec", 6, True]},
    ]
    odd = explorer_data(replace(galaxies(2), link="https://v.example/{ra:e}"))
    assert odd["link"] is None
    assert [link.partition("example/")[2] for link in odd["links"]] == [f"{ra:e}" for ra in galaxies(2).rows["ra"]]


def test_each_small_copy_is_embedded_once() -> None:
    made = galaxies(60)
    data, static = explorer_data(made), random_sheet(made)
    assert [one["id"] for one in static] == made.rows["id_str"][:6].tolist()
    assert not set(data["thumbs"]) & {str(n) for n in range(6)}
    assert len(data["thumbs"]) + 6 == len(made.small) <= 5 * 6
    lost = str(made.rows["id_str"][2])
    without = replace(made, small={name: small for name, small in made.small.items() if name != lost})
    assert [one["row"] for one in random_sheet(without)] == [0, 1, 3, 4, 5]
    none = galaxies(60, sheet=0)
    assert (random_sheet(none), explorer_data(none)["thumbs"], explorer_data(none)["page"]) == ([], {}, 48)


def test_a_large_survey_makes_a_page_of_bounded_size() -> None:
    small, large = galaxies(100), galaxies(2100)
    sizes = [len(script_json(explorer_data(replace(one, small={})))) for one in (small, large)]
    assert (sizes[1] - sizes[0]) / 2000 < 200
    html = report_html(ReportFacts(record=record(), galaxies=large))
    assert len(html) < 700_000
