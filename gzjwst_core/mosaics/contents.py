"""What is what in a mosaic's file: the science plane, its noise map and weights, and the unit of each.

Headers alone are looked at. What a plane is in, and what is noise, is read by name or refused by name.
"""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.coordinates import angular_separation
from astropy.io import fits
from astropy.wcs import WCS

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import pixel_scale_arcsec, stated_wcs
from gzjwst_core.mosaics.headers import check_size
from gzjwst_core.mosaics.layout import Plane, read_layout
from gzjwst_core.mosaics.noise_map import noise_plane, plain_path
from gzjwst_core.mosaics.planes import NOISE_PLANES, WEIGHTS
from gzjwst_core.mosaics.units import SURFACE_BRIGHTNESS, known_unit, names_no_flux, ujy_per_unit
from gzjwst_core.mosaics.wcs import celestial_wcs, check_reach, wcs_rows
from gzjwst_core.options import MosaicOptions

__all__ = ["Contents", "PlaneIn", "read_contents"]

_log = logging.getLogger(__name__)

_AREA_TOLERANCE = 0.03
_HALF_BASE_PX = 4.0
_MOST_OFFSET_PX = 0.5
_MOST_STATED_PX = 10.0
"""A centre that a person rounded to four decimals of a degree may be 6 pixels off."""
_STATED = "local[].pixel_scale_arcsec, centre_ra_deg and centre_dec_deg"


@dataclass(frozen=True, slots=True)
class PlaneIn:
    """One plane of some file."""

    path: Path
    plane: Plane
    where: str
    """File and plane, for messages."""
    ujy: float = 1.0
    """What one unit of it is in uJy per pixel."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a mosaic's file holds, and the file of a noise map beside it."""

    primary: fits.Header
    sci: PlaneIn
    err: PlaneIn | None
    wht: PlaneIn | None
    wcs: WCS


def read_contents(source: MosaicSource, options: MosaicOptions, *, tell: bool = True) -> Contents:
    """Find a mosaic's planes, and what their pixels are in.

    Parameters
    ----------
    source
        Where it is, and what its header does not say.
    options
        Names of the science plane, fallback unit, whose area of a pixel counts.
    tell
        Log which of two contradicting statements counts.

    Raises
    ------
    CorruptMosaicError
        A file is damaged.
    MosaicLayoutError
        A plane, the unit or the WCS is missing, contradictory or cannot be understood.
    StorageError
        A file cannot be read.
    """
    path = Path(source.path)
    planes = read_layout(path)
    named = {p.name: p for p in reversed(planes)}  # of two planes with one name the first counts
    sci = _science_plane(planes, named, options.sci_planes, source)
    where = f"{source.uri} [{sci.name}]"
    wcs = _geometry(sci, source, where)
    units = _Units(source, options, sci, planes[0], wcs, tell)
    ujy = units.of_science(where)
    err, found = next((named[name] for name in NOISE_PLANES if name in named), None), None
    if source.err_path:
        beside = plain_path(Path(source.err_path))
        first, err = noise_plane(beside)
        found = units.of_noise(PlaneIn(beside, err, f"{beside.name} [{err.name}]"), first, ujy)
    elif err is not None:
        found = units.of_noise(PlaneIn(path, err, f"{source.uri} [{err.name}]"), err, ujy)
    wht = named.get(WEIGHTS)
    for plane in (err, wht):
        if plane is not None and plane.shape != sci.shape:
            raise MosaicLayoutError(f"{source.uri}: {plane.name} is {plane.shape}, {sci.name} is {sci.shape}")
    if source.err_path and found is not None and "CTYPE1" in found.plane.header:
        _check_sky(found, wcs, where)
    weights = None if wht is None else PlaneIn(path, wht, f"{source.uri} [{WEIGHTS}]")
    return Contents(planes[0].header, PlaneIn(path, sci, where, ujy), found, weights, wcs)


def _science_plane(
    planes: tuple[Plane, ...], named: dict[str, Plane], wanted: tuple[str, ...], source: MosaicSource
) -> Plane:
    for name in wanted:
        if name in named:
            return _checked_image(named[name], source.uri)
    if planes[0].shape:
        return _checked_image(planes[0], source.uri)
    unnamed = [plane for plane in planes if plane.name == "PRIMARY" and plane.shape]  # by fpack
    if len(unnamed) == 1:
        return _checked_image(unnamed[0], source.uri)
    has = ", ".join(p.name or "(no name)" for p in planes)
    raise MosaicLayoutError(
        f"{source.uri} has no science plane {' or '.join(wanted)} (it has {has})", reason="missing_extension"
    )


def _checked_image(plane: Plane, where: str) -> Plane:
    if len(plane.shape) != 2 or 0 in plane.shape:
        raise MosaicLayoutError(f"{where}: {plane.name} is {plane.shape or 'empty'}, a 2-D image is needed")
    check_size(plane.shape, f"{where} [{plane.name}]")
    return plane


def _geometry(sci: Plane, source: MosaicSource, where: str) -> WCS:
    scale, ra, dec = source.pixel_scale_arcsec, source.centre_ra_deg, source.centre_dec_deg
    shape, header = (sci.shape[0], sci.shape[1]), sci.header
    if scale is None or ra is None or dec is None:
        wcs = celestial_wcs(header, where)
    elif "CTYPE1" in header:
        wcs = celestial_wcs(header, where)
        _check_stated(wcs, shape, (scale, ra, dec), where)
    else:
        where = f"{where}, by {_STATED}"
        wcs = celestial_wcs(fits.Header(wcs_rows(stated_wcs(shape, scale, ra, dec))), where)
    check_reach(wcs, shape, where)
    return wcs


def _check_stated(wcs: WCS, shape: tuple[int, int], stated: tuple[float, float, float], where: str) -> None:
    """Refuse a geometry that the profile states against the header's own."""
    scale, ra, dec = stated
    grid = math.degrees(math.sqrt(_middle_area(wcs, shape))) * 3600
    at = wcs.all_pix2world([[(shape[1] - 1) / 2, (shape[0] - 1) / 2]], 0)[0]
    offset = math.degrees(angular_separation(*np.deg2rad([ra, dec, *at]))) * 3600 / grid
    is_near = abs((scale / grid) ** 2 - 1) <= _AREA_TOLERANCE and offset <= _MOST_STATED_PX
    if is_near and offset <= _MOST_OFFSET_PX:
        return
    said = f"stated are pixels of {scale:g} arcsec around {ra} {dec:+} deg ({_STATED}), its own WCS has {grid:.6g}"
    said += f" arcsec around {at[0]:.6f} {at[1]:+.6f}, {offset:.4g} pixels off (at most {_MOST_STATED_PX:g})"
    if is_near:
        _log.warning("%s: %s: the header's WCS decides", where, said)
        return
    raise MosaicLayoutError(f"{where}: {said}: without these keys the header's WCS decides", reason="bad_wcs")


def _check_sky(noise: PlaneIn, wcs: WCS, where: str) -> None:
    """Refuse a noise map of another file whose corners or centre lie elsewhere on the sky than the mosaic's."""
    other = celestial_wcs(noise.plane.header, noise.where)
    ny, nx = noise.plane.shape
    pixels = np.array([[0, 0], [nx - 1, 0], [0, ny - 1], [nx - 1, ny - 1], [(nx - 1) / 2, (ny - 1) / 2]])
    here, there = (np.deg2rad(grid.all_pix2world(pixels, 0)).T for grid in (wcs, other))
    apart_deg = float(np.rad2deg(angular_separation(*here, *there)).max())
    offset = apart_deg * 3600 / pixel_scale_arcsec(wcs)
    if not offset <= _MOST_OFFSET_PX:  # NaN is no, too
        said = f"{noise.where}: the WCS of the noise map is up to {offset:.4g} pixels off that of {where}"
        raise MosaicLayoutError(f"{said} (at most {_MOST_OFFSET_PX:g})", reason="bad_noise_map")


@dataclass(frozen=True, slots=True)
class _Units:
    """What the planes of one mosaic are in: by their headers, by the profile, by the grid."""

    source: MosaicSource
    options: MosaicOptions
    sci: Plane
    primary: Plane
    wcs: WCS
    tell: bool

    def of_science(self, where: str) -> float:
        """UJy per pixel of one unit of the science plane."""
        unit = self._science_unit(_written(self.sci, self.primary), where)
        return ujy_per_unit(unit, self._area(unit, (self.sci, self.primary), where), where)

    def of_noise(self, noise: PlaneIn, first: Plane, science: float) -> PlaneIn:
        """Add what a noise map is in: by its own BUNIT, as the science plane where it has none or the same."""
        written, of_science = _written(noise.plane, first), _written(self.sci, self.primary)
        known = known_unit(written)
        if written in {"", of_science} or (known and known == known_unit(of_science)):
            return replace(noise, ujy=science)
        if names_no_flux(written) and (self.source.unit or self._general(of_science)):
            self._say(f"{noise.where}: the unit stated for the science plane is used, not BUNIT {written}")
            return replace(noise, ujy=science)
        area = self._area(written, (noise.plane, self.sci, self.primary), noise.where)
        return replace(noise, ujy=ujy_per_unit(written, area, noise.where))

    def _science_unit(self, written: str, where: str) -> str:
        """Choose: what the profile states for this file, else BUNIT, else what the profile states for all files."""
        unit = self.source.unit or self._general(written) or written
        if not unit:
            raise MosaicLayoutError(f"{where} has no BUNIT; state `unit` in the profile", reason="bad_unit")
        if written and known_unit(unit) != known_unit(written):
            self._say(f"{where}: the stated unit {unit} is used, not BUNIT {written}")
        elif self.options.unit and known_unit(unit) != self.options.unit:
            self._say(f"{where}: {'the stated' if self.source.unit else 'BUNIT'} {unit} is used, not mosaics.unit")
        return unit

    def _general(self, written: str) -> str:
        """Return the unit stated for all files, where it counts: BUNIT of the science plane names no flux."""
        return self.options.unit if not written or names_no_flux(written) else ""

    def _area(self, unit: str, planes: tuple[Plane, ...], where: str) -> float:
        """Area of a pixel, sr, where the unit takes it: PIXAR_SR, which must be the grid's own."""
        if known_unit(unit) != SURFACE_BRIGHTNESS:
            return math.nan
        grid = _middle_area(self.wcs, self.sci.shape)
        area = next((plane.header["PIXAR_SR"] for plane in planes if "PIXAR_SR" in plane.header), grid)
        is_number = type(area) in {int, float} and math.isfinite(area) and area > 0
        if is_number and abs(area / grid - 1) <= _AREA_TOLERANCE:
            return grid if self.options.pixel_area == "wcs" else float(area)
        said = f"{where}: PIXAR_SR is {area} sr, a pixel of the grid (WCS) has {grid:.6g} sr"
        if self.options.pixel_area == "wcs" or (self.options.pixel_area == "header" and is_number):
            self._say(f"{said}: mosaics.pixel_area = {self.options.pixel_area} decides")
            return grid if self.options.pixel_area == "wcs" else float(area)
        decides = 'mosaics.pixel_area = "header" or "wcs" in the profile decides'
        raise MosaicLayoutError(f"{said}, more than {_AREA_TOLERANCE:.0%} apart: {decides}", reason="bad_unit")

    def _say(self, text: str) -> None:
        if self.tell:
            _log.warning("%s", text)


def _written(plane: Plane, primary: Plane) -> str:
    """BUNIT of a plane, or of its file's PRIMARY header; empty without."""
    return str(plane.header.get("BUNIT", "")).strip() or str(primary.header.get("BUNIT", "")).strip()


def _middle_area(wcs: WCS, shape: tuple[int, ...]) -> float:
    """Area of the pixel in the middle of an array, sr: distortions and skew are in it."""
    y, x, d = (shape[0] - 1) / 2, (shape[1] - 1) / 2, _HALF_BASE_PX
    sky = np.deg2rad(wcs.all_pix2world([[x - d, y], [x + d, y], [x, y - d], [x, y + d]], 0))
    ra, dec = sky[:, 0], sky[:, 1]
    at = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return float(np.linalg.norm(np.cross(at[1] - at[0], at[3] - at[2]))) / (2 * d) ** 2
