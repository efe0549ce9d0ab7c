"""Headers of a FITS file as bytes: where each HDU begins and ends, believed only as far as its sizes make sense.

A header may come from anywhere. Cards are read by the standard's letter (FITS 4.0, 4.1 and 4.2) and others left out, so
that whoever parses them never meets one that it cannot read. No pixel is looked at, and nothing is allocated for one.
"""

import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

from gzjwst_core.errors import CorruptMosaicError, MosaicError

__all__ = ["BLOCK", "DTYPES", "MAX_MOSAIC_BYTES", "MAX_PIXELS", "MAX_SIDE_PX", "Hdu", "Headers", "check_size"]

BLOCK = 2880
MAX_MOSAIC_BYTES = 24 << 30
"""Largest mosaic, uncompressed, that is believed; a COSMOS-Web visit has 4 GB, a JADES mosaic 20."""
MAX_SIDE_PX = 1 << 17
"""Most pixels along a side of a mosaic: memory grows with a row. A degree at 0.03 arcsec has 120,000."""
MAX_PIXELS = 1 << 32
"""Most pixels of a mosaic: what the largest one has in a single plane of four bytes, and some more."""
DTYPES: Mapping[int, str] = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""Type of a pixel in the file, by BITPIX."""

_CARD = 80
_MAX_HEADER_BYTES = 8 << 20  # of all HDUs together: 100,000 cards; an i2d has about 2,000
_MAX_AXES = 8
_KEYWORD = re.compile(rb"([A-Z0-9_-]{1,8}) *\Z")
_TEXT, _NUMBER = rb"'(?:[ -&(-~]|'')*'", rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]{1,3})?"
_MICRO = re.compile(rb"\xc2?\xb5|\xce\xbc")  # of BUNIT, where somebody's editor or locale has written it
_VALUE = re.compile(rb" *(" + _TEXT + rb"|[TF]|" + _NUMBER + rb")(?= *(?:/|\Z))")


@dataclass(frozen=True, slots=True)
class Hdu:
    """One HDU's header, and the few values that its structure hangs on."""

    raw: bytes
    """As it is in the file."""
    cards: Mapping[str, str]
    """Text of every plain value, the first of each keyword; strings with their quotes."""
    name: str
    """EXTNAME in capitals; `PRIMARY` for the first HDU without one."""
    bits: int
    """BITPIX."""
    shape: tuple[int, ...]
    """Axes as numpy orders them; empty where there are no data."""
    data_bytes: int
    """Bytes of its data with their padding."""

    @property
    def is_image(self) -> bool:
        """Whether its data are an image, not a table."""
        return _text(self.cards, "XTENSION", "IMAGE") == "IMAGE"

    @property
    def text(self) -> str:
        """The plain values as cards again, without comments."""
        return "".join(f"{key:8}= {value}".ljust(_CARD) for key, value in self.cards.items())

    def integer(self, key: str, default: int | None = None) -> int:
        """Return a size or a count.

        Raises
        ------
        CorruptMosaicError
            It is no number, negative or absurd, or absent without a default.
        """
        return _integer(self.cards, key, self.name, default=default)


class Headers:
    """The headers of one file, in order; whoever asks steps over an HDU's data before the next.

    Parameters
    ----------
    read
        Reads on from where the file stands: as many bytes as are asked for, fewer at its end.
    what
        The file, for messages.
    first
        Whether it stands at the file's begin.
    """

    def __init__(self, read: Callable[[int], bytes], what: str, *, first: bool = True) -> None:
        self._read = read
        self._what = what
        self._first = first
        self._left = _MAX_HEADER_BYTES

    def __iter__(self) -> Iterator[Hdu]:
        while (hdu := self.next()) is not None:
            yield hdu

    def next(self) -> Hdu | None:
        """Read one header; None at the end of the file.

        Raises
        ------
        CorruptMosaicError
            It is not FITS, a header makes no sense or has no end, or they are longer than any mosaic's.
        """
        first, self._first = self._first, False
        block = self._block(or_end=not first)
        if not block:
            return None
        start = b"SIMPLE  =" if first else b"XTENSION="
        if not block.startswith(start):
            found = block[:16].decode("ascii", "backslashreplace")
            raise CorruptMosaicError(f"{self._what}: not FITS: {found!r} stands where {start.decode()!r} must")
        blocks = [block]
        while not _has_end(blocks[-1]):
            blocks.append(self._block())
        return _understood(b"".join(blocks), first=first, what=self._what)

    def _block(self, *, or_end: bool = False) -> bytes:
        block = self._read(BLOCK)
        if len(block) < BLOCK and (block or not or_end):
            raise CorruptMosaicError(f"{self._what}: the file ends too early, inside a header")
        self._left -= len(block)
        if self._left < 0:
            raise CorruptMosaicError(f"{self._what}: a header without END, or headers longer than any mosaic's")
        return block


def check_size(shape: tuple[int, ...], where: str, error: type[MosaicError] = MosaicError) -> None:
    """See that an image is not larger than a mosaic may be.

    Raises
    ------
    MosaicError
        Or the kind of it that is asked for: a side has more than `MAX_SIDE_PX`, or it more than `MAX_PIXELS`
        (`too_large`).
    """
    if max(shape, default=0) > MAX_SIDE_PX or math.prod(shape) > MAX_PIXELS:
        size = " x ".join(map(str, reversed(shape)))
        said = f"at most {MAX_SIDE_PX} along a side and {MAX_PIXELS} in all are read"
        raise error(f"{where}: {size} = {math.prod(shape)} pixels; {said}", reason="too_large")


def _has_end(block: bytes) -> bool:
    return any(block[i : i + _CARD].rstrip() == b"END" for i in range(0, BLOCK, _CARD))


def _understood(raw: bytes, *, first: bool, what: str) -> Hdu:
    cards = _cards(raw)
    name = _text(cards, "EXTNAME", "PRIMARY" if first else "").upper()
    where = f"{what}[{name or '?'}]"
    axes = _integer(cards, "NAXIS", where, allowed=range(_MAX_AXES + 1))
    shape = tuple(_integer(cards, f"NAXIS{i}", where) for i in range(axes, 0, -1))
    bits = _integer(cards, "BITPIX", where, allowed=DTYPES)
    heap, groups = _integer(cards, "PCOUNT", where, default=0), _integer(cards, "GCOUNT", where, default=1)
    size = abs(bits) // 8 * groups * (heap + math.prod(shape)) if shape else 0  # Python's integers cannot overflow
    return Hdu(raw, cards, name, bits, shape, -(-size // BLOCK) * BLOCK)


def _cards(raw: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for start in range(0, len(raw), _CARD):
        card = _MICRO.sub(b"u", raw[start : start + _CARD])
        keyword, value = _KEYWORD.match(card[:8]), _VALUE.match(card, 10)
        if keyword and value and card[8:10] == b"= ":
            values.setdefault(keyword[1].decode("ascii"), value[1].decode("ascii"))
    return values


def _text(cards: Mapping[str, str], key: str, default: str) -> str:
    value = cards.get(key, default)
    return value[1:-1].replace("''", "'").strip() if value.startswith("'") else value


def _integer(
    cards: Mapping[str, str],
    key: str,
    where: str,
    *,
    allowed: Container[int] = range(MAX_MOSAIC_BYTES),
    default: int | None = None,
) -> int:
    text = cards.get(key, "" if default is None else str(default))
    value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
    if value is None or value not in allowed:
        raise CorruptMosaicError(f"{where}: {key} = {text or 'nothing'} makes no sense")
    return value
