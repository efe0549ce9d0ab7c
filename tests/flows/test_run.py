"""A run from end to end, by its promises: whole, repeatable, resumable, and silent about nothing."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from flows.common.command_line import main
from flows.run_survey import run_survey
from gzjwst_core.runs.close import record_of
from gzjwst_core.runs.record import RunLog
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.catalog import MERGE, merge, plan_merge
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.query import listing_of, products_of
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.verify import verify
from tests.flows.survey import SCRIPT, SMALL, Ended, World, stamps, tree


@pytest.fixture
def copy(small: Ended, tmp_path: Path) -> Path:
    """A finished tree of one's own."""
    shutil.copytree(small.folder, tmp_path / "small")
    return tmp_path / "small"


def test_the_tree_is_whole(small: Ended) -> None:
    """Every file of the documented layout is there and says something."""
    files = set(tree(small.folder))
    tables = ["products.parquet", "mosaics.parquet", "catalog/catalog.parquet", "catalog/mosaics.parquet"]
    tables += ["catalog/depth.parquet", "catalog/astrometry.parquet", "images/quality.parquet", "images/checks.parquet"]
    for table in [*tables, "zoobot/catalog.parquet"]:
        assert len(read_parquet(small.folder / table)) > 0, table
    assert {"profile.toml", "catalog/catalog.fits", "catalog/overlap.parquet", "zooniverse/manifest-0001.csv"} <= files
    folders = Counter(name.partition("/")[0] for name in files - {"images/quality.parquet", "images/checks.parquet"})
    assert folders["segmaps"] == folders["depth"] == 2
    assert folders["cutouts"] == folders["images"] > 10
    assert len([name for name in files if name.startswith("zoobot/F444W/")]) == folders["images"]
    assert (small.folder / "report.html").stat().st_size > 20_000
    assert not [name for name in files if ".part" in name]


def test_nothing_is_silent(small: Ended) -> None:
    for name, parts in small.record["sums"].items():
        assert parts["total"] == sum(count for part, count in parts.items() if part != "total"), name
    products = read_parquet(small.folder / "products.parquet")
    dropped = products[products["outcome"] == "dropped"]
    assert len(dropped) > 100
    assert all(reason for reason in dropped["reason"])
    assert {"not_public", "subarray", "not_a_mosaic", "member_exposure"} <= set(dropped["reason"])
    assert small.record["cut_flow"]
    sums = small.record["sums"]
    assert sums["targets"]["total"] == small.record["cut_flow"][-1]["after"]
    assert sums["images"]["written"] == sums["quality"]["total"] == sums["subjects"]["total"]
    assert sums["quality"]["fail"] == sums["subjects"]["left_out"]


def test_an_image_that_fails_is_listed_and_shown_to_no_volunteer(small: Ended) -> None:
    judged = read_parquet(small.folder / "images" / "quality.parquet")
    failed = judged[judged["verdict"] == "fail"]
    assert len(failed) == small.record["sums"]["quality"]["fail"]
    assert all(failed["reasons"])
    manifest = (small.folder / "zooniverse" / "manifest-0001.csv").read_text()
    listed = [row["id_str"] for row in csv.DictReader(manifest.splitlines())]
    assert set(listed) == set(judged["id_str"]) - set(failed["id_str"])
    zoobot = read_parquet(small.folder / "zoobot" / "catalog.parquet")
    assert dict(zip(zoobot["id_str"], zoobot["quality"], strict=True)) == dict(
        zip(judged["id_str"], judged["verdict"], strict=True)
    )


def test_controls_are_cut_and_handed_to_nobody(small: Ended) -> None:
    """Galaxies that both fields show are cut out of the other one too; they are compared, and nothing else."""
    controls = [name for name in tree(small.folder) if name.startswith("controls/")]
    pairs = [name for name in controls if "/pairs/" in name]
    assert 0 < len(pairs) < len(controls)
    checks = read_parquet(small.folder / "images" / "checks.parquet")
    same = checks[checks["name"] == "same_galaxy"][0]
    assert same["verdict"] == "pass"
    assert same["n_pass"] + same["n_warn"] + same["n_fail"] + same["n_unknown"] == len(pairs)
    handed = (small.folder / "zooniverse" / "manifest-0001.csv").read_text()
    assert "controls" not in handed
    assert not any("controls" in path for path in read_parquet(small.folder / "zoobot" / "catalog.parquet")["file_loc"])


def test_a_person_sees_one_line_a_stage(small: Ended) -> None:
    lines = [line for line in small.said.splitlines() if line.startswith("✓ ")]
    stages = [line.split()[1] for line in lines]
    made = ["cutouts", "controls", "images", "quality", "training"]
    assert stages == ["query", "locate", "fetch", "catalog", "merge", *made, "publish", "done"]
    assert len(small.said.splitlines()) <= len(lines) + 4, small.said
    assert "Traceback" not in small.said


def test_no_product_knows_where_it_was_made(small: Ended, world: World) -> None:
    places = [str(path).encode() for path in (world.home, world.cache, small.folder.parent)]
    places += [b"127.0.0.1", b"localhost"]
    for name in tree(small.folder):
        data = (small.folder / name).read_bytes()
        assert not [place for place in places if place in data], name


def test_a_second_run_redoes_nothing_and_says_so(copy: Path, small_profile: Path, world: World) -> None:
    before = stamps(copy)
    again = world.run(str(small_profile), out=copy.parent, survey="small")
    after = stamps(copy)
    assert again.code == 0, again.said
    assert [name for name in after if after[name] != before.get(name)] == ["run.json"]
    assert "no byte fetched" in again.said
    assert "2 of 2 stood already" in again.said
    assert len(json.loads((copy / "run.json").read_text())["runs"]) == 2


@pytest.mark.tools
def test_a_lost_image_brings_just_its_chunk_back(copy: Path, small_profile: Path, world: World) -> None:
    whole = tree(copy)
    lost = next(name for name in whole if name.startswith("images/") and name.endswith(".jpg"))
    (copy / lost).unlink()
    before = stamps(copy)
    again = world.run(str(small_profile), out=copy.parent, survey="small")
    after = stamps(copy)
    assert tree(copy) == whole
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {lost, "run.json", "report.html"}, again.said
    images = next(stage for stage in again.record["stages"] if stage["stage"] == "images")
    assert images["done"] == 1
    assert images["cached"] == len(list((copy / "receipts" / "images").iterdir())) - 1 > 0


def test_a_run_makes_anew_what_it_finds_damaged(copy: Path, small_profile: Path, world: World) -> None:
    """Of the same size, so that only digests tell: what every run reads, and what a lost image lets it read."""
    whole, kept = tree(copy), stamps(copy)
    lost = next(name for name in whole if name.startswith("images/") and name.endswith(".jpg"))
    cutout = lost.replace("images/", "cutouts/").replace(".jpg", ".fits")
    (copy / lost).unlink()
    harmed = ["catalog/catalog.parquet", "products.parquet", "mosaics.parquet", "profile.toml", cutout]
    for name in harmed:
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(bytes(data))
    assert sorted(finding.path for finding in verify(Folder(str(copy))).findings) == sorted([*harmed, lost])
    again = world.run(str(small_profile), out=copy.parent, survey="small")
    assert again.code == 0, again.said
    assert "catalog.parquet: damaged" in again.said
    assert "stage cutouts makes" in again.said
    assert tree(copy) == whole
    changed = {name for name, stamp in stamps(copy).items() if stamp != kept.get(name)}
    assert not [name for name in changed if name.startswith(("segmaps", "catalog/fields", "zooniverse", "zoobot"))]


def test_names_of_an_earlier_release_are_carried_over(copy: Path, small_profile: Path, tmp_path: Path) -> None:
    """The same sky, the earlier names in a table of another kind and place; the receipt tells what became of them."""
    before = read_parquet(copy / "catalog" / "catalog.parquet")
    groups, counted = np.unique(before["group_id"], return_counts=True)
    alone = np.flatnonzero(np.isin(before["group_id"], groups[counted == 1]))[:2]  # no other field's row has them
    named = before["id_str", "ra", "dec"]
    named.remove_rows(alone)
    named["id_str"] = [f"pilot-{number}" for number in range(len(named))]
    named.write(tmp_path / "pilot.csv", format="ascii.csv")
    request = SurveyRequest(profile=str(small_profile), out=str(tmp_path), ids_from=str(tmp_path / "pilot.csv"))
    run = start(request)
    listing = listing_of(run, products_of(run))
    done = merge(run, plan_merge(run, listing))
    assert done.fresh
    assert not merge(run, plan_merge(run, listing)).fresh
    assert plan_merge(start(request.model_copy(update={"ids_from": ""})), listing).key != done.key
    after = read_parquet(copy / "catalog" / "catalog.parquet")
    assert np.delete(np.asarray(after["id_str"]), alone).tolist() == named["id_str"].tolist()
    assert all(name.startswith("small_J") for name in after["id_str"][alone].tolist())
    counts = {name: done.counts[f"names:{name}"] for name in ("carried", "new", "gone")}
    assert counts == {"carried": len(named), "new": 2, "gone": 0}
    assert MERGE.line([done]).endswith(f"names: {len(named)} carried, 2 new, 0 gone")
    record = record_of(SURVEY, run, RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=()))
    assert record.sums["names"] == {"total": len(before), **counts}


@pytest.mark.parametrize("after", ["cutouts", pytest.param("segmaps", marks=pytest.mark.tools)])
def test_a_killed_run_ends_as_an_unbroken_one(
    after: str, small: Ended, small_profile: Path, world: World, tmp_path: Path
) -> None:
    """SIGKILL as soon as a stage has begun to write; the next run makes the same bytes, with one worker."""
    command = [sys.executable, str(SCRIPT), str(small_profile), "--out", str(tmp_path), "--workers", "2"]
    process = subprocess.Popen(
        command, env=world.environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "small").glob(f"{after}/**/*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=True)
    assert process.wait() == -signal.SIGKILL
    broken = tree(tmp_path / "small")
    assert broken != tree(small.folder)
    again = world.run(str(small_profile), "--fields-in-flight", "1", out=tmp_path, survey="small")
    assert again.code == 0, again.said
    assert tree(tmp_path / "small") == tree(small.folder)


@pytest.mark.tools
def test_a_mosaic_in_no_archive_makes_a_run_partly_done(world: World, tmp_path: Path) -> None:
    bare = World(world.home, tmp_path / "cache", {"PREFECT_API_URL": world.settings["PREFECT_API_URL"]})
    profile = tmp_path / "lost.toml"
    text = SMALL.replace('name = "small"', 'name = "lost"').replace("missing = []", 'missing = ["F356W"]')
    profile.write_text(text.replace('"F277W", "F444W"]\n\n[query]', '"F277W", "F356W", "F444W"]\n\n[query]'))
    ended = bare.run(str(profile), "--until", "locate", out=tmp_path, survey="lost")
    assert ended.code == 4, ended.said
    assert "jw09801-o001_t001_nircam_clear-f356w" in ended.said
    lost = ended.record["missing"][0]
    assert (lost["what"], lost["reason"]) == ("jw09801-o001_t001_nircam_clear-f356w", "not_found")
    assert ended.record["sums"]["mosaics"]["missing:not_found"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no shipped profile"),
        (["demo", "--set", "detect.treshold=1"], "did you mean 'threshold'"),
        (["demo", "--bands", "F445W"], "not a NIRCam band"),
        (["demo", "--limit", "0"], "--limit"),
        (["demo", "--catalog", "nothing.csv"], "no such file"),
        (["demo", "--ids-from", "nothing.csv"], "--ids-from nothing.csv: no such file"),
    ],
)
def test_usage_errors_end_with_2_and_write_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(SURVEY, run_survey, [*arguments, "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]) == 2
    )
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(
    small_profile: Path,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    arguments = [str(small_profile), "--dry-run", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    assert main(SURVEY, run_survey, arguments) == 0
    assert list(tmp_path.iterdir()) == []
    words = ["datalabs", "s3", "mast", "catalog", "injection", "cutouts", "MB", "free where the output goes"]
    printed = capsys.readouterr().out
    assert [word for word in [*words, "needed at once"] if word not in printed] == []


def test_a_budget_below_one_field_is_refused(
    small_profile: Path,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    assert main(SURVEY, run_survey, [str(small_profile), "--cache-gb", "0.001", "--dry-run", *places]) == 3
    assert "a field needs" in capsys.readouterr().err
