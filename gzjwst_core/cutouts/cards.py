"""FITS headers as text: quick, plain, the same bytes each time; and back.

A cutout has six or more headers: with astropy's Header they would take most of the time of a cutout to build, and of an
image to read. What the cards mean is in `fits`.
"""

import math
from collections.abc import Container, Iterable

from astropy.io import fits

from gzjwst_core.cutouts.checksum import ZERO_CHECKSUM, checksum_text, datasum

__all__ = ["CardRow", "CardValue", "cards", "copied", "hdu_bytes", "parsed"]

CardValue = str | int | float | bool
CardRow = tuple[str, CardValue | None, str]
"""Keyword, value, comment; a value of None or NaN leaves the card out."""

_BLOCK = 2880
_LONGEST = 68


def cards(rows: Iterable[CardRow]) -> str:
    """Write cards, 80 characters each; a longer text takes the CONTINUE convention.

    Parameters
    ----------
    rows
        Keyword (at most 8 characters), value, comment.
    """
    return "".join(_card(*row) for row in rows)


def _card(keyword: str, value: CardValue | None, comment: str) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str):
        return _text_card(keyword, value, comment)
    if isinstance(value, bool):
        text = "T" if value else "F"
    else:
        text = repr(float(value)).upper() if isinstance(value, float) else str(value)  # numpy's own repr differs
    return f"{keyword:<8}= {text:>20} / {comment}"[:80].ljust(80)


def _text_card(keyword: str, value: str, comment: str) -> str:
    plain = "".join(c if " " <= c <= "~" else "?" for c in value)
    quoted = plain.replace("'", "''")
    if len(quoted) > _LONGEST:
        return str(fits.Card(keyword, plain))
    text = f"'{quoted:<8}'"
    return f"{keyword:<8}= {text:<20} / {comment}"[: max(80, 10 + len(text))].ljust(80)


def parsed(header: str) -> dict[str, CardValue]:
    """Read cards that `cards` wrote.

    Parameters
    ----------
    header
        80 characters a card, up to END; CONTINUE is understood, cards without a value are passed over.

    Raises
    ------
    ValueError
        A value is none that FITS knows.
    """
    found: dict[str, CardValue] = {}
    last = ""
    for at in range(0, len(header), 80):
        keyword = header[at : at + 8].rstrip()
        if keyword == "END":
            break
        if keyword == "CONTINUE":
            found[last] = str(found[last]).removesuffix("&") + str(_value(header[at + 8 : at + 80]))
        elif header[at + 8 : at + 10] == "= ":
            found[keyword] = _value(header[at + 10 : at + 80])
            last = keyword
    return found


def copied(header: str, without: Container[str], *, before: str = "END") -> str:
    """Copy cards of a header as they stand, comments included.

    Parameters
    ----------
    header
        80 characters a card.
    without
        Keywords that are left out; CONTINUE goes with the card that it continues.
    before
        Keyword of the first card that is not copied any more.
    """
    kept: list[str] = []
    takes = False
    for at in range(0, len(header), 80):
        card = header[at : at + 80]
        keyword = card[:8].rstrip()
        if keyword in (before, "END"):
            break
        takes = takes if keyword == "CONTINUE" else keyword not in without
        kept += [card] if takes else []
    return "".join(kept)


def _value(text: str) -> CardValue:
    text = text.strip()
    if text.startswith("'"):
        inside = text[1:].replace("''", "\0")
        return inside[: inside.index("'")].rstrip().replace("\0", "'")
    text = text.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def hdu_bytes(header: str, data: bytes) -> bytes:
    """Put an HDU together: header, END, data, padding, DATASUM and CHECKSUM.

    Parameters
    ----------
    header
        Cards, 80 characters each, from SIMPLE or XTENSION on.
    data
        Big-endian pixels.
    """
    padded = data + bytes(-len(data) % _BLOCK)
    data_sum = datasum(padded)
    sums = _card("DATASUM", str(data_sum), "data unit checksum")
    text = header + sums + _card("CHECKSUM", ZERO_CHECKSUM, "HDU checksum") + "END".ljust(80)
    block = text.ljust(-(-len(text) // _BLOCK) * _BLOCK).encode("ascii")
    total = data_sum + datasum(block)
    total = (total & 0xFFFFFFFF) + (total >> 32)
    at = len(header) + len(sums) + 11
    return b"".join((block[:at], checksum_text(total).encode("ascii"), block[at + 16 :], padded))
