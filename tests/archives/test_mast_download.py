"""A body from MAST: the right bytes of the located version, from any byte on, or a clear error."""

import threading
from collections.abc import Iterator

import pytest

from gzjwst_core.archives.base import Located, mark_of
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.mast_download import MastDownload, mast_server
from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError
from gzjwst_core.models import Mosaic
from tests.archives.conftest import QUICK, Served
from tests.archives.tiny import mosaic, packed
from tests.archives.web import Answer, Asked, held_back, web

MIDDLE = 700_000
HLSP = "hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"

Fault = dict[str, object]


@pytest.fixture
def archive(served: Served) -> MastDownload:
    return MastDownload(QUICK)


@pytest.fixture
def located(archive: MastDownload, served: Served) -> Iterator[Mosaic]:
    found = locate(mosaic(), [archive])
    served.forget()
    yield found
    assert [entry["method"] for entry in served.log()].count("GET") <= 2  # nothing is tried again here


def read(archive: MastDownload, located: Mosaic, start: int = 0) -> bytes:
    with archive.open(located, start=start) as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


ANY_START: list[tuple[Fault, str]] = [
    ({"do": "status", "status": 503}, "archive_unavailable"),
    ({"do": "status", "status": 412}, "changed"),
    ({"do": "status", "status": 416}, "changed"),
    ({"do": "drop"}, "archive_unavailable"),
    ({"do": "garbage"}, "archive_unavailable"),
    ({"do": "reset", "at_byte": 100_000}, "cut_off"),
    ({"do": "truncate", "at_byte": 0}, "cut_off"),
    ({"do": "truncate", "at_byte": 100_000}, "cut_off"),
    ({"do": "no_length", "at_byte": 100_000}, "cut_off"),
    ({"do": "no_length", "says": "chunked", "at_byte": 100_000}, "cut_off"),
    ({"do": "stall", "at_byte": -1, "seconds": 0.6}, "archive_unavailable"),
    ({"do": "stall", "at_byte": 100_000, "seconds": 0.6}, "archive_unavailable"),
    ({"do": "html"}, "not_a_file"),
    ({"do": "headers", "headers": {"Content-Type": "application/json; charset=utf-8"}}, "not_a_file"),
    ({"do": "headers", "headers": {"Content-Type": "text/xml"}}, "not_a_file"),
    ({"do": "headers", "headers": {"ETag": '"another"'}}, "changed"),
    ({"do": "swap"}, "changed"),
    ({"do": "swap", "by": 1000}, "changed"),
    ({"do": "long", "by": 7}, "size_mismatch"),
    ({"do": "long", "by": -7}, "size_mismatch"),
    ({"do": "long", "says": "body", "by": 7}, "size_mismatch"),
    ({"do": "long", "says": "body", "by": 7, "headers": {"Content-Length": None}}, "size_mismatch"),
]
FROM_THE_MIDDLE: list[tuple[Fault, str]] = [
    ({"do": "ignore_range"}, "no_ranges"),
    ({"do": "bad_range", "says": "start", "by": 1}, "no_ranges"),
    ({"do": "bad_range", "says": "start", "by": -1}, "no_ranges"),
    ({"do": "bad_range", "says": "total", "by": 1}, "no_ranges"),
    ({"do": "bad_range", "says": "absent"}, "no_ranges"),
    ({"do": "bad_range", "says": "text"}, "no_ranges"),
    ({"do": "bad_range", "says": "part", "by": -1}, "no_ranges"),
    ({"do": "headers", "headers": {"ETag": None}}, "no_ranges"),
    ({"do": "headers", "headers": {"ETag": None, "Last-Modified": None}}, "no_ranges"),
    ({"do": "encode"}, "no_ranges"),
]


@pytest.mark.parametrize("start", [0, MIDDLE])
@pytest.mark.parametrize("case", ANY_START, ids=str)
def test_what_went_wrong_is_named(
    case: tuple[Fault, str], start: int, archive: MastDownload, located: Mosaic, served: Served
) -> None:
    fault, reason = case
    served.fault(route="download", method="GET", **fault)
    with pytest.raises(ArchiveUnavailableError) as caught:
        read(archive, located, start)
    assert caught.value.reason == reason
    assert located.filename in str(caught.value)
    assert read(archive, located, start) == served.body[start:]


@pytest.mark.parametrize(("fault", "reason"), FROM_THE_MIDDLE, ids=str)
def test_what_went_wrong_with_a_range_is_named(
    fault: Fault, reason: str, archive: MastDownload, located: Mosaic, served: Served
) -> None:
    served.fault(route="download", method="GET", **fault)
    with pytest.raises(ArchiveUnavailableError) as caught:
        read(archive, located, MIDDLE)
    assert caught.value.reason == reason
    assert read(archive, located, 0) == served.body


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "encode"},
        {"do": "no_length"},
        {"do": "no_length", "says": "chunked"},
        {"do": "headers", "headers": {"ETag": None, "Last-Modified": None}},
        {"do": "stall", "at_byte": 100_000, "seconds": 0.2},
        {"do": "drip", "at_byte": 1_840_000, "count": 2000, "seconds": 0.01},
    ],
    ids=str,
)
def test_whole_body_in_unusual_dress(fault: Fault, archive: MastDownload, located: Mosaic, served: Served) -> None:
    served.fault(route="download", method="GET", **fault)
    assert read(archive, located) == served.body


def test_reads_return_what_is_there(located: Mosaic, served: Served) -> None:
    let_go = threading.Event()
    headers = {"Content-Length": str(located.size), "ETag": f'"{mark_of(located.identity)}"'}
    patient = QUICK.model_copy(update={"read_timeout_s": 30.0})
    answer = Answer(200, headers, held_back(served.body, 100_000, let_go))
    with web(answer) as mast, MastDownload(patient, {"GZJWST_MAST_URL": mast.url}).open(located) as stream:
        came = b""
        while len(came) < 100_000:
            came += stream.read(4 << 20)
        assert came == served.body[:100_000]  # the rest has not even been sent
        let_go.set()
        assert came + b"".join(iter(lambda: stream.read(4 << 20), b"")) == served.body


def test_part_to_a_request_of_the_whole_is_refused(located: Mosaic) -> None:
    part = Answer(
        206, {"Content-Range": f"bytes 0-9/{located.size}", "ETag": f'"{mark_of(located.identity)}"'}, b"x" * 10
    )
    with web(part) as mast, pytest.raises(ArchiveUnavailableError) as caught:
        read(MastDownload(QUICK, {"GZJWST_MAST_URL": mast.url}), located)
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize("fault", [{}, {"headers": {"Content-Encoding": "gzip"}}], ids=str)
def test_gzipped_product_is_never_decoded(fault: Fault, archive: MastDownload, served: Served) -> None:
    asked = mosaic(HLSP, product_uri=f"mast:HLSP/demo/{HLSP}")
    served.fault(route="download", do="headers", times=3, **fault)
    located = locate(asked, [archive])
    body = packed(served.body)
    assert read(archive, located) == body
    assert read(archive, located, 1000) == body[1000:]


def test_product_that_is_encoded_twice(archive: MastDownload, served: Served) -> None:
    located = locate(mosaic(HLSP, product_uri=f"mast:HLSP/demo/{HLSP}"), [archive])
    served.fault(route="download", method="GET", do="encode")
    with pytest.raises(ArchiveUnavailableError) as caught:
        read(archive, located)
    assert caught.value.reason == "size_mismatch"


def test_encoding_that_nobody_asked_for(archive: MastDownload, located: Mosaic, served: Served) -> None:
    served.fault(route="download", method="GET", do="headers", headers={"Content-Encoding": "br"})
    with pytest.raises(ArchiveUnavailableError, match="'br'") as caught:
        read(archive, located)
    assert caught.value.reason == "bad_answer"


def test_encoding_bomb_ends_at_its_size(archive: MastDownload, located: Mosaic) -> None:
    bomb = Answer(200, {"Content-Encoding": "gzip"}, packed(bytes(50_000_000)))
    with web(bomb) as mast, MastDownload(QUICK, {"GZJWST_MAST_URL": mast.url}).open(located) as stream:
        came = 0
        with pytest.raises(ArchiveUnavailableError, match="more bytes than announced"):
            while True:
                came += len(stream.read(4 << 20))
        assert came <= located.size


@pytest.mark.parametrize("fault", [{"do": "html"}, {"do": "status", "status": 500}, {"do": "drop"}], ids=str)
def test_head_that_cannot_be_had(fault: Fault, archive: MastDownload, served: Served) -> None:
    served.fault(route="download", method="HEAD", **fault)
    with pytest.raises(ArchiveUnavailableError):
        archive.find(mosaic())


def test_listed_size_is_the_offered_one(archive: MastDownload, served: Served) -> None:
    size = len(served.body)
    assert archive.find(mosaic(size=size)).size == size
    with pytest.raises(ArchiveUnavailableError, match=f"listed with {size + 1} bytes, offered with {size}") as caught:
        archive.find(mosaic(size=size + 1))
    assert caught.value.reason == "size_mismatch"


@pytest.mark.parametrize(
    ("headers", "mark"),
    [
        ({"ETag": '"abc-12"'}, "abc-12"),
        ({"ETag": 'W/"abc"'}, 'W/"abc"'),
        ({"ETag": None}, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ({"ETag": '"a|b"'}, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ({"ETag": "unquoted"}, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ({"ETag": '""'}, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ({"ETag": None, "Last-Modified": "yesterday"}, ""),
        ({"ETag": None, "Last-Modified": None}, ""),
    ],
    ids=str,
)
def test_marks_from_the_strongest_on(
    headers: dict[str, str | None], mark: str, archive: MastDownload, served: Served
) -> None:
    served.fault(route="download", method="HEAD", do="headers", headers=headers)
    found: Located = archive.find(mosaic())
    assert mark_of(found.identity) == mark
    located = locate(mosaic(), [archive]).replace(identity=found.identity)
    if mark.startswith("W/") or not mark:
        with pytest.raises(ArchiveUnavailableError) as caught:
            read(archive, located, MIDDLE)
        assert caught.value.reason == "no_ranges"
        assert not [entry for entry in served.log() if entry["range"]]  # it was not even asked
    served.fault(route="download", method="GET", do="headers", headers=headers)
    assert read(archive, located) == served.body


def test_weak_and_strong_form_of_a_mark_are_one_version(archive: MastDownload, located: Mosaic, served: Served) -> None:
    weak = located.replace(identity=located.identity.replace(mark_of(located.identity), 'W/"x"'))
    served.fault(route="download", method="GET", do="headers", headers={"ETag": '"x"'})
    assert read(archive, weak) == served.body


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2026 00:00:00 GMT", "Fri, 02 Jan 2026 00:00:00 GMT"])
def test_range_guarded_by_a_date(date: str, located: Mosaic) -> None:
    body = bytes(range(256)) * 10
    kept = "Thu, 01 Jan 2026 00:00:00 GMT"

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("If-Range") != kept:
            return Answer(200, {"Last-Modified": kept}, body)
        assert asked.headers["Range"] == "bytes=1000-2559"
        return Answer(206, {"Last-Modified": kept, "Content-Range": "bytes 1000-2559/2560"}, body[1000:])

    asked = located.replace(size=len(body), identity=f"x|{len(body)}|{date}")
    with web(answer) as mast:
        archive = MastDownload(QUICK, {"GZJWST_MAST_URL": mast.url})
        if date == kept:
            assert read(archive, asked, 1000) == body[1000:]
            return
        with pytest.raises(ArchiveUnavailableError) as caught:
            read(archive, asked, 1000)
        assert caught.value.reason == "changed"


def test_token_comes_from_the_environment(located: Mosaic) -> None:
    with web(Answer(404)) as mast:
        for token in ("", "secret\n"):
            with pytest.raises(ArchiveError):
                MastDownload(QUICK, {"GZJWST_MAST_URL": mast.url, "MAST_API_TOKEN": token}).find(mosaic())
        assert [asked.headers.get("Authorization") for asked in mast.asked] == [None, "token secret"]
        with pytest.raises(ArchiveRefusedError) as caught:
            MastDownload(QUICK, {"GZJWST_MAST_URL": mast.url, "MAST_API_TOKEN": "sécret"}).find(mosaic())
        assert caught.value.reason == "bad_token"
        assert "cret" not in str(caught.value)
        assert len(mast.asked) == 2


def test_server_of_mast() -> None:
    assert mast_server({}) == mast_server({"GZJWST_MAST_URL": ""}) == "https://mast.stsci.edu"
    assert mast_server({"GZJWST_MAST_URL": "http://127.0.0.1:9/"}) == "http://127.0.0.1:9"
