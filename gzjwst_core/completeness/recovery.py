"""What became of injected galaxies: found, or lost to a brighter neighbour; and with which numbers.

Tables in, tables out. An injected galaxy is *recovered* if a detection lies within `match_arcsec`, or within half of
its r50 if that is more, and was not there before. On a real source that was there before it is recovered if that is
fainter and has gained at least half of the injected flux: it then looks like the injected one. A brighter one has
swallowed it (*blended*), a fainter one as it was is only a chance neighbour: both count as lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import unit_vectors
from gzjwst_core.catalog.select import select
from gzjwst_core.options import Cut
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = ["Matched", "injected_columns", "match", "nearest", "passing", "recovered_table"]

Floats = NDArray[np.float64]

_LEAST_GAIN = 0.5


@dataclass(frozen=True, slots=True)
class Matched:
    """What was found where galaxies are, one entry a galaxy."""

    row: NDArray[np.int64]
    """Of the detection; -1 = none is near enough, or only one that was there before and has not gained by it."""
    recovered: NDArray[np.bool_]
    blended: NDArray[np.bool_]


def nearest(ra: Floats, dec: Floats, among_ra: Floats, among_dec: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the nearest of some places to each place: its row, and the distance in arcsec (infinite: there is none).

    Parameters
    ----------
    ra, dec
        (n,) deg.
    among_ra, among_dec
        (m,) deg.
    """
    if len(among_ra) == 0:
        return np.full(len(ra), -1), np.full(len(ra), np.inf)
    chord, row = cKDTree(unit_vectors(among_ra, among_dec)).query(unit_vectors(ra, dec))
    return np.asarray(row, dtype=np.int64), np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) * 3600


def match(galaxies: Table, found: Table, before: Table, radius_arcsec: float) -> Matched:
    """Look injected galaxies up among the detections.

    Parameters
    ----------
    galaxies
        `ra`, `dec` (deg), `mag`, `r50` (arcsec).
    found
        Detections with the galaxies in the mosaics: `ra`, `dec`, `mag_ref`.
    before
        Detections without them: `ra`, `dec`, `mag_ref`.
    radius_arcsec
        Least radius of a match; also how close a detection is to the same one before.
    """
    row, apart = nearest(*_places(galaxies), *_places(found))
    near = apart <= np.maximum(radius_arcsec, np.asarray(galaxies["r50"], dtype=float) / 2)
    ra, dec = _places(found)
    old, moved = nearest(ra[row[near]], dec[row[near]], *_places(before))
    there = moved <= radius_arcsec
    flux_in = _flux(galaxies["mag"])[near]
    flux_before = np.zeros(len(old))
    flux_before[there] = _flux(before["mag_ref"])[old[there]]
    gained = _flux(found["mag_ref"])[row[near]] - flux_before
    blended, recovered = np.zeros(len(row), dtype=bool), np.zeros(len(row), dtype=bool)
    blended[near] = flux_before > flux_in
    recovered[near] = (flux_before <= flux_in) & (~there | (gained >= _LEAST_GAIN * flux_in))
    return Matched(np.where(recovered | blended, row, -1), recovered, blended)


def _flux(mag: Any) -> Floats:
    """Return fluxes relative to AB = 0; none where there is no magnitude."""
    return np.nan_to_num(10 ** (-0.4 * np.asarray(mag, dtype=float)))


def _places(table: Table) -> tuple[Floats, Floats]:
    return np.asarray(table["ra"], dtype=float), np.asarray(table["dec"], dtype=float)


def passing(found: Table, cuts: Sequence[Cut]) -> NDArray[np.bool_]:
    """Tell which detections the sample's cuts take; cuts on columns of the survey, such as is_primary, do not count."""
    return select(found, [cut for cut in cuts if cut.column in found.colnames])[0]


def recovered_table(galaxies: Table, found: Table, matched: Matched, bands: Sequence[str]) -> Table:
    """Put the injected galaxies of a batch and what was measured of them side by side.

    Parameters
    ----------
    galaxies
        As injected, with `field`, `batch` and `<band>_flux_in`.
    found
        Detections with them in the mosaics.
    matched
        From `match`.
    bands
        Of the survey.

    Returns
    -------
    Table
        Columns of `injected_columns`; what was measured is NaN where no detection is its.
    """
    near = matched.row >= 0
    rows = matched.row[near]
    made = {name: np.asarray(galaxies[name]) for name in _GIVEN}
    made |= {"recovered": matched.recovered, "blended": matched.blended}
    made["mag_out"] = _spread(np.asarray(found["mag_ref"]), near, rows)
    made["r50_out"] = _spread(np.asarray(found["r50"]), near, rows)
    for band in bands:
        dark = np.full(len(galaxies), np.nan)
        name = f"{band}_flux_in"
        made[name] = np.asarray(galaxies[name]) if name in galaxies.colnames else dark
        for column in (f"{band}_flux_tot", f"{band}_fluxerr_tot"):
            made[column] = _spread(np.asarray(found[column]), near, rows)
    columns = injected_columns(bands)
    return apply_columns(Table({column.name: made[column.name] for column in columns}), columns)


def _spread(values: NDArray[Any], near: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[Any]:
    out = np.full(len(near), np.nan, dtype=values.dtype)
    out[near] = values[rows]
    return out


_GIVEN = ("field", "batch", "ra", "dec", "mag", "r50", "sersic_n", "axis_ratio", "pa")


def injected_columns(bands: Sequence[str]) -> tuple[Column, ...]:
    """Columns of the table of injected galaxies."""
    columns = [
        Column("field", "str", "", "meta.id;obs.field", "field it was injected into"),
        Column("batch", "int32", "", "meta.number", "batch of galaxies that were injected together, from 0"),
        Column("ra", "float64", "deg", "pos.eq.ra", "where it was injected, ICRS"),
        Column("dec", "float64", "deg", "pos.eq.dec", "where it was injected, ICRS"),
        Column("mag", "float32", "mag", "phot.mag", "its total AB magnitude in the reference band"),
        Column(
            "r50", "float32", "arcsec", "phys.angSize", "its half-light radius along the major axis, before the PSF"
        ),
        Column("sersic_n", "float32", "", "src.morph.param", "its Sersic index"),
        Column("axis_ratio", "float32", "", "src.ellipticity", "its minor over major axis"),
        Column("pa", "float32", "deg", "pos.posAng", "position angle of its major axis, east of north"),
        Column("recovered", "bool", "", "meta.code", "a detection is near that is new, or has gained its light"),
        Column("blended", "bool", "", "meta.code", "the nearest detection is a brighter real source: lost"),
        Column("mag_out", "float32", "mag", "phot.mag", "mag_ref of the detection, NaN = there is none"),
        Column("r50_out", "float32", "arcsec", "phys.angSize", "r50 of the detection (round, with the PSF in it)"),
    ]
    for band in bands:
        columns += [
            Column(f"{band}_flux_in", "float32", "uJy", "phot.flux", f"its total flux, {band}"),
            Column(f"{band}_flux_tot", "float32", "uJy", "phot.flux", f"flux_tot of the detection, {band}"),
            Column(f"{band}_fluxerr_tot", "float32", "uJy", "stat.error;phot.flux", f"1 sigma of flux_tot, {band}"),
        ]
    return tuple(columns)
