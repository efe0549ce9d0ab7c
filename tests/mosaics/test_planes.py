"""One pass over a mosaic's bytes: whatever is done to them, our errors or a whole file, in little memory."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import CorruptMosaicError, MosaicError
from gzjwst_core.mosaics.gunzip import Gunzip
from gzjwst_core.mosaics.planes import MAX_MOSAIC_BYTES, check_structure, keep_planes
from tests.archives.tiny import SCI, fits_bytes, packed

WHOLE = fits_bytes(("SCI_BKSUB", "SCI", "ERR", "WHT"), side=16)


def kept(data: bytes) -> bytes:
    target = io.BytesIO()
    keep_planes(io.BytesIO(data), target, SCI, "a mosaic")
    return target.getvalue()


class Dribble:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, at_most: int) -> None:
        self._file = io.BytesIO(data)
        self._at_most = at_most

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._at_most))


@pytest.mark.parametrize("at_most", [1, 7, 2880])
@pytest.mark.parametrize("data", [WHOLE, packed(WHOLE)], ids=["plain", "gz"])
def test_short_reads_change_nothing(data: bytes, at_most: int) -> None:
    target = io.BytesIO()
    assert keep_planes(Dribble(data, at_most), target, SCI, "x") == ("SCI_BKSUB", "ERR", "WHT")
    assert target.getvalue() == kept(WHOLE)


def test_blocks_are_kept_verbatim() -> None:
    assert kept(fits_bytes(("SCI", "ERR"))) == fits_bytes(("SCI", "ERR"))
    assert WHOLE.startswith(kept(WHOLE)[:8640])


def test_a_noise_map_of_another_name_is_kept_where_no_better_one_came_before() -> None:
    assert kept(fits_bytes(("SCI", "RMS"))) == fits_bytes(("SCI", "RMS"))
    assert kept(fits_bytes(("SCI", "ERR", "RMS"))) == fits_bytes(("SCI", "ERR"))


def test_pixels_in_the_primary_are_a_science_plane() -> None:
    out = io.BytesIO()
    fits.PrimaryHDU(np.ones((4, 5))).writeto(out)
    target = io.BytesIO()
    assert keep_planes(io.BytesIO(out.getvalue()), target, SCI, "x") == ("PRIMARY",)
    assert target.getvalue() == out.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_any_changed_byte_is_ours_or_harmless(at: int, value: int, gzipped: bool) -> None:
    changed = bytearray(packed(WHOLE) if gzipped else WHOLE)
    changed[at % len(changed)] = value
    try:
        result = kept(bytes(changed))
    except MosaicError:
        return
    if gzipped:  # a plain file has no checksum: there the digest is the guard
        assert result == kept(WHOLE)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_any_cut_is_damage_unless_between_hdus(at: int) -> None:
    try:
        planes = kept(WHOLE[:at])
    except MosaicError:
        return
    assert at % 2880 == 0
    assert WHOLE.startswith(planes[:2880])


def test_check_structure_reads_headers_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(WHOLE)
    assert check_structure(path) == ("PRIMARY", "SCI_BKSUB", "SCI", "ERR", "WHT")
    for data in (WHOLE[:-1], WHOLE[:-2880], WHOLE + b"x", b"", b"<html>"):
        path.write_bytes(data)
        with pytest.raises(CorruptMosaicError, match=r"x\.fits"):
            check_structure(path)


def huge_header(pixels: int) -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                  -32", "NAXIS   =                    1"]
    cards += [f"NAXIS1  = {pixels:20d}", "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode()


@pytest.mark.parametrize("gzipped", [False, True])
def test_what_the_headers_declare_must_be_within_the_limit(gzipped: bool) -> None:
    data = packed(WHOLE) if gzipped else WHOLE
    target = io.BytesIO()
    keep_planes(io.BytesIO(data), target, SCI, "x", limit=len(WHOLE))
    assert target.getvalue() == kept(WHOLE)
    for limit in (len(WHOLE) - 1, len(WHOLE) // 2, 2880, 0):
        with pytest.raises(CorruptMosaicError, match=f"more than a mosaic may have \\({limit} in all") as caught:
            keep_planes(io.BytesIO(data), io.BytesIO(), SCI, "x", limit=limit)
        assert caught.value.reason == "too_large"


def test_gaps_may_compress_a_thousandfold() -> None:
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.full((1000, 1000), np.nan, np.float32), name="SCI")]).writeto(out)
    data = packed(out.getvalue())
    assert len(data) * 200 < len(out.getvalue())
    assert len(kept(data)) == len(out.getvalue())


def test_what_no_header_declares_is_not_unpacked() -> None:
    bomb = packed(WHOLE + bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(CorruptMosaicError, match="not FITS"):
        keep_planes(io.BytesIO(bomb), io.BytesIO(), SCI, "x")
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_absurd_size_is_refused_from_the_header() -> None:
    with pytest.raises(CorruptMosaicError, match="more than a mosaic may have"):
        kept(huge_header(MAX_MOSAIC_BYTES // 4 + 1))


def test_bomb_needs_little_memory() -> None:
    bomb = packed(huge_header(50_000_000) + bytes(200_000_000 - 200_000_000 % 2880))

    class Nowhere(io.RawIOBase):
        def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes are all that comes
            return len(data)

    tracemalloc.start()
    with pytest.raises(CorruptMosaicError):
        keep_planes(io.BytesIO(bomb), Nowhere(), SCI, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


def test_gunzip_gives_at_most_what_was_asked() -> None:
    stream = Gunzip(io.BytesIO(packed(bytes(1_000_000))), "x")
    blocks = list(iter(lambda: stream.read(4096), b""))
    assert max(map(len, blocks)) <= 4096
    assert sum(map(len, blocks)) == 1_000_000
    assert stream.read(10) == b""
