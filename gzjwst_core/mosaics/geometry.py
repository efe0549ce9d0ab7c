"""Boxes of pixels: windows, tiles and the WCS that places them on the sky.

Axis order is (y, x) everywhere; boxes are half-open and may reach beyond their array. Nothing here opens a file.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError

__all__ = [
    "Affine",
    "Box",
    "celestial_wcs",
    "check_reach",
    "fit_affine",
    "pixel_scale_arcsec",
    "stated_wcs",
    "tiles",
    "wcs_cards",
    "whole",
]

_WCS_KEY = re.compile(
    r"((CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA)[12]|(PC|CD)[12]_[12]|PV[12]_[0-9]{1,2}|LONPOLE|LATPOLE|RADESYS|EQUINOX"
    r"|(A|B|AP|BP)_(ORDER|[0-9]_[0-9]))\Z"
)
_TEXTS = {"CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "RADESYS"}
_NEEDED = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
_AXIS = re.compile(r"(RA--|DEC-)-([A-Z]{3})(-SIP)?")
_PROJECTIONS = {"TAN", "SIN", "STG", "ARC", "ZEA"}
_DISTORTIONS = ("CPDIS1", "CPDIS2", "D2IMDIS1", "D2IMDIS2", "CQDIS1", "CQDIS2")
_SIP_ORDERS = ("A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER")
_MOST_SIP_ORDER = 9
_WIDEST_SCALE_ARCSEC = 10.0
_NARROWEST_SCALE_ARCSEC = 5e-3  # kernels, apertures and cutouts have lengths in arcsec: pixels go with its square
_MOST_RETURN_ERROR_PX = 0.1


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
        With reason `bad_wcs`: absent, not of right ascension and declination (ICRS or FK5 J2000) in that order, with a
        distortion that is not applied, not finite, singular, or of an absurd scale.
    """
    kept = wcs_cards(header, where)
    _check_system(kept, header, where)
    try:
        with np.errstate(all="ignore"):
            wcs = WCS(kept, naxis=2, fix=False)
            scale = pixel_scale_arcsec(wcs)
            corner = np.asarray(wcs.all_pix2world([[0.0, 0.0], [10.0, 10.0]], 0))
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        raise MosaicLayoutError(f"{where}: the WCS cannot be used: {error}", reason="bad_wcs") from error
    good = wcs.has_celestial and np.isfinite(corner).all() and np.isfinite(scale)
    if not (good and _NARROWEST_SCALE_ARCSEC < scale < _WIDEST_SCALE_ARCSEC):
        raise MosaicLayoutError(f"{where}: the WCS is not celestial, singular or absurd", reason="bad_wcs")
    return wcs


def check_reach(wcs: WCS, shape: tuple[int, int], where: str) -> None:
    """Make sure that a WCS serves the whole of its array: pixels to sky and back, at the corners and the centre.

    Raises
    ------
    MosaicLayoutError
        With reason `bad_wcs`, if it does not.
    """
    y, x = np.meshgrid([0.0, shape[0] / 2, shape[0]], [0.0, shape[1] / 2, shape[1]], indexing="ij")
    here = np.column_stack([x.ravel(), y.ravel()])
    try:
        with np.errstate(all="ignore"):
            there = np.asarray(wcs.all_pix2world(here, 0))
            back = np.asarray(wcs.all_world2pix(there, 0))
    except (NoConvergence, ValueError) as error:
        raise MosaicLayoutError(f"{where}: the WCS fails on its own pixels: {error}", reason="bad_wcs") from error
    if not (np.isfinite(there).all() and np.abs(back - here).max() < _MOST_RETURN_ERROR_PX):  # NaN is no, too
        raise MosaicLayoutError(f"{where}: the WCS fails on its own pixels", reason="bad_wcs")


def wcs_cards(header: fits.Header, where: str) -> fits.Header:
    """Return the cards of a header that make its celestial WCS; none where it has no WCS.

    Raises
    ------
    MosaicLayoutError
        One of them is no number or text, as it must be (reason `bad_wcs`).
    """
    kept = fits.Header()
    for card in header.cards:
        if _WCS_KEY.match(card.keyword):
            kept[card.keyword] = card.value
    for key, value in kept.items():
        good = isinstance(value, str) if key in _TEXTS else type(value) in {int, float} and math.isfinite(value)
        if not good:
            raise MosaicLayoutError(f"{where}: the WCS cannot be used: {key} is {value!r}", reason="bad_wcs")
    return kept


def _check_system(kept: fits.Header, header: fits.Header, where: str) -> None:
    missing = [key for key in _NEEDED if key not in kept]
    if missing:
        raise MosaicLayoutError(f"{where} has no WCS: {', '.join(missing)} missing", reason="bad_wcs")
    axes = tuple(_AXIS.fullmatch(kept[key].strip()) for key in ("CTYPE1", "CTYPE2"))
    kinds = [axis[2] for axis in axes if axis]
    system, equinox = kept.get("RADESYS", "").strip() or "ICRS", kept.get("EQUINOX", 2000.0)
    distorted = "-SIP" if any(key in kept for key in ("A_ORDER", "B_ORDER")) else ""
    checks = {
        "CTYPE1, CTYPE2 are not RA---TAN, DEC--TAN or such": [a[1] for a in axes if a] == ["RA--", "DEC-"],
        "its axes are projected differently, or by what is not read": len(set(kinds)) == 1 and kinds[0] in _PROJECTIONS,
        "SIP terms and CTYPE do not agree": {axis[3] or "" for axis in axes if axis} == {distorted},
        "a distortion of it is not read": not any(key in header for key in _DISTORTIONS),
        "its system is none of ICRS and FK5 J2000": system in {"ICRS", "FK5"} and abs(equinox - 2000.0) < 1e-6,
        "its reference is not on the sky": abs(kept["CRVAL1"]) <= 360 and abs(kept["CRVAL2"]) <= 90,
        "its SIP order is absurd": all(0 <= kept.get(key, 2) <= _MOST_SIP_ORDER for key in _SIP_ORDERS),
    }
    wrong = [said for said, good in checks.items() if not good]
    if wrong:
        raise MosaicLayoutError(f"{where}: the WCS cannot be used: {'; '.join(wrong)}", reason="bad_wcs")


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
