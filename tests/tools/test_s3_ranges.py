"""The S3 archive against a real S3 server: guarded reads of whole bodies and of parts, and what ETags tell."""

import hashlib
import random
from collections.abc import Iterator

import pytest
import s3fs

from gzjwst_core.archives.base import mark_of
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.s3 import S3, bucket_key
from gzjwst_core.errors import ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.etags import EtagCheck
from gzjwst_core.transport.streams import Span
from tests.archives.tiny import OBS, mosaic
from tests.sky.test_s3_contract import BUCKET, _seaweedfs, opened

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]

MIB = 1 << 20
BODY = random.Random(7).randbytes(40 * MIB + 2880)
IN_PARTS = mosaic(f"{OBS.replace('f277w', 'f444w')}_i2d.fits")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        with _seaweedfs(tmp_path_factory.mktemp("weed")) as url:
            yield url


@pytest.fixture(scope="module")
def owner(endpoint: str) -> Iterator[s3fs.S3FileSystem]:
    """Who may write: one object at once, and one in parts of 16 MiB."""
    with opened(endpoint, key="writer", secret="writing-key") as fs:  # noqa: S106  # of a server that lives a minute
        fs.mkdir(BUCKET)
        put(fs, mosaic(), BODY)
        put(fs, IN_PARTS, BODY, part=16 * MIB)
        yield fs


def put(fs: s3fs.S3FileSystem, product: Mosaic, body: bytes, *, part: int = 0) -> None:
    name = {"Bucket": BUCKET, "Key": bucket_key(product)}
    if not part:
        fs.call_s3("put_object", Body=body, **name)
        return
    upload = {**name, "UploadId": fs.call_s3("create_multipart_upload", **name)["UploadId"]}
    parts = [
        {
            "PartNumber": number,
            "ETag": fs.call_s3("upload_part", PartNumber=number, Body=body[start : start + part], **upload)["ETag"],
        }
        for number, start in enumerate(range(0, len(body), part), 1)
    ]
    fs.call_s3("complete_multipart_upload", MultipartUpload={"Parts": parts}, **upload)


@pytest.fixture
def archive(endpoint: str, owner: s3fs.S3FileSystem) -> S3:
    return S3(ArchiveOptions(s3_endpoint=endpoint, connect_timeout_s=5, read_timeout_s=20))


@pytest.fixture
def no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gzjwst_core.archives.s3.lookup_key", lambda *_: None)


@pytest.mark.parametrize("product", [mosaic(), IN_PARTS], ids=["at-once", "in-parts"])
def test_a_whole_body_and_its_etag(product: Mosaic, archive: S3) -> None:
    located = locate(product, [archive])
    check = EtagCheck(mark_of(located.identity), located.size)
    came = bytearray()
    with archive.open(located) as stream:
        while block := stream.read(4 * MIB):
            check.feed(block)
            came += block
    assert hashlib.sha256(came).digest() == hashlib.sha256(BODY).digest()
    assert check.verdict() == "right"
    assert ("-3" in mark_of(located.identity)) == (product is IN_PARTS)


@pytest.mark.parametrize("start", [1, 16 * MIB - 1, 40 * MIB + 2879])
def test_the_rest_of_a_body(start: int, archive: S3) -> None:
    located = locate(IN_PARTS, [archive])
    with archive.open(located, start=start) as stream:
        assert b"".join(iter(lambda: stream.read(MIB), b"")) == BODY[start:]


def test_many_spans(archive: S3) -> None:
    located = locate(IN_PARTS, [archive])
    spans = [Span(at, at + 100_000 + 7 * i) for i, at in enumerate(range(0, 40 * MIB, 900_000))]
    spans.append(Span(MIB, 39 * MIB))
    came = list(archive.ranges(located, spans))
    assert all(data == BODY[slice(*span)] for span, data in came)
    assert sum(len(data) for _, data in came) == sum(span.size for span in spans)


def test_an_object_that_is_replaced_meanwhile(archive: S3, owner: s3fs.S3FileSystem) -> None:
    product = mosaic(f"{OBS.replace('f277w', 'f115w')}_i2d.fits")
    put(owner, product, BODY[: 9 * MIB])
    located = locate(product, [archive])
    put(owner, product, BODY[MIB : 10 * MIB])
    with pytest.raises(ArchiveUnavailableError) as caught:
        list(archive.ranges(located, [Span(0, MIB), Span(2 * MIB, 3 * MIB)]))
    assert caught.value.reason == "changed"
    for start in (0, MIB):
        with pytest.raises(ArchiveUnavailableError) as caught, archive.open(located, start=start):
            pass
        assert caught.value.reason == "changed"


@pytest.mark.usefixtures("no_look_up")
def test_what_is_not_there(archive: S3) -> None:
    with pytest.raises(ProductNotFoundError):
        archive.find(mosaic(f"{OBS.replace('f277w', 'f090w')}_i2d.fits"))
