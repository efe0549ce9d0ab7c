"""From a request to a run, and the lock on its folder."""

import errno
import fcntl
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from gzjwst_core.errors import ProfileError, StorageError
from gzjwst_core.request import RunRequest, start
from gzjwst_core.run import locked


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunRequest]:
    monkeypatch.chdir(tmp_path)
    return lambda **options: RunRequest(**{"cache": str(tmp_path / "cache"), **options})


def test_places_are_the_same_from_every_working_directory(ask: Callable[..., RunRequest], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ra,dec\n1,2\n")
    run = start(ask(out="here", catalog="t.csv"))
    assert (run.out, run.targets) == (str(tmp_path / "here"), str(tmp_path / "t.csv"))
    assert start(ask(out="s3://bucket/x")).out == "s3://bucket/x"


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ('{column="r05",minimum=1.0}', "no column 'r05'"),
        ('{column="F444W_flux_auto",minimum=1.0}', "no column 'F444W_flux_auto'"),
        ('{column="field",minimum=1.0}', "need a number"),
    ],
)
def test_cuts_are_held_against_the_catalog_before_it_is_made(
    cut: str, said: str, ask: Callable[..., RunRequest]
) -> None:
    with pytest.raises(ProfileError, match=f"demo: select.cuts: .*{said}"):
        start(ask(overrides=(f"select.cuts=[{cut}]",), bands=("F277W",)))


@pytest.mark.parametrize(("name", "text"), [("t.csv", "a,b\n1,2\n"), ("t.txt", "ra,dec\n1,2\n"), ("t.csv", "ra,dec\n")])
def test_a_wrong_table_of_targets_is_an_error_of_usage(
    name: str, text: str, ask: Callable[..., RunRequest], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ProfileError, match=f"--catalog {name}"):
        start(ask(catalog=name))


@pytest.mark.parametrize("spelling", ["runs/", "./runs", "file://{here}/runs", "link"])
def test_one_run_at_a_time_in_a_folder_however_it_is_called(
    spelling: str, ask: Callable[..., RunRequest], tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    other = start(ask(out=spelling.format(here=tmp_path), cache=str(tmp_path / "other-cache")))
    with locked(start(ask(out="runs"))):
        with pytest.raises(StorageError, match="another run") as caught, locked(other):
            pass
        assert caught.value.reason == "busy"
    with locked(other):
        pass


def test_runs_of_other_surveys_and_folders_go_on_at_once(ask: Callable[..., RunRequest]) -> None:
    with locked(start(ask())), locked(start(ask(overrides=("survey.name=other",)))), locked(start(ask(out="b"))):
        pass


def test_where_nothing_can_be_locked_the_run_goes_on_and_says_so(
    ask: Callable[..., RunRequest], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING, "gzjwst_core"), locked(start(ask())):
        assert "cannot be locked" in caplog.text


@pytest.mark.parametrize("where", ["out", "cache"])
def test_a_place_that_cannot_be_is_named(where: str, ask: Callable[..., RunRequest], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/x: Not a directory"), locked(start(ask(**{where: "file/x"}))):
        pass
