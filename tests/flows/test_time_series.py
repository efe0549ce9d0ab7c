"""The time-series flow as a person runs it: one damaged segment, a second run, a mend, mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.clean_timeseries import clean_timeseries
from flows.common.command_line import main
from gzjwst_core.cli import main as verbs
from gzjwst_core.timeseries.pipeline import TIME_SERIES
from gzjwst_core.timeseries.synthetic import make_series, write_segments
from tests.flows.survey import ROOT, bare_environment

SCRIPT = ROOT / "flows" / "clean_timeseries.py"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_segments(make_series((30, 8, 16), ray_share=5e-3).values, tmp_path, 3)


def test_a_damaged_segment_is_named_and_the_others_are_done(
    paths: list[Path], prefect_url: str, tmp_path: Path
) -> None:
    """The next run, with the segment mended, cleans the whole series; the one after redoes nothing."""
    environment = bare_environment(tmp_path / "home") | {"PREFECT_API_URL": prefect_url}
    profile, out = tmp_path / "wasp.toml", tmp_path / "out" / "wasp-39"
    profile.write_text('[timeseries]\nname = "wasp-39"\nfiles = ["*_rateints.fits"]\n')
    command = [sys.executable, str(SCRIPT), str(profile), "--out", str(out.parent), "--json"]

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)

    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    ended = run()
    assert ended.returncode == 4, ended.stderr
    assert f"{paths[1].name} (corrupt)" in ended.stderr
    assert sorted(path.name for path in out.rglob("*_rateints.fits")) == [paths[0].name, paths[2].name]
    assert paths[1].name in (out / "report.html").read_text()
    paths[1].write_bytes(whole)
    mended = run()
    assert mended.returncode == 0, mended.stderr
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    assert len(made) == 4
    again = run()
    assert "1 of 1 stood already" in again.stderr
    assert made == {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    assert json.loads(again.stdout)["sums"]["integrations"]["total"] == 30


def test_files_alone_do(paths: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(path) for path in paths]
    assert main(TIME_SERIES, clean_timeseries, [*given, "--out", str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    (unit,) = json.loads(capsys.readouterr().out)["units"]
    assert unit == {"stage": "clean", "unit": "jw09999001001_04101_00001_nrs1", "state": "to do"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give the segments of a time series"),
        (["nothing.fits"], "no file fits"),
        (["nothing"], "is no shipped profile"),
        (["{file}", "--set", "clean.clap=3"], "clean.clap: unknown key; did you mean 'clip'?"),
        (["{file}", "--set", "clean.window=2"], "clean.window: "),
    ],
)
def test_mistakes_are_errors_of_usage(
    arguments: list[str], said: str, paths: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(TIME_SERIES, clean_timeseries, [one.format(file=paths[0]) for one in arguments]) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_profiles_of_both_kinds_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "series.toml"
    profile.write_text('[timeseries]\nname = "wasp-39"\n')
    assert verbs(["profile", "check", str(profile), "demo"]) == 0
    assert "wasp-39" in capsys.readouterr().out
    profile.write_text('[series]\nname = "wasp-39"\n')
    assert verbs(["profile", "check", str(profile)]) == 2
    assert "[survey], [timeseries]" in capsys.readouterr().err
