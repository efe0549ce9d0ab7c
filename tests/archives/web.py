"""A web server of a few lines for what the loopback archive does not play: it tells which headers came."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import NamedTuple


class Asked(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What is sent; a length is stated unless the headers state one (empty = none). A body in pieces needs that."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | Iterable[bytes] = b""


class Web(NamedTuple):
    """A running server."""

    url: str
    asked: list[Asked]


def held_back(body: bytes, first: int, let_go: Event) -> Iterator[bytes]:
    """Pieces of a body whose rest comes when it is let go, or far too late."""
    yield body[:first]
    let_go.wait(10)
    yield body[first:]


@contextmanager
def web(answer: Answer | Callable[[Asked], Answer]) -> Iterator[Web]:
    """Serve on loopback: always the same, or what a function makes of the request."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Asked(self.command, self.path, dict(self.headers.items()))
            asked.append(request)
            said = answer if isinstance(answer, Answer) else answer(request)
            self.send_response(said.status)
            pieces = [said.body] if isinstance(said.body, bytes) else said.body
            length = {"Content-Length": str(len(said.body))} if isinstance(said.body, bytes) else {}
            for name, value in {**length, **said.headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                for piece in pieces:
                    self.wfile.write(piece)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # name given by http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Web(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
