"""The report as a person sees it: whole, without a complaint, and fitting the screen."""

from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from gzjwst_core.storage.tables import read_parquet
from tests.flows.survey import Ended
from tests.tools.browser import Page, browser

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]

WIDTHS = (1280, 390)

OVERFLOW = """(() => {
  const wide = document.documentElement.clientWidth;
  const hides = (e) => getComputedStyle(e).overflowX !== "visible";
  const clips = (e) => e && e !== document.body && (hides(e) || clips(e.parentElement));
  const sticks = (e) => {
    const box = e.getBoundingClientRect();
    return box.width && getComputedStyle(e).visibility === "visible" && box.right > wide + 1;
  };
  const out = [...document.body.querySelectorAll("*")].filter((e) => sticks(e) && !clips(e.parentElement));
  return {
    window: innerWidth,
    page: document.documentElement.scrollWidth,
    out: out.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)),
  };
})()"""

PICTURES = """(async () => {
  const pictures = [...document.querySelectorAll(".sheet img")];
  const broken = [];
  for (const one of pictures) { one.loading = "eager"; await one.decode().catch(() => broken.push(one.alt)); }
  const shown = pictures.filter((one) => one.getBoundingClientRect().width > 40);
  return { all: pictures.length, shown: shown.length, broken, flat: shown.filter((one) => !one.naturalWidth).length };
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(params=WIDTHS)
def report(request: pytest.FixtureRequest, page: Page, small: Ended) -> Page:
    """The small survey's report, on a screen and on a telephone."""
    page.events.clear()
    page.open(small.folder / "report.html", width=request.param)
    assert page.value("innerWidth") == request.param
    return page


def test_it_opens_without_a_complaint_and_asks_nobody(report: Page) -> None:
    assert report.value("document.title") == "small · gzjwst report"
    assert report.value("document.querySelector('h1').innerText").startswith("small")
    report.value("scrollTo(0, document.body.scrollHeight)")
    assert report.complaints() == []
    assert report.schemes() <= {"file", "data"}


def test_images_are_there_to_be_seen(report: Page, small: Ended) -> None:
    images = len(list((small.folder / "images").rglob("*.jpg")))
    found = report.value(PICTURES)
    assert found["broken"] == []
    assert found["flat"] == 0
    assert 10 <= found["shown"] <= images
    assert found["all"] >= found["shown"]


def test_nothing_runs_out_of_the_window(report: Page) -> None:
    found = report.value(OVERFLOW)
    assert found["out"] == []
    assert found["page"] <= found["window"]


def test_a_click_shows_the_image_itself_and_the_next_one(report: Page, small: Ended) -> None:
    report.value("document.querySelector('.sheet a').click()")
    assert report.value("document.querySelector('dialog').open") is True
    first = report.value(_LOADED)
    report.value("document.querySelector('dialog [data-turn=\"1\"]').click()")
    second = report.value(_LOADED)
    assert first != second
    for address in (first, second):
        assert address.startswith((small.folder / "images").as_uri())
    assert report.value("document.querySelector('dialog').scrollWidth <= innerWidth") is True
    report.value("document.querySelector('dialog [data-part=close]').click()")
    assert report.value("document.querySelector('dialog').open") is False
    assert report.complaints() == []


_LOADED = """(async () => {
  const picture = document.querySelector("dialog [data-part=image]");
  for (let i = 0; i < 100 && !(picture.src.startsWith("file:") && picture.complete); i++) {
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return picture.naturalWidth ? picture.src : "nothing";
})()"""


def test_every_link_leads_somewhere(report: Page, small: Ended) -> None:
    anchors = report.value("[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash.slice(1))")
    assert len(anchors) >= 4
    assert report.value(f"{anchors}.filter((id) => !document.getElementById(id.split('?')[0]))") == []
    galaxies = [unquote(name.partition("?id=")[2]) for name in anchors if "?id=" in name]  # views of the explorer
    assert set(galaxies) <= set(read_parquet(small.folder / "zoobot" / "catalog.parquet")["id_str"])
    files = report.value("[...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))")
    inside = [unquote(name) for name in files if not name.startswith(("#", "https://"))]
    assert len(inside) >= 10
    assert [name for name in inside if not (small.folder / name).exists()] == []
