"""The client under `s3`: s3fs and its loop, anonymous; it asks once, follows nobody, and its errors are ours.

boto's, s3fs' and aiohttp's own retries are off: the one retry layer is above. A server that asks for patience is given
it. What is asked, and whether an answer is the right one, is in `s3`. One client serves a whole process: connections
are used again, and closed at its end. This module is imported with the first request: s3fs is a heavy import, and a run
that has all it needs never pays for it.
"""

import asyncio
import atexit
import logging
import os
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Lock
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession  # type: ignore[import-untyped]  # no stubs
from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # no stubs
from botocore.exceptions import (  # type: ignore[import-untyped]  # no stubs
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # no stubs
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.concurrent_ranges import AT_ONCE
from gzjwst_core.transport.redact import guard_logs
from gzjwst_core.transport.retry_after import PATIENCE

__all__ = ["Body", "Client", "client_of"]

_log = logging.getLogger(__name__)
T = TypeVar("T")

_SESSION = AioSession()
"""Holds boto's description of S3, which takes long to read; not a connection, nor anything of an endpoint."""
_BUFFER = 256 << 10
"""Bytes that wait for the reader of a connection, about; aiohttp's own 64 KiB mean many small reads on a fast line."""
_BROKEN = (BotoCoreError, ClientError, ResponseParserError, aiohttp.ClientError, OSError)
_CUT_OFF = (aiohttp.ClientPayloadError, IncompleteReadError, ResponseStreamingError)
_WENT_WRONG = (HTTPClientError, BotoConnectionError, ResponseParserError, aiohttp.ClientError, *_CUT_OFF)


_CLOSING_S = 2.0
_clients: "dict[tuple[object, ...], Client]" = {}


def client_of(options: ArchiveOptions) -> "Client":
    """Return this process' client for some settings; whoever has the same ones gets the same client.

    Parameters
    ----------
    options
        Region, endpoint, time limits and number of transfers. What boto reads from the environment counts too.

    Notes
    -----
    A forked process has clients of its own: connections and loop are its parent's.
    """
    limits = (options.connect_timeout_s, options.read_timeout_s, options.transfers)
    key = (os.getpid(), options.s3_endpoint, options.s3_region, *limits, *_environment())
    return _clients.setdefault(key, Client(options))  # one atomic step, and nothing is connected yet


def _environment() -> list[tuple[str, str]]:
    """Return what boto and aiohttp read from the environment."""
    names = (name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy"))
    return sorted((name, os.environ[name]) for name in names)


@atexit.register
def _close_all() -> None:
    """Close this process' clients, while their loop still runs."""
    for key, client in _clients.items():
        if key[0] == os.getpid():
            client.close()


class Client:
    """A bucket's client; its coroutines run on s3fs' loop, in a thread of its own, for any number of threads.

    Parameters
    ----------
    options
        Bucket, region, endpoint and time limits. Without an endpoint, boto's own setting holds: `AWS_ENDPOINT_URL_S3`.
    """

    def __init__(self, options: ArchiveOptions) -> None:
        self._options = options
        self._limit_s = options.connect_timeout_s + options.read_timeout_s
        self._fs: Any = None
        self._lock = Lock()

    def wait(self, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine on the loop and wait for what it returns."""
        result: T = sync(self._connected("S3").loop, call, *args)
        return result

    def soon(self, call: Callable[[], None]) -> None:
        """Have something called on the loop, and do not wait for it."""
        self._connected("S3").loop.call_soon_threadsafe(call)

    async def ask(self, method: str, bucket: str, key: str, what: str, **more: str) -> dict[str, Any]:
        """Send one request, and wait for the head of its answer.

        Parameters
        ----------
        method
            boto's name of the operation.
        bucket, key
            The object.
        what
            The mosaic, for messages.
        more
            Further parameters of the operation.

        Returns
        -------
        dict
            boto's parsed answer; a body in it is still to be read.

        Raises
        ------
        ArchiveError
            See `_refuse`.
        """
        fs = self._connected(what)
        host = urlsplit(fs.s3.meta.endpoint_url).netloc.rpartition("@")[2]
        await _patiently(host)
        try:
            async with asyncio.timeout(self._limit_s):
                answer: dict[str, Any] = await fs._call_s3(method, Bucket=bucket, Key=key, **more)  # noqa: SLF001 - so fsspec names its coroutines
        except _BROKEN as error:
            _refuse(error, what, host)
        return answer

    def body(self, answer: dict[str, Any], size: int, what: str) -> "Body":
        """Return the body of an answer to `get_object`, of which `size` bytes are due."""
        return Body(answer["Body"], size, what)

    def close(self) -> None:
        """Close its connections; the next request makes new ones."""
        with self._lock:
            fs, self._fs = self._fs, None
        if fs is not None:
            with suppress(FSTimeoutError):
                sync(fs.loop, fs._s3creator.__aexit__, None, None, None, timeout=_CLOSING_S)  # noqa: SLF001 - s3fs has no other

    def _connected(self, what: str) -> Any:
        with self._lock:
            if self._fs is None:
                self._fs = _connect(self._options, what)
            return self._fs


class Body:
    """The bytes of one answer, in order.

    Parameters
    ----------
    stream
        aiobotocore's.
    size
        Bytes that were promised.
    what
        The mosaic, for messages.
    """

    def __init__(self, stream: Any, size: int, what: str) -> None:
        self._stream = stream
        self._left = size
        self._what = what

    async def read(self, size: int) -> bytes:
        """Return what is there, at most `size` bytes, as soon as there is any; none at the end.

        Raises
        ------
        ArchiveUnavailableError
            It ended early (`cut_off`), or nothing came within the time limit.
        """
        try:
            block: bytes = await self._stream.read(min(size, self._left)) if self._left else b""
        except _CUT_OFF:
            self._cut_off()
        except _BROKEN as error:
            raise _network_error(error, self._what) from None
        self._left -= len(block)
        if self._left and not block:
            self._cut_off()
        return block

    async def filled(self, size: int, came: Callable[[int], None]) -> bytes:
        """Return `size` bytes, which must still be there; `came` is told how many, as they come."""
        parts: list[bytes] = []
        while size:
            parts.append(await self.read(size))
            came(len(parts[-1]))
            size -= len(parts[-1])
        return b"".join(parts)

    async def close(self) -> None:
        """Let go of the connection; it is used again only where the body came to its end."""
        self._stream.close()

    def _cut_off(self) -> NoReturn:
        said = f"S3: {self._what}: the connection broke off, {self._left} bytes before the end"
        raise ArchiveUnavailableError(said, reason="cut_off") from None


async def _patiently(host: str) -> None:
    """As `PATIENCE.wait`, for a loop that has other things to do meanwhile."""
    while (left := PATIENCE.left_s(host)) > 0:
        _log.info("%s is busy and asks us to wait: %.0f s", host, left)
        await asyncio.sleep(left)


def _connect(options: ArchiveOptions, what: str) -> Any:
    guard_logs()
    once = {"total_max_attempts": 1, "mode": "standard"}
    fs = _Files(
        anon=True,
        session=_SESSION,
        endpoint_url=options.s3_endpoint or None,
        client_kwargs={"region_name": options.s3_region},
        config_kwargs={
            "retries": once,
            "connect_timeout": options.connect_timeout_s,
            "read_timeout": options.read_timeout_s,
            "max_pool_connections": AT_ONCE * options.transfers,
            "http_session_cls": _Session,
            "response_checksum_validation": "when_required",  # of whole objects, which is not what a range is
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    fs.retries = 1
    try:
        fs.connect()
    except (BotoCoreError, ValueError) as error:
        said = f"S3: {what}: the bucket's settings cannot be used ({type(error).__name__}): see archives.s3_region"
        raise ArchiveRefusedError(
            f"{said} and s3_endpoint, and AWS_* in the environment", reason="bad_settings"
        ) from None
    return fs


class _Files(S3FileSystem):  # type: ignore[misc]  # no stubs
    """s3fs, but for its way of closing: it gives up after 0.1 s, and a fork would close its parent's connections."""

    @staticmethod
    def close_session(loop: asyncio.AbstractEventLoop, s3: Any) -> None:
        """Do nothing: `Client.close` does."""


class _Session(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's HTTP session, each request of which is sent exactly once, to where it was meant to go."""

    async def _get_session(self, proxy_url: str | None) -> "_Once":
        return _Once(await super()._get_session(proxy_url))


class _Once:
    """An aiohttp session that neither asks again nor follows a redirect."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, *args: Any, **options: Any) -> aiohttp.ClientResponse:
        response = await self._session.request(
            *args, **options, allow_redirects=False, read_bufsize=_BUFFER, middlewares=(_only_once,)
        )
        if 300 <= response.status < 400:
            # boto would ask the bucket where to go, and go there
            region = re.sub(r"[^a-z0-9-]", "", response.headers.get("x-amz-bucket-region", ""))[:40]
            response.close()
            raise _MovedError(f"HTTP {response.status}" + (f", the bucket is in {region}" if region else ""))
        return response


class _MovedError(Exception):
    """The bucket is elsewhere."""


async def _only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # of these two aiohttp would send a GET or HEAD again by itself
        raise aiohttp.ClientConnectionError(type(error).__name__) from error


def _refuse(error: Exception, what: str, host: str) -> NoReturn:
    """Put whatever went wrong in our tree; nothing that the other side said is repeated but its status and code."""
    moved = getattr(error, "kwargs", {}).get("error")
    if isinstance(moved, _MovedError):
        said = f"S3: {what}: redirected ({moved}): set archives.s3_region and s3_endpoint to where the bucket is"
        raise ArchiveRefusedError(said, reason="redirected_away") from None
    status, code, headers = _answer(error)
    if not status:
        raise _network_error(error, what) from None
    if status in {429, 503} or status >= 500:
        PATIENCE.note(host, headers.get("retry-after"))
    raise _status_error(status, f"S3: {what}: HTTP {status}{code}") from None


def _status_error(status: int, said: str) -> ArchiveError:
    if status == 404:
        return ProductNotFoundError(f"{said}: no such object")
    if status == 403:
        # to anonymous readers the bucket says this of objects that are not there, too
        return ProductNotFoundError(f"{said}: no such object, or not public")
    if status in {412, 416}:
        return ArchiveUnavailableError(f"{said}: changed since it was located", reason="changed")
    if 300 <= status < 500 and status not in {408, 429}:
        return ArchiveRefusedError(said)
    return ArchiveUnavailableError(said)


def _network_error(error: Exception, what: str) -> ArchiveError:
    slow = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    said = "no answer within the time limit" if slow else "the connection failed"
    if isinstance(error, BotoCoreError) and not isinstance(error, _WENT_WRONG):
        return ArchiveRefusedError(f"S3: {what}: cannot be asked for ({type(error).__name__})", reason="bad_settings")
    return ArchiveUnavailableError(f"S3: {what}: {said} ({type(error).__name__})")


def _answer(error: Exception) -> tuple[int, str, dict[str, str]]:
    """HTTP status, S3's code for it, and headers behind an error; 0 if there was no answer."""
    for cause in (error, error.__cause__):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            meta = response.get("ResponseMetadata", {})
            code = re.sub(r"[^A-Za-z]", "", str(response.get("Error", {}).get("Code", "")))[:40]
            return int(meta.get("HTTPStatusCode", 0)), f" {code}" if code else "", meta.get("HTTPHeaders", {})
    return 0, "", {}
