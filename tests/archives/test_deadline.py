"""A head that drips is given up in time, over TLS too, and whatever its reader makes of that is a time limit."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gzjwst_core.transport.header_timeout import _InTime, pools_in_time


class _Broken:
    """A connection whose reader finds its socket shut, and says so in some way."""

    head_s = 0.02
    sock = None
    said: Exception

    def __init__(self) -> None:
        self.gone = threading.Event()

    def getresponse(self) -> object:
        assert self.gone.wait(10)
        raise self.said


class _Connection(_InTime, _Broken):  # type: ignore[misc]  # as urllib3's, but with less behind it
    def _give_up(self, late: threading.Event) -> None:
        super()._give_up(late)
        self.gone.set()


@pytest.mark.parametrize(
    "said",
    [
        OSError("shut"),
        HTTPException("cut"),
        ValueError("Read on closed or unwrapped SSL socket."),
        AttributeError("'NoneType' object has no attribute 'read'"),
    ],
    ids=repr,
)
def test_whatever_the_reader_meets_is_a_time_limit(said: Exception) -> None:
    connection = _Connection()
    connection.said = said
    with pytest.raises(TimeoutError, match="no whole head within"):
        connection.getresponse()


def test_other_errors_stay_what_they_are() -> None:
    class InTime(_InTime, _Broken):  # type: ignore[misc]
        head_s = 60.0
        said = ValueError("own fault")

    connection = InTime()
    threading.Timer(0.05, connection.gone.set).start()
    with pytest.raises(ValueError, match="own fault"):
        connection.getresponse()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = tmp_path_factory.mktemp("tls") / "here.pem"
    path.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + made.public_bytes(pem))
    return path


@contextmanager
def dripping(certificate: Path | None) -> Iterator[int]:
    """A server whose heads never end; yields its port."""
    stop = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate)

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) if certificate else plain as sock:
            sock.recv(1 << 16)
            sock.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.005):
                sock.sendall(b"X-More: x\r\n")

    def accept() -> None:
        with suppress(OSError):
            while True:
                served.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                served[-1].start()

    served: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        for one in (thread, *served):
            one.join(10)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_head_that_drips(scheme: str, certificate: Path) -> None:
    secure = scheme == "https"
    with dripping(certificate if secure else None) as port:
        trusted: dict[str, Any] = {"ca_certs": str(certificate)} if secure else {}
        with pools_in_time(0.1)[scheme]("127.0.0.1", port, timeout=30, **trusted) as pool:
            for _ in range(5):
                with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                    pool.urlopen("GET", "/", retries=False, preload_content=False)
