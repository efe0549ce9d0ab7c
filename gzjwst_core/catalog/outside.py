"""Tables that others made, as plain columns: several files as one, columns by name, angles and sizes in our units.

Parquet, FITS, CSV and ECSV. What the columns are used for is in `target_list` and `crossmatch`.
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.io.ascii import InconsistentTableError
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.options import TableOptions
from gzjwst_core.paths import files_at
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.fits_tables import fits_column_names, read_fits_table
from gzjwst_core.storage.tables import parquet_column_names, read_parquet

__all__ = ["Outside", "digest_of_files", "read_outside"]

Floats = NDArray[np.float64]

_RA = ("ra", "ra_deg", "radeg", "ra_icrs", "raj2000", "_raj2000", "ra_j2000", "alpha_j2000", "alphawin_j2000")
_DEC = (
    *("dec", "dec_deg", "decdeg", "dedeg", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "decj2000", "dec_j2000"),
    *("delta_j2000", "deltawin_j2000"),
)
_ID = ("ext_id", "id", "id_str", "source_id", "objid", "object_id", "objectid", "number", "name", "iauname")
_OPTAP = "_optap"
"""Ends the names of ASTRODEEP's files; what is before it names the field."""

_BAD_MAG = 60.0  # 99 and -99 stand for none


class _Part(NamedTuple):
    """One file."""

    table: Table
    """The columns that are wanted."""
    names: list[str]
    """Of all its columns."""


class Outside:
    """One table, or several files as one; columns are asked for by name, in any case.

    Parameters
    ----------
    parts
        What was read of each file, by the file's name without its ending.
    where
        Names the table in messages.
    """

    def __init__(self, parts: Mapping[str, _Part], where: str) -> None:
        self._parts = parts
        self._where = where

    def __len__(self) -> int:
        return sum(len(part.table) for part in self._parts.values())

    def has(self, name: str, usual: Sequence[str] = ()) -> bool:
        """Whether a column is there: the named one, or where none is named one of the usual names.

        Raises
        ------
        CatalogError
            A column that was named is not there.
        """
        return all(self._column(part, name, usual) is not None for part in self._parts.values())

    def angles(self, name: str, usual: Sequence[str] = ()) -> Floats:
        """Return a column in degrees (float64), NaN where there is no number; degrees where it states no unit.

        Raises
        ------
        CatalogError
            No such column.
        """
        return self._floats(name, usual, u.deg, u.deg)

    def lengths(self, name: str, usual: Sequence[str] = (), *, unit: str = "arcsec") -> Floats:
        """Return a column in arcsec; what is not above 0 is NaN. `unit` is that of a column that states none."""
        values = self._floats(name, usual, u.Unit(unit), u.arcsec)
        return np.where(np.isfinite(values) & (values > 0), values, np.nan)

    def numbers(self, name: str, unit: str = "", to: str = "", *, usual: Sequence[str] = ()) -> Floats:
        """Return a column of numbers, from its own unit or `unit` to another."""
        return self._floats(name, usual, u.Unit(unit), u.Unit(to))

    def magnitudes(self, name: str, usual: Sequence[str] = ()) -> Floats:
        """Return a column of magnitudes, NaN where there is none: 99 and -99 stand for none."""
        values = self._floats(name, usual, u.mag, u.mag)
        return np.where(np.abs(values) < _BAD_MAG, values, np.nan)

    def texts(self, name: str) -> NDArray[np.str_]:
        """Return a column as text; empty where there is none."""
        parts = [part.table[self._column(part, name, ())] for part in self._parts.values()]
        return np.concatenate([np.ma.filled(np.ma.asarray(part.astype(str)), "") for part in parts])

    def identifiers(self, name: str) -> NDArray[np.str_]:
        """Return unique identifiers: the column's, or numbers of rows from 1; those of several files as `file:id`.

        Raises
        ------
        CatalogError
            One is there twice in a file; names file, column and both rows.
        """
        found = [self._of_part(stem, part, name) for stem, part in self._parts.items()]
        return np.concatenate(found)

    @property
    def which_catalogue(self) -> NDArray[np.str_]:
        """File each row is of: its name without the ending, and without `_optap`."""
        return np.concatenate([np.full(len(part.table), stem) for stem, part in self._parts.items()])

    def _of_part(self, stem: str, part: _Part, name: str) -> NDArray[np.str_]:
        key = self._column(part, name, _ID)
        if key is None:
            found = [str(row) for row in range(1, len(part.table) + 1)]
        else:
            found = [str(value) for value in np.ma.filled(np.ma.asarray(part.table[key].astype(str)), "").tolist()]
            _refuse_doubles(found, f"{self._where}{f' ({stem})' if len(self._parts) > 1 else ''}: column {key}")
        return np.array([f"{stem}:{one}" for one in found] if len(self._parts) > 1 else found, dtype=str)

    def _floats(self, name: str, usual: Sequence[str], default: u.UnitBase, to: u.UnitBase) -> Floats:
        parts = []
        for part in self._parts.values():
            key = self._column(part, name, usual)
            if key is None:
                raise CatalogError(f"{self._where}: no column of {', '.join(usual)} (it has {_few(part.names)})")
            parts.append(_converted(part.table[key], default, to))
        return np.concatenate(parts)

    def _column(self, part: _Part, name: str, usual: Sequence[str]) -> str | None:
        """Return a table's own name of a column, in the order of the usual names."""
        known = {own.lower(): own for own in reversed(part.names)}
        if name and name.lower() not in known:
            raise CatalogError(f"{self._where}: no column {name} (it has {_few(part.names)})")
        return next((known[one.lower()] for one in ([name] if name else usual) if one.lower() in known), None)


def read_outside(
    path: str | PathLike[str], options: TableOptions, columns: Iterable[str] = ()
) -> tuple[Outside, Floats, Floats]:
    """Read somebody's table.

    Parameters
    ----------
    path
        `.parquet`, `.fits` (also `.fits.gz`), `.csv` or `.ecsv`, or a pattern that several files of one kind answer to.
    options
        Names of columns.
    columns
        Names of columns, in any case, that will be asked for besides identifiers and positions. The others stay out of
        memory: public tables have hundreds.

    Returns
    -------
    table, ra, dec
        The columns, and positions as they are (deg, float64; NaN where there is no number).

    Raises
    ------
    CatalogError
        The kind of file or its columns are not known, it has no rows, or it cannot be parsed; names file and column.
    StorageError
        A file cannot be opened, or none answers to the pattern.
    """
    files = _existing(path)
    wanted = {name.lower() for name in (*columns, options.id, options.ra, options.dec, *_ID, *_RA, *_DEC)}
    parts = {_stem(file): _read(file, options.hdu, wanted) for file in files}
    if len(parts) < len(files):
        raise CatalogError(f"{path}: two files have the same name")
    found = Outside(parts, str(path) if len(files) > 1 else str(files[0]))
    return found, found.angles(options.ra, _RA), found.angles(options.dec, _DEC)


def digest_of_files(path: str | PathLike[str], *, named: bool = False) -> str:
    """Digest of what the files hold; where there are several their names count too, as rows are named by them.

    Parameters
    ----------
    path
        As for `read_outside`.
    named
        The name of a single file counts as well: `which_catalogue` is made of it.

    Raises
    ------
    StorageError
        A file is not there (`not_found`) or cannot be read.
    """
    digests = {_stem(file): _digest(file) for file in _existing(path)}
    if len(digests) == 1 and not named:
        return next(iter(digests.values()))
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def _existing(path: str | PathLike[str]) -> list[Path]:
    files = files_at(path)
    if not files:
        raise StorageError(f"{path}: no such file", reason="not_found")
    return files


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(error, path) from error


def _stem(path: Path) -> str:
    return path.name.partition(".")[0].removesuffix(_OPTAP)


def _read(path: Path, hdu: str, wanted: Container[str]) -> _Part:
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    reader = _READERS.get(suffix.lower())
    if reader is None:
        raise CatalogError(f"{path}: a table is one of {', '.join(_READERS)}")
    part = reader(path, hdu, wanted)
    if part.table.colnames and len(part.table) == 0:
        raise CatalogError(f"{path}: the table has no rows")
    return part


def _chosen(names: Iterable[str], wanted: Container[str]) -> list[str]:
    return [name for name in names if name.lower() in wanted]


def _from_parquet(path: Path, _hdu: str, wanted: Container[str]) -> _Part:
    names = parquet_column_names(path)
    return _Part(read_parquet(path, _chosen(names, wanted)), names)


def _from_fits(path: Path, hdu: str, wanted: Container[str]) -> _Part:
    names = fits_column_names(path, hdu)
    return _Part(read_fits_table(path, hdu, _chosen(names, wanted)), names)


def _from_text(form: str, path: Path, _hdu: str, wanted: Container[str]) -> _Part:
    table = _read_text(path, form)
    names = list(table.colnames)
    table.keep_columns(_chosen(names, wanted))
    return _Part(table, names)


_READERS: Mapping[str, Callable[[Path, str, Container[str]], _Part]] = {
    ".parquet": _from_parquet,
    ".pq": _from_parquet,
    ".fits": _from_fits,
    ".fit": _from_fits,
    ".csv": partial(_from_text, "ascii.csv"),
    ".ecsv": partial(_from_text, "ascii.ecsv"),
}


def _read_text(path: Path, form: str) -> Table:
    try:
        return Table.read(path, format=form)
    except OSError as error:
        raise storage_error(error, path) from error
    except (InconsistentTableError, ValueError) as error:
        raise CatalogError(f"{path}: cannot be read as {form.partition('.')[2].upper()}: {error}") from error


def _few(names: Sequence[str], most: int = 30) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _refuse_doubles(found: Sequence[str], where: str) -> None:
    first: dict[str, int] = {}
    for row, identifier in enumerate(found, start=1):
        if identifier in first:
            both = f"rows {first[identifier]} and {row}"
            raise CatalogError(f"{where}: {identifier!r} is in {both}; each may be there once")
        first[identifier] = row


def _converted(column: Any, default: u.UnitBase, to: u.UnitBase) -> Floats:
    stated = column.unit if isinstance(column.unit, u.UnitBase) and column.unit.is_equivalent(to) else default
    values = _plain_floats(column)
    return values if stated == to else np.asarray((values * stated).to_value(to))


def _plain_floats(column: Any) -> Floats:
    if column.dtype.kind in "iuf":
        return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan))
    return np.array([_float(value) for value in column.tolist()])


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
