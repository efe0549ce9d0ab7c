"""What every archive behind a web server shares: where a file is, and its bytes, whole or in part, of one version.

A subclass says an address. A body is looked at before its first byte is given (what it is, which version, which part,
how long) and counted while it is read, so that what ends cleanly is what was located, bytes for bytes in number.
"""

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import requests
import urllib3

from gzjwst_core.archives.base import Archive, Located, identity_of, mark_of
from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.concurrent_ranges import in_pieces
from gzjwst_core.transport.http import PatientAdapter, mount, network_error, send
from gzjwst_core.transport.minimum_rate import Pace, Paced, pace_of
from gzjwst_core.transport.streams import NO_RANGES, ByteStream, Span

__all__ = ["HttpArchive"]

Headers = Mapping[str, str]

_PIECE = 1 << 20
_AT_ONCE = 4
_NO_FILES = {"text/html", "application/xhtml+xml", "application/json", "application/xml", "text/xml"}
_DECODED = {"gzip", "x-gzip", "deflate"}
_ETAG = re.compile(r'(W/)?"([!#-{}~]{1,200})"')  # without |, which parts an identity
_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class HttpArchive(Archive):
    """Files of a web server.

    Parameters
    ----------
    options
        Time limits, and the slowest transfer.
    """

    title: str
    """What messages call it."""

    def __init__(self, options: ArchiveOptions) -> None:
        self._options = options

    @abstractmethod
    def address(self, mosaic: Mosaic) -> str:
        """Address of a mosaic's file: https, or http on this machine."""
        ...

    def logical(self, mosaic: Mosaic) -> str:
        """URI that a mosaic is remembered by; its ending tells a gzipped file."""
        return mosaic.product_uri

    def listed_size(self, mosaic: Mosaic) -> int:
        """Bytes that the file must have, 0 where nobody said."""
        return mosaic.size

    def credentials(self) -> dict[str, str]:
        """Headers for the first host alone."""
        return {}

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:  # noqa: ARG002  # a HEAD is always cheap
        """Ask for the head of the file (`Archive.find`); its size must be the listed one."""
        what, uri, listed = self._what(mosaic), self.logical(mosaic), self.listed_size(mosaic)
        with (
            self._session() as session,
            send(session, "HEAD", self.address(mosaic), self._headers(), what) as response,
        ):
            head = response.headers
        _check_kind(head, what)
        length = _length(head)
        size = listed if length is None or _encoding(head, uri) else length
        if listed and size != listed:
            said = f"{what}: listed with {listed} bytes, offered with {size}"
            raise ArchiveUnavailableError(said, reason="size_mismatch")
        return Located(archive=self.name, uri=uri, size=size, identity=identity_of(uri, size, _mark(head)))

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        """Open the file's body (`Archive.open`); it can begin elsewhere where the server gave a strong mark of it."""
        with self._session() as session, self._body(session, mosaic, Span(start, mosaic.size)) as body:
            yield body

    def gives_parts(self, mosaic: Mosaic) -> bool:
        """Whether the server told enough of a located mosaic that parts of it can be read safely."""
        return mosaic.size > 0 and _is_strong(mark_of(mosaic.identity))

    def ranges(self, mosaic: Mosaic, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        """Read parts of the file (`Archive.ranges`), a few at once; large spans come in pieces, all in order."""
        under_way: deque[tuple[Span, Future[bytes]]] = deque()
        pace = pace_of(self._options, mosaic.filename)  # of all together: they share the line
        with self._session() as session, ThreadPoolExecutor(_AT_ONCE) as pool:
            for span in in_pieces(spans, _AT_ONCE):
                under_way.append((span, pool.submit(self._part, session, mosaic, span, pace)))
                if len(under_way) == _AT_ONCE:
                    yield _taken(under_way)
            while under_way:
                yield _taken(under_way)

    def _part(self, session: requests.Session, mosaic: Mosaic, span: Span, pace: Pace) -> bytes:
        with self._body(session, mosaic, span) as body:
            stream = Paced(body, pace)
            return b"".join(iter(lambda: stream.read(_PIECE), b""))

    @contextmanager
    def _body(self, session: requests.Session, mosaic: Mosaic, span: Span) -> Iterator["_Body"]:
        what, mark = self._what(mosaic), mark_of(mosaic.identity)
        ranged = span != Span(0, mosaic.size)
        if ranged and not self.gives_parts(mosaic):
            raise _whole_only(what, "the server gave no size or no strong mark of its version")
        headers = self._headers() | (_range_headers(span, mark) if ranged else {})
        with send(session, "GET", self.address(mosaic), headers, what) as response:
            encoding = _encoding(response.headers, self.logical(mosaic))
            _check_kind(response.headers, what)
            _check_version(response.headers, mark, what)
            if ranged:
                _check_part(response, span, mosaic, what)
            elif response.status_code != 200:
                raise _strange(what, f"HTTP {response.status_code} to a request of the whole")
            if encoding:
                _check_encoding(encoding, what, ranged=ranged)
            elif span.size:
                _check_length(response.headers, span.size, what)
            yield _Body(response, what, span.size, decode=bool(encoding))

    def _session(self) -> requests.Session:
        session = requests.Session()
        mount(session, PatientAdapter(self._options.connect_timeout_s, self._options.read_timeout_s))
        return session

    def _headers(self) -> dict[str, str]:
        return {"Accept-Encoding": "identity", **self.credentials()}

    def _what(self, mosaic: Mosaic) -> str:
        return f"{self.title}: {mosaic.filename}"


class _Body:
    """The body of a response, counted, whose errors are ours.

    A server that encodes although we asked for `identity` is decoded, but never a `.gz`: there the encoding says what
    the file is.
    """

    def __init__(self, response: requests.Response, what: str, size: int, *, decode: bool) -> None:
        self._response = response
        self._what = what
        self._left = size or None  # None = nobody said: then only the connection tells its end
        self._decode = decode

    def read(self, size: int, /) -> bytes:
        if self._left is None:
            return self._piece(min(size, _PIECE))
        # one byte more than is due: who sends too much is found out, and at the end the connection is seen to be done
        data = self._piece(min(size, _PIECE, self._left + 1))
        if len(data) > self._left:
            raise ArchiveUnavailableError(f"{self._what}: more bytes than announced", reason="size_mismatch")
        if size and self._left and not data:
            raise ArchiveUnavailableError(f"{self._what}: ends {self._left} bytes early", reason="cut_off")
        self._left -= len(data)
        return data

    def _piece(self, size: int) -> bytes:
        try:
            return self._response.raw.read1(size, decode_content=self._decode) or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise network_error(error, self._what, reason="cut_off") from None


def _taken(under_way: deque[tuple[Span, Future[bytes]]]) -> tuple[Span, bytes]:
    span, part = under_way.popleft()
    return span, part.result()


def _is_strong(mark: str) -> bool:
    """Whether a mark tells two versions' bytes apart: a weak one does not, nor does none (RFC 9110 §13.1.5)."""
    return bool(mark) and not mark.startswith("W/")


def _range_headers(span: Span, mark: str) -> dict[str, str]:
    condition = mark if _DATE.fullmatch(mark) else f'"{mark}"'
    return {"Range": f"bytes={span.start}-{span.stop - 1}", "If-Range": condition}


def _check_kind(headers: Headers, what: str) -> None:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _NO_FILES:
        raise ArchiveUnavailableError(f"{what}: the server sent {kind}, no mosaic", reason="not_a_file")


def _check_version(headers: Headers, mark: str, what: str) -> None:
    """Refuse another version than the located one; a server that does not say is believed, as far as the size goes."""
    theirs = _mark_like(headers, mark)
    if theirs and theirs.removeprefix("W/").strip('"') != mark.removeprefix("W/").strip('"'):
        raise ArchiveUnavailableError(f"{what}: changed since it was located", reason="changed")


def _check_part(response: requests.Response, span: Span, mosaic: Mosaic, what: str) -> None:
    """Refuse what is not exactly the part that was asked for, of exactly the located version."""
    headers, mark = response.headers, mark_of(mosaic.identity)
    if response.status_code != 206:
        raise _whole_only(what, f"HTTP {response.status_code} to a request of a part")
    stated = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if stated is None or tuple(map(int, stated.groups())) != (span.start, span.stop - 1, mosaic.size):
        raise _whole_only(what, "the server sent another part than was asked for")
    if _mark_like(headers, mark) != mark:
        raise _whole_only(what, "the server does not say of which version its part is")


def _check_length(headers: Headers, due: int, what: str) -> None:
    length = _length(headers)
    if length not in {None, due}:
        raise ArchiveUnavailableError(f"{what}: {due} bytes expected, {length} announced", reason="size_mismatch")


def _check_encoding(encoding: str, what: str, *, ranged: bool) -> None:
    said = f"the server encodes it ({encoding[:20]!r})"
    if ranged:
        raise _whole_only(what, said)
    if encoding not in _DECODED:
        raise _strange(what, said)


def _whole_only(what: str, why: str) -> ArchiveUnavailableError:
    return ArchiveUnavailableError(f"{what}: can only be read from its first byte: {why}", reason=NO_RANGES)


def _strange(what: str, why: str) -> ArchiveUnavailableError:
    return ArchiveUnavailableError(f"{what}: {why}", reason="bad_answer")


def _mark(headers: Headers) -> str:
    """Mark of a version: strong ETag (without its quotes), else weak ETag (`W/"..."`), else date, else nothing."""
    return _etag(headers) or _date(headers)


def _mark_like(headers: Headers, mark: str) -> str:
    """Return the same kind of mark as one that is known, empty where there is none."""
    return _date(headers) if _DATE.fullmatch(mark) else _etag(headers)


def _etag(headers: Headers) -> str:
    found = _ETAG.fullmatch(headers.get("ETag", "").strip())
    return "" if found is None else (found[0] if found[1] else found[2])


def _date(headers: Headers) -> str:
    date = headers.get("Last-Modified", "").strip()
    return date if _DATE.fullmatch(date) else ""


def _length(headers: Headers) -> int | None:
    """Bytes announced; None where there is no number that can be believed."""
    text = headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _encoding(headers: Headers, uri: str) -> str:
    """Return the encoding to undo; none of a `.gz`, where it says what the file is."""
    encoding = headers.get("Content-Encoding", "").strip().lower()
    return "" if encoding == "identity" or uri.endswith(".gz") else encoding
