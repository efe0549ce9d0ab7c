"""Only some rows of a mosaic: the right pixels, no byte twice, holes that read as no coverage."""

import io
import os

# ruff: noqa: ARG002 - the archive in memory answers without looking
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.archives.base import Archive, Located, identity_of
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.locate import locate
from gzjwst_core.cache import fetch_rows as windows
from gzjwst_core.cache.fetch import fetch
from gzjwst_core.cache.fetch_rows import fetch_rows, has_rows, needs_whole
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ArchiveUnavailableError, CorruptMosaicError
from gzjwst_core.models import Mosaic, MosaicSource
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.layout import header_digest
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.rows import Places
from gzjwst_core.options import ArchiveOptions, MosaicOptions
from gzjwst_core.transport.streams import NO_RANGES, ByteStream, Span
from tests.archives.tiny import OBS, SCI, mosaic

OPTIONS = ArchiveOptions()
SIDE, SCALE = 600, 0.06


def body(*, planes: Sequence[str] = ("SCI", "ERR", "CON", "WHT"), dtype: str = "f4") -> bytes:
    """A mosaic of 600 x 603 pixels of noise with a WCS."""
    rng = np.random.default_rng(5)
    hdus: list[fits.PrimaryHDU | fits.ImageHDU] = [fits.PrimaryHDU()]
    for name in planes:
        pixels = rng.uniform(1, 2, (SIDE, SIDE + 3)).astype(dtype)
        hdu = fits.ImageHDU(pixels, name=name)
        hdu.header.update(
            CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.0, CRVAL2=2.0, CRPIX1=300.0, CRPIX2=300.0,
            CDELT1=-SCALE / 3600, CDELT2=SCALE / 3600, CUNIT1="deg", CUNIT2="deg", BUNIT="MJy/sr", PIXAR_SR=8.5e-14,
        )  # fmt: skip
        hdus.append(hdu)
    out = io.BytesIO()
    fits.HDUList(hdus).writeto(out)
    return out.getvalue()


class Counted(Archive):
    """An archive in memory that counts what it gives; ranges come in pieces, the last first."""

    name = "counted"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.given: list[Span] = []
        self.fails_after = 10**9
        self.breaks_every = 10**9
        self.asked = 0

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        size = len(self.data)
        return Located(archive=self.name, uri="c:x.fits", size=size, identity=identity_of("c:x.fits", size, "v1"))

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        yield io.BytesIO(self.data[start:])

    def windowed(self, mosaic: Mosaic) -> bool:
        return True

    def ranges(self, mosaic: Mosaic, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        pieces = [
            Span(at, min(at + 50_000, span.stop)) for span in spans for at in range(span.start, span.stop, 50_000)
        ]
        for piece in reversed(pieces):
            if len(self.given) >= self.fails_after:
                raise ArchiveUnavailableError("no more")
            if piece.size == 50_000:  # of pixels
                self.asked += 1
                if self.asked % self.breaks_every == 0:
                    raise ArchiveUnavailableError("broken")
            self.given.append(piece)
            yield piece, self.data[piece.start : piece.stop]

    @property
    def bytes(self) -> int:
        return sum(span.size for span in self.given)


def at(*north_arcsec: float, reach: float = 1.0) -> Places:
    count = len(north_arcsec)
    return Places(np.full(count, 150.0), 2.0 + np.array(north_arcsec) / 3600, np.full(count, reach))


def truth(data: bytes, plane: str) -> NDArray[np.float32]:
    with fits.open(io.BytesIO(data)) as hdus:
        pixels: NDArray[np.float32] = hdus[plane].data.astype(np.float32)
    return pixels


def bring(archive: Counted, cache: MosaicCache, places: Places) -> MosaicSource:
    fetched = fetch_rows(locate(mosaic(), [archive]), archive, cache, OPTIONS, SCI, places=places)
    assert fetched is not None
    return fetched.source


@pytest.fixture(autouse=True)
def no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's mosaic is so small that all of it would count as a gap worth reading."""
    monkeypatch.setattr(windows, "_GAP_BYTES", 0)


def test_rows_around_places_are_read_and_nothing_else(cache: MosaicCache) -> None:
    archive = Counted(body())
    source = bring(archive, cache, at(0.0, 9.0))
    assert not source.verified
    factor = 8.5e-14 * 1e12
    with open_mosaic(source, MosaicOptions()) as reader:
        for middle in (299, 449):
            box = Box(middle - 15, middle + 15, 0, SIDE + 3)
            part = reader.windows(box)
            for plane, pixels in (("SCI", part.sci), ("ERR", part.err), ("WHT", part.wht)):
                scale = 1.0 if plane == "WHT" else factor
                assert pixels is not None
                np.testing.assert_allclose(pixels, truth(archive.data, plane)[box.slices] * scale, rtol=1e-6)
        rest = reader.windows(Box(0, 250, 0, SIDE))
        assert np.isnan(rest.sci).all()
        assert rest.wht is not None
        assert not rest.wht.any()
    row = (SIDE + 3) * 4
    wanted = 3 * 2 * (2 * 17 + 6) * row
    assert archive.bytes < wanted + 500_000  # headers are read ahead
    assert Path(source.path).stat().st_blocks * 512 < archive.bytes + 200_000  # holes take no disk


def test_more_places_cost_only_their_own_rows(cache: MosaicCache) -> None:
    archive = Counted(body())
    bring(archive, cache, at(0.0))
    first = list(archive.given)
    located = locate(mosaic(), [archive])
    assert has_rows(located, cache, SCI, at(0.0))
    assert not has_rows(located, cache, SCI, at(0.0, -9.0))
    bring(archive, cache, at(0.0, -9.0))
    new = archive.given[len(first) :]
    big = [span for span in first if span.size > 40_000]
    assert all(a.stop <= b.start or b.stop <= a.start for a in new for b in big[:-1])
    before = len(archive.given)
    bring(archive, cache, at(0.0, -9.0))
    assert len(archive.given) == before


def test_all_rows_are_one_plane_each(cache: MosaicCache) -> None:
    archive = Counted(body(planes=("SCI", "CON", "VAR_FLAT")))
    bring(archive, cache, at(*np.linspace(-18, 18, 40)))
    assert archive.bytes <= 1.05 * SIDE * (SIDE + 3) * 4 + 400_000


def test_what_others_have_fetched_changes_nothing(cache: MosaicCache, tmp_path: Path) -> None:
    """Same places, same pixels: also where the cache holds more rows, or the whole."""
    archive = Counted(body())
    alone = bring(archive, MosaicCache(tmp_path / "fresh"), at(0.0))
    bring(archive, cache, at(*np.linspace(-18, 18, 20)))
    after = bring(archive, cache, at(0.0))
    assert after.rows == alone.rows
    with open_mosaic(alone, MosaicOptions()) as one, open_mosaic(after, MosaicOptions()) as other:
        for box in (Box(0, SIDE, 0, SIDE + 3), Box(250, 300, -5, 90)):
            for mine, theirs in zip(
                (one.windows(box).sci, one.windows(box).wht),
                (other.windows(box).sci, other.windows(box).wht),
                strict=True,
            ):
                np.testing.assert_array_equal(mine, theirs)


def test_a_line_that_breaks_goes_on_and_costs_nothing_twice(
    cache: MosaicCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_PROGRESS", 100_000)
    archive = Counted(body())
    archive.breaks_every = 12  # the headers are read in fewer pieces
    source = bring(archive, cache, at(*np.linspace(-18, 18, 40)))
    big = [span for span in archive.given if span.size == 50_000]
    assert len(big) == len(set(big))
    assert len(archive.given) > 3 * archive.breaks_every
    check(source, archive.data, Box(30, 570, 0, SIDE))


def test_what_came_before_a_failure_is_kept(cache: MosaicCache) -> None:
    archive = Counted(body())
    archive.fails_after = 30
    places = at(*np.linspace(-18, 18, 40))
    with pytest.raises(ArchiveUnavailableError):
        bring(archive, cache, places)
    first = archive.bytes
    archive.fails_after = 10**9
    source = bring(archive, cache, places)
    assert archive.bytes < first + len(archive.data) * 3 / 4 - first + 800_000  # headers and a row at each cut again
    check(source, archive.data, Box(30, 570, 0, SIDE))


def test_a_disk_that_takes_less_than_it_is_given(cache: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[: max(1, len(data) // 3)], at))
    archive = Counted(body())
    check(bring(archive, cache, at(0.0)), archive.data, Box(290, 310, 0, SIDE))


def check(source: MosaicSource, data: bytes, box: Box) -> None:
    """The pixels of a window are the archive's."""
    with open_mosaic(source, MosaicOptions()) as reader:
        part = reader.windows(box)
    for plane, pixels in (("SCI", part.sci), ("ERR", part.err), ("WHT", part.wht)):
        scale = 1.0 if plane == "WHT" else 8.5e-14 * 1e12
        assert pixels is not None
        np.testing.assert_allclose(pixels, truth(data, plane)[box.slices] * scale, rtol=1e-6)


def compressed(plane: str) -> bytes:
    """The mosaic with one plane tile-compressed."""
    with fits.open(io.BytesIO(body())) as hdus:
        made = [fits.CompImageHDU(h.data, h.header, name=h.name) if h.name == plane else h for h in hdus]
        out = io.BytesIO()
        fits.HDUList(made).writeto(out)
    return out.getvalue()


@pytest.mark.parametrize("plane", ["SCI", "ERR", "WHT"])
def test_what_is_no_plain_image_is_left_to_a_whole_fetch(plane: str, cache: MosaicCache) -> None:
    archive = Counted(compressed(plane))
    located = locate(mosaic(), [archive])
    assert not needs_whole(located, cache, SCI)
    assert fetch_rows(located, archive, cache, OPTIONS, SCI, places=at(0.0)) is None
    before = len(archive.given)
    assert needs_whole(located, cache, SCI)
    assert fetch_rows(located, archive, cache, OPTIONS, SCI, places=at(0.0)) is None
    assert len(archive.given) == before  # it is known by now
    cache.sweep()
    assert needs_whole(located, cache, SCI)
    assert fetch(located, archive, cache, OPTIONS, SCI).source.verified


def test_a_server_that_gives_no_parts_after_all(cache: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Counted(body())
    located = locate(mosaic(), [archive])

    def refused(*_: object) -> Iterator[tuple[Span, bytes]]:
        raise ArchiveUnavailableError("whole only", reason=NO_RANGES)

    monkeypatch.setattr(archive, "ranges", refused)
    assert fetch_rows(located, archive, cache, OPTIONS, SCI, places=at(0.0)) is None
    assert needs_whole(located, cache, SCI)
    assert fetch(located, archive, cache, OPTIONS, SCI).source.verified


def test_a_primary_header_with_a_name(cache: MosaicCache) -> None:
    with fits.open(io.BytesIO(body())) as hdus:
        hdus[0].header["EXTNAME"] = "JWST"
        out = io.BytesIO()
        hdus.writeto(out)
    archive = Counted(out.getvalue())
    check(bring(archive, cache, at(0.0)), archive.data, Box(290, 310, 0, SIDE))


@pytest.mark.parametrize("end", [100, 5000, 200_000, -2880])
def test_a_body_that_is_not_whole_is_damage(end: int, cache: MosaicCache) -> None:
    archive = Counted(body()[:end])
    with pytest.raises(CorruptMosaicError):
        bring(archive, cache, at(0.0))


def test_a_noise_map_of_another_name_comes_by_rows_too(cache: MosaicCache) -> None:
    archive = Counted(body(planes=("RMS", "SCI")))
    with open_mosaic(bring(archive, cache, at(0.0)), MosaicOptions()) as reader:
        part = reader.windows(Box(290, 310, 0, SIDE))
    assert part.err is not None
    np.testing.assert_allclose(part.err, truth(archive.data, "RMS")[290:310, :SIDE] * 8.5e-2, rtol=1e-6)


def test_plain_file_on_the_mount_by_rows(tmp_path: Path, cache: MosaicCache) -> None:
    """Its identity is that of its headers: nothing else of it is read but the rows."""
    path = tmp_path / "jw09801" / f"{OBS}_i2d.fits"
    path.parent.mkdir()
    path.write_bytes(body())
    archive = DataLabs(tmp_path, cache.digests, whole=False)
    located = locate(mosaic(), [archive])
    assert located.identity == f"{located.uri}|{located.size}|headers-{header_digest(path)[:32]}"
    assert not list(cache.folder.rglob("digests/*"))
    fetched = fetch_rows(located, archive, cache, OPTIONS, SCI, places=at(0.0))
    assert fetched is not None
    assert fetched.bytes_moved < located.size / 3
    path.write_bytes(body(planes=("SCI", "WHT", "CON", "ERR")))
    with pytest.raises(ArchiveUnavailableError) as caught:
        fetch_rows(located, archive, cache, OPTIONS, SCI, places=at(9.0))
    assert caught.value.reason == "changed"
