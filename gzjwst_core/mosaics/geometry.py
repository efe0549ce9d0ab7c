"""Boxes of pixels: windows, tiles and the WCS that places them on the sky.

Axis order is (y, x) everywhere; boxes are half-open and may reach beyond their array. Nothing here opens a file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError

__all__ = ["Affine", "Box", "celestial_wcs", "fit_affine", "pixel_scale_arcsec", "stated_wcs", "tiles", "whole"]

_WCS_KEYS = ("WCSAXES", "CTYPE", "CUNIT", "CRPIX", "CRVAL", "CDELT", "CROTA", "PC", "CD", "PV", "LONPOLE", "LATPOLE")
_WCS_MORE = ("RADESYS", "EQUINOX", "A_", "B_", "AP_", "BP_")
_NEEDED: Mapping[str, Any] = {
    **dict.fromkeys(("CTYPE1", "CTYPE2"), str),
    **dict.fromkeys(("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"), (int, float)),
}
_WIDEST_SCALE_ARCSEC = 10.0


class Box(NamedTuple):
    """A half-open rectangle of pixels, rows [y0, y1) and columns [x0, x1); it may reach beyond its array."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; never negative."""
        return max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of these pixels in an array that holds them all (clip the box first)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, margin: int) -> "Box":
        """Return the box with a margin on every side."""
        return Box(self.y0 - margin, self.y1 + margin, self.x0 - margin, self.x1 + margin)

    def clip(self, shape: tuple[int, int]) -> "Box":
        """Return the part inside an array of this shape (empty boxes keep their place)."""
        ny, nx = shape
        y0, x0 = min(max(self.y0, 0), ny), min(max(self.x0, 0), nx)
        return Box(y0, max(min(self.y1, ny), y0), x0, max(min(self.x1, nx), x0))

    def shift(self, dy: int, dx: int) -> "Box":
        """Return the box moved by whole pixels."""
        return Box(self.y0 + dy, self.y1 + dy, self.x0 + dx, self.x1 + dx)

    def holds(self, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which pixel positions lie inside."""
        inside: NDArray[np.bool_] = (y >= self.y0) & (y < self.y1) & (x >= self.x0) & (x < self.x1)
        return inside


def whole(shape: tuple[int, int]) -> Box:
    """Return the box of a whole array."""
    return Box(0, shape[0], 0, shape[1])


def tiles(shape: tuple[int, int], side: int) -> Iterator[Box]:
    """Partition an array into squares of `side` pixels, row by row; the last ones of a row or column are smaller.

    Parameters
    ----------
    shape
        Rows and columns of the array.
    side
        Pixels, at least 1.

    Yields
    ------
    Box
        Every pixel of the array is in exactly one of them.
    """
    for y0 in range(0, shape[0], side):
        for x0 in range(0, shape[1], side):
            yield Box(y0, min(y0 + side, shape[0]), x0, min(x0 + side, shape[1]))


def celestial_wcs(header: fits.Header, where: str) -> WCS:
    """Build the 2-D celestial WCS of an image header, checked and without side effects.

    Only the keywords of the image plane are handed to wcslib: dates and observer positions, which it would "fix" with
    a warning, are of no use here.

    Parameters
    ----------
    header
        Header of the image plane.
    where
        File and plane, for the error message.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_wcs`: absent, not celestial, not finite, singular, or of an absurd scale.
    """
    kept = _wcs_cards(header)
    for key, kind in _NEEDED.items():
        if not isinstance(kept.get(key), kind):
            raise MosaicLayoutError(f"{where} has no WCS: {key} is {kept.get(key, 'missing')!r}", reason="bad_wcs")
    try:
        wcs = WCS(kept, naxis=2)
        scale = pixel_scale_arcsec(wcs)
        corner = np.asarray(wcs.all_pix2world([[0.0, 0.0], [10.0, 10.0]], 0))
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        raise MosaicLayoutError(f"{where}: the WCS cannot be used: {error}", reason="bad_wcs") from error
    good = wcs.has_celestial and np.isfinite(corner).all() and np.isfinite(scale)
    if not (good and 0 < scale < _WIDEST_SCALE_ARCSEC):
        raise MosaicLayoutError(f"{where}: the WCS is not celestial, singular or absurd", reason="bad_wcs")
    return wcs


def _wcs_cards(header: fits.Header) -> fits.Header:
    kept = fits.Header()
    for card in header.cards:
        if _is_wcs_key(card.keyword):
            kept[card.keyword] = card.value
    return kept


def _is_wcs_key(keyword: str) -> bool:
    stem = keyword.rstrip("0123456789_")
    return stem in _WCS_KEYS or keyword.startswith(_WCS_MORE)


def stated_wcs(shape: tuple[int, int], scale_arcsec: float, ra_deg: float, dec_deg: float) -> WCS:
    """Build the WCS of an array whose geometry is stated: TAN, north up, east left, given point at its centre.

    Parameters
    ----------
    shape
        Rows and columns.
    scale_arcsec
        Side of a pixel.
    ra_deg, dec_deg
        Sky position of the array's centre.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def pixel_scale_arcsec(wcs: WCS) -> float:
    """Return the side of a square of a pixel's area at the WCS's reference point, arcsec."""
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs.celestial) * 3600.0)))


@dataclass(frozen=True, slots=True)
class Affine:
    """A local linear map from pixels of one grid to pixels of another: `(x', y') = matrix @ (x, y) + offset`."""

    matrix: NDArray[np.float64]
    """(2, 2), acting on (x, y)."""
    offset: NDArray[np.float64]
    """(2,)."""
    residual: float
    """Largest departure from the true map over the box it was fitted on, pixels of the target grid."""

    def __call__(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Map pixel positions."""
        m, o = self.matrix, self.offset
        return m[0, 0] * x + m[0, 1] * y + o[0], m[1, 0] * x + m[1, 1] * y + o[1]


def fit_affine(source: WCS, target: WCS, box: Box, points: int = 5) -> Affine:
    """Fit the linear map between two grids over a box of the first.

    Parameters
    ----------
    source, target
        WCS of the grid the box is on, and of the grid to map to.
    box
        Where the map is needed.
    points
        Side of the lattice of points the fit uses.

    Raises
    ------
    MosaicLayoutError
        If the two grids do not look at the same part of the sky.

    Notes
    -----
    Least squares. Over a tile of a TAN mosaic the true map departs from it by far less than 0.01 pixel; `residual`
    says by how much, so that a caller can turn to the exact map where a distorted grid needs it.
    """
    y, x = np.meshgrid(np.linspace(box.y0, box.y1, points), np.linspace(box.x0, box.x1, points), indexing="ij")
    here = np.column_stack([x.ravel(), y.ravel()])
    try:
        there = np.asarray(target.all_world2pix(source.all_pix2world(here, 0), 0))
    except (NoConvergence, ValueError) as error:
        raise MosaicLayoutError(f"two grids of one field do not match: {error}", reason="bad_wcs") from error
    if not np.isfinite(there).all():
        raise MosaicLayoutError("two grids of one field look at different parts of the sky", reason="bad_wcs")
    design = np.column_stack([here - here.mean(axis=0), np.ones(len(here))])
    solution, *_ = np.linalg.lstsq(design, there, rcond=None)
    residual = float(np.abs(design @ solution - there).max())
    matrix = solution[:2].T
    return Affine(matrix, solution[2] - matrix @ here.mean(axis=0), residual)
