"""The verdicts as a stage: every image is judged, what fails is listed and left out, controls are handed to nobody."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gzjwst_core.images.render import render_cutout
from gzjwst_core.images.verdicts import VERDICTS as VERDICT_NAMES
from gzjwst_core.models import Field
from gzjwst_core.names import file_stem
from gzjwst_core.options import QualityOptions
from gzjwst_core.quality.choose import PAIRS, STARS
from gzjwst_core.runs.close import record_of
from gzjwst_core.runs.receipts import complete, retire
from gzjwst_core.runs.record import Missing, RunLog, sums_hold
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey import publish
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.controls import CONTROLS, Control
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.quality import CHECKS, IMAGE_CHECKS, QUALITY, check_images, plan_quality, standing_quality
from gzjwst_core.survey.report_data import facts_of, shown_rows
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.cutouts.skies import DEC, RA, Blob, make_field
from tests.images.scenes import OPTIONS, cut_bytes, flux, grids
from tests.test_stages import survey

GOOD: dict[str, float | None] = {
    "black": 0.0,
    "white": 0.0,
    "sky_median": 33.0,
    "sky_chroma": 1.0,
    "fill": 0.45,
    "coverage": 1.0,
}
MEASURES: dict[str, dict[str, float | None]] = {
    "demo_Jnorth000+02": GOOD,
    "demo_Jnorth001+02": GOOD | {"fill": 0.99, "coverage": 0.9},
    "demo_Jsouth000+02": GOOD | {"coverage": 0.9},
    "demo_Jsouth001+02": dict.fromkeys(GOOD),
    "demo_Jsouth002+02": GOOD | {"fill": None},
}
VERDICTS = {
    "demo_Jnorth000+02": ("pass", ""),
    "demo_Jnorth001+02": ("fail", "fill:above"),
    "demo_Jsouth000+02": ("warn", "coverage:below"),
    "demo_Jsouth001+02": ("fail", "unmeasured"),
    "demo_Jsouth002+02": ("pass", ""),
}


FAILED = ("north/demo_Jnorth001p02.jpg", "south/demo_Jsouth001p02.jpg")
BRIGHT = flux(1.5, 1.5, 1.5, 1.5)


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Cutouts of one sky, also as a field shows it that has one band wrong by a factor."""
    folder = tmp_path_factory.mktemp("f")

    def cut(name: str, fov: float = 2.0, **wrong: float) -> bytes:
        light = {band: value * wrong.get(band, 1) for band, value in BRIGHT.items()}
        made = make_field(
            folder / name, [Blob(0, 0, 0.2, light)], grids(0.0 if name == "as it is" else 17.0), noise=0.02
        )
        return cut_bytes(made, fov)

    return {
        "as it is": cut("as it is"),
        "wider": cut("as it is", 3.0),
        "x 1.3": cut("x 1.3", F444W=1.3),
        "x 1.5": cut("x 1.5", F444W=1.5),
    }


@pytest.fixture
def run(tmp_path: Path, pixels: dict[str, bytes]) -> SurveyRun:
    """Five images of two fields with their receipts, and controls in both fields."""
    made = start(SurveyRequest(out=str(tmp_path), overrides=("select.cuts=[{column='mag_ref',maximum=25.0}]",)))
    images = OPTIONS.model_copy(update={"size_px": 96})
    made = made.model_copy(update={"profile": made.profile.model_copy(update={"images": images})})
    fields = survey(made, {"north": [20.0] * 2, "south": [20.0] * 3})
    finish(
        made,
        Work(stage="merge", version="1", unit="survey", inputs={}, options=""),
        [CATALOG],
        {"cut_flow": []},
        selected=5,
    )
    for field in fields:
        images_of(made, field, pixels["as it is"])
        controls_of(made, field, pixels)
    return made


def finish(run: SurveyRun, work: Work, paths: list[str], notes: dict[str, Any], **counts: int) -> None:
    def make() -> Receipt:
        outputs = tuple(run.folder.output(path) for path in paths)
        return Receipt(**work.model_dump(), key=work.key, outputs=outputs, notes=notes, counts=counts)

    complete(run.folder, work, make)


def images_of(run: SurveyRun, field: Field, data: bytes) -> None:
    names, notes = [name for name in MEASURES if field.name in name], []
    for name in names:
        stem = file_stem(name)
        cutout, image = f"cutouts/{field.name}/{stem}.fits", f"images/{field.name}/{stem}.jpg"
        run.folder.write(cutout, data)
        size = run.folder.write(image, b"pixels" * 500).size
        known = {"id_str": name, "image": image, "cutout": cutout, "size_bytes": size, "fov_arcsec": 2.0}
        known |= {"pixscale_arcsec": 0.02, "coverage_min": 1.0, "filters_rgb": "", "recipe": "", "recipe_digest": ""}
        notes.append({"record": known, "measures": MEASURES[name]})
    work = Work(stage=IMAGES.name, version="1", unit=f"{field.name}-0of1", inputs={}, options="")
    finish(run, work, [note["record"]["image"] for note in notes], {"images": notes}, written=len(notes))  # type: ignore[index]


def controls_of(run: SurveyRun, field: Field, pixels: dict[str, bytes], wrong: str = "as it is") -> None:
    """A star that both fields show, and the other field's first galaxy; the south shows both as told."""
    other = "south" if field.name == "north" else "north"
    made = [control(field.name, STARS, "demo_Jstar+02"), control(field.name, PAIRS, f"demo_J{other}000+02")]
    for one in made:
        run.folder.write(one.path, pixels[wrong if field.name == "south" else "as it is"])
    work = Work(stage=CONTROLS.name, version="2", unit=field.name, inputs={"seen": wrong}, options="")
    finish(run, work, [one.path for one in made], {"controls": [one.model_dump(mode="json") for one in made]})


def control(field: str, view: str, name: str) -> Control:
    return Control(field=field, view=view, id_str=name, ra_deg=RA, dec_deg=DEC, segment_id=1, fov_arcsec=2.0)


def read(run: SurveyRun, relative: str) -> Any:
    with run.folder.reading(relative) as path:
        return read_parquet(path)


def judged(run: SurveyRun) -> dict[str, tuple[str, str]]:
    rows = read(run, QUALITY)
    return {row["id_str"]: (row["verdict"], row["reasons"]) for row in rows}


def test_every_image_has_a_verdict_and_every_check_its_sum(run: SurveyRun) -> None:
    done = check_images(run, plan_quality(run))
    assert judged(run) == VERDICTS
    parts = {name: count for name, count in done.counts.items() if not name.startswith(("survey", "controls"))}
    assert parts == {
        "total": 5, "pass": 2, "warn": 1, "fail": 2,
        "warn:coverage:below": 1, "fail:fill:above": 1, "fail:unmeasured": 1,
    }  # fmt: skip
    table, checks = read(run, QUALITY), read(run, CHECKS)
    assert str(table["size_bytes"].unit) == "byte"
    assert table["warnings"].tolist() == ["", "coverage:below", "coverage:below", "", ""]
    assert all(column.description for column in table.itercols())
    of_images = checks[checks["scope"] == "image"]
    assert np.all(sum(of_images[f"n_{part}"] for part in ("pass", "warn", "fail", "unknown")) == 5)
    coverage = of_images[of_images["name"] == "coverage"][0]
    assert (coverage["n_pass"], coverage["n_warn"], coverage["n_unknown"], coverage["verdict"]) == (2, 2, 1, "warn")


def checks_of(run: SurveyRun) -> dict[str, Any]:
    check_images(run, plan_quality(run))
    return {row["name"]: row for row in read(run, CHECKS)}


def test_controls_tell_of_the_survey(run: SurveyRun) -> None:
    checks = checks_of(run)
    star, same = checks["star_colour_sd"], checks["same_galaxy"]
    assert (star["n_pass"], star["verdict"], star["value"]) == (1, "pass", 0)  # the same pixels again
    assert (same["n_pass"], same["verdict"], same["value"]) == (2, "pass", 0)
    share = checks["fill_share"]
    assert (share["value"], share["verdict"], share["n_unknown"]) == (pytest.approx(2 / 3), "fail", 2)
    assert [share[f"n_{part}"] for part in VERDICT_NAMES] == [checks["fill"][f"n_{part}"] for part in VERDICT_NAMES]
    assert np.isnan([share[name] for name in ("p05", "median", "p95", "highest")]).all()  # its limits are of the share


@pytest.mark.parametrize(
    ("wrong", "star", "galaxy"), [("x 1.3", "warn", ("warn", "fail")), ("x 1.5", "fail", ("fail",))]
)
def test_a_band_that_is_wrong_in_one_field_is_seen(
    run: SurveyRun, pixels: dict[str, bytes], wrong: str, star: str, galaxy: tuple[str, ...]
) -> None:
    controls_of(run, Field(name="south", mosaics=()), pixels, wrong)
    checks = checks_of(run)
    assert checks["star_colour_sd"]["verdict"] == star, checks["star_colour_sd"]["value"]
    assert checks["same_galaxy"]["verdict"] in galaxy, checks["same_galaxy"]["value"]


def test_what_one_field_alone_shows_tells_nothing_and_says_so(run: SurveyRun, pixels: dict[str, bytes]) -> None:
    """A star that one field shows, a galaxy whose image is of that field by now, one that was cut anew elsewhere."""
    retire(run.folder, CONTROLS.name, lambda unit: unit == "north")
    star = control("south", STARS, "demo_Jstar+02")
    north, south = (control("south", PAIRS, f"demo_J{field}000+02") for field in ("north", "south"))
    run.folder.write(north.path, pixels["wider"])
    run.folder.write(south.path, pixels["as it is"])
    notes = {"controls": [one.model_dump(mode="json") for one in (star, north, south)]}
    work = Work(stage=CONTROLS.name, version="2", unit="south", inputs={}, options="")
    finish(run, work, [star.path, north.path, south.path], notes)
    checks = checks_of(run)
    for name, of, count in (("star_colour_sd", "star", 1), ("same_galaxy", "galaxy", 2)):
        assert (checks[name]["verdict"], checks[name]["n_unknown"]) == ("unknown", count)
        assert f"no {of} was looked at in two fields" in checks[name]["says"]


def test_a_lost_file_of_another_field_is_told_and_ends_no_hand_over(run: SurveyRun) -> None:
    run.folder.remove("cutouts/north/demo_Jnorth000p02.fits")
    done = check_images(run, plan_quality(run))
    assert (done.counts["controls"], done.counts["controls:unknown"]) == (4, 1)
    same = next(row for row in read(run, CHECKS) if row["name"] == "same_galaxy")
    assert (same["n_pass"], same["n_unknown"], same["verdict"]) == (1, 1, "pass")
    assert IMAGE_CHECKS.line([done]).endswith("; 1 of 4 controls could not be looked at")


def test_a_second_run_redoes_nothing_and_other_limits_do(run: SurveyRun) -> None:
    assert check_images(run, plan_quality(run)).fresh
    before = run.folder.read(QUALITY), run.folder.read(CHECKS)
    assert not check_images(run, plan_quality(run)).fresh
    wider = QualityOptions.model_validate_json('{"fill": {"warn": [0.2, 1], "fail": [0, 1]}}')
    other = run.model_copy(update={"profile": run.profile.model_copy(update={"quality": wider})})
    assert standing_quality(other) is None
    assert check_images(other, plan_quality(other)).counts["fail"] == 1
    check_images(run, plan_quality(run))
    unpinned = run.model_copy(update={"profile": run.profile.model_copy(update={"images": OPTIONS})})
    assert standing_quality(unpinned) is not None
    assert plan_quality(unpinned).key != plan_quality(run).key
    assert (run.folder.read(QUALITY), run.folder.read(CHECKS)) == before


def test_what_fails_is_handed_to_nobody_but_zoobot_and_sums_hold(run: SurveyRun) -> None:
    check_images(run, plan_quality(run))
    rows = shown_rows(run)
    assert {row["id_str"]: (row["verdict"], row["reasons"]) for row in rows} == VERDICTS
    done = publish.hand_over(run, publish.plan(run))
    assert {name: done.counts[name] for name in ("subjects", "left_out")} == {"subjects": 3, "left_out": 2}
    text = run.folder.read("zooniverse/manifest-0001.csv").decode()
    listed = {row["id_str"] for row in csv.DictReader(text.splitlines())}
    assert listed == {name for name, (verdict, _) in VERDICTS.items() if verdict != "fail"}
    assert "controls" not in text
    zoobot = read(run, publish.ZOOBOT)
    assert dict(zip(zoobot["id_str"], zoobot["quality"], strict=True)) == {n: v for n, (v, _) in VERDICTS.items()}
    record = record_of(SURVEY, run, RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=()))
    assert record.sums["quality"] == {"total": 5, "pass": 2, "warn": 1, "fail": 2}
    assert record.sums["subjects"] == {"total": 5, "handed_over": 3, "left_out": 2}
    assert sums_hold(record) == []


def test_a_control_that_could_not_be_cut_is_told_and_leaves_the_run_whole(
    run: SurveyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Missing(what="controls south", reason="archive", aside=True)
    log = RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=(), troubles=(trouble,))
    monkeypatch.setattr("gzjwst_core.survey.run_facts._missing", lambda _run: [])
    whole = record_of(SURVEY, run, log)
    assert (whole.outcome, whole.message, whole.missing) == ("done", "", (trouble,))
    lost = log.replace(troubles=(trouble.replace(aside=False),))
    assert record_of(SURVEY, run, lost).outcome == "partial"


def test_receipts_of_images_are_read_once_a_verb(run: SurveyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold every image's measures: a large survey's take a second each time."""
    check_images(run, plan_quality(run))
    publish.hand_over(run, publish.plan(run))
    seen: list[str] = []
    read = Folder.read

    def spied(folder: Folder, path: str) -> bytes:
        seen.extend([path] if path.startswith(f"receipts/{IMAGES.name}/") else [])
        return read(folder, path)

    def times() -> float:
        count, seen[:] = len(seen) / 2, []  # two fields
        return count

    monkeypatch.setattr(Folder, "read", spied)
    assert not check_images(run, plan_quality(run)).fresh
    assert times() == 1
    assert not publish.hand_over(run, publish.plan(run)).fresh
    assert times() == 1
    record = record_of(SURVEY, run, RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=()))
    assert times() == 1
    facts = facts_of(run, record)
    assert times() == 2  # of the verdicts, and of the rows that are shown
    assert [one.href for one in facts.failed_images] == [f"images/{name}" for name in FAILED]


def test_images_that_were_not_judged_yet_are_handed_over_as_they_are(run: SurveyRun) -> None:
    before = publish.plan(run)
    assert set(shown_rows(run)["verdict"]) == {""}
    assert publish.hand_over(run, before).counts["left_out"] == 0
    check_images(run, plan_quality(run))
    assert publish.plan(run).key != before.key


def test_measures_of_a_real_image_are_all_judged(pixels: dict[str, bytes]) -> None:
    """A measure that gets no limits would be looked at by nobody."""
    made = render_cutout("a.fits", pixels["as it is"], OPTIONS)
    assert made.facts is not None
    assert set(asdict(made.facts.measures)) <= set(QualityOptions.model_fields)
