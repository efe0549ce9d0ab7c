"""Each kind of fault, as a plain HTTP client meets it."""

import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from gzjwst_core.sky.faults import _EFFECTS, _SAYS, _VERSIONS, Fault
from gzjwst_core.sky.replies import MemoryContent, OtherVersion
from gzjwst_core.sky.routes import LoopbackArchive
from gzjwst_core.sky.server import running
from tests.sky.tiny_archive import KEY_ROOT, content, make_listing, name_of

SIZE = 700_001
NAME = name_of("F150W")
RIGHT = content(NAME, SIZE)
PLACES = {
    "download": f"/api/v0.1/Download/file?uri=mast:JWST/product/{NAME}",
    "s3_object": f"/stpubdata/{KEY_ROOT}/{NAME}",
}
BOTH = pytest.mark.parametrize("route", list(PLACES))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sky")
    with running(LoopbackArchive(folder, make_listing(folder))) as address:
        yield address


@pytest.fixture(autouse=True)
def _no_fault_left(url: str) -> Iterator[None]:
    yield
    requests.delete(f"{url}/_faults", timeout=5)


class Client:
    """Asks for one object, with a fault pending."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, route: str, do: str, **more: Any) -> None:
        answer = requests.post(f"{self.url}/_faults", json={"route": route, "do": do, **more}, timeout=5)
        assert answer.status_code == 200, answer.text

    def get(self, route: str, **headers: str) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **headers}
        return requests.get(self.url + PLACES[route], headers=headers, timeout=5, allow_redirects=False)

    def query(self, **fault: Any) -> requests.Response:
        self.fault("invoke", **fault)
        asked = {"service": "Mast.Caom.Filtered", "params": {"columns": "*", "filters": []}, "pagesize": 9}
        return requests.post(f"{self.url}/api/v0/invoke", data={"request": json.dumps(asked)}, timeout=5)


@pytest.fixture
def client(url: str) -> Client:
    return Client(url)


def changed(data: bytes, start: int, stop: int) -> bytes:
    return data[:start] + bytes(byte ^ 1 for byte in data[start:stop]) + data[stop:]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("start", "bytes 105-109/700001"),
        ("total", "bytes 5-9/700101"),
        ("absent", None),
        ("text", "bytes a-b/c"),
    ],
)
@BOTH
def test_bad_range_lies_about_the_right_bytes(route: str, says: str, told: str | None, client: Client) -> None:
    client.fault(route, "bad_range", says=says, by=100)
    answer = client.get(route, Range="bytes=5-9")
    assert (answer.status_code, answer.content) == (206, RIGHT[5:10])
    assert answer.headers.get("Content-Range") == told


@BOTH
def test_bad_range_sends_another_part(route: str, client: Client) -> None:
    client.fault(route, "bad_range", says="part", by=-5)
    answer = client.get(route, Range="bytes=5-9")
    assert (answer.content, answer.headers["Content-Range"]) == (RIGHT[:10], f"bytes 0-9/{SIZE}")


def test_bad_range_needs_a_range(client: Client) -> None:
    client.fault("download", "bad_range", ranged=True, by=1)
    assert client.get("download").content == RIGHT  # not met, and not counted
    assert client.get("download", Range="bytes=5-9").headers["Content-Range"] == f"bytes 6-10/{SIZE}"


@BOTH
def test_swap_is_another_object_to_every_condition(route: str, client: Client) -> None:
    before = client.get(route)
    client.fault(route, "swap", times=4, at_byte=100, count=50, by=7)
    after = client.get(route)
    assert after.content == changed(RIGHT, 100, 150) + bytes(7)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.headers["Last-Modified"] != before.headers["Last-Modified"]
    assert client.get(route, **{"If-Match": before.headers["ETag"]}).status_code == 412
    assert client.get(route, Range="bytes=120-", **{"If-Range": before.headers["ETag"]}).status_code == 200
    part = client.get(route, Range="bytes=120-", **{"If-Match": after.headers["ETag"]})
    assert (part.status_code, part.content) == (206, after.content[120:])
    assert client.get(route).content == RIGHT


@pytest.mark.parametrize("by", [-1000, 0, 300_000])
def test_a_version_of_any_length_reads_the_same_in_parts(by: int) -> None:
    other = OtherVersion(MemoryContent(RIGHT), '"x"', start=3, count=9, more=by)
    whole = b"".join(other.read(0, other.size))
    assert len(whole) == other.size == SIZE + by
    for start in range(0, other.size, 99_991):
        stop = min(other.size, start + 99_991)
        assert b"".join(other.read(start, stop)) == whole[start:stop]


@BOTH
def test_silent_corruption_keeps_length_and_etag(route: str, client: Client) -> None:
    before = client.get(route)
    client.fault(route, "same_etag_other_bytes", at_byte=600_000)
    after = client.get(route)
    assert after.content == changed(RIGHT, 600_000, 600_001)
    for name in ("ETag", "Last-Modified", "Content-Length"):
        assert after.headers[name] == before.headers[name]


@pytest.mark.parametrize("at_byte", [-1, 1000])
@BOTH
def test_no_length(route: str, at_byte: int, client: Client) -> None:
    client.fault(route, "no_length", at_byte=at_byte)
    answer = client.get(route)
    assert "Content-Length" not in answer.headers
    assert answer.headers["Connection"] == "close"
    assert answer.content == (RIGHT if at_byte < 0 else RIGHT[:1000])


def test_chunks_say_where_they_end(client: Client) -> None:
    client.fault("download", "no_length", says="chunked")
    client.fault("download", "no_length", says="chunked", at_byte=1000)
    assert client.get("download").content == RIGHT
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get("download")


def test_long_length(client: Client) -> None:
    client.fault("download", "long", by=10)
    client.fault("download", "long", by=-10)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get("download")
    assert client.get("download").content == RIGHT[:-10]


def test_long_body(client: Client) -> None:
    client.fault("s3_object", "long", says="body", by=10)
    client.fault("s3_object", "long", says="body", by=-10)
    assert client.get("s3_object").content == RIGHT + bytes(10)
    assert client.get("s3_object").content == RIGHT[:-10]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the server, a thread of this process, has slept; it does not really."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_drip(client: Client, slept: list[float]) -> None:
    client.fault("download", "drip", count=100_000, seconds=0.7, at_byte=100_001)
    assert client.get("download").content == RIGHT
    assert slept.count(0.7) == 6


def test_slow_headers(client: Client, slept: list[float]) -> None:
    client.fault("download", "slow_headers", count=5, seconds=0.7)
    answer = client.get("download")
    assert (answer.content, answer.headers["X-Line-4"]) == (RIGHT, "slow")
    assert (
        slept.count(0.7) == len(answer.headers) - 2 + 1
    )  # after each line of the reply, and before the last, empty one


def test_garbage(client: Client) -> None:
    client.fault("download", "garbage")
    with pytest.raises(requests.ConnectionError):
        client.get("download")


@pytest.mark.parametrize("to", ["/elsewhere", "file:///etc/passwd", "http://169.254.169.254/latest"])
def test_redirect_leads_anywhere(to: str, client: Client) -> None:
    client.fault("download", "redirect", to=to)
    client.fault("download", "redirect", to=to, status=307)
    answers = [client.get("download") for _ in range(2)]
    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(302, to), (307, to)]


@BOTH
def test_encoded_body_is_really_gzip(route: str, client: Client) -> None:
    client.fault(route, "encode")
    answer = requests.get(client.url + PLACES[route], timeout=5, stream=True)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.raw.read(decode_content=False)) == RIGHT
    assert client.get(route).content == RIGHT


def test_etag_of_parts(client: Client) -> None:
    client.fault("s3_object", "multipart", count=300_000, times=2)
    parts = [hashlib.md5(RIGHT[i : i + 300_000], usedforsecurity=False).digest() for i in range(0, SIZE, 300_000)]
    etag = f'"{hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()}-3"'
    assert client.get("s3_object").headers["ETag"] == etag
    assert client.get("s3_object", **{"If-Match": etag}).content == RIGHT


def test_any_etag(client: Client) -> None:
    client.fault("download", "etag", says='W/"7"', times=2)
    assert client.get("download").headers["ETag"] == 'W/"7"'
    assert client.get("download", **{"If-Match": '"other"'}).status_code == 412


@pytest.mark.parametrize(("code", "status"), [("", 503), ("SlowDown", 503), ("PermanentRedirect", 301)])
def test_errors_of_the_bucket(code: str, status: int, client: Client) -> None:
    client.fault("s3_object", "s3_error", says=code)
    answer = client.get("s3_object")
    assert answer.status_code == status
    assert f"<Code>{code or 'SlowDown'}</Code>" in answer.text


def test_dates_are_conditions_too(client: Client) -> None:
    date = client.get("download").headers["Last-Modified"]
    assert client.get("download", Range="bytes=5-9", **{"If-Range": date}).status_code == 206
    assert client.get("download", **{"If-Unmodified-Since": date}).status_code == 200
    client.fault("download", "swap", times=2)
    assert client.get("download", Range="bytes=5-9", **{"If-Range": date}).status_code == 200
    assert client.get("download", **{"If-Unmodified-Since": date}).status_code == 412


class TestShapesOfAnswers:
    def test_none_of_them_is_right(self, client: Client) -> None:
        right = client.query(do="headers").content
        shapes = [says for says in _SAYS["json"] if says != "missing_part"]  # which is about no column
        found = {says: client.query(do="json", says=says, column="obsid", by=9).content for says in shapes}
        assert right not in found.values()
        assert len(set(found.values())) == len(shapes)

    def test_rows(self, client: Client) -> None:
        right = client.query(do="headers").json()
        doubled = client.query(do="json", says="duplicate_rows").json()
        assert (len(doubled["data"]), doubled["paging"]["rows"]) == (18, 18)
        half = client.query(do="json", says="partial_page").json()
        assert (len(half["data"]), half["paging"]) == (4, right["paging"])
        none = client.query(do="json", says="no_rows").json()
        assert (none["data"], none["paging"]["rowsTotal"]) == ([], 0)

    def test_columns_and_cells(self, client: Client) -> None:
        lost = client.query(do="json", says="missing_column", column="obsid").json()
        assert all("obsid" not in row for row in lost["data"])
        assert "obsid" not in [field["name"] for field in lost["fields"]]
        masked = client.query(do="json", says="cell", column="obsid").json()
        assert {row["obsid"] for row in masked["data"]} == {None}
        assert "paging" not in client.query(do="json", says="missing_part", column="paging").json()

    def test_paths_that_lead_elsewhere(self, client: Client) -> None:
        client.fault("path_lookup", "json", says="cell", column="path", value="/../secret")
        answer = requests.get(f"{client.url}/api/v0.1/path_lookup/", params={"uri": "mast:x"}, timeout=5).json()
        assert answer == {"mast:x": {"status_code": 404, "path": "/../secret"}}

    def test_size(self, client: Client) -> None:
        assert len(client.query(do="json", says="huge", by=1_000_000).content) == 1_000_001


def test_every_kind_does_something() -> None:
    kinds = set(Fault.model_fields["do"].annotation.__args__)  # type: ignore[union-attr]  # a Literal
    assert kinds == set(_EFFECTS) | set(_VERSIONS) | {"headers", "ignore_range"}


@pytest.mark.parametrize("fault", [{"do": "bad_range", "says": "end"}, {"do": "drop", "says": "goodbye"}])
def test_unknown_variants_are_refused(fault: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="allowed"):
        Fault.model_validate({"route": "download", **fault})
