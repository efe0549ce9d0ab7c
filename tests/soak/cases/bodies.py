"""F: what an archive holds is damaged, is no mosaic, or one that cannot be used; and damage that only digests tell."""

import gzip
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from astropy.io import fits

from tests.soak.cases.case import Case
from tests.soak.world import NAMES, WHOLE, World, hdus, packed, to_bytes

__all__ = ["BODIES"]

_PLAIN, _GZ = WHOLE["plain"], WHOLE["gz"]
_CORRUPT = "CorruptMosaicError"
_LAYOUT = "MosaicLayoutError"
_CARD = 80

Change = Callable[[bytes], bytes]


def _cut_to(size: int) -> Change:
    return lambda body: body[:size]


def _flipped(at: int) -> Change:
    return lambda body: body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :]


def _with_card(extension: str, keyword: str, text: str) -> Change:
    """Write a card's value over, in the bytes: what no FITS writer would."""

    def change(body: bytes) -> bytes:
        start = 0 if extension == "PRIMARY" else body.index(f"EXTNAME = '{extension:<8}'".encode())
        block = start // 2880 * 2880
        at = body.index(f"{keyword:<8}=".encode(), block)
        return body[:at] + f"{keyword:<8}= {text:>20}".encode().ljust(_CARD) + body[at + _CARD :]

    return change


def _made(edit: Callable[[fits.HDUList], object]) -> Change:
    def change(_: bytes) -> bytes:
        made = hdus()
        edit(made)
        return to_bytes(made)

    return change


def _pixels(fill: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], plane: str = "SCI") -> Change:
    def edit(made: fits.HDUList) -> None:
        made[plane].data = fill(made[plane].data)

    return _made(edit)


def _without(*keywords: str) -> Change:
    def edit(made: fits.HDUList) -> None:
        for keyword in keywords:
            del made["SCI"].header[keyword]

    return _made(edit)


def _set(**cards: Any) -> Change:
    return _made(lambda made: made["SCI"].header.update(cards))


def _cuts() -> Iterator[tuple[str, Change]]:
    """F1: a file that ends too early, or goes on after its end."""
    for size in (1, 100, 2879, 2980, 5760, len(_PLAIN) // 2, len(_PLAIN) - 2880, len(_PLAIN) - 1):
        yield f"cut to {size} bytes", _cut_to(size)
    yield "a byte too many", lambda body: body + b"x"
    yield "three empty blocks more", lambda body: body + bytes(8640)


def _damaged_gzip() -> Iterator[tuple[str, Change]]:
    """F2: gzip."""
    size = len(_GZ)
    for cut in (11, size // 2, size - 8, size - 4, size - 1):
        yield f"cut to {cut} bytes", _cut_to(cut)
    for at in (2, size // 3, size // 2, size - 6, size - 2):
        yield f"bit flipped in byte {at}", _flipped(at)
    yield "junk behind it", lambda body: body + b"junk and more"
    yield "not the gzip of a FITS file", lambda _: packed(b"no mosaic " * 10_000)
    yield "gzipped twice", packed


def _bad_sizes() -> Iterator[tuple[str, Change]]:
    """F6: headers that ask for the impossible."""
    for keyword, text in (
        ("NAXIS1", "100000000"),
        ("NAXIS1", "2147483648"),
        ("NAXIS1", "-5"),
        ("NAXIS1", "9" * 20),
        ("NAXIS1", "T"),
        ("NAXIS", "999"),
        ("BITPIX", "-99"),
        ("PCOUNT", "99999999999"),
        ("GCOUNT", "-1"),
    ):
        yield f"SCI {keyword} = {text}", _with_card("SCI", keyword, text)
    yield "no END in a megabyte", lambda body: body[:2880].replace(b"END", b"   ") + b" " * (1 << 20)


def _unusable() -> Iterator[tuple[str, Change, str]]:
    """F4, F5, F8: whole files that are no mosaics of ours."""
    missing = f"{_LAYOUT}/missing_extension"
    yield "no SCI", _made(lambda made: made.pop(1)), missing
    yield "SCI under another name", _made(lambda made: made[1].header.update(EXTNAME="SCIENCE")), missing
    yield "a cube", _pixels(lambda data: np.stack([data, data])), _LAYOUT
    yield "SCI without pixels", _made(lambda made: made.__setitem__(1, fits.ImageHDU(name="SCI"))), _LAYOUT
    yield "ERR of another shape", _pixels(lambda data: data[:-1], "ERR"), _LAYOUT
    yield "PRIMARY alone", lambda body: body[:2880], missing
    for keywords in (("CTYPE1", "CTYPE2"), ("CRVAL1",)):
        yield f"no {keywords[0]}", _without(*keywords), f"{_LAYOUT}/bad_wcs"
    yield "a bad CTYPE", _set(CTYPE1="FOO---TAN"), f"{_LAYOUT}/bad_wcs"
    yield (
        "SIP coefficients that are none",
        _set(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2),
        f"{_LAYOUT}|right",
    )
    yield "a singular matrix", _set(PC1_1=0.0, PC1_2=0.0, PC2_1=0.0, PC2_2=0.0), f"{_LAYOUT}/bad_wcs"
    yield "CRVAL is text", _set(CRVAL1="here"), f"{_LAYOUT}/bad_wcs"
    yield "an unknown unit", _set(BUNIT="furlong"), f"{_LAYOUT}/bad_unit"
    empty = "NoValidPixelsError/no_valid_pixels"
    yield "all NaN", _pixels(lambda data: np.full_like(data, np.nan)), empty
    yield "all zero", _pixels(np.zeros_like), empty
    yield "all one value", _pixels(np.ones_like), empty
    yield "all infinite", _pixels(lambda data: np.full_like(data, np.inf)), empty
    yield "weight zero everywhere", _pixels(np.zeros_like, "WHT"), empty


def _usable() -> Iterator[tuple[str, Change]]:
    """F2, F4: odd, but right."""
    half = len(_PLAIN) // 2
    yield "two gzip members", lambda _: packed(_PLAIN[:half]) + packed(_PLAIN[half:])
    yield "zeros behind the gzip", lambda body: body + bytes(1000)
    yield "the best compression", lambda _: gzip.compress(_PLAIN, 9, mtime=7)


def _at_mast() -> Iterator[Case]:
    common: dict[str, Any] = {"where": "mast", "is_listed": False}
    corrupt: dict[str, Any] = {**common, "ends": _CORRUPT}
    for what, body in _cuts():
        yield Case(fault="F1", what=what, body=body, **corrupt)
    for what, body in _damaged_gzip():
        yield Case(fault="F2", what=what, body=body, kind="gz", **corrupt)
    for what, body in _usable():
        yield Case(fault="F2", what=what, body=body, kind="gz", ends="right", **common)
    for what, body in _bad_sizes():
        yield Case(fault="F6", what=what, body=body, **corrupt)
    for what, body, ends in _unusable():
        yield Case(fault="F4", what=what, body=body, opens=True, ends=ends, **common)
    bomb = packed(_PLAIN[:2880] + bytes(100_000_000))
    yield Case(fault="F7", what="a gzip bomb behind a good header", body=lambda _: bomb, kind="gz", **corrupt)
    yield Case(fault="F7", what="a gzip bomb", body=lambda _: packed(bytes(50_000_000)), kind="gz", **corrupt)


def _listed() -> Iterator[Case]:
    """F1 where the list tells the size: it is not even asked for."""
    for what, body in list(_cuts())[3:6]:
        ends = "ArchiveUnavailableError"  # no archive has it, and one has something else
        yield Case(fault="F1", what=f"{what}, listed whole", where="mast", body=body, ends=ends, gets=0)


def _told_by_digests() -> Iterator[Case]:
    """F3: damage that structure cannot tell, and a digest does."""

    def touched(change: Change) -> Callable[[World], object]:
        def meanwhile(world: World) -> None:
            path = world.volume / "jw09801" / NAMES["gz"]
            state = path.stat()
            path.write_bytes(change(path.read_bytes()))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

        return meanwhile

    changes: tuple[tuple[str, Change, str], ...] = (
        ("another header", _flipped(4), f"{_CORRUPT}/changed"),
        ("another compression", lambda _: gzip.compress(_PLAIN, 5, mtime=0), _CORRUPT),
        ("a flipped bit", _flipped(len(_GZ) // 2), _CORRUPT),
    )
    for what, change, ends in changes:
        after = touched(change)
        yield Case(
            fault="F3", what=f"{what} since it was located", where="datalabs", kind="gz", ends=ends, meanwhile=after
        )


def _in_place() -> Iterator[Case]:
    """F1 in a plain file on the mount, which is read where it lies."""
    for what, body in list(_cuts())[:-2]:
        yield Case(fault="F1", what=what, where="datalabs", body=body, ends=_CORRUPT)


BODIES: tuple[Case, ...] = (*_at_mast(), *_listed(), *_told_by_digests(), *_in_place())
