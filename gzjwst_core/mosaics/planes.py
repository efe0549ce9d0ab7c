"""The planes of a mosaic that are worth keeping: one pass over its bytes, from any stream, plain or gzipped.

The pass drains the stream to its end, so that a gzip's checksum and a file's length are known to be right, and copies
the header and data blocks of the needed planes verbatim. What the headers declare is the measure of everything: it is
compared with the limit before a byte of data is read, and not one block may come beyond it. So a gzip bomb ends at its
first header, or at the first block that no header declared; a mosaic whose gaps compress a thousandfold does not.
Pixels are not looked at: that is `reader`'s work.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError
from gzjwst_core.mosaics.gunzip import Gunzip
from gzjwst_core.mosaics.headers import MAX_MOSAIC_BYTES, Hdu, Headers, check_size

__all__ = ["MAX_MOSAIC_BYTES", "NOISE_PLANES", "WEIGHTS", "check_structure", "keep_planes", "unpack"]

_CHUNK = 4 << 20
NOISE_PLANES = ("ERR", "ERROR", "RMS", "SIGMA", "NOISE", "STD", "STDDEV", "UNCERT")
"""EXTNAMEs of a noise map, in a mosaic or in a file of its own: the first that is there is read."""
WEIGHTS = "WHT"
"""EXTNAME of the weights."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Target(Protocol):
    def write(self, block: bytes, /) -> object: ...


def keep_planes(
    stream: _Stream, target: _Target, sci_planes: Sequence[str], what: str, *, limit: int = MAX_MOSAIC_BYTES
) -> tuple[str, ...]:
    """Copy a mosaic's PRIMARY header and needed planes, and read the rest to its end.

    Parameters
    ----------
    stream
        The mosaic as an archive holds it; gzip is known by its first bytes.
    target
        Where the planes go, as a plain FITS file.
    sci_planes
        Names of the science plane, the preferred one first. Of several, those after a better one are left out, and
        so it is with `NOISE_PLANES`.
    what
        The mosaic, for messages.
    limit
        Most bytes that the whole mosaic may have, uncompressed.

    Returns
    -------
    tuple of str
        EXTNAMEs kept, in their order; `PRIMARY` stands for pixels in the primary HDU.

    Raises
    ------
    CorruptMosaicError
        It is not FITS, a header makes no sense, it ends too early or too late, the gzip is damaged, or it is larger
        than `limit`, or a needed plane than `check_size` allows (`too_large`).
    MosaicLayoutError
        It is whole, but holds no science plane (`missing_extension`).
    """
    kept: list[str] = []
    seen: list[str] = []
    plain = _plain(stream, what, limit)
    for hdu in Headers(plain.read, what):
        name = hdu.name if seen else "PRIMARY"
        seen.append(name)
        if len(seen) == 1 or _is_needed(name, kept, sci_planes):
            if hdu.is_image and len(hdu.shape) == 2 and hdu.data_bytes <= limit:  # beyond it a header is damaged
                check_size(hdu.shape, f"{what} [{name}]", CorruptMosaicError)
            target.write(hdu.raw)
            plain.copy(hdu.data_bytes, target.write)
            kept += [name] if hdu.data_bytes else []
        else:
            plain.copy(hdu.data_bytes)
    if not any(name in kept for name in (*sci_planes, "PRIMARY")):
        wanted, has = " or ".join(sci_planes), ", ".join(seen[:50])
        raise MosaicLayoutError(f"{what}: no science plane {wanted} (it has {has})", reason="missing_extension")
    return tuple(kept)


def unpack(stream: _Stream, target: _Target, what: str, *, limit: int = MAX_MOSAIC_BYTES) -> None:
    """Copy a FITS file with all of its planes to a plain one, checked as `keep_planes` does.

    Raises
    ------
    CorruptMosaicError
        It is damaged, or larger than `limit`.
    """
    plain = _plain(stream, what, limit)
    for hdu in Headers(plain.read, what):
        target.write(hdu.raw)
        plain.copy(hdu.data_bytes, target.write)


def check_structure(path: Path) -> tuple[str, ...]:
    """Check that a plain FITS file is complete, from its headers alone.

    Returns
    -------
    tuple of str
        Its EXTNAMEs, in their order; `PRIMARY` first.

    Raises
    ------
    CorruptMosaicError
        It is not FITS, a header makes no sense, or it ends too early or too late.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        hdus: list[Hdu] = []
        for hdu in Headers(file.read, path.name):
            hdus.append(hdu)
            if file.tell() + hdu.data_bytes > size:
                raise CorruptMosaicError(f"{path.name}: the file ends too early, or a header asks for too much")
            file.seek(hdu.data_bytes, 1)
    return ("PRIMARY", *(hdu.name for hdu in hdus[1:]))


class _Plain:
    """Uncompressed bytes that must last: a short read is damage."""

    def __init__(self, stream: _Stream, what: str, limit: int, head: bytes = b"") -> None:
        self._stream = stream
        self._what = what
        self._limit = self._left = limit
        self._head = head

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        blocks, missing = [], size
        while missing and (block := self._some(missing)):
            blocks.append(block)
            missing -= len(block)
        self._left -= size - missing
        return b"".join(blocks)

    def copy(self, size: int, write: Callable[[bytes], object] | None = None) -> None:
        """Pass `size` bytes on, or over."""
        if size > self._left:
            asked = f"a header asks for {size} bytes, more than a mosaic may have ({self._limit} in all)"
            raise CorruptMosaicError(f"{self._what}: {asked}", reason="too_large")
        for start in range(0, size, _CHUNK):
            block = self.read(min(_CHUNK, size - start))
            if len(block) < min(_CHUNK, size - start):
                raise CorruptMosaicError(f"{self._what}: the file ends too early")
            if write:
                write(block)

    def _some(self, size: int) -> bytes:
        if self._head:
            block, self._head = self._head[:size], self._head[size:]
            return block
        return self._stream.read(size)


def _plain(stream: _Stream, what: str, limit: int) -> _Plain:
    head = stream.read(2)
    head += stream.read(1) if len(head) == 1 else b""
    if head == Gunzip.MAGIC:
        return _Plain(Gunzip(stream, what, head), what, limit)
    return _Plain(stream, what, limit, head)


def _is_needed(name: str, kept: Sequence[str], sci_planes: Sequence[str]) -> bool:
    if name in kept:
        return False
    wanted = next((names for names in (sci_planes, NOISE_PLANES, (WEIGHTS,)) if name in names), ())
    return name in wanted and not any(better in kept for better in wanted[: wanted.index(name)])
