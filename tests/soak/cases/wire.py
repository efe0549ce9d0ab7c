"""N and S: the line breaks, the server stalls, lies, is busy, holds another version; in each archive with a server."""

import itertools
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from tests.soak.cases.case import EVER, ROUTES, Case, Faults, get, on
from tests.soak.world import WHOLE, World

__all__ = ["WIRE"]

_SIZE = len(WHOLE["plain"])
_HALF = 1_500_000
_CUT = get("truncate", at_byte=_HALF, seconds=0.05)  # by then the client has read it
_WEB = ("mast", "directory")
_ALL = tuple(ROUTES)
_BUSY = "ArchiveUnavailableError/archive_unavailable"
_MEANT = f"{_BUSY}|ArchiveUnavailableError/cut_off"
_CHANGED = "ArchiveUnavailableError/changed"
_SIZES = "ArchiveUnavailableError/size_mismatch"
_AWAY = "ArchiveRefusedError/redirected_away"
_NO = "ArchiveRefusedError/archive_refused"

Fault = Mapping[str, Any]
Row = tuple[str, str, Sequence[Fault], str]


def _breaks() -> Iterator[Row]:
    """N1: the line breaks."""
    chance = random.Random(1)
    for at in sorted(chance.randrange(_SIZE) for _ in range(10)):
        yield "N1", f"reset at byte {at}", [get("reset", at_byte=at)], "right"
    for at in (0, 1, 8, 9, 2880, _SIZE - 1):
        yield "N1", f"closed at byte {at}", [get("truncate", at_byte=at)], "right"
    yield "N1", "no answer, once", [get("drop")], "right"
    yield "N1", "no answer, ever", [get("drop", EVER)], _BUSY
    yield "N1", "reset before the head, ever", [get("reset", EVER)], _BUSY
    yield "N1", "reset after 0.3 MB, three times", [get("reset", 3, at_byte=300_000)], "right"
    yield "N1", "closed after 0.3 MB, ever", [get("truncate", EVER, at_byte=300_000)], _MEANT
    yield "N1", "no answer to the head, once", [{"do": "drop", "method": "HEAD"}], "right"


def _ranges() -> Iterator[Row]:
    """N2, N3: what comes is not the range that was asked for."""
    yield "N2", "range ignored, once", [_CUT, get("ignore_range", ranged=True)], "right"
    yield "N2", "range ignored, ever", [_CUT, get("ignore_range", EVER, ranged=True)], "right"
    for says in ("start", "total", "absent", "text"):
        for times, how in ((1, "once"), (EVER, "ever")):
            lie = get("bad_range", times, says=says, by=2880, ranged=True)
            yield "N3", f"range: {says} wrong, {how}", [_CUT, lie], f"right|{_SIZES}" if times > 1 else "right"
    for by in (-2880, 2880):
        yield "N3", f"part {by:+} B", [_CUT, get("bad_range", says="part", by=by, ranged=True)], "right"
    yield "N3", "416 to a range that is there", [_CUT, get("status", status=416, ranged=True)], f"right|{_CHANGED}"


def _versions() -> Iterator[Row]:
    """N4: the object is another one by now."""
    other = {"at_byte": 9_000, "count": 2_000_000}
    yield "N4", "other version, once", [get("swap", **other)], "right"
    yield "N4", "other version, ever", [get("swap", EVER, **other)], _CHANGED
    yield "N4", "other version on going on, once", [_CUT, get("swap", **other)], "right"
    yield "N4", "other version on going on, ever", [_CUT, get("swap", EVER, **other)], _CHANGED
    for by in (-2880, 2880):
        yield "N4", f"other version {by:+} B on going on, ever", [_CUT, get("swap", EVER, by=by, **other)], _CHANGED
    yield "N4", "other ETag alone, ever", [get("headers", EVER, headers={"ETag": '"another"'})], _CHANGED


def _lengths() -> Iterator[Row]:
    """N5: the stated length is not the body's."""
    for by in (-2880, -1, 1, 2880):
        yield "N5", f"stated length {by:+} B, once", [get("long", by=by)], "right"
        yield "N5", f"body {by:+} B, once", [get("long", says="body", by=by)], "right"
        yield "N5", f"body {by:+} B, ever", [get("long", EVER, says="body", by=by)], _SIZES
    yield "N5", "stated length +2880 B, ever", [get("long", EVER, by=2880)], _SIZES
    yield "N5", "no length, cut, once", [get("no_length", at_byte=_HALF)], "right"
    yield "N5", "in chunks, cut, once", [get("no_length", says="chunked", at_byte=_HALF)], "right"


def _pages() -> Iterator[Row]:
    """N6: a page comes instead of a file."""
    disguised = {"Content-Type": "application/octet-stream"}
    yield "N6", "HTML, once", [get("html")], "right"
    yield "N6", "HTML, ever", [get("html", EVER)], "ArchiveUnavailableError"
    yield "N6", "HTML on going on, once", [_CUT, get("html")], "right"
    yield "N6", "HTML as a file, ever", [get("html", EVER, headers=disguised)], "ArchiveUnavailableError"
    yield "N6", "HTML to the head, once", [{"do": "html", "method": "HEAD"}], "right"
    yield (
        "N6",
        "JSON, ever",
        [get("html", EVER, headers={"Content-Type": "application/json"})],
        "ArchiveUnavailableError",
    )


def _busy() -> Iterator[Row]:
    """N8: the server is busy or broken."""
    for status in (429, 500, 502, 503, 504):
        yield "N8", f"HTTP {status}, once", [get("status", status=status)], "right"
        yield "N8", f"HTTP {status}, ever", [get("status", EVER, status=status)], _BUSY
    yield "N8", "HTTP 503 to the head, ever", [{"do": "status", "method": "HEAD", "times": EVER}], _BUSY
    yield "N8", "no HTTP, once", [get("garbage")], "right"
    yield "N8", "no HTTP, ever", [get("garbage", EVER)], _BUSY
    yield "N8", "HTTP 404 after the head", [get("status", EVER, status=404)], "ProductNotFoundError/not_found"
    for status in (400, 405, 451):
        yield "N8", f"HTTP {status}", [get("status", EVER, status=status)], _NO
    yield "N8", "a head of 200 lines", [get("headers", headers={f"X-{i}": "x" for i in range(200)})], "right"
    yield "N8", "a head of 100 kB", [get("headers", headers={"X-Long": "x" * 100_000})], "right"


def _slow() -> Iterator[Row]:
    """N9: the server takes its time."""
    slow = "ArchiveUnavailableError/too_slow"
    yield "N9", "no head for 1.5 s, once", [get("stall", seconds=1.5)], "right"
    yield "N9", "no head for 1.5 s, ever", [get("stall", EVER, seconds=1.5)], _BUSY
    yield "N9", "silent for 1.5 s in the body, once", [get("stall", at_byte=_HALF, seconds=1.5)], "right"
    yield "N9", "silent at once in the body, ever", [get("stall", EVER, at_byte=100, seconds=1.5)], _BUSY
    yield "N9", "a byte every 0.2 s, once", [get("drip", at_byte=1000, seconds=0.2)], "right"
    yield "N9", "a byte every 0.2 s, ever", [get("drip", EVER, at_byte=1000, seconds=0.2)], slow
    yield "N9", "a slow head, in time", [get("slow_headers", count=3, seconds=0.1)], "right"
    yield "N9", "a head without end", [get("slow_headers", EVER, count=60, seconds=0.4)], f"{_BUSY}|{slow}"
    yield "N9", "0.1 MB/s for a while", [get("drip", count=20_000, seconds=0.1, at_byte=_SIZE - 300_000)], "right"


def _redirects() -> Iterator[Row]:
    """N10 and Z6: the server sends us elsewhere."""
    yield "N10", "no Location", [get("redirect", EVER, to="x", headers={"Location": None})], _AWAY
    for to in (
        "https://example.org/x.fits",
        "http://example.org/x.fits",
        "http://mast.stsci.edu/x.fits",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x.fits",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/x.fits",
        "//example.org/x.fits",
        "https://mast.stsci.edu.example.org/x.fits",
        "https://mast.stsci.edu@example.org/x.fits",
        "http://127.0.0.1.example.org/x.fits",
        "http://[",
    ):
        yield "Z6", f"redirect to {to}", [get("redirect", EVER, to=to)], _AWAY


def _errors_of_the_bucket() -> Iterator[Row]:
    """S1: what a bucket says to whom it gives nothing."""
    for code in ("AccessDenied", "NoSuchKey", "NoSuchBucket", "InvalidObjectState"):
        yield "S1", f"{code} after the head", [get("s3_error", EVER, says=code)], "ProductNotFoundError/not_found"
    for code in ("SlowDown", "InternalError"):
        yield "S1", f"{code}, once", [get("s3_error", says=code)], "right"
        yield "S1", f"{code}, ever", [get("s3_error", EVER, says=code)], _BUSY
        yield "S1", f"{code} to the head, ever", [{"do": "s3_error", "says": code, "times": EVER}], _BUSY
    moved = {"x-amz-bucket-region": "eu-west-1"}
    yield "S1", "PermanentRedirect", [get("s3_error", EVER, says="PermanentRedirect", headers=moved)], _AWAY
    for code in ("ExpiredToken", "InvalidArgument"):
        yield "S1", code, [get("s3_error", EVER, says=code)], _NO
    yield "S1", "PreconditionFailed, ever", [get("s3_error", EVER, says="PreconditionFailed")], _CHANGED
    yield "S1", "an XML that is none", [get("status", EVER, status=400)], _NO


def _etags() -> Iterator[Row]:
    """S2, F3: what an ETag can tell of the bytes."""
    flip = {"do": "same_etag_other_bytes", "at_byte": 50_000}
    for mib in (1, 5, 8):
        yield "S2", f"ETag of {mib} MiB parts", [{"do": "multipart", "count": mib << 20, "times": EVER}], "right"
    yield "S2", "ETag that is no digest", [{"do": "etag", "says": '"0-7"', "times": EVER}], "right"
    yield "S2", "no ETag", [{"do": "headers", "headers": {"ETag": None}, "times": EVER}], "ArchiveUnavailableError"
    yield "F3", "a flipped bit, once", [{"method": "GET", **flip}], "right"
    yield "F3", "a flipped bit, ever", [{"method": "GET", "times": EVER, **flip}], "CorruptMosaicError/changed"


def _marks_of_the_web() -> Iterator[Row]:
    """N4, F3: versions, where a server tells less of them."""
    nothing: dict[str, Any] = {"do": "headers", "times": EVER, "headers": {"ETag": None, "Last-Modified": None}}
    weak: dict[str, Any] = {"do": "etag", "says": 'W/"7"', "times": EVER}
    yield "N4", "neither ETag nor date", [nothing], "right"
    yield "N4", "neither ETag nor date, cut", [_CUT, nothing], "right"
    yield "N4", "a weak ETag", [weak], "right"
    yield "N4", "a date alone", [{"do": "headers", "times": EVER, "headers": {"ETag": None}}], "right"
    yield "N5", "no length, ever", [get("no_length", EVER)], "right"
    yield "N5", "no length in the head, either", [{"do": "no_length", "times": EVER}], "right"
    yield "N5", "in chunks, ever", [get("no_length", EVER, says="chunked")], "right"
    flip: dict[str, Any] = get("same_etag_other_bytes", EVER, at_byte=50_000)
    yield "F3", "a flipped bit, ever", [flip], "unproven"
    yield "F3", "a flipped bit in the first header", [{**flip, "at_byte": 0}], "CorruptMosaicError/not_fits"


def _encodings() -> Iterator[Row]:
    """N11: a body that is gzipped on its way, although we asked for none."""
    yield "N11", "gzipped, once", [get("encode")], "right"
    yield "N11", "gzipped, ever", [get("encode", EVER)], "right"
    yield "N11", "gzipped, the head too", [{"do": "encode", "times": EVER}], "right"
    yield "N11", "gzipped in its name only, once", [get("headers", headers={"Content-Encoding": "gzip"})], "right"
    odd = get("headers", EVER, headers={"Content-Encoding": "br"})
    yield "N11", "in an encoding that nobody knows", [odd], "right|ArchiveUnavailableError|ArchiveRefusedError"


def _gzipped() -> Iterator[Row]:
    """The same for a file that is gzipped itself: what its checksum adds."""
    flip = {"at_byte": 100_000}
    yield "N1", "reset at half", [get("reset", at_byte=_HALF)], "right"
    yield "N3", "range: start wrong", [_CUT, get("bad_range", says="start", by=2880, ranged=True)], "right"
    yield "N4", "other version on going on", [_CUT, get("swap", at_byte=_HALF + 10)], "right"
    yield "N5", "no length, cut, once", [get("no_length", at_byte=_HALF)], "right"
    yield "N11", "named gzipped, which it is", [get("headers", EVER, headers={"Content-Encoding": "gzip"})], "right"
    yield "N11", "gzipped once more, once", [get("encode")], "right"
    yield "F2", "a flipped bit, once", [get("same_etag_other_bytes", **flip)], "right"
    yield "F2", "a flipped bit, ever", [get("same_etag_other_bytes", EVER, **flip)], "CorruptMosaicError"


def _in(archives: Sequence[str], *rows: Iterator[Row], **more: Any) -> Iterator[Case]:
    for fault, what, faults, ends in [row for several in rows for row in several]:
        for archive in archives:
            yield Case(fault=fault, what=what, where=archive, faults=on(archive, faults), ends=ends, **more)


def _unreachable() -> Iterator[Case]:
    """N8: nobody is there."""
    for what, url in (
        ("connection refused", "http://127.0.0.1:1"),
        ("no TLS where it should be", "https://127.0.0.1:{port}"),
        ("no such host", "https://nowhere.invalid"),
    ):
        for where in ("mast", "s3"):
            yield Case(fault="N8", what=what, where=where, ends=_BUSY, during=_server_at(url), gets=0)


def _server_at(url: str) -> Any:
    def during(world: World, _: Path) -> AbstractContextManager[object]:
        told = url.format(port=world.url.rpartition(":")[2])
        stack = ExitStack()
        stack.enter_context(mock.patch.dict("os.environ", {"GZJWST_MAST_URL": told, "AWS_ENDPOINT_URL_S3": told}))
        stack.enter_context(mock.patch.object(socket, "getaddrinfo", _no_such_host(socket.getaddrinfo)))
        return stack

    return during


def _no_such_host(right: Callable[..., Any]) -> Callable[..., Any]:
    """Look no name up but our own: a case asks nobody outside."""

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).startswith("127.0.0.1"):
            return right(host, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    return look_up


def _patience() -> Iterator[Case]:
    """N7: come back later."""
    said = (("5", 5.0), ("Fri, 31 Dec 2100 23:59:59 GMT", 300.0), ("1e9", 300.0), ("-5", 0.0), ("soon", 0.0), ("", 0.0))
    for text, seconds in said:
        for where, status in itertools.product(("mast", "s3"), (429, 503)):
            fault = get("status", status=status, headers={"Retry-After": text})
            what = f"HTTP {status}, Retry-After: {text}"
            yield Case(fault="N7", what=what, where=where, faults=on(where, [fault]), ends="right", waits=seconds)


def _chain() -> Iterator[Case]:
    """S3: several archives, and what is said when none gives it."""
    chain, missing = "datalabs s3 mast", {"do": "status", "status": 404, "times": EVER}
    busy: dict[str, Any] = {"do": "status", "times": EVER}
    s3, mast = partial(on, "s3"), partial(on, "mast")
    denied = {"do": "s3_error", "says": "AccessDenied", "times": EVER}
    secret = {**missing, "status": 401}
    some: Sequence[tuple[str, tuple[str, ...], Faults, str]] = (
        ("in none", (), (), "missing/not_found"),
        ("in the last alone", ("mast",), (), "right"),
        ("in the first alone", ("datalabs",), (), "right"),
        ("the bucket denies it, MAST has it", ("s3", "mast"), s3([denied]), "right"),
        ("the bucket is busy, MAST has it", ("s3", "mast"), s3([busy]), "right"),
        ("the bucket is busy, MAST has none", ("s3",), s3([busy]) + mast([missing]), _BUSY),
        (
            "the bucket moved, MAST has it",
            ("s3", "mast"),
            s3([{"do": "s3_error", "says": "PermanentRedirect", "times": EVER}]),
            "right",
        ),
        ("the bucket denies it, not public at MAST", (), s3([denied]) + mast([secret]), "missing/not_public"),
        ("all are broken", (), s3([busy]) + mast([busy]), _BUSY),
        (
            "MAST sends us away",
            (),
            mast([{"do": "redirect", "to": "file:///etc/passwd", "times": EVER}]),
            "missing/redirected_away",
        ),
    )
    for what, holds, faults, ends in some:
        yield Case(
            fault="S3", what=what, where=chain, holds=holds or ("none",), faults=faults, ends=ends, is_listed=False
        )


def _persistent() -> Iterator[Case]:
    """Faults that stay, with the requests that they may cost; and those that a little patience outlasts."""
    for where in _ALL:
        again = on(where, [get("truncate", EVER, at_byte=1_600_000, seconds=0.05)])
        yield Case(fault="N1", what="closed after 1.6 MB, ever", where=where, faults=again, ends="right")
        stubborn = on(
            where,
            [get("truncate", EVER, at_byte=_HALF, seconds=0.05, ranged=False), get("ignore_range", EVER, ranged=True)],
        )
        yield Case(
            fault="N2", what="cut, and range ignored", where=where, faults=stubborn, ends="ArchiveUnavailableError"
        )
        same = [
            get("truncate", EVER, at_byte=_HALF, seconds=0.05, ranged=False),
            get("bad_range", EVER, says="part", by=-2880, ranged=True),
        ]
        yield Case(
            fault="N3",
            what="cut, and another part, ever",
            where=where,
            faults=on(where, same),
            ends="ArchiveUnavailableError",
        )
        for status in (401, 403):
            ends = (
                "ProductNotFoundError/not_found" if (where, status) == ("s3", 403) else "ArchiveRefusedError/not_public"
            )
            ends = _NO if (where, status) == ("s3", 401) else ends
            fault = on(where, [get("status", EVER, status=status)])
            yield Case(fault="N13", what=f"HTTP {status}", where=where, faults=fault, ends=ends, gets=1)
    circle = "/api/v0.1/Download/file?uri=mast:JWST/product/x"
    loop = on("mast", [{"do": "redirect", "to": circle, "times": EVER}])
    yield Case(fault="N10", what="in a circle", where="mast", faults=loop, ends="missing/redirected_away")
    body = on("mast", [get("redirect", EVER, to=circle)])
    yield Case(fault="N10", what="in a circle, the body", where="mast", faults=body, ends=_AWAY, most=7)


_RELIABLE = (_breaks, _ranges, _versions, _lengths, _pages, _busy, _slow, _redirects)

WIRE: tuple[Case, ...] = (
    *_in(_ALL, *(rows() for rows in _RELIABLE)),
    *_in(("s3",), _errors_of_the_bucket(), _etags()),
    *_in(_WEB, _marks_of_the_web(), _encodings()),
    *_in(("mast", "s3"), _gzipped(), kind="gz"),
    *_unreachable(),
    *_patience(),
    *_chain(),
    *_persistent(),
)
