"""Gzip as a stream that is drained to its last byte: checksums, members, and what must not come after them.

The standard readers take junk behind the last member for the end; here it is damage. Memory stays bounded whatever the
compression ratio.
"""

from typing import ClassVar, Protocol, cast

from isal import isal_zlib

from gzjwst_core.errors import CorruptMosaicError

__all__ = ["Gunzip"]

_CHUNK = 1 << 20
_DAMAGED = cast("type[Exception]", isal_zlib.error)  # its stub says instance
_GZIP = 31  # window of 32 kB, gzip's own header and trailer


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
        self._waiting = head
        self._member = isal_zlib.decompressobj(wbits=_GZIP)
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none when every member and its checksum were right.

        Raises
        ------
        CorruptMosaicError
            The stream is cut, its checksum is wrong, or something else comes after it.
        """
        while not self._ended:
            if self._member.eof:
                self._next_member()
                continue
            block = self._inflate(size)
            if block:
                return block
        return b""

    def _inflate(self, size: int) -> bytes:
        compressed = self._waiting or self._stream.read(_CHUNK)
        try:
            block = bytes(self._member.decompress(compressed, size))
        except _DAMAGED as error:
            raise CorruptMosaicError(f"{self._what}: gzip is damaged: {error}") from None
        self._waiting = self._member.unconsumed_tail
        if not block and not compressed and not self._member.eof:
            raise CorruptMosaicError(f"{self._what}: gzip ends too early")
        return block

    def _next_member(self) -> None:
        rest = self._member.unused_data
        while len(rest) < len(self.MAGIC) and (more := self._stream.read(_CHUNK)):
            rest += more
        if rest.startswith(self.MAGIC):
            self._member = isal_zlib.decompressobj(wbits=_GZIP)
            self._waiting = rest
        else:
            self._end(rest)

    def _end(self, rest: bytes) -> None:
        """Accept zeros up to the end, as gzip does (tapes), and nothing else."""
        while rest:
            if rest.strip(b"\0"):
                raise CorruptMosaicError(f"{self._what}: something follows the end of the gzip stream")
            rest = self._stream.read(_CHUNK)
        self._ended = True
