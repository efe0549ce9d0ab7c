"""The small verbs around a run."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.cli import main
from tests.archives.caching import key_of, mosaic_of, numbers, place


def test_shipped_profiles_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "check"]) == 0
    assert "ceers: right" in capsys.readouterr().out


def test_a_wrong_profile_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("[survey]\nname = 'x'\nbnads = []\n")
    assert main(["profile", "check", str(tmp_path / "bad.toml")]) == 2
    assert "did you mean 'bands'" in capsys.readouterr().err


def test_paths_that_name_no_file_here_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(
        "[survey]\nname = 'x'\nbands = ['F277W']\n"
        "[[local]]\npath = 'none_*.fits'\n[[local]]\npath = 'odd.fits'\n"
        "[[local]]\npath = 'one.fits'\nerr = 'noise.fits'\nfield = 'f'\nband = 'F277W'\n"
        "[[local]]\npath = '{cache}/none.fits'\n"
        "[merge]\nids_from = 'ids.csv'\n[astrometry]\nreference = '$NOT_SET_1/gaia.csv'\n"
        "[psf.files]\nF277W = 'psf.fits'\n[[compare]]\nname = 'a'\npath = 'a_*.fits'\n"
    )
    for name in ("odd.fits", "one.fits"):
        (tmp_path / name).touch()
    assert main(["profile", "check", str(profile)]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{profile}: right (x)"
    told = [line.removeprefix(f"{profile}: not here: ") for line in lines]
    assert [line.split(":")[0] for line in told] == [
        *("local.0.path", "local.1.pattern", "local.2.err"),
        *("astrometry.reference", "merge.ids_from", "compare.0.path", "psf.files.F277W"),
    ]
    assert "NOT_SET_1" in told[3]


def test_every_effective_value_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "explain", "demo", "--set", "detect.threshold=2.5"]) == 0
    assert "threshold = 2.5" in capsys.readouterr().out


def test_every_key_has_a_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "explain", "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("detect.threshold: Times the filtered") for line in lines)
    assert any(line.startswith("quality.fill: Longer side of the target") for line in lines)
    assert any(line.startswith("query.keep[].reason: ") for line in lines)
    assert not [line for line in lines if line.endswith(": ")]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MosaicCache:
    """Three mosaics and a body that is on its way; the first mosaic was read."""
    monkeypatch.setenv("GZJWST_CACHE", str(tmp_path))
    monkeypatch.delenv("GZJWST_CACHE_GB", raising=False)
    cache = MosaicCache(tmp_path)
    for number in (1, 2, 3):
        place(cache, number, 2_000_000, checked="etag" if number == 1 else "gzip")
    with cache.filling(key_of(cache, 4)) as body:
        body.write_bytes(b"x" * 1_000_000)
    cache.used(key_of(cache, 1))
    return cache


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["cache", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_cache_is_shown(cache: MosaicCache, capsys: pytest.CaptureFixture[str]) -> None:
    with cache.holding({key_of(cache, 2): 1}):
        first, second, third, body, total = said(capsys, "show")
    assert re.fullmatch(r" +2\.0 MB  etag       20\d\d-\d\d-\d\d \d\d:\d\d +mast:JWST/product/jw09801-o001_\S+", first)
    assert re.fullmatch(r" +2\.0 MB  gzip       not read yet +held  mast:JWST/product/jw09801-o002_\S+", second)
    assert "held" not in third
    assert body.endswith(f"a body that is on its way ({key_of(cache, 4)})")
    assert total == f"3 mosaics, 0.01 GB in {cache.folder}"


def test_the_cache_is_shown_as_json(
    cache: MosaicCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GZJWST_CACHE_GB", "0.5")
    shown = json.loads("\n".join(said(capsys, "show", "--json")))
    assert (shown["bytes"], shown["budget_bytes"]) == (7_000_000, 500_000_000)
    assert [item["kind"] for item in shown["items"]] == ["used", "unread", "unread", "body"]
    assert said(capsys, "show")[-1].startswith("3 mosaics, 0.01 GB of 0.50 GB in ")


def test_a_wrong_budget_is_named(
    cache: MosaicCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GZJWST_CACHE_GB", "much")
    assert main(["cache", "show"]) == 2
    assert "GZJWST_CACHE_GB=much" in capsys.readouterr().err


def test_the_cache_is_cleared_but_for_what_is_held_and_what_is_not_ours(
    cache: MosaicCache, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = cache.folder / "mosaics" / "notes.txt"
    mine.write_text("mine")
    with cache.holding({key_of(cache, 2): 1}):
        lines = said(capsys, "clear")
    assert lines[0].endswith("o002_t001_nircam_clear-f277w_i2d.fits: left, since a run needs it right now")
    assert lines[1] == f"2 mosaics removed (0.01 GB) from {cache.folder}"
    assert numbers(cache) == [2]
    assert cache.usage() == 2_000_000
    assert mine.read_text() == "mine"


def test_only_what_is_old_is_cleared(cache: MosaicCache, capsys: pytest.CaptureFixture[str]) -> None:
    record = cache.put(key_of(cache, 3), mosaic_of(3)).with_name("source.json")
    then = time.time() - 5 * 86400
    os.utime(record, (then, then))
    said(capsys, "clear", "--older-than", "6")
    assert numbers(cache) == [1, 2, 3]
    said(capsys, "clear", "--older-than", "4.5")
    assert numbers(cache) == [1, 2]


def test_digests_are_forgotten_only_when_asked(
    cache: MosaicCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "on-a-volume.fits"
    file.write_bytes(b"x")
    digest = cache.digests.digest(file)
    said(capsys, "clear")
    assert cache.digests.known(file) == digest
    said(capsys, "clear", "--all")
    assert cache.digests.known(file) == ""
    assert file.exists()


@pytest.mark.parametrize("days", ["-1", "nan", "x", "inf"])
def test_strange_days_are_a_usage_error(days: str, cache: MosaicCache, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["cache", "clear", f"--older-than={days}"])
    assert caught.value.code == 2
    assert numbers(cache) == [1, 2, 3]


def test_a_cache_that_is_not_there_is_empty_and_stays_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("show", "clear"):
        assert said(capsys, action, "--cache", str(tmp_path / "none"))[0].startswith("0 mosaics")
    assert not (tmp_path / "none").exists()
