"""HTTP as our archives use it: time limits, no hidden retries, a checked status, redirects that stay on the list.

One session a client. The one retry layer is above (Prefect's), which reads `error.retryable`. Messages carry a status
and our own words, never an address with its query or a header: those may hold secrets.
"""

import ipaddress
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.transport.header_timeout import pools_in_time
from gzjwst_core.transport.redact import guard_logs
from gzjwst_core.transport.retry_after import PATIENCE

__all__ = [
    "PatientAdapter",
    "check_address",
    "check_status",
    "host_of",
    "is_loopback",
    "mount",
    "network_error",
    "read_bounded",
    "send",
]

_MAX_REDIRECTS = 5
_ALLOWED_DOMAINS = ("stsci.edu", "stpubdata.s3.amazonaws.com", "stpubdata.s3.us-east-1.amazonaws.com")
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {408, 425, 429, 503}
_ANOTHER_VERSION = {412, 416}  # answers to a condition or a range alone
_PIECE = 64 << 10


class PatientAdapter(HTTPAdapter):
    """Transport with limits on connecting and on each read, without retries; all that leaves a session passes here.

    A host that asked us to come back later is not asked before that; an address that is not allowed, first or by a
    redirect, is never asked, whichever client follows it.

    Parameters
    ----------
    connect_s, read_s
        Limits in seconds. The read limit is on the wait for the next bytes, not on the whole body; the head of an
        answer must come within both together.
    """

    def __init__(self, connect_s: float, read_s: float) -> None:
        self._limits = (connect_s, read_s)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections, whose heads must come in time (`deadline`)."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = pools_in_time(sum(self._limits))

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make connections through a proxy, likewise."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = pools_in_time(sum(self._limits))
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send with our limits, whatever the client library asked for.

        Raises
        ------
        ArchiveRefusedError
            The address (`bad_address`) or the one it redirects to (`redirected_away`) is not allowed.
        """
        url = request.url or ""
        check_address(url)
        host = host_of(url)
        PATIENCE.wait(host)
        response = super().send(request, *args, **{**options, "timeout": self._limits})
        if response.status_code in _BUSY:
            PATIENCE.note(host, response.headers.get("Retry-After"))
        if response.status_code in _REDIRECTS:
            _drop_body(response)
            _check_hop(url, response.headers.get("Location", ""))
        return response


def mount(session: requests.Session, adapter: HTTPAdapter) -> None:
    """Let an adapter carry everything that a session sends, and no secret of it reach a log."""
    guard_logs()
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)


def send(session: requests.Session, method: str, url: str, headers: dict[str, str], what: str) -> requests.Response:
    """Send a request and follow its redirects while they stay on the list; the body is left to be streamed.

    Parameters
    ----------
    session
        With a `PatientAdapter`.
    method, url, headers
        The request; an `Authorization` header goes to the first host only.
    what
        The product, for messages.

    Raises
    ------
    ArchiveUnavailableError
        The network failed.
    ArchiveError
        The status says no (`check_status`), or the address or a redirect is not allowed.
    """
    check_address(url)
    home, seen = host_of(url), {url}
    for _ in range(_MAX_REDIRECTS + 1):
        response = _send_once(session, method, url, headers, what)
        if response.status_code not in _REDIRECTS:
            check_status(response, what)
            return response
        url = urljoin(url, response.headers.get("Location", ""))
        if url in seen:
            raise ArchiveRefusedError(f"{what}: redirects lead in a circle", reason="redirected_away")
        seen.add(url)
        if host_of(url) != home:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    raise ArchiveRefusedError(f"{what}: more than {_MAX_REDIRECTS} redirects", reason="redirected_away")


def check_status(response: requests.Response, what: str) -> None:
    """Turn a status that is no success into its error, and let go of the connection.

    Raises
    ------
    ProductNotFoundError
        404, 410.
    ArchiveRefusedError
        401, 403 (`not_public`) and other requests that will never be answered.
    ArchiveUnavailableError
        408, 425, 429 and 5xx; 412 and 416 (`changed`).
    """
    error = _status_error(response.status_code, what)
    if error is not None:
        response.close()
        raise error


def network_error(error: Exception, what: str, *, reason: str | None = None) -> ArchiveUnavailableError:
    """Put a client library's network error in our tree; only its kind is told, for its text may hold an address."""
    slow = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    said = "the connection failed"
    if isinstance(error, slow):
        said, reason = "no answer within the time limit", None
    elif isinstance(error, requests.JSONDecodeError):
        said = "the answer is not JSON"
    return ArchiveUnavailableError(f"{what}: {said} ({type(error).__name__})", reason=reason)


def read_bounded(response: requests.Response, limit: int, what: str) -> bytes:
    """Read a whole body that must be small, decoded, holding no more than its limit.

    Raises
    ------
    ArchiveUnavailableError
        It is longer (`bad_answer`), or the network failed.
    """
    data = bytearray()
    try:
        while piece := response.raw.read1(_PIECE, decode_content=True):
            data += piece
            if len(data) > limit:
                raise ArchiveUnavailableError(f"{what}: an answer of more than {limit} bytes", reason="bad_answer")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise network_error(error, what) from None
    return bytes(data)


def check_address(url: str) -> None:
    """Refuse an address that is neither https nor plain http on this machine.

    Raises
    ------
    ArchiveRefusedError
        Reason `bad_address`.
    """
    scheme, host = _scheme_and_host(url)
    if not host or not (scheme == "https" or (scheme == "http" and is_loopback(host))):
        said = f"{scheme}://{host}"[:100]
        raise ArchiveRefusedError(f"{said!r}: only https is asked (http on this machine)", reason="bad_address")


def host_of(url: str) -> str:
    """Host and port of an address that can be read, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def is_loopback(host: str) -> bool:
    """Whether a host's name or number is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _send_once(
    session: requests.Session, method: str, url: str, headers: dict[str, str], what: str
) -> requests.Response:
    # with a header of our own, the client must not put one of its .netrc in its place
    auth = _as_it_is if "Authorization" in headers else None
    try:
        return session.request(method, url, headers=headers, auth=auth, stream=True, allow_redirects=False)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        raise ArchiveRefusedError(f"{what}: its address cannot be asked", reason="bad_address") from None
    except requests.RequestException as error:
        raise network_error(error, what) from None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _status_error(status: int, what: str) -> ArchiveError | None:
    said = f"{what}: HTTP {status}"
    if 200 <= status < 300:
        return None
    if status in {404, 410}:
        return ProductNotFoundError(said)
    if status in {401, 403}:
        return ArchiveRefusedError(f"{said}: not public, or the token does not allow it", reason="not_public")
    if status in _ANOTHER_VERSION:
        return ArchiveUnavailableError(f"{said}: changed since it was located", reason="changed")
    if status in _BUSY or status >= 500:
        return ArchiveUnavailableError(said)
    return ArchiveRefusedError(said)


def _drop_body(response: requests.Response) -> None:
    """Leave a redirect's body unread: the client would read it whole, however long."""
    response.close()
    response._content = b""  # noqa: SLF001 - where requests keeps a body that was read
    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001


def _check_hop(url: str, location: str) -> None:
    """Refuse a redirect to another host, unless it is on the list; and any away from https, or from this machine."""
    home = _scheme_and_host(url)[1]
    scheme, host = _scheme_and_host(location, url)
    trusted = scheme == "https" and (host == home or _listed(host))
    if not trusted and not (scheme in {"http", "https"} and is_loopback(home) and is_loopback(host)):
        said = f"{home}: redirects to {f'{scheme}://{host}'[:100]!r}, off the list"
        raise ArchiveRefusedError(said, reason="redirected_away")


def _scheme_and_host(url: str, base: str = "") -> tuple[str, str]:
    """Scheme and host of an address, both empty where it cannot be read."""
    try:
        parts = urlsplit(urljoin(base, url))
        host = parts.hostname
    except ValueError:
        return "", ""
    return parts.scheme, host or ""


def _listed(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in _ALLOWED_DOMAINS)
