"""Ten thousand galaxies to look through: what was asked for is shown, all of it, in its order, and nothing else."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from gzjwst_core.flag_bits import Flag
from gzjwst_core.report.explorer import measures_shown
from gzjwst_core.report.facts import Galaxies, ReportFacts
from gzjwst_core.report.galaxies import listed
from gzjwst_core.report.packing import steps_of
from gzjwst_core.report.report import report_html
from gzjwst_core.report.sheets import choose, sheets_of
from gzjwst_core.zoobot.rows import join_rows
from tests.publish.conftest import make_catalog, make_image
from tests.publish.test_report import record
from tests.tools.browser import Page, browser
from tests.tools.many_galaxies import BANDS, LINK, many_galaxies

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]

COUNT = 10_000
PAGE = 48
SHOWN = "[...document.querySelectorAll('#galaxy-grid img')].map((one) => one.alt)"
COUNTED = "Number(document.querySelector('#galaxy-count').textContent.split(' of')[0].replace(/\\D/g, ''))"
SET = """(async (values) => {
  const form = document.querySelector('#galaxy-filter');
  for (const [name, value] of Object.entries(values)) {
    form.elements[name].value = value;
    form.elements[name].dispatchEvent(new Event('input', { bubbles: true }));
  }
})"""
EVERY_PAGE = f"""(() => {{
  const all = [...{SHOWN}], next = document.querySelector('.pager [data-turn="1"]');
  while (!next.disabled && !next.closest('.pager').hidden) {{ next.click(); all.push(...{SHOWN}); }}
  return all;
}})()"""
SETTLE = "new Promise((wake) => setTimeout(wake, 400))"
DETAIL = """(async () => {
  const box = document.querySelector('#galaxy'), part = (name) => box.querySelector(`[data-part="${name}"]`);
  await new Promise((wake) => setTimeout(wake, 150));
  const facts = [...box.querySelectorAll('dt')].map((dt) => [dt.textContent, dt.nextElementSibling.textContent]);
  const strip = part('strip').querySelector('img');
  if (strip) await strip.decode();
  return {
    open: box.open, name: part('name').textContent, place: part('place').textContent, facts: Object.fromEntries(facts),
    strip: strip ? [strip.naturalWidth, decodeURIComponent(strip.src)] : null,
    bands: [...part('strip').querySelectorAll('.bands span')].map((one) => one.textContent),
    said: part('strip').textContent, flags: [...box.querySelectorAll('li b')].map((one) => one.textContent),
    links: [...part('links').querySelectorAll('a')].map((one) => one.getAttribute('href')),
    image: decodeURIComponent(part('image').src), wide: box.scrollWidth <= box.clientWidth + 1,
  };
})()"""


class Many(NamedTuple):
    """The page and what it must show."""

    file: Path
    rows: Table
    sheets: dict[str, list[str]]

    def names(self, keep: Any) -> set[str]:
        return set(self.rows["id_str"][keep].tolist())

    def values(self, name: str) -> Any:
        return steps_of(self.rows[name], 3)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Many:
    folder = tmp_path_factory.mktemp("many")
    made = many_galaxies(folder, COUNT)
    measures = measures_shown(made)
    names = made.rows["id_str"].tolist()
    sheets = {one.title: choose(one, made.rows, measures, PAGE) for one in sheets_of(made.rows, measures)}
    return Many(folder / "report.html", made.rows, {title: [names[n] for n in rows] for title, rows in sheets.items()})


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(params=(1280, 390))
def page(request: pytest.FixtureRequest, tab: Page, many: Many) -> Page:
    """The page as it opens, on a screen and on a telephone."""
    return opened(tab, many, request.param)


def opened(tab: Page, many: Many, width: int = 1280, anchor: str = "") -> Page:
    tab.call("Page.navigate", url="about:blank")
    tab.value(SETTLE)
    tab.events.clear()
    tab.open(many.file, width=width, anchor=anchor)
    return tab


def test_the_page_is_small_and_its_grid_too(page: Page, many: Many) -> None:
    assert many.file.stat().st_size < 8_000_000
    assert page.value(COUNTED) == COUNT
    assert page.value(SHOWN) == many.rows["id_str"][:PAGE].tolist()
    assert page.value("document.querySelectorAll('#galaxy-grid, #galaxy-grid *').length") < 2000
    assert page.complaints() == []
    assert page.schemes() <= {"file", "data"}


def test_only_images_near_the_window_are_asked_for(page: Page, many: Many) -> None:
    page.value(SETTLE)
    before = [url for url in page.requests() if url.endswith(".jpg")]
    page.value("document.querySelector('#galaxy-grid').scrollIntoView()")
    page.value(SETTLE)
    asked = {unquote(url).rpartition("/")[2] for url in page.requests() if url.endswith(".jpg")}
    first = {str(path).rpartition("/")[2] for path in many.rows["image"][:PAGE]}
    assert len(before) < len(asked) <= PAGE
    assert asked <= first
    assert page.complaints() == []


@pytest.mark.parametrize(
    "filters",
    [
        {"mag_min": "20", "mag_max": "20.5"},
        {"r50_min": "1.45"},
        {"mag_max": "19", "field": "east <west>"},
        {"mag_max": "19", "flag": "BLENDED"},
        {"mag_max": "19", "flag": "-BLENDED"},
        {"mag_max": "18.5", "flag": "none", "verdict": "fail"},
        {"q": "x1"},
        {"q": "MANY_J1000", "mag_min": "26", "verdict": "warn"},
    ],
    ids=str,
)
def test_a_filter_shows_exactly_what_it_says(tab: Page, many: Many, filters: dict[str, str]) -> None:
    page = opened(tab, many)
    page.value(f"{SET}({json.dumps(filters)})")
    wanted = expected(many, filters)
    found = page.value(EVERY_PAGE)
    assert 5 < len(wanted) < 2000
    assert (len(found), set(found)) == (len(wanted), wanted)
    assert page.value(COUNTED) == len(wanted)
    assert page.complaints() == []


def expected(many: Many, filters: dict[str, str]) -> set[str]:
    rows, keep = many.rows, np.ones(COUNT, dtype=bool)
    for name, column in (("mag", "mag_ref"), ("r50", "r50")):
        if {f"{name}_min", f"{name}_max"} & set(filters):
            keep &= many.values(column) >= float(filters.get(f"{name}_min", "-inf"))
            keep &= many.values(column) <= float(filters.get(f"{name}_max", "inf"))
    for name in {"field", "verdict"} & set(filters):
        keep &= np.asarray(rows[name]) == filters[name]
    flags, wanted = np.asarray(rows["flags"], dtype=int), filters.get("flag", "")
    if wanted == "none":
        keep &= flags == 0
    elif wanted:
        keep &= ((flags & int(Flag[wanted.lstrip("-")])) > 0) != wanted.startswith("-")
    if "q" in filters:
        held = [filters["q"].lower() in f"{a}\n{b}".lower() for a, b in rows["id_str", "ext_id"]]
        keep &= np.array(held)
    return many.names(keep)


@pytest.mark.parametrize("column", ["mag_ref", "r50", "fov_arcsec", "sky_median"])
def test_sorting_goes_both_ways_and_puts_the_unknown_last(tab: Page, many: Many, column: str) -> None:
    page = opened(tab, many)
    page.value(f"{SET}({json.dumps({'field': 'south', 'q': '1.'})})")
    for down in ("", "1"):
        page.value(f"{SET}({json.dumps({'sort': column, 'down': down})})")
        found = page.value(EVERY_PAGE)
        place = {name: n for n, name in enumerate(many.rows["id_str"].tolist())}
        digits = 1 if column == "sky_median" else 3
        values = steps_of(many.rows[column], digits)[[place[name] for name in found]]
        known = values[np.isfinite(values)]
        assert np.isfinite(values[: known.size]).all()
        steps = np.diff(known)
        assert (steps <= 0).all() if down else (steps >= 0).all()
        assert len(found) == len(set(found)) == page.value(COUNTED)
        page.value(f"{SET}({json.dumps({'sort': '', 'down': ''})})")


def test_each_sheet_shows_what_was_chosen_for_it(page: Page, many: Many) -> None:
    for number, (title, names) in enumerate(many.sheets.items()):
        page.value(f"document.querySelector('[data-sheet=\"{number}\"]').click()")
        assert page.value(SHOWN) == names, title
        pressed = page.value("[...document.querySelectorAll('[aria-pressed=true]')].map((one) => one.textContent)")
        assert pressed == [title]
        inside = (
            "[...document.querySelectorAll('#galaxy-grid img')].every((one) => !one.src.startsWith('data:image/gif'))"
        )
        assert page.value(inside) is True, f"{title}: every image has a small copy or its file"
    assert page.complaints() == []


def test_one_galaxy_shows_its_bands_its_row_and_the_sky(page: Page, many: Many) -> None:
    rows = many.rows
    number = next(n for n in range(PAGE) if rows["strip"][n] and rows["flags"][n] and np.isfinite(rows["mag_ref"][n]))
    row = rows[number]
    page.value(f"document.querySelectorAll('#galaxy-grid a')[{number}].click()")
    seen = page.value(DETAIL)
    assert (seen["open"], seen["name"], seen["wide"]) == (True, row["id_str"], True)
    assert seen["place"].startswith(f"{number + 1} of")
    assert seen["bands"] == list(BANDS)
    assert seen["strip"][0] > 100
    assert seen["strip"][1].endswith(str(row["strip"]))
    assert seen["image"].endswith(str(row["image"]))
    assert seen["links"][0] == LINK.format(ra=row["ra"], dec=row["dec"])
    assert [unquote(link) for link in seen["links"][1:]] == [row["cutout"], row["image"], row["strip"]]
    assert seen["flags"] == [flag.name for flag in Flag if int(row["flags"]) & int(flag)]
    facts = seen["facts"]
    assert facts["magnitude"] == f"{row['mag_ref']:.3f} mag"
    assert facts["F444W"] == f"{row['F444W_mag_tot']:.3f} ± {row['F444W_mag_tot_err']:.3f}"
    assert facts["group id"] == str(row["group_id"])
    assert facts["field"] == row["field"]
    assert facts["sky level"] == f"{row['sky_median']:.1f} of 255"
    assert len(facts) >= 30
    assert page.complaints() == []


def test_a_galaxy_without_a_strip_says_so(tab: Page, many: Many) -> None:
    number = next(n for n in range(PAGE) if not many.rows["strip"][n])
    page = opened(tab, many, anchor=f"#images?id={quote(str(many.rows['id_str'][number]))}")
    seen = page.value(DETAIL)
    assert seen["strip"] is None
    assert "No picture of the single bands" in seen["said"]
    assert page.complaints() == []


def test_keys_step_through_the_filtered_galaxies_and_close(page: Page, many: Many) -> None:
    wanted = "#images?mag_min=20&mag_max=20.3"
    page.value(f"location.hash = '{wanted}'")
    page.value(SETTLE)
    names = page.value(EVERY_PAGE)
    page.value(f"location.hash = '{wanted}'")
    page.value(SETTLE)
    page.value("document.querySelector('#galaxy-grid a').focus()")
    page.press("Enter")
    page.value("document.querySelector('#galaxy').open || document.activeElement.click()")
    seen = [page.value(DETAIL)["name"]]
    for _ in range(PAGE + 1):
        page.press("ArrowRight")
        seen.append(page.value("document.querySelector('#galaxy [data-part=name]').textContent"))
    assert seen == names[: PAGE + 2]
    page.press("ArrowLeft")
    assert page.value(DETAIL)["name"] == names[PAGE]
    assert names[PAGE] in page.value(SHOWN), "the page behind has turned with it"
    page.press("Escape")
    assert page.value("document.querySelector('#galaxy').open") is False
    page.value(SETTLE)
    assert "id=" not in page.value("location.hash")
    assert page.complaints() == []


HELD = """(async () => {
  const asked = [];
  for (const name of ['pushState', 'replaceState']) {
    const put = history[name].bind(history);
    history[name] = (...given) => { asked.push(name, given[2]); put(...given); };
  }
  document.querySelector('#galaxy-grid a').click();
  for (let n = 0; n < 60; n++) {
    document.querySelector('#galaxy').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    await new Promise((wake) => setTimeout(wake, 5));
  }
  await new Promise((wake) => setTimeout(wake, 400));
  return asked;
})()"""


def test_a_held_key_changes_the_address_once_and_again_at_its_end(tab: Page, many: Many) -> None:
    page = opened(tab, many)
    asked = page.value(HELD)
    assert asked[::2] == ["pushState", "replaceState", "replaceState"]
    assert page.value("location.hash") == asked[-1] == f"#images?page=2&id={quote(str(many.rows['id_str'][60]))}"
    assert page.complaints() == []


BOX = "document.querySelector('#galaxy').open"
PLACED = f"[{BOX}, location.hash, history.length]"


def moved(page: Page, how: str) -> Any:
    """Go back or forward as the browser's button does; a page that is left runs no script any more."""
    before = page.call("Page.getNavigationHistory")
    entry = before["entries"][before["currentIndex"] + {"back": -1, "forward": 1}[how]]
    page.call("Page.navigateToHistoryEntry", entryId=entry["id"])
    page.value(SETTLE)
    return page.value("document.querySelector('#galaxy') ? " + PLACED + " : location.href")


def step(page: Page, count: int) -> None:
    for _ in range(count):
        page.press("ArrowRight")
    page.value(SETTLE)


@pytest.mark.parametrize("anchor", ["", "#images", "#images?mag_min=20&mag_max=20.3"])
def test_back_closes_a_galaxy_and_stays_on_the_page(tab: Page, many: Many, anchor: str) -> None:
    tab.call("Page.resetNavigationHistory")  # a full history would not grow
    page = opened(tab, many, anchor=anchor)
    _, _, visits = page.value(PLACED)
    page.value("document.querySelectorAll('#galaxy-grid a')[2].click()")
    step(page, 3)
    name = page.value(DETAIL)["name"]
    is_open, shown, length = page.value(PLACED)
    assert (is_open, length) == (True, visits + 1), "opened and stepped: one visit"
    assert moved(page, "back") == [False, anchor, visits + 1]
    assert moved(page, "forward") == [True, shown, visits + 1]
    assert page.value(DETAIL)["name"] == name
    page.press("Escape")
    page.value(SETTLE)
    assert page.value(PLACED) == [False, anchor, visits + 1]
    page.value("document.querySelectorAll('#galaxy-grid a')[1].click()")
    page.value("document.querySelector('#galaxy [data-part=close]').click()")
    page.value(SETTLE)
    assert page.value(PLACED) == [False, anchor, visits + 1], "looking at galaxies does not fill the history"
    assert moved(page, "back") == "about:blank"
    assert page.complaints() == []


def test_back_leaves_the_grid_where_it_was_turned_to(tab: Page, many: Many) -> None:
    page = opened(tab, many)
    page.value(f"document.querySelectorAll('#galaxy-grid a')[{PAGE - 1}].click()")
    step(page, 2)
    assert moved(page, "back")[:2] == [False, "#images?page=2"]
    assert page.value(SHOWN) == many.rows["id_str"][PAGE : 2 * PAGE].tolist()


@pytest.mark.parametrize("close", [True, False])
def test_an_address_of_one_galaxy_does_not_hold_a_person(tab: Page, many: Many, close: bool) -> None:
    name = str(many.rows["id_str"][3])
    page = opened(tab, many, anchor=f"#images?id={quote(name)}")
    assert page.value(DETAIL)["name"] == name
    step(page, 1)
    if close:
        page.press("Escape")
        page.value(SETTLE)
        assert page.value(PLACED)[:2] == [False, "#images"]
    assert moved(page, "back") == "about:blank"


def test_back_from_a_link_to_a_galaxy_closes_it(tab: Page, many: Many) -> None:
    page = opened(tab, many)
    page.value("document.querySelector('#measures a[href^=\"#images?id=\"]').click()")
    page.value(SETTLE)
    assert page.value(BOX) is True
    assert moved(page, "back")[:2] == [False, ""]


def test_an_address_restores_the_view(page: Page, many: Many) -> None:
    page.value(f"{SET}({json.dumps({'mag_min': '22', 'field': 'east <west>', 'sort': 'r50', 'down': '1'})})")
    page.value("document.querySelector('.pager [data-turn=\"1\"]').click()")
    page.value(SETTLE)
    shown, anchor = page.value(SHOWN), page.value("location.hash")
    width = page.value("innerWidth")
    again = opened(page, many, width, anchor)
    assert again.value(SHOWN) == shown
    assert again.value("document.querySelector('#galaxy-filter').elements.field.value") == "east <west>"
    again.value("document.querySelectorAll('#galaxy-grid a')[3].click()")
    again.value(SETTLE)
    with_galaxy = again.value("location.hash")
    assert opened(page, many, width, with_galaxy).value(DETAIL)["name"] == shown[3]
    hostile = quote('"><img src=x onerror=alert(1)>')
    assert opened(page, many, width, f"#images?id={hostile}&field={hostile}&sort={hostile}").value(SHOWN) == []
    assert page.complaints() == []


def test_a_page_alone_still_shows_pictures(tab: Page, many: Many, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(many.file.read_bytes())
    page = opened(tab, Many(alone, many.rows, many.sheets), anchor="#images?sort=mag_ref")
    page.value(SETTLE)
    widths = page.value("[...document.querySelectorAll('#galaxy-grid img')].map((one) => one.naturalWidth)")
    assert len(widths) == PAGE
    assert min(widths) > 50
    page.value("document.querySelector('#galaxy-grid a').click()")
    page.value(SETTLE)
    assert page.value("document.querySelector('[data-part=missing]').hidden") is False


def test_without_scripts_the_random_sheet_is_there(tab: Page, many: Many) -> None:
    tab.call("Page.navigate", url="about:blank")
    tab.value(SETTLE)
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(many.file, width=390)
        assert tab.value(SHOWN) == many.rows["id_str"][:PAGE].tolist()
        assert tab.value("getComputedStyle(document.querySelector('#galaxy-filter')).display") == "none"
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("what", ["grid", "galaxy"])
def test_a_screenshot_shows_pictures(page: Page, what: str) -> None:
    page.value("document.querySelector('#galaxy-grid').scrollIntoView()")
    if what == "galaxy":
        page.value("document.querySelector('#galaxy-grid a').click()")
    page.value(SETTLE)
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    coloured = np.ptp(pixels, axis=2) > 30
    assert 0.02 < coloured.mean() < 0.8
    assert pixels.std() > 20


OVERFLOW = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_nothing_runs_out_of_the_window(page: Page) -> None:
    assert page.value(OVERFLOW) is True
    page.value("document.querySelector('#galaxy-filter details').open = true")
    page.value("document.querySelector('#galaxy-grid a').click()")
    assert page.value(OVERFLOW) is True
    assert page.value(DETAIL)["wide"] is True


COLOUR, GREY = (200, 40, 30), 128
FRAME = """((name) => {
  const { left, top, width, height } = document.querySelector(name).getBoundingClientRect();
  return [left, top, width, height].map(Math.round);
})"""


def panels_page(folder: Path, *, strip: bool) -> Path:
    """Images that are grids: red for the colour, two grey bands, and a third band's place without a box."""
    sheet = np.full((132, 132, 3), GREY, dtype=np.uint8)
    sheet[:64, :64] = COLOUR
    catalog = make_catalog(4)
    boxes = "rgb=0,0,64,64 F115W=68,0,132,64 F444W=0,68,64,132"
    records = [make_image(catalog, n).replace(panels=boxes, strip="strip.png" if strip else "") for n in range(4)]
    for name in [one.image for one in records] + ["strip.png"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(folder / name, format="PNG")
    made = Galaxies(listed(join_rows(catalog, records), catalog, None, BANDS, 4), 4, bands=BANDS, link=LINK)
    (folder / "report.html").write_text(report_html(ReportFacts(record=record(), galaxies=made)))
    return folder / "report.html"


def seen_in(page: Page, name: str) -> Any:
    """What the middle 90 % of a part of the page looks like: mean colour, and how much it varies."""
    left, top, width, height = page.value(f"{FRAME}({json.dumps(name)})")
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    inside = pixels[top + height // 20 : top + height - height // 20, left + width // 20 : left + width - width // 20]
    return inside.reshape(-1, 3).mean(axis=0), int(inside.reshape(-1, 3).std(axis=0).max()), width, height


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("strip", [True, False])
def test_of_a_grid_of_panels_the_colour_is_shown(tab: Page, tmp_path: Path, width: int, strip: bool) -> None:
    tab.open(panels_page(tmp_path, strip=strip), width=width)
    tab.value("document.querySelector('#galaxy-grid').scrollIntoView({ block: 'center', behavior: 'instant' })")
    tab.value(SETTLE)
    colour, spread, across, high = seen_in(tab, "#galaxy-grid .frame")
    assert np.abs(colour - COLOUR).max() < 3
    assert spread < 3
    assert abs(across - high) <= 1
    tab.value("document.querySelector('#galaxy-grid a').click()")
    tab.value(SETTLE)
    colour, spread, across, high = seen_in(tab, "#galaxy .frame")
    assert np.abs(colour - COLOUR).max() < 3
    assert spread < 3
    assert abs(across - high) <= 1
    assert across > 300
    bands = tab.value(DETAIL)["bands"]
    assert bands == ([] if strip else ["F115W", "F444W"])
    if not strip:
        colour, spread, *_ = seen_in(tab, "#galaxy .bands .frame")
        assert np.abs(colour - GREY).max() < 3
        assert spread < 3
    assert tab.value(OVERFLOW) is True


def test_a_panel_that_the_file_does_not_hold_hides_nothing(tab: Page, tmp_path: Path) -> None:
    file = panels_page(tmp_path, strip=True)
    for image in (tmp_path / "images").rglob("*.jpg"):
        Image.new("RGB", (40, 40), COLOUR).save(image, format="PNG")
    tab.open(file, width=1280, anchor="#images?id=demo_J000000.00%2B020000.0")
    tab.value(SETTLE)
    assert np.abs(seen_in(tab, "#galaxy .frame")[0] - COLOUR).max() < 3
