"""Headers as bytes: sizes that make sense, cards by the standard's letter, and an end to everything."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import CorruptMosaicError, MosaicError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.mosaics.headers import BLOCK, MAX_PIXELS, MAX_SIDE_PX, Hdu, Headers, check_size
from gzjwst_core.mosaics.planes import keep_planes
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions


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


@pytest.mark.parametrize("shape", [(MAX_SIDE_PX, 1), (1, MAX_SIDE_PX), (MAX_SIDE_PX, MAX_PIXELS // MAX_SIDE_PX), ()])
def test_a_size_within_both_limits_is_read(shape: tuple[int, ...]) -> None:
    check_size(shape, "x")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 10**9), "x: 1000000000 x 1 = 1000000000 pixels; at most 131072 along a side and 4294967296 in all"),
        ((MAX_SIDE_PX + 1, 2), "x: 2 x 131073 = 262146 pixels"),
        ((MAX_SIDE_PX, MAX_PIXELS // MAX_SIDE_PX + 1), "x: 32769 x 131072 = 4295098368 pixels"),
    ],
)
def test_a_size_beyond_a_limit_is_refused_with_both_figures(shape: tuple[int, int], said: str) -> None:
    with pytest.raises(MosaicError, match=said) as caught:
        check_size(shape, "x")
    assert (caught.value.reason, caught.value.retryable) == ("too_large", False)


def test_a_mosaic_of_a_billion_columns_is_refused_before_a_pixel_is_read(tmp_path: Path) -> None:
    """Its file is a hole of 4 GB; one row of it used to take 12 GB."""
    hdu = fits.ImageHDU(np.zeros((1, 1), np.float32), stated_wcs((1, 10**9), 0.06, 150.0, 2.0).to_header(), name="SCI")
    hdu.header["NAXIS1"], hdu.header["BUNIT"] = 10**9, "MJy/sr"
    head = fits.PrimaryHDU().header.tostring().encode() + hdu.header.tostring().encode()
    with (tmp_path / "wide.fits").open("wb") as file:
        file.write(head)
        file.truncate(len(head) + 4 * 10**9 // 2880 * 2880 + 2880)
    path = str(tmp_path / "wide.fits")
    source = MosaicSource(field="f", band="F277W", path=path, uri="local:f", identity="i")
    with pytest.raises(MosaicError, match="1000000000 x 1 = 1000000000 pixels") as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.reason == "too_large"
    with (tmp_path / "wide.fits").open("rb") as file, pytest.raises(MosaicError, match="1000000000 x 1"):
        keep_planes(file, io.BytesIO(), ("SCI",), "wide.fits")
