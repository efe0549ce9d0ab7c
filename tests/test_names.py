"""Names: identifiers are truncated, obs_ids are taken apart exactly, and nothing unsafe becomes a path."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import NameRefusedError
from gzjwst_core.names import file_stem, id_str, join_inside, parse_obs_id, parse_with_pattern, safe_name, tidy_name
from tests.soak.names import run


@pytest.mark.parametrize(
    ("text", "field", "band"),
    [
        ("jw01345-o001_t021_nircam_clear-f115w", "jw01345-o001_t021", "F115W"),
        ("jw01345-c1000_t021_nircam_clear-f444w", "jw01345-c1000_t021", "F444W"),
        ("jw02731-o001_t017_nircam_f444w-f470n", "jw02731-o001_t017", "F470N"),
        ("jw01180-o001_t001-epoch1_nircam_clear-f322w2", "jw01180-o001_t001-epoch1", "F322W2"),
        ("hlsp_ceers_jwst_nircam_nircam2all_f200w_v0.5", "nircam2all", "F200W"),
        ("hlsp_jades_jwst_nircam_goods-s-deep_f090w_v2.0_drz", "goods-s-deep", "F090W"),
    ],
)
def test_obs_ids_are_taken_apart(text: str, field: str, band: str) -> None:
    parsed = parse_obs_id(text)
    assert parsed is not None
    assert (parsed.field, parsed.band) == (field, band)


def test_a_subarray_is_not_the_full_frame() -> None:
    full = parse_obs_id("jw01345-o001_t021_nircam_clear-f200w")
    part = parse_obs_id("jw01345-o001_t021_nircam_clear-f200w-sub160")
    assert full is not None
    assert part is not None
    assert (full.subarray, part.subarray) == ("", "sub160")
    assert full.band == part.band == "F200W"


@pytest.mark.parametrize(("ra", "dec"), [(float("nan"), 0.0), (float("inf"), 0.0), (1.0, float("nan")), (1.0, 90.1)])
def test_what_is_no_position_has_no_name(ra: float, dec: float) -> None:
    with pytest.raises(NameRefusedError, match="no position") as caught:
        id_str("s", ra, dec)
    assert caught.value.reason == "bad_position"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jw1345-o001_t021_nircam_clear-f115w",
        "hst_f814w",
        "../jw01345-o001_t021_nircam_clear-f115w",
        "jw\u0660\u0661\u0663\u0664\u0665-o001_t021_nircam_clear-f115w",
        "jw01345-o001_t021_nircam_clear-f115w\n",
    ],
)
def test_other_names_are_not_guessed(text: str) -> None:
    assert parse_obs_id(text) is None


def test_miri_has_no_nircam_band() -> None:
    parsed = parse_obs_id("jw01727-o099_t093_miri_f770w")
    assert parsed is not None
    assert (parsed.instrument, parsed.band) == ("miri", "")


def test_a_profile_may_bring_its_own_pattern() -> None:
    parsed = parse_with_pattern("primer_uds_f356w_mosaic", r"primer_(?P<field>[a-z]+)_(?P<band>f\d+w)")
    assert parsed is not None
    assert (parsed.kind, parsed.field, parsed.band) == ("OTHER", "uds", "F356W")
    assert parse_with_pattern("primer_uds_f999w", r"primer_(?P<field>[a-z]+)_(?P<band>f\d+w)") is None


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        (214.902789, 52.877670, "ceers_J141936.66+525239.6"),
        (15.0, -0.5, "ceers_J010000.00-003000.0"),
        (359.9999999, 0.0, "ceers_J235959.99+000000.0"),
        (0.0, -89.99999, "ceers_J000000.00-895959.9"),
    ],
)
def test_identifiers_are_truncated(ra: float, dec: float, name: str) -> None:
    assert id_str("ceers", ra, dec) == name


@settings(max_examples=200)
@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
def test_an_identifier_lies_within_its_own_last_digit(ra: float, dec: float) -> None:
    name = id_str("s", ra, dec).removeprefix("s_J")
    hours = int(name[:2]) + int(name[2:4]) / 60 + float(name[4:9]) / 3600
    degrees = int(name[10:12]) + int(name[12:14]) / 60 + float(name[14:]) / 3600
    assert ((ra / 15 - hours) * 3600 + 1e-6) % 86400 < 0.01 + 2e-6
    assert -1e-6 < (abs(dec) - degrees) * 3600 < 0.1 + 1e-6
    assert "+" not in file_stem(f"cosmos-web_J{name}")


def test_file_names_hold_no_sign() -> None:
    assert file_stem("cosmos-web_J100024.11+015334.8") == "cosmos-web_J100024.11p015334.8"
    assert file_stem("cosmos-web_J100024.11-015334.8a") == "cosmos-web_J100024.11m015334.8a"


@settings(max_examples=500)
@given(st.text(max_size=300))
def test_no_text_leads_out_of_a_folder(text: str) -> None:
    root = Path("/tmp/gzjwst-root")
    try:
        path = join_inside(root, text)
    except NameRefusedError:
        return
    assert path.parent == root


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "/etc", "~x", "-rf", "a\n", "a\0", "a" * 201, "a*b", "ä", "a..b"]
)
def test_unsafe_names_are_refused(text: str) -> None:
    with pytest.raises(NameRefusedError, match="may not name a file"):
        safe_name(text)


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(NameRefusedError, match="leads out"):
        join_inside(tmp_path / "root", "link", "x")


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(NameRefusedError, match="leads out"):
        join_inside(tmp_path, "loop", "x")


def test_links_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert join_inside(tmp_path, "link", "x") == tmp_path / "link" / "x"


@pytest.mark.parametrize(
    "text", ["a-" * 50_000, "jw01345-o001_t021_nircam_" + "a-sub" * 20_000, "hlsp_" + "a-" * 50_000]
)
def test_long_names_are_taken_apart_quickly(text: str) -> None:
    begun = time.process_time()
    assert parse_obs_id(text + "!") is None
    assert time.process_time() - begun < 1.0


def test_no_hostile_name_leads_out_through_any_entry_point() -> None:
    figures = run(120, seed=3)
    assert figures["refused"] + figures["inside"] == 120 * 18
    assert min(figures["refused"], figures["inside"]) > 120
    assert figures["files_elsewhere"] == 0


@pytest.mark.parametrize(
    "name", ["", "/", "a/b", "..", "../a", "a\n", "a\0", "\N{LATIN SMALL LETTER E WITH ACUTE}", ".a", "x" * 201]
)
def test_what_no_file_of_ours_may_be_called_stays_refused_when_tidied(name: str) -> None:
    with pytest.raises(NameRefusedError):
        tidy_name(name)


def test_tidying_changes_no_name_that_is_safe_and_leaves_only_safe_ones() -> None:
    everything = "".join(map(chr, range(32, 127))).replace("/", "")
    assert safe_name(tidy_name(f"a{everything}")) == tidy_name(f"a{everything}")
    safe = "abcXYZ019_.+-"
    assert tidy_name(safe) == safe
