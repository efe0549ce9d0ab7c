"""Tables of the sky from outside: a reference for the astrometry, the catalog of an earlier release.

Files in, checked tables out; formats and the names of columns are those of `outside`. What is made of them is
`astrometry` and `carried_ids`.
"""

from collections.abc import Sequence
from os import PathLike

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.external_tables import Outside, read_outside
from gzjwst_core.errors import CatalogError, NameRefusedError
from gzjwst_core.names import file_stem
from gzjwst_core.options import TableOptions

__all__ = ["read_earlier", "read_reference"]

_MAG = (
    *("mag", "magnitude", "mag_ref", "mag_auto", "mag_tot", "phot_g_mean_mag", "gmag", "mag_f444w", "mag_f277w"),
    *("f444w_mag_tot", "f277w_mag_tot"),
)
_USUAL = TableOptions()


def read_reference(path: str | PathLike[str]) -> Table:
    """Read a reference catalog.

    Parameters
    ----------
    path
        Kinds of files and positions as for `read_targets`, and where there is one a magnitude (`mag`, `mag_auto`,
        `phot_g_mean_mag` ...).

    Returns
    -------
    Table
        `ra`, `dec` (deg), `mag` (NaN = not known). Rows without a usable position are left out, and if there are
        magnitudes also those whose own is none: they were not measured.

    Raises
    ------
    CatalogError
        The kind of file or its columns are not known, it cannot be parsed, or no row has a position; names the file.
    StorageError
        The file cannot be opened.
    """
    found, ra, dec, good = _positions(path, _MAG)
    mag = found.magnitudes("", _MAG) if found.has("", _MAG) else np.full(len(found), np.nan)
    if np.isfinite(mag).any():
        good &= np.isfinite(mag)
    if not good.any():
        raise CatalogError(f"{path}: no row has a position")
    return Table({"ra": ra[good], "dec": dec[good], "mag": mag[good]})


def read_earlier(path: str | PathLike[str]) -> Table:
    """Read the catalog of an earlier release.

    Parameters
    ----------
    path
        A catalog.parquet or .fits of ours, or any table with `id_str` and positions as for `read_targets`.

    Returns
    -------
    Table
        `id_str`, `ra`, `dec` (deg; NaN where there is no usable position), `is_primary` (all, where it does not say).

    Raises
    ------
    CatalogError
        As `read_reference`; there is no `id_str`, one is there twice, or one may not become a file's name.
    StorageError
        The file cannot be opened.
    """
    found, ra, dec, good = _positions(path, ("id_str", "is_primary"))
    names = found.texts("id_str")
    _check(names, path)
    nowhere = np.where(good, 0.0, np.nan)
    return Table({"id_str": names, "ra": ra + nowhere, "dec": dec + nowhere, "is_primary": _primaries(found)})


def _primaries(found: Outside) -> NDArray[np.bool_]:
    if not found.has("", ("is_primary",)):
        return np.ones(len(found), dtype=bool)
    return np.isin(np.char.lower(found.texts("is_primary")), ["true", "t", "1"])  # CSV knows no booleans


def _positions(
    path: str | PathLike[str], columns: Sequence[str]
) -> tuple[Outside, NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    found, ra, dec = read_outside(path, _USUAL, columns)
    good: NDArray[np.bool_] = (np.abs(ra) <= 360) & (np.abs(dec) <= 90)  # NaN is not good
    return found, np.mod(ra, 360.0, out=ra.copy(), where=good), dec, good


def _check(names: NDArray[np.str_], path: str | PathLike[str]) -> None:
    """Refuse names that could not stand for one object and one file each."""
    first: dict[str, int] = {}
    for row, name in enumerate(names.tolist(), start=1):
        try:
            stem = file_stem(name)
        except NameRefusedError as error:
            raise CatalogError(f"{path}: column id_str, row {row}: {error}") from None
        if stem in first:
            raise CatalogError(f"{path}: column id_str: {name!r} is in rows {first[stem]} and {row}; once is allowed")
        first[stem] = row
