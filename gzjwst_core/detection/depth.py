"""How deep each part of a mosaic is: noise of the sky in blocks of pixels, 5 sigma limits, the area of each depth.

Arrays in, arrays and tables out. The noise laws themselves are fitted in `noise`; files are `mosaics.depth_file`'s.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.detection.background import cells, fill_cells
from gzjwst_core.detection.noise import WHITE_EVERYWHERE, NoiseLaw, NoiseLaws
from gzjwst_core.mosaics.geometry import Affine

__all__ = [
    "BLOCKS_A_MESH",
    "DETECTION",
    "NOTHING",
    "DepthMap",
    "Lattice",
    "SkyNoise",
    "depth_rows",
    "depth_table",
    "stacked_noise",
]

DETECTION = "DETECTION"
"""Name of the detection image among the bands."""

BLOCKS_A_MESH = 4
"""Blocks along the side of a background mesh."""

Blocks = NDArray[np.float32]


@dataclass(frozen=True)
class Lattice:
    """Noise of the sky in square blocks of a mosaic.

    Attributes
    ----------
    side
        Side of a block, pixels.
    sigma
        (rows, columns): median calibrated noise of a pixel off sources, uJy; NaN without data.
    share
        (rows, columns): part of the block that has data, 0-1.
    """

    side: int
    sigma: Blocks
    share: Blocks

    @classmethod
    def of(cls, side: int, sigma: NDArray[Any], share: NDArray[Any]) -> "Lattice":
        """Build one; a block with data that sources cover takes the nearest other's noise."""
        filled = np.where(share > 0, fill_cells(np.asarray(sigma, dtype=float), smooth=False), np.nan)
        return cls(side, filled.astype(np.float32), np.asarray(share, dtype=np.float32))

    @property
    def median(self) -> float:
        """Noise of the median block, each counted with its data; NaN without any."""
        known = np.isfinite(self.sigma)
        if not known.any():
            return math.nan
        sigma, share = self.sigma[known], self.share[known].astype(float)
        order = np.argsort(sigma, kind="stable")
        return float(sigma[order][np.searchsorted(np.cumsum(share[order]), share.sum() / 2)])

    def coarse(self, laws: NoiseLaws = WHITE_EVERYWHERE) -> "SkyNoise":
        """Return the medians of 4 x 4 blocks, for workers."""
        rows, columns = cells((self.sigma.shape[0], self.sigma.shape[1]), BLOCKS_A_MESH)
        padded = np.full((rows * BLOCKS_A_MESH, columns * BLOCKS_A_MESH), np.nan)
        padded[: self.sigma.shape[0], : self.sigma.shape[1]] = self.sigma
        groups = padded.reshape(rows, BLOCKS_A_MESH, columns, BLOCKS_A_MESH).swapaxes(1, 2).reshape(rows, columns, -1)
        known = np.isfinite(groups).any(axis=2)
        sigma = np.full((rows, columns), np.nan)
        sigma[known] = np.nanmedian(groups[known], axis=1)
        return SkyNoise(self.side * BLOCKS_A_MESH, fill_cells(sigma, smooth=False), laws)


NOTHING = Lattice(1, np.zeros((0, 0), dtype=np.float32), np.zeros((0, 0), dtype=np.float32))
"""Where nothing is known."""


@dataclass(frozen=True)
class SkyNoise:
    """Noise of the sky on a mosaic and the laws of its sums; small enough to send to a worker.

    Attributes
    ----------
    side
        Side of a cell, pixels.
    sigma
        (rows, columns) of cells, without gaps: calibrated noise of a pixel off sources, uJy.
    laws
        Noise of sums, by that noise.
    """

    side: int
    sigma: NDArray[np.float64]
    laws: NoiseLaws = WHITE_EVERYWHERE

    def sigma_at(self, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
        """Return the noise at 0-based positions on the mosaic; outside it that of its edge."""
        rows = np.clip(np.rint(y).astype(int) // self.side, 0, self.sigma.shape[0] - 1)
        columns = np.clip(np.rint(x).astype(int) // self.side, 0, self.sigma.shape[1] - 1)
        found: NDArray[np.float64] = self.sigma[rows, columns]
        return found

    def law_at(self, y: NDArray[Any], x: NDArray[Any]) -> NoiseLaw:
        """Return the law at 0-based positions on the mosaic."""
        return self.laws.at(self.sigma_at(y, x))


@dataclass(frozen=True)
class DepthMap:
    """The depth of one band of a field, or of its detection image."""

    name: str
    """Band, or `DETECTION`."""
    lattice: Lattice
    laws: NoiseLaws
    scale_arcsec: float
    """Side of a mosaic pixel."""
    wcs: WCS
    """Of the mosaic's pixels."""

    @property
    def depth(self) -> Blocks:
        """(rows, columns): AB magnitude of 5 sigma in an aperture of 0.3 arcsec diameter; NaN without data."""
        sigma = self.lattice.sigma.astype(float)
        return self.laws.at(sigma).depths_ab(sigma, self.scale_arcsec).astype(np.float32)


def stacked_noise(lattices: Sequence[Lattice], maps: Sequence[Affine], err_factor: float) -> Lattice:
    """Combine the noise of bands as an inverse-variance stack does.

    Parameters
    ----------
    lattices
        Of the bands; the first one's blocks and pixels are the stack's.
    maps
        From the first grid to that of each of the others.
    err_factor
        Calibrated noise of the stack / what the bands' variances say.
    """
    first = lattices[0]
    weight = np.nan_to_num(first.sigma.astype(float) ** -2)
    share = first.share
    middle = (np.indices(weight.shape) + 0.5) * first.side - 0.5
    for lattice, affine in zip(lattices[1:], maps, strict=True):
        x, y = affine(middle[1], middle[0])
        rows, columns = (np.floor((v + 0.5) / lattice.side).astype(int) for v in (y, x))
        inside = (rows >= 0) & (rows < lattice.sigma.shape[0]) & (columns >= 0) & (columns < lattice.sigma.shape[1])
        at = tuple(np.where(inside, v, 0) for v in (rows, columns))
        area = abs(float(np.linalg.det(affine.matrix)))
        sigma = lattice.sigma[at].astype(float) * area / max(round(math.sqrt(area)), 1)  # as `carry.resample` does
        weight += np.where(inside, np.nan_to_num(sigma**-2), 0.0)
        share = np.maximum(share, np.where(inside, lattice.share[at], 0))
    sigma = err_factor / np.sqrt(np.where(weight > 0, weight, np.nan))
    return Lattice(first.side, sigma.astype(np.float32), share)


def depth_rows(field: str, one: DepthMap) -> list[dict[str, Any]]:
    """List the bins of a map's depth that have any area, the deepest first."""
    sigma, share = one.lattice.sigma.astype(float), one.lattice.share.astype(float)
    number = np.where(np.isfinite(sigma), one.laws.number(sigma), -1)
    block_arcmin2 = (one.lattice.side * one.scale_arcsec / 60) ** 2
    rows = []
    for here in range(len(one.laws.bins)):
        inside = number == here
        if not inside.any():
            continue
        found, law = one.laws.bins[here], one.laws.bins[here].law
        limits = sigma[inside].max(), sigma[inside].min()
        middle = Lattice(one.lattice.side, one.lattice.sigma[inside], one.lattice.share[inside]).median
        rows.append(
            {
                "field": field,
                "band": one.name,
                "depth_min": law.depth_ab(limits[0], one.scale_arcsec),
                "depth_max": law.depth_ab(limits[1], one.scale_arcsec),
                "depth": law.depth_ab(middle, one.scale_arcsec),
                "area": float(share[inside].sum() * block_arcmin2),
                "sigma": middle / one.scale_arcsec**2,
                "sigma_pixel": middle,
                "pixel_scale": one.scale_arcsec,
                "noise_alpha": float(law.alpha),
                "noise_beta": float(law.beta),
                "apertures": found.apertures,
                "law_from": found.origin,
            }
        )
    return rows


def depth_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Make the table of depths of a survey: a row for each bin of each band of each field, and of its detection image.

    Returns
    -------
    Table
        With units and descriptions; columns of `_UNITS`, without rows too.
    """
    rows = list(rows)
    columns = {name: [row[name] for row in rows] for name in _UNITS}
    table = Table({name: np.asarray(values, dtype=_UNITS[name][0]) for name, values in columns.items()})
    for name, (_, unit, meaning) in _UNITS.items():
        table[name].unit, table[name].description = unit, meaning
    return table


_UNITS = {
    "field": (str, None, "field"),
    "band": (str, None, "band, or DETECTION for the detection image"),
    "depth_min": (float, "mag", "shallowest place of the bin: 5 sigma in an aperture of 0.3 arcsec diameter, AB"),
    "depth_max": (float, "mag", "deepest place of the bin"),
    "depth": (float, "mag", "the median place of the bin"),
    "area": (float, "arcmin2", "sky with data; where fields overlap it counts in each of them"),
    "sigma": (float, "uJy/arcsec2", "median calibrated noise of a pixel off sources, as surface brightness"),
    "sigma_pixel": (float, "uJy", "median calibrated noise of a pixel off sources"),
    "pixel_scale": (float, "arcsec", "side of a pixel"),
    "noise_alpha": (float, None, "noise of the sum of N pixels = sigma_pixel x noise_alpha x N^noise_beta"),
    "noise_beta": (float, None, "see noise_alpha; 0.5 = uncorrelated"),
    "apertures": (int, None, "empty apertures in the bin, of all radii"),
    "law_from": (str, None, "alpha and beta were fitted to: own apertures, a neighbour bin's, the whole mosaic's"),
}
