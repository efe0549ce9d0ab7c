"""What an ETag says of a body: right, wrong only where it is the body's MD5, else unknown."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.transport.etags import EtagCheck, part_sizes

MIB = 1 << 20


def body(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()  # noqa: S324 - so S3 does it


def in_parts(data: bytes, part: int) -> str:
    """An ETag as S3 makes it of an upload in parts."""
    parts = [data[start : start + part] for start in range(0, len(data), part)] or [b""]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)  # noqa: S324
    return f"{md5(digests)}-{len(parts)}"


def verdict(etag: str, data: bytes, *, size: int | None = None, blocks: int = MIB) -> str:
    check = EtagCheck(etag, len(data) if size is None else size)
    for start in range(0, len(data), blocks):
        check.feed(data[start : start + blocks])
    return check.verdict()


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=300), blocks=st.integers(1, 100), quoted=st.booleans())
def test_md5(data: bytes, blocks: int, quoted: bool) -> None:
    etag = f'"{md5(data)}"' if quoted else md5(data)
    assert verdict(etag, data, blocks=blocks) == "right"
    assert verdict(etag, data, size=0, blocks=blocks) == "right"
    assert verdict(etag, data + b"x", blocks=blocks) == "wrong"
    assert not data or verdict(etag, data[:-1], blocks=blocks) == "wrong"


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(1, 3 * MIB) | st.sampled_from([5 * MIB, 5 * MIB + 1, 10 * MIB, 17 * MIB - 1]),
    part_mib=st.sampled_from([1, 2, 5, 8]),
    blocks=st.integers(100_000, 9 * MIB),
    flip=st.integers(0),
)
def test_parts(size: int, part_mib: int, blocks: int, flip: int) -> None:
    """Of equal parts of a customary size, or as large as they must be: recognised however the body is fed."""
    data = body(size)
    etag = in_parts(data, part_mib * MIB)
    assert verdict(etag, data, blocks=blocks) == "right"
    damaged = bytearray(data)
    damaged[flip % size] ^= 1
    assert verdict(etag, bytes(damaged), blocks=blocks) == "unknown"


@settings(max_examples=200)
@given(size=st.integers(0, 8 << 30), parts=st.integers(1, 10_000))
def test_part_sizes_make_that_many_parts(size: int, parts: int) -> None:
    found = part_sizes(size, parts)
    assert all(-(-size // part) == parts for part in found)
    assert found == sorted(set(found))
    assert len(found) <= 6  # each costs an MD5 of the body


@pytest.mark.parametrize("mib", [5, 8, 16, 64, 100, 512])
def test_large_bodies_have_few_candidates(mib: int) -> None:
    size = (4 << 30) + 2880
    found = part_sizes(size, -(-size // (mib * MIB)))
    assert mib * MIB in found
    assert len(found) <= 2


@pytest.mark.parametrize(
    "etag", ["", '""', "abc", "0" * 31, "0" * 33, "A" * 32, 'W/"' + "0" * 32 + '"', "0" * 32 + "-0", "0" * 32 + "-x"]
)
def test_other_marks_say_nothing(etag: str) -> None:
    assert verdict(etag, b"data") == "unknown"


def test_parts_of_a_body_of_unknown_size_say_nothing() -> None:
    data = body(6 * MIB)
    assert verdict(in_parts(data, 5 * MIB), data, size=0) == "unknown"


def test_an_empty_body() -> None:
    assert verdict(md5(b""), b"") == "right"
    assert verdict(in_parts(b"", MIB), b"") == "unknown"
