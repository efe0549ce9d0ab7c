"""Profiles: strict, frozen, and one clear message for every fault."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gzjwst_core.errors import ProfileError
from gzjwst_core.options import DetectOptions
from gzjwst_core.runs.profile_file import profile_names, profile_toml
from gzjwst_core.survey.profile import load_profile, read_frozen

Write = Callable[[str | bytes], Path]

GOOD = """
[survey]
name = "mine"
bands = ["F150W", "F444W"]

[[local]]
path = "*.fits"
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(text: str | bytes) -> Path:
        path = tmp_path / "mine.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writing


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_are_right_and_survive_freezing(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    frozen = tmp_path / "profile.toml"
    frozen.write_text(profile_toml(profile))
    assert load_profile(frozen) == profile
    assert profile.name == name


def test_the_shipped_surveys_are_all_there() -> None:
    assert set(profile_names()) == {"ceers", "cosmos-web", "demo", "jades", "local-example", "primer"}


@pytest.mark.parametrize(
    ("addition", "key", "allowed"),
    [
        ("[detect]\nthreshhold = 2.0", "detect.threshhold", "did you mean 'threshold'"),
        ("[detect]\nthreshold = '2.0'", "detect.threshold", "valid number"),
        ("[detect]\nthreshold = nan", "detect.threshold", "finite"),
        ("[detect]\nthreshold = inf", "detect.threshold", "finite"),
        ("[detect]\nthreshold = -1.0", "detect.threshold", "greater than 0"),
        ("[detect]\nthreshold = true", "detect.threshold", "valid number"),
        ("[detect]\nbands = ['F445W']", "detect.bands.0", "not a NIRCam band"),
        ("[detect]\nrecipe = 'best'", "detect.recipe", "'recommended' or 'reference'"),
        ("[images]\nred = { F445W = 1.0 }", "images.red", "not a NIRCam band"),
        ("[cutout]\nsize = 3", "cutout", "did you mean 'cutouts'"),
        ("[cutouts]\nchunk_size = 2.5", "cutouts.chunk_size", "valid integer"),
        ("[cutouts]\nfov_min_arcsec = 9.0\nfov_max_arcsec = 3.0", "cutouts", "must not be below"),
        ("[[select.cuts]]\ncolumn = 'r50'", "select.cuts.0", "a cut needs minimum"),
        (
            "[[query.keep]]\ncolumn = 'a'\nmatches = '['\nreason = 'x'",
            "query.keep.0.matches",
            "not a regular expression",
        ),
        ("[publish]\nlink = 'https://x/{name}'", "publish.link", "allowed: {ra}, {dec}, {id_str}"),
        ("[publish]\nlink = 'https://x/{ra:1000000000}'", "publish.link", "'1000000000' is no plain format"),
        ("[publish]\nlink = 'https://x/{ra:.999999f}'", "publish.link", "no plain format"),
        ("[publish]\nlink = 'https://x/{id_str:>{ra}}'", "publish.link", "no plain format"),
        ("[publish]\nwhen = 2026-01-01", "mine.toml", "dates and times are not allowed"),
        ("[sky]\nseed = 'x'", "sky.seed", "valid integer"),
        ("[sky]\nsede = 1", "sky.sede", "did you mean 'seed'"),
    ],
)
def test_every_fault_names_file_key_and_what_is_allowed(write: Write, addition: str, key: str, allowed: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile(write(f"{GOOD}\n{addition}\n"))
    message = str(caught.value)
    assert "mine.toml" in message
    assert key in message
    assert allowed in message
    assert "\n" not in message.strip()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"a = [", "not TOML"),
        (b"a = 1\na = 2", "not TOML"),
        (b"", "survey: Field required"),
        (b"x" * 1_000_001, "too large"),
        (b"[survey]\nname='x'\nbands=['F150W']", "needs [[query.observations]]"),
        (b"[survey]\nname='../x'\nbands=['F150W']\n[[local]]\npath='a'", "survey.name"),
        (b"[survey]\nname='x'\nbands=['F150W','F150W']\n[[local]]\npath='a'", "each band may be named once"),
    ],
)
def test_files_that_are_no_profile_are_refused(write: Write, data: bytes, said: str) -> None:
    with pytest.raises(ProfileError, match=r"mine\.toml") as caught:
        load_profile(write(data))
    assert said in str(caught.value)


def test_unknown_names_get_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="did you mean 'ceers'"):
        load_profile("ceer")
    with pytest.raises(ProfileError, match="no such profile file"):
        load_profile(tmp_path / "nothing.toml")


def test_what_wins_over_what(write: Write) -> None:
    path = write(f"{GOOD}\n[detect]\nthreshold = 2.0\nmin_area_arcsec2 = 0.02\n")
    environment = {"GZJWST_SET__DETECT__THRESHOLD": "3.0", "GZJWST_SET__SURVEY__TITLE": "from outside", "OTHER": "1"}
    profile = load_profile(path, environment=environment, overrides=["detect.threshold=4.0"])
    assert profile.detect.threshold == 4.0
    assert profile.detect.min_area_arcsec2 == 0.02
    assert profile.survey.title == "from outside"
    assert load_profile(path, environment=environment).detect.threshold == 3.0
    assert load_profile(path).detect.threshold == 2.0


@pytest.mark.parametrize("override", ["", "threshold", "=1", "survey.name.x=1", "detect.nothing=1"])
def test_bad_overrides_are_named(write: Write, override: str) -> None:
    with pytest.raises(ProfileError):
        load_profile(write(GOOD), overrides=[override])


def test_a_fault_is_blamed_on_where_it_was_given(write: Write) -> None:
    path = write(GOOD)
    with pytest.raises(ProfileError, match=r"^--set detect.treshold=1: detect.treshold: unknown key; did you mean"):
        load_profile(path, overrides=["detect.threshold=2", "detect.treshold=1"])
    with pytest.raises(
        ProfileError, match=r"^GZJWST_SET__IMAGES__SIZE_PX: images.size_px: Input should be a valid int"
    ):
        load_profile(path, environment={"GZJWST_SET__IMAGES__SIZE_PX": "big"})
    with pytest.raises(ProfileError, match=r"^--set images.red=.*: images.red.F445W: not a NIRCam band"):
        load_profile(path, overrides=["images.red={F445W=1.0}"])


def test_a_recipe_gives_defaults_that_single_keys_win_over() -> None:
    reference = DetectOptions(recipe="reference")
    assert (reference.kernel, reference.threshold, reference.combine) == ("tophat", 3.0, "single")
    assert DetectOptions(recipe="reference", threshold=5.0).threshold == 5.0
    assert DetectOptions.model_validate(reference.model_dump()) == reference


def test_a_profile_is_frozen() -> None:
    profile = load_profile("demo")
    with pytest.raises(ValidationError, match="frozen"):
        profile.detect.threshold = 1.0  # type: ignore[misc]


def test_a_digest_knows_its_own_section_only(write: Write) -> None:
    one = load_profile(write(GOOD))
    two = load_profile(write(GOOD), overrides=["images.jpeg_quality=80"])
    assert one.detect.digest() == two.detect.digest()
    assert one.images.digest() != two.images.digest()


def test_a_frozen_profile_of_an_older_version_still_gives_its_pins() -> None:
    images = read_frozen(b"[images]\nsomething_old = 1\nsigma = { F150W = 0.5 }\n[gone]\nx = 1\n", "profile.toml")
    assert dict(images.sigma) == {"F150W": 0.5}
    with pytest.raises(ProfileError, match="frozen profile cannot be read"):
        read_frozen(b"[images]\nsigma = 3\n", "profile.toml")


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.text(max_size=8), st.one_of(st.integers(), st.text(max_size=8), st.floats(), st.booleans()), max_size=3
    )
)
def test_no_data_whatever_ends_in_anything_but_a_profile_error(data: dict[str, object]) -> None:
    from gzjwst_core.survey.profile import validate_profile  # noqa: PLC0415

    with pytest.raises(ProfileError):
        validate_profile(data, "x.toml")


@pytest.mark.parametrize("key", ["publish.zoobot_fits", "images.panel_bands"])
def test_bands_that_are_handed_over_are_the_surveys(key: str) -> None:
    with pytest.raises(ProfileError, match=f"{key} names F090W, the survey has F115W"):
        load_profile("demo", overrides=[f'{key}=["F090W"]'])


def test_a_survey_is_of_one_instrument_that_is_named(write: Write) -> None:
    assert load_profile(write(GOOD)).survey.instrument == "NIRCAM"
    assert load_profile(write(GOOD), overrides=["survey.instrument=Niriss"]).survey.instrument == "NIRISS"
    with pytest.raises(ProfileError, match=r"survey\.instrument: not an instrument .*\(allowed: NIRCAM, NIRISS\)"):
        load_profile(write(GOOD), overrides=["survey.instrument=MIRI"])
    with pytest.raises(ProfileError, match="NIRISS has no F410M"):
        load_profile(write(GOOD), overrides=["survey.instrument=NIRISS", 'survey.bands=["F410M"]'])
