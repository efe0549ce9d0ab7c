"""From a request to a run, and the lock on its folder."""

import errno
import fcntl
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from gzjwst_core.errors import ProfileError, StorageError
from gzjwst_core.psf.known import file_digests, with_folder
from gzjwst_core.runs.run import locked
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SurveyRequest]:
    monkeypatch.chdir(tmp_path)
    return lambda **options: SurveyRequest(**{"cache": str(tmp_path / "cache"), **options})


def test_places_are_the_same_from_every_working_directory(ask: Callable[..., SurveyRequest], tmp_path: Path) -> None:
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
    cut: str, said: str, ask: Callable[..., SurveyRequest]
) -> None:
    with pytest.raises(ProfileError, match=f"demo: select.cuts: .*{said}"):
        start(ask(overrides=(f"select.cuts=[{cut}]",), bands=("F277W",)))


@pytest.mark.parametrize(
    ("name", "text"), [("t.csv", "a,b\n1,2\n"), ("t.xlsx", "ra,dec\n1,2\n"), ("t.csv", "ra,dec\n")]
)
def test_a_wrong_table_of_targets_is_an_error_of_usage(
    name: str, text: str, ask: Callable[..., SurveyRequest], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ProfileError, match=f"--catalog {name}"):
        start(ask(catalog=name))


def test_a_part_of_the_bands_is_that_part_of_every_list_of_bands(ask: Callable[..., SurveyRequest]) -> None:
    lists = ('publish.zoobot_fits=["F277W","F444W"]', 'images.panel_bands=["F115W"]')
    profile = start(ask(overrides=lists, bands=("F277W",))).profile
    assert profile.survey.bands == profile.publish.zoobot_fits == ("F277W",)
    assert profile.images.panel_bands == ()


EARLIER = "id_str,ra,dec\na,1,2\n"


def test_tables_from_outside_count_by_their_content_and_not_by_their_place(
    ask: Callable[..., SurveyRequest], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("one.csv", "two.csv", "mine/three.csv"):
        (tmp_path / name).write_text(EARLIER)
    text = (Path(__file__).parents[1] / "profiles" / "demo.toml").read_text()
    (tmp_path / "mine" / "p.toml").write_text(text + '[merge]\nids_from = "three.csv"\n')
    runs = [start(ask(ids_from=name)) for name in ("one.csv", "two.csv")]
    runs += [start(ask(profile="mine/p.toml")), start(ask(profile="mine/p.toml", ids_from="one.csv"))]
    assert [Path(run.earlier).name for run in runs] == ["one.csv", "two.csv", "three.csv", "one.csv"]
    assert len({str(run.outside_digests) for run in runs}) == len({run.profile.merge.digest() for run in runs}) == 1
    assert start(ask()).outside_digests == {}
    (tmp_path / "two.csv").write_text(EARLIER + "b,3,4\n")
    assert start(ask(ids_from="two.csv")).outside_digests != runs[0].outside_digests


def test_an_earlier_release_of_several_files_has_a_digest_of_all_of_them(
    ask: Callable[..., SurveyRequest], tmp_path: Path
) -> None:
    (tmp_path / "ids1.csv").write_text(EARLIER)
    (tmp_path / "ids2.csv").write_text("id_str,ra,dec\nb,3,4\n")
    digests = start(ask(ids_from="ids*.csv")).outside_digests
    (tmp_path / "ids2.csv").write_text("id_str,ra,dec\nc,3,4\n")
    assert start(ask(ids_from="ids*.csv")).outside_digests != digests


def test_a_table_of_targets_counts_by_its_name_too_as_the_catalog_states_it(
    ask: Callable[..., SurveyRequest], tmp_path: Path
) -> None:
    for name in ("one.csv", "two.csv", "elsewhere/one.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("ra,dec\n1,2\n")
    one, two, same = (start(ask(catalog=n)).targets_digest for n in ("one.csv", "two.csv", "elsewhere/one.csv"))
    assert one == same != two


def test_a_path_may_start_at_home_wherever_it_is_given(
    ask: Callable[..., SurveyRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name, text in (("e.csv", EARLIER), ("r.csv", "ra,dec\n1,2\n"), ("p.fits", "psf")):
        (tmp_path / "home" / name).write_text(text)
    given = ('merge.ids_from="~/e.csv"', 'astrometry.reference="~/r.csv"', 'psf.files={F444W="~/p.fits"}')
    run = start(ask(overrides=given, catalog="~/r.csv"))
    assert (run.earlier, run.reference) == (str(tmp_path / "home" / "e.csv"), str(tmp_path / "home" / "r.csv"))
    assert set(run.outside_digests) == {"merge.ids_from", "astrometry.reference"}
    assert list(file_digests(with_folder(run.profile.psf, Path(run.profile_folder)))) == ["F444W"]
    assert start(ask(ids_from="~/e.csv")).earlier == run.earlier


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ids_from": "no.csv"}, "--ids-from no.csv: no such file"),
        ({"catalog": "nowhere.csv"}, "--catalog nowhere.csv: no row has a position"),
        ({"catalog": "text.csv"}, "--catalog text.csv: column ra: 1 of 1 values are no numbers .row 1: abc"),
        ({"catalog": "plain.csv"}, "--catalog plain.csv: no column of ra"),
        ({"ids_from": "bad.csv"}, "--ids-from bad.csv: no column id_str"),
        ({"overrides": ("merge.ids_from=no.csv",)}, "merge.ids_from .*no.csv: no such file"),
        ({"overrides": ("astrometry.reference=no.csv",)}, "astrometry.reference .*no.csv: no such file"),
    ],
)
def test_a_table_that_is_not_there_or_cannot_be_used_is_an_error_of_usage(
    options: dict[str, object], said: str, ask: Callable[..., SurveyRequest], tmp_path: Path
) -> None:
    for name, text in (
        ("bad", "id,ra,dec\na,1,2\n"),
        ("nowhere", "ra,dec\n1,95\n"),
        ("text", "ra,dec\nabc,2\n"),
        ("plain", "x,y\n1,2\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(ProfileError, match=said):
        start(ask(**options))


@pytest.mark.parametrize("spelling", ["runs/", "./runs", "file://{here}/runs", "link"])
def test_one_run_at_a_time_in_a_folder_however_it_is_called(
    spelling: str, ask: Callable[..., SurveyRequest], tmp_path: Path
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


def test_runs_of_other_surveys_and_folders_go_on_at_once(ask: Callable[..., SurveyRequest]) -> None:
    with locked(start(ask())), locked(start(ask(overrides=("survey.name=other",)))), locked(start(ask(out="b"))):
        pass


def test_where_nothing_can_be_locked_the_run_goes_on_and_says_so(
    ask: Callable[..., SurveyRequest], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING, "gzjwst_core"), locked(start(ask())):
        assert "cannot be locked" in caplog.text


@pytest.mark.parametrize("where", ["out", "cache"])
def test_a_place_that_cannot_be_is_named(where: str, ask: Callable[..., SurveyRequest], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = start(ask(**{where: "file/x"}))
    with pytest.raises(StorageError, match="file/x: Not a directory"), locked(run):
        SURVEY.begin(run)
