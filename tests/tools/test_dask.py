"""The other task runner: Dask workers make the same bytes as threads."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.flows.survey import SCRIPT, Ended, World, tree
from tests.flows.test_stop import MARK, marked, read_until

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]

SPEAKING = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO"}


def test_dask_workers_make_the_same_bytes(small: Ended, small_profile: Path, world: World, tmp_path: Path) -> None:
    """From a folder and a mosaic cache of its own, away from the checkout: workers find our code by themselves."""
    elsewhere = replace(world, cache=tmp_path / "cache", settings=SPEAKING)
    shutil.copytree(world.cache / "sky", elsewhere.cache / "sky")
    out = tmp_path / "out"
    out.mkdir()
    ended = elsewhere.run(str(small_profile), "--runner", "dask", "--workers", "2", out=out, survey="small")
    assert ended.code == 0, ended.said
    assert "Creating a new Dask cluster" in ended.said
    assert tree(ended.folder) == tree(small.folder)
    assert left_in(out) == left_in(small.folder.parent), "Dask left something behind"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_stop_ends_the_workers_too(small_profile: Path, world: World, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        str(small_profile),
        "--runner",
        "dask",
        "--workers",
        "2",
        "--out",
        str(tmp_path),
    ]
    environment = {**world.environment, MARK: str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        said = read_until(run.stdout.fileno(), b"catalog", 180)
        run.send_signal(signal.SIGINT)
        said += run.communicate(timeout=20)[0]
    assert run.returncode == 130
    assert not psutil.wait_procs(marked(str(tmp_path)), 10)[1]
    assert said.endswith(b"run it again to go on\n"), said
