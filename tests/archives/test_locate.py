"""The order of archives, the trail, and when a mosaic may be called missing."""

# ruff: noqa: ARG002 - the fake archives answer without looking

from contextlib import AbstractContextManager

import pytest

from gzjwst_core.archives.base import Archive, Located
from gzjwst_core.archives.locate import locate, missing_reason
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3, bucket_key
from gzjwst_core.errors import (
    AmbiguousProductError,
    ArchiveError,
    ArchiveRefusedError,
    ArchiveUnavailableError,
    NameRefusedError,
    ProductNotFoundError,
)
from gzjwst_core.models import Mosaic
from gzjwst_core.transport.streams import ByteStream
from tests.archives.conftest import FAST, Served
from tests.archives.tiny import OBS, mosaic


class Says(Archive):
    """An archive with one answer."""

    def __init__(self, name: str, answer: ArchiveError | None = None) -> None:
        self.name = name
        self.answer = answer
        self.asked = 0

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        self.asked += 1
        if self.answer:
            raise self.answer
        return Located(archive=self.name, uri=f"{self.name}:x", size=5, identity=f"{self.name}:x|5|e")

    def open(self, mosaic: Mosaic, *, start: int = 0) -> AbstractContextManager[ByteStream]:
        raise NotImplementedError


NO = ProductNotFoundError("not here")
BUSY = ArchiveUnavailableError("busy")


def test_first_that_holds_it_wins_and_the_rest_is_not_asked() -> None:
    archives = [Says("a", NO), Says("b", BUSY), Says("c"), Says("d")]
    found = locate(mosaic(size=99), archives)
    assert (found.archive, found.uri, found.size, found.identity) == ("c", "c:x", 5, "c:x|5|e")
    assert [(step.archive, step.found, step.reason) for step in found.trail] == [
        ("a", False, "not_found"),
        ("b", False, "archive_unavailable"),
        ("c", True, ""),
    ]
    assert [archive.asked for archive in archives] == [1, 1, 1, 0]


def test_in_none_keeps_what_the_query_said() -> None:
    lost = locate(mosaic(size=99, expected=True), [Says("a", NO), Says("b", NO)])
    assert (lost.located, lost.size, lost.expected, len(lost.trail)) == (False, 99, True, 2)
    assert missing_reason(lost) == "not_found"


@pytest.mark.parametrize("order", [(BUSY, NO), (NO, BUSY)])
def test_undecided_is_not_missing(order: tuple[ArchiveError, ...]) -> None:
    with pytest.raises(ArchiveUnavailableError, match="busy") as caught:
        locate(mosaic(), [Says(str(i), answer) for i, answer in enumerate(order)])
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((NO, ArchiveRefusedError("no", reason="not_public")), "not_public"),
        ((AmbiguousProductError("two"), NO), "ambiguous"),
        ((AmbiguousProductError("two"), ArchiveRefusedError("no", reason="not_public")), "not_public"),
        ((ArchiveRefusedError("no"), NO), "archive_refused"),
        ((), "not_found"),
    ],
)
def test_the_most_telling_reason(answers: tuple[ArchiveError, ...], reason: str) -> None:
    lost = locate(mosaic(), [Says(str(i), answer) for i, answer in enumerate(answers)])
    assert missing_reason(lost) == reason


def test_not_public_at_mast(served: Served) -> None:
    exclusive = mosaic("jw09801-o003_t003_nircam_clear-f444w_i2d.fits")
    lost = locate(exclusive, [S3(FAST), MastDownload(FAST)])
    assert [(step.archive, step.reason) for step in lost.trail] == [("s3", "not_found"), ("mast", "not_public")]
    assert missing_reason(lost) == "not_public"


def test_listed_but_in_no_archive(served: Served) -> None:
    lost = locate(mosaic(f"{OBS.replace('f277w', 'f356w')}_i2d.fits"), [S3(FAST), MastDownload(FAST)])
    assert not lost.located


@pytest.mark.parametrize("route", ["s3_object", "download"])
@pytest.mark.parametrize(
    "fault", [{"do": "status", "status": 503}, {"do": "status", "status": 429}, {"do": "drop"}], ids=str
)
def test_busy_archive_is_asked_once(route: str, fault: dict[str, object], served: Served) -> None:
    archive: Archive = S3(FAST) if route == "s3_object" else MastDownload(FAST)
    served.fault(route=route, times=2, **fault)
    with pytest.raises(ArchiveUnavailableError):
        archive.find(mosaic())
    assert len(served.log()) == 1


@pytest.mark.parametrize(("status", "error"), [(400, ArchiveRefusedError), (301, ArchiveRefusedError)])
def test_odd_answers_of_the_bucket(status: int, error: type[ArchiveError], served: Served) -> None:
    served.fault(route="s3_object", do="status", status=status, times=3)
    with pytest.raises(error):
        S3(FAST).find(mosaic())


def test_mast_offers_another_size_than_it_lists(served: Served) -> None:
    with pytest.raises(ArchiveUnavailableError) as caught:
        MastDownload(FAST).find(mosaic(size=12))
    assert caught.value.reason == "size_mismatch"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.1:1/elsewhere", ArchiveUnavailableError),  # loopback to loopback may; nobody is there
        ("https://example.org/x", ArchiveRefusedError),
        ("http://mast.stsci.edu/x", ArchiveRefusedError),  # not over plain HTTP
        ("file:///etc/passwd", ArchiveRefusedError),
        ("http://169.254.169.254/latest", ArchiveRefusedError),
        ("/api/v0.1/Download/file?uri=mast:nothing", ProductNotFoundError),
    ],
)
def test_redirects_stay_on_the_list(location: str, error: type[ArchiveError], served: Served) -> None:
    served.fault(route="download", do="status", status=302, headers={"Location": location})
    with pytest.raises(error):
        MastDownload(FAST).find(mosaic())


def test_redirects_in_a_circle_end(served: Served) -> None:
    served.fault(route="download", do="status", status=302, times=20, headers={"Location": "/api/v0.1/Download/file"})
    with pytest.raises(ArchiveRefusedError, match="circle"):
        MastDownload(FAST).find(mosaic())
    assert len(served.log()) <= 6


def test_the_token_is_in_no_message(served: Served) -> None:
    archive = MastDownload(FAST, {"GZJWST_MAST_URL": served.url, "MAST_API_TOKEN": "canary-token"})
    for fault in ({"do": "status", "status": 401}, {"do": "status", "status": 500}, {"do": "drop"}):
        served.fault(route="download", **fault)
        with pytest.raises(ArchiveError) as caught:
            archive.find(mosaic())
        assert "canary" not in repr(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("obs_id", "uri", "key"),
    [
        (OBS, "", f"jwst/public/jw09801/L3/t/o001/{OBS}_i2d.fits"),
        (
            "jw01345-c1000_t021_nircam_clear-f200w",
            "",
            "jwst/public/jw01345/L3/t/c1000/jw01345-c1000_t021_nircam_clear-f200w_i2d.fits",
        ),
        ("x", "mast:HLSP/jades/dr2/goods-s/images/a_drz.fits", "mast/hlsp/jades/dr2/goods-s/images/a_drz.fits"),
    ],
)
def test_key_of_the_bucket(obs_id: str, uri: str, key: str) -> None:
    asked = mosaic(f"{obs_id}_i2d.fits")
    assert bucket_key(asked.replace(product_uri=uri) if uri else asked) == key


def test_key_of_a_strange_name_is_refused() -> None:
    with pytest.raises(NameRefusedError):
        bucket_key(mosaic().replace(product_uri="mast:HLSP/jades/../../secret"))
    with pytest.raises(ProductNotFoundError) as caught:
        bucket_key(mosaic("something_i2d.fits"))
    assert caught.value.reason == "no_key"
