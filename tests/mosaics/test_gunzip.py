"""Gzip drained to its end: members, trailers, and time and memory that the bytes are worth."""

import gzip
import io
import time

import pytest

from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.mosaics.gunzip import Gunzip

DATA = bytes(range(256)) * 300
EMPTY = gzip.compress(b"", mtime=0)


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def unpacked(data: bytes, size: int = 4096) -> bytes:
    stream = Gunzip(io.BytesIO(data), "x.gz")
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("size", [1000, 1 << 22])
def test_members_follow_each_other(size: int) -> None:
    members = [packed(DATA[:777]), EMPTY, packed(DATA[777:]), EMPTY]
    assert unpacked(b"".join(members), size) == DATA
    assert unpacked(b"".join(members) + bytes(512), size) == DATA  # zeros, as on tapes


@pytest.mark.parametrize(
    "tail", [b"\x1f", b"\x1f\x8b", b"junk", bytes(9) + b"x", bytes(512) + packed(DATA), EMPTY[:-1]]
)
def test_anything_else_behind_the_end_is_damage(tail: bytes) -> None:
    with pytest.raises(CorruptMosaicError, match=r"x\.gz"):
        unpacked(packed(DATA) + tail)


def test_every_cut_and_every_wrong_trailer_is_damage() -> None:
    whole = packed(DATA)
    for cut in range(2, len(whole)):
        with pytest.raises(CorruptMosaicError):
            unpacked(whole[:cut])
    for at in range(len(whole) - 8, len(whole)):
        with pytest.raises(CorruptMosaicError, match="damaged"):
            unpacked(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


def test_small_members_cost_what_their_bytes_are_worth() -> None:
    tiny = packed(b"x") * 30_000  # 0.6 MB; each once copied all that followed it
    begun = time.process_time()
    assert unpacked(tiny) == b"x" * 30_000
    assert time.process_time() - begun < 1.5


def test_members_that_hold_nothing_come_to_an_end() -> None:
    assert unpacked(packed(DATA) + EMPTY * 900) == DATA
    with pytest.raises(CorruptMosaicError, match="of them empty"):
        unpacked(packed(DATA) + EMPTY * 1100)


def test_an_endless_name_in_the_header_is_read_in_little_memory() -> None:
    with pytest.raises(CorruptMosaicError):
        unpacked(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 3_000_000)
