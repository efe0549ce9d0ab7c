"""A pipeline of sixty lines has what the survey has: command line, dry run, receipts, resume, record, deployment."""

import ast
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from deployments.register import deployment
from flows.common.command_line import main
from tests.flows.destripe_files import PIPELINE, destripe_files
from tests.flows.survey import bare_environment

SCRIPT = Path(__file__).with_name("destripe_files.py")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    for number in range(3):
        fits.writeto(tmp_path / f"image{number}.fits", np.arange(12.0, dtype=np.float32).reshape(3, 4) + number)
    path = tmp_path / "stripes.toml"
    path.write_text('[destripe]\nname = "stripes"\nfiles = "image*.fits"\n')
    return path


def test_it_has_at_most_sixty_lines() -> None:
    """Not counted: imports, blank lines, and what every script begins with."""
    statements = [one for one in ast.parse(SCRIPT.read_text()).body if not isinstance(one, ast.Import | ast.ImportFrom)]
    text, begun = SCRIPT.read_text().splitlines(), [one for one in statements if not isinstance(one, ast.Expr)]
    code = [line for one in begun for line in text[one.lineno - 1 : one.end_lineno] if line.strip()]
    assert len(code) <= 60


def test_help(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(PIPELINE, destripe_files, [str(profile), "--help"])
    said = capsys.readouterr().out
    for option in (
        "PROFILE",
        "--out URL",
        "--dry-run",
        "--set KEY=VALUE",
        "Folder or fsspec URL",
        "exit codes: 0 done",
    ):
        assert option in said


def test_a_dry_run_tells_what_is_to_do_and_writes_nothing(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = profile.parent / "out"
    assert main(PIPELINE, destripe_files, [str(profile), "--out", str(out), "--dry-run", "--json"]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)["units"]] == ["to do"] * 3
    assert not out.exists()


def test_a_mistake_names_the_key_and_what_is_allowed(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PIPELINE, destripe_files, [str(profile), "--set", "destripe.axes=1"]) == 2
    said = "destripe.axes: unknown key; did you mean 'axis'? (allowed: axis, files, name)"
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_kill_failure_mend_and_a_run_with_nothing_to_do(profile: Path, prefect_url: str, tmp_path: Path) -> None:
    """A killed run is gone on with; exit code 4 names the file that failed; the next run does that one alone."""
    out, environment = tmp_path / "out" / "stripes", bare_environment(tmp_path / "home")
    command = [sys.executable, str(SCRIPT), str(profile), "--out", str(out.parent), "--workers", "1", "--json"]

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)

    environment["PREFECT_API_URL"] = prefect_url
    broken = profile.parent / "image1.fits"
    whole = broken.read_bytes()
    broken.write_bytes(b"SIMPLE")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(out.rglob("*.fits")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    ended = run()
    assert ended.returncode == 4, ended.stderr
    assert "destripe image1: " in ended.stderr
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    assert len(before) == 2
    broken.write_bytes(whole)
    mended = run()
    assert mended.returncode == 0, mended.stderr
    (stage,) = json.loads(mended.stdout)["stages"]
    assert (stage["stage"], stage["done"], stage["cached"]) == ("destripe", 1, 2)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    assert before.items() < after.items()
    assert "3 of 3 stood already" in run().stderr
    assert after == {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    assert [one["exit_code"] for one in json.loads((out / "run.json").read_bytes())["runs"]][-3:] == [4, 0, 0]
    assert np.all(np.median(fits.getdata(out / "destriped" / "image2.fits"), axis=1) == 0)


def test_it_can_be_deployed(profile: Path) -> None:
    made = deployment(PIPELINE, str(profile), "stripes")
    assert (made.name, made.entrypoint) == ("stripes", PIPELINE.entrypoint)
    assert made.parameters == {"request": {"profile": str(profile)}}
    assert made.tags == ["destripe", "stripes"]
