"""Open one mosaic and read windows of it: planes by name, uJy per pixel, no coverage as NaN.

Nothing here holds a whole plane: a window's pixels are read, and become native float32, when it is asked for.
Archives, caches and gzip are elsewhere; the file at a source's path is plain FITS.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
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
from gzjwst_core.mosaics.contents import Contents, PlaneIn, read_contents
from gzjwst_core.mosaics.geometry import Box, pixel_scale_arcsec, whole
from gzjwst_core.mosaics.headers import DTYPES
from gzjwst_core.mosaics.layout import HEADER_FAULTS, Plane
from gzjwst_core.mosaics.noise_map import check_noise, noise_samples
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.mosaics.tiled import TiledImage
from gzjwst_core.mosaics.zeros import surroundings, zero_gaps
from gzjwst_core.options import MosaicOptions

__all__ = ["MosaicReader", "Window", "open_mosaic"]

_log = logging.getLogger(__name__)

_SAMPLED_ROWS = 64


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

    def __init__(self, source: PlaneIn) -> None:
        path, plane, scale = source.path, source.plane, source.ujy
        bscale, bzero = _scaling(path, plane)
        if plane.compressed:  # astropy has applied it
            bscale, bzero = 1.0, 0.0
        self._blocks, self._plane = blocks_of(path), plane
        if plane.compressed and self._blocks is not None:  # its tiles may lie anywhere in it
            header = plane.header
            size = header["NAXIS1"] * header["NAXIS2"] + header.get("PCOUNT", 0)
            self._blocks.check(plane.offset, plane.offset + size)
        self._raw = TiledImage(path, plane) if plane.compressed else plane.pixels(path)
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
        raw = self._raw[box.slices]
        with np.errstate(all="ignore"):  # what is beyond float32 becomes infinite, and that is no coverage
            if raw.dtype.kind == "f" and self._scale == 1.0 and self._zero == 0.0:
                return raw.astype(np.float32)
            out = (raw.astype(np.float64) * self._scale + self._zero).astype(np.float32)
        if self._blank is not None:
            out[raw == self._blank] = np.nan
        return out

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()


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
    noise_name
        File and plane of the noise map, for messages; empty without one.
    planes
        Which of `SCI`, `ERR`, `WHT` exist.
    """

    def __init__(self, source: MosaicSource, contents: Contents) -> None:
        self.source = source
        self.band = source.band
        sci = contents.sci.plane
        self.primary, self.header = contents.primary, sci.header
        self.shape: tuple[int, int] = (sci.shape[0], sci.shape[1])
        self.wcs: WCS = contents.wcs
        self.pixel_scale_arcsec = pixel_scale_arcsec(contents.wcs)
        self.ujy_per_unit = contents.sci.ujy
        self.noise_name = "" if contents.err is None else contents.err.where
        planes = {"SCI": contents.sci, "ERR": contents.err, "WHT": contents.wht}
        self._pixels = {name: _Pixels(plane) for name, plane in planes.items() if plane is not None}
        self.planes = frozenset(self._pixels)
        self._unread = _unread(source, self.shape[0])
        self._light = PixelFile(Path(source.light), np.float32, self.shape) if source.light else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; windows that were read stay good."""
        for pixels in self._pixels.values():
            pixels.close()
        self._pixels.clear()
        if self._light is not None:
            self._light.close()
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
            the array, not finite, no positive error, no weight, or a gap of exact zeros in a file without weights
            (`zeros.zero_gaps`). WHT as in the file, 0 where there is no coverage.

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
        return self._windows(box, alone=False)

    def sample(self, box: Box) -> Window:
        """Read as `windows`, but tell gaps without weights from these pixels alone: cheap, and only nearly right."""
        return self._windows(box, alone=True)

    def _windows(self, box: Box, *, alone: bool) -> Window:
        inside = box.clip(self.shape)
        wanted = np.flatnonzero(~self._unread[inside.y0 : inside.y1])
        y0, y1 = (inside.y0 + int(wanted[0]), inside.y0 + int(wanted[-1]) + 1) if wanted.size else (inside.y0,) * 2
        touched = inside._replace(y0=y0, y1=y1)  # rows beyond were not even fetched
        parts = {name: pixels.read(touched) for name, pixels in self._pixels.items()}
        sci, err, wht = parts["SCI"], parts.get("ERR"), parts.get("WHT")
        empty = _no_coverage(sci, err, wht)
        empty[self._unread[touched.y0 : touched.y1]] = True
        if wht is None and (sci == 0).any():
            empty |= self._zero_gaps(touched, touched if alone else surroundings(touched, self.shape))
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

    def _zero_gaps(self, touched: Box, around: Box) -> NDArray[np.bool_]:
        sci = self._pixels["SCI"].read(around)
        sci[self._unread[around.y0 : around.y1]] = np.nan
        return zero_gaps(sci, around, touched)


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
    if wht is not None:
        with np.errstate(invalid="ignore"):
            empty |= ~(wht > 0)
    return empty


def _place(part: NDArray[np.float32], box: Box, inside: Box, fill: float) -> NDArray[np.float32]:
    if inside == box:
        return np.ascontiguousarray(part)
    out = np.full(box.shape, fill, dtype=np.float32)
    out[inside.shift(-box.y0, -box.x0).slices] = part
    return out


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
    MosaicError
        It is larger than a mosaic may be (`too_large`).
    MosaicLayoutError
        A plane, the unit or the WCS is missing or cannot be understood.
        The noise map is none by its name, or off by a factor beyond 30 (`bad_noise_map`).
    NoValidPixelsError
        Fewer valid pixels than `options.min_valid_fraction` of the rows that are there, or all of one value.
    StorageError
        The file cannot be opened.
    """
    try:
        reader = MosaicReader(source, read_contents(source, options, tell=check))
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


def _check_pixels(reader: MosaicReader, smallest: float) -> None:
    """Look at evenly spaced rows; count all of them only where those are nearly empty.

    Rows that were not read from the archive count for nothing.
    """
    step = max(len(reader.rows) // _SAMPLED_ROWS, 1)
    for stride in (step, 1):
        rows = reader.rows[::stride].tolist()
        seen = _tally(reader, rows)
        looked_at = len(rows) * reader.shape[1]
        if seen.valid > 0 and seen.valid >= smallest * looked_at:
            break
    else:
        if not rows:
            raise NoValidPixelsError(f"{reader.source.uri}: none of its rows holds a target")
        share = seen.valid / looked_at
        raise NoValidPixelsError(f"{reader.source.uri}: {share:.2%} of its pixels hold data, {smallest:.2%} needed")
    if seen.lowest == seen.highest:
        raise NoValidPixelsError(f"{reader.source.uri}: every pixel that was looked at is {seen.lowest:g}")
    check_noise(seen.noise, reader.noise_name, reader.source.uri)


@dataclass(slots=True)
class _Seen:
    """What some rows hold."""

    valid: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    noise: list[NDArray[np.float64]] = field(default_factory=list)


def _tally(reader: MosaicReader, rows: Iterable[int]) -> _Seen:
    seen = _Seen()
    full = whole(reader.shape)
    for row in rows:
        window = reader.sample(full._replace(y0=row, y1=row + 1))
        good = window.sci[np.isfinite(window.sci)]
        if good.size:
            seen.valid += good.size
            seen.lowest, seen.highest = min(seen.lowest, float(good.min())), max(seen.highest, float(good.max()))
            if window.err is not None:
                seen.noise.append(noise_samples(window.sci[0], window.err[0]))
    return seen
