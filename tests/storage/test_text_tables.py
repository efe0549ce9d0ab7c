"""Text tables come in as text, whatever their encoding, line ends, delimiters and headers are; doubts are refused."""

import gzip
from itertools import product
from pathlib import Path

import pytest

from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.options import TargetOptions
from gzjwst_core.storage.text_tables import read_text_table

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
ENDS = ("\n", "\r\n", "\r")
DELIMITERS = (",", ";", "\t", "|", " ", "   ")
HEADERS = ("{}", "#{}", "# {}", "# made by me, today\n#\n\n{}", "# made by me\n# {}")
ROWS = [["007", "150.1", "2.2", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"], ["+1", "10:00:24", "-02:12:00", "b"]]


def everything(_: str) -> bool:
    return True


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_every_layout_of_text_gives_the_same_values(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for encoding, end, header in product(ENCODINGS, ENDS, HEADERS):
        lines = [header.format(delimiter.join(["id", "ra", "dec", "note"])), *(delimiter.join(row) for row in ROWS)]
        path.write_bytes(end.join("\n".join([*lines, ""]).split("\n")).encode(encoding))
        table, names = read_text_table(path, {"id", "ra", "dec", "note"}.__contains__)
        assert names == ["id", "ra", "dec", "note"], (encoding, end, header)
        assert [list(row) for row in table] == ROWS, (encoding, end, header)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,ra,dec\na,1,2,,\n,,\n\nb,3\n", [["a", "1", "2"], ["b", "3", ""]]),
        ('id,ra,dec\n"a, ""b""", 1 ,\t2\n# the end\n"#c",3,4\n', [['a, "b"', "1", "2"], ["#c", "3", "4"]]),
        ('id,ra,dec\n"two\nlines",1,2\n', [["two\nlines", "1", "2"]]),
        ("id ra dec\n'a'\t1   2  \n# a comment here\nb 3 4", [["'a'", "1", "2"], ["b", "3", "4"]]),
        ("id ra dec\na 1 2\n# the end\n# 2 of 3\n#\nb 3 4", [["a", "1", "2"], ["b", "3", "4"]]),
        ("id ra dec\n# x 3 4\na 1 2\n", [["a", "1", "2"]]),  # before the first row all are comments
        ("# id ra dec\na,1,2\n", [["a", "1", "2"]]),
        ("id|ra|dec\n---|---|---\na|1|2\n", [["a", "1", "2"]]),
        ("id,ra,dec\na,--,--\n--,--,--\n", [["a", "--", "--"], ["--", "--", "--"]]),
    ],
)
def test_rows_of_text(text: str, expected: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    table, _ = read_text_table(tmp_path / "t.csv", {"id", "ra", "dec"}.__contains__)
    assert [list(row) for row in table] == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"id,ra,dec\na\0,1,2\n", "line 2 holds a NUL byte"),
        ("id,ra,dec\na,1,2\n".encode("utf-16-le"), "line 1 holds a NUL byte.*UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0", "NUL"),
        (b"id,ra,ra,dec\na,1,2,3\n", "column ra is there twice"),
        (b"id,ra,dec\na,1,2\nb,1,2,3\n", "row 2 has 4 values, the header 3 names"),
        (b"id ra dec\na 1 2\n1 2\n", "row 2 has 2 values, the header 3 names"),
        (b"id,ra,dec\n#a,1,2\n", "may be a comment or a row"),
        (b"id ra dec\na 1 2\n#b 3 -4.5\n", "'#b 3 -4.5' may be a comment or a row"),
        (b"id ra dec\n7 1:00:00 2\n\n# 8 2:00:00 nan\n", "'# 8 2:00:00 nan' may be a comment or a row"),
        (b'id,ra,dec\n"a,1,2\n', "unexpected end of data"),
        (b"", "no line with the names"),
        (b"\n \n", "no line with the names"),
    ],
)
def test_text_that_may_be_two_things_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(CatalogError, match=rf"t\.csv: .*{said}"):
        read_text_table(tmp_path / "t.csv", everything)


def test_packed_text_is_read_and_a_damaged_file_named(tmp_path: Path) -> None:
    data = gzip.compress(b"id,ra,dec\n" + b"".join(b"%05d,1,2\n" % n for n in range(3000)))
    (tmp_path / "t.csv.gz").write_bytes(data)
    assert read_targets(tmp_path / "t.csv.gz")["ext_id"][7] == "00007"
    for damaged in (data[:-40], b"junk", data[:200] + b"\xff" * 50 + data[250:]):
        (tmp_path / "t.csv.gz").write_bytes(damaged)
        with pytest.raises(CatalogError, match=r"t\.csv\.gz: not a text"):
            read_targets(tmp_path / "t.csv.gz")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StorageError, match=r"folder\.csv"):
        read_text_table(tmp_path / "folder.csv", everything)


@pytest.mark.parametrize("text", [",id,ra,dec\n0,007,1,2\n", "id,ra,dec,\n007,1,2,\n"])
def test_a_column_without_a_name_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    read = read_targets(tmp_path / "t.csv")
    assert (read["ext_id"].tolist(), read["ra"].tolist(), read["dec"].tolist()) == (["007"], [1.0], [2.0])
    (tmp_path / "t.csv").write_text(text.replace("id", "x").replace("ra", "y"))
    with pytest.raises(CatalogError, match="no column of ra"):
        read_targets(tmp_path / "t.csv")


def test_columns_that_nobody_wants_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ra [deg],x,dec\n1,2,3\n")
    table, names = read_text_table(tmp_path / "t.csv", {"ra", "dec"}.__contains__)
    assert (table.colnames, names) == (["ra [deg]", "dec"], ["ra [deg]", "x", "dec"])


def test_sextractor_and_vizier_state_units_beside_their_names(tmp_path: Path) -> None:
    head = "# 1 NUMBER  Running object number\n# 2 ALPHA_J2000  Right ascension [deg]\n# 3 DELTA_J2000 Dec [deg]\n"
    (tmp_path / "s.cat").write_text(
        f"{head}# 4 MAG_APER Magnitudes [mag]\n# 6 FLUX_RADIUS [pixel]\n 7 1.5 2.5 20 21 5\n"
    )
    read = read_targets(tmp_path / "s.cat", TargetOptions(r50="FLUX_RADIUS", pixel_scale_arcsec=0.03))
    assert (read["ext_id"][0], read["ra"][0], read["r50_arcsec"][0]) == ("7", 1.5, pytest.approx(0.15))
    with pytest.raises(CatalogError, match="FLUX_RADIUS is in pixels: say with pixel_scale_arcsec"):
        read_targets(tmp_path / "s.cat", TargetOptions(r50="FLUX_RADIUS"))
    (tmp_path / "v.tsv").write_text(
        '#VizieR\n\n_RAJ2000\t_DEJ2000\tID\tS\n"h:m:s"\t"d:m:s"\t \tarcmin\n---------\t------\t-\t---\n'
        "10 00 24.0\t+02 12 00\t007\t0.5\n"
    )
    read = read_targets(tmp_path / "v.tsv", TargetOptions(fov="S"))
    assert (read["ext_id"][0], read["ra"][0], read["fov_arcsec"][0]) == ("007", pytest.approx(150.1), 30.0)
