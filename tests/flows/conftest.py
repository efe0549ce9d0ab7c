"""One Prefect server, one served sky and one small survey for the whole session.

Runs share them, which saves each some twenty seconds of starting up. A run on a machine that has nothing, as a person's
first one is, is among the tools' tests.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from gzjwst_core.sky.build import build_sky
from gzjwst_core.sky.serving import serving
from gzjwst_core.survey.profile import load_profile
from tests.flows.survey import SMALL, Ended, World, bare_environment


@pytest.fixture(scope="session")
def small_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server of the session's own."""
    home = tmp_path_factory.mktemp("prefect-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-services"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=bare_environment(home), stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/api/health", process)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise RuntimeError(f"no Prefect server at {url}")


@pytest.fixture(scope="session")
def sky(small_profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small survey's archives."""
    options = load_profile(small_profile).sky
    assert options is not None
    return build_sky(options, tmp_path_factory.mktemp("sky") / "small").folder


@pytest.fixture(scope="session")
def sky_environment(sky: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment in which the small survey's archives answer."""
    with serving(sky, tmp_path_factory.mktemp("serving")) as environment:
        yield {name: value for name, value in environment.items() if os.environ.get(name) != value}


@pytest.fixture(scope="session")
def world(prefect_url: str, sky_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Where runs of the small survey happen."""
    home, cache = tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("cache")
    return World(home, cache, {**sky_environment, "PREFECT_API_URL": prefect_url, "GZJWST_WORKERS": "1"})


@pytest.fixture(scope="session")
def small(small_profile: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """An unbroken run of the small survey with two workers; others have one. Look, do not touch."""
    ended = world.run(str(small_profile), "--workers", "2", out=tmp_path_factory.mktemp("small"), survey="small")
    assert ended.code == 0, ended.said
    return ended
