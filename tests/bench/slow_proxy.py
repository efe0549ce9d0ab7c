"""A loopback proxy before an HTTP server that makes it far away: a delay for each request, a limit for each connection.

It runs in a process of its own, one thread for each direction of a connection: they wait in system calls, so that the
proxy takes as little as it can of the processors on which the others are measured. It counts requests and bytes.
"""

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

__all__ = ["Counts", "SlowProxy", "slow_proxy"]

_CHUNK = 256 << 10
_END_OF_HEAD = b"\r\n\r\n"


class Counts(NamedTuple):
    """What went through."""

    connections: int
    requests: int
    asked_bytes: int
    """From the client, heads of requests."""
    answered_bytes: int
    """From the server, heads of answers included."""


class SlowProxy(NamedTuple):
    """A proxy that runs."""

    url: str
    counters: Any
    """Shared with the process that counts."""

    def counts(self) -> Counts:
        """Return what went through since the beginning."""
        return Counts(*self.counters)

    def since(self, before: Counts) -> Counts:
        """Return what went through since some counts."""
        return Counts(*(now - then for now, then in zip(self.counts(), before, strict=True)))


@contextmanager
def slow_proxy(port: int, *, latency_s: float, mb_s: float) -> Iterator[SlowProxy]:
    """Run a proxy before a server of this machine.

    Parameters
    ----------
    port
        Of the server.
    latency_s
        Each request waits so long before it is passed on.
    mb_s
        Megabytes (10^6) a second of each connection's answers; 0 = no limit.
    """
    spawn = multiprocessing.get_context("spawn")
    counters = spawn.Array("q", 4)
    told, tell = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(port, latency_s, mb_s * 1e6, counters, tell), daemon=True)
    process.start()
    try:
        yield SlowProxy(f"http://127.0.0.1:{told.recv()}", counters)
    finally:
        process.kill()
        process.join()


def _serve(port: int, latency_s: float, rate: float, counters: Any, tell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        tell.send(listener.getsockname()[1])
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _count(counters, 0, 1)
            for run, args in ((_ask, (client, server, latency_s)), (_answer, (server, client, rate))):
                threading.Thread(target=_quietly, args=(run, *args, counters), daemon=True).start()


def _quietly(run: Any, source: socket.socket, target: socket.socket, *args: Any) -> None:
    """Pass one direction on until it ends, and let the other end know."""
    with suppress(OSError):
        run(source, target, *args)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _ask(client: socket.socket, server: socket.socket, latency_s: float, counters: Any) -> None:
    """Pass heads of requests on; what is asked here has no bodies."""
    tail = b""
    while data := client.recv(_CHUNK):
        requests = (tail + data).count(_END_OF_HEAD)
        tail = (tail + data)[-3:]
        _count(counters, 1, requests)
        _count(counters, 2, len(data))
        time.sleep(latency_s * requests)
        server.sendall(data)


def _answer(server: socket.socket, client: socket.socket, rate: float, counters: Any) -> None:
    """Pass answers on, no faster than the limit over any stretch of time."""
    buffer = memoryview(bytearray(_CHUNK))
    free_at = 0.0
    while size := server.recv_into(buffer):
        if rate:
            now = time.monotonic()
            time.sleep(max(free_at - now, 0.0))
            free_at = max(free_at, now) + size / rate
        client.sendall(buffer[:size])
        _count(counters, 3, size)


def _count(counters: Any, which: int, by: int) -> None:
    with counters.get_lock():
        counters[which] += by
