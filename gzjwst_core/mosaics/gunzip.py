"""Gzip as a stream that is drained to its last byte: checksums, members, and what must not come after them.

The standard readers take junk behind the last member for the end; here it is damage. Memory stays bounded whatever the
compression ratio, and time by the bytes that come, however small the members are.
"""

from pathlib import Path
from typing import ClassVar, Protocol, cast

from isal import isal_zlib

from gzjwst_core.errors import CorruptMosaicError, StorageError

__all__ = ["Gunzip", "is_gzipped"]

_CHUNK = 1 << 20
_FEED = 32 << 10  # the decoder copies what it has not used of this each time: a member may be 20 bytes
_DAMAGED = cast("type[Exception]", isal_zlib.error)  # its stub says instance
_GZIP = 31  # window of 32 kB, gzip's own header and trailer
_MAX_MEMBERS = 1 << 20  # bgzip makes one for every 64 kB, and an empty one at the end
_MAX_EMPTY = 1000


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Gunzip:
    """Uncompressed bytes of a gzip stream.

    Parameters
    ----------
    stream
        The compressed bytes.
    what
        The file, for messages.
    head
        Bytes that were read from it already.
    """

    MAGIC: ClassVar[bytes] = b"\x1f\x8b"

    def __init__(self, stream: _Stream, what: str, head: bytes = b"") -> None:
        self._stream = stream
        self._what = what
        self._chunk = memoryview(head)
        self._waiting = b""
        self._member = isal_zlib.decompressobj(wbits=_GZIP)
        self._members = 1
        self._empty = 0
        self._begun = False
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none when every member and its checksum were right.

        Raises
        ------
        CorruptMosaicError
            The stream is cut, its checksum is wrong, something else comes after it, or it has absurdly many members.
        """
        while not self._ended:
            if self._member.eof:
                self._next_member()
            elif block := self._inflate(size):
                self._begun = True
                return block
        return b""

    def _inflate(self, size: int) -> bytes:
        compressed = self._waiting or self._feed()
        try:
            block = bytes(self._member.decompress(compressed, size))
        except _DAMAGED as error:
            raise CorruptMosaicError(f"{self._what}: gzip is damaged: {error}") from None
        self._waiting = self._member.unconsumed_tail
        if not block and not compressed and not self._member.eof:
            raise CorruptMosaicError(f"{self._what}: gzip ends too early")
        return block

    def _feed(self) -> bytes:
        if not self._chunk:
            self._chunk = memoryview(self._stream.read(_CHUNK))
        piece, self._chunk = bytes(self._chunk[:_FEED]), self._chunk[_FEED:]
        return piece

    def _next_member(self) -> None:
        rest = self._member.unused_data
        while len(rest) < len(self.MAGIC) and (more := self._feed()):
            rest += more
        if not rest.startswith(self.MAGIC):
            self._end(rest)
            return
        self._member, self._waiting = isal_zlib.decompressobj(wbits=_GZIP), rest
        self._members, self._empty, self._begun = self._members + 1, self._empty + (not self._begun), False
        if self._members > _MAX_MEMBERS or self._empty > _MAX_EMPTY:
            raise CorruptMosaicError(f"{self._what}: gzip of {self._members} members, {self._empty} of them empty")

    def _end(self, rest: bytes) -> None:
        """Accept zeros up to the end, as gzip does (tapes), and nothing else."""
        while rest:
            if rest.strip(b"\0"):
                raise CorruptMosaicError(f"{self._what}: something follows the end of the gzip stream")
            rest = self._feed()
        self._ended = True


def is_gzipped(path: Path) -> bool:
    """Tell from its first bytes whether a file is gzipped.

    Raises
    ------
    StorageError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(Gunzip.MAGIC)) == Gunzip.MAGIC
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {error.strerror or error}") from error
