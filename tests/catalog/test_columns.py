"""One table of columns: complete, in standard units, the same in every format and in the docs."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gzjwst_core.catalog.columns import APERTURE_COLUMNS, BAND_COLUMNS, MATCHED_COLUMNS, SURVEY_COLUMNS, columns_for
from gzjwst_core.catalog.crossmatch import MATCH_COLUMNS, SUMMARY_COLUMNS
from gzjwst_core.catalog.definitions import REFERENCES, SOURCE_OF
from gzjwst_core.catalog.export import write_copies
from gzjwst_core.catalog.flag_texts import flag_notes
from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.storage.fits_tables import read_fits_table
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import COMMENTS, Column, apply_columns, read_parquet, write_parquet

COLUMNS = (*SURVEY_COLUMNS, *columns_for(["F150W", "F277W"], [0.3, 1.0], matched=True))
UCD = r"[a-z]+(\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*)*"
DOCS = Path(__file__).parents[2] / "docs"


def catalog(rows: int = 4) -> Table:
    rng = np.random.default_rng(3)
    values: dict[str, object] = {c.name: rng.uniform(0, 1, rows) for c in COLUMNS}
    values |= {c.name: rng.integers(0, 9, rows) for c in COLUMNS if np.dtype(c.dtype).kind in "iu"}
    values |= {c.name: np.array([f"{c.name}{n}" for n in range(rows)]) for c in COLUMNS if c.dtype == "str"}
    values |= {c.name: np.arange(rows) % 2 == 0 for c in COLUMNS if c.dtype == "bool"}
    values["field"], values["ext_id"] = np.array(["o001", "o002"] * 9)[:rows], np.full(rows, "")
    values["flags"] = np.array([0, 2**32 - 1, int(Flag.EDGE), int(Flag.TARGET)] * 9)[:rows]
    made = apply_columns(Table(values), COLUMNS)
    made["r50"][1:2], made["F277W_flux_auto"][:1] = np.nan, -1e-7
    made.meta.update({"survey": "demo", COMMENTS: flag_notes()})
    return made


@pytest.mark.parametrize("column", [*COLUMNS, *SUMMARY_COLUMNS, *MATCH_COLUMNS], ids=lambda column: column.name)
def test_every_column_says_everything(column: Column) -> None:
    assert column.source, "give it a source in catalog/definitions.py"
    assert set(re.findall(r"\[([^\]]*)\]", column.source)) <= {", ".join(k) for k in _keys()}
    for text in (column.meaning, column.source):
        assert 0 < len(text) + text.count("'") <= 68
        assert text.isascii()
    assert all(re.fullmatch(UCD, word) for word in column.ucd.split(";"))
    assert np.dtype(column.dtype).kind in "Ubiuf"
    for form in ("fits", "vounit"):
        assert u.Unit(u.Unit(column.unit).to_string(form), format=form) == u.Unit(column.unit)


def _keys() -> set[tuple[str, ...]]:
    return {tuple(key.split(", ")) for s in SOURCE_OF.values() for key in re.findall(r"\[([^\]]*)\]", s)}


def test_the_definitions_are_those_of_the_columns() -> None:
    of_bands = (*BAND_COLUMNS, *MATCHED_COLUMNS, *APERTURE_COLUMNS)
    templates = {c.name for c in (*SURVEY_COLUMNS, *columns_for([], []), *of_bands)}
    assert set(SOURCE_OF) == templates
    assert {key for keys in _keys() for key in keys} == set(REFERENCES)
    assert len({c.name for c in COLUMNS}) == len(COLUMNS)


def test_every_flag_has_a_text() -> None:
    assert set(FLAG_MEANINGS) == set(Flag)
    assert all(len(note) <= 72 and note.isascii() and str(note) == note.rstrip() for note in flag_notes())


def test_the_page_of_columns_is_not_stale() -> None:
    made = runpy.run_path(str(DOCS / "columns.py"))["page"]()
    assert made == (DOCS / "columns.md").read_text(), "run python docs/columns.py"


@pytest.mark.parametrize("rows", [4, 0])
def test_parquet_fits_and_ecsv_agree(tmp_path: Path, rows: int) -> None:
    made = catalog(rows)
    write_copies(Folder(str(tmp_path)), made)
    write_parquet(made, tmp_path / "catalog" / "catalog.parquet")
    ours = read_parquet(tmp_path / "catalog" / "catalog.parquet")
    ecsv = Table.read(tmp_path / "catalog" / "catalog.ecsv", format="ascii.ecsv")
    for other in (read_fits_table(tmp_path / "catalog" / "catalog.fits"), ecsv):
        assert other.colnames == ours.colnames == [c.name for c in COLUMNS]
        for column in COLUMNS:
            one, two = ours[column.name], other[column.name]
            assert two.dtype.kind == one.dtype.kind
            assert column.dtype == "str" or two.dtype == one.dtype == np.dtype(column.dtype)
            values = two.filled("") if column.dtype == "str" and hasattr(two, "filled") else two
            np.testing.assert_array_equal(np.asarray(one), np.asarray(values))
            assert (two.unit, two.description) == (one.unit, column.meaning)
            assert dict(two.meta) == dict(one.meta) == {"ucd": column.ucd, "source": column.source}
    assert ecsv.meta == ours.meta == made.meta


def test_the_raw_fits_header_is_what_topcat_reads(tmp_path: Path) -> None:
    write_copies(Folder(str(tmp_path)), catalog())
    read = Table.read(tmp_path / "catalog" / "catalog.fits")
    assert read.meta["comments"] == flag_notes()
    with fits.open(tmp_path / "catalog" / "catalog.fits") as hdus:
        hdus.verify("exception")
        header = hdus["CATALOG"].header
    assert "CONTINUE" not in header
    assert "DATE" not in header
    for number, column in enumerate(COLUMNS, start=1):
        assert header[f"TTYPE{number}"] == column.name
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.meaning
        assert header[f"TSRC{number}"] == column.source
        assert u.Unit(header.get(f"TUNIT{number}", ""), format="fits") == u.Unit(column.unit)
        assert (read[column.name].unit or "") == u.Unit(column.unit)


def test_a_large_catalog_has_no_ecsv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gzjwst_core.catalog.export.ECSV_ROWS", 4)
    outputs = write_copies(Folder(str(tmp_path)), catalog(4))
    assert [output.path for output in outputs] == [
        "catalog/catalog.fits",
        "catalog/regions/o001.reg",
        "catalog/regions/o002.reg",
    ]
