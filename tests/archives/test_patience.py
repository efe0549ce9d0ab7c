"""Who asks for patience is given it: at least what he asked, never more than the limit, by every thread."""

import threading
from email.utils import formatdate

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.transport import http
from gzjwst_core.transport.http import PatientAdapter, mount, send
from gzjwst_core.transport.retry_after import LONGEST_S, Patience, seconds_asked
from tests.archives.conftest import FAST, Served
from tests.archives.tiny import mosaic

NOW = 1_750_000_000.0


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def patience(self) -> Patience:
        return Patience(clock=lambda: self.now, today=lambda: NOW, sleep=self.sleep)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        (" 2.5 ", 2.5),
        ("0", 0),
        ("-5", 0),
        ("1000000000", LONGEST_S),
        ("1e9", LONGEST_S),
        ("inf", LONGEST_S),
        ("9" * 5000, LONGEST_S),
        ("nan", 0),
        ("soon", 0),
        ("", 0),
        (formatdate(NOW + 30, usegmt=True), 30),
        (formatdate(NOW + 30), 30),
        (formatdate(NOW - 30, usegmt=True), 0),
        (formatdate(NOW + 1e7, usegmt=True), LONGEST_S),
        ("Fri, 99 Foo 2026 99:99:99 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
    ],
)
def test_retry_after_is_read(said: str, seconds: float) -> None:
    assert seconds_asked(said, NOW) == seconds


@settings(max_examples=200, deadline=None)
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} -?\d+ \d+:\d+:\d+( [-+]?\w+)?", fullmatch=True))
def test_any_text_asks_for_something_within_the_limits(said: str) -> None:
    assert 0 <= seconds_asked(said, NOW) <= LONGEST_S


def test_a_host_is_not_asked_before_and_others_are_free() -> None:
    time = Time()
    patience = time.patience()
    patience.note("busy", "20")
    patience.note("busy", "5")  # does not shorten it
    patience.note("busy", None)
    patience.wait("free")
    assert time.slept == []
    patience.wait("busy")
    assert time.now == 70
    patience.wait("busy")
    assert time.now == 70


def test_what_is_asked_while_waiting_counts_too() -> None:
    time = Time()

    def asked_again(seconds: float) -> None:
        if not time.slept:
            patience.note("busy", "30")
        time.sleep(seconds)

    patience = Patience(clock=lambda: time.now, today=lambda: NOW, sleep=asked_again)
    patience.note("busy", "10")
    patience.wait("busy")
    assert time.slept == [10, 20]


def test_every_thread_waits() -> None:
    patience = Patience()
    ended: list[float] = []
    patience.note("busy", "0.2")
    until = patience._not_before["busy"]

    def ask() -> None:
        patience.wait("busy")
        ended.append(patience._clock())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 4
    assert min(ended) >= until


@pytest.mark.parametrize("status", [408, 425, 429, 503])
def test_every_request_to_a_busy_host_waits(status: int, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(http, "PATIENCE", time.patience())
    served.fault(route="download", do="status", status=status, headers={"Retry-After": "40"})
    archive = MastDownload(FAST)
    with pytest.raises(ArchiveUnavailableError):
        archive.find(mosaic())
    assert time.slept == []  # asked once, and told above
    archive.find(mosaic())
    assert time.slept == [40]
    with requests.Session() as session:
        mount(session, PatientAdapter(1, 1))
        send(session, "HEAD", archive.address(mosaic()), {}, "x")
    assert time.slept == [40]


def test_other_errors_ask_for_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(http, "PATIENCE", time.patience())
    served.fault(route="download", do="status", status=404, headers={"Retry-After": "40"})
    archive = MastDownload(FAST)
    with pytest.raises(FileNotFoundError):
        archive.find(mosaic())
    archive.find(mosaic())
    assert time.slept == []
