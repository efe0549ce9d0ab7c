"""The planes of a mosaic that are worth keeping: one pass over its bytes, from any stream, plain or gzipped.

The pass drains the stream to its end, so that a gzip's checksum and a file's length are known to be right, and copies
the header and data blocks of the needed planes verbatim. Headers are believed only as far as their sizes are sane;
nothing is allocated for them. Pixels are not looked at: that is `reader`'s work.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError
from gzjwst_core.mosaics.gunzip import Gunzip

__all__ = ["MAX_MOSAIC_BYTES", "check_structure", "keep_planes"]

MAX_MOSAIC_BYTES = 24 << 30
"""Largest mosaic, uncompressed, that is believed; a COSMOS-Web visit has 4 GB, a JADES mosaic 20."""

_BLOCK = 2880
_CARD = 80
_CHUNK = 4 << 20
_MAX_HEADER_BLOCKS = 1000  # 36,000 cards; an i2d's PRIMARY has about 300
_MAX_AXES = 8
_BITS = {8, 16, 32, 64, -32, -64}
_OTHER_PLANES = ("ERR", "WHT")
_VALUE = re.compile(rb"= +('(?:[^']|'')*'|[^ /]+)")

Copy = Callable[[bytes], object]


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class _Header:
    """One HDU's header: its bytes as they are, and the few values that its structure hangs on."""

    raw: bytes
    name: str
    data_bytes: int
    """Bytes of its data with their padding."""
    has_pixels: bool


def keep_planes(stream: _Stream, target: BinaryIO, sci_planes: Sequence[str], what: str) -> tuple[str, ...]:
    """Copy a mosaic's PRIMARY header and needed planes, and read the rest to its end.

    Parameters
    ----------
    stream
        The mosaic as an archive holds it; gzip is known by its first bytes.
    target
        Where the planes go, as a plain FITS file.
    sci_planes
        Names of the science plane, the preferred one first. Of several, those after a better one are left out.
    what
        The mosaic, for messages.

    Returns
    -------
    tuple of str
        EXTNAMEs kept, in their order; `PRIMARY` stands for pixels in the primary HDU.

    Raises
    ------
    CorruptMosaicError
        It is not FITS, a header makes no sense, it ends too early or too late, or the gzip is damaged.
    MosaicLayoutError
        It is whole, but holds no science plane (`missing_extension`).
    """
    kept: list[str] = []
    seen: list[str] = []
    plain = _plain(stream, what)
    for header in _walk(plain, what):
        seen.append(header.name)
        if header.name == "PRIMARY" or _is_needed(header.name, kept, sci_planes):
            target.write(header.raw)
            plain.copy(header.data_bytes, target.write)
            kept += [header.name] if header.has_pixels else []
        else:
            plain.copy(header.data_bytes)
    if not any(name in kept for name in (*sci_planes, "PRIMARY")):
        wanted, has = " or ".join(sci_planes), ", ".join(seen)
        raise MosaicLayoutError(f"{what}: no science plane {wanted} (it has {has})", reason="missing_extension")
    return tuple(kept)


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
        plain = _Seeking(file, path.stat().st_size, path.name)
        names = []
        for header in _walk(plain, path.name):
            names.append(header.name)
            plain.copy(header.data_bytes)
    return tuple(names)


class _Plain:
    """Uncompressed bytes that must last: a short read is damage."""

    def __init__(self, stream: _Stream, what: str, head: bytes) -> None:
        self._stream = stream
        self._what = what
        self._head = head
        self._left = MAX_MOSAIC_BYTES

    def exactly(self, size: int, *, or_end: bool = False) -> bytes:
        """Return `size` bytes, or none at the end where that is allowed."""
        blocks, missing = [], size
        while missing and (block := self._read(missing)):
            blocks.append(block)
            missing -= len(block)
        if missing and not (or_end and missing == size):
            raise CorruptMosaicError(f"{self._what}: the file ends too early")
        return b"".join(blocks)

    def copy(self, size: int, write: Copy | None = None) -> None:
        """Pass `size` bytes on, or over."""
        if size > self._left:
            raise CorruptMosaicError(f"{self._what}: a header asks for {size} bytes, more than a mosaic may have")
        self._left -= size
        for start in range(0, size, _CHUNK):
            block = self.exactly(min(_CHUNK, size - start))
            if write:
                write(block)

    def _read(self, size: int) -> bytes:
        if self._head:
            block, self._head = self._head[:size], self._head[size:]
            return block
        return self._stream.read(size)


class _Seeking(_Plain):
    """A plain file whose data are stepped over, not read."""

    def __init__(self, file: BinaryIO, size: int, what: str) -> None:
        super().__init__(file, what, b"")
        self._file = file
        self._size = size

    def copy(self, size: int, write: Copy | None = None) -> None:  # noqa: ARG002  # nothing is copied
        if self._file.tell() + size > self._size:
            raise CorruptMosaicError(f"{self._what}: the file ends too early, or a header asks for too much")
        self._file.seek(size, 1)


def _plain(stream: _Stream, what: str) -> _Plain:
    head = stream.read(2)
    head += stream.read(1) if len(head) == 1 else b""
    if head == Gunzip.MAGIC:
        return _Plain(Gunzip(stream, what, head), what, b"")
    return _Plain(stream, what, head)


def _walk(plain: _Plain, what: str) -> Iterator[_Header]:
    """Yield every HDU; whoever asks must step over its data before the next."""
    first = True
    while block := plain.exactly(_BLOCK, or_end=not first):
        start = b"SIMPLE  =" if first else b"XTENSION="
        if not block.startswith(start):
            found = block[:16].decode("ascii", "backslashreplace")
            raise CorruptMosaicError(f"{what}: not FITS: {found!r} stands where {start.decode()!r} must")
        yield _header(_whole_header(block, plain, what), first=first, what=what)
        first = False


def _whole_header(block: bytes, plain: _Plain, what: str) -> bytes:
    blocks = [block]
    while not _has_end(blocks[-1]):
        if len(blocks) >= _MAX_HEADER_BLOCKS:
            raise CorruptMosaicError(f"{what}: a header without END in {_MAX_HEADER_BLOCKS} blocks")
        blocks.append(plain.exactly(_BLOCK))
    return b"".join(blocks)


def _has_end(block: bytes) -> bool:
    return any(block[i : i + _CARD].rstrip() == b"END" for i in range(0, _BLOCK, _CARD))


def _header(raw: bytes, *, first: bool, what: str) -> _Header:
    cards = _cards(raw)
    name = "PRIMARY" if first else cards.get("EXTNAME", "").strip("' ").upper()
    shape = _shape(cards, f"{what}[{name or '?'}]")
    bits = _integer(cards, "BITPIX", f"{what}[{name or '?'}]", allowed=_BITS)
    values = math.prod(shape) if shape else 0
    heap = _integer(cards, "PCOUNT", what, default=0)
    groups = _integer(cards, "GCOUNT", what, default=1)
    size = abs(bits) // 8 * groups * (heap + values) if shape else 0
    return _Header(raw, name, -(-size // _BLOCK) * _BLOCK, has_pixels=values > 0)


def _shape(cards: Mapping[str, str], where: str) -> list[int]:
    axes = _integer(cards, "NAXIS", where, allowed=range(_MAX_AXES + 1))
    return [_integer(cards, f"NAXIS{i + 1}", where) for i in range(axes)]


def _cards(raw: bytes) -> dict[str, str]:
    """Read keyword and value of each card, the first of each keyword; whatever is no plain value is left out."""
    values: dict[str, str] = {}
    for start in range(0, len(raw), _CARD):
        card = raw[start : start + _CARD]
        if found := _VALUE.match(card, 8):
            values.setdefault(card[:8].decode("ascii", "replace").rstrip(), found[1].decode("ascii", "replace"))
    return values


def _integer(
    cards: Mapping[str, str],
    key: str,
    where: str,
    *,
    allowed: set[int] | range | None = None,
    default: int | None = None,
) -> int:
    text = cards.get(key, "" if default is None else str(default))
    value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
    if value is None or not (value in allowed if allowed is not None else 0 <= value < MAX_MOSAIC_BYTES):
        raise CorruptMosaicError(f"{where}: {key} = {text or 'nothing'} makes no sense")
    return value


def _is_needed(name: str, kept: Sequence[str], sci_planes: Sequence[str]) -> bool:
    if name in kept:
        return False
    if name in _OTHER_PLANES:
        return True
    return name in sci_planes and not any(better in kept for better in sci_planes[: sci_planes.index(name)])
