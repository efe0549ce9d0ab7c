"""Open one mosaic and read windows of it: planes by name, uJy per pixel, no coverage as NaN.

Nothing here holds a whole plane: pixels are memory-mapped, and a window becomes native float32 when it is asked for.
Archives, caches and gzip are elsewhere; the file at a source's path is plain FITS.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.errors import (
    CorruptMosaicError,
    GzJwstError,
    MosaicError,
    MosaicLayoutError,
    NoValidPixelsError,
    StorageError,
)
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.blocks import blocks_of
from gzjwst_core.mosaics.geometry import Box, celestial_wcs, check_reach, pixel_scale_arcsec, stated_wcs, whole
from gzjwst_core.mosaics.headers import DTYPES
from gzjwst_core.mosaics.layout import HEADER_FAULTS, Plane, read_layout
from gzjwst_core.mosaics.tiled import TiledImage
from gzjwst_core.mosaics.units import ujy_per_unit
from gzjwst_core.options import MosaicOptions

__all__ = ["MosaicReader", "Window", "open_mosaic"]

_log = logging.getLogger(__name__)

_STERADIAN_PER_ARCSEC2 = (math.pi / 180 / 3600) ** 2
_SAMPLED_ROWS = 64
_AREA_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Window:
    """All planes of one window, (ny, nx) native float32, already cleaned."""

    sci: NDArray[np.float32]
    """uJy per pixel, NaN = no coverage."""
    err: NDArray[np.float32] | None
    """uJy per pixel, NaN = no coverage; None where there is no noise map."""
    wht: NDArray[np.float32] | None
    """As in the file, 0 = no coverage; None where there is no weight plane."""


class _Pixels:
    """Raw pixels of one plane, read as scaled float32 windows."""

    def __init__(self, path: Path, plane: Plane, scale: float = 1.0) -> None:
        bscale, bzero = _scaling(path, plane)
        if plane.compressed:  # astropy has applied it
            bscale, bzero = 1.0, 0.0
        self._blocks, self._plane = blocks_of(path), plane
        if plane.compressed and self._blocks is not None:  # its tiles may lie anywhere in it
            header = plane.header
            size = header["NAXIS1"] * header["NAXIS2"] + header.get("PCOUNT", 0)
            self._blocks.check(plane.offset, plane.offset + size)
        self._raw: Any = TiledImage(path, plane) if plane.compressed else plane.pixels(path)
        self._scale, self._zero = scale * bscale, scale * bzero
        self._blank = None if plane.compressed or plane.header["BITPIX"] < 0 else plane.header.get("BLANK")

    def read(self, box: Box) -> NDArray[np.float32]:
        """Read a box that lies inside the plane."""
        if self._blocks is not None and not self._plane.compressed and 0 not in box.shape:
            width, item = self._plane.shape[1], np.dtype(DTYPES[self._plane.header["BITPIX"]]).itemsize
            first, last = (
                self._plane.offset + (y * width + x) * item for y, x in ((box.y0, box.x0), (box.y1 - 1, box.x1))
            )
            self._blocks.check(first, last)
        raw = np.asarray(self._raw[box.slices])
        with np.errstate(all="ignore"):  # what is beyond float32 becomes infinite, and that is no coverage
            if raw.dtype.kind == "f" and self._scale == 1.0 and self._zero == 0.0:
                return raw.astype(np.float32)
            out = (raw.astype(np.float64) * self._scale + self._zero).astype(np.float32)
        if self._blank is not None:
            out[raw == self._blank] = np.nan
        return out

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self._raw, TiledImage):
            self._raw.close()
        self._raw = None


def _scaling(path: Path, plane: Plane) -> tuple[float, float]:
    bscale, bzero, blank = (plane.header.get(key) for key in ("BSCALE", "BZERO", "BLANK"))
    numbers = [1.0 if bscale is None else bscale, 0.0 if bzero is None else bzero]
    if not all(type(n) in {int, float} and math.isfinite(n) for n in numbers) or numbers[0] == 0:
        raise MosaicLayoutError(f"{path.name} [{plane.name}]: BSCALE = {bscale}, BZERO = {bzero} are no scaling")
    if blank is not None and type(blank) is not int:
        raise MosaicLayoutError(f"{path.name} [{plane.name}]: BLANK = {blank!r} is no integer")
    return float(numbers[0]), float(numbers[1])


class MosaicReader:
    """Windows of one mosaic; a context manager. Built by `open_mosaic`.

    Attributes
    ----------
    source
        What was opened.
    shape
        Rows and columns.
    wcs
        Celestial 2-D WCS of the grid.
    ujy_per_unit
        What one unit of the science plane is in uJy per pixel.
    primary, header
        Headers of the PRIMARY HDU and of the science plane.
    planes
        Which of `SCI`, `ERR`, `WHT` exist.
    """

    def __init__(self, source: MosaicSource, layout: "_Layout") -> None:
        self.source = source
        self.band = source.band
        self.primary, self.header = layout.primary, layout.sci.header
        self.shape: tuple[int, int] = (layout.sci.shape[0], layout.sci.shape[1])
        self.wcs: WCS = layout.wcs
        self.pixel_scale_arcsec = pixel_scale_arcsec(layout.wcs)
        self.ujy_per_unit = layout.ujy
        self._pixels = {"SCI": _Pixels(Path(source.path), layout.sci, layout.ujy)}
        if layout.err is not None:
            path, plane = layout.err
            self._pixels["ERR"] = _Pixels(path, plane, layout.ujy)
        if layout.wht is not None:
            self._pixels["WHT"] = _Pixels(Path(source.path), layout.wht)
        self.planes = frozenset(self._pixels)
        self._unread = _unread(source, self.shape[0])
        self._light = np.memmap(source.light, np.float32, "r", shape=self.shape) if source.light else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; windows that were read stay good."""
        for pixels in self._pixels.values():
            pixels.close()
        self._pixels.clear()
        self._light = None

    def window(self, plane: str, box: Box) -> NDArray[np.float32]:
        """Read one plane.

        Parameters
        ----------
        plane
            `SCI`, `ERR` or `WHT`; one of `planes`.
        box
            May reach beyond the mosaic.

        Returns
        -------
        ndarray
            (ny, nx) native float32, C order. SCI and ERR in uJy per pixel with NaN where there is no coverage: outside
            the array, not finite, no positive error, no weight, or exactly 0 in a file without weights. WHT as in the
            file, 0 where there is no coverage.

        Raises
        ------
        MosaicLayoutError
            If the mosaic has no such plane.
        """
        if plane not in self.planes:
            has = ", ".join(sorted(self.planes))
            raise MosaicLayoutError(f"{self.source.uri} has no {plane} plane (it has {has})", reason="missing_plane")
        window = self.windows(box)
        found = {"SCI": window.sci, "ERR": window.err, "WHT": window.wht}[plane]
        if found is None:  # pragma: no cover - `planes` says it is there
            raise MosaicLayoutError(f"{self.source.uri} has no {plane} plane", reason="missing_plane")
        return found

    @property
    def rows(self) -> NDArray[np.intp]:
        """Rows that are looked at."""
        return np.flatnonzero(~self._unread)

    def windows(self, box: Box) -> Window:
        """Read every plane of a window at once, cleaned as `window` says."""
        inside = box.clip(self.shape)
        wanted = np.flatnonzero(~self._unread[inside.y0 : inside.y1])
        y0, y1 = (inside.y0 + int(wanted[0]), inside.y0 + int(wanted[-1]) + 1) if wanted.size else (inside.y0,) * 2
        touched = inside._replace(y0=y0, y1=y1)  # rows beyond were not even fetched
        parts = {name: pixels.read(touched) for name, pixels in self._pixels.items()}
        sci, err, wht = parts["SCI"], parts.get("ERR"), parts.get("WHT")
        empty = _no_coverage(sci, err, wht)
        empty[self._unread[touched.y0 : touched.y1]] = True
        sci[empty] = np.nan
        if self._light is not None:
            sci += self._light[touched.slices]
        if err is not None:
            err[empty] = np.nan
        if wht is not None:
            wht[empty] = 0.0
        return Window(
            _place(sci, box, touched, np.nan),
            None if err is None else _place(err, box, touched, np.nan),
            None if wht is None else _place(wht, box, touched, 0.0),
        )


def _unread(source: MosaicSource, count: int) -> NDArray[np.bool_]:
    unread = np.full(count, source.rows is not None)
    for first, behind in source.rows or ():
        unread[first:behind] = False
    return unread


def _no_coverage(
    sci: NDArray[np.float32], err: NDArray[np.float32] | None, wht: NDArray[np.float32] | None
) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = ~np.isfinite(sci)
    if err is not None:
        empty |= ~np.isfinite(err) | (err <= 0)
    with np.errstate(invalid="ignore"):
        empty |= (sci == 0) if wht is None else ~(wht > 0)
    return empty


def _place(part: NDArray[np.float32], box: Box, inside: Box, fill: float) -> NDArray[np.float32]:
    if inside == box:
        return np.ascontiguousarray(part)
    out = np.full(box.shape, fill, dtype=np.float32)
    out[inside.shift(-box.y0, -box.x0).slices] = part
    return out


@dataclass(frozen=True, slots=True)
class _Layout:
    """What `open_mosaic` found out about a file."""

    primary: fits.Header
    sci: Plane
    err: tuple[Path, Plane] | None
    wht: Plane | None
    wcs: WCS
    ujy: float


def open_mosaic(source: MosaicSource, options: MosaicOptions, *, check: bool = True) -> MosaicReader:
    """Open a mosaic and check that it can be measured.

    Parameters
    ----------
    source
        Where it is, and what its header does not say.
    options
        Names of the science plane, fallback unit, smallest share of valid pixels.
    check
        Look at the pixels; false for a mosaic that was opened with the check before.

    Raises
    ------
    CorruptMosaicError
        The file is damaged.
    MosaicLayoutError
        A plane, the unit or the WCS is missing or cannot be understood.
    NoValidPixelsError
        Fewer valid pixels than `options.min_valid_fraction` of the rows that are there, or all of one value.
    StorageError
        The file cannot be opened.
    """
    try:
        reader = MosaicReader(source, _understand(source, options))
    except GzJwstError:
        raise
    except HEADER_FAULTS as error:
        raise CorruptMosaicError(f"{source.uri}: a header card cannot be read: {error}") from error
    except OSError as error:
        raise StorageError(f"{Path(source.path).name} cannot be read: {error.strerror or error}") from error
    try:
        if check:
            _check_pixels(reader, options.min_valid_fraction)
    except MosaicError:
        reader.close()
        raise
    return reader


def _understand(source: MosaicSource, options: MosaicOptions) -> _Layout:
    path = Path(source.path)
    planes = read_layout(path)
    named = {p.name: p for p in reversed(planes)}  # of two planes with one name the first counts
    sci = _science_plane(planes, named, options.sci_planes, source)
    where = f"{source.uri} [{sci.name}]"
    wcs = _geometry(sci, source, where)
    unit = str(sci.header.get("BUNIT", "")).strip()
    area = _pixel_area(sci, planes[0], wcs, where)
    ujy = ujy_per_unit(_unit(unit, source.unit or options.unit, where), area, where)
    err = (path, named["ERR"]) if "ERR" in named else None
    if source.err_path:
        err = (Path(source.err_path), _noise_plane(Path(source.err_path)))
    wht = named.get("WHT")
    for plane in (err[1] if err else None, wht):
        if plane is not None and plane.shape != sci.shape:
            raise MosaicLayoutError(f"{source.uri}: {plane.name} is {plane.shape}, {sci.name} is {sci.shape}")
    return _Layout(planes[0].header, sci, err, wht, wcs, ujy)


def _science_plane(
    planes: tuple[Plane, ...], named: dict[str, Plane], wanted: tuple[str, ...], source: MosaicSource
) -> Plane:
    for name in wanted:
        if name in named:
            return _checked_image(named[name], source.uri)
    if planes[0].shape:
        return _checked_image(planes[0], source.uri)
    has = ", ".join(p.name or "(no name)" for p in planes)
    raise MosaicLayoutError(
        f"{source.uri} has no science plane {' or '.join(wanted)} (it has {has})", reason="missing_extension"
    )


def _checked_image(plane: Plane, where: str) -> Plane:
    if len(plane.shape) != 2 or 0 in plane.shape:
        raise MosaicLayoutError(f"{where}: {plane.name} is {plane.shape or 'empty'}, a 2-D image is needed")
    return plane


def _noise_plane(path: Path) -> Plane:
    for plane in read_layout(path):
        if plane.is_image:
            return plane
    raise MosaicLayoutError(f"{path.name} holds no 2-D noise map", reason="missing_extension")


def _geometry(sci: Plane, source: MosaicSource, where: str) -> WCS:
    stated = (source.pixel_scale_arcsec, source.centre_ra_deg, source.centre_dec_deg)
    shape = (sci.shape[0], sci.shape[1])
    if "CTYPE1" in sci.header or any(v is None for v in stated):
        wcs = celestial_wcs(sci.header, where)
        check_reach(wcs, shape, where)
        return wcs
    scale, ra, dec = (float(v) for v in stated if v is not None)
    return stated_wcs(shape, scale, ra, dec)


def _unit(written: str, stated: str, where: str) -> str:
    if written and stated and written != stated:
        _log.warning("%s: BUNIT %s is used, not the stated %s", where, written, stated)
    if not written and not stated:
        raise MosaicLayoutError(f"{where} has no BUNIT; state `unit` in the profile", reason="bad_unit")
    return written or stated


def _pixel_area(sci: Plane, primary: Plane, wcs: WCS, where: str) -> float:
    """Return the stated area of a pixel, sr; it must be about the grid's, which counts where none is stated."""
    grid = pixel_scale_arcsec(wcs) ** 2 * _STERADIAN_PER_ARCSEC2
    for header in (sci.header, primary.header):
        area = header.get("PIXAR_SR")
        if isinstance(area, float) and area > 0:
            if not grid / _AREA_FACTOR < area < grid * _AREA_FACTOR:
                said = f"PIXAR_SR is {area:g} sr, a pixel of the grid has {grid:g} sr"
                raise MosaicLayoutError(f"{where}: {said}", reason="bad_unit")
            return area
    return grid


def _check_pixels(reader: MosaicReader, smallest: float) -> None:
    """Look at evenly spaced rows; count all of them only where those are nearly empty.

    Rows that were not read from the archive count for nothing.
    """
    step = max(len(reader.rows) // _SAMPLED_ROWS, 1)
    for stride in (step, 1):
        rows = reader.rows[::stride].tolist()
        valid, lowest, highest = _tally(reader, rows)
        looked_at = len(rows) * reader.shape[1]
        if valid > 0 and valid >= smallest * looked_at:
            break
    else:
        if not rows:
            raise NoValidPixelsError(f"{reader.source.uri}: none of its rows holds a target")
        share = valid / looked_at
        raise NoValidPixelsError(f"{reader.source.uri}: {share:.2%} of its pixels hold data, {smallest:.2%} needed")
    if lowest == highest:
        raise NoValidPixelsError(f"{reader.source.uri}: every pixel that was looked at is {lowest:g}")


def _tally(reader: MosaicReader, rows: Iterable[int]) -> tuple[int, float, float]:
    valid, lowest, highest = 0, math.inf, -math.inf
    full = whole(reader.shape)
    for row in rows:
        sci = reader.windows(full._replace(y0=row, y1=row + 1)).sci
        good = sci[np.isfinite(sci)]
        if good.size:
            valid += good.size
            lowest, highest = min(lowest, float(good.min())), max(highest, float(good.max()))
    return valid, lowest, highest
