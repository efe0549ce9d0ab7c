"""Where a mosaic lies on the sky and which of its pixels were exposed.

A `FieldGeometry` is one pixel grid (TAN projection) with a miniature of NIRCam's focal plane on it: detector tiles
with gaps, seen in four dithered exposures, at an angle to the grid. Angles, polygons and exposure counts belong
here; what the pixels show does not.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

__all__ = ["DITHERS", "EXTENT", "FieldGeometry", "tangent_wcs"]

DITHERS = ((-0.021, -0.012), (0.009, -0.019), (0.018, 0.011), (-0.006, 0.020))
"""Offsets of the exposures, as fractions of the field's side, along the focal plane's x and y."""

EXTENT = 0.92
"""Side of the area that at least one exposure reaches, as a fraction of the field's side."""

_GAP = 0.052
"""Gap between detector tiles in one exposure (same unit); dithering leaves about a quarter of it uncovered."""


def tangent_wcs(
    ra_deg: float, dec_deg: float, roll_deg: float, scale_arcsec: float, crpix: tuple[float, float] = (1.0, 1.0)
) -> WCS:
    """Build a TAN WCS with square pixels, in the way JWST mosaics write it (PC matrix, positive CDELT).

    Parameters
    ----------
    ra_deg, dec_deg
        Tangent point (ICRS), deg.
    roll_deg
        Position angle of the +y axis, deg East of North; +x is 90 deg West of it.
    scale_arcsec
        Side of a pixel, arcsec.
    crpix
        1-based pixel (x, y) of the tangent point.

    Returns
    -------
    WCS
        Celestial, two axes, RADESYS ICRS.
    """
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.deg2rad(roll_deg)), np.sin(np.deg2rad(roll_deg))
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = list(crpix)
    wcs.wcs.cdelt = [scale_arcsec / 3600] * 2
    wcs.wcs.pc = [[-cos, sin], [sin, cos]]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


@dataclass(frozen=True)
class FieldGeometry:
    """One pixel grid on the sky and the detectors that exposed it.

    Attributes
    ----------
    ra_deg, dec_deg
        Centre of the field (ICRS), deg.
    size_arcsec
        Side of the square grid, arcsec.
    roll_deg
        Position angle of the grid's +y axis, deg E of N.
    pixel_scale_arcsec
        Side of a pixel, arcsec.
    offset_px
        Shift (x, y) of the field's centre from the grid's centre, pixels: what keeps two channels unaligned.
    focal_roll_deg
        Position angle of the focal plane's +y axis, deg E of N.
    columns, rows
        Detector tiles along the focal plane's x and y.
    """

    ra_deg: float
    dec_deg: float
    size_arcsec: float
    roll_deg: float
    pixel_scale_arcsec: float
    offset_px: tuple[float, float] = (0.0, 0.0)
    focal_roll_deg: float = 0.0
    columns: int = 2
    rows: int = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Grid size (ny, nx), pixels."""
        side = round(self.size_arcsec / self.pixel_scale_arcsec)
        return side, side

    @property
    def wcs(self) -> WCS:
        """The grid's WCS."""
        ny, nx = self.shape
        crpix = ((nx + 1) / 2 + self.offset_px[0], (ny + 1) / 2 + self.offset_px[1])
        return tangent_wcs(self.ra_deg, self.dec_deg, self.roll_deg, self.pixel_scale_arcsec, crpix)

    @property
    def tiles(self) -> int:
        """Detector tiles in one exposure."""
        return self.columns * self.rows

    def to_pixels(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sky position (deg) to 0-based pixel (x, y)."""
        x, y = self.wcs.all_world2pix(np.asarray(ra_deg), np.asarray(dec_deg), 0)
        return np.asarray(x), np.asarray(y)

    def to_focal(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """0-based pixel (x, y) to the focal plane's (u, v), arcsec from the field's centre."""
        ny, nx = self.shape
        dx = (x - (nx - 1) / 2 - self.offset_px[0]) * self.pixel_scale_arcsec
        dy = (y - (ny - 1) / 2 - self.offset_px[1]) * self.pixel_scale_arcsec
        turn = np.deg2rad(self.focal_roll_deg - self.roll_deg)
        cos, sin = np.cos(turn), np.sin(turn)
        return cos * dx + sin * dy, cos * dy - sin * dx

    def contributions(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.int32]:
        """Which detector images reach the points (u, v).

        Parameters
        ----------
        u, v
            Focal-plane positions, arcsec; any shapes that broadcast.

        Returns
        -------
        ndarray of int32
            Bit ``exposure * tiles + tile`` is set where that image contributes (as the CON plane); 0 = no data.
        """
        bits = np.zeros(np.broadcast_shapes(u.shape, v.shape), dtype=np.int32)
        for exposure, (du, dv) in enumerate(DITHERS):
            column = _tile_index(u - du * self.size_arcsec, self.columns, self.size_arcsec)
            row = _tile_index(v - dv * self.size_arcsec, self.rows, self.size_arcsec)
            inside = (column >= 0) & (row >= 0)
            tile = exposure * self.tiles + np.maximum(row, 0) * self.columns + np.maximum(column, 0)
            bits |= np.where(inside, np.left_shift(np.int32(1), tile), np.int32(0))
        return bits

    def contribution_map(self) -> NDArray[np.int32]:
        """`contributions` at every pixel, shape (ny, nx)."""
        ny, nx = self.shape
        u, v = self.to_focal(np.arange(nx, dtype=np.float64)[None, :], np.arange(ny, dtype=np.float64)[:, None])
        return self.contributions(u, v)

    def exposures_at(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.int32]:
        """Count the exposures at sky positions (deg); 0 outside the footprint and in the gaps."""
        bits = self.contributions(*self.to_focal(*self.to_pixels(ra_deg, dec_deg)))
        return np.bitwise_count(bits).astype(np.int32)

    def footprint(self) -> NDArray[np.float64]:
        """Corners (ra, dec) in deg of the area that at least one exposure reaches, shape (4, 2)."""
        half = _half_tiles(self.size_arcsec)
        dithers = np.array(DITHERS) * self.size_arcsec
        (u0, v0), (u1, v1) = dithers.min(axis=0) - half, dithers.max(axis=0) + half
        frame = tangent_wcs(self.ra_deg, self.dec_deg, self.focal_roll_deg, 1.0)
        return np.asarray(frame.all_pix2world([[u0, v0], [u1, v0], [u1, v1], [u0, v1]], 0))

    def s_region(self) -> str:
        """Write the footprint as MAST does, ``POLYGON ICRS ra dec ra dec ...`` in deg."""
        return "POLYGON ICRS " + " ".join(f"{value:.9f}" for value in self.footprint().ravel())


def _half_tiles(size_arcsec: float) -> float:
    """Half the side of all tiles of one exposure together, arcsec."""
    reach = float(np.ptp(np.array(DITHERS), axis=0).max())
    return (EXTENT - reach) * size_arcsec / 2


def _tile_index(position: NDArray[np.float64], tiles: int, size_arcsec: float) -> NDArray[np.int32]:
    """Index of the tile that holds each position along one axis; -1 in a gap and outside."""
    half, gap = _half_tiles(size_arcsec), _GAP * size_arcsec
    pitch = (2 * half + gap) / tiles
    index = np.floor((position + half) / pitch)
    inside = (np.abs(position) < half) & (position + half - index * pitch < pitch - gap)
    return np.where(inside, index, -1).astype(np.int32)
