"""Tables survive both formats: values, dtypes, units, UCDs, descriptions; and the bytes do not depend on the day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.columns import SOURCE_COLUMNS, SURVEY_COLUMNS, columns_for
from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.storage.fits_tables import read_fits_table, write_fits
from gzjwst_core.storage.tables import Column, apply_columns, empty_table, read_parquet, write_parquet

COLUMNS = (*SURVEY_COLUMNS, *columns_for(["F277W"], [0.3]))
Writer = Callable[[Table, Path], None]
Reader = Callable[[Path], Table]
WRITERS: list[tuple[Writer, Reader]] = [(write_parquet, read_parquet), (write_fits, read_fits_table)]


def small_table() -> Table:
    table = empty_table(COLUMNS)
    for row in range(3):
        table.add_row(
            {c.name: (f"s{row}é" if c.dtype == "str" else row + 0.5 if "f" in c.dtype else row) for c in COLUMNS}
        )
    table = Table({c.name: np.asarray(table[c.name]) for c in COLUMNS})
    table["id_str"] = ["a", "bb", ""]
    table["is_primary"] = [True, False, True]
    table["flags"] = np.array([0, 2**32 - 1, 5], dtype="uint32")
    table["r50"][1] = np.nan
    return apply_columns(table, COLUMNS)


@pytest.mark.parametrize(("write", "read"), WRITERS)
@pytest.mark.parametrize("rows", [3, 0])
def test_a_table_comes_back_as_it_went(tmp_path: Path, write: Writer, read: Reader, rows: int) -> None:
    table = small_table()[:rows]
    table["field"] = np.array(["f1", "f22", "f"][:rows], dtype="U3")
    table["ext_id"] = table["which_catalogue"] = np.array(["", "", ""][:rows], dtype="U1")
    table = apply_columns(table, COLUMNS)
    write(table, tmp_path / "t")
    back = read(tmp_path / "t")
    assert back.colnames == table.colnames
    for column in COLUMNS:
        ours, theirs = table[column.name], back[column.name]
        np.testing.assert_array_equal(ours, theirs)
        assert theirs.dtype.kind == ours.dtype.kind
        assert theirs.dtype.isnative
        if ours.dtype.kind != "U":
            assert theirs.dtype == np.dtype(column.dtype)
        assert theirs.unit == ours.unit
        assert theirs.meta["ucd"] == column.ucd


def test_parquet_keeps_descriptions_and_table_meta(tmp_path: Path) -> None:
    table = small_table()
    table.meta["survey"] = {"name": "demo", "bands": ["F277W"]}
    write_parquet(table, tmp_path / "t.parquet")
    back = read_parquet(tmp_path / "t.parquet")
    assert back.meta["survey"] == {"name": "demo", "bands": ["F277W"]}
    assert back["ra"].description == "right ascension, ICRS"
    assert back["ext_id"][0] == "s0é"


def test_a_reader_that_knows_only_arrow_finds_unit_and_ucd(tmp_path: Path) -> None:
    write_parquet(small_table(), tmp_path / "t.parquet")
    field = pq.read_schema(tmp_path / "t.parquet").field("ra")
    assert field.metadata[b"unit"] == b"deg"
    assert field.metadata[b"ucd"] == b"pos.eq.ra;meta.main"


def test_fits_header_is_what_topcat_reads(tmp_path: Path) -> None:
    table = small_table()
    table.meta.update({"SURVEY": "demo", "a_longer_name": 1})
    write_fits(table, tmp_path / "t.fits")
    with fits.open(tmp_path / "t.fits") as hdus:
        hdus.verify("exception")
        header = hdus["CATALOG"].header
        number = hdus["CATALOG"].columns.names.index("mu_max") + 1
        assert header[f"TUNIT{number}"] == "mag arcsec-2"
        assert header[f"TUCD{number}"] == "phot.mag.sb;stat.max"
        assert header[f"TCOMM{number}"] == "brightest pixel, reference band"
        assert header["SURVEY"] == "demo"
        assert "DATE" not in header
        assert "DATE" not in hdus[0].header
        assert hdus["CATALOG"].data["ext_id"][0] == "s0\\xe9"


@pytest.mark.parametrize(("write", "read"), WRITERS)
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, write: Writer, read: Reader) -> None:
    write(small_table(), tmp_path / "one")
    write(read_parquet_again(tmp_path), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def read_parquet_again(folder: Path) -> Table:
    write_parquet(small_table(), folder / "copy.parquet")
    return read_parquet(folder / "copy.parquet")


def test_masked_values_become_nan_and_empty_text(tmp_path: Path) -> None:
    table = Table(
        {"f": MaskedColumn([1.0, 2.0], mask=[True, False]), "s": MaskedColumn(["a", "b"], mask=[False, True])}
    )
    write_parquet(table, tmp_path / "t")
    back = read_parquet(tmp_path / "t")
    assert np.isnan(back["f"][0])
    assert list(back["s"]) == ["a", ""]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (MaskedColumn([1, 2], mask=[True, False]), "missing"),
        (np.array([{}, None], dtype=object), "object"),
        (np.zeros((2, 2)), "2-dim"),
    ],
)
def test_what_no_format_can_hold_is_refused_by_name(tmp_path: Path, values: Any, name: str) -> None:
    with pytest.raises(CatalogError, match=f"column bad.*{name}"):
        write_parquet(Table({"bad": values}), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_only_some_columns_can_be_read(tmp_path: Path) -> None:
    write_parquet(small_table(), tmp_path / "t")
    assert read_parquet(tmp_path / "t", columns=["dec", "ra"]).colnames == ["dec", "ra"]
    with pytest.raises(CatalogError, match="t: no column decl"):
        read_parquet(tmp_path / "t", columns=["ra", "decl"])


def test_a_file_that_is_not_a_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but nothing else")
    with pytest.raises(CatalogError, match=r"bad\.parquet"):
        read_parquet(tmp_path / "bad.parquet")
    with pytest.raises(StorageError, match=r"none\.parquet"):
        read_parquet(tmp_path / "none.parquet")
    with pytest.raises(StorageError, match=r"bad\.parquet"):
        read_fits_table(tmp_path / "bad.parquet")
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "image.fits")
    with pytest.raises(CatalogError, match="no table in this FITS file"):
        read_fits_table(tmp_path / "image.fits")


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    for write, _ in WRITERS:
        with pytest.raises(StorageError, match="nowhere"):
            write(small_table(), tmp_path / "nowhere" / "t")


def test_apply_columns_names_missing_and_unknown() -> None:
    with pytest.raises(CatalogError, match=r"missing \['ra'.*unknown \['right'\]"):
        apply_columns(Table({"right": [1.0]}), [c for c in SOURCE_COLUMNS if c.name == "ra"])


def test_apply_columns_orders_and_describes() -> None:
    made = apply_columns(Table({"dec": [2], "ra": [1]}), [c for c in SOURCE_COLUMNS if c.name in {"ra", "dec"}])
    assert made.colnames == ["ra", "dec"]
    assert made["ra"].dtype == np.float64
    assert made["ra"].unit == u.deg


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1.0, np.nan], "int32"), ([2**40], "int32"), ([-1], "uint32"), ([1], "bool"), (["a"], "int64")],
)
def test_apply_columns_refuses_values_that_do_not_fit(values: Any, dtype: str) -> None:
    with pytest.raises(CatalogError, match="column n"):
        apply_columns(Table({"n": values}), [Column("n", dtype, "", "meta", "")])


texts = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(texts, st.floats(width=32), st.integers(0, 2**32 - 1), st.booleans()), max_size=6))
def test_any_values_round_trip_through_parquet(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, int, bool]]
) -> None:
    names, dtypes = ("s", "f", "n", "b"), ("str", "float32", "uint32", "bool")
    values = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    plain = {n: np.array(v, dtype=d) for n, v, d in zip(names, values, dtypes, strict=True)}
    table = apply_columns(Table(plain), [Column(n, d, "", "meta", "") for n, d in zip(names, dtypes, strict=True)])
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    write_parquet(table, path)
    back = read_parquet(path)
    for name in names:
        np.testing.assert_array_equal(back[name], table[name])


def test_only_the_rows_asked_for_are_read(tmp_path: Path) -> None:
    write_parquet(Table({"field": ["a", "b", "a"], "x": [1, 2, 3]}), tmp_path / "t.parquet")
    table = read_parquet(tmp_path / "t.parquet", ["x"], where=("field", "a"))
    assert table.colnames == ["x"]
    assert table["x"].tolist() == [1, 3]
    assert len(read_parquet(tmp_path / "t.parquet", where=("field", "c"))) == 0


def test_an_integer_that_stands_for_no_value_is_masked_and_the_others_keep_every_digit(tmp_path: Path) -> None:
    columns = [
        fits.Column("MAG", "J", null=-32768, array=np.array([20, -32768, 22], dtype=np.int32)),
        fits.Column("N", "J", null=-5, bzero=2**31, array=np.array([1, 2, 2**31 - 5], dtype=np.uint32)),
        fits.Column("ID", "K", null=-1, array=np.array([2**63 - 1, -1, 1])),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    read = read_fits_table(tmp_path / "t.fits")
    assert read["MAG"].tolist() == [20, None, 22]
    assert read["N"].tolist() == [1, 2, None]
    assert read["ID"].tolist() == [2**63 - 1, None, 1]


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_a_fits_table_that_was_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_fits(Table({"a": np.zeros(5000)}), tmp_path / "t.fits")
    whole = (tmp_path / "t.fits").read_bytes()
    (tmp_path / "t.fits").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CatalogError, match=r"t\.fits: the FITS table is damaged"):
        read_fits_table(tmp_path / "t.fits")
