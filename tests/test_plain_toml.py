"""Profiles as people and editors write them: encodings, and values that no profile may hold, each refused at once."""

import time
from pathlib import Path

import pytest

from gzjwst_core.errors import ProfileError
from gzjwst_core.survey.profile import load_profile, read_frozen, read_images
from gzjwst_core.survey.request import SurveyRequest, profile_of

GOOD = '[survey]\nname = "mine"\nbands = ["F277W"]\n[[local]]\npath = "x.fits"\n'
SECONDS = 10
"""A refusal takes a fraction of one; a machine under load may take more, the faults took minutes."""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="windows"),
        pytest.param(GOOD.replace("\n", "\r").encode(), id="old mac"),
        pytest.param(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), id="mark and windows"),
    ],
)
def test_marks_and_line_ends_of_editors_change_nothing(profile: Path, data: bytes) -> None:
    plain = load_profile(profile)
    profile.write_bytes(data)
    assert load_profile(profile) == plain


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_named(profile: Path, encoding: str) -> None:
    profile.write_bytes(f"{GOOD}# \N{LATIN SMALL LETTER E WITH ACUTE}\n".encode(encoding))
    with pytest.raises(ProfileError, match=r"mine\.toml: .*save it as UTF-8"):
        load_profile(profile)


LONG = "1" + "0" * 5000
HARD = {
    "a long integer": (f"threshold = {LONG}", "threshold: an integer of 5001 digits"),
    "a long integer in hexadecimal": (f"threshold = 0x1{'0' * 50_000}", "detect.threshold: an integer beyond 64 bit"),
    "the first integer beyond 64 bit": (f"threshold = {2**63}", "detect.threshold: an integer beyond 64 bit"),
    "infinity": ("threshold = inf", "detect.threshold: must be a finite number"),
    "too large a float": ("threshold = 1e999", "detect.threshold: must be a finite number"),
    "not a number": ("mesh_arcsec = nan", "detect.mesh_arcsec: must be a finite number"),
    "deep lists": (f"bands = {'[' * 50_000}", "nested too deeply (at most 16 levels)"),
    "whole deep lists": (f"bands = {'[' * 100}{']' * 100}", "nested too deeply (at most 16 levels)"),
    "deep tables": (f"bands = {'{a=' * 50_000}", "nested too deeply (at most 16 levels)"),
    "a key of many parts": (f"a{'.a' * 300_000} = 1", "a key of too many parts"),
    "a quoted key of many parts": ('"a"' + ' . "a"' * 100_000 + " = 1", "a key of too many parts"),
    "a section of many parts": (f"[{'.'.join('a' * 100_000)}]", "a key of too many parts"),
    "many keys": ("".join(f"k{i}.b = 1\n" for i in range(50_000)), "detect: 50000 keys (at most 1000)"),
    "many members": ("bands = [" + '"F277W",' * 100_000 + "]", "detect.bands: 100000 members (at most 5000)"),
    "a long text": (f"kernel = '{'x' * 100_000}'", "detect.kernel: 100000 characters (at most 10000)"),
    "a long key": (f"{'k' * 100_000} = 1", "detect: key: 100000 characters (at most 200)"),
    "a NUL": ('kernel = "a\\u0000b"', "detect.kernel: holds a NUL character"),
}


@pytest.mark.parametrize("name", HARD)
def test_what_no_profile_may_hold_is_refused_in_a_line_and_at_once(profile: Path, name: str) -> None:
    text, said = HARD[name]
    profile.write_text(f"{GOOD}[detect]\n{text}\n")
    began = time.monotonic()
    with pytest.raises(ProfileError) as caught:
        load_profile(profile)
    message = str(caught.value)
    assert time.monotonic() - began < SECONDS
    assert "mine.toml" in message
    assert said in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"detect.threshold={LONG}", "an integer of 5001 digits"),
        ("detect.threshold=nan", "detect.threshold: must be a finite number"),
        (f"detect.threshold={'[' * 50_000}", "nested too deeply"),
        (f"a{'.a' * 50_000}=1", "a key of 50001 parts (at most 16)"),
        (f"photometry.apertures_arcsec=[{'0.2,' * 100_000}]", "photometry.apertures_arcsec: 100000 members"),
        (f"photometry.apertures_arcsec=[{'0.2,' * 21}]", "photometry.apertures_arcsec: Tuple should have at most 20"),
    ],
)
def test_values_laid_over_a_profile_are_held_to_the_same(profile: Path, override: str, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profile_of(SurveyRequest(profile=str(profile), overrides=(override,)))
    message = str(caught.value)
    assert message.startswith("--set ")
    assert said in message
    assert "\n" not in message
    assert len(message) < 500


def test_many_overrides_and_many_faults_are_told_in_a_few_lines(profile: Path) -> None:
    overrides = [f"detect.k{number}=1" for number in range(900)]
    with pytest.raises(ProfileError) as caught:
        load_profile(profile, overrides=overrides)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 880 faults more")


def test_a_key_that_breaks_the_line_is_shown_on_one(profile: Path) -> None:
    profile.write_text(GOOD + '"a\\nb\\u001b[2J" = 1\n')
    with pytest.raises(ProfileError) as caught:
        load_profile(profile)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"a = [", f"[images.sigma]\nF277W = {LONG}".encode(), b"a = " + b"[" * 9999]
)
def test_a_frozen_profile_is_read_with_the_same_care(data: bytes) -> None:
    with pytest.raises(ProfileError, match=r"^profile\.toml: "):
        read_frozen(data, "profile.toml")
    with pytest.raises(ProfileError, match=r"^profile\.toml: "):
        read_images(data, "profile.toml")


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("[publish]\nlink = 'javascript:alert(1)'", "publish.link: 'javascript:alert(1)' is no address of the web"),
        ("[publish]\nlink = 'data:text/html,x'", "publish.link: 'data:text/html,x' is no address of the web"),
        ("[publish]\nlink = 'https://x/{ra:999999999}'", "publish.link: "),
        ("[mosaics]\npersistence = ['" + "a" * 1001 + "']", "mosaics.persistence.0: a regular expression of 1001"),
    ],
)
def test_texts_that_are_filled_or_matched_are_held_against_what_they_are_for(
    profile: Path, addition: str, said: str
) -> None:
    profile.write_text(f"{GOOD}{addition}\n")
    with pytest.raises(ProfileError) as caught:
        load_profile(profile)
    assert said in str(caught.value)
