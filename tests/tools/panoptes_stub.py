"""A loopback stand-in for the Panoptes API: takes what panoptes-cli uploads, and remembers it.

Only the requests that an upload makes are answered; any other is refused, so that the client fails loudly.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Json = dict[str, Any]

SET = {"id": "1", "display_name": "small", "metadata": {}, "links": {"project": "1", "workflows": []}}

PROJECT = {"id": "1", "display_name": "Galaxy Zoo", "links": {}}


class Panoptes(ThreadingHTTPServer):
    """Subjects in the order of their arrival, media by subject, subjects that were linked to the set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.subjects: dict[str, Json] = {}
        self.media: dict[str, list[tuple[str, bytes]]] = {}
        self.linked: list[str] = []
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"subject_sets/1": [SET], "projects/1": [PROJECT], "set_member_subjects": []}
        path = self.path.partition("?")[0].removeprefix("/api/")
        if path in known:
            name = path.partition("/")[0]
            pages = {"page": 1, "page_size": 20, "page_count": 1, "count": len(known[path]), "next_href": None}
            self._answer({name: known[path], "meta": {name: pages}})
        else:
            self._refuse()

    def do_POST(self) -> None:
        given = json.loads(self._body())
        if self.path == "/api/subjects":
            self._answer({"subjects": [self._take(given["subjects"])]}, 201)
        elif self.path == "/api/subject_sets/1/links/subjects":
            with self._server.lock:
                self._server.linked += given["subjects"]
            self._answer({"subject_sets": [SET]})
        else:
            self._refuse()

    def do_PUT(self) -> None:
        place, _, name = self.path.rpartition("/")
        body = self._body()
        if place == "/media":
            with self._server.lock:
                self._server.media[name].append((str(self.headers["Content-Type"]), body))
            self._answer({})
        elif self.path == "/api/subject_sets/1":  # columns that shall be indexed
            self._answer({"subject_sets": [SET]})
        else:
            self._refuse()

    def _take(self, subject: Json) -> Json:
        with self._server.lock:
            name = str(len(self._server.subjects) + 1)
            self._server.subjects[name] = subject
            self._server.media[name] = []
        places = [{kind: f"{self._server.url}/media/{name}"} for kind in subject["locations"]]
        return {**subject, "id": name, "locations": places}

    @property
    def _server(self) -> Panoptes:
        return cast("Panoptes", self.server)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _refuse(self) -> None:
        self._server.refused.append(f"{self.command} {self.path}")
        self._answer({"errors": [{"message": f"not answered here: {self.command} {self.path}"}]}, 404)

    def _answer(self, reply: Json, status: int = 200) -> None:
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.api+json; version=1")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", "same")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def panoptes() -> Iterator[Panoptes]:
    """Serve while the block runs."""
    with Panoptes() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
