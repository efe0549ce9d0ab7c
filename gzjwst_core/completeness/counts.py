"""Completeness and purity in bins: counts, shares, intervals, biases; from tables of galaxies and detections to tables.

Tables in, tables out. What was recovered is `recovery`'s to say; reading the result is `selection`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.special import betaincinv

from gzjwst_core.detection.noise import mad_sigma
from gzjwst_core.mosaics.units import ab_magnitude
from gzjwst_core.options import CompletenessOptions
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = [
    "Bins",
    "bins_of",
    "completeness_columns",
    "completeness_table",
    "count_magnitudes",
    "jeffreys",
    "purity_table",
]

Floats = NDArray[np.float64]

_TAIL = 0.025


@dataclass(frozen=True)
class Bins:
    """Edges of the bins; half-open but for the last."""

    mag: Floats
    r50: Floats


def bins_of(options: CompletenessOptions) -> Bins:
    """Return the profile's bins: even in magnitude, the last one cut where the range ends; even in log r50."""
    low, high = options.mag_range
    edges = np.append(np.arange(low, high - 1e-6 * options.mag_step, options.mag_step), high)
    return Bins(edges, np.geomspace(*options.r50_range, options.r50_bins + 1))


def jeffreys(count: NDArray[Any], of: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the 95 % interval of a share.

    Parameters
    ----------
    count, of
        (n,) successes and trials.

    Returns
    -------
    low, high
        (n,) NaN without trials.

    Notes
    -----
    Quantiles of Beta(k + 1/2, n - k + 1/2); 0 is the lower end for k = 0, 1 the upper one for k = n (Brown, Cai &
    DasGupta 2001, Stat. Sci. 16, 101).
    """
    k, n = np.asarray(count, dtype=float), np.asarray(of, dtype=float)
    low = np.where(k > 0, betaincinv(k + 0.5, n - k + 0.5, _TAIL), 0.0)
    high = np.where(k < n, betaincinv(k + 0.5, n - k + 0.5, 1 - _TAIL), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def completeness_table(injected: Mapping[str, Table], options: CompletenessOptions, bands: Sequence[str]) -> Table:
    """Count and compare in bins of field, magnitude and half-light radius, all as injected.

    Parameters
    ----------
    injected
        Injected galaxies (`recovery.injected_columns`) by field, with `selected`: recovered, and within the cuts.
    options
        Bins.
    bands
        Of the survey.

    Returns
    -------
    Table
        Columns of `completeness_columns`; rows by field, magnitude, radius; every bin is there.
    """
    bins = bins_of(options)
    rows = [row for field in sorted(injected) for row in _rows(field, injected[field], bins, bands)]
    table = Table(rows=rows)
    for share, count in (("completeness", "n_found"), ("selected", "n_selected")):
        found, of = np.asarray(table[count]), np.asarray(table["n_in"])
        table[share] = np.divide(found, of, out=np.full(len(of), np.nan), where=of > 0)
        table[f"{share}_low"], table[f"{share}_high"] = jeffreys(found, of)
    columns = completeness_columns(bands)
    return apply_columns(table, columns)


def _rows(field: str, galaxies: Table, bins: Bins, bands: Sequence[str]) -> list[dict[str, Any]]:
    mag = _bin(np.asarray(galaxies["mag"], dtype=float), bins.mag)
    size = _bin(np.asarray(galaxies["r50"], dtype=float), bins.r50)
    rows = []
    for m, s in np.ndindex(len(bins.mag) - 1, len(bins.r50) - 1):
        here = galaxies[(mag == m) & (size == s)]
        edges = {
            "mag_low": bins.mag[m],
            "mag_high": bins.mag[m + 1],
            "r50_low": bins.r50[s],
            "r50_high": bins.r50[s + 1],
        }
        centre = {"mag": np.mean(bins.mag[m : m + 2]), "r50": np.sqrt(np.prod(bins.r50[s : s + 2]))}
        counts = {"n_in": len(here), "n_found": np.sum(here["recovered"])}
        counts |= {"n_blended": np.sum(here["blended"]), "n_selected": np.sum(here["selected"])}
        rows.append({"field": field, **centre, **edges, **counts, **_biases(here[here["recovered"]], bands)})
    return rows


def _biases(found: Table, bands: Sequence[str]) -> dict[str, float]:
    made = _spread("mag", np.asarray(found["mag_out"]) - np.asarray(found["mag"]))
    made |= _spread("r50", np.asarray(found["r50_out"]) / np.asarray(found["r50"]), what="ratio")
    for band in bands:
        given, measured = (ab_magnitude(np.asarray(found[f"{band}_flux_{n}"])) for n in ("in", "tot"))
        made |= _spread(f"{band}_mag", measured - given)
    return made


def _spread(name: str, values: NDArray[Any], what: str = "bias") -> dict[str, float]:
    known = values[np.isfinite(values)].astype(float)
    return {f"{name}_{what}": float(np.median(known)) if known.size else np.nan, f"{name}_mad": mad_sigma(known)}


def _bin(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """Return the number of each value's bin; -1 outside. The last edge belongs to the last bin."""
    number = np.searchsorted(edges, values, side="right") - 1
    number[values == edges[-1]] = len(edges) - 2
    number[(number < 0) | (number > len(edges) - 2) | ~np.isfinite(values)] = -1
    return np.asarray(number, dtype=np.int64)


def count_magnitudes(mag: NDArray[Any], options: CompletenessOptions) -> list[int]:
    """Count detections in the magnitude bins; those outside, or without a magnitude, count nowhere."""
    edges = bins_of(options).mag
    number = _bin(np.asarray(mag, dtype=float), edges)
    return [int(n) for n in np.bincount(number[number >= 0], minlength=len(edges) - 1)]


def purity_table(counts: Mapping[str, Mapping[str, Sequence[int]]], options: CompletenessOptions) -> Table:
    """Compare detections with those on the negative sky.

    Parameters
    ----------
    counts
        By field: `n_detected`, `n_negative`, and of those within the sample's cuts `n_selected`,
        `n_negative_selected`; one number a magnitude bin.
    options
        Bins.

    Returns
    -------
    Table
        Rows by field and magnitude. `purity` = 1 - n_negative / n_detected, kept in 0-1; NaN without detections.

    Notes
    -----
    Both counts are Poisson, so that of n_negative + n_detected the first is binomial: the interval is that share's of
    Jeffreys, carried through 1 - p / (1 - p).
    """
    edges = bins_of(options).mag
    table = Table({"field": np.repeat(np.array(sorted(counts), dtype=str), len(edges) - 1)})
    fields = len(counts)
    table["mag"] = np.tile((edges[1:] + edges[:-1]) / 2, fields)
    table["mag_low"], table["mag_high"] = np.tile(edges[:-1], fields), np.tile(edges[1:], fields)
    for name in ("n_detected", "n_negative", "n_selected", "n_negative_selected"):
        table[name] = np.concatenate([counts[field][name] for field in sorted(counts)]).astype(np.int64)
    for share, spurious, of in (
        ("purity", "n_negative", "n_detected"),
        ("purity_selected", "n_negative_selected", "n_selected"),
    ):
        table[share], table[f"{share}_low"], table[f"{share}_high"] = _purity(table[spurious], table[of])
    return apply_columns(table, _PURITY)


def _purity(spurious: NDArray[Any], detected: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    bad, all_ = np.asarray(spurious, dtype=float), np.asarray(detected, dtype=float)
    low, high = (np.clip(1 - p / np.maximum(1 - p, 1e-9), 0, 1) for p in jeffreys(bad, bad + all_))
    purity = np.clip(1 - np.divide(bad, all_, out=np.full(len(all_), np.nan), where=all_ > 0), 0, 1)
    return purity, np.where(all_ > 0, high, np.nan), np.where(all_ > 0, low, np.nan)


def _c(name: str, dtype: str, unit: str, ucd: str, meaning: str) -> Column:
    return Column(name, dtype, unit, ucd, meaning)


_BIN = (
    _c("field", "str", "", "meta.id;obs.field", "field"),
    _c("mag", "float64", "mag", "phot.mag", "middle of the magnitude bin, total AB in the reference band"),
)
_MAG_EDGES = (
    _c("mag_low", "float64", "mag", "phot.mag;stat.min", "the bin's bright end"),
    _c("mag_high", "float64", "mag", "phot.mag;stat.max", "the bin's faint end"),
)

_PURITY = (
    *_BIN,
    *_MAG_EDGES,
    _c("n_detected", "int64", "", "meta.number", "detections in the field's catalog"),
    _c("n_negative", "int64", "", "meta.number", "detections on its sky without sources, with the sign turned"),
    _c("n_selected", "int64", "", "meta.number", "detections within the sample's cuts (is_primary aside)"),
    _c("n_negative_selected", "int64", "", "meta.number", "negative detections within the sample's cuts"),
    _c("purity", "float64", "", "stat.probability", "1 - n_negative / n_detected, kept in 0-1"),
    _c("purity_low", "float64", "", "stat.probability;stat.min", "lower end of its 95 % interval"),
    _c("purity_high", "float64", "", "stat.probability;stat.max", "upper end of its 95 % interval"),
    _c("purity_selected", "float64", "", "stat.probability", "the same within the sample's cuts"),
    _c("purity_selected_low", "float64", "", "stat.probability;stat.min", "lower end of its 95 % interval"),
    _c("purity_selected_high", "float64", "", "stat.probability;stat.max", "upper end of its 95 % interval"),
)


def completeness_columns(bands: Sequence[str]) -> tuple[Column, ...]:
    """Columns of the table of completeness."""
    columns = [
        *_BIN,
        _c(
            "r50",
            "float64",
            "arcsec",
            "phys.angSize",
            "middle (geometric) of the bin of half-light radii before the PSF",
        ),
        *_MAG_EDGES,
        _c("r50_low", "float64", "arcsec", "phys.angSize;stat.min", "the bin's small end"),
        _c("r50_high", "float64", "arcsec", "phys.angSize;stat.max", "the bin's large end"),
        _c("n_in", "int64", "", "meta.number", "galaxies injected"),
        _c("n_found", "int64", "", "meta.number", "recovered"),
        _c("n_blended", "int64", "", "meta.number", "lost to a brighter real source; not in n_found"),
        _c("n_selected", "int64", "", "meta.number", "recovered, and within the sample's cuts (is_primary aside)"),
        _c("completeness", "float64", "", "stat.probability", "n_found / n_in"),
        _c("completeness_low", "float64", "", "stat.probability;stat.min", "lower end of its 95 % interval (Jeffreys)"),
        _c(
            "completeness_high", "float64", "", "stat.probability;stat.max", "upper end of its 95 % interval (Jeffreys)"
        ),
        _c("selected", "float64", "", "stat.probability", "n_selected / n_in"),
        _c("selected_low", "float64", "", "stat.probability;stat.min", "lower end of its 95 % interval (Jeffreys)"),
        _c("selected_high", "float64", "", "stat.probability;stat.max", "upper end of its 95 % interval (Jeffreys)"),
        _c("mag_bias", "float64", "mag", "stat.median;phot.mag", "median mag_out - mag of the recovered"),
        _c("mag_mad", "float64", "mag", "stat.stdev;phot.mag", "its scatter, 1.4826 x median absolute deviation"),
        _c("r50_ratio", "float64", "", "stat.median;phys.angSize", "median r50_out / r50 of the recovered"),
        _c("r50_mad", "float64", "", "stat.stdev;phys.angSize", "its scatter, as above"),
    ]
    for band in bands:
        columns.append(_c(f"{band}_mag_bias", "float64", "mag", "stat.median;phot.mag", f"as mag_bias, {band}"))
        columns.append(_c(f"{band}_mag_mad", "float64", "mag", "stat.stdev;phot.mag", f"as mag_mad, {band}"))
    return tuple(columns)
