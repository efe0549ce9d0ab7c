"""From a request to the reply: the addresses of MAST, of the bucket and of the archive's own two pages.

`LoopbackArchive` holds what is served, the faults to play and the log of what was asked. It speaks in values and so can
be asked without a socket; `server` puts it on one.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from gzjwst_core.sky.faults import Fault, FaultBook
from gzjwst_core.sky.listing import EXCLUSIVE, Listing
from gzjwst_core.sky.mast_columns import columns_config
from gzjwst_core.sky.mast_protocol import answer_query, cloud_paths
from gzjwst_core.sky.replies import (
    EMPTY,
    Content,
    FileContent,
    MemoryContent,
    Reply,
    content_reply,
    json_reply,
    whole,
)
from gzjwst_core.sky.s3_protocol import Bucket, list_objects, object_reply, refusal

__all__ = ["LogEntry", "LoopbackArchive", "Request"]

_LOG_LENGTH = 100_000
_READ_ONLY = {"GET", "HEAD"}


@dataclass(frozen=True)
class Request:
    """One HTTP request: method, target as sent, headers (names in lower case), body; and which version it meets."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    version: Callable[[Content], Content] = lambda content: content

    @property
    def path(self) -> str:
        """Target without its query, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters, the last of each name."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """Form parameters of the body."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


@dataclass
class LogEntry:
    """One request that was answered; `body_bytes` counts up while the body is handed to the socket."""

    method: str
    path: str
    """Target as sent, with its query."""
    route: str
    status: int
    range: str = ""
    fault: str = ""
    body_bytes: int = 0


class LoopbackArchive:
    """MAST's portal, MAST's downloads and the public bucket, over one sky's folder.

    Parameters
    ----------
    folder
        The sky: `bucket/<name>/…` is served as buckets; the listing's files lie anywhere below.
    listing
        What MAST lists of it.
    """

    def __init__(self, folder: Path, listing: Listing) -> None:
        self.folder = folder
        self.listing = listing
        self.faults = FaultBook()
        self.log: deque[LogEntry] = deque(maxlen=_LOG_LENGTH)

    def answer(self, request: Request) -> tuple[Reply, LogEntry | None]:
        """Answer one request, with the fault that is due for it.

        Returns
        -------
        Reply, LogEntry or None
            What to send, and the entry in which to count the bytes; None for the archive's own pages.
        """
        if request.path in {"/_log", "/_faults"}:
            return self._own_page(request), None
        route, respond = self._route(request)
        asked_range = request.headers.get("range", "")
        fault = self.faults.take(route, request.method, request.target, ranged=bool(asked_range))
        reply = _spoiled(fault, respond, request)
        kind = fault.do if fault else ""
        entry = LogEntry(request.method, request.target, route, reply.status, asked_range, kind)
        self.log.append(entry)
        return reply, entry

    def _route(self, request: Request) -> tuple[str, Callable[[Request], Reply]]:
        """Return the name of a route and what answers it."""
        portal: dict[tuple[str, str], tuple[str, Callable[[Request], Reply]]] = {
            ("POST", "/portal/Mashup/Mashup.asmx/columnsconfig"): ("columnsconfig", _columns_config),
            ("POST", "/api/v0/invoke"): ("invoke", self._invoke),
            ("GET", "/api/v0.1/path_lookup"): ("path_lookup", self._path_lookup),
            ("GET", "/api/v0.1/Download/file"): ("download", self._download),
            ("HEAD", "/api/v0.1/Download/file"): ("download", self._download),
        }
        known = portal.get((request.method, request.path.rstrip("/")))
        if known:
            return known
        return ("s3_list", self._s3) if "list-type" in request.query else ("s3_object", self._s3)

    def _own_page(self, request: Request) -> Reply:
        if request.method == "DELETE":
            self.log.clear() if request.path == "/_log" else self.faults.clear()
        elif request.method == "POST" and request.path == "/_faults":
            try:
                self.faults.add(request.body)
            except ValidationError as error:
                return json_reply({"error": str(error)}, 400)
        if request.path == "/_log":
            return json_reply([asdict(entry) for entry in list(self.log)])
        return json_reply([fault.model_dump() for fault in self.faults.pending()])

    def _invoke(self, request: Request) -> Reply:
        try:
            asked: Any = json.loads(request.form["request"])
        except (KeyError, ValueError):
            return json_reply({"error": "the form field `request` must hold JSON"}, 400)
        if not isinstance(asked, dict):
            return json_reply({"error": "`request` must be a JSON object"}, 400)
        return json_reply(answer_query(self.listing, asked))

    def _path_lookup(self, request: Request) -> Reply:
        uris = parse_qs(urlsplit(request.target).query).get("uri", [])
        return json_reply(cloud_paths(self.listing, uris))

    def _download(self, request: Request) -> Reply:
        """Hand out a product: 404 where it is not listed or lost, 401 where it is not public."""
        uri = request.query.get("uri", "")
        row = self.listing.by_uri.get(uri)
        if row is not None and row["dataRights"] == EXCLUSIVE:
            return _refused(401, uri)
        content = self._content(uri) if row is not None else None
        if content is None:
            return _refused(404, uri)
        return content_reply(
            request.version(content),
            request.headers,
            content_type="application/octet-stream",
            refuse=lambda status: _refused(status, uri),
        )

    def _content(self, uri: str) -> Content | None:
        """Return what lies behind a listed URI: a mosaic's file, or a stand-in of the listed size."""
        size = int(self.listing.by_uri[uri]["size"] or 0)
        path = self.listing.files.get(uri, "")
        if path is None:
            return None
        if path == "":
            return MemoryContent(_stand_in(uri, size))
        if not (self.folder / path).is_file():
            return None
        inflated = path.endswith(".gz") and not uri.endswith(".gz")
        return FileContent(self.folder / path, size if inflated else None)

    def _s3(self, request: Request) -> Reply:
        name, _, key = request.path.lstrip("/").partition("/")
        bucket = Bucket(name, self.folder / "bucket" / name)
        if request.method not in _READ_ONLY or not name:
            return refusal("AccessDenied", request.path)
        if name.startswith(".") or not bucket.folder.is_dir():
            return refusal("NoSuchBucket", name)
        if key:
            return object_reply(bucket, key, request.headers, request.version)
        return list_objects(bucket, request.query) if request.method == "GET" else whole(EMPTY, "application/xml")


def _spoiled(fault: Fault | None, respond: Callable[[Request], Reply], request: Request) -> Reply:
    if fault is None:
        return respond(request)
    return fault.spoil(respond(replace(request, headers=fault.heard(request.headers), version=fault.version)))


def _stand_in(uri: str, size: int) -> bytes:
    """Make up the bytes of a file that no run needs: its own address, over and over."""
    line = uri.encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


def _columns_config(request: Request) -> Reply:
    return json_reply(columns_config(request.form.get("colConfigId", "")))


def _refused(status: int, uri: str) -> Reply:
    words = {401: "not authorized", 404: "not found", 412: "precondition failed", 416: "range not satisfiable"}
    return json_reply({"message": f"{words[status]}: {uri}"}, status)
