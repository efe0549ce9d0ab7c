"""The mosaic cache as a run uses it: smaller than the survey, of rows only, by two runs at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.storage.tables import read_parquet
from tests.flows.survey import Ended, World, tree


@pytest.fixture
def own(world: World, tmp_path: Path) -> World:
    """The session's archives and server, with a cache that nobody else uses."""
    return World(world.home, tmp_path / "cache", world.settings)


def log_of(world: World) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = requests.get(f"{world.settings['GZJWST_MAST_URL']}/_log", timeout=10).json()
    return entries


def test_a_cache_smaller_than_the_survey_makes_the_same_survey(
    small: Ended, small_profile: Path, world: World, own: World, tmp_path: Path
) -> None:
    """Mosaics make way and come again."""
    shutil.copytree(world.cache / "mosaics", own.cache / "mosaics")  # all six, which are too many
    cache = MosaicCache(own.cache)
    budget = 0.75 * cache.usage()
    ended = own.run(str(small_profile), "--cache-gb", f"{budget / 1e9:.6f}", out=tmp_path, survey="small")
    assert ended.code == 0, ended.said
    assert tree(ended.folder) == tree(small.folder)
    assert cache.usage() <= budget
    assert 0 < len(cache.entries()) < 6
    assert [path for path in own.cache.rglob("*") if path.suffix in {".part", ".body"}] == []
    read = [one["bytes_read"] for one in ended.record["stages"] if one["stage"] in {"catalog", "cutouts", "fetch"}]
    assert sum(filter(None, read)) > 0


def test_two_runs_at_once_fetch_each_mosaic_once(small: Ended, small_profile: Path, own: World, tmp_path: Path) -> None:
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        out.mkdir()
    before = len(log_of(own))
    with ThreadPoolExecutor(2) as pool:
        ends = list(
            pool.map(lambda out: own.run(str(small_profile), "--until", "catalog", out=out, survey="small"), outs)
        )
    assert [ended.code for ended in ends] == [0, 0], ends
    whole = [
        one for one in log_of(own)[before:] if one["method"] == "GET" and one["route"] in {"download", "s3_object"}
    ]
    assert len(whole) == len({one["path"] for one in whole}) > 0
    made = tree(small.folder)
    for ended in ends:
        fields = {name: digest for name, digest in tree(ended.folder).items() if name.startswith("catalog/fields/")}
        assert fields
        assert all(made[name] == digest for name, digest in fields.items())


def test_targets_of_a_table_are_cut_out_without_a_selection_and_read_rows_alone(
    small: Ended, small_profile: Path, own: World, tmp_path: Path
) -> None:
    """Every row of the table is accounted for: cut out, on no field, or no position at all."""
    catalog = read_parquet(small.folder / "catalog" / "catalog.parquet")
    bright = catalog[catalog["is_primary"] & (catalog["field"] == "jw09801-o001_t001")]
    bright.sort("mag_ref")
    rows = [f"mine-{n},{row['ra']:.7f},{row['dec']:.7f},2.0" for n, row in enumerate(bright[:2])]
    rows += ["far,10.0,-45.0,2.0", "nowhere,nan,0,2.0"]
    (tmp_path / "mine.csv").write_text("\n".join(["name,RA,DEC,fov_arcsec", *rows]) + "\n")
    before = len(log_of(own))
    arguments = (str(small_profile), "--catalog", str(tmp_path / "mine.csv"))
    ended = own.run(*arguments, out=tmp_path, survey="small")
    assert ended.code == 0, ended.said
    assert len(list(ended.folder.glob("cutouts/*/*.fits"))) == 2
    made = read_parquet(ended.folder / "catalog" / "catalog.parquet")
    assert set(made["ext_id"][made["is_primary"]]) == {"mine-0", "mine-1"}
    lost = {"skipped:bad_position": 1, "skipped:outside_fields": 1}
    assert ended.record["sums"]["targets"] == {"total": 4, "written": 2, **lost}
    assert len(read_parquet(ended.folder / "zoobot" / "catalog.parquet")) == 2
    bucket = [one for one in log_of(own)[before:] if one["route"] == "s3_object" and one["method"] == "GET"]
    assert bucket
    assert all(one["range"] for one in bucket)
    mosaics = read_parquet(ended.folder / "catalog" / "mosaics.parquet")
    assert {bool(row["verified"]) for row in mosaics if row["uri"].startswith("s3:")} == {False}
    assert {bool(row["verified"]) for row in mosaics if row["uri"].endswith(".gz")} == {True}
    assert set(mosaics["field"]) == {"jw09801-o001_t001"}
    held = {entry.uri: entry.checked for entry in MosaicCache(own.cache).entries()}
    assert {checked for uri, checked in held.items() if uri.startswith("s3:") and uri.endswith(".fits")} == {"rows"}
    again = own.run(*arguments, "--offline", out=tmp_path, survey="small")
    assert again.code == 0, again.said
    assert "no byte fetched" in again.said
