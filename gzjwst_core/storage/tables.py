"""Tables to files and back: parquet (canonical), ECSV (for reading by eye); FITS is in `fits_tables`.

Units, UCDs, descriptions and sources of definitions are kept. Here: the formats and the fitting of a table to
`columns`. Not here: what the columns mean (`columns`), which rows there are (`merge`, `select`), and putting a file
atomically at its final name (`storage`): these functions write to the path they are given. Same table, same library
versions = same bytes: no clock is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column as TableColumn
from astropy.table import Table
from astropy.table import meta as table_meta
from numpy.typing import NDArray

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import Output

__all__ = [
    "COMMENTS",
    "Column",
    "apply_columns",
    "decoded",
    "empty_table",
    "parquet_columns",
    "plain_table",
    "read_parquet",
    "write_ecsv",
    "write_parquet",
    "write_table",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    dtype: str
    unit: str
    ucd: str
    meaning: str
    source: str = ""
    """Where the definition comes from; empty where the meaning says it all."""


COMMENTS = "comments"
"""Name in a table's meta of lines that explain it: COMMENT cards of a FITS header, as astropy reads them."""

_YAML = b"table_meta_yaml"
"""Where astropy's own parquet reader looks for units, descriptions and column meta."""

_VOTABLE = b"IVOA.VOTable-Parquet.content"
"""Where TOPCAT and STILTS put a VOTable without data, whose fields have the units."""
_BAD_METADATA = (table_meta.YamlParseError, ParseError, RecursionError, AttributeError, KeyError, TypeError, ValueError)

AnyPath = str | PathLike[str]


def write_table(folder: Folder, relative: str, table: Table) -> Output:
    """Write a table as parquet into a folder, complete or not at all.

    Parameters
    ----------
    folder, relative
        Where.
    table
        What.

    Returns
    -------
    Output
        The file, with its size and digest.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    with folder.writing(relative) as path:
        write_parquet(table, path)
    return folder.output(relative)


def write_parquet(table: Table, path: AnyPath) -> None:
    """Write a table as parquet, with everything astropy's own parquet reader needs to restore it.

    Parameters
    ----------
    table
        One-dimensional columns of bool, integer, float or str; masked floats become NaN and masked strings empty.
        `unit`, `description` and `meta` (with `ucd`) of each column and the table's `meta` are kept.
    path
        Local path, overwritten.

    Raises
    ------
    CatalogError
        A column cannot be stored (objects, arrays, masked integers); names it.
    StorageError
        The file cannot be written.

    Notes
    -----
    pandas reads the same file; for readers that know neither, each Arrow field carries unit, description and UCD too.
    """
    plain = plain_table(table)
    arrays = [pa.array(_native(column)) for column in plain.itercols()]
    fields = [_arrow_field(column, array.type) for column, array in zip(plain.itercols(), arrays, strict=True)]
    schema = pa.schema(fields, metadata=_file_metadata(plain))
    try:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), fspath(path), compression="zstd")
    except OSError as error:
        raise storage_error(error, fspath(path)) from error


def read_parquet(path: AnyPath, columns: Iterable[str] | None = None, *, where: tuple[str, str] | None = None) -> Table:
    """Read a parquet table: ours with everything it was written with, any other by its plain columns.

    Parameters
    ----------
    path
        Local path.
    columns
        Names to read, in this order; None = all.
    where
        A column and the value its rows must have: only those rows are read into memory.

    Returns
    -------
    Table
        Strings are `str`, missing strings empty, missing floats NaN; other columns with missing values are masked.

    Raises
    ------
    CatalogError
        The file is not parquet, its metadata are damaged, a column asked for is not in it, or holds more than one value
        a row.
    StorageError
        The file cannot be opened.
    """
    with _reading(path):
        schema = pq.read_schema(fspath(path))
        wanted = _wanted(schema, columns, path)
        keep = None if where is None else [(where[0], "==", where[1])]
        arrow = pq.read_table(fspath(path), columns=wanted, filters=keep)
        table = Table({name: _from_arrow(arrow[name]) for name in wanted}, copy=False)
    try:
        _restore(table, schema)
    except _BAD_METADATA as error:
        raise CatalogError(f"{path}: its metadata, which state units, cannot be read") from error
    return table


def parquet_columns(path: AnyPath) -> dict[str, str]:
    """Return the type of each column of a parquet file that holds more than one value a row; empty for the others."""
    with _reading(path):
        schema = pq.read_schema(fspath(path))
        return {field.name: "" if _is_plain(field.type) else str(field.type) for field in schema}


@contextmanager
def _reading(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, fspath(path)) from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: not a parquet table that can be read: {' '.join(str(error).split())}") from error


def write_ecsv(table: Table, path: AnyPath) -> None:
    """Write a table as ECSV: plain text with a header that any reader of it restores units and descriptions from.

    Parameters
    ----------
    table
        As for `write_parquet`. Numbers are written so that they read back to the same bits. Empty text reads back as a
        missing value, which is how ECSV says it.
    path
        Local path, overwritten.

    Raises
    ------
    CatalogError
        A column cannot be stored; names it.
    StorageError
        The file cannot be written.
    """
    try:
        plain_table(table).write(fspath(path), format="ascii.ecsv", overwrite=True)
    except OSError as error:
        raise storage_error(error, fspath(path)) from error


def apply_columns(table: Table, columns: Sequence[Column]) -> Table:
    """Fit a table to its columns: exactly these, in this order, with their dtype, unit, UCD and meaning.

    Parameters
    ----------
    table
        Any order; column values must be convertible without loss of meaning (no NaN to integers).
    columns
        From `gzjwst_core.catalog.columns`.

    Returns
    -------
    Table
        A new table, with the same `meta`.

    Raises
    ------
    CatalogError
        Columns are missing or unknown, or a value does not fit its dtype; names them.
    """
    names = [c.name for c in columns]
    missing = [n for n in names if n not in table.colnames]
    unknown = [n for n in table.colnames if n not in set(names)]
    if missing or unknown:
        raise CatalogError(f"columns do not fit: missing {missing or 'none'}, unknown {unknown or 'none'}")
    return Table([_fit(table[c.name], c) for c in columns], meta=dict(table.meta), copy=False)  # `_fit` has copied


def empty_table(columns: Sequence[Column]) -> Table:
    """Return a table without rows that has these columns."""
    return Table([_fit(np.zeros(0, dtype=c.dtype), c) for c in columns])


# ---------------------------------------------------------------- columns of one table


def _fit(values: Any, column: Column) -> TableColumn:
    made = TableColumn(
        _converted(np.asarray(values), column),
        name=column.name,
        unit=column.unit or None,
        description=column.meaning,
    )
    made.meta["ucd"] = column.ucd
    if column.source:
        made.meta["source"] = column.source
    return made


def _converted(values: NDArray[Any], column: Column) -> NDArray[Any]:
    target = np.dtype(column.dtype)
    if target.kind == "U":
        return values.astype(str)
    if target.kind in "iub" and values.size:
        _refuse_loss(values, target, column.name)
    return values.astype(target)


def _refuse_loss(values: NDArray[Any], target: np.dtype[Any], name: str) -> None:
    if values.dtype.kind not in "iubf" or (target.kind == "b" and values.dtype.kind != "b"):
        raise CatalogError(f"column {name}: {values.dtype} does not fit {target}")
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise CatalogError(f"column {name}: NaN or infinite values do not fit {target}")
    if target.kind in "iu":
        limits = np.iinfo(target)
        low, high = values.min(), values.max()
        if int(low) < limits.min or int(high) > limits.max:
            raise CatalogError(f"column {name}: values from {low} to {high} do not fit {target}")


def plain_table(table: Table) -> Table:
    """Return the table with ordinary columns only; refuses what no format of ours can hold (CatalogError)."""
    columns = []
    for column in table.itercols():
        values = _unmasked(column)
        if values.ndim != 1 or values.dtype.kind not in "biufU":
            raise CatalogError(
                f"column {column.info.name}: {values.ndim}-dimensional {values.dtype} cannot be stored"
                " (allowed: one-dimensional bool, integer, float, str)"
            )
        kept = TableColumn(values, name=column.info.name, unit=column.info.unit, description=column.info.description)
        kept.meta = dict(column.info.meta or {})
        columns.append(kept)
    return Table(columns, meta=dict(table.meta), copy=False)


def _unmasked(column: Any) -> NDArray[Any]:
    if not np.any(getattr(column, "mask", False)):
        return np.asarray(column)
    if column.dtype.kind == "f":
        return np.asarray(column.filled(np.nan))
    if column.dtype.kind == "U":
        return np.asarray(column.filled(""))
    raise CatalogError(f"column {column.info.name}: missing values of {column.dtype} cannot be stored")


# ---------------------------------------------------------------- parquet


def _native(column: TableColumn) -> NDArray[Any]:
    values = np.asarray(column)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _arrow_field(column: TableColumn, kind: Any) -> Any:
    said = {
        "unit": "" if column.unit is None else column.unit.to_string(),
        "description": column.description or "",
        "ucd": str(column.meta.get("ucd", "")),
        "source": str(column.meta.get("source", "")),
    }
    return pa.field(column.name, kind, nullable=False, metadata={k: v for k, v in said.items() if v})


def _file_metadata(table: Table) -> dict[bytes, bytes]:
    lengths = {
        f"table::len::{c.name}".encode(): str(max(c.dtype.itemsize // 4, 1)).encode()
        for c in table.itercols()
        if c.dtype.kind == "U"
    }
    return {**lengths, _YAML: "\n".join(table_meta.get_yaml_from_table(table)).encode()}


def _wanted(schema: Any, columns: Iterable[str] | None, path: AnyPath) -> list[str]:
    wanted = schema.names if columns is None else list(columns)
    missing = [n for n in wanted if n not in schema.names]
    if missing:
        raise CatalogError(f"{path}: no column {', '.join(missing)} (it has {', '.join(schema.names)})")
    for name in wanted:
        if schema.names.count(name) > 1:
            raise CatalogError(f"{path}: column {name} is there twice")
        if not _is_plain(kind := schema.field(name).type):
            raise CatalogError(f"{path}: column {name} holds {kind} (allowed: one number or text a row)")
    return wanted


def _is_plain(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType))


def _from_arrow(column: Any) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        return np.array(column.to_numpy())  # a copy: Arrow's own buffers are read-only
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if not column.null_count:
            return np.array(column.to_numpy())
        none = False if pa.types.is_boolean(kind) else 0
        return np.ma.array(column.fill_null(none).to_numpy(), mask=column.is_null().to_numpy())
    return np.asarray([_text(value) for value in column.to_pylist()], dtype=str)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return decoded(value)
    return "" if value is None else str(value)


def decoded(value: bytes) -> str:
    """Return text that came as bytes: UTF-8, else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _restore(table: Table, schema: Any) -> None:
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    fields = fromstring(metadata[_VOTABLE]).iter() if _VOTABLE in metadata else ()  # noqa: S314 (expat bounds entities)
    units = {field.get("name"): field.get("unit") for field in fields if field.tag.endswith("FIELD")}
    for name in table.colnames:
        unit = (schema.field(name).metadata or {}).get(b"unit", b"").decode() or units.get(name)
        table[name].unit = unit or None
    if _YAML not in metadata:
        return
    header = table_meta.get_header_from_yaml(metadata[_YAML].decode().split("\n"))
    table.meta.update(header.get("meta", {}))
    for said in header["datatype"]:
        if said["name"] in table.colnames:
            column = table[said["name"]]
            column.unit = said.get("unit") or column.unit
            column.description = said.get("description")
            column.meta.update(said.get("meta", {}))
