"""One small survey, run as a person runs it, for the tools that look at what it leaves."""

from pathlib import Path

import pytest

from tests.flows.survey import SMALL, Ended, World


@pytest.fixture(scope="session")
def small_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A machine that has nothing: every run serves its own sky and starts its own Prefect."""
    return World(tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("cache"), {})


@pytest.fixture(scope="session")
def small(small_profile: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """An unbroken run of the small survey. Look, do not touch."""
    ended = world.run(str(small_profile), out=tmp_path_factory.mktemp("small"), survey="small")
    assert ended.code == 0, ended.said
    return ended


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's cache: its synthetic sky and fetched mosaics."""
    return tmp_path_factory.mktemp("demo-cache")


@pytest.fixture(scope="session")
def demo(demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The demo as `make demo` runs it, on a machine that has nothing. Look, do not touch."""
    bare = World(tmp_path_factory.mktemp("prefect"), demo_cache, {})
    ended = bare.run(out=tmp_path_factory.mktemp("demo"), survey="demo")
    assert ended.code == 0, ended.said
    return ended
