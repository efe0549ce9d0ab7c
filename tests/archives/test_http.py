"""Addresses and redirects stay on the list, credentials stay at home, and whatever fails is an error of ours."""

import socket
from pathlib import Path

import pytest
import requests
import urllib3

from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError
from gzjwst_core.transport.http import (
    PatientAdapter,
    _check_hop,
    check_address,
    mount,
    network_error,
    read_bounded,
    send,
)
from tests.archives.conftest import Served
from tests.archives.web import Answer, Asked, web

OFF_THE_LIST = [
    "https://evil.example/x",
    "//evil.example/x",
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/",
    "https://[fe80::1]/",
    "https://stsci.edu.evil.example/",
    "https://notstsci.edu/",
    "https://mast.stsci.edu@evil.example/",
    "http://mast.stsci.edu/",
    "file:///etc/passwd",
    "ftp://mast.stsci.edu/x",
    "gopher://mast.stsci.edu/x",
    "javascript:alert(1)",
    "data:text/plain,x",
    "http://[",
]


def session() -> requests.Session:
    made = requests.Session()
    mount(made, PatientAdapter(2.0, 1.0))
    return made


def ask(url: str, headers: dict[str, str] | None = None) -> bytes:
    with session() as client, send(client, "GET", url, headers or {}, "x.fits") as response:
        return response.content


@pytest.mark.parametrize("target", [*OFF_THE_LIST, "https://127.0.0.1/", "http://localhost/"])
def test_mast_may_not_send_us_there(target: str) -> None:
    with pytest.raises(ArchiveRefusedError, match="off the list") as caught:
        _check_hop("https://mast.stsci.edu/api/x", target)
    assert (caught.value.reason, caught.value.retryable) == ("redirected_away", False)


@pytest.mark.parametrize(
    "target",
    ["/other", "https://mast.stsci.edu/other", "https://archive.stsci.edu/x", "https://stpubdata.s3.amazonaws.com/key"],
)
def test_mast_may_send_us_there(target: str) -> None:
    _check_hop("https://mast.stsci.edu/api/x", target)


@pytest.mark.parametrize("target", OFF_THE_LIST)
def test_nothing_off_the_list_is_asked(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with web(Answer(302, {"Location": target})) as here:
        connected = _connections(monkeypatch)
        with pytest.raises(ArchiveRefusedError) as caught:
            ask(f"{here.url}/start")
        assert caught.value.reason == "redirected_away"
    assert len(here.asked) == 1
    assert set(connected) == {"127.0.0.1"}


def test_a_client_that_follows_by_itself_is_held_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with web(Answer(302, {"Location": "https://evil.example/x"})) as here, session() as client:
        connected = _connections(monkeypatch)
        with pytest.raises(ArchiveRefusedError, match="off the list"):
            client.get(here.url)
    assert set(connected) == {"127.0.0.1"}


def _connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    connected: list[str] = []
    real = urllib3.util.connection.create_connection

    def watched(address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        connected.append(address[0])
        return real(address, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", watched)
    return connected


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://mast.stsci.edu/x", "mast.stsci.edu/x", "", "http://["]
)
def test_first_address_is_https_or_here(url: str) -> None:
    with pytest.raises(ArchiveRefusedError) as caught:
        ask(url)
    assert (caught.value.reason, caught.value.retryable) == ("bad_address", False)


def test_first_address_of_another_client_too(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = _connections(monkeypatch)
    with session() as client, pytest.raises(ArchiveRefusedError, match="only https"):
        client.post("http://mast.stsci.edu/api/v0/invoke")
    assert connected == []


@pytest.mark.parametrize("url", ["https://a.team.example/x", "http://localhost:80/x", "http://[::1]:80/"])
def test_first_address_may_be_any_of_those(url: str) -> None:
    check_address(url)


def test_redirects_here_are_followed_and_end() -> None:
    def down(asked: Asked) -> Answer:
        left = int(asked.path.strip("/"))
        return Answer(307, {"Location": f"/{left - 1}"}) if left else Answer(body=b"there")

    with web(down) as here:
        assert ask(f"{here.url}/5") == b"there"
        with pytest.raises(ArchiveRefusedError, match="more than 5 redirects"):
            ask(f"{here.url}/6")


def test_a_circle_is_seen_at_once() -> None:
    with web(lambda asked: Answer(302, {"Location": "/b" if asked.path == "/a" else "/a"})) as here:
        with pytest.raises(ArchiveRefusedError, match="circle") as caught:
            ask(f"{here.url}/a")
        assert caught.value.reason == "redirected_away"
        assert len(here.asked) == 2


@pytest.mark.parametrize("by_itself", [False, True])
def test_body_of_a_redirect_is_not_read(by_itself: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/end":
            return Answer(body=b"there")
        return Answer(302, {"Location": "/end", "Content-Length": str(1 << 40)}, b"x")

    read: list[int] = []
    for way in ("read", "read1", "drain_conn"):
        _watch(monkeypatch, way, read)
    with web(answer) as here, session() as client:
        url = f"{here.url}/start"
        assert (client.get(url).content if by_itself else ask(url)) == b"there"
    assert set(read) == {200}


def _watch(monkeypatch: pytest.MonkeyPatch, way: str, read: list[int]) -> None:
    real = getattr(urllib3.HTTPResponse, way)

    def watched(self: urllib3.HTTPResponse, *args: object, **options: object) -> object:
        read.append(self.status)
        return real(self, *args, **options)

    monkeypatch.setattr(urllib3.HTTPResponse, way, watched)


def test_credentials_go_to_the_first_host_only() -> None:
    with web(Answer(body=b"there")) as there, web(lambda _: Answer(302, {"Location": to})) as here:
        to = f"{there.url}/x"
        ask(f"{here.url}/x", {"Authorization": "token secret", "Accept-Encoding": "identity"})
        assert here.asked[0].headers["Authorization"] == "token secret"
        assert "Authorization" not in there.asked[0].headers
        assert there.asked[0].headers["Accept-Encoding"] == "identity"
        to = f"{here.url}/y"
        with pytest.raises(ArchiveRefusedError):
            ask(f"{here.url}/x", {"Authorization": "token secret"})
        assert "Authorization" in here.asked[-1].headers


def test_netrc_does_not_replace_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with web(Answer()) as here:
        ask(here.url, {"Authorization": "token mine"})
        ask(here.url)
    assert [asked.headers["Authorization"].split()[0] for asked in here.asked] == ["token", "Basic"]


def test_network_failures_are_for_trying_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with web(Answer()) as here:
        tls = here.url.replace("http:", "https:")
        with pytest.raises(ArchiveUnavailableError, match="SSLError"):
            ask(tls)
    with pytest.raises(ArchiveUnavailableError, match="connection failed"):
        ask(here.url)  # nobody listens there any more

    def unknown(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ArchiveUnavailableError, match="connection failed"):
        ask("https://mast.stsci.edu/x")


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (404, "ProductNotFoundError", "not_found"),
        (410, "ProductNotFoundError", "not_found"),
        (401, "ArchiveRefusedError", "not_public"),
        (403, "ArchiveRefusedError", "not_public"),
        (400, "ArchiveRefusedError", "archive_refused"),
        (304, "ArchiveRefusedError", "archive_refused"),
        (412, "ArchiveUnavailableError", "changed"),
        (416, "ArchiveUnavailableError", "changed"),
        (408, "ArchiveUnavailableError", "archive_unavailable"),
        (500, "ArchiveUnavailableError", "archive_unavailable"),
        (504, "ArchiveUnavailableError", "archive_unavailable"),
        (599, "ArchiveUnavailableError", "archive_unavailable"),
    ],
)
def test_every_status_has_its_error(status: int, kind: str, reason: str, served: Served) -> None:
    served.fault(route="s3_object", do="status", status=status)
    with pytest.raises(ArchiveError) as caught:
        ask(f"{served.url}/stpubdata/x")
    assert (type(caught.value).__name__, caught.value.reason) == (kind, reason)
    assert f"x.fits: HTTP {status}" in str(caught.value)


def test_small_answers_have_a_limit() -> None:
    with web(Answer(body=b"x" * 1000)) as here, session() as client:
        with send(client, "GET", here.url, {}, "x") as response:
            assert len(read_bounded(response, 1000, "x")) == 1000
        with send(client, "GET", here.url, {}, "x") as response:
            with pytest.raises(ArchiveUnavailableError, match="more than 999 bytes") as caught:
                read_bounded(response, 999, "x")
            assert caught.value.reason == "bad_answer"


def test_small_answer_that_breaks_off() -> None:
    with web(Answer(200, {"Content-Length": "9"}, b"x")) as here, session() as client:
        response = send(client, "GET", here.url, {}, "x")
        with response, pytest.raises(ArchiveUnavailableError, match="connection failed"):
            read_bounded(response, 1000, "x")


def test_errors_tell_no_more_than_their_kind() -> None:
    error = network_error(requests.ConnectionError("https://me:secret@host/?sig=secret"), "x")
    assert str(error) == "x: the connection failed (ConnectionError)"
    assert "time limit" in str(network_error(urllib3.exceptions.ReadTimeoutError(None, "", "secret"), "x"))  # type: ignore[arg-type]
