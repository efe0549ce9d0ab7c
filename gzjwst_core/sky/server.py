"""The loopback archive on a socket: a threaded HTTP/1.1 server on 127.0.0.1.

It reads requests, sends replies in chunks, counts the bytes and breaks off where a fault says so. What the answers are
is in `routes`; the process around it in `serving`.
"""

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gzjwst_core.sky.replies import Reply
from gzjwst_core.sky.routes import LogEntry, LoopbackArchive, Request

__all__ = ["LoopbackServer", "running"]

_log = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_MAX_BODY = 4 * 1024 * 1024
_NO_HTTP = b"\x15\x03\x01\x00\x02\x02\x46"  # what a TLS server says to who does not speak TLS
_RESET = struct.pack("ii", 1, 0)  # linger on, for no time: close() sends RST


class LoopbackServer(ThreadingHTTPServer):
    """Server of one archive.

    Parameters
    ----------
    archive
        What answers.
    port
        0 = any free one.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, archive: LoopbackArchive, port: int = 0) -> None:
        self.archive = archive
        super().__init__((_HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Address without a trailing slash."""
        return f"http://{_HOST}:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # socketserver's signature
        """Log a connection that failed: clients hang up when they like."""
        _log.debug("connection from %s failed", client_address, exc_info=True)


@contextmanager
def running(archive: LoopbackArchive) -> Iterator[str]:
    """Serve an archive from a thread of this process.

    Parameters
    ----------
    archive
        What answers.

    Yields
    ------
    str
        The server's address.
    """
    server = LoopbackServer(archive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version = "gzjwst-sky"
    sys_version = ""
    disable_nagle_algorithm = True  # head and body are two writes: Nagle would hold the second back for 40 ms

    def _respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # an upload: refused by its route, never read
            length = 0
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        reply, entry = self.server.archive.answer(request)
        try:
            self._send(reply, entry)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815  # names that http.server looks for

    def _send(self, reply: Reply, entry: LogEntry | None) -> None:
        if reply.pause_at == -1:
            time.sleep(reply.pause_seconds)
        if reply.cut_at == -1:
            return self._cut(reset=reply.reset)
        if reply.no_http:
            self.wfile.write(_NO_HTTP)
            return self._cut(reset=False)
        self._send_head(reply)
        if self.command != "HEAD":
            self._send_body(reply, entry)
        if reply.cut_at is not None:
            self._cut(reset=reply.reset)
        return None

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in self._headers(reply).items():
            self._wait_in_head(reply.head_pause_seconds)
            self.send_header(name, value)
        self._wait_in_head(reply.head_pause_seconds)
        self.end_headers()

    def _headers(self, reply: Reply) -> dict[str, str]:
        if reply.chunked:
            return {**reply.headers, "Transfer-Encoding": "chunked"}
        if "content-length" in {name.lower() for name in reply.headers} or reply.status in {204, 304}:
            return dict(reply.headers)
        # without a length, the end of the body is the end of the connection
        return {**reply.headers, "Connection": "close"}

    def _wait_in_head(self, seconds: float) -> None:
        if seconds:
            self.flush_headers()
            time.sleep(seconds)

    def _send_body(self, reply: Reply, entry: LogEntry | None) -> None:
        for step in reply.body():
            if isinstance(step, float):
                time.sleep(step)
                continue
            if entry is not None:
                entry.body_bytes += len(step)  # before the write: who has the last byte may read the log
            self.wfile.write(b"%x\r\n%b\r\n" % (len(step), step) if reply.chunked else step)
        if reply.chunked and reply.cut_at is None:
            self.wfile.write(b"0\r\n\r\n")

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            # shutdown() would send FIN first: give up the descriptor instead
            self.rfile.close()
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # name given by http.server
        """Send http.server's lines to the log."""
        _log.debug(format, *args)
