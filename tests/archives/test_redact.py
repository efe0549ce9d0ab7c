"""Five secrets that must never be seen again: not in an error, not in what it hides, not in a log."""

import io
import logging
import traceback
from collections.abc import Iterator

import pytest
import requests

from gzjwst_core.archives.base import Archive, identity_of
from gzjwst_core.archives.lookup import lookup_key
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.errors import GzJwstError
from gzjwst_core.models import Mosaic
from gzjwst_core.transport.http import PatientAdapter, mount
from gzjwst_core.transport.redact import _Redactor, guard_logs, redact
from tests.archives.conftest import QUICK, Served
from tests.archives.tiny import mosaic
from tests.archives.web import Answer, web

TOKEN = "canary-mast-token-0001"  # noqa: S105 - as all of these
KEY = "AKIACANARYCANARY0002"
SECRET = "canary/aws+secret=0003"  # noqa: S105
SIGNED = "canary-signature-0004"
PASSWORD = "canary-password-0005"  # noqa: S105
CANARIES = (TOKEN, KEY, SECRET, SIGNED, PASSWORD)


def seen(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that any logger says, as a handler of the root logger and one of a package's see it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    noisy = [logging.getLogger(name) for name in ("", "urllib3", "botocore", "s3fs", "gzjwst_core")]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    logging.getLogger("urllib3").addHandler(handler)
    guard_logs()
    yield written
    logging.root.removeHandler(handler)
    logging.getLogger("urllib3").removeHandler(handler)
    for logger, level in zip(noisy, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def secrets(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The canaries where users keep them."""
    monkeypatch.setenv("MAST_API_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("GZJWST_MAST_URL", served.url.replace("://", f"://me:{PASSWORD}@"))
    return served


FAULTS: list[dict[str, object]] = [
    {"do": "status", "status": 503},
    {"do": "status", "status": 403},
    {"do": "drop"},
    {"do": "garbage"},
    {"do": "truncate", "at_byte": 100},
    {"do": "reset", "at_byte": 100},
    {"do": "stall", "at_byte": 100, "seconds": 0.6},
    {"do": "redirect", "to": f"https://me:{PASSWORD}@evil.example/x?X-Amz-Signature={SIGNED}&X-Amz-Credential={KEY}"},
    {"do": "redirect", "to": f"http://me:{PASSWORD}@127.0.0.1:1/x?X-Amz-Signature={SIGNED}"},
    {"do": "redirect", "to": f"http://[{SIGNED}/?{SIGNED}"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['do']}-{str(fault)[-22:-2]}")
@pytest.mark.parametrize("name", ["mast", "s3"])
def test_no_secret_in_an_error_or_a_log(name: str, fault: dict[str, object], secrets: Served, log: io.StringIO) -> None:
    archive: Archive = MastDownload(QUICK) if name == "mast" else S3(QUICK)
    located = _located(archive)
    secrets.fault(route="download" if name == "mast" else "s3_object", method="GET", **fault)
    with pytest.raises(GzJwstError) as caught, archive.open(located) as stream:
        while stream.read(1 << 20):
            pass
    assert not seen(_all_that_is_told(caught.value))
    assert "urllib3" in log.getvalue() or "HEAD" in log.getvalue() or name == "s3"
    assert not seen(log.getvalue())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['do']}-{str(fault)[-22:-2]}")
def test_no_secret_of_a_lookup(fault: dict[str, object], secrets: Served, log: io.StringIO) -> None:
    secrets.fault(route="path_lookup", **fault)
    with pytest.raises(GzJwstError) as caught:
        lookup_key(f"mast:JWST/product/{mosaic().filename}", QUICK)
    assert not seen(_all_that_is_told(caught.value))
    assert not seen(log.getvalue())


def _located(archive: Archive) -> Mosaic:
    found = archive.find(mosaic())
    return mosaic(size=found.size, uri=found.uri, archive=found.archive, identity=found.identity)


def _all_that_is_told(error: BaseException) -> str:
    """The error, and whatever of its causes is not suppressed, as every traceback prints it."""
    told = [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
    shown = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(told + ([_all_that_is_told(shown)] if shown else []))


def test_the_canaries_were_really_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with web(Answer(404)) as mast:
        address = mast.url.replace("://", f"://me:{PASSWORD}@")
        for token in (TOKEN, ""):
            archive = MastDownload(QUICK, {"GZJWST_MAST_URL": address, "MAST_API_TOKEN": token})
            with pytest.raises(GzJwstError):
                archive.find(mosaic())
    assert mast.asked[0].headers["Authorization"] == f"token {TOKEN}"
    assert mast.asked[1].headers["Authorization"].startswith("Basic ")


def test_what_the_libraries_say_is_cleaned(secrets: Served, log: io.StringIO) -> None:
    """A library's own error in a log, with its traceback, as somebody else's code would log it."""
    url = f"http://me:{PASSWORD}@127.0.0.1:1/x?sig={SIGNED}"
    with requests.Session() as session:
        mount(session, PatientAdapter(1, 1))
        try:
            session.get(url, headers={"Authorization": f"token {TOKEN}"})
        except requests.RequestException as error:
            said = str(error)
            for name in ("urllib3.connectionpool", "requests", "gzjwst_core.made.up.later", "s3fs", "aiobotocore.x"):
                logging.getLogger(name).exception(
                    "asked %s with %s: %s", url, {"Authorization": f"token {TOKEN}"}, said
                )
                logging.getLogger(name).warning(f"{KEY} {SECRET}")  # noqa: G004 - as others do
                logging.getLogger(name).warning("%d", SECRET)
    assert seen(said) == [SIGNED]  # what it would have said
    assert log.getvalue().count("Traceback") >= 5
    assert not seen(log.getvalue())


def test_a_childs_own_handler_is_behind_the_guard(secrets: Served) -> None:
    written = io.StringIO()
    child, handler = logging.getLogger("botocore.child"), logging.StreamHandler(written)
    child.addHandler(handler)
    try:
        guard_logs()
        guard_logs()
        child.error("key %s", SECRET)
        assert written.getvalue() == "key [redacted]\n"
        assert sum(isinstance(one, _Redactor) for one in child.handlers) == 1
    finally:
        child.handlers.clear()


def test_guard_keeps_loggings_last_resort(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for logger in (logging.root, logging.getLogger("gzjwst_core")):  # as in a notebook: Prefect adds some
        monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logging.getLogger("gzjwst_core"), "level", logging.NOTSET)
    guard_logs()
    monkeypatch.setenv("MAST_API_TOKEN", TOKEN)
    logging.getLogger("gzjwst_core.x").warning("seen by a notebook: %s", TOKEN)
    logging.getLogger("gzjwst_core.x").info("not seen")
    assert capsys.readouterr().err == "seen by a notebook: [redacted]\n"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://u:p@ss@host/a", "https://[redacted]@host/a"),
        ("with url: /x/y?sig=1&b=2 (Caused by X)", "with url: /x/y?[redacted] (Caused by X)"),
        ('"GET /api?uri=mast:x HTTP/1.1" 200 10', '"GET /api?[redacted] HTTP/1.1" 200 10'),
        ("https://host/a?bare", "https://host/a?[redacted]"),
        ("{'Authorization': 'token a b', 'x': 'y'}", "{'Authorization': '[redacted]', 'x': 'y'}"),
        ("('authorization', b'Bearer x')", "('authorization', b'[redacted]')"),
        ("authorization: AWS4 Credential=a/b, Signature=c\nhost:x", "authorization: [redacted]\nhost:x"),
        ("x-amz-security-token:abc", "x-amz-security-token:[redacted]"),
        ("aws_secret_access_key = abc", "aws_secret_access_key = [redacted]"),
        ("Bearer abcdefghijklmnopqrstu", "Bearer [redacted]"),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        ("kept-by-value", "[redacted]"),
        ("a%2Bb%2Fc-quoted", "[redacted]"),
    ],
)
def test_secrets_by_place_and_by_value(text: str, clean: str) -> None:
    environment = {
        "AWS_SESSION_TOKEN": "kept-by-value",
        "MAST_API_TOKEN": "a+b/c-quoted",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    assert redact(text, environment) == clean
    assert redact(clean, environment) == clean


@pytest.mark.parametrize(
    "text",
    [
        "MAST: x_i2d.fits: HTTP 403: not public, or the token does not allow it",
        "MAST_API_TOKEN may hold printable ASCII only",
        "Why? yes = no; a test of 5 ? 6",
        "https://mast.stsci.edu/api/v0/invoke",
        "s3://stpubdata/jwst/public/jw01345/L3/t/o001/x_i2d.fits",
        identity_of("mast:JWST/product/x.fits", 7, "0" * 32),
        "",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert redact(text, {"AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}) == text


@pytest.mark.parametrize(
    "piece", ["a", "token", "?", "?a=", "https://", "a://b@", "authorization: ", "AKIA", "bearer "]
)
@pytest.mark.timeout(60)
def test_no_text_takes_for_ever(piece: str) -> None:
    assert redact(piece * (300_000 // len(piece)), {})
