"""What the report shows of the selection function, gathered from the run folder: depth maps, residuals, weights."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.completeness.selection import SelectionFunction
from gzjwst_core.report.facts import Residuals

__all__ = ["completeness_of", "residuals"]

_MAS = 3_600_000.0


def completeness_of(catalog: Table, completeness: Table) -> NDArray[np.float64]:
    """Look up the completeness at each source's own magnitude, size and field.

    Parameters
    ----------
    catalog
        Survey catalog: `field`, `mag_ref`, `r50`, `is_star`.
    completeness
        catalog/completeness.parquet.

    Returns
    -------
    ndarray
        (n,) NaN where nothing was injected. The PSF is taken off the sizes in quadrature: it is the median r50 of the
        stars, or the smallest tenth of all where there are none; at least 0.3 of it is left.
    """
    selection = SelectionFunction(completeness)
    size, star = np.asarray(catalog["r50"], dtype=np.float64), np.asarray(catalog["is_star"], dtype=bool)
    known, found = np.isfinite(size), np.full(len(catalog), np.nan)
    if not known.any():
        return found
    psf = float(np.median(size[star & known])) if (star & known).any() else float(np.quantile(size[known], 0.1))
    true_size = np.sqrt(np.maximum(size**2 - psf**2, (0.3 * psf) ** 2))
    here = known & np.isin(np.asarray(catalog["field"]), selection.fields)
    mag, field = np.asarray(catalog["mag_ref"], dtype=np.float64), np.asarray(catalog["field"])
    found[here] = selection.completeness(mag[here], true_size[here], field[here])
    return found


def residuals(catalog: Table) -> Iterator[Residuals]:
    """Compare the positions that each two fields give to the sky objects both have.

    Parameters
    ----------
    catalog
        Survey catalog: `group_id`, `field`, `ra`, `dec`.

    Yields
    ------
    Residuals
        For each two fields with objects in common, in the order of their names.
    """
    group, field = np.asarray(catalog["group_id"]), np.asarray(catalog["field"])
    _, first, counts = np.unique(group, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[first] > 1)
    rows = {name: shared[field[shared] == name] for name in np.unique(field[shared]).tolist()}
    for one, two in combinations(sorted(rows), 2):
        _, a, b = np.intersect1d(group[rows[one]], group[rows[two]], return_indices=True)
        if a.size:
            yield Residuals(f"{one} and {two}", *_offsets(catalog, rows[one][a], rows[two][b]))


def _offsets(
    catalog: Table, one: NDArray[np.intp], two: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ra, dec = np.asarray(catalog["ra"], dtype=np.float64), np.asarray(catalog["dec"], dtype=np.float64)
    dra = (ra[one] - ra[two] + 180) % 360 - 180
    return dra * np.cos(np.radians(dec[one])) * _MAS, (dec[one] - dec[two]) * _MAS
