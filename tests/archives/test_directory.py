"""A plain web directory: an address made of checked names, parts of plain files, a listing that nobody keeps."""

import pytest

from gzjwst_core.archives.base import identity_of
from gzjwst_core.archives.directory import Directory
from gzjwst_core.archives.locate import locate
from gzjwst_core.errors import ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError, ProfileError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport import minimum_rate as pace
from gzjwst_core.transport.minimum_rate import Pace
from gzjwst_core.transport.streams import Span
from tests.archives.conftest import FAST, Served
from tests.archives.tiny import OBS, mosaic, packed
from tests.archives.web import Answer, web


def directory(url: str) -> Directory:
    return Directory(FAST.model_copy(update={"directory_url": url}))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://host/m/{filename}", f"https://host/m/{OBS}_i2d.fits"),
        (
            "https://host:8443/{field}/{band}/{obs_id}.fits.gz",
            f"https://host:8443/jw09801-o001_t001/F277W/{OBS}.fits.gz",
        ),
        ("http://localhost:1/{filename}", f"http://localhost:1/{OBS}_i2d.fits"),
        ("https://host/{{x}}/{filename}", f"https://host/{{x}}/{OBS}_i2d.fits"),
    ],
)
def test_address_is_made_of_the_mosaics_names(url: str, address: str) -> None:
    archive = directory(url)
    assert archive.address(mosaic()) == address
    assert archive.logical(mosaic()) == address.replace(":8443", "").replace("localhost:1", "localhost")


def test_names_are_quoted() -> None:
    plus = mosaic("a+b_i2d.fits")
    assert directory("https://host/{filename}").address(plus) == "https://host/a%2Bb_i2d.fits"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a?b=c", "a b", "a#b", "https://evil.example", "", "a\n", "%2e"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ArchiveRefusedError) as caught:
        directory("https://host/{obs_id}").find(mosaic(obs_id=name))
    assert caught.value.reason == "bad_name"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "https://"),
        ("host/{filename}", "https://"),
        ("http://host/{filename}", "https://"),
        ("ftp://host/{filename}", "https://"),
        ("file:///{filename}", "https://"),
        ("https://host/{filename", "https://"),
        ("https://me:secret@host/{filename}", "login"),
        ("https://host/{filename}?sig=secret", "query"),
        ("https://host/x#{filename}", "fragment"),
        ("https://{field}.example/{filename}", "path"),
        ("https://host/{filename.__class__}", "path"),
        ("https://host/{filename!r}", "path"),
        ("https://host/{filename:>99}", "path"),
        ("https://host/{}{filename}", "path"),
        ("https://host/{identity}", "path"),
        ("https://host/mosaic.fits", "same file"),
        ("https://host/{band}.fits", "same file"),
    ],
)
def test_address_that_cannot_be_used_is_the_profiles_fault(url: str, why: str) -> None:
    with pytest.raises(ProfileError, match=r"archives\.directory_url") as caught:
        Directory(ArchiveOptions(directory_url=url))
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


def test_size_is_the_servers(served: Served) -> None:
    archive = Directory(served.directory)
    assert archive.find(mosaic(size=7)).size == len(served.body)
    with pytest.raises(ProductNotFoundError):
        archive.find(mosaic("jw09801-o002_t001_nircam_clear-f277w_i2d.fits"))


def test_gzipped_file_is_read_whole_and_as_it_is() -> None:
    body = packed(b"x" * 100_000)
    head = {"ETag": '"x"', "Content-Encoding": "gzip", "Content-Type": "application/x-gzip"}
    with web(Answer(200, head, body)) as server:
        archive = directory(f"{server.url}/{{filename}}.gz")
        located = locate(mosaic(), [archive])
        assert located.identity == f"http://127.0.0.1/{OBS}_i2d.fits.gz|{len(body)}|x"
        assert not archive.windowed(located)
        with archive.open(located) as stream:
            assert stream.read(1 << 20) == body


@pytest.fixture
def archive(served: Served) -> Directory:
    return Directory(served.directory)


@pytest.fixture
def located(archive: Directory, served: Served) -> Mosaic:
    found = locate(mosaic(), [archive])
    served.forget()
    return found


def test_parts_of_a_plain_file(archive: Directory, located: Mosaic, served: Served) -> None:
    spans = [Span(start, start + 1000) for start in range(0, 1_800_000, 100_000)]
    parts = list(archive.ranges(located, spans))
    assert [span for span, _ in parts] == spans
    assert all(data == served.body[span.start : span.stop] for span, data in parts)
    assert [entry["status"] for entry in served.log()] == [206] * len(spans)
    assert sum(int(str(entry["body_bytes"])) for entry in served.log()) == 1000 * len(spans)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"do": "status", "status": 500}, "archive_unavailable"),
        ({"do": "truncate", "at_byte": 500}, "cut_off"),
        ({"do": "ignore_range"}, "no_ranges"),
        ({"do": "bad_range", "says": "total", "by": 1}, "no_ranges"),
        ({"do": "swap"}, "changed"),
        ({"do": "encode"}, "no_ranges"),
        ({"do": "html"}, "not_a_file"),
        ({"do": "drip", "count": 1, "seconds": 0.1}, "too_slow"),
    ],
    ids=str,
)
def test_part_that_cannot_be_had_ends_them_all(
    fault: dict[str, object], reason: str, archive: Directory, located: Mosaic, served: Served
) -> None:
    served.fault(route="s3_object", skip=3, **fault)
    spans = [Span(start, start + 1000) for start in range(0, 1_000_000, 50_000)]
    with pytest.raises(ArchiveUnavailableError) as caught:
        list(archive.ranges(located, spans))
    assert caught.value.reason == reason
    assert len(served.log()) < len(spans)


def test_parts_are_judged_together(
    archive: Directory, located: Mosaic, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share the line: each for itself may be slower than the slowest rate that is allowed."""
    counts: list[list[int]] = []

    class Counted(Pace):
        def __init__(self, *args: float, what: str) -> None:
            counts.append([])
            super().__init__(*args, what=what)

        def end(self, count: int) -> None:
            counts[-1].append(count)
            super().end(count)

    monkeypatch.setattr(pace, "Pace", Counted)
    for _ in range(2):
        list(archive.ranges(located, [Span(start, start + 1000) for start in range(0, 500_000, 50_000)]))
    assert [sum(those) for those in counts] == [10_000, 10_000]


def test_no_parts_without_a_strong_mark(archive: Directory, located: Mosaic) -> None:
    assert archive.windowed(located)
    for mark in ("", 'W/"x"'):
        weak = located.replace(identity=identity_of(located.uri, located.size, mark))
        assert not archive.windowed(weak)
        with pytest.raises(ArchiveUnavailableError) as caught:
            list(archive.ranges(weak, [Span(0, 10)]))
        assert caught.value.reason == "no_ranges"
