"""MAST as an archive of files: HEAD and GET of its download service, with our own session.

astroquery's downloader accepts broken transfers, so it lists only. The token comes from the environment alone and goes
to MAST's own host alone. What arrives is checked by `fetch`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import requests
import urllib3

from gzjwst_core.archives.base import Archive, ByteStream, Located, identity_of
from gzjwst_core.archives.http import PatientAdapter, mount, network_error, send
from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions

__all__ = ["MastDownload"]

_SERVER = "https://mast.stsci.edu"
_PATH = "/api/v0.1/Download/file?uri="


class MastDownload(Archive):
    """MAST's download service.

    Parameters
    ----------
    options
        Time limits.
    environment
        `GZJWST_MAST_URL` replaces the server, `MAST_API_TOKEN` opens what is not public yet; the process's own
        environment by default.
    """

    name = "mast"

    def __init__(self, options: ArchiveOptions, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._server = environment.get("GZJWST_MAST_URL", _SERVER).rstrip("/")
        self._token = environment.get("MAST_API_TOKEN", "")
        self._limits = (options.connect_timeout_s, options.read_timeout_s)

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:  # noqa: ARG002  # a HEAD is always cheap
        """Ask for the head of the product (`Archive.find`); its size must be the listed one."""
        with self._session() as session:
            response = send(session, "HEAD", self._url(mosaic), self._headers(), f"MAST: {mosaic.filename}")
            response.close()
        size = _length(response) or mosaic.size
        if mosaic.size and size != mosaic.size:
            said = f"MAST: {mosaic.filename}: listed with {mosaic.size} bytes, offered with {size}"
            raise ArchiveUnavailableError(said, reason="size_mismatch")
        uri = mosaic.product_uri
        return Located(archive=self.name, uri=uri, size=size, identity=identity_of(uri, size, _etag(response)))

    @contextmanager
    def open(self, mosaic: Mosaic) -> Iterator[ByteStream]:
        """Open the product's body; its ETag, where MAST gives one, must still be the located one's."""
        what = f"MAST: {mosaic.filename}"
        with self._session() as session, send(session, "GET", self._url(mosaic), self._headers(), what) as response:
            located = mosaic.identity.rpartition("|")[2]
            if located and _etag(response) not in {"", located}:
                raise ArchiveUnavailableError(f"{what}: changed since it was located", reason="changed")
            yield _Body(response, what, gzipped=mosaic.filename.endswith(".gz"))

    def _session(self) -> requests.Session:
        session = requests.Session()
        mount(session, PatientAdapter(*self._limits))
        return session

    def _url(self, mosaic: Mosaic) -> str:
        return f"{self._server}{_PATH}{quote(mosaic.product_uri, safe=':/')}"

    def _headers(self) -> dict[str, str]:
        token = {"Authorization": f"token {self._token}"} if self._token else {}
        return {"Accept-Encoding": "identity", **token}


class _Body:
    """The body of a response, whose errors are ours.

    A server that encodes although we asked for `identity` is decoded, but never a `.gz`: there the encoding says what
    the file is.
    """

    def __init__(self, response: requests.Response, what: str, *, gzipped: bool) -> None:
        self._response = response
        self._what = what
        self._decode = not gzipped

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._response.raw.read(size, decode_content=self._decode))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise network_error(error, self._what) from None


def _length(response: requests.Response) -> int:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _etag(response: requests.Response) -> str:
    return response.headers.get("ETag", "").strip('"')
