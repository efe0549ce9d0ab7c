"""Manifests keep the contract of panoptes-cli: no empty cell, one medium a row, ASCII, chunks."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core import __version__
from gzjwst_core.errors import ProfileError
from gzjwst_core.options import PublishOptions
from gzjwst_core.zoobot.rows import join_rows
from gzjwst_core.zooniverse.manifest_check import check_manifests
from gzjwst_core.zooniverse.manifests import MANIFEST_COLUMNS, _cell, manifests, text_of_cell
from tests.publish.conftest import make_catalog, make_image

OPTIONS = PublishOptions()


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_line_an_image_with_what_volunteers_may_see(rows: Table) -> None:
    made = manifests(rows, "demo", OPTIONS)
    assert list(made) == ["manifest-0001.csv"]
    lines = read(made["manifest-0001.csv"])
    assert len(lines) == len(rows)
    assert tuple(lines[0]) == MANIFEST_COLUMNS
    assert lines[0]["file_name"] == "../images/f0/demo_J000000.00p020000.0.jpg"
    assert lines[0]["!iauname"] == "J000000.00+020000.0"
    assert lines[0]["#ra"] == f"{rows['ra'][0]:.6f}"
    assert lines[0]["#dec"].startswith("+2.")
    assert lines[1]["#mag_ref"] == "none"
    assert lines[1]["#ext_id"] == "none"
    assert lines[0]["!link"].startswith("https://")
    assert {lines[0][name] for name in ("#panels", "#filled", "#size_arcsec", "#floor_arcsec")} == {"none"}
    assert lines[0]["#version"] == f"gzjwst {__version__}"
    hidden = [name for name in MANIFEST_COLUMNS if name not in {"file_name", "id_str"}]
    assert all(name[0] in "#!" for name in hidden)


def test_chunks_hold_every_row_once_in_order(rows: Table) -> None:
    made = manifests(rows, "demo", PublishOptions(manifest_rows=10))
    assert {name: len(read(text)) for name, text in made.items()} == {
        "manifest-0001.csv": 10,
        "manifest-0002.csv": 10,
        "manifest-0003.csv": 5,
    }
    names = [line["id_str"] for text in made.values() for line in read(text)]
    assert names == rows["id_str"].tolist()


def test_no_rows_make_no_manifest(rows: Table) -> None:
    assert manifests(rows[:0], "demo", OPTIONS) == {}


@pytest.mark.parametrize("strange", ["", ".", "..", "./", "~", " ", "a/b.jpg", "Ünï", 'say "x", y', "\\\\x\\y"])
def test_the_client_finds_exactly_one_medium_whatever_a_cell_holds(tmp_path: Path, strange: str) -> None:
    catalog = make_catalog(1)
    catalog["ext_id"] = [strange]
    image = make_image(catalog, 0)
    rows = join_rows(catalog, [image])
    folder = tmp_path / "zooniverse"
    for path in (tmp_path / image.image, folder / "a" / "b.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"jpeg")
    text = manifests(rows, "demo", OPTIONS)["manifest-0001.csv"]
    assert text.isascii()
    (line,) = read(text)
    assert all(line.values())
    # panoptes-cli takes each cell whose path exists, seen from the manifest, for a medium
    found = [name for name, cell in line.items() if (folder / cell).exists()]
    assert found == ["file_name"]


@pytest.mark.parametrize(
    ("text_given", "cell"),
    [
        ('=HYPERLINK("x")', '\'=HYPERLINK("x")'),
        ("=cmd|' /C calc'!A0", "'=cmd|' -C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2-3", "'-2-3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'=1"),
        ("\r\n=1", "'=1"),
        ("/=1", "'-=1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'-uff1d1"),
        ("'=1", "''=1"),
        ("'quoted", "''quoted"),
        ("-7", "-7"),
        ("+12.5", "+12.5"),
        ("-1e-3", "-1e-3"),
        ("J100000-020000", "J100000-020000"),
    ],
)
def test_no_cell_is_run_by_a_spreadsheet_and_none_loses_its_text(text_given: str, cell: str) -> None:
    """OWASP's list of first characters; the apostrophe comes off again, and numbers stay numbers."""
    catalog = make_catalog(2)
    catalog["ext_id"] = np.array([text_given, "plain"], dtype=object).astype(str)
    catalog["dec"] = [-2.0, -0.5]
    text = manifests(join_rows(catalog, [make_image(catalog, n) for n in range(2)]), "demo", OPTIONS)[
        "manifest-0001.csv"
    ]
    line = read(text)[0]
    assert line["#ext_id"] == cell
    assert text_of_cell(cell) == cell.removeprefix("'")
    assert text_of_cell(line["#dec"]) == "-2.000000"
    assert line["id_str"] == catalog["id_str"][0]
    found = check_manifests({"m.csv": text.encode()}, lambda *_: None).findings
    assert "formula" not in {one.kind for one in found}
    ran = check_manifests({"m.csv": text.replace("plain", "=1").encode()}, lambda *_: None).findings
    assert [(one.row, one.column, one.refused) for one in ran if one.kind == "formula"] == [(3, "#ext_id", False)]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="/\\"), min_size=1, max_size=12))
def test_a_cell_gives_its_text_back(text: str) -> None:
    cell = _cell(text)
    assert not cell.startswith(("=", "@"))
    assert text_of_cell(cell) == (text.strip() if text.strip(" .~") else "none")


def test_infinite_magnitudes_do_not_reach_volunteers(rows: Table) -> None:
    rows["mag_ref"][0] = np.inf
    assert read(manifests(rows, "demo", OPTIONS)["manifest-0001.csv"])[0]["#mag_ref"] == "none"


def test_what_a_composite_and_the_rule_of_its_frame_are_made_of(rows: Table) -> None:
    rows.replace_column("panels", ["rgb=0,0,424,424 F444W=428,0,852,424"] * len(rows))
    rows["fov_rule"] = ["isophote"] * len(rows)
    rows["size_arcsec"], rows["floor_arcsec"] = np.arange(len(rows)) + 0.5, 2.25
    line = read(manifests(rows, "demo", OPTIONS)["manifest-0001.csv"])[2]
    assert line["#fov_rule"] == "isophote"
    assert line["#panels"] == "rgb=0,0,424,424 F444W=428,0,852,424"
    assert (line["#size_arcsec"], line["#floor_arcsec"]) == ("2.500", "2.250")


@pytest.mark.parametrize("link", ["https://x/{name}", "https://x/{}", "https://x/{ra:.6q}", "https://x/{ra.foo}", "{"])
def test_a_link_that_cannot_be_filled_names_its_key(rows: Table, link: str) -> None:
    with pytest.raises(ProfileError, match=r"publish\.link.*allowed: \{ra\}"):
        manifests(rows, "demo", PublishOptions.model_construct(link=link))
