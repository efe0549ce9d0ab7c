"""Tables to FITS and back: binary tables that TOPCAT shows with units, UCDs, descriptions and sources.

The other formats, and what a table of ours may hold, are in `tables`. Same table, same library versions = same bytes.
"""

import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from os import fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.tables import COMMENTS, AnyPath, decoded, plain_table

__all__ = ["fits_columns", "read_fits_table", "write_fits"]

_TABLES = (fits.BinTableHDU, fits.TableHDU)
_AnyTable: TypeAlias = fits.BinTableHDU | fits.TableHDU
_FLAT = re.compile(r"1?[LBIJKED]|\d*A")
_LDAC_HEADERS = "LDAC_IMHEAD"
_MOST_COLUMNS = 999
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError),
    *(EOFError, VerifyError, zlib.error),
)
"""What astropy raises over headers and data that contradict each other."""


def write_fits(table: Table, path: AnyPath) -> None:
    r"""Write a table as a FITS binary table `CATALOG`, with TUNIT, TUCD, TCOMM and TSRC of every column.

    Parameters
    ----------
    table
        As for `write_parquet`. FITS knows ASCII only: other characters are written as `\xNN`. Of the table's meta,
        text, numbers and booleans with a name of at most 8 characters become header cards, and `comments` COMMENTs.
    path
        Local path, overwritten.

    Raises
    ------
    CatalogError
        A column cannot be stored; names it.
    StorageError
        The file cannot be written.
    """
    plain = plain_table(table)
    columns = [_fits_column(column) for column in plain.itercols()]
    hdu = fits.BinTableHDU.from_columns(columns, nrows=len(plain), name="CATALOG")
    for number, column in enumerate(plain.itercols(), start=1):
        _describe(hdu.header, number, column)
    for key, value in plain.meta.items():
        if len(key) <= 8 and isinstance(value, str | int | float) and len(str(value)) <= 60:
            hdu.header[key.upper()] = value
    for line in plain.meta.get(COMMENTS, ()):
        hdu.header.add_comment(_ascii(line))
    data = BytesIO()  # of a full disk astropy's own writing to files does not tell the error's number
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(data)
    try:
        Path(path).write_bytes(data.getbuffer())
    except OSError as error:
        raise storage_error(error, fspath(path)) from error


def fits_columns(path: AnyPath, hdu: str = "") -> dict[str, str]:
    """Return the TFORM of each column that holds more than one value a row; empty for those `read_fits_table` reads.

    Raises what that raises.
    """
    with _opened(path, hdu) as found:
        return {column.name: "" if _is_flat(column) else str(column.format) for column in found.columns}


def read_fits_table(path: AnyPath, hdu: str = "", columns: Collection[str] | None = None) -> Table:
    """Read a table of a FITS file, binary or ASCII.

    Parameters
    ----------
    path
        Local path.
    hdu
        Name (in any case) or number of the extension; empty = the first table, but not the headers of an LDAC file.
    columns
        Names of those to read; None = all. The others are not read into memory.

    Returns
    -------
    Table
        In the order of the file. Strings are `str` (UTF-8, else Latin-1), and so are all columns of an ASCII table;
        integers with missing values (TNULL) are masked; `unit`, `description` and UCD where the file has them.

    Raises
    ------
    CatalogError
        There is no table in the file, or none of that name (says which there are), or it is damaged.
    StorageError
        The file cannot be opened.
    """
    with _opened(path, hdu) as found:
        try:
            numbered = [(n, c) for n, c in enumerate(found.columns, start=1) if _is_flat(c)]
            wanted = [n for n, column in numbered if columns is None or column.name in columns]
            return Table([_from_fits(found, n) for n in wanted], copy=False)
        finally:
            for column in found.columns:
                column.array = None  # else astropy copies every column when the file is closed


@contextmanager
def _opened(path: AnyPath, hdu: str) -> Iterator[_AnyTable]:
    try:
        with fits.open(fspath(path), memmap=True, character_as_bytes=True) as hdus:
            found = _table_hdu(hdus, hdu, path)
            _refuse_other_width(found, path)
            yield found
    except OSError as error:
        raise storage_error(error, fspath(path)) from error
    except CatalogError:
        raise
    except _DAMAGE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise CatalogError(f"{path}: the FITS table is damaged: {said}") from error


def _fits_column(column: TableColumn) -> fits.Column:
    values = np.asarray(column)
    if values.dtype.kind == "U":
        values = np.char.encode(values, "ascii", "backslashreplace")
        values = values.astype(f"S{max(values.dtype.itemsize, 1)}")
    form, zero = _fits_format(values.dtype)
    return fits.Column(name=column.name, format=form, bzero=zero, array=values, unit=_fits_unit(column.unit))


def _fits_format(dtype: np.dtype[Any]) -> tuple[str, int | None]:
    """TFORM and, as FITS has no unsigned integers, the TZERO that stands for them."""
    if dtype.kind == "S":
        return f"{dtype.itemsize}A", None
    if dtype.kind == "u" and dtype.itemsize > 1:
        return {2: "I", 4: "J", 8: "K"}[dtype.itemsize], 2 ** (8 * dtype.itemsize - 1)
    if dtype.kind == "i" and dtype.itemsize == 1:
        return "I", None
    return {"b1": "L", "u1": "B", "i2": "I", "i4": "J", "i8": "K", "f2": "E", "f4": "E", "f8": "D"}[dtype.str[1:]], None


def _fits_unit(unit: u.UnitBase | None) -> str | None:
    if unit is None:
        return None
    try:
        return str(unit.to_string("fits"))
    except u.UnitScaleError:
        return str(unit.to_string())
    except ValueError:
        return str(unit)


def _describe(header: fits.Header, number: int, column: TableColumn) -> None:
    ucd = str(column.meta.get("ucd", ""))
    if ucd:
        header[f"TUCD{number}"] = ucd
    if column.description:
        header[f"TCOMM{number}"] = _one_card(str(column.description))
    if column.meta.get("source"):
        header[f"TSRC{number}"] = _one_card(str(column.meta["source"]))


def _one_card(text: str) -> str:
    """Fit text to one card, which holds 68 characters: readers do not follow CONTINUE. A quote counts twice."""
    said = _ascii(text)
    room = 68 - said.count("'")
    return said if len(said) <= room else f"{said[: room - 3]}..."


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _from_fits(hdu: _AnyTable, number: int) -> TableColumn:
    column = hdu.columns[number - 1]
    values = np.asarray(hdu.data)[column.name] if isinstance(hdu, fits.TableHDU) else hdu.data.field(number - 1)
    values = np.asarray(values)
    if column.ascii and (column.bscale or column.bzero):
        raise CatalogError(f"column {column.name} of an ASCII table is scaled (TSCAL, TZERO), which is not read")
    if values.dtype.kind == "S":
        values = _texts(values, column)
    # a copy: the file's own memory is gone when it is closed
    made = _column(_native(_without_null(values, column)), column.name)
    text = column.unit
    made.unit = u.Unit(text, parse_strict="silent") if text else None
    made.description = hdu.header.get(f"TCOMM{number}")
    for key, name in (("TUCD", "ucd"), ("TSRC", "source")):
        if f"{key}{number}" in hdu.header:
            made.meta[name] = hdu.header[f"{key}{number}"]
    return made


def _column(values: NDArray[Any], name: str) -> TableColumn:
    return MaskedColumn(values, name=name) if isinstance(values, np.ma.MaskedArray) else TableColumn(values, name=name)


def _texts(values: NDArray[np.bytes_], column: fits.Column) -> NDArray[np.str_]:
    """Decode text: a NUL ends it, blanks fill it, and TNULL of an ASCII table stands for none."""
    texts = [decoded(value.partition(b"\0")[0]).rstrip() for value in values.tolist()]
    if column.ascii:
        null = str(column.null or "").strip()
        texts = ["" if text.strip() == null else text.strip() for text in texts]
    return np.array(texts, dtype=str)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(values.dtype.newbyteorder("="))


def _without_null(values: NDArray[Any], column: fits.Column) -> NDArray[Any]:
    """Mask the integers that stand for no value (TNULL)."""
    if not isinstance(column.null, int) or values.dtype.kind not in "iuf":
        return values
    missing = values == column.null * (column.bscale or 1) + (column.bzero or 0)
    return np.ma.array(values, mask=missing) if missing.any() else values


def _refuse_other_width(hdu: _AnyTable, path: AnyPath) -> None:
    """Refuse rows that are not as wide as their columns: astropy would take values from the wrong bytes."""
    count = hdu.header.get("TFIELDS")
    is_count = type(count) is int and 0 <= count <= _MOST_COLUMNS
    if not (is_count and all(f"TFORM{n}" in hdu.header for n in range(1, count + 1))):
        said = f"TFIELDS is {count!r}: the number of columns, each with its TFORMn, 0 to {_MOST_COLUMNS}, is needed"
        raise CatalogError(f"{path}: the FITS table is damaged: {said}")
    width, stated = hdu.columns.dtype.itemsize, hdu.header["NAXIS1"]
    if width > stated or (width < stated and isinstance(hdu, fits.BinTableHDU)):
        said = f"NAXIS1 is {stated}, its columns (TFIELDS is {count}, TFORMn) have {width} bytes a row"
        raise CatalogError(f"{path}: the FITS table is damaged: {said}")


def _table_hdu(hdus: fits.HDUList, name: str, path: AnyPath) -> _AnyTable:
    tables = {n: h for n, h in enumerate(hdus) if isinstance(h, _TABLES)}
    if not tables:
        raise CatalogError(f"{path}: no table in this FITS file")
    have = ", ".join(f"{n} {h.name}".strip() for n, h in tables.items())
    if not name:
        kept = [h for h in tables.values() if h.name.upper() != _LDAC_HEADERS] or list(tables.values())
        if len(kept) > 1 and len(kept) < len(tables):
            raise CatalogError(f"{path}: several catalogs in one LDAC file: name one with hdu (it has {have})")
        return kept[0]
    wanted = [h for n, h in tables.items() if name.upper() in (str(n), h.name.upper())]
    if not wanted:
        raise CatalogError(f"{path}: no table {name} in this FITS file (it has {have})")
    return wanted[0]


def _is_flat(column: fits.Column) -> bool:
    """Whether it holds one number or text a row: vectors and arrays of other people's tables are left out."""
    return column.ascii or (column.dim is None and _FLAT.fullmatch(str(column.format)) is not None)
