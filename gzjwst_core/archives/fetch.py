"""Bring a located mosaic to where it can be read: into the cache, or not at all where it can be read in place.

A plain FITS file on a disk of this machine is used where it lies, and never written. Everything else leaves its needed
planes in the cache, after every byte of it was checked: size, gzip to its end, FITS structure. Temp, fsync, replace.
"""

import hashlib
import os
from pathlib import Path

from gzjwst_core.archives.base import Archive, ByteStream, Progress
from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.errors import ArchiveUnavailableError, CorruptMosaicError
from gzjwst_core.models import Mosaic, MosaicSource, Value
from gzjwst_core.mosaics.planes import MAX_MOSAIC_BYTES, check_structure, keep_planes
from gzjwst_core.storage.atomic import atomic_path

__all__ = ["Fetched", "fetch", "is_fetched"]

_CHUNK = 4 << 20


class Fetched(Value):
    """A mosaic that can be read now, and what it cost."""

    source: MosaicSource
    bytes_moved: int
    """Bytes of body that an archive gave; 0 for what was there."""
    bytes_written: int
    """Bytes of the planes' file that was made."""


def fetch(
    mosaic: Mosaic,
    archive: Archive,
    cache: MosaicCache,
    sci_planes: tuple[str, ...],
    *,
    progress: Progress | None = None,
) -> Fetched:
    """Make a located mosaic readable.

    Parameters
    ----------
    mosaic
        Located, in `archive`.
    archive
        Where it was located.
    cache
        Of mosaics.
    sci_planes
        Names of the science plane, the preferred one first.
    progress
        Is told the bytes as they come.

    Returns
    -------
    Fetched
        The source's path is a plain FITS file with PRIMARY header, science plane, ERR and WHT, as far as they exist.

    Raises
    ------
    ArchiveError
        The archive did not give it.
    CorruptMosaicError
        What it gave is not whole.
    MosaicLayoutError
        It holds no science plane.
    StorageError
        The cache cannot be written (`disk_full`, ...).
    """
    lying = _in_place(mosaic, archive)
    if lying is not None:
        _check_in_place(lying)
        return Fetched(source=_source(mosaic, archive, lying), bytes_moved=0, bytes_written=0)
    cached = cache.find(mosaic, sci_planes)
    if cached is not None:
        return Fetched(source=_source(mosaic, archive, cached), bytes_moved=0, bytes_written=0)
    path = cache.put(mosaic, sci_planes)
    moved = _bring(mosaic, archive, cache, path, sci_planes, progress=progress)
    return Fetched(source=_source(mosaic, archive, path), bytes_moved=moved, bytes_written=path.stat().st_size)


def is_fetched(mosaic: Mosaic, archive: Archive, cache: MosaicCache, sci_planes: tuple[str, ...]) -> bool:
    """Whether `fetch` would move no byte."""
    return _in_place(mosaic, archive) is not None or cache.find(mosaic, sci_planes) is not None


def _in_place(mosaic: Mosaic, archive: Archive) -> Path | None:
    path = archive.local_path(mosaic)
    return path if path is not None and path.suffix == ".fits" else None


def _check_in_place(path: Path) -> None:
    try:
        check_structure(path)
    except OSError as error:
        raise ArchiveUnavailableError(f"{path.name}: {os.strerror(error.errno or 0)}") from None


def _source(mosaic: Mosaic, archive: Archive, path: Path) -> MosaicSource:
    return MosaicSource.model_validate(
        {
            "field": mosaic.field,
            "band": mosaic.band,
            "path": str(path),
            "uri": mosaic.uri,
            "identity": mosaic.identity,
            "obs_id": mosaic.obs_id,
            **archive.stated(mosaic),
        }
    )


def _bring(
    mosaic: Mosaic,
    archive: Archive,
    cache: MosaicCache,
    path: Path,
    sci_planes: tuple[str, ...],
    *,
    progress: Progress | None,
) -> int:
    """Fill one cache entry; returns the bytes of body that came."""
    with archive.open(mosaic) as stream, cache.scratch(path) as raw:
        body = _Counted(stream, progress)
        if archive.local_path(mosaic) is None:
            _download(body, raw, mosaic)
            with raw.open("rb") as file:
                planes = _keep(file, path, sci_planes, mosaic, body)
        else:
            planes = _keep(body, path, sci_planes, mosaic, body)
    facts = {"uri": mosaic.uri, "identity": mosaic.identity, "source_size": body.size, "source_sha256": body.sha256}
    cache.record(path, planes=planes, **facts)
    return body.size


def _download(body: "_Counted", raw: Path, mosaic: Mosaic) -> None:
    with raw.open("wb") as file:
        while block := body.read(_CHUNK):
            file.write(block)
            if body.size > (mosaic.size or MAX_MOSAIC_BYTES):
                break  # too long already: the check says so
    body.check(mosaic)


def _keep(
    stream: ByteStream, path: Path, sci_planes: tuple[str, ...], mosaic: Mosaic, body: "_Counted"
) -> tuple[str, ...]:
    """Write the planes' file; it appears only when the whole body proved right."""
    with atomic_path(path) as temporary:
        with temporary.open("wb") as target:
            planes = keep_planes(stream, target, sci_planes, mosaic.filename)
        body.check(mosaic)
    return planes


class _Counted:
    """A body that is counted and digested as it is read."""

    def __init__(self, body: ByteStream, progress: Progress | None) -> None:
        self._body = body
        self._progress = progress
        self._digest = hashlib.sha256()
        self.size = 0

    def check(self, mosaic: Mosaic) -> None:
        """Compare with what was located.

        Raises
        ------
        CorruptMosaicError
            Its size or its digest is another.
        """
        what, digest = mosaic.filename, mosaic.identity.rpartition("|")[2]
        if self.size != mosaic.size and (mosaic.size or self.size > MAX_MOSAIC_BYTES):  # 0 = nobody said
            raise CorruptMosaicError(f"{what}: {self.size} bytes came of {mosaic.size}", reason="size_mismatch")
        if len(digest) == len(self.sha256) and digest != self.sha256:
            raise CorruptMosaicError(f"{what}: its digest is not the located one's", reason="changed")

    @property
    def sha256(self) -> str:
        """Digest of what was read."""
        return self._digest.hexdigest()

    def read(self, size: int, /) -> bytes:
        block = self._body.read(size)
        self._digest.update(block)
        self.size += len(block)
        if self._progress and block:
            self._progress(len(block))
        return block
