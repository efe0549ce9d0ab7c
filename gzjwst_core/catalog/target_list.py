"""A person's own table of targets: its columns found by their usual names, its rows checked, none dropped in silence.

Parquet, FITS, CSV and ECSV. How a target is measured on a field's mosaics is `targets`.
"""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io.ascii import InconsistentTableError
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.fits_tables import read_fits_table
from gzjwst_core.storage.tables import read_parquet

__all__ = ["BAD_POSITION", "FOV_OF_DIAGONAL", "OUTSIDE", "read_targets", "unplaced"]

BAD_POSITION, OUTSIDE = "bad_position", "outside_fields"
FOV_OF_DIAGONAL = 1.5
"""A stated field of view is this many diagonals of a segment's bounding box."""

_RA = ("ra", "ra_deg", "radeg", "ra_icrs", "raj2000", "_raj2000", "ra_j2000", "alpha_j2000", "alphawin_j2000")
_DEC = (
    *("dec", "dec_deg", "decdeg", "dedeg", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "decj2000", "dec_j2000"),
    *("delta_j2000", "deltawin_j2000"),
)
_ID = ("ext_id", "id", "id_str", "source_id", "objid", "object_id", "objectid", "number", "name", "iauname")
_FOV = ("fov_arcsec", "fov", "size_arcsec")
_R50 = ("r50_arcsec", "r50", "re_arcsec")
_FOV_OF_R50 = 12.0

_READERS: Mapping[str, Callable[[Path], Table]] = {
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".fits": read_fits_table,
    ".fit": read_fits_table,
    ".csv": lambda path: _read_text(path, "ascii.csv"),
    ".ecsv": lambda path: _read_text(path, "ascii.ecsv"),
}


def read_targets(path: str | PathLike[str]) -> Table:
    """Read a table of targets.

    Parameters
    ----------
    path
        `.parquet`, `.fits` (also `.fits.gz`), `.csv` or `.ecsv`. Found by name, in any case: right ascension and
        declination (`ra`, `RA`, `ALPHA_J2000`, `RAdeg`, `RAJ2000` ...; degrees unless the column's unit says
        otherwise), and where there are any an identifier (`id`, `name`, `number` ...) and a size (`fov_arcsec`, or
        `r50` in arcsec, of which 12 make a field of view).

    Returns
    -------
    Table
        One row a row of the file: `ext_id` (str; its number from 1 where there is no identifier), `ra`, `dec`
        (float64, deg), `fov_arcsec` (NaN = not stated), `reason` (`bad_position`, or empty for a good row).

    Raises
    ------
    CatalogError
        The kind of file or its columns are not known, it cannot be parsed, or an identifier is there twice; names
        file and column.
    StorageError
        The file cannot be opened.
    """
    path = Path(path)
    found = _read(path)
    ra, dec = _degrees(_column(found, _RA, path)), _degrees(_column(found, _DEC, path))
    good = (np.abs(ra) <= 360) & (np.abs(dec) <= 90)  # NaN is not good
    return Table(
        {
            "ext_id": _identifiers(found, path),
            "ra": np.mod(ra, 360.0, out=ra.copy(), where=good),
            "dec": dec,
            "fov_arcsec": _fields_of_view(found),
            "reason": np.where(good, "", BAD_POSITION),
        },
        meta={"targets": path.name},
    )


def unplaced(targets: Table, tables: Mapping[str, Table]) -> list[dict[str, str]]:
    """Name the targets that are in no field's catalog, and why.

    Parameters
    ----------
    targets
        From `read_targets`.
    tables
        Field catalogs by field.

    Returns
    -------
    list of dict
        `what` (the identifier), `reason` (`bad_position` or `outside_fields`), `detail` (the position), in the order of
        the targets. With the rows of the tables they are all the targets there are.
    """
    placed = {name for table in tables.values() for name in np.asarray(table["ext_id"]).tolist()}
    return [
        {
            "what": str(row["ext_id"]),
            "reason": str(row["reason"]) or OUTSIDE,
            "detail": f"ra {row['ra']:.6f}, dec {row['dec']:+.6f}",
        }
        for row in targets
        if row["reason"] or str(row["ext_id"]) not in placed
    ]


def _read(path: Path) -> Table:
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    reader = _READERS.get(suffix.lower())
    if reader is None:
        raise CatalogError(f"{path}: a table of targets is one of {', '.join(_READERS)}")
    table = reader(path)
    if len(table) == 0:
        raise CatalogError(f"{path}: the table of targets has no rows")
    return table


def _read_text(path: Path, form: str) -> Table:
    try:
        return Table.read(path, format=form)
    except OSError as error:
        raise storage_error(error, path) from error
    except (InconsistentTableError, ValueError) as error:
        raise CatalogError(f"{path}: cannot be read as {form.partition('.')[2].upper()}: {error}") from error


def _name(table: Table, names: tuple[str, ...]) -> str | None:
    """Return the table's column that has one of these names, in the order of the names."""
    known = {name.lower(): name for name in reversed(table.colnames)}
    return next((known[name] for name in names if name in known), None)


def _column(table: Table, names: tuple[str, ...], path: Path) -> Any:
    name = _name(table, names)
    if name is None:
        raise CatalogError(f"{path}: no column of {', '.join(names)} (it has {', '.join(table.colnames)})")
    return table[name]


def _degrees(column: Any) -> NDArray[np.float64]:
    """Return an angle column in degrees; NaN where there is no number."""
    values = _floats(column)
    unit = column.unit
    if unit is None or unit == u.deg or not isinstance(unit, u.UnitBase) or not unit.is_equivalent(u.deg):
        return values
    return np.asarray((values * unit).to_value(u.deg))


def _floats(column: Any) -> NDArray[np.float64]:
    if column.dtype.kind in "iuf":
        return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan))
    return np.array([_float(value) for value in column.tolist()])


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _identifiers(table: Table, path: Path) -> NDArray[np.str_]:
    name = _name(table, _ID)
    if name is None:
        return np.array([str(row) for row in range(1, len(table) + 1)])
    found = [str(value) for value in np.ma.filled(np.ma.asarray(table[name].astype(str)), "").tolist()]
    first: dict[str, int] = {}
    for row, identifier in enumerate(found, start=1):
        if identifier in first:
            both = f"rows {first[identifier]} and {row}"
            raise CatalogError(f"{path}: column {name}: {identifier!r} is in {both}; each may be there once")
        first[identifier] = row
    return np.array(found)


def _fields_of_view(table: Table) -> NDArray[np.float64]:
    fov, r50 = _name(table, _FOV), _name(table, _R50)
    if fov is not None:
        sizes = _floats(table[fov])
    elif r50 is not None:
        sizes = _FOV_OF_R50 * _floats(table[r50])
    else:
        return np.full(len(table), np.nan)
    return np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)
