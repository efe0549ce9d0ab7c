"""The selection function as a paper uses it: completeness at any magnitude and size of any field of a survey.

Reads `catalog/completeness.parquet` of a run folder once; how it was made is in `completeness` and `injection`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.optimize import isotonic_regression

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet

__all__ = ["COMPLETENESS", "SelectionFunction", "magnitude_limits"]

COMPLETENESS = "catalog/completeness.parquet"

Floats = NDArray[np.float64]

_KINDS = ("completeness", "completeness_low", "completeness_high", "selected", "selected_low", "selected_high")
_NO_WEIGHT = 1e-9
_NEEDED = ("field", "mag", "mag_low", "mag_high", "r50", "r50_low", "r50_high", "n_in", *_KINDS)


@dataclass(frozen=True)
class _Surface:
    """One share of one field over the bins' middles."""

    mag: Floats
    r50: Floats
    values: Floats
    mag_range: tuple[float, float]
    r50_range: tuple[float, float]

    def at(self, mag: Floats, r50: Floats) -> Floats:
        inside = (mag >= self.mag_range[0]) & (mag <= self.mag_range[1])
        inside &= (r50 >= self.r50_range[0]) & (r50 <= self.r50_range[1])
        x = np.clip(np.where(inside, mag, self.mag[0]), self.mag[0], self.mag[-1])
        y = np.clip(np.log(np.where(inside, r50, self.r50[0])), np.log(self.r50[0]), np.log(self.r50[-1]))
        return np.where(inside, self._between(x, y), np.nan)

    def _between(self, x: Floats, y: Floats) -> Floats:
        axes, values = [self.mag, np.log(self.r50)], self.values
        for axis in (0, 1):  # a single bin along an axis is the same all along it
            if values.shape[axis] == 1:
                axes[axis] = np.append(axes[axis], axes[axis] + 1)
                values = np.repeat(values, 2, axis=axis)
        unknown = np.isnan(values)  # interpolated beside the shares: 0 x NaN would spill over bins that are known
        both = np.stack([np.where(unknown, 0, values), unknown], axis=-1)
        made = RegularGridInterpolator(axes, both)(np.stack([x, y], axis=-1))
        return np.where(made[..., 1] > _NO_WEIGHT, np.nan, made[..., 0])


class SelectionFunction:
    """Completeness of a survey's catalog, field by field.

    Parameters
    ----------
    table
        `catalog/completeness.parquet`.

    Raises
    ------
    CatalogError
        It lacks columns.

    Notes
    -----
    Magnitudes are total AB magnitudes in the field's reference band, radii are half-light radii along the major axis
    before the PSF, arcsec: true values, not measured ones (`mag_bias` and `r50_ratio` of the table tell how they
    differ). Between the middles of the bins the measured shares are interpolated linearly in magnitude and log r50,
    towards the ends of the range the last one holds; outside the range, and next to a bin without galaxies, it is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> edges = dict(mag_low=[26.0, 27.0], mag_high=[27.0, 28.0], r50_low=[0.1, 0.1], r50_high=[0.4, 0.4])
    >>> shares = {kind: [0.9, 0.3] for kind in ("completeness", "selected")}
    >>> shares |= {f"{kind}_low": [0.8, 0.2] for kind in ("completeness", "selected")}
    >>> shares |= {f"{kind}_high": [1.0, 0.4] for kind in ("completeness", "selected")}
    >>> bins = dict(field=["south", "south"], mag=[26.5, 27.5], r50=[0.2, 0.2], n_in=[50, 50])
    >>> selection = SelectionFunction(Table(bins | edges | shares))
    >>> np.round(selection.completeness([26.5, 27.0, 29.0], 0.2, "south"), 2).tolist()
    [0.9, 0.6, nan]
    """

    def __init__(self, table: Table) -> None:
        missing = [name for name in _NEEDED if name not in table.colnames]
        if missing:
            raise CatalogError(f"no table of completeness: column {', '.join(missing)} missing")
        self._table = table
        self._surfaces: dict[tuple[str, str], _Surface] = {}

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read it from a survey's run folder (a path or any fsspec URL), or from the file itself.

        Raises
        ------
        CatalogError
            There is no `catalog/completeness.parquet`: the survey was made without it.
        """
        if str(folder).endswith(".parquet"):
            return cls(read_parquet(folder))
        place = Folder(str(folder))
        if not place.exists(COMPLETENESS):
            raise CatalogError(f"{folder} has no {COMPLETENESS}: run the survey with completeness.sources above 0")
        with place.reading(COMPLETENESS) as path:
            return cls(read_parquet(path))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, sorted."""
        return tuple(sorted(set(np.asarray(self._table["field"]).tolist())))

    @property
    def table(self) -> Table:
        """Rows field x magnitude x radius: what a plot shows."""
        return self._table.copy()

    def completeness(self, mag: ArrayLike, r50: ArrayLike, field: ArrayLike, *, kind: str = "completeness") -> Floats:
        """Return the share of true galaxies that the catalog has.

        Parameters
        ----------
        mag
            Total AB magnitude in the field's reference band.
        r50
            Half-light radius along the major axis before the PSF, arcsec.
        field
            Name or names; all three are broadcast.
        kind
            `completeness`, or `selected`: the share that passes the sample's cuts too; with `_low` or `_high` the ends
            of the 95 % interval.

        Returns
        -------
        ndarray of float64
            0-1; NaN outside the range that was measured.

        Raises
        ------
        CatalogError
            A field or kind is not known; names those that are.
        """
        if kind not in _KINDS:
            raise CatalogError(f"{kind!r} is no kind of completeness (allowed: {', '.join(_KINDS)})")
        mags, sizes, names = np.broadcast_arrays(
            np.asarray(mag, dtype=np.float64), np.asarray(r50, dtype=np.float64), np.asarray(field, dtype=str)
        )
        out = np.full(mags.shape, np.nan)
        for name in np.unique(names).tolist():
            here = names == name
            out[here] = self._surface(name, kind).at(mags[here], sizes[here])
        return out

    def selected(self, mag: ArrayLike, r50: ArrayLike, field: ArrayLike) -> Floats:
        """Return the share of true galaxies that the sample has: detected, and within the profile's cuts."""
        return self.completeness(mag, r50, field, kind="selected")

    def _surface(self, field: str, kind: str) -> _Surface:
        if field not in self.fields:
            raise CatalogError(f"field {field!r} has no completeness (there is {', '.join(self.fields)})")
        if (field, kind) not in self._surfaces:
            self._surfaces[field, kind] = _surface_of(self._table[self._table["field"] == field], kind)
        return self._surfaces[field, kind]


def _surface_of(rows: Table, kind: str) -> _Surface:
    mag, at_mag = np.unique(np.asarray(rows["mag"], dtype=float), return_inverse=True)
    r50, at_r50 = np.unique(np.asarray(rows["r50"], dtype=float), return_inverse=True)
    values = np.full((len(mag), len(r50)), np.nan)
    values[at_mag, at_r50] = np.where(np.asarray(rows["n_in"]) > 0, np.asarray(rows[kind], dtype=float), np.nan)
    reach = {name: (float(np.min(rows[f"{name}_low"])), float(np.max(rows[f"{name}_high"]))) for name in ("mag", "r50")}
    return _Surface(mag, r50, values, reach["mag"], reach["r50"])


def magnitude_limits(
    selection: SelectionFunction, field: str, r50: float, shares: Mapping[str, float]
) -> dict[str, Any]:
    """Return the magnitudes at which a field's completeness falls below shares.

    Parameters
    ----------
    selection
        Of the survey.
    field
        Its name.
    r50
        Half-light radius, arcsec.
    shares
        Completeness by the name of its limit, such as `{"mag_50": 0.5}`.

    Returns
    -------
    dict
        Magnitudes by name, to 0.01; NaN where it is never so complete, or still is at the end of the range.

    Notes
    -----
    The shares of the magnitude bins are first made to fall by isotonic regression, weighted by the galaxies in them:
    the faintest of many chance crossings would be too faint.
    """
    rows = selection.table[selection.table["field"] == field]
    mag = np.unique(np.asarray(rows["mag"], dtype=float))
    share = selection.completeness(mag, r50, field)
    known = np.isfinite(share)
    if not known.any():
        return dict.fromkeys(shares, np.nan)
    weights = [np.sum(rows["n_in"][np.asarray(rows["mag"]) == middle]) for middle in mag]
    falling = isotonic_regression(share[known], weights=np.array(weights)[known], increasing=False).x
    return {name: _last_at_least(mag[known], falling, wanted) for name, wanted in shares.items()}


def _last_at_least(mag: Floats, falling: Floats, wanted: float) -> float:
    enough = np.flatnonzero(falling >= wanted)
    last = int(enough[-1]) if enough.size else -1
    if not 0 <= last < len(mag) - 1:
        return float("nan")
    part = (falling[last] - wanted) / (falling[last] - falling[last + 1])
    return float(np.round(mag[last] + part * (mag[last + 1] - mag[last]), 2))
