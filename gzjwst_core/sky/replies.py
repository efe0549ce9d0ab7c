"""Answers of the loopback archive as values: content, byte ranges, and how a faulty answer breaks off.

A route makes a `Reply`; a fault changes it; the server sends it. Content is read in chunks, never whole, and its ETag
is the MD5 of its bytes, so that it is the same on every machine. Nothing here knows HTTP's sockets, MAST or S3.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol, cast

__all__ = [
    "CHUNK",
    "EMPTY",
    "Content",
    "FileContent",
    "MemoryContent",
    "OtherVersion",
    "Reply",
    "content_reply",
    "json_reply",
    "whole",
]

CHUNK = 256 * 1024
FIXED_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"  # of every file: a run may record it, so it follows no clock
_CHANGED = bytes(byte ^ 1 for byte in range(256))
OTHER_DATE = "Fri, 02 Jan 2026 00:00:00 GMT"  # of every other version


class Content(Protocol):
    """Bytes that can be sent from any offset."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def etag(self) -> str:
        """Quoted, the same for the same bytes."""
        ...

    @property
    def date(self) -> str:
        """When it was last modified, as HTTP writes it."""
        ...

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`, in chunks."""
        ...


@dataclass(frozen=True)
class MemoryContent:
    """A few bytes made up on the spot."""

    data: bytes
    date: str = FIXED_DATE

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def etag(self) -> str:
        """MD5, quoted."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the slice."""
        yield self.data[start:stop]


EMPTY = MemoryContent(b"")


@dataclass(frozen=True)
class FileContent:
    """A file on disk; with `inflated_size`, the plain bytes of a gzipped one."""

    path: Path
    inflated_size: int | None = None
    date: str = FIXED_DATE

    @property
    def size(self) -> int:
        """Bytes that a reader gets."""
        return self.path.stat().st_size if self.inflated_size is None else self.inflated_size

    @property
    def etag(self) -> str:
        """MD5 of those bytes, quoted; computed once for each state of the file."""
        state = self.path.stat()
        return _file_etag(self.path, self.inflated_size, state.st_size, state.st_mtime_ns)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes in chunks; a gzipped file is inflated up to `start` first."""
        with _open(self.path, self.inflated_size) as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
                start += len(chunk)
                yield chunk


def _open(path: Path, inflated_size: int | None) -> IO[bytes]:
    return path.open("rb") if inflated_size is None else cast("IO[bytes]", gzip.open(path))


@lru_cache(maxsize=1024)
def _file_etag(path: Path, inflated_size: int | None, _size: int, _mtime_ns: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with _open(path, inflated_size) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f'"{digest.hexdigest()}"'


@dataclass(frozen=True)
class OtherVersion:
    """Some content, but for a stretch of bytes with one bit changed in each, and for its length."""

    content: Content
    etag: str
    start: int = 0
    """First byte that differs."""
    count: int = 0
    """How many differ."""
    more: int = 0
    """Zeros at the end; where negative, bytes that are missing there."""
    date: str = OTHER_DATE

    @property
    def size(self) -> int:
        """Bytes."""
        return max(0, self.content.size + self.more)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`, in chunks."""
        held = min(stop, self.content.size)
        for chunk in self.content.read(start, held):
            yield self._changed(chunk, start)
            start += len(chunk)
        for begin in range(max(start, held), stop, CHUNK):
            yield bytes(min(CHUNK, stop - begin))

    def _changed(self, chunk: bytes, offset: int) -> bytes:
        first = max(0, self.start - offset)
        last = min(len(chunk), self.start + self.count - offset)
        if first >= last:
            return chunk
        return chunk[:first] + chunk[first:last].translate(_CHANGED) + chunk[last:]


@dataclass(frozen=True)
class Reply:
    """One answer: status, headers, a slice of some content, and how it misbehaves.

    `cut_at` and `pause_at` count bytes of the body already sent; -1 means before the head. A cut is an orderly close,
    or a connection reset with `reset`. With `pause_every`, the pause comes again after every so many bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = EMPTY
    start: int = 0
    stop: int = 0
    cut_at: int | None = None
    reset: bool = False
    pause_at: int | None = None
    pause_seconds: float = 0.0
    pause_every: int = 0
    head_pause_seconds: float = 0.0
    """After each line of the head."""
    chunked: bool = False
    """Body in chunks, without a stated length."""
    no_http: bool = False
    """Bytes that are no HTTP, and nothing else."""

    def with_headers(self, headers: Mapping[str, str | None]) -> "Reply":
        """Return a copy with headers set, or left out where the value is None."""
        merged = {k: v for k, v in self.headers.items() if k.lower() not in {h.lower() for h in headers}}
        return replace(self, headers=merged | {k: v for k, v in headers.items() if v is not None})

    def body(self) -> Iterator[bytes | float]:
        """Yield the body as it is sent: pieces of it, and seconds to wait between them."""
        stop = self.stop if self.cut_at is None else min(self.stop, self.start + self.cut_at)
        at = self.start
        for pause in self._pauses(stop):
            yield from self.content.read(at, pause)
            yield self.pause_seconds
            at = pause
        yield from self.content.read(at, stop)

    def _pauses(self, stop: int) -> range:
        """Offsets before which the body waits."""
        if self.pause_at is None or self.pause_at < 0:
            return range(0)
        first = self.start + self.pause_at
        return range(first, stop, self.pause_every) if self.pause_every else range(first, min(first + 1, stop))


def whole(content: Content, content_type: str, status: int = 200) -> Reply:
    """Return a reply of all of some content."""
    headers = {"Content-Type": content_type, "Content-Length": str(content.size)}
    return Reply(status, headers, content, 0, content.size)


def json_reply(value: object, status: int = 200) -> Reply:
    """Return a reply of a JSON value."""
    return whole(MemoryContent(json.dumps(value).encode()), "application/json", status)


def content_reply(
    content: Content, asked: Mapping[str, str], *, content_type: str, refuse: Callable[[int], Reply]
) -> Reply:
    """Answer a GET or HEAD of some content, with conditions and one byte range (RFC 9110 §13, §14).

    Parameters
    ----------
    content
        What is held.
    asked
        Request headers, names in lower case: If-Match, If-None-Match, If-Unmodified-Since (as the same date or
        another), If-Range and Range are obeyed.
    content_type
        Of the whole.
    refuse
        Makes the reply for 412 and 416 in the words of the protocol.

    Returns
    -------
    Reply
        200, 206, 304, 412 or 416. Several ranges or one that cannot be read count as none.
    """
    size, etag = content.size, content.etag
    common = {"ETag": etag, "Last-Modified": content.date, "Accept-Ranges": "bytes"}
    if not _names(asked.get("if-match", "*"), etag) or asked.get("if-unmodified-since", content.date) != content.date:
        return refuse(412)
    if "if-none-match" in asked and _names(asked["if-none-match"], etag):
        return Reply(304, common)
    span = _span(asked.get("range", ""), size) if asked.get("if-range", etag) in {etag, content.date} else None
    if span is None:
        return whole(content, content_type).with_headers(common)
    start, stop = span
    if start >= stop:
        return refuse(416).with_headers({"Content-Range": f"bytes */{size}"})
    common |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return Reply(206, {"Content-Type": content_type, **common}, content, start, stop)


def _names(condition: str, etag: str) -> bool:
    tags = [tag.strip() for tag in condition.split(",")]
    return "*" in tags or etag in tags or etag.strip('"') in tags


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Read `bytes=a-b`, `bytes=a-` or `bytes=-n`: start and stop within the size; start >= stop cannot be satisfied."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1 if last else size)
