"""Tables that others made, as plain columns: several files as one, columns by name, angles and sizes in our units.

Their kinds are the keys of `_READERS`. How a number gets our unit is `stated_units`; what the columns are used for is
in `target_list` and `crossmatch`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.stated_units import (
    ANGLE,
    FLUX,
    MAGNITUDE,
    RIGHT_ASCENSION,
    SIZE,
    Quantity,
    tell,
    texts_of,
    values_of,
)
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import TableOptions
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.file_digests import existing_files, file_label
from gzjwst_core.storage.fits_tables import fits_columns, read_fits_table
from gzjwst_core.storage.other_tables import read_described_text, read_votable
from gzjwst_core.storage.tables import parquet_columns, read_parquet
from gzjwst_core.storage.text_tables import bare_name, read_text_table, text_lines

__all__ = ["Outside", "read_outside"]

Floats = NDArray[np.float64]

_RA = (
    *("ra", "ra_deg", "radeg", "ra_icrs", "raj2000", "_raj2000", "ra_j2000", "alpha_j2000", "alphawin_j2000"),
    *("right_ascension", "rightascension", "_ra", "_ra_icrs", "ra2000", "alpha", "alpha_sky", "alphawin_sky"),
    *("alphapeak_j2000", "alphapeak_sky", "coord_ra", "i_ra", "ramean", "rastack", "x_world", "xwin_world"),
)
_DEC = (
    *("dec", "dec_deg", "decdeg", "dedeg", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "decj2000", "dec_j2000"),
    *("delta_j2000", "deltawin_j2000", "declination", "_de", "_dec", "_de_icrs", "_dec_icrs", "dec2000", "decl"),
    *("delta", "delta_sky", "deltawin_sky", "deltapeak_j2000", "deltapeak_sky", "coord_dec", "i_dec", "decmean"),
    *("decstack", "de", "y_world", "ywin_world"),
)
_ID = (
    *("ext_id", "id", "id_str", "source_id", "objid", "object_id", "objectid", "number", "name", "iauname"),
    *("sourceid", "obj_id", "source_name", "object_name", "objname", "designation", "targetid", "target_id"),
    *("main_id", "identifier"),
)

_BAD_MAG = 60.0  # 99 and -99 stand for none


class _Part(NamedTuple):
    """One file."""

    table: Table
    """The columns that are wanted."""
    names: Mapping[str, str]
    """Of all its columns; what each holds, where it is more than one value a row."""


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
        return all(self._column(stem, name, usual) is not None for stem in self._parts)

    def right_ascensions(self, name: str, usual: Sequence[str] = ()) -> Floats:
        """Return a column in degrees as `angles` does; sexagesimal text without a unit is in hours."""
        return self._values(name, usual, RIGHT_ASCENSION, "deg")

    def angles(self, name: str, usual: Sequence[str] = ()) -> Floats:
        """Return a column in degrees (float64), NaN where there is no number; degrees where it states no unit.

        Raises
        ------
        CatalogError
            No such column, or none that can be read; its unit is not known.
        """
        return self._values(name, usual, ANGLE, "deg")

    def lengths(
        self, name: str, usual: Sequence[str] = (), *, unit: str = "arcsec", pixel_arcsec: float = 0.0
    ) -> Floats:
        """Return a column in arcsec; what is not above 0 is NaN. `unit` is that of a column that states none.

        Parameters
        ----------
        pixel_arcsec
            Side of the pixels that sizes may be in; 0 = not known.
        """
        values = self._values(name, usual, SIZE, unit, pixel_arcsec)
        return np.where(np.isfinite(values) & (values > 0), values, np.nan)

    def fluxes(self, name: str, unit: str) -> Floats:
        """Return a column of fluxes in uJy. `unit` is that of a column that states none."""
        return self._values(name, (), FLUX, unit)

    def magnitudes(self, name: str, usual: Sequence[str] = ()) -> Floats:
        """Return a column of magnitudes, NaN where there is none: 99 and -99 stand for none."""
        values = self._values(name, usual, MAGNITUDE, "mag")
        return np.where(np.abs(values) < _BAD_MAG, values, np.nan)

    def texts(self, name: str) -> NDArray[np.str_]:
        """Return a column as text; empty where there is none."""
        return np.array([text for stem in self._parts for text in self._texts(stem, self._named(stem, name, ()))])

    def identifiers(self, name: str) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        """Return identifiers, always text: the column's, or numbers of rows from 1; of several files as `file:id`.

        Returns
        -------
        identifiers
            (n,) unique; `row 7` where the column has none.
        known
            (n,) whether there is one.

        Raises
        ------
        CatalogError
            One is there twice (names file, column and both rows) or is also the name of a row without one, none is
            there at all, or the column holds what is no identifier.
        """
        found = [self._identifiers(stem, name) for stem in self._parts]
        known = np.array([bool(one) for part in found for one in part], dtype=bool)
        several = len(self._parts) > 1
        made = [
            (f"{stem}:" if several else "") + (one or f"row {row}")
            for stem, part in zip(self._parts, found, strict=True)
            for row, one in enumerate(part, start=1)
        ]
        _refuse_doubles(made, f"{self._where}: identifiers (row N where there is none)")
        return np.array(made, dtype=str), known

    @property
    def which_catalogue(self) -> NDArray[np.str_]:
        """File each row is of: its name without the ending, and without `_optap`."""
        return np.concatenate([np.full(len(part.table), stem) for stem, part in self._parts.items()])

    def _identifiers(self, stem: str, name: str) -> list[str]:
        part, key = self._parts[stem], self._column(stem, name, _ID)
        if key is None:
            tell(f"{self._file(stem)}: no column of identifiers: rows are numbered from 1")
            return [str(row) for row in range(1, len(part.table) + 1)]
        if part.table[key].dtype.kind == "b":
            said = "holds true and false; an identifier is text or a whole number"
            raise CatalogError(f"{self._file(stem)}: column {key} {said}")
        found = self._texts(stem, key)
        if not any(found):
            raise CatalogError(f"{self._file(stem)}: column {key} holds no identifier; name another column")
        _refuse_doubles(found, f"{self._file(stem)}: column {key}")
        return found

    def _texts(self, stem: str, key: str) -> list[str]:
        column = self._parts[stem].table[key]
        return _whole(column, f"{self._file(stem)}: column {key}") if column.dtype.kind == "f" else texts_of(column)

    def _values(
        self, name: str, usual: Sequence[str], what: Quantity, default: str, pixel_arcsec: float = 0.0
    ) -> Floats:
        parts = []
        for stem, part in self._parts.items():
            key = self._named(stem, name, usual)
            where = f"{self._file(stem)}: column {key}"
            parts.append(values_of(part.table[key], what, where, default=default, pixel_arcsec=pixel_arcsec))
        return np.concatenate(parts)

    def _named(self, stem: str, name: str, usual: Sequence[str]) -> str:
        key = self._column(stem, name, usual)
        if key is None:
            raise CatalogError(f"{self._file(stem)}: no column of {', '.join(usual[:9])} ({self._has(stem)})")
        return key

    def _column(self, stem: str, name: str, usual: Sequence[str]) -> str | None:
        """Return a table's own name of a column, in the order of the usual names."""
        names = self._parts[stem].names
        known = {alias: own for own in [*names][::-1] for alias in (bare_name(own).lower(), own.lower())}
        found = [known[one.lower()] for one in ([name] if name else usual) if one.lower() in known]
        if name and not found:
            raise CatalogError(f"{self._file(stem)}: no column {name} ({self._has(stem)})")
        if name and name in names:
            found = [name]
        if not found and usual:  # `sky.ra`, of an object that astropy wrote
            mixed = [own for low, own in known.items() if low.endswith(f".{usual[0]}")]
            found = mixed if len(mixed) == 1 else []
        plain = [own for own in found if not names[own]]
        if found and not plain:
            raise CatalogError(
                f"{self._file(stem)}: column {found[0]} holds {names[found[0]]} (allowed: one value a row)"
            )
        return plain[0] if plain else None

    def _file(self, stem: str) -> str:
        return f"{self._where} ({stem})" if len(self._parts) > 1 else self._where

    def _has(self, stem: str, most: int = 30) -> str:
        names = list(self._parts[stem].names)
        return f"it has {', '.join(names[:most])}" + (f" and {len(names) - most} more" if len(names) > most else "")


def read_outside(
    path: str | PathLike[str], options: TableOptions, columns: Iterable[str] = ()
) -> tuple[Outside, Floats, Floats]:
    """Read somebody's table.

    Parameters
    ----------
    path
        A file of one of the kinds above, or a pattern that several files answer to.
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
    files = existing_files(path)
    names = {name.lower() for name in (*columns, options.id, options.ra, options.dec, *_ID, *_RA, *_DEC) if name}

    def wanted(name: str) -> bool:
        return not names.isdisjoint((name.lower(), bare_name(name).lower())) or name.lower().endswith((".ra", ".dec"))

    parts = {file_label(file): _read(file, options.hdu, wanted) for file in files}
    if len(parts) < len(files):
        raise CatalogError(f"{path}: two files have the same name")
    found = Outside(parts, str(path) if len(files) > 1 else str(files[0]))
    return found, found.right_ascensions(options.ra, _RA), found.angles(options.dec, _DEC)


def _read(path: Path, hdu: str, wanted: Callable[[str], bool]) -> _Part:
    packed = path.suffix.lower() == ".gz"
    suffix = (Path(path.stem).suffix if packed else path.suffix).lower()
    if suffix not in _READERS or (packed and suffix in _UNPACKED):
        raise CatalogError(f"{path}: a table is one of {', '.join(_READERS)} (FITS and text, but no .cat, also .gz)")
    part = _READERS[suffix](path, hdu, wanted)
    if part.table.colnames and len(part.table) == 0:
        raise CatalogError(f"{path}: the table has no rows")
    return part


def _chosen(names: Mapping[str, str], wanted: Callable[[str], bool]) -> list[str]:
    return [name for name, odd in names.items() if wanted(name) and not odd]


def _from_parquet(path: Path, _hdu: str, wanted: Callable[[str], bool]) -> _Part:
    names = parquet_columns(path)
    return _Part(read_parquet(path, _chosen(names, wanted)), names)


def _from_fits(path: Path, hdu: str, wanted: Callable[[str], bool]) -> _Part:
    names = fits_columns(path, hdu)
    return _Part(read_fits_table(path, hdu, _chosen(names, wanted)), names)


def _from_text(path: Path, hdu: str, wanted: Callable[[str], bool]) -> _Part:
    with text_lines(path) as lines:
        described = next(lines, "").startswith("# %ECSV")
    if described:
        return _from_described_text("ecsv", path, hdu, wanted)
    table, names = read_text_table(path, wanted)
    return _Part(table, dict.fromkeys(names, ""))


def _from_described_text(form: str, path: Path, _hdu: str, wanted: Callable[[str], bool]) -> _Part:
    return _of_whole(*read_described_text(path, form), wanted)


def _from_votable(path: Path, hdu: str, wanted: Callable[[str], bool]) -> _Part:
    return _of_whole(*read_votable(path, hdu), wanted)


def _of_whole(table: Table, others: Mapping[str, str], wanted: Callable[[str], bool]) -> _Part:
    plain = dict.fromkeys(table.colnames, "")
    table.keep_columns(_chosen(plain, wanted))
    return _Part(table, {**plain, **others})


def _from_sextractor(path: Path, hdu: str, wanted: Callable[[str], bool]) -> _Part:
    """Read a `.cat`: FITS_LDAC, FITS_1.0 or ASCII_HEAD."""
    try:
        with path.open("rb") as file:
            is_fits = file.read(9) == b"SIMPLE  ="
    except OSError as error:
        raise storage_error(error, path) from error
    return (_from_fits if is_fits else _from_text)(path, hdu, wanted)


_READERS: Mapping[str, Callable[[Path, str, Callable[[str], bool]], _Part]] = {
    **dict.fromkeys((".parquet", ".pq"), _from_parquet),
    **dict.fromkeys((".fits", ".fit", ".fts", ".ldac"), _from_fits),
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat", ".ascii"), _from_text),
    ".cat": _from_sextractor,
    ".ecsv": partial(_from_described_text, "ecsv"),
    ".tbl": partial(_from_described_text, "ipac"),
    **dict.fromkeys((".vot", ".votable", ".xml"), _from_votable),
}
_UNPACKED = (".parquet", ".pq", ".cat", ".vot", ".votable", ".xml")


def _whole(column: Any, where: str) -> list[str]:
    """Return identifiers that were stored as floating point numbers, as text of whole numbers; empty for NaN."""
    values = np.ma.filled(np.ma.asarray(column), np.nan)
    limit = 2 ** (np.finfo(values.dtype).nmant + 1)  # above it, neighbours are no longer told apart
    bad = np.flatnonzero(~np.isnan(values) & ~((np.abs(values) < limit) & (values == np.trunc(values))))
    if bad.size:
        said = f"row {bad[0] + 1} holds {values[bad[0]]!s}"
        raise CatalogError(f"{where}: {said}; an identifier is text or a whole number, as floating point below {limit}")
    return ["" if math.isnan(value) else str(int(value)) for value in values.tolist()]


def _refuse_doubles(found: Sequence[str], where: str) -> None:
    first: dict[str, int] = {}
    for row, identifier in enumerate(found, start=1):
        if identifier in first and identifier:
            both = f"rows {first[identifier]} and {row}"
            raise CatalogError(f"{where}: {identifier!r} is in {both}; each may be there once")
        first[identifier] = row
