"""The report is one file that loads nothing, shows what it was given, and escapes it."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
from astropy.table import Table
from PIL import Image

from gzjwst_core.flag_bits import Flag
from gzjwst_core.report.facts import DepthMap, FailedImage, FileNote, Galaxies, MosaicCell, ReportFacts, Residuals
from gzjwst_core.report.galaxies import listed
from gzjwst_core.report.report import report_html
from gzjwst_core.report.sheets import thumbnail
from gzjwst_core.runs.record import CutStep, Missing, RunRecord, StageRecord
from gzjwst_core.zoobot.rows import join_rows
from tests.publish.conftest import LINK, make_catalog, make_image

EVIL = '<script>alert("x")</script>'
BANDS = ("F115W", "F444W")
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Tags, addresses and text of a page, and whether its tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text += data


def record(**changes: object) -> RunRecord:
    plain = RunRecord(
        survey="demo",
        run_id="quiet-heron",
        started="2026-02-03T21:14:07Z",
        ended="2026-02-03T22:02:41Z",
        seconds=2914.0,
        outcome="partial",
        exit_code=4,
        message="one mosaic is missing",
        asked={"bands": list(BANDS), "limit": None},
        sums={"products": {"total": 12, "kept": 4, "dropped:side_product": 8}},
        missing=(Missing(what="jw1_f444w", reason="not_found", detail="s3: 404"),),
        made={"images": 3},
        cut_flow=(CutStep(cut="mag_ref <= 25", why="bright", before=40, after=10),),
        stages=(StageRecord(stage="catalog", done=2, cached=1, seconds=30.0, peak_mb=512.0),),
        peak_mb=512.0,
        versions={"gzjwst": "0.1.0"},
    )
    return plain.replace(**changes)


def picture() -> str:
    out = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), dtype=np.uint8)).save(out, format="JPEG")
    return thumbnail(out.getvalue())


def galaxies(count: int = 3, **changes: object) -> Galaxies:
    catalog = make_catalog(count)
    rows = listed(join_rows(catalog, [make_image(catalog, n) for n in range(count)]), catalog, None, BANDS, count)
    small = {str(name): picture() for name in rows["id_str"]}
    return replace(Galaxies(rows, count, bands=BANDS, link=LINK, small=small), **changes)  # type: ignore[arg-type]


def checks() -> Table:
    return Table({"name": ["sky_chroma"], "says": ["grey sky"], "n_pass": [3], "n_warn": [1], "warn_high": [4.0]})


def whole() -> ReportFacts:
    rng = np.random.default_rng(1)
    catalog = Table(
        {
            "field": np.array(["f1", "f2"])[np.arange(40) % 2],
            "is_primary": np.arange(40) > 3,
            "is_star": np.arange(40) % 9 == 0,
            "flags": np.full(40, int(Flag.EDGE), dtype="uint32"),
            "ra": 150 + rng.uniform(0, 0.1, 40),
            "dec": 2 + rng.uniform(0, 0.1, 40),
            "mag_ref": rng.uniform(20, 26, 40),
            "r50": rng.uniform(0.1, 1, 40),
            "F115W_mag_tot": rng.uniform(20, 26, 40),
        }
    )
    depth = Table({"band": ["F115W"], "depth": [28.5]}, units={"depth": "mag"})
    injected = Table({"field": ["f1"] * 2, "mag_low": [22.0, 23.0], "mag_high": [23.0, 24.0], "n_in": [9, 9]})
    injected["r50_low"], injected["r50_high"], injected["n_found"] = 0.1, 0.2, [9, 5]
    return ReportFacts(
        record=record(),
        title="Demo survey",
        bands=BANDS,
        mosaics=(
            MosaicCell("f1", "F115W", archive="s3", size=1_400_000_000, obs_id="o1"),
            MosaicCell("f1", "F444W", "missing", obs_id="o2", reason="not_found"),
            MosaicCell("f2", "F115W", "expected", reason="not_found"),
        ),
        catalog=catalog,
        selected=np.asarray(catalog["mag_ref"]) < 25,
        area_arcmin2=20.0,
        depth=depth,
        depth_maps=(DepthMap("f1", np.full((4, 4), 28.5, dtype=np.float32)),),
        completeness=injected,
        purity=Table({"field": ["f1"] * 2, "mag_low": [22.0, 23.0], "mag_high": [23.0, 24.0], "purity": [1.0, 0.9]}),
        catalog_completeness=np.full(40, 0.8),
        residuals=(Residuals("f1 and f2", rng.normal(0, 9, 5), rng.normal(0, 9, 5)),),
        astrometry=Table({"field": ["f2"], "dra": [1.25]}, units={"dra": "mas"}),
        image_measures=Table({"fill": [0.2, 0.4, np.nan], "verdict": ["a", "b", "c"]}),
        image_checks=checks(),
        failed_images=(FailedImage("demo_J7+1", "images/f1/x.jpg", "too black"),),
        galaxies=galaxies(),
        limits=Table({"field": ["f1"], "mag_50": [27.25]}),
        overlap=Table(
            {"field": ["f1"], "other": ["f2"], "mag_low": [22.0], "mag_high": [23.0], "n": [4], "n_found": [3]}
        ),
        files=(FileNote("catalog/catalog.parquet", "the survey catalog", 40, 1000),),
        cite=("Someone et al. 2026", "https://doi.org/10.1/x"),
        earlier=(record(outcome="done"),),
    )


def test_a_whole_report_shows_every_section_and_is_well_formed() -> None:
    html = report_html(whole())
    page = Page(html)
    assert page.open == []
    for shown in (
        "Demo survey",
        "Done in part",
        "one mosaic is missing",
        "1.4 GB",
        "missing",
        "not found",
        "as expected",
        "dropped: side product",
        "jw1_f444w",
        "s3: 404",
        "All 3 images are listed",
        "Brightest",
        "75.0 %",
        "sky colour",
        "warns above 4",
        "too black",
        "Found again where fields overlap",
        "27.25",
        "mag_ref <= 25",
        "EDGE",
        "28.5",
        "48 min",
        "512 MB",
        "2 made, 1 stood",
        "the survey catalog",
        "Someone et al. 2026",
        "Earlier runs",
        "Number counts",
        "Completeness by size",
        "Number counts, corrected",
        "Purity",
        "Astrometry between fields",
        "Astrometric offsets",
        "Depth of the detection image",
    ):
        assert shown in page.text, shown
    assert page.text.count("does not add up") == 0
    anchors = {
        str(a["href"])[1:].partition("?")[0] for tag, a in page.tags if tag == "a" and str(a["href"]).startswith("#")
    }
    assert anchors <= {str(a.get("id")) for _, a in page.tags}


def test_it_loads_nothing() -> None:
    html = report_html(whole())
    page = Page(html)
    for tag, given in page.tags:
        assert tag not in {"iframe", "object", "embed", "base"}
        if tag in {"img", "script", "link"}:
            address = given.get("src") or given.get("href") or "data:"
            assert address.startswith("data:"), (tag, address[:60])
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html)


def test_the_random_sheet_needs_no_script() -> None:
    page = Page(report_html(whole()))
    links = [given for tag, given in page.tags if tag == "a" and "data-row" in given]
    rows = galaxies().rows
    assert [unquote(str(link["href"])) for link in links] == rows["image"].tolist()
    small = [given for tag, given in page.tags if tag == "img" and given.get("alt") in rows["id_str"]]
    assert len(small) == 3
    assert all(str(given["src"]).startswith("data:image/jpeg;base64,") for given in small)


def test_without_images_there_are_no_galaxies_and_no_script() -> None:
    html = report_html(replace(whole(), galaxies=None))
    assert "<script" not in html
    assert 'href="#images"' not in html


def test_an_empty_selection_says_which_cut_left_none() -> None:
    flow = (CutStep(cut="mag_ref <= 25", before=4000, after=10), CutStep(cut=f"r50 > 9 {EVIL}", before=10, after=0))
    none = replace(whole(), galaxies=None, selected=np.zeros(40, dtype=bool), image_measures=None, failed_images=())
    none = replace(
        none, image_checks=Table({"name": ["fill", "stars"], "scope": ["image", "survey"], "n_pass": [0, 3]})
    )
    page = Page(report_html(replace(none, record=record(cut_flow=flow))))
    assert f"No galaxy is selected: the cut r50 > 9 {EVIL} leaves none of 10 rows." in page.text
    assert "Image checks" not in page.text
    assert ("a", {"href": "#images"}) in page.tags
    nothing = report_html(replace(none, record=record(cut_flow=())))
    assert "No galaxy is selected: the catalog has no source" in nothing
    assert "No galaxy is selected" not in report_html(replace(whole(), galaxies=None)), "they are just not listed"


def test_a_part_of_the_survey_is_said_to_be_one() -> None:
    assert "A random 3 of 9 images" in " ".join(
        Page(report_html(replace(whole(), galaxies=galaxies(total=9)))).text.split()
    )


def test_the_galaxies_can_be_read_back() -> None:
    html = report_html(whole())
    text = re.search(r'<script type="application/json" id="galaxy-data">(.*?)</script>', html, re.DOTALL)
    assert text is not None
    data = json.loads(text[1])
    assert data["count"] == 3
    assert {"id_str", "image", "ra", "mag_ref", "flags"} <= set(data["columns"])


def test_the_least_there_is_makes_a_report_too() -> None:
    least = RunRecord(survey="demo", run_id="r", started="", ended="", seconds=0.0, outcome="failed", exit_code=1)
    page = Page(report_html(ReportFacts(record=least)))
    assert page.open == []
    assert "Failed" in page.text
    assert "The catalog" not in page.text


def test_an_empty_catalog_makes_a_report_too() -> None:
    facts = whole()
    assert facts.catalog is not None
    empty = ReportFacts(record=facts.record, catalog=facts.catalog[:0], selected=np.zeros(0, dtype=bool), bands=BANDS)
    assert "sky objects" in Page(report_html(empty)).text


def test_only_failed_images_that_are_listed_link_to_the_explorer() -> None:
    """Beyond `publish.report_galaxies` there is the file."""
    shown = galaxies()
    failed = tuple(FailedImage(name, "images/x.jpg", "black") for name in (str(shown.rows["id_str"][0]), "demo_J9+1"))
    page = report_html(ReportFacts(record=record(), galaxies=shown, failed_images=failed))
    assert page.count('href="#images?id=') == 1
    assert page.count('href="images/x.jpg"') == 2
    assert "<code>demo_J9+1</code>" in page


def test_a_sum_that_does_not_hold_is_shown() -> None:
    broken = record(sums={"mosaics": {"total": 5, "located": 3}})
    assert "does not add up" in Page(report_html(ReportFacts(record=broken))).text


def evil_galaxies() -> Galaxies:
    rows = galaxies().rows
    for name in ("id_str", "field", "ext_id", "image", "cutout", "strip", "strip_bands", "filters_rgb", "recipe"):
        rows[name] = [f"{EVIL}{n}<!--\u2028" for n in range(3)]
    rows["image"] = [f"javascript:{EVIL}{n}" for n in range(3)]
    small = {str(name): picture() for name in rows["id_str"]}
    return Galaxies(rows, 3, bands=(EVIL, *BANDS), link=f"javascript:{EVIL}", small=small)


def test_everything_from_outside_is_escaped() -> None:
    evil = record(
        message=EVIL,
        asked={EVIL: EVIL},
        sums={EVIL: {"total": 1, EVIL: 1}},
        missing=(Missing(what=EVIL, reason=EVIL, detail=EVIL),),
        cut_flow=(CutStep(cut=EVIL, why=EVIL, before=1, after=1),),
        stages=(StageRecord(stage=EVIL),),
        versions={EVIL: EVIL},
        host={EVIL: EVIL},
        digests={EVIL: EVIL},
    )
    catalog = whole().catalog
    assert catalog is not None
    catalog["field"] = [EVIL] * len(catalog)
    facts = ReportFacts(
        record=evil,
        title=EVIL,
        bands=(EVIL, *BANDS),
        mosaics=(
            MosaicCell(EVIL, EVIL, "failed", EVIL, 1, EVIL, EVIL, EVIL),
            MosaicCell("f", "F115W", "located", EVIL, 1, EVIL),
        ),
        catalog=catalog,
        depth=Table({EVIL: [EVIL]}),
        image_measures=Table({EVIL: [1.0]}),
        image_checks=Table({"name": [EVIL], "says": [EVIL], "scope": [EVIL], "verdict": [EVIL], "n_fail": [1]}),
        failed_images=(FailedImage(EVIL, f"javascript:{EVIL}", EVIL),),
        galaxies=evil_galaxies(),
        limits=Table({EVIL: [EVIL]}),
        overlap=None,
        files=(FileNote(EVIL, EVIL),),
        cite=(EVIL, f"https://{EVIL}", "javascript:alert(1)"),
        earlier=(evil,),
    )
    html = report_html(facts)
    page = Page(html)
    assert html.count("<script>") == 1  # ours
    assert html.count("<script") == html.count("</script>") == 2  # and its data
    assert html.count("alert(") > 20
    assert not any(str(given.get("href", "")).startswith("javascript:") for _, given in page.tags)


def test_the_same_facts_give_the_same_page() -> None:
    assert report_html(whole()) == report_html(whole())


def test_it_stays_small_with_many_fields_and_missing_mosaics() -> None:
    cells = tuple(MosaicCell(f"field{n}", band, archive="s3") for n in range(150) for band in BANDS)
    many = record(missing=tuple(Missing(what=f"m{n}", reason="not_found") for n in range(500)))
    html = report_html(ReportFacts(record=many, bands=BANDS, mosaics=cells))
    assert len(html) < 400_000
    assert "and 300 more" in html
