"""Faults that the loopback archive plays on request, as values.

A `Fault` says on which route, how often and what. Most turn the right reply into the wrong one, each kind in one
function of `_EFFECTS`; some show another version of what is held (`_VERSIONS`), so that ranges and conditions are
judged against that. The book of pending faults is filled through `POST /_faults`.
"""

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from gzjwst_core.sky.mast_protocol import SHAPES, error_answer, executing_answer, misshapen
from gzjwst_core.sky.replies import Content, MemoryContent, OtherVersion, Reply, json_reply, whole
from gzjwst_core.sky.s3_protocol import ERRORS, refusal

__all__ = ["Fault", "FaultBook", "RouteName"]

RouteName = Literal["columnsconfig", "invoke", "path_lookup", "download", "s3_object", "s3_list"]
Kind = Literal[
    "status", "html", "redirect", "s3_error", "executing", "error", "json",  # another answer
    "drop", "reset", "truncate", "stall", "drip", "slow_headers", "garbage",  # the line
    "headers", "ignore_range", "bad_range", "no_length", "long", "encode",  # what is said of the body
    "swap", "same_etag_other_bytes", "multipart", "etag",  # what is held
]  # fmt: skip
_KILLED = "Cannot continue the execution because the session is in the kill state."
_TEXTS = {
    "empty_body": b"",
    "bad_json": b'{"status": "COMPLETE", "data": [{"obsid": 1,',
    "not_object": b"[1, 2]",
    "number": b"7",
    "deep": b"[" * 200_000,
    "digits": b'{"status": "COMPLETE", "msg": "", "data": [], "fields": [], "paging": ' + b"9" * 6000 + b"}",
    "bytes": bytes(range(128, 256)),
    "huge": b" ",
}


class Fault(BaseModel):
    """One thing that goes wrong, some number of times.

    Another answer
        `status` another status; `html` a page with 200; `redirect` to the address `to` (`status`: 302 by default);
        `s3_error` the bucket's error with the code that it `says`; `executing`, `error` MAST's own words; `json` an
        answer of MAST of another shape, as it `says`: `empty_body`, `bad_json`, `not_object`, `number`, `deep`,
        `digits`, `bytes`, `huge` (`by` bytes long), `no_rows`, `partial_page`, `duplicate_rows`, `reordered`,
        `missing_column` and `missing_part` (`column` of the rows or of the answer), `cell` (`column` is `value`).
    The line
        `drop` closes without an answer; `truncate` closes after `at_byte`, `reset` resets there, both `seconds` after
        all but the last of these bytes were sent; `stall` waits `seconds` there and goes on; `drip` sends from there on
        `count` bytes (1) and waits `seconds`, over and over; `slow_headers` waits `seconds` after each line of the
        head, and adds `count` lines; `garbage` is no HTTP.
    What is said of the body
        `headers` changes headers only, as every kind can; `ignore_range` answers 200 to a range; `bad_range` answers a
        range with a 206 that `says` another `start` or `total` (`by` bytes off), nothing (`absent`), no sense
        (`text`), or truly sends another `part` (`by` bytes off); `no_length` states no length, and ends at `at_byte`
        where that is given (in chunks, where it `says` `chunked`); `long` states a `length` that is `by` bytes off, or
        sends a `body` that is; `encode` gzips the body and says so.
    What is held
        `swap` another version, with another ETag and date, `by` bytes longer, and `count` bytes (all) from `at_byte` on
        changed; `same_etag_other_bytes` the same, but one byte, and under the old ETag and date; `multipart` the ETag
        of an upload in parts of `count` bytes; `etag` any ETag, the one that it `says`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    route: RouteName
    do: Kind
    times: int = Field(default=1, ge=1)
    """How many requests it meets."""
    skip: int = Field(default=0, ge=0)
    """How many requests that it could meet it lets pass first."""
    method: Literal["", "GET", "HEAD", "POST"] = ""
    """Empty = any."""
    match: str = ""
    """Text that the request's target must hold."""
    ranged: bool | None = None
    """Only requests with a Range header, or only those without."""
    status: int = Field(default=503, ge=300, le=599)
    headers: dict[str, str | None] = {}
    """Headers to set, on any fault; None leaves one out."""
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    at_byte: int = -1
    """Bytes of the body that are still sent; -1 = none, not even the head."""
    says: str = ""
    """Which of the kind's variants; empty = the one that is told first."""
    by: int = 0
    """Bytes that something is off."""
    count: int = Field(default=0, ge=0)
    """How many; 0 = the kind's own number."""
    to: str = ""
    """Where a redirect leads."""
    column: str = ""
    value: str | int | float | None = None

    @model_validator(mode="after")
    def _known(self) -> "Fault":
        allowed = _SAYS.get(self.do, self.says and ("",))
        if self.says and self.says not in allowed and self.do != "etag":
            raise ValueError(f"{self.do} says {self.says!r}; allowed: {', '.join(allowed) or 'nothing'}")
        return self

    def meets(self, route: str, method: str, target: str, *, ranged: bool = False) -> bool:
        """Whether a request is one of those that this fault is for."""
        fits = self.route == route and self.method in {"", method} and self.match in target
        return fits and self.ranged in {None, ranged}

    def heard(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the request's headers as far as the faulty server hears them."""
        return {name: value for name, value in headers.items() if name != "range" or self.do != "ignore_range"}

    def version(self, content: Content) -> Content:
        """Return the version of some content that is held."""
        show = _VERSIONS.get(self.do)
        return show(self, content) if show else content

    def spoil(self, reply: Reply) -> Reply:
        """Turn the right reply into the faulty one."""
        effect = _EFFECTS.get(self.do)
        return (effect(self, reply) if effect else reply).with_headers(self.headers)


def _status(fault: Fault, _: Reply) -> Reply:
    body = MemoryContent(f"<html><body>{fault.status}</body></html>".encode())
    return whole(body, "text/html", fault.status)


def _html(_fault: Fault, _: Reply) -> Reply:
    return whole(MemoryContent(b"<html><body>Down for maintenance</body></html>"), "text/html")


def _redirect(fault: Fault, _: Reply) -> Reply:
    status = fault.status if fault.status < 400 else 302
    return whole(MemoryContent(b""), "text/html", status).with_headers({"Location": fault.to})


def _json(fault: Fault, reply: Reply) -> Reply:
    says = fault.says or "empty_body"
    if says in _TEXTS:
        text = MemoryContent(_TEXTS[says])
        return whole(OtherVersion(text, text.etag, more=fault.by), "application/json")
    right = json.loads(b"".join(reply.content.read(reply.start, reply.stop)))
    return json_reply(misshapen(right, says, fault.column, fault.value))


def _broken(fault: Fault, reply: Reply) -> Reply:
    """Let the client take what was sent: a reset throws away what it has not read."""
    if fault.at_byte < 1 or not fault.seconds:
        return reply
    return replace(reply, pause_at=fault.at_byte - 1, pause_seconds=fault.seconds)


def _slow_headers(fault: Fault, reply: Reply) -> Reply:
    more = {f"X-Line-{number}": "slow" for number in range(fault.count)}
    return replace(reply, headers={**more, **reply.headers}, head_pause_seconds=fault.seconds)


def _bad_range(fault: Fault, reply: Reply) -> Reply:
    if reply.status != 206:
        return reply
    says, start, stop, size = fault.says or "start", reply.start, reply.stop, reply.content.size
    if says == "part":
        start += fault.by
        reply = replace(reply, start=start).with_headers({"Content-Length": str(stop - start)})
    if says == "start":
        start, stop = start + fault.by, stop + fault.by
    size += fault.by if says == "total" else 0
    told = {"absent": None, "text": "bytes a-b/c"}.get(says, f"bytes {start}-{stop - 1}/{size}")
    return reply.with_headers({"Content-Range": told})


def _no_length(fault: Fault, reply: Reply) -> Reply:
    cut = fault.at_byte if fault.at_byte >= 0 else None
    return replace(reply, cut_at=cut, chunked=fault.says == "chunked").with_headers({"Content-Length": None})


def _long(fault: Fault, reply: Reply) -> Reply:
    size = reply.stop - reply.start
    stated = reply.with_headers({"Content-Length": str(size + fault.by)})
    if fault.says == "body":
        other = OtherVersion(reply.content, reply.content.etag, more=fault.by)
        return replace(stated, content=other, stop=reply.stop + fault.by)
    return replace(stated, cut_at=size)


def _encode(_fault: Fault, reply: Reply) -> Reply:
    packed = gzip.compress(b"".join(reply.content.read(reply.start, reply.stop)), 1, mtime=0)
    encoded = replace(reply, content=MemoryContent(packed), start=0, stop=len(packed))
    return encoded.with_headers({"Content-Encoding": "gzip", "Content-Length": str(len(packed))})


_EFFECTS: dict[str, Callable[[Fault, Reply], Reply]] = {
    "status": _status,
    "html": _html,
    "redirect": _redirect,
    "s3_error": lambda fault, _: refusal(fault.says or "SlowDown", "/"),
    "executing": lambda fault, _: replace(
        # the client asks again at once, so a pause keeps it from spinning
        json_reply(executing_answer()),
        pause_at=-1,
        pause_seconds=fault.seconds or 0.05,
    ),
    "error": lambda _fault, _: json_reply(error_answer(_KILLED)),
    "json": _json,
    "drop": lambda _fault, reply: replace(reply, cut_at=-1),
    "reset": lambda fault, reply: replace(_broken(fault, reply), cut_at=fault.at_byte, reset=True),
    "truncate": lambda fault, reply: replace(_broken(fault, reply), cut_at=max(0, fault.at_byte)),
    "stall": lambda fault, reply: replace(reply, pause_at=fault.at_byte, pause_seconds=fault.seconds),
    "drip": lambda fault, reply: replace(
        reply, pause_at=max(0, fault.at_byte), pause_seconds=fault.seconds, pause_every=fault.count or 1
    ),
    "slow_headers": _slow_headers,
    "garbage": lambda _fault, reply: replace(reply, no_http=True),
    "bad_range": _bad_range,
    "no_length": _no_length,
    "long": _long,
    "encode": _encode,
}


def _swap(fault: Fault, content: Content) -> Content:
    etag = _md5(f"{content.etag} {fault.at_byte} {fault.count} {fault.by}".encode())
    count = fault.count or content.size
    return OtherVersion(content, f'"{etag}"', start=max(0, fault.at_byte), count=count, more=fault.by)


def _corrupt(fault: Fault, content: Content) -> Content:
    start, count = max(0, fault.at_byte), fault.count or 1
    return OtherVersion(content, content.etag, start=start, count=count, more=fault.by, date=content.date)


def _multipart(fault: Fault, content: Content) -> Content:
    """S3's ETag of an upload in parts: the MD5 of the parts' MD5s, and how many there were."""
    starts = range(0, content.size, fault.count or 8 << 20)
    parts = [b"".join(content.read(start, min(content.size, start + starts.step))) for start in starts]
    digests = b"".join(bytes.fromhex(_md5(part)) for part in parts)
    return OtherVersion(content, f'"{_md5(digests)}-{len(parts)}"', date=content.date)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


_VERSIONS: dict[str, Callable[[Fault, Content], Content]] = {
    "swap": _swap,
    "same_etag_other_bytes": _corrupt,
    "multipart": _multipart,
    "etag": lambda fault, content: OtherVersion(content, fault.says, date=content.date),
}

_SAYS: dict[str, Collection[str]] = {
    "s3_error": ERRORS,
    "json": (*_TEXTS, *SHAPES),
    "bad_range": ("start", "total", "absent", "text", "part"),
    "no_length": ("chunked",),
    "long": ("length", "body"),
}
"""The variants of each kind that has some, the default first."""


class FaultBook:
    """The faults still to come; each request takes at most one, the oldest that meets it."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, text: bytes) -> int:
        """Add one fault or a list of them, given as JSON.

        Returns
        -------
        int
            How many are pending now.

        Raises
        ------
        pydantic.ValidationError
            The JSON is no fault; the message names the key.
        """
        many = text.lstrip().startswith(b"[")
        faults = _FAULTS.validate_json(text) if many else [Fault.model_validate_json(text)]
        with self._lock:
            self._pending.extend(faults)
            return len(self._pending)

    def pending(self) -> list[Fault]:
        """Return the faults still to come."""
        with self._lock:
            return list(self._pending)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._pending.clear()

    def take(self, route: str, method: str, target: str, *, ranged: bool = False) -> Fault | None:
        """Return the fault that meets this request, if any, and count it."""
        with self._lock:
            for index, fault in enumerate(self._pending):
                if fault.meets(route, method, target, ranged=ranged):
                    self._pending[index : index + 1] = _counted(fault)
                    if fault.skip == 0:
                        return fault
        return None


_FAULTS = TypeAdapter(list[Fault])


def _counted(fault: Fault) -> list[Fault]:
    """Return what is left of a fault after one more request."""
    if fault.skip:
        return [fault.model_copy(update={"skip": fault.skip - 1})]
    return [fault.model_copy(update={"times": fault.times - 1})] if fault.times > 1 else []
