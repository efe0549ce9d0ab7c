"""Paths that people write: what is there is taken as it is written, then variables, then patterns."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import ProfileError
from gzjwst_core.paths import expanded, files_at
from gzjwst_core.survey.profile import load_profile


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "run [v2]/a [b].fits",
        "run [v2]/c.fits",
        "run [v2]/d.fits",
        "run v/c.fits",
        "q?/x*.fits",
        "q?/xy.fits",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("run [v2]/a [b].fits", ["run [v2]/a [b].fits"]),
        ("run [v2]/[cd].fits", ["run [v2]/c.fits", "run [v2]/d.fits"]),
        ("run [v2]/?.fits", ["run [v2]/c.fits", "run [v2]/d.fits"]),
        ("run [v]/c.fits", ["run v/c.fits"]),
        ("run*/c.fits", ["run [v2]/c.fits", "run v/c.fits"]),
        ("q?/x*.fits", ["q?/x*.fits"]),
        ("q?/x?.fits", ["q?/x*.fits", "q?/xy.fits"]),
        ("**/c.fits", ["run [v2]/c.fits", "run v/c.fits"]),
        ("run v/../run [v2]/d.fits", ["run v/../run [v2]/d.fits"]),
        ("run [v2]", []),
        ("nothing", []),
        ("x" * 5000, []),
        ("c.fits/d", []),
    ],
)
def test_what_is_there_is_taken_before_it_is_read_as_a_pattern(tree: Path, pattern: str, found: list[str]) -> None:
    assert [str(path.relative_to(tree)) for path in files_at(tree / pattern)] == found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30))
def test_a_file_of_any_name_is_found_by_that_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"_{name}"
    path.write_text("")
    assert files_at(path) == [path]
    assert expanded(path.name, "key", tmp_path) == path.name


def test_home_and_variables_are_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    assert expanded("~/a", "key") == "/home/me/a"
    assert expanded("$HOME/a_$DATA", "key") == "/home/me/a_/data"
    assert expanded("${DATA}x/*.fits", "key") == "/datax/*.fits"
    assert expanded("s3://bucket/${DATA}", "key") == "s3://bucket//data"
    assert expanded("~nobody-of-this-name/a", "key") == "~nobody-of-this-name/a"
    assert expanded("a$", "key") == "a$"
    (tmp_path / "$NOT_SET").mkdir()
    assert expanded("$NOT_SET", "key", tmp_path) == "$NOT_SET"


@pytest.mark.parametrize("text", ["$NOT_SET_1/a", "${NOT_SET_1}/a"])
def test_a_variable_that_is_not_set_is_named(text: str) -> None:
    with pytest.raises(ProfileError, match=r"^local\.0\.path: .*names the variable 'NOT_SET_1', which is not set"):
        expanded(text, "local.0.path")


def test_a_profile_itself_may_lie_anywhere(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "run [v2]" / "p.toml").write_text('[survey]\nname="mine"\nbands=["F277W"]\n[[local]]\npath="x.fits"')
    monkeypatch.setenv("HOME", str(tree))
    for path in (str(tree / "run [v2]" / "p.toml"), "~/run [v2]/p.toml", "$HOME/run [v2]/p.toml"):
        assert load_profile(path).name == "mine"
    with pytest.raises(ProfileError, match="no such profile file"):
        load_profile("x" * 5000 + ".toml")
