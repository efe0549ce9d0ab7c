"""Tables that astropy reads whole and that others write: ECSV, IPAC and VOTable, as plain columns."""

import re
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io.ascii import InconsistentTableError
from astropy.io.votable import parse
from astropy.io.votable.exceptions import W30, W51, VOWarning
from astropy.table import Column, MaskedColumn, Table
from astropy.utils.exceptions import AstropyWarning

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.text_tables import text_lines

__all__ = ["read_described_text", "read_votable"]

_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError, RecursionError)
_NO_FLOAT = r"(?i).*Invalid literal for float '(?!(?:null|none|n/a|nan|-*)')"
_STREAM = re.compile(rb"<(?:\w+:)?STREAM\b[^>]*\bhref\b")


def read_described_text(path: Path, form: str) -> tuple[Table, dict[str, str]]:
    """Read a table whose header states types and units.

    Parameters
    ----------
    path
        As for `text_lines`.
    form
        `ecsv` or `ipac`.

    Returns
    -------
    table
        Plain columns, masked where values are missing. A SkyCoord `sky` becomes `sky.ra` and `sky.dec` (ICRS, deg).
    others
        What each further column holds, by its name: it has more than one value a row, or none that is plain.

    Raises
    ------
    CatalogError
        It cannot be read as this kind.
    StorageError
        The file cannot be read.
    """
    with text_lines(path) as lines:
        text = [line.rstrip("\n") for line in lines]
    try:
        return _plain(Table.read(text, format=f"ascii.{form}"))
    except (*_DAMAGE, InconsistentTableError) as error:
        raise CatalogError(f"{path}: cannot be read as {form.upper()}: {_one_line(error)}") from error


def read_votable(path: Path, which: str) -> tuple[Table, dict[str, str]]:
    """Read a table of a VOTable.

    Parameters
    ----------
    path
        Local path.
    which
        Its name, ID or number from 1; empty = the first.

    Returns
    -------
    table, others
        As for `read_described_text`.

    Raises
    ------
    CatalogError
        It is no VOTable, holds none of that name (says which there are), is damaged, or has its data elsewhere.
    StorageError
        The file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error
    if _STREAM.search(data):
        raise CatalogError(f"{path}: the VOTable's data are elsewhere (STREAM href); they must be in the file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            warnings.simplefilter("error", W51)  # else a whole number beyond its bits is cut down to them
            warnings.filterwarnings("error", _NO_FLOAT, W30)  # else it is a missing value
            tables = list(parse(BytesIO(data), filename=str(path), verify="warn").iter_tables())
        known = {str(n): (one.name or one.ID or "") for n, one in enumerate(tables, start=1)}
        chosen = [one for n, one in enumerate(tables, start=1) if which in ("", str(n), one.name, one.ID)]
        if chosen:
            return _plain(chosen[0].to_table(use_names_over_ids=True))
    except (*_DAMAGE, ExpatError, VOWarning, OSError, struct.error) as error:
        raise CatalogError(f"{path}: cannot be read as VOTable: {_one_line(error)}") from error
    have = ", ".join(f"{n} {name}".strip() for n, name in known.items())
    raise CatalogError(f"{path}: no table {which or 1} in this VOTable (it has {have or 'none'})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _plain(table: Table) -> tuple[Table, dict[str, str]]:
    made: list[Any] = []
    others: dict[str, str] = {}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, SkyCoord) and column.ndim == 1:
            sky = column.icrs
            made += [Column(getattr(sky, axis).deg, name=f"{name}.{axis}", unit=u.deg) for axis in ("ra", "dec")]
        elif isinstance(column, Column | MaskedColumn) and column.ndim == 1 and _is_plain(column):
            made.append(column if column.dtype.kind != "O" else column.astype(str))
        else:
            others[name] = f"arrays of {column.shape[1:]}" if column.ndim > 1 else "objects or lists"
    return Table(made, copy=False), others


def _is_plain(column: Column) -> bool:
    """Whether every value is one number or text."""
    if column.dtype.kind == "O":
        return all(isinstance(value, str | None) for value in np.ma.asarray(column).tolist())
    return column.dtype.kind in "biufU"
