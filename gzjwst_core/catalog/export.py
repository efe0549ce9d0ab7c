"""The survey catalog in forms for other tools: FITS for TOPCAT, ECSV for reading by eye, regions for DS9.

All are made from the one table that catalog.parquet holds. What a form looks like is in `storage.tables` and `regions`.
"""

from collections.abc import Callable

import numpy as np
from astropy.table import Table

from gzjwst_core.catalog.regions import region_text
from gzjwst_core.storage.fits_tables import write_fits
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import write_ecsv
from gzjwst_core.values import Output

__all__ = ["ECSV_ROWS", "regions_path", "write_copies"]

ECSV_ROWS = 50_000
"""A catalog with this many rows or more has no ECSV: text of hundreds of MB is no help to anybody."""


def regions_path(field: str) -> str:
    """Path of a field's DS9 regions in the run folder."""
    return f"catalog/regions/{field}.reg"


def write_copies(folder: Folder, catalog: Table) -> tuple[Output, ...]:
    """Write catalog.fits, catalog.ecsv where the catalog is small, and a region file a field.

    Parameters
    ----------
    folder
        The run folder.
    catalog
        The survey catalog.
    """
    outputs = [_write(folder, "catalog/catalog.fits", catalog, write_fits)]
    if len(catalog) < ECSV_ROWS:
        outputs.append(_write(folder, "catalog/catalog.ecsv", catalog, write_ecsv))
    fields = np.asarray(catalog["field"])
    for field in np.unique(fields).tolist():
        text = region_text(catalog[fields == field])
        outputs.append(folder.write(regions_path(field), text.encode("ascii")))
    return tuple(outputs)


def _write(folder: Folder, relative: str, table: Table, write: Callable[[Table, str], None]) -> Output:
    with folder.writing(relative) as path:
        write(table, str(path))
    return folder.output(relative)
