"""`colour pin` and `colour unpin`: a person decides, but not by accident over what volunteers have seen."""

from pathlib import Path

import pytest

from gzjwst_core.cli import main
from gzjwst_core.options import ImageOptions
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey.publish import SIDES, ZOOBOT
from gzjwst_core.survey.run import SurveyRun, freeze_profile, frozen_pins
from tests.publish.subjects import hand, new_run


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    """A hand-over whose colour is provisional."""
    made = new_run(tmp_path)
    colour = {"sigma": {"F277W": 0.1, "F444W": 0.2}, "gain": {"F277W": 1.0, "F444W": 2.0}}
    images = made.profile.images.model_copy(update=colour | {"pins": dict.fromkeys(colour["sigma"], "provisional")})
    frozen = freeze_profile(made, images)
    hand(frozen, 10)
    return frozen


def act(run: SurveyRun, *words: str) -> int:
    action, *options = words
    return main(["colour", action, run.folder.url, *options])


def pinned(run: SurveyRun) -> ImageOptions:
    return frozen_pins(run.folder)


def upload(run: SurveyRun) -> None:
    assert main(["zooniverse", "uploaded", run.folder.url, f"{run.folder.url}/zooniverse/manifest-0001.csv"]) == 0


def test_pinned_and_unpinned(run: SurveyRun, capsys: pytest.CaptureFixture[str]) -> None:
    before = pinned(run)
    assert act(run, "pin") == 0
    assert set(pinned(run).pins.values()) == {"final"}
    assert act(run, "unpin") == 0
    assert pinned(run) == before
    assert "the next whole run pins it anew" in capsys.readouterr().out


def test_values_of_ones_own(run: SurveyRun) -> None:
    assert act(run, "pin", "--sigma", "F277W=0.15", "--gain", "F150W=1.2") == 0
    assert dict(pinned(run).sigma) == {"F277W": 0.15, "F444W": 0.2}
    assert dict(pinned(run).gain) == {"F150W": 1.2, "F277W": 1.0, "F444W": 2.0}
    assert dict(pinned(run).pins) == dict.fromkeys(("F150W", "F277W", "F444W"), "final")


@pytest.mark.parametrize("given", ["F277W", "F277W=", "F277W=nan", "F277W=-1", "F277W=0", "F999W=1", "F277W=0.1uJy"])
def test_a_value_that_is_none_is_refused(run: SurveyRun, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = run.folder.read("profile.toml")
    assert act(run, "pin", "--sigma", given) == 2
    assert run.folder.read("profile.toml") == before
    assert capsys.readouterr().err.count("\n") == 1


def test_what_volunteers_have_seen_is_changed_by_force_alone(
    run: SurveyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(run)
    before = run.folder.read("profile.toml")
    for words in (["unpin"], ["pin", "--gain", "F277W=3"]):
        assert act(run, *words) == 2
        assert "uploads are on record" in capsys.readouterr().err
    assert run.folder.read("profile.toml") == before
    assert act(run, "unpin", "--force") == 0
    assert set(pinned(run).pins.values()) == {"unpinned"}


def test_a_folder_without_a_survey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["colour", "pin", str(tmp_path / "nothing")]) == 2
    assert "profile.toml is not there" in capsys.readouterr().err


def turned(run: SurveyRun) -> list[str]:
    """Put everyone of the last hand-over on the other side."""
    path = Path(run.folder.url) / ZOOBOT
    table = read_parquet(path)
    table["split"] = ["train" if side == "test" else "test" for side in table["split"]]
    write_parquet(table, path)
    return [str(side) for side in table["split"]]


def final(run: SurveyRun) -> SurveyRun:
    pins = dict.fromkeys(run.profile.images.pins, "final")
    images = run.profile.images.model_copy(update={"pins": pins})
    return run.replace(profile=run.profile.model_copy(update={"images": images}))


@pytest.mark.parametrize("use", ["none", "uploaded", "pinned"])
def test_a_provisional_hand_over_is_remembered_where_it_is_in_use(run: SurveyRun, use: str) -> None:
    """Else the first whole run is as if it had been the first."""
    assert len(read_parquet(Path(run.folder.url) / SIDES)) == 0
    drawn = [str(side) for side in read_parquet(Path(run.folder.url) / ZOOBOT)["split"]]
    if use == "uploaded":
        upload(run)
    before = turned(run)
    if use == "pinned":
        assert act(run, "pin") == 0
    hand(final(run), 10)
    expected = drawn if use == "none" else before
    assert [str(side) for side in read_parquet(Path(run.folder.url) / ZOOBOT)["split"]] == expected
    assert len(read_parquet(Path(run.folder.url) / SIDES)) == 10
