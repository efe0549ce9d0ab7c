"""Headers as bytes: sizes that make sense, cards by the standard's letter, and an end to everything."""

import io

import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.mosaics.headers import BLOCK, Hdu, Headers


def block(*cards: str) -> bytes:
    text = "".join(card.ljust(80) for card in (*cards, "END"))
    return text.encode("latin-1").ljust(-(-len(text) // BLOCK) * BLOCK)


def first(*cards: str) -> Hdu:
    hdu = Headers(io.BytesIO(block("SIMPLE  = T", *cards)).read, "x.fits").next()
    assert hdu is not None
    return hdu


GOOD = ("BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 50", "NAXIS2  = 60")


def test_sizes_are_what_the_header_declares() -> None:
    hdu = first(*GOOD, "EXTNAME = 'sci     '           / name", "PCOUNT  = 0", "GCOUNT  = 1")
    assert (hdu.name, hdu.bits, hdu.shape, hdu.data_bytes) == ("SCI", -32, (60, 50), 5 * BLOCK)
    assert hdu.is_image
    assert first("BITPIX  = 8", "NAXIS   = 0").data_bytes == 0
    assert first(*GOOD, "PCOUNT  = 1").data_bytes == 5 * BLOCK


@pytest.mark.parametrize(
    "cards",
    [
        ("NAXIS   = 0",),
        ("BITPIX  = 8",),
        ("BITPIX  = -99", "NAXIS   = 0"),
        ("BITPIX  = 8", "NAXIS   = 9"),
        ("BITPIX  = 8", "NAXIS   = -1"),
        ("BITPIX  = 8", "NAXIS   = 1"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -5"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 99999999999999999999999"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 50.0"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = '50'"),
        ("BITPIX  = 8", "NAXIS   = T"),
        (*GOOD, "PCOUNT  = -1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(cards: tuple[str, ...]) -> None:
    with pytest.raises(CorruptMosaicError, match=r"x\.fits\[PRIMARY\]: [A-Z0-9]+ = .* makes no sense"):
        first(*cards)


def test_only_plain_values_are_left_of_a_header() -> None:
    odd: tuple[str, ...] = (
        "HISTORY ran",
        "TEXT    = 'it''s / one'  / \xe9t\xe9",
        "NUMBER  = 1.5E-3 / x",
        "EMPTY   =",
        "lower   = 1",
    )
    odd += ("INF     = NaN", "PAIR    = (1, 2)", "BROKEN  = 'no end", "NOSPACE =5", "TEXT    = 'second'", "FLAG    = T")
    header = fits.Header.fromstring(first(*GOOD, *odd, "CONTINUE  'more'", "HIERARCH a b = 1").text)
    names = ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "TEXT", "NUMBER", "FLAG"]
    assert list(header) == names
    assert [header[name] for name in names[5:]] == ["it's / one", 1.5e-3, True]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=80, max_size=80), max_size=6))
def test_no_card_is_left_that_astropy_cannot_read(cards: list[bytes]) -> None:
    raw = block("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", *(card.decode("latin-1") for card in cards))
    try:
        hdu = Headers(io.BytesIO(raw).read, "x").next()
    except CorruptMosaicError:
        return
    assert hdu is not None
    header = fits.Header.fromstring(hdu.text)
    assert len([card.value for card in header.cards]) == len(hdu.cards) >= 3


def test_headers_end() -> None:
    endless = io.BytesIO(b"SIMPLE  =".ljust(80) + b" " * (20 << 20))
    with pytest.raises(CorruptMosaicError, match="without END"):
        Headers(endless.read, "x").next()
    assert endless.tell() < 9 << 20
    many = io.BytesIO(
        block("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0") + block("XTENSION= 'IMAGE'", *GOOD[:1], "NAXIS   = 0") * 4000
    )
    with pytest.raises(CorruptMosaicError, match="longer than any mosaic's"):
        list(Headers(many.read, "x"))


@pytest.mark.parametrize("data", [b"", b"SIMPLE  =", b"<html>busy</html>".ljust(BLOCK), block("SIMPLE  = T")[:-1]])
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptMosaicError, match=r"^x"):
        Headers(io.BytesIO(data).read, "x").next()
