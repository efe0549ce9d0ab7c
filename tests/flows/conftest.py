"""One small survey and one demo for the whole session: what several tests look at is run once."""

from pathlib import Path

import pytest

from tests.flows.survey import SMALL, Ended, run


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Prefect's home and the cache, shared by the session's runs."""
    return tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def small_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "small.toml"
    path.write_text(SMALL.format(more=""))
    return path


@pytest.fixture(scope="session")
def small(small_profile: Path, homes: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """An unbroken run of the small survey. Look, do not touch."""
    home, cache = homes
    ended = run(str(small_profile), out=tmp_path_factory.mktemp("small"), home=home, cache=cache, survey="small")
    assert ended.code == 0, ended.said
    return ended


@pytest.fixture(scope="session")
def demo(homes: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The demo as `make demo` runs it. Look, do not touch."""
    home, cache = homes
    ended = run(out=tmp_path_factory.mktemp("demo"), home=home, cache=cache, survey="demo")
    assert ended.code == 0, ended.said
    return ended
