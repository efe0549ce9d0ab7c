"""A person's own table of targets: its columns found by their names, its rows checked, none dropped in silence.

How tables of others are read is `outside`; how a target is measured on a field's mosaics is `targets`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.external_tables import Outside, read_outside
from gzjwst_core.options import TargetOptions

__all__ = ["BAD_POSITION", "FOV_OF_R50", "NO_IDENTIFIER", "OUTSIDE", "read_targets", "unplaced"]

BAD_POSITION, NO_IDENTIFIER, OUTSIDE = "bad_position", "no_identifier", "outside_fields"
FOV_OF_R50 = 12.0
"""Fields of view where none is stated, in half-light radii."""

_FOV = ("fov_arcsec", "fov", "size_arcsec")
_R50 = ("r50_arcsec", "r50", "re_arcsec")
_USUAL = TargetOptions()


def read_targets(path: str | PathLike[str], options: TargetOptions = _USUAL) -> Table:
    """Read a table of targets.

    Parameters
    ----------
    path
        A table of a kind that `read_outside` reads, or a pattern such as `fields/*_optap.fits`.
    options
        Names of columns. Where none is named the usual ones are found, in any case: `ra`, `ALPHA_J2000`, `RAdeg`,
        `RAJ2000` ..., and where there are any an identifier (`id`, `name`, `number` ...) and a size (`fov_arcsec`, or
        `r50`). Shapes are read by name alone.

    Returns
    -------
    Table
        One row a row of the files: `ext_id` (str, unique; a row's number from 1 where there is no such column, `row 7`
        where it holds none there),
        `which_catalogue` (str, the file), `ra`, `dec` (float64, deg), `fov_arcsec` (stated, or 12 r50; NaN = neither),
        `r50_arcsec`, `a_arcsec`, `b_arcsec` (NaN = not stated), `theta_sky` (deg, east of north; NaN = round),
        `reason` (`bad_position`, `no_identifier`, or empty for a good row).

    Raises
    ------
    CatalogError
        The kind of file or its columns are not known, it cannot be parsed, or an identifier is there twice; names
        file and column.
    StorageError
        A file cannot be opened.
    """
    named = (options.fov, options.r50, options.a, options.b, options.theta)
    found, ra, dec = read_outside(path, options, (*named, *_FOV, *_R50))
    good = (np.abs(ra) <= 360) & (np.abs(dec) <= 90)  # NaN is not good
    names, known = found.identifiers(options.id)
    columns = {
        "ext_id": names,
        "which_catalogue": found.which_catalogue,
        "ra": np.mod(ra, 360.0, out=ra.copy(), where=good),
        "dec": dec,
        **_sizes(found, options),
        **_shapes(found, options),
        "reason": np.where(good, np.where(known, "", NO_IDENTIFIER), BAD_POSITION),
    }
    return Table(columns, meta={"targets": Path(path).name})


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
        `what` (the identifier), `reason` (`bad_position`, `no_identifier` or `outside_fields`), `detail` (the
        position), in the order of the targets. With the rows of the tables they are all the targets there are.
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


def _lengths_of(found: Outside, options: TargetOptions) -> Callable[..., NDArray[np.float64]]:
    return partial(found.lengths, unit=options.size_unit, pixel_arcsec=options.pixel_scale_arcsec)


def _sizes(found: Outside, options: TargetOptions) -> dict[str, NDArray[np.float64]]:
    nothing = np.full(len(found), np.nan)
    lengths = _lengths_of(found, options)
    fov = lengths(options.fov, _FOV) if found.has(options.fov, _FOV) else nothing
    r50 = lengths(options.r50, _R50) if found.has(options.r50, _R50) else nothing
    return {"fov_arcsec": np.where(np.isfinite(fov), fov, FOV_OF_R50 * r50), "r50_arcsec": r50}


def _shapes(found: Outside, options: TargetOptions) -> dict[str, NDArray[np.float64]]:
    """Return axes and angle; those that are not whole are round, of the same area."""
    a, b, theta = (np.full(len(found), np.nan) for _ in range(3))
    lengths = _lengths_of(found, options)
    if options.a and found.has(options.a):
        a = b = lengths(options.a)
    if options.a and options.b and found.has(options.b):
        b = lengths(options.b)
        b = np.where(np.isfinite(b), b, a)
    if options.theta and found.has(options.theta):
        theta = found.angles(options.theta) - (90.0 if options.theta_from == "x" else 0.0)
    round_ = np.sqrt(a * b)
    turned = np.isfinite(theta) & (a != b)
    a, b = np.where(turned, np.fmax(a, b), round_), np.where(turned, np.fmin(a, b), round_)
    return {"a_arcsec": a, "b_arcsec": b, "theta_sky": np.where(turned, np.mod(theta, 180.0), np.nan)}
