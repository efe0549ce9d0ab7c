"""Only the rows that are needed: a mosaic of which some bands of rows were read, and nothing else.

The cache holds a planes file as ever, with the true headers, in which rows that were not fetched are holes (they take
no disk, and read as no coverage); so whoever reads it needs to know nothing of where it came from. More rows are added
as more places are asked for; none is fetched twice. Such a body is never seen whole: it is recorded as not verified.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from gzjwst_core.archives.base import Archive, Progress, Span
from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.archives.fetch import Fetched, source_of
from gzjwst_core.archives.slots import transfer_slot
from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.models import Mosaic, Value
from gzjwst_core.mosaics.geometry import celestial_wcs
from gzjwst_core.mosaics.layout import Plane, read_hdu, read_layout
from gzjwst_core.mosaics.rows import Places, Rows, joined, rows_around, without
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.storage.atomic import atomic_path, storage_error

__all__ = ["fetch_rows", "has_rows", "rows_key"]

_RECORD = "rows.json"
_FIRST_READ = 256 << 10
_NEXT_READ = 64 << 10
_GAP_BYTES = 2 << 20
"""Rows between two bands are fetched along when they are fewer bytes than this: a request costs about as much."""
_PIXELS = {8: 1, 16: 2, 32: 4, 64: 8, -32: 4, -64: 8}
_OTHER_PLANES = ("ERR", "WHT")
_MOST_HDUS = 100


class _PlaneRows(Value):
    """Where one plane's rows are, in the archive's file and in ours."""

    name: str
    source_at: int
    target_at: int
    row_bytes: int
    rows: int


class _Record(Value):
    """What of a mosaic is there: `rows.json`, beside the planes' file."""

    identity: str
    planes: tuple[_PlaneRows, ...]
    rows: Rows = ()


class _Kept(NamedTuple):
    """One HDU of the planes file."""

    raw: bytes
    """Its header."""
    plane: Plane
    size: int
    """Bytes of its data, padded."""


def rows_key(mosaic: Mosaic, cache: MosaicCache, sci_planes: tuple[str, ...]) -> str:
    """Name of the cache entry that holds a mosaic's rows."""
    return cache.key(mosaic, sci_planes, "rows")


def fetch_rows(
    mosaic: Mosaic,
    archive: Archive,
    cache: MosaicCache,
    options: ArchiveOptions,
    sci_planes: tuple[str, ...],
    *,
    places: Places,
    progress: Progress | None = None,
) -> Fetched | None:
    """Make the parts of a located mosaic readable that lie around some places.

    Parameters
    ----------
    mosaic, archive
        Located there, and `windowed`.
    cache, options, sci_planes, progress
        As for `fetch.fetch`.
    places
        Where on the sky.

    Returns
    -------
    Fetched or None
        A source whose other rows are no coverage and whose `verified` is false; None where the science plane is no
        plain image, so that the whole file is needed.

    Raises
    ------
    ArchiveError
        The archive did not give it, or holds another version by now.
    CorruptMosaicError
        Its headers make no sense.
    StorageError
        The cache cannot be written.
    """
    key = rows_key(mosaic, cache, sci_planes)
    path = cache.put(key, mosaic)
    with cache.filling(key):
        reading = _Reading(mosaic, archive, progress)
        try:
            with transfer_slot(cache.folder, options.transfers):
                record = _read(path, mosaic) or _begin(path, reading, sci_planes)
                if record is None:
                    return None
                _add(path, record, _needed(path, record, places), reading)
        except OSError as error:
            if hasattr(error, "retryable"):  # ours already
                raise
            raise storage_error(error, path) from error
        known = {"uri": mosaic.uri, "identity": mosaic.identity, "source_size": mosaic.size, "source_sha256": ""}
        cache.record(path, planes=tuple(plane.name for plane in record.planes), checked="rows", **known)
    return Fetched(source=source_of(mosaic, archive, path, verified=False), bytes_moved=reading.moved)


def has_rows(mosaic: Mosaic, cache: MosaicCache, sci_planes: tuple[str, ...], places: Places) -> bool:
    """Whether `fetch_rows` would move no byte."""
    path = cache.find(rows_key(mosaic, cache, sci_planes), mosaic)
    record = None if path is None else _read(path, mosaic)
    return path is not None and record is not None and not _needed(path, record, places)


class _Reading:
    """The archive's file, read in spans; also a file for reading headers, a little ahead."""

    def __init__(self, mosaic: Mosaic, archive: Archive, progress: Progress | None) -> None:
        self.mosaic = mosaic
        self._archive = archive
        self._progress = progress
        self._at, self._buffer_at, self._buffer = 0, 0, b""
        self.moved = 0

    def spans(self, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        """Read spans; they come in pieces, in any order."""
        for span, data in self._archive.ranges(self.mosaic, spans):
            self.moved += len(data)
            if self._progress:
                self._progress(len(data))
            yield span, data

    def read(self, size: int, /) -> bytes:
        """Read on from where it stands."""
        end = min(self._at + size, self.mosaic.size)
        if not (self._buffer_at <= self._at and end <= self._buffer_at + len(self._buffer)):
            ahead = _NEXT_READ if self._at else _FIRST_READ
            self._fill(Span(self._at, min(max(end, self._at + ahead), self.mosaic.size)))
        block = self._buffer[self._at - self._buffer_at : end - self._buffer_at]
        self._at = end
        return block

    def seek(self, at: int) -> None:
        """Stand elsewhere."""
        self._at = at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def _fill(self, span: Span) -> None:
        pieces = sorted(self.spans([span])) if span.size else []
        self._buffer_at, self._buffer = span.start, b"".join(data for _, data in pieces)


def _read(path: Path, mosaic: Mosaic) -> _Record | None:
    """Return what is there by now."""
    try:
        record = _Record.model_validate_json(path.with_name(_RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return record if record.identity == mosaic.identity and path.exists() else None


def _write(path: Path, record: _Record) -> None:
    with atomic_path(path.with_name(_RECORD)) as temporary:
        temporary.write_text(record.model_dump_json(), encoding="utf-8")


def _begin(path: Path, reading: _Reading, sci_planes: tuple[str, ...]) -> _Record | None:
    """Read the headers, and make a planes file of holes."""
    kept = _headers(reading, sci_planes)
    best = next((name for name in (*sci_planes, "PRIMARY") if name in kept), "")
    if not best or not kept[best].plane.is_image:
        return None
    found: list[_PlaneRows] = []
    with atomic_path(path) as temporary, temporary.open("wb") as target:
        for name, header in kept.items():
            if name not in {"PRIMARY", best, *_OTHER_PLANES}:
                continue
            target.write(header.raw)
            if name != "PRIMARY" or name == best:
                found += _plane_rows(header.plane, target.tell())
            target.truncate(target.seek(header.size, os.SEEK_CUR))
    record = _Record(identity=reading.mosaic.identity, planes=tuple(found))
    _write(path, record)
    return record


def _plane_rows(plane: Plane, target_at: int) -> list[_PlaneRows]:
    if not plane.is_image:
        return []
    rows, columns = plane.shape
    row_bytes = columns * _PIXELS[plane.header["BITPIX"]]
    return [_PlaneRows(name=plane.name, source_at=plane.offset, target_at=target_at, row_bytes=row_bytes, rows=rows)]


def _headers(reading: _Reading, sci_planes: tuple[str, ...]) -> dict[str, _Kept]:
    """Read the headers of PRIMARY and of the planes that may be needed, by name; the first of each name counts."""
    what, size = reading.mosaic.filename, reading.mosaic.size
    kept: dict[str, _Kept] = {}
    at = count = 0
    while at < size and (count := count + 1) <= _MOST_HDUS and not {sci_planes[0], *_OTHER_PLANES} <= kept.keys():
        reading.seek(at)
        plane, end = read_hdu(reading, what, first=at == 0)
        if plane is None:
            break
        if end > size:
            raise CorruptMosaicError(f"{what} ends at byte {size}, its headers say {end}")
        if at == 0 or plane.name in {*sci_planes, *_OTHER_PLANES}:
            reading.seek(at)
            kept.setdefault(plane.name, _Kept(reading.read(plane.offset - at), plane, end - plane.offset))
        at = end
    return kept


def _needed(path: Path, record: _Record, places: Places) -> Rows:
    """Find the rows that are still missing, with small gaps between them filled."""
    names = {plane.name for plane in record.planes}
    plane = next(p for p in read_layout(path) if p.name in names)
    shape = (plane.shape[0], plane.shape[1])
    wanted = rows_around(celestial_wcs(plane.header, f"{path.name} [{plane.name}]"), shape, places)
    gap = _GAP_BYTES // max(row.row_bytes for row in record.planes)
    return without(joined(wanted, gap), record.rows)


def _add(path: Path, record: _Record, rows: Rows, reading: _Reading) -> None:
    """Fetch rows of every plane into their place; they count when all of them are on disk."""
    if not rows:
        return
    spans = [_span(plane, band) for plane in record.planes for band in rows]
    descriptor = os.open(path, os.O_WRONLY)
    try:
        for span, data in reading.spans([span for span in spans if span.size]):
            plane = next(p for p in record.planes if p.source_at <= span.start < p.source_at + p.rows * p.row_bytes)
            os.pwrite(descriptor, data, span.start - plane.source_at + plane.target_at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _write(path, record.replace(rows=joined([*record.rows, *rows])))


def _span(plane: _PlaneRows, band: tuple[int, int]) -> Span:
    low, high = (min(row, plane.rows) for row in band)
    return Span(plane.source_at + low * plane.row_bytes, plane.source_at + high * plane.row_bytes)
