"""Only the rows that are needed: a mosaic of which some bands of rows were read, and nothing else.

The cache holds a planes file as ever, with the true headers, in which rows that were not fetched are holes and take no
disk. More rows are added as more places are asked for; none is fetched twice, also after a break. Which of them a run
looks at is said by the source alone, so that what others have fetched changes nothing. Such a body is never seen whole:
it is not verified.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import ValidationError

from gzjwst_core.archives.base import Archive
from gzjwst_core.cache.fetch import Fetched, source_of
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ArchiveUnavailableError, CorruptMosaicError, MosaicLayoutError, StorageError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.blocks import BLOCK_BYTES, Range, range_of, record_blocks
from gzjwst_core.mosaics.headers import DTYPES, check_size
from gzjwst_core.mosaics.layout import Plane, read_hdu, read_layout
from gzjwst_core.mosaics.planes import NOISE_PLANES, WEIGHTS
from gzjwst_core.mosaics.rows import Places, Rows, joined, rows_around, without
from gzjwst_core.mosaics.wcs import celestial_wcs
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.storage.atomic import atomic_path
from gzjwst_core.transport.streams import NO_RANGES, Progress, Span
from gzjwst_core.transport.transfer_slots import transfer_slot
from gzjwst_core.values import Value

__all__ = ["fetch_rows", "has_rows", "needs_whole", "rows_key", "rows_of"]

_RECORD = "rows.json"
_FIRST_READ = 256 << 10
_NEXT_READ = 64 << 10
_GAP_BYTES = 2 << 20
"""Rows between two bands are fetched along when they are fewer bytes than this: a request costs about as much."""
_PROGRESS = 1 << 20
"""Bytes that a try must have given for the next one to count as going on, not as trying again."""
_SAVED_BYTES = 128 << 20
"""What a killed process may have to fetch again."""
_MOST_HDUS = 100


class _PlaneRows(Value):
    """One plane's rows, in the archive's file and in ours."""

    name: str
    source_at: int
    target_at: int
    row_bytes: int
    count: int
    have: Rows = ()
    """Those that are there."""


class _Record(Value):
    """What of a mosaic is there: `rows.json`, beside the planes' file."""

    identity: str
    planes: tuple[_PlaneRows, ...]
    """None where a plane is no plain image, so that the mosaic can only be read whole."""


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
        A source with just the rows around the places; None where some needed plane is no plain image, or the archive
        hands out no parts after all, so that the whole file is needed (`needs_whole` knows from then on).

    Raises
    ------
    ArchiveError
        The archive did not give it, or holds another version by now; what came is kept.
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
            rows = _fill(path, cache, options, sci_planes, places=places, reading=reading)
        except ArchiveUnavailableError as error:
            if error.reason != NO_RANGES:
                raise
            _note(path, _Record(identity=mosaic.identity, planes=()), mosaic, cache)
            return None
    return None if rows is None else Fetched(source=source_of(mosaic, archive, path, rows), bytes_moved=reading.moved)


def _fill(
    path: Path,
    cache: MosaicCache,
    options: ArchiveOptions,
    sci_planes: tuple[str, ...],
    *,
    places: Places,
    reading: "_Reading",
) -> Rows | None:
    """Add the rows around some places; returns them."""
    record = _read(path, reading.mosaic)
    if record is None:
        with transfer_slot(cache.folder, options.transfers):
            record = _begin(path, reading, sci_planes, cache)
    if not record.planes:
        return None
    rows = rows_of(path, sci_planes, places)
    if spans := _missing(record, rows):
        with transfer_slot(cache.folder, options.transfers):
            _add(path, record, spans, reading)
    return rows


def has_rows(mosaic: Mosaic, cache: MosaicCache, sci_planes: tuple[str, ...], places: Places) -> bool:
    """Whether `fetch_rows` would move no byte."""
    path = cache.find(rows_key(mosaic, cache, sci_planes), mosaic)
    record = None if path is None else _read(path, mosaic)
    if path is None or record is None or not record.planes:
        return False
    try:
        return not _missing(record, rows_of(path, sci_planes, places))
    except StorageError:  # another run has just removed it
        return False


def needs_whole(mosaic: Mosaic, cache: MosaicCache, sci_planes: tuple[str, ...]) -> bool:
    """Whether an earlier `fetch_rows` found that the mosaic can only be read whole."""
    path = cache.find(rows_key(mosaic, cache, sci_planes), mosaic)
    record = None if path is None else _read(path, mosaic)
    return record is not None and not record.planes


def rows_of(path: Path, sci_planes: tuple[str, ...], places: Places) -> Rows:
    """Find the rows of a planes file that cover places on the sky.

    Raises
    ------
    MosaicLayoutError
        It has no science plane, or no WCS.
    """
    planes = read_layout(path)
    named = {plane.name: plane for plane in reversed(planes)} | {"PRIMARY": planes[0]}
    plane = next((named[name] for name in (*sci_planes, "PRIMARY") if name in named), planes[0])
    if len(plane.shape) != 2:
        raise MosaicLayoutError(f"{path.name}: {plane.name} is no 2-D image", reason="missing_extension")
    shape = (plane.shape[0], plane.shape[1])
    return rows_around(celestial_wcs(plane.header, f"{path.name} [{plane.name}]"), shape, places)


# ---------------------------------------------------------------- the archive's file


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


# ---------------------------------------------------------------- our file


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


def _begin(path: Path, reading: _Reading, sci_planes: tuple[str, ...], cache: MosaicCache) -> _Record:
    """Read the headers, and make a planes file of holes; an empty one where a needed plane is no plain image."""
    kept = _headers(reading, sci_planes)
    best = next((name for name in (*sci_planes, "PRIMARY") if name in kept), "PRIMARY")
    noise = next((name for name in NOISE_PLANES if name in kept), "")
    needed = [name for name in kept if name in {best, noise, WEIGHTS}]
    for name in needed:
        check_size(kept[name].plane.shape, f"{reading.mosaic.filename} [{name}]")
    is_plain = all(kept[name].plane.is_image for name in needed)
    found: list[_PlaneRows] = []
    heads: list[Range] = []
    with atomic_path(path) as temporary, temporary.open("wb") as target:
        for name in dict.fromkeys(["PRIMARY", *needed]) if is_plain else ():
            heads.append(range_of(kept[name].raw, target.tell()))
            target.write(kept[name].raw)
            if name in needed:
                found.append(_plane_rows(name, kept[name].plane, target.tell()))
            target.truncate(target.seek(kept[name].size, os.SEEK_CUR))
    record_blocks(path, heads)
    record = _Record(identity=reading.mosaic.identity, planes=tuple(found))
    _note(path, record, reading.mosaic, cache)
    return record


def _note(path: Path, record: _Record, mosaic: Mosaic, cache: MosaicCache) -> None:
    """Let an entry count; without planes it says that the mosaic needs to be read whole."""
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.touch()
    _write(path, record)
    known = {"uri": mosaic.uri, "identity": mosaic.identity, "source_size": mosaic.size, "source_sha256": ""}
    cache.record(path, planes=tuple(plane.name for plane in record.planes), checked="rows", **known)


def _plane_rows(name: str, plane: Plane, target_at: int) -> _PlaneRows:
    count, columns = plane.shape
    row_bytes = columns * np.dtype(DTYPES[plane.header["BITPIX"]]).itemsize
    return _PlaneRows(name=name, source_at=plane.offset, target_at=target_at, row_bytes=row_bytes, count=count)


def _headers(reading: _Reading, sci_planes: tuple[str, ...]) -> dict[str, _Kept]:
    """Read the headers of PRIMARY and of the planes that may be needed, by name; the first of each name counts."""
    what, size = reading.mosaic.filename, reading.mosaic.size
    kept: dict[str, _Kept] = {}
    best = {sci_planes[0], NOISE_PLANES[0], WEIGHTS}
    at = count = 0
    while at < size and (count := count + 1) <= _MOST_HDUS and not best <= kept.keys():
        reading.seek(at)
        plane, end = read_hdu(reading, what, first=at == 0)
        if plane is None:
            break
        if end > size:
            raise CorruptMosaicError(f"{what} ends at byte {size}, its headers say {end}")
        name = "PRIMARY" if at == 0 else plane.name
        if name in {"PRIMARY", *sci_planes, *NOISE_PLANES, WEIGHTS}:
            reading.seek(at)
            kept.setdefault(name, _Kept(reading.read(plane.offset - at), plane, end - plane.offset))
        at = end
    if not kept:
        raise CorruptMosaicError(f"{what} is empty")
    return kept


def _missing(record: _Record, rows: Rows) -> list[Span]:
    """Return what of some rows is not there yet, with small gaps between them filled."""
    spans = []
    for plane in record.planes:
        bands = joined(rows, _GAP_BYTES // plane.row_bytes)
        within = [(low, min(high, plane.count)) for low, high in without(bands, plane.have)]
        at, size = plane.source_at, plane.row_bytes
        spans += [Span(at + low * size, at + high * size) for low, high in within if low < high]
    return spans


def _add(path: Path, record: _Record, spans: list[Span], reading: _Reading) -> None:
    """Fetch spans of rows into their place; goes on after a break, as long as each try brings more."""
    with _Growing(path, record) as growing:
        while spans:
            before = reading.moved
            try:
                for span, data in reading.spans(spans):
                    growing.put(span, data)
            except ArchiveUnavailableError as error:
                if error.reason == "changed" or reading.moved - before < _PROGRESS:
                    raise
            spans = growing.rest(spans)


class _Growing:
    """A planes file that gets more rows; what came counts when it is on disk."""

    def __init__(self, path: Path, record: _Record) -> None:
        self._path = path
        self._record = record
        self._came: list[Span] = []
        self._unsaved = 0

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._save()
        finally:
            os.close(self._descriptor)

    def put(self, span: Span, data: bytes) -> None:
        """Write a piece of a plane in its place."""
        planes = self._record.planes
        plane = next(p for p in planes if p.source_at <= span.start < p.source_at + p.count * p.row_bytes)
        at, rest = span.start - plane.source_at + plane.target_at, memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, at)  # fewer bytes than asked for, where a disk is nearly full
            at, rest = at + written, rest[written:]
        self._came.append(span)
        self._unsaved += len(data)
        if self._unsaved >= _SAVED_BYTES:
            self._save()

    def rest(self, spans: Sequence[Span]) -> list[Span]:
        """Return what of some spans has not come."""
        left = without(joined((span.start, span.stop) for span in spans), joined(self._came))
        # planes may touch: a span stays within one
        edges = [plane.source_at for plane in self._record.planes]
        return [part for low, high in left for part in _split(low, high, edges)]

    def _save(self) -> None:
        os.fsync(self._descriptor)
        came = joined(self._came)
        record_blocks(self._path, self._new_ranges(came), more=True)  # first: rows that count have digests
        planes = [plane.replace(have=joined([*plane.have, *_whole_rows(plane, came)])) for plane in self._record.planes]
        self._record = self._record.replace(planes=tuple(planes))
        self._unsaved = 0
        _write(self._path, self._record)

    def _new_ranges(self, came: Rows) -> Iterator[Range]:
        """Sum up the rows that are whole by now and did not count before."""
        for plane in self._record.planes:
            step = max(BLOCK_BYTES // plane.row_bytes, 1)
            for low, high in without(joined(_whole_rows(plane, came)), plane.have):
                for first in range(low, high, step):
                    at, size = plane.target_at + first * plane.row_bytes, min(step, high - first) * plane.row_bytes
                    yield range_of(os.pread(self._descriptor, size, at), at)


def _whole_rows(plane: _PlaneRows, came: Rows) -> Iterator[tuple[int, int]]:
    """Yield the rows of a plane of which every byte came."""
    for low, high in came:
        first = -(-max(low - plane.source_at, 0) // plane.row_bytes)
        behind = min((high - plane.source_at) // plane.row_bytes, plane.count)
        if first < behind:
            yield first, behind


def _split(low: int, high: int, edges: Sequence[int]) -> list[Span]:
    cuts = [low, *sorted(edge for edge in edges if low < edge < high), high]
    return [Span(a, b) for a, b in pairwise(cuts)]
