"""The one protocol of every archive, and the small values it speaks in.

An archive that is new to us is one class with `name`, `find` and `open`; the rest has defaults. What all archives share
(resume, checks, the cache, retries) is above them, in `fetch`. Here are no sockets and no paths: those are in the
archives beside.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.models import Mosaic
from gzjwst_core.transport.streams import NO_RANGES, ByteStream, Span
from gzjwst_core.values import Value

__all__ = [
    "Archive",
    "Located",
    "Stated",
    "identity_of",
    "mark_of",
    "whole_only",
]


Stated = Mapping[str, str | float | None]
"""Keys of `MosaicSource` that the archive knows and the file's header does not say."""


class Located(Value):
    """A mosaic that an archive holds."""

    archive: str
    uri: str
    """Logical address: no port, no root of a mounted volume."""
    size: int
    """Bytes as the archive holds it (a `.fits.gz` counts compressed)."""
    identity: str
    """`uri|size|mark`, the mark being an ETag, a digest or a date; other bytes have another identity as far as the
    archive can tell."""


class Archive(Protocol):
    """A place that may hold mosaics."""

    name: str
    """As the profile, the trail and the tables call it."""
    marks_are_md5: bool = False
    """Whether its ETags follow the rule of S3: MD5 of the body, or of the MD5s of its parts."""

    @abstractmethod
    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        """Say where the archive holds a mosaic.

        Parameters
        ----------
        mosaic
            What is looked for.
        cheap
            Read no body and write nothing: a digest that is not on record is left out of the identity.

        Raises
        ------
        ProductNotFoundError
            It is not here.
        ArchiveRefusedError
            The archive says no, for good (`not_public`, ...).
        AmbiguousProductError
            More than one file answers.
        ArchiveUnavailableError
            It cannot say right now.
        """
        ...

    @abstractmethod
    def open(self, mosaic: Mosaic, *, start: int = 0) -> AbstractContextManager[ByteStream]:
        """Open a located mosaic's body, as it is held.

        Parameters
        ----------
        mosaic
            Located here. The bytes are those of its identity, or this raises: two versions never mix.
        start
            First byte to give, below the body's size. An archive that cannot begin there calls `whole_only`.

        Raises
        ------
        ArchiveUnavailableError
            The body is another by now (`changed`), of another length (`size_mismatch`), does not begin at `start`
            (`no_ranges`), or cannot be had right now.
        ArchiveError
            As for `find`, on opening or while reading.
        """
        ...

    def windowed(self, mosaic: Mosaic) -> bool:  # noqa: ARG002  # the default looks at nothing
        """Whether `ranges` of a located mosaic are cheap: a plain file, in an archive that hands out any part of it."""
        return False

    def ranges(self, mosaic: Mosaic, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        """Read parts of a located mosaic's body; each is guarded: of the located version, and of the whole's size.

        Parameters
        ----------
        mosaic
            Located here, and `windowed`.
        spans
            What to read; several at once where that is faster, so they come in any order.

        Yields
        ------
        Span, bytes
            Every byte of the spans once, in pieces, in any order.

        Raises
        ------
        ArchiveError
            As for `open`.
        """
        for span in spans:
            with self.open(mosaic, start=span.start) as stream:
                yield span, _exactly(stream, span.size, mosaic.filename)

    def local_path(self, mosaic: Mosaic) -> Path | None:  # noqa: ARG002  # the default looks at nothing
        """Path of a located mosaic where it lies on a disk of this machine; None for an archive across a network."""
        return None

    def stated(self, mosaic: Mosaic) -> Stated:  # noqa: ARG002  # the default looks at nothing
        """Tell what is known of a file beside its header."""
        return {}


def _exactly(stream: ByteStream, size: int, what: str) -> bytes:
    blocks, missing = [], size
    while missing and (block := stream.read(missing)):
        blocks.append(block)
        missing -= len(block)
    if missing:
        raise ArchiveUnavailableError(f"{what}: {missing} bytes are missing of a range", reason="cut_off")
    return b"".join(blocks)


def identity_of(uri: str, size: int, mark: str) -> str:
    """Join what a mosaic is remembered by; `mark` is an ETag, a digest or a date, empty where none is known."""
    return f"{uri}|{size}|{mark}"


def mark_of(identity: str) -> str:
    """Return the mark of an identity."""
    return identity.rpartition("|")[2]


def whole_only(start: int, what: str) -> None:
    """Refuse to begin a body elsewhere than at its first byte.

    Raises
    ------
    ArchiveUnavailableError
        `start` is not 0 (`no_ranges`): whoever asked begins again.
    """
    if start:
        raise ArchiveUnavailableError(f"{what}: can only be read from its first byte", reason=NO_RANGES)
