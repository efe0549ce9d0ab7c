"""One contract, four archives: what `locate` and `fetch` rely on holds for each of them, through its real client."""

import io
from pathlib import Path

import pytest
from astropy.io import fits

from gzjwst_core.archives.base import Archive, identity_of
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.directory import Directory
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.cache.fetch import fetch
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ArchiveUnavailableError, GzJwstError, ProductNotFoundError
from gzjwst_core.models import Mosaic
from gzjwst_core.transport.streams import Span
from tests.archives.conftest import BUCKET_FOLDER, FAST, Served
from tests.archives.tiny import OBS, SCI, leftovers, mosaic


def read(archive: Archive, located: Mosaic, start: int = 0) -> bytes:
    with archive.open(located, start=start) as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


class ArchiveContract:
    """Subclass it with a fixture `archive`; the fixture's archive must hold `mosaic()` as `body`."""

    uri: str
    gzipped = False
    sees_versions = True
    """Whether opening tells another version; else its digest does, at the end."""

    def test_finds_with_a_logical_identity(self, archive: Archive, served: Served) -> None:
        found = archive.find(mosaic())
        assert found.archive == archive.name
        assert found.uri == self.uri
        mark = found.identity.removeprefix(f"{found.uri}|{found.size}|")
        assert len(mark) >= 32
        assert served.url not in found.identity
        assert str(served.folder) not in found.identity
        assert archive.find(mosaic()) == found

    def test_cheap_answer_agrees(self, archive: Archive) -> None:
        found, cheap = archive.find(mosaic()), archive.find(mosaic(), cheap=True)
        assert cheap == found  # the digest is on record by now

    def test_does_not_have_what_is_not_there(self, archive: Archive) -> None:
        for other in ("jw09801-o0011_t001_nircam_clear-f277w", f"{OBS}-sub160", "jw09802-o001_t001_nircam_clear-f277w"):
            with pytest.raises(ProductNotFoundError):
                archive.find(mosaic(f"{other}_i2d.fits"))

    def test_gives_the_body(self, archive: Archive, served: Served) -> None:
        located = locate(mosaic(), [archive])
        data = read(archive, located)
        assert len(data) == located.size
        assert self.gzipped or data == served.body

    @pytest.mark.parametrize("start", [1, 2880, 100_000, -1])
    def test_gives_the_rest_of_the_body(self, archive: Archive, start: int) -> None:
        located = locate(mosaic(), [archive])
        start %= located.size
        assert read(archive, located, start) == read(archive, located)[start:]

    def test_gives_no_byte_of_another_version(self, archive: Archive, cache: MosaicCache) -> None:
        located = locate(mosaic(), [archive])
        other = located.replace(identity=identity_of(located.uri, located.size, "0" * 64))
        for start in (0, located.size // 2) if self.sees_versions else ():
            with pytest.raises(ArchiveUnavailableError) as caught:
                read(archive, other, start)
            assert caught.value.reason == "changed"
        with pytest.raises(GzJwstError) as caught_later:
            fetch(other, archive, cache, FAST, SCI)
        assert (caught_later.value.reason, caught_later.value.retryable) == ("changed", True)
        assert not list(cache.folder.rglob("*.fits"))

    def test_gives_parts_where_it_is_windowed(self, archive: Archive) -> None:
        located = locate(mosaic(), [archive])
        assert archive.windowed(located) or self.gzipped or archive.name == "mast"
        if not archive.windowed(located):
            return
        body, spans = read(archive, located), [Span(0, 2880), Span(700_000, 700_001), Span(5000, located.size)]
        parts = list(archive.ranges(located, spans))
        assert all(data == body[span.start : span.stop] for span, data in parts)
        given = sorted(byte for span, _ in parts for byte in (span.start, span.stop))
        assert sum(span.size for span, _ in parts) == sum(span.size for span in spans)
        assert (given[0], given[-1]) == (0, located.size)
        other = located.replace(identity=identity_of(located.uri, located.size, "0" * 64))
        with pytest.raises(ArchiveUnavailableError) as caught:
            list(archive.ranges(other, spans))
        assert caught.value.reason == "changed"

    def test_fetches_the_needed_planes(self, archive: Archive, cache: MosaicCache, served: Served) -> None:
        located = locate(mosaic(), [archive])
        told: list[int] = []
        fetched = fetch(located, archive, cache, FAST, SCI, progress=told.append)
        assert fetched.bytes_moved == located.size == sum(told)
        assert (fetched.source.uri, fetched.source.identity) == (located.uri, located.identity)
        with fits.open(fetched.source.path) as kept, fits.open(io.BytesIO(served.body)) as whole:
            assert [hdu.name for hdu in kept] == ["PRIMARY", "SCI", "ERR", "WHT"]
            assert all(repr(hdu.header) == repr(whole[hdu.name].header) for hdu in kept)
            assert all((kept[name].data == whole[name].data).all() for name in ("SCI", "ERR", "WHT"))
        assert not leftovers(cache.folder)

    def test_second_fetch_moves_nothing(self, archive: Archive, cache: MosaicCache, served: Served) -> None:
        located = locate(mosaic(), [archive])
        first = fetch(located, archive, cache, FAST, SCI)
        state = Path(first.source.path).stat()
        served.forget()
        again = fetch(located, archive, cache, FAST, SCI)
        assert (again.bytes_moved, again.source) == (0, first.source)
        assert served.log() == []
        assert Path(first.source.path).stat().st_mtime_ns == state.st_mtime_ns

    def test_another_size_is_refused(self, archive: Archive, cache: MosaicCache) -> None:
        located = locate(mosaic(), [archive])
        for size in (located.size - 1, located.size + 1):
            with pytest.raises(GzJwstError) as caught:
                fetch(located.replace(size=size), archive, cache, FAST, SCI)
            assert caught.value.retryable
            assert caught.value.reason in {"size_mismatch", "changed"}
        assert not list(cache.folder.rglob("*.fits"))
        assert not leftovers(cache.folder)


class TestDataLabs(ArchiveContract):
    uri = f"datalabs:jw09801/{OBS}_i2d.fits.gz"
    gzipped = True
    sees_versions = False

    @pytest.fixture
    def archive(self, served: Served, cache: MosaicCache) -> Archive:
        return DataLabs(served.folder / "datalabs", cache.digests)


@pytest.mark.usefixtures("served")
class TestS3(ArchiveContract):
    uri = f"s3://stpubdata/jwst/public/jw09801/L3/t/o001/{OBS}_i2d.fits"

    @pytest.fixture
    def archive(self) -> Archive:
        return S3(FAST)


@pytest.mark.usefixtures("served")
class TestMast(ArchiveContract):
    uri = f"mast:JWST/product/{OBS}_i2d.fits"

    @pytest.fixture
    def archive(self) -> Archive:
        return MastDownload(FAST)


@pytest.mark.usefixtures("served")
class TestDirectory(ArchiveContract):
    uri = f"http://127.0.0.1/{BUCKET_FOLDER}/{OBS}_i2d.fits"

    @pytest.fixture
    def archive(self, served: Served) -> Archive:
        return Directory(served.directory)
