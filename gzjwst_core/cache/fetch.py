"""Bring a located mosaic to where it can be read: into the cache, or not at all where it can be read in place.

A plain FITS file on a disk of this machine is used where it lies, and never written. Everything else leaves its needed
planes in the cache, after every byte of it was checked: size, digest or ETag where one is known, gzip to its end, FITS
structure. One fetch of a mosaic at a time, over all runs that share the cache. What the cache may hold is decided in
`budget`.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from gzjwst_core.archives.base import Archive
from gzjwst_core.cache.download import Arrived, Body, download
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ArchiveError, ArchiveUnavailableError, GzJwstError, MosaicError, StorageError
from gzjwst_core.models import Mosaic, MosaicSource
from gzjwst_core.mosaics.blocks import Summing, record_blocks
from gzjwst_core.mosaics.gunzip import is_gzipped
from gzjwst_core.mosaics.planes import MAX_MOSAIC_BYTES, check_structure, keep_planes, unpack
from gzjwst_core.mosaics.rows import Rows
from gzjwst_core.names import safe_name
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.storage.atomic import atomic_path, storage_error
from gzjwst_core.transport.minimum_rate import paced
from gzjwst_core.transport.streams import ByteStream, Progress
from gzjwst_core.transport.transfer_slots import transfer_slot
from gzjwst_core.values import Value

__all__ = ["Fetched", "fetch", "is_fetched", "lies_here", "noise_key", "source_of"]


class Fetched(Value):
    """A mosaic that can be read now, and what it cost."""

    source: MosaicSource
    bytes_moved: int
    """Bytes of body that an archive gave; 0 for what was there."""


def fetch(
    mosaic: Mosaic,
    archive: Archive,
    cache: MosaicCache,
    options: ArchiveOptions,
    sci_planes: tuple[str, ...],
    *,
    progress: Progress | None = None,
) -> Fetched:
    """Make a located mosaic readable.

    Parameters
    ----------
    mosaic, archive
        Located there.
    cache
        Of mosaics.
    options
        How many transfers at once, and how slow one may be.
    sci_planes
        Names of the science plane, the preferred one first.
    progress
        Is told the bytes as they come.

    Returns
    -------
    Fetched
        The source's path is a plain FITS file with PRIMARY header, science plane, ERR and WHT, as far as they exist; a
        noise map of its own is one, too.

    Raises
    ------
    ArchiveError
        The archive did not give it; what has come is kept for the next time.
    CorruptMosaicError
        What it gave is not whole.
    MosaicLayoutError
        It holds no science plane.
    MosaicError
        It is larger than a mosaic may be (`too_large`).
    StorageError
        The cache cannot be written (`disk_full`, ...).
    """
    lying = lies_here(mosaic, archive)
    if lying is not None:
        _check_in_place(lying)
        return Fetched(source=_with_plain_noise(source_of(mosaic, archive, lying), mosaic, cache), bytes_moved=0)
    key = cache.key(mosaic, sci_planes)
    path, moved = cache.find(key, mosaic), 0
    if path is None:
        with cache.filling(key) as partial:
            path = cache.find(key, mosaic)  # by now somebody else may have fetched it
            if path is None:
                path = cache.put(key, mosaic)
                moved = _fill(_Filling(mosaic, archive, cache, options, sci_planes, path, partial), progress)
    return Fetched(source=_with_plain_noise(source_of(mosaic, archive, path), mosaic, cache), bytes_moved=moved)


def is_fetched(mosaic: Mosaic, archive: Archive, cache: MosaicCache, sci_planes: tuple[str, ...]) -> bool:
    """Whether `fetch` would move no byte."""
    return lies_here(mosaic, archive) is not None or cache.find(cache.key(mosaic, sci_planes), mosaic) is not None


def lies_here(mosaic: Mosaic, archive: Archive) -> Path | None:
    """Path of a located mosaic that can be read where it lies: a file on a disk of this machine, not gzipped."""
    path = archive.local_path(mosaic)
    return path if path is not None and path.name.endswith((".fits", ".fits.fz")) else None


def source_of(mosaic: Mosaic, archive: Archive, path: Path, rows: Rows | None = None) -> MosaicSource:
    """Say what is known of a mosaic whose planes are at `path`, and which rows of it are looked at."""
    return MosaicSource.model_validate(
        {
            "field": mosaic.field,
            "band": mosaic.band,
            "path": str(path),
            "uri": mosaic.uri,
            "identity": mosaic.identity,
            "obs_id": mosaic.obs_id,
            "rows": rows,
            **archive.stated(mosaic),
        }
    )


def noise_key(mosaic: Mosaic, err_path: str, cache: MosaicCache) -> str:
    """Name of the cache entry that holds a mosaic's gzipped noise map, unpacked; empty where it needs none."""
    return cache.key(mosaic, (), "noise") if err_path and is_gzipped(Path(err_path)) else ""


def _with_plain_noise(source: MosaicSource, mosaic: Mosaic, cache: MosaicCache) -> MosaicSource:
    """Unpack a gzipped noise map into the cache; the mosaic's identity covers it."""
    key, packed = noise_key(mosaic, source.err_path, cache), Path(source.err_path)
    if not key:
        return source
    with cache.filling(key):
        path = cache.find(key, mosaic)
        if path is None:
            path = cache.put(key, mosaic).with_name(safe_name(packed.name.removesuffix(".gz")))
            with packed.open("rb") as stream, atomic_path(path) as temporary, temporary.open("wb") as target:
                summed = Summing(target)
                unpack(stream, summed, packed.name)
            record_blocks(path, summed.ranges())
            facts = {"uri": f"{mosaic.uri} noise", "identity": mosaic.identity, "source_size": packed.stat().st_size}
            cache.record(path, **facts, source_sha256="", planes=("ERR",), checked="gzip")
    return source.replace(err_path=str(path))


def _check_in_place(path: Path) -> None:
    try:
        check_structure(path)
    except OSError as error:
        raise ArchiveUnavailableError(f"{path.name}: {os.strerror(error.errno or 0)}") from None


@dataclass(frozen=True, slots=True)
class _Filling:
    """One cache entry that is being filled."""

    mosaic: Mosaic
    archive: Archive
    cache: MosaicCache
    options: ArchiveOptions
    sci_planes: tuple[str, ...]
    path: Path
    """Of the planes."""
    partial: Path
    """Of the body so far."""


def _fill(job: _Filling, progress: Progress | None) -> int:
    """Fill one cache entry; returns the bytes of body that came."""
    bring = _through_a_file if job.archive.local_path(job.mosaic) is None else _on_its_way
    try:
        planes, arrived = bring(job, progress)
    except GzJwstError as error:
        if not isinstance(error, ArchiveError):  # it cannot become a mosaic, or the disk is full
            job.partial.unlink(missing_ok=True)
        raise
    except OSError as error:
        job.partial.unlink(missing_ok=True)
        raise storage_error(error, job.path) from error
    gzipped = arrived.checked in {"", "size"} and job.mosaic.uri.endswith(".gz")
    job.cache.record(
        job.path,
        uri=job.mosaic.uri,
        identity=job.mosaic.identity,
        source_size=arrived.size,
        source_sha256=arrived.sha256,
        planes=planes,
        checked="gzip" if gzipped else arrived.checked or "structure",
    )
    job.partial.unlink(missing_ok=True)
    return arrived.moved


def _through_a_file(job: _Filling, progress: Progress | None) -> tuple[tuple[str, ...], Arrived]:
    """Bring the whole body first: a broken transfer can go on, and a slow line holds no file of planes open."""
    _check_room(job.cache.folder, job.mosaic, job.partial)
    with transfer_slot(job.cache.folder, job.options.transfers):
        arrived = download(job.mosaic, job.archive, job.partial, job.options, progress=progress)
    with job.partial.open("rb") as body, atomic_path(job.path) as temporary, temporary.open("wb") as target:
        summed = Summing(target)
        planes = keep_planes(body, summed, job.sci_planes, job.mosaic.filename)
    record_blocks(job.path, summed.ranges())
    return planes, arrived


def _on_its_way(job: _Filling, progress: Progress | None) -> tuple[tuple[str, ...], Arrived]:
    """Keep the planes of a body as it is read from a mounted volume; they appear only when it proved right."""
    body = Body(job.mosaic, job.archive)
    with (
        transfer_slot(job.cache.folder, job.options.transfers),
        job.archive.open(job.mosaic) as stream,
        atomic_path(job.path) as temporary,
    ):
        told = _Told(paced(stream, job.options, job.mosaic.filename), body, progress)
        with temporary.open("wb") as target:
            summed = Summing(target)
            planes = keep_planes(told, summed, job.sci_planes, job.mosaic.filename)
        checked = body.check()
    record_blocks(job.path, summed.ranges())
    return planes, Arrived(body.sha256, body.size, body.size, checked)


def _check_room(folder: Path, mosaic: Mosaic, partial: Path) -> None:
    if mosaic.size > MAX_MOSAIC_BYTES:
        said = f"{mosaic.filename}: {mosaic.size} bytes are more than a mosaic may have ({MAX_MOSAIC_BYTES})"
        raise MosaicError(said, reason="too_large")
    missing = mosaic.size - (partial.stat().st_size if partial.exists() else 0)
    free = shutil.disk_usage(folder).free
    if missing > free:
        said = f"{mosaic.filename} needs {missing / 1e9:.2f} GB more, the cache's disk has {free / 1e9:.2f} GB"
        raise StorageError(f"{folder}: {said}", reason="disk_full")


class _Told:
    """A stream that tells a body, and whoever wants to know, of every block."""

    def __init__(self, stream: ByteStream, body: Body, progress: Progress | None) -> None:
        self._stream = stream
        self._body = body
        self._progress = progress

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._body.add(block)
        if self._progress and block:
            self._progress(len(block))
        return block
