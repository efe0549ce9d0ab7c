"""Which objects are cut as controls: stars, and galaxies that another field shows as well.

Rows of the survey catalog in, rows to cut out. A control stands where the object's primary row is, with the pixels of
the field it is cut from; its name is the primary's. Which are taken is drawn by name, so that a field that comes later
moves few of those that are cut already: just those stars give way that no other field shows.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.cutouts.fov import fov_arcsec, quantise
from gzjwst_core.flag_bits import Flag
from gzjwst_core.options import CutoutOptions, QualityOptions

__all__ = ["OF_CATALOG", "PAIRS", "STARS", "choose_controls", "star_fov"]

STARS, PAIRS = "stars", "pairs"
"""Kinds of controls: a star in the smallest field of view, and a galaxy as its primary is seen."""
OF_CATALOG = ("group_id", "is_primary", "is_star", "snr_det", "nn_dist", "flags", "valid_frac_min")
"""What is read of the catalog beside what a cutout takes from it."""
_SPOILT = int(Flag.EDGE | Flag.GAP | Flag.SATURATED | Flag.BRIGHT_STAR)
_STAR_SNR = 50.0
_ALONE_ARCSEC = 1.0
_WHOLE = 0.95


def choose_controls(
    catalog: Table, selected: NDArray[np.bool_], cutouts: CutoutOptions, options: QualityOptions
) -> dict[str, dict[str, Table]]:
    """Choose the survey's controls.

    Parameters
    ----------
    catalog
        The survey's: OF_CATALOG, and what a cutout takes from it.
    selected
        (n,) rows that become cutouts.
    cutouts
        Sizes of fields of view.
    options
        How many of each field.

    Returns
    -------
    dict
        By field and kind, the rows to cut. `stars`: unsaturated, bright, isolated ones, both where their primary row is
        and in every other field that shows them, for a star must look the same in all; those that two fields show come
        first, as only they tell. `pairs`: selected galaxies of other fields that this one shows too, as large as they
        are shown.
    """
    home = _homes(catalog)
    stars, galaxies = _star_rows(catalog, home, options), _galaxy_rows(catalog, selected, home, options)
    found: dict[str, dict[str, Table]] = {}
    for field, rows in _by_field(catalog, stars):
        found[field] = {STARS: _at_home(catalog, rows, home, np.full(len(rows), star_fov(cutouts)))}
    for field, rows in _by_field(catalog, galaxies):
        sizes = fov_arcsec(catalog[home[rows]], cutouts)
        found.setdefault(field, {})[PAIRS] = _at_home(catalog, rows, home, sizes)
    return found


def star_fov(options: CutoutOptions) -> float:
    """Field of view of a star, arcsec: the smallest."""
    return float(quantise(options.fov_min_arcsec, options))


def _homes(catalog: Table) -> NDArray[np.intp]:
    """Row of the primary of each row's group; -1 where it has none."""
    group = np.asarray(catalog["group_id"])
    primary = np.flatnonzero(np.asarray(catalog["is_primary"]))
    if primary.size == 0:
        return np.full(len(catalog), -1, dtype=np.intp)
    primary = primary[np.argsort(group[primary], kind="stable")]
    at = np.minimum(np.searchsorted(group[primary], group), primary.size - 1)
    return np.where(group[primary[at]] == group, primary[at], -1)


def _star_rows(catalog: Table, home: NDArray[np.intp], options: QualityOptions) -> NDArray[np.intp]:
    field, whole = np.asarray(catalog["field"]), _is_whole(catalog)
    good = np.asarray(catalog["is_primary"]) & np.asarray(catalog["is_star"]) & whole
    good &= np.asarray(catalog["snr_det"]) >= _STAR_SNR
    good &= ~(np.asarray(catalog["nn_dist"]) < _ALONE_ARCSEC)  # NaN: it has no neighbour
    again = np.isin(np.arange(len(catalog)), home[(home >= 0) & (field[home] != field) & whole])
    chosen = [
        _drawn(catalog, rows, options.control_stars, first=again[rows])
        for _, rows in _by_field(catalog, np.flatnonzero(good))
    ]
    drawn = np.concatenate([*chosen, np.empty(0, np.intp)])
    return _once_a_field(catalog, np.flatnonzero(np.isin(home, drawn) & whole))


def _galaxy_rows(
    catalog: Table, selected: NDArray[np.bool_], home: NDArray[np.intp], options: QualityOptions
) -> NDArray[np.intp]:
    field = np.asarray(catalog["field"])
    again = (home >= 0) & selected[home] & (field[home] != field) & _is_whole(catalog)
    rows = _once_a_field(catalog, np.flatnonzero(again))
    chosen = [_drawn(catalog, of, options.control_pairs) for _, of in _by_field(catalog, rows)]
    return np.concatenate([*chosen, np.empty(0, np.intp)])


def _is_whole(rows: Table) -> NDArray[np.bool_]:
    clean = np.asarray(rows["flags"]) & _SPOILT == 0
    whole: NDArray[np.bool_] = clean & (np.asarray(rows["valid_frac_min"]) >= _WHOLE)
    return whole


def _by_field(catalog: Table, rows: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    fields = np.asarray(catalog["field"])[rows]
    for field in np.unique(fields).tolist():
        yield field, rows[fields == field]


def _once_a_field(catalog: Table, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out rows whose group this field has already: an object that was split."""
    names = [
        f"{field} {group}" for field, group in zip(*(catalog[n][rows] for n in ("field", "group_id")), strict=True)
    ]
    return rows[np.sort(np.unique(names, return_index=True)[1])]


def _drawn(
    catalog: Table, rows: NDArray[np.intp], count: int, first: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Take so many rows, by lot that depends on their names alone; those that go first before any other."""
    names = np.asarray(catalog["id_str"])[rows].tolist()
    lots = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    order = np.lexsort((np.array(lots, dtype=np.str_), np.zeros(len(rows), bool) if first is None else ~first))
    return np.sort(rows[order[:count]])


def _at_home(catalog: Table, rows: NDArray[np.intp], home: NDArray[np.intp], fov: NDArray[np.float64]) -> Table:
    made = catalog[rows]
    for name in ("id_str", "ra", "dec"):
        made[name] = np.asarray(catalog[name])[home[rows]]
    made["ext_fov"] = np.asarray(fov, dtype=np.float64)  # stated: no rule applies
    return made
