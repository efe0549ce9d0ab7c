"""One body from an archive to a file of ours: goes on where a broken transfer stopped, checks what can be checked.

The file of the body so far outlives errors and kills, so that no byte is asked for twice; an archive gives the rest of
the located version only, so that two versions never mix. Whether the body is a good mosaic is `fetch`'s question.
"""

import hashlib
import logging
import random
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gzjwst_core.archives.base import Archive, mark_of
from gzjwst_core.errors import ArchiveUnavailableError, CorruptMosaicError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.gunzip import Gunzip
from gzjwst_core.mosaics.planes import MAX_MOSAIC_BYTES
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.etags import EtagCheck
from gzjwst_core.transport.minimum_rate import paced
from gzjwst_core.transport.streams import NO_RANGES, ByteStream, Progress

__all__ = ["Arrived", "Body", "download"]

_log = logging.getLogger(__name__)
_CHUNK = 4 << 20
_PROGRESS = 1 << 20
"""Bytes that a connection must have given for the next one to count as going on, not as trying again."""
_PAUSE_S = 0.5
_WHOLE_ONLY: set[Path] = set()
"""Bodies of which no part can be had, as far as this process found; by their files, until they are whole."""
_MAGICS = (b"SIMPLE  =", Gunzip.MAGIC)
_HEAD = 9


class Arrived(NamedTuple):
    """A whole body."""

    sha256: str
    size: int
    moved: int
    """Bytes that the archive gave now; less than the body where a part had come before."""
    checked: str
    """The strongest check that it passed here: `digest`, `etag` or `size`; empty where not even a size is known."""


def download(
    mosaic: Mosaic,
    archive: Archive,
    path: Path,
    options: ArchiveOptions,
    *,
    progress: Progress | None = None,
) -> Arrived:
    """Bring a located mosaic's body, or what is missing of it.

    Parameters
    ----------
    mosaic, archive
        Located there.
    path
        The body so far, if there is any; whole when this returns. It stays when the connection breaks, and goes when it
        cannot be the beginning of the located body.
    options
        How slow a transfer may be.
    progress
        Is told the bytes as they come.

    Raises
    ------
    ArchiveError
        The archive did not give it; what has come is kept, unless the body is another one by now (`changed`).
    CorruptMosaicError
        What came is not the located body: too long, of another digest, or neither FITS nor gzip.
    """
    with path.open("a+b") as file:
        body = Body(mosaic, archive, file)
        try:
            moved = _bring(body, path, archive, options, progress)
            _WHOLE_ONLY.discard(path)
            return Arrived(body.sha256, body.size, moved, body.check())
        except (CorruptMosaicError, ArchiveUnavailableError) as error:
            if not isinstance(error, ArchiveUnavailableError) or error.reason == "changed":
                path.unlink(missing_ok=True)
            raise


class Body:
    """A body as it comes: counted, digested, compared with what was located.

    Parameters
    ----------
    mosaic
        Located.
    archive
        Where; it says what its marks are.
    file
        Open for appending, with what came before; None for a body that is not kept.
    """

    def __init__(self, mosaic: Mosaic, archive: Archive, file: BinaryIO | None = None) -> None:
        self.mosaic = mosaic
        self._marks_are_etags = archive.marks_are_md5
        self._file = file
        self._begin()
        if file is not None:
            file.seek(0)
            while block := file.read(_CHUNK):
                self._digest(block)

    @property
    def is_whole(self) -> bool:
        """Whether every byte that was located is there; never, where its size is not known."""
        return self.size == self.mosaic.size > 0

    @property
    def sha256(self) -> str:
        """Digest of what came."""
        return self._sha.hexdigest()

    def add(self, block: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        CorruptMosaicError
            They are too many, or the first ones of something else.
        """
        if self._file is not None:
            self._file.write(block)
        self._digest(block)
        if len(self._head) == _HEAD and not self._head.startswith(_MAGICS):
            raise self._not_fits()
        if self.size > (self.mosaic.size or MAX_MOSAIC_BYTES):
            said = f"{self.mosaic.filename}: more bytes came than {self.mosaic.size or MAX_MOSAIC_BYTES}"
            raise CorruptMosaicError(said, reason="size_mismatch")

    def again(self) -> None:
        """Forget what came."""
        if self._file is not None:
            self._file.truncate(0)
        self._begin()

    def check(self) -> str:
        """Compare the whole body with what was located.

        Returns
        -------
        str
            As `Arrived.checked`.

        Raises
        ------
        CorruptMosaicError
            Its size, its digest or its first bytes are others.
        """
        mosaic, mark = self.mosaic, mark_of(self.mosaic.identity)
        if mosaic.size and self.size != mosaic.size:
            said = f"{mosaic.filename}: {self.size} bytes came of {mosaic.size}"
            raise CorruptMosaicError(said, reason="size_mismatch")
        if not self._head.startswith(_MAGICS):
            raise self._not_fits()
        if len(mark) == len(self.sha256):
            if mark != self.sha256:
                raise CorruptMosaicError(f"{mosaic.filename}: its digest is not the located one's", reason="changed")
            return "digest"
        verdict = self._etag.verdict() if self._marks_are_etags else "unknown"
        if verdict == "wrong":
            raise CorruptMosaicError(f"{mosaic.filename}: its ETag is not the located one's", reason="changed")
        return "etag" if verdict == "right" else "size" if mosaic.size else ""

    def _not_fits(self) -> CorruptMosaicError:
        return CorruptMosaicError(f"{self.mosaic.filename}: what came is neither FITS nor gzip", reason="not_fits")

    def _begin(self) -> None:
        self.size = 0
        self._head = b""
        self._sha = hashlib.sha256()
        self._etag = EtagCheck(mark_of(self.mosaic.identity) if self._marks_are_etags else "", self.mosaic.size)

    def _digest(self, block: bytes) -> None:
        self._head = (self._head + block[:_HEAD])[:_HEAD]
        self.size += len(block)
        self._sha.update(block)
        self._etag.feed(block)


def _bring(body: Body, path: Path, archive: Archive, options: ArchiveOptions, progress: Progress | None) -> int:
    """Open connection after connection while each brings more; returns the bytes that came."""
    moved, at_end = 0, False
    while not (body.is_whole or at_end):
        before = body.size
        try:
            with archive.open(body.mosaic, start=before) as stream:
                _receive(paced(stream, options, body.mosaic.filename), body, progress)
                at_end = True
        except ArchiveUnavailableError as error:
            moved += body.size - before
            _consider(error, body, path, body.size - before)
        else:
            moved += body.size - before
    return moved


def _consider(error: ArchiveUnavailableError, body: Body, path: Path, came: int) -> None:
    """Let a transfer go on after it broke, or raise.

    Where the archive cannot begin at some byte, what came is of no use: the whole body is tried again, by the one retry
    layer, and no part of it is asked for any more.
    """
    if error.reason == NO_RANGES:
        _WHOLE_ONLY.add(path)
    if path in _WHOLE_ONLY:
        body.again()
        raise error
    if error.reason == "changed" or came < _PROGRESS:
        raise error
    _log.info("%s: going on at byte %d", body.mosaic.filename, body.size)
    time.sleep(_PAUSE_S * (0.5 + random.random()))  # noqa: S311 - keeps transfers from going in step


def _receive(stream: ByteStream, body: Body, progress: Progress | None) -> None:
    while not body.is_whole and (block := stream.read(_CHUNK)):
        body.add(block)
        if progress:
            progress(len(block))
    if body.mosaic.size and not body.is_whole:
        said = f"{body.mosaic.filename}: broken off after {body.size} bytes of {body.mosaic.size}"
        raise ArchiveUnavailableError(said, reason="cut_off")
