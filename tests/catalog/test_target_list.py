"""A person's table is understood whatever its columns are called, and no row of it is lost in silence."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from gzjwst_core.catalog.target_list import BAD_POSITION, OUTSIDE, read_targets, unplaced
from gzjwst_core.errors import CatalogError, StorageError

FORMATS = {"t.csv": "ascii.csv", "t.ecsv": "ascii.ecsv", "t.fits": "fits", "t.fits.gz": "fits", "t.parquet": "parquet"}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    table = Table({"NUMBER": [7, 9], "ALPHA_J2000": [150.25, 359.5], "DELTA_J2000": [2.5, -1.0], "R50": [0.5, np.nan]})
    table.write(tmp_path / name, format=FORMATS[name])
    read = read_targets(tmp_path / name)
    assert read["ext_id"].tolist() == ["7", "9"]
    assert read["ra"].tolist() == [150.25, 359.5]
    assert read["dec"].tolist() == [2.5, -1.0]
    assert read["fov_arcsec"][0] == pytest.approx(6.0)
    assert np.isnan(read["fov_arcsec"][1])
    assert read["reason"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("ra", "dec"), [("ra", "dec"), ("RA", "DEC"), ("RAJ2000", "DEJ2000"), ("RAdeg", "DEdeg"), ("Ra_Deg", "Dec_Deg")]
)
def test_the_usual_names_of_positions(tmp_path: Path, ra: str, dec: str) -> None:
    (tmp_path / "t.csv").write_text(f"{ra},{dec}\n10.5,-3.25\n")
    read = read_targets(tmp_path / "t.csv")
    assert (read["ra"][0], read["dec"][0]) == (10.5, -3.25)
    assert read["ext_id"].tolist() == ["1"]


def test_bad_positions_stay_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,ra,dec\na,10,1\nb,,1\nc,10,95\nd,nan,2\ne,-5,3\nf,oops,3\ng,inf,3\n")
    read = read_targets(tmp_path / "t.csv")
    reasons = dict(zip(read["ext_id"], read["reason"], strict=True))
    assert reasons == {"a": "", "e": ""} | dict.fromkeys("bcdfg", BAD_POSITION)
    assert read["ra"][4] == 355.0


def test_angles_in_other_units_become_degrees(tmp_path: Path) -> None:
    Table({"ra": [1.0] * u.hourangle, "dec": [0.5] * u.rad}).write(tmp_path / "t.ecsv", format="ascii.ecsv")
    read = read_targets(tmp_path / "t.ecsv")
    assert read["ra"][0] == pytest.approx(15.0)
    assert read["dec"][0] == pytest.approx(np.rad2deg(0.5))


def test_a_stated_field_of_view_wins_over_a_radius(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ra,dec,fov,r50\n1,1,5,0.1\n1,2,-3,0.1\n")
    read = read_targets(tmp_path / "t.csv")
    assert read["fov_arcsec"].tolist() == pytest.approx([5.0, 1.2])


def test_masked_values_are_missing(tmp_path: Path) -> None:
    table = Table({"ra": MaskedColumn([1.0, 2.0], mask=[True, False]), "dec": [1.0, 2.0]})
    table.write(tmp_path / "t.ecsv", format="ascii.ecsv")
    assert read_targets(tmp_path / "t.ecsv")["reason"].tolist() == [BAD_POSITION, ""]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "x,dec\n1,2\n", r"no column of ra, .*it has x, dec"),
        ("t.csv", "ra,y\n1,2\n", r"no column of dec, "),
        ("t.csv", "ra,dec\n", "no rows"),
        ("t.csv", "id,ra,dec\na,1,2\nb,1,2\na,3,4\n", "'a' is in rows 1 and 3"),
        ("t.xlsx", "ra,dec\n1,2\n", r"one of \.parquet, .*\.csv"),
        ("t.ecsv", "ra,dec\n1,2\n", "cannot be read as ECSV"),
        ("t.parquet", "junk", "not a parquet table"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CatalogError, match=said) as caught:
        read_targets(tmp_path / name)
    assert name in str(caught.value)


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    for name in ("t.parquet", "t.fits", "t.csv"):
        with pytest.raises(StorageError, match=name):
            read_targets(tmp_path / name)


def test_targets_are_placed_or_named_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,ra,dec\nin,10,1\nbad,10,95\nout,200,1\ntwice,11,1\n")
    targets = read_targets(tmp_path / "t.csv")
    tables = {"f1": Table({"ext_id": ["in", "twice"]}), "f2": Table({"ext_id": ["twice"]})}
    lost = unplaced(targets, tables)
    assert [(row["what"], row["reason"]) for row in lost] == [("bad", BAD_POSITION), ("out", OUTSIDE)]
    assert lost[1]["detail"] == "ra 200.000000, dec +1.000000"
    assert len(unplaced(targets, {})) == 4
