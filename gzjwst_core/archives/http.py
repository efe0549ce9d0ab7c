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

__all__ = ["PatientAdapter", "check_status", "mount", "network_error", "send"]

_MAX_REDIRECTS = 5
_ALLOWED_DOMAINS = ("stsci.edu", "stpubdata.s3.amazonaws.com", "stpubdata.s3.us-east-1.amazonaws.com")
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {408, 425, 429}


class PatientAdapter(HTTPAdapter):
    """Transport with limits on connecting and on each read, and without retries.

    Parameters
    ----------
    connect_s, read_s
        Limits in seconds. The read limit is on the wait for the next bytes, not on the whole body.
    """

    def __init__(self, connect_s: float, read_s: float) -> None:
        self._limits = (connect_s, read_s)
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send with our limits, whatever the client library asked for."""
        return super().send(request, *args, **{**options, "timeout": self._limits})


def mount(session: requests.Session, adapter: HTTPAdapter) -> None:
    """Let an adapter carry everything that a session sends."""
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
        The status says no (`check_status`), or a redirect leads away.
    """
    home = urlsplit(url)
    for _ in range(_MAX_REDIRECTS + 1):
        try:
            response = session.request(method, url, headers=headers, stream=True, allow_redirects=False)
        except requests.RequestException as error:
            raise network_error(error, what) from None
        if response.status_code not in _REDIRECTS:
            check_status(response, what)
            return response
        url = _next(response, url, home.hostname or "", what)
        if urlsplit(url).netloc != home.netloc:
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
        408, 425, 429 and 5xx.
    """
    error = _status_error(response.status_code, what)
    if error is not None:
        response.close()
        raise error


def network_error(error: Exception, what: str) -> ArchiveUnavailableError:
    """Put a client library's network error in our tree; only its kind is told."""
    slow = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    said = "no answer within the time limit" if isinstance(error, slow) else "the connection failed"
    if isinstance(error, requests.JSONDecodeError):
        said = "the answer is not JSON"
    return ArchiveUnavailableError(f"{what}: {said} ({type(error).__name__})")


def _status_error(status: int, what: str) -> ArchiveError | None:
    said = f"{what}: HTTP {status}"
    if 200 <= status < 300:
        return None
    if status in {404, 410}:
        return ProductNotFoundError(said)
    if status in {401, 403}:
        return ArchiveRefusedError(f"{said}: not public, or the token does not allow it", reason="not_public")
    if status in _BUSY or status >= 500:
        return ArchiveUnavailableError(said)
    return ArchiveRefusedError(said)


def _next(response: requests.Response, url: str, home: str, what: str) -> str:
    target = urljoin(url, response.headers.get("Location", ""))
    response.close()
    parts = urlsplit(target)
    host = parts.hostname or ""
    trusted = parts.scheme == "https" and (host == home or _listed(host))
    if trusted or (parts.scheme in {"http", "https"} and _is_loopback(home) and _is_loopback(host)):
        return target
    raise ArchiveRefusedError(f"{what}: redirected to {parts.scheme}://{host}, off the list", reason="redirected_away")


def _listed(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in _ALLOWED_DOMAINS)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
