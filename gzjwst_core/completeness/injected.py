"""Which galaxies are injected: magnitudes, sizes, shapes, colours and places, drawn from stated distributions.

Arrays in, a table out. How they look on a mosaic is in `light`; what became of them is in `recovery`.

Distributions
-------------
magnitude and size
    Even over `mag_range`, and over the logarithm of `r50_range`.
Sersic index
    40 % exactly 1, 20 % exactly 4, the others even between.
axis ratio
    Even in 0.2-1; even in 0.5-1 above an index of 2.5. Position angles are even.
colours
    Those of one real galaxy of the field, among the 30 that are nearest in magnitude.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.flag_bits import Flag
from gzjwst_core.mosaics.units import AB_ZERO_POINT_UJY
from gzjwst_core.options import CompletenessOptions

__all__ = ["Colours", "batch_sizes", "colours_of", "draw_galaxies", "far_apart", "generator", "with_fluxes"]

Floats = NDArray[np.float64]

_LEAST_SNR, _NEAREST = 10.0, 30
_SPOILT = np.uint32(Flag.EDGE | Flag.GAP | Flag.TRUNCATED | Flag.SATURATED | Flag.BRIGHT_STAR | Flag.CROWDED)


@dataclass(frozen=True)
class Colours:
    """Colours of real galaxies, ordered by magnitude."""

    mag: Floats
    """(n,) in the reference band."""
    ratio: Floats
    """(n, bands) total flux in each band over that in the reference band; never negative."""


def generator(options: CompletenessOptions, field: str, batch: int) -> Generator:
    """Random numbers of one batch: they depend on the seed, the field's name and the batch, and on nothing else."""
    name = int.from_bytes(hashlib.sha256(field.encode()).digest()[:8], "big")
    return np.random.default_rng([options.seed, name, batch])


def batch_sizes(options: CompletenessOptions, area_arcmin2: float) -> list[int]:
    """Share the galaxies out to at most `batches` batches, none denser than `density` over the area with data."""
    most = max(int(options.density * area_arcmin2), 1)
    total = min(options.sources, most * options.batches)
    count = -(-total // most)
    return [total * (i + 1) // count - total * i // count for i in range(count)]


def colours_of(catalog: Table, bands: Sequence[str], reference: str) -> Colours:
    """Take colours from the field's own galaxies.

    Parameters
    ----------
    catalog
        The field's catalog. Galaxies that are spoilt by an edge, a gap, a core without data, a bright star or a
        neighbour, and those below 10 sigma in the reference band, do not count.
    bands
        That the field has.
    reference
        One of them.

    Returns
    -------
    Colours
        Without any such galaxy: one of equal flux in every band. A band in which a galaxy was not measured, or has less
        than no light, counts as dark.
    """
    flux = np.asarray(catalog[f"{reference}_flux_tot"], dtype=float)
    error = np.asarray(catalog[f"{reference}_fluxerr_tot"], dtype=float)
    good = (flux > _LEAST_SNR * error) & (error > 0) & ~np.asarray(catalog["is_star"], dtype=bool)
    good &= (np.asarray(catalog["flags"], dtype=np.uint32) & _SPOILT) == 0
    if not good.any():
        return Colours(np.zeros(1), np.ones((1, len(bands))))
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(-flux[rows], kind="stable")]
    others = [np.asarray(catalog[f"{band}_flux_tot"], dtype=float)[rows] for band in bands]
    ratio = np.maximum(np.nan_to_num(np.column_stack(others) / flux[rows, None]), 0)
    return Colours(AB_ZERO_POINT_UJY - 2.5 * np.log10(flux[rows]), ratio)


def draw_galaxies(rng: Generator, count: int, options: CompletenessOptions) -> Table:
    """Draw magnitudes, sizes and shapes.

    Returns
    -------
    Table
        `mag`, `r50` (arcsec, semi-major axis of the ellipse with half of the light, before the PSF), `sersic_n`,
        `axis_ratio`, `pa` (deg, east of north).
    """
    low, high = np.log(options.r50_range)
    index = np.where(rng.random(count) < 1 / 3, 4.0, 1.0)
    index = np.where(rng.random(count) < 0.4, rng.uniform(1, 4, count), index)
    flattest = np.where(index > 2.5, 0.5, 0.2)
    return Table(
        {
            "mag": rng.uniform(*options.mag_range, count),
            "r50": np.exp(rng.uniform(low, high, count)),
            "sersic_n": index,
            "axis_ratio": rng.uniform(flattest, 1),
            "pa": rng.uniform(0, 180, count),
        }
    )


def with_fluxes(rng: Generator, galaxies: Table, colours: Colours, bands: Sequence[str]) -> Table:
    """Give each galaxy the colours of a real one of about its magnitude.

    Returns
    -------
    Table
        The same rows, with `<band>_flux_in` in uJy.
    """
    mag = np.asarray(galaxies["mag"], dtype=float)
    count = min(_NEAREST, len(colours.mag))
    first = np.clip(np.searchsorted(colours.mag, mag) - count // 2, 0, len(colours.mag) - count)
    chosen = first + rng.integers(0, count, len(mag))
    total = 10 ** (0.4 * (AB_ZERO_POINT_UJY - mag))
    made = galaxies.copy()
    for number, band in enumerate(bands):
        made[f"{band}_flux_in"] = total * colours.ratio[chosen, number]
    return made


def far_apart(x: Floats, y: Floats, least: float) -> NDArray[np.bool_]:
    """Keep points in their order, each unless one that was kept is nearer than `least`."""
    kept = np.ones(len(x), dtype=bool)
    if least <= 0 or len(x) < 2:
        return kept
    near = cKDTree(np.column_stack([x, y])).query_pairs(least, output_type="ndarray")
    for first, second in near[np.lexsort((near[:, 0], near[:, 1]))].tolist():
        kept[second] &= not kept[first]
    return kept
