"""The observatory's public bucket, read anonymously with s3fs.

A mosaic's key follows from its name, or else from MAST's look-up; the bucket is asked for that one object, and never
listed. Every read is guarded by the located ETag and size, so that two versions never mix. How requests are sent is in
`s3_client`, how several are read at once in `several`; retries are above.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gzjwst_core.archives.base import Archive, Located, identity_of, mark_of
from gzjwst_core.archives.lookup import lookup_key
from gzjwst_core.errors import ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.models import Mosaic
from gzjwst_core.names import parse_obs_id, safe_name
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.concurrent_ranges import Pace, Several, in_pieces
from gzjwst_core.transport.streams import NO_RANGES, ByteStream, Span

if TYPE_CHECKING:
    from gzjwst_core.transport.s3_client import Body, Client

__all__ = ["S3", "bucket_key"]

_HLSP = "mast:HLSP/"
_HLSP_TEAMS = ("jades",)


class S3(Archive):
    """The bucket, by default `stpubdata`.

    Parameters
    ----------
    options
        Bucket, region, endpoint, teams and time limits. Without an endpoint, boto's own setting holds:
        `AWS_ENDPOINT_URL_S3`.
    """

    name = "s3"
    marks_are_md5 = True

    def __init__(self, options: ArchiveOptions) -> None:
        self._options = options

    @property
    def _client(self) -> "Client":
        from gzjwst_core.transport.s3_client import client_of  # noqa: PLC0415 - who has all it needs never pays this

        return client_of(self._options)

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:  # noqa: ARG002  # a HEAD is always cheap
        """Ask for the one object that the mosaic's name leads to, or else MAST's look-up (`Archive.find`)."""
        key = ""
        try:
            key = bucket_key(mosaic, self._options.s3_hlsp)
            return self._found(mosaic, key)
        except ProductNotFoundError:
            other = lookup_key(mosaic.product_uri, self._options)
            if other is None or other == key:
                raise
        return self._found(mosaic, other)

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        """Open the object; it must still be the located one (`Archive.open`)."""
        client = self._client
        body = client.wait(self._opened, mosaic, Span(start, mosaic.size))
        try:
            yield _Reader(client, body)
        finally:
            client.wait(body.close)

    def windowed(self, mosaic: Mosaic) -> bool:
        """Whether the object is a plain file (`Archive.windowed`)."""
        return mosaic.uri.endswith(".fits")

    def ranges(self, mosaic: Mosaic, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        """Read parts of the object, several at once (`Archive.ranges`); spans come in pieces of at most 2 MiB."""
        client, window_s = self._client, self._options.read_timeout_s
        pace = Pace(self._options.slowest_kb_s * 1000 * window_s, window_s, mosaic.filename)
        several = Several(lambda span: self._opened(mosaic, span), in_pieces(spans), pace=pace)
        client.wait(several.begin)
        try:
            while True:
                for block in client.wait(several.next):
                    if block is None:
                        return
                    yield block
                    client.soon(several.taken)
        finally:
            client.wait(several.end)

    def _found(self, mosaic: Mosaic, key: str) -> Located:
        client, bucket, what = self._client, self._options.s3_bucket, mosaic.filename
        head = client.wait(lambda: client.ask("head_object", bucket, key, what))
        size, mark = int(head["ContentLength"]), _mark(head)
        if not mark:
            # every S3 server has one: this is a page of something in between
            raise ArchiveUnavailableError(f"S3: {what}: an answer without an ETag", reason="bad_answer")
        uri = f"s3://{bucket}/{key}"
        return Located(archive=self.name, uri=uri, size=size, identity=identity_of(uri, size, mark))

    async def _opened(self, mosaic: Mosaic, span: Span) -> "Body":
        """Ask for a part of the located object, or all of it, in one request."""
        client = self._client
        bucket, _, key = mosaic.uri.removeprefix("s3://").partition("/")
        asked = {"IfMatch": f'"{mark_of(mosaic.identity)}"'}
        if span != (0, mosaic.size):
            asked["Range"] = f"bytes={span.start}-{span.stop - 1}"
        answer = await client.ask("get_object", bucket, key, mosaic.filename, **asked)
        body = client.body(answer, span.size, mosaic.filename)
        try:
            _check(answer, mosaic, span)
        except ArchiveUnavailableError:
            await body.close()
            raise
        return body


class _Reader:
    """A body for a thread that is not the loop's."""

    def __init__(self, client: "Client", body: "Body") -> None:
        self._client = client
        self._body = body

    def read(self, size: int, /) -> bytes:
        return self._client.wait(self._body.read, size)


def bucket_key(mosaic: Mosaic, teams: Sequence[str] = _HLSP_TEAMS) -> str:
    """Return the key under which the bucket would hold a mosaic.

    Parameters
    ----------
    mosaic
        The observatory's level-3 product, or a team's (HLSP).
    teams
        Whose products keep their path of MAST in the bucket.

    Raises
    ------
    ProductNotFoundError
        It follows neither rule of the bucket (`no_key`).

    Notes
    -----
    `jwst/public/jwPPPPP/L3/t/<AC_ID>/<file>` for level 3; teams' products keep their path of MAST under `mast/hlsp/`.
    """
    path = mosaic.product_uri.removeprefix(_HLSP).split("/")
    if mosaic.product_uri.startswith(_HLSP) and path[0] in teams:
        return "/".join(["mast", "hlsp", *map(safe_name, path)])
    name = parse_obs_id(mosaic.obs_id)
    if name is None or not name.program:
        raise ProductNotFoundError(f"S3: no key is known for {mosaic.obs_id}", reason="no_key")
    return f"jwst/public/jw{name.program}/L3/t/{name.association}/{safe_name(mosaic.filename)}"


def _check(answer: dict[str, Any], mosaic: Mosaic, span: Span) -> None:
    """Compare an answer with what was located and asked for."""
    what, whole = f"S3: {mosaic.filename}", answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    if _mark(answer) != mark_of(mosaic.identity):
        raise ArchiveUnavailableError(f"{what}: changed since it was located", reason="changed")
    if whole and span != (0, mosaic.size):
        raise ArchiveUnavailableError(f"{what}: the server gives no ranges", reason=NO_RANGES)
    first, last, total = _content_range(answer, whole=whole)
    if total != mosaic.size:
        raise ArchiveUnavailableError(f"{what}: {total} bytes of {mosaic.size} located ones", reason="size_mismatch")
    if int(answer.get("ContentLength", -1)) != span.size:
        raise ArchiveUnavailableError(f"{what}: {span.size} bytes expected, others announced", reason="size_mismatch")
    if (first, last + 1) != span:
        raise ArchiveUnavailableError(f"{what}: another range came than was asked for", reason=NO_RANGES)


def _content_range(answer: dict[str, Any], *, whole: bool) -> tuple[int, int, int]:
    """First and last byte of an answer, and the size of the whole; -1 where it does not say."""
    length = int(answer.get("ContentLength", -1))
    if whole:
        return 0, length - 1, length
    told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.get("ContentRange", ""))
    if told is None:
        return -1, -1, -1
    first, last, total = map(int, told.groups())
    return first, last, total


def _mark(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')
