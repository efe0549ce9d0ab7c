"""Fetching under faults: right bytes in the cache, or a named error and nothing at all."""

# ruff: noqa: ARG002 - the fake archive answers without looking

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy.io import fits

from gzjwst_core.archives.base import Archive, Located, identity_of, whole_only
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.cache import fetch as fetch_module
from gzjwst_core.cache.fetch import fetch, is_fetched
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import (
    ArchiveUnavailableError,
    CorruptMosaicError,
    GzJwstError,
    MosaicError,
    MosaicLayoutError,
    StorageError,
)
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.planes import keep_planes
from gzjwst_core.transport.streams import ByteStream
from gzjwst_core.values import digest_of
from tests.archives.conftest import FAST, Served
from tests.archives.tiny import OBS, SCI, fits_bytes, leftovers, mosaic, packed


class InMemory(Archive):
    """An archive of one body; a fourth archive needs no more than this."""

    name = "memory"

    def __init__(self, body: bytes) -> None:
        self._body = body

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        size, mark = len(self._body), digest_of(self._body.hex())
        return Located(archive=self.name, uri="memory:x", size=size, identity=identity_of("memory:x", size, mark))

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        whole_only(start, mosaic.filename)
        yield io.BytesIO(self._body)


def bring(body: bytes, cache: MosaicCache) -> bytes:
    archive = InMemory(body)
    return Path(fetch(locate(mosaic(), [archive]), archive, cache, FAST, SCI).source.path).read_bytes()


def files(cache: MosaicCache) -> list[Path]:
    """What a fetch left: all files but locks."""
    return [path for path in cache.folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


WHOLE = fits_bytes()
KEPT = fits_bytes(("SCI", "ERR", "WHT"))


def header_with(card: str, *, at: int = 2880) -> bytes:
    """The whole mosaic with one card of its SCI header exchanged."""
    data = bytearray(WHOLE)
    start = data.index(card[:8].encode(), at)
    data[start : start + 80] = card.ljust(80).encode()
    return bytes(data)


FAULTS: dict[str, bytes] = {
    "empty": b"",
    "html": b"<html><body>Down for maintenance</body></html>",
    "json": b'{"message": "no"}',
    "in a header": WHOLE[:3000],
    "half": WHOLE[: len(WHOLE) // 2],
    "last byte": WHOLE[:-1],
    "last block": WHOLE[:-2880],
    "junk after": WHOLE + b"x" * 2880,
    "zeros after": WHOLE + bytes(2880),
    "absurd axis": header_with("NAXIS1  =               100000000000"),
    "two absurd axes": header_with("NAXIS1  =           1000000"),
    "negative axis": header_with("NAXIS1  =                   -5"),
    "no number": header_with("NAXIS1  = 'many'"),
    "bad bitpix": header_with("BITPIX  =                  -99"),
    "many axes": header_with("NAXIS   =                  999"),
    "gz half": packed(WHOLE)[: len(packed(WHOLE)) // 2],
    "gz without its length": packed(WHOLE)[:-4],
    "gz without its trailer": packed(WHOLE)[:-8],
    "gz junk after": packed(WHOLE) + b"junk",
    "gz checksum": packed(WHOLE)[:-8] + b"\0\0\0\0" + packed(WHOLE)[-4:],
    "gz of html": packed(b"<html></html>"),
    "gz of a gz": packed(packed(WHOLE)),
    "gz magic alone": b"\x1f\x8b",
    "endless header": WHOLE[:2880] + b"XTENSION= 'IMAGE   '".ljust(80) + b" " * (2880 * 1001 - 80),
}


@pytest.mark.parametrize("name", FAULTS)
def test_damaged_body_leaves_nothing(name: str, cache: MosaicCache) -> None:
    with pytest.raises(CorruptMosaicError) as caught:
        bring(FAULTS[name], cache)
    assert caught.value.retryable
    assert f"{OBS}_i2d.fits" in str(caught.value)
    assert files(cache) == []


@pytest.mark.parametrize(
    "body",
    [WHOLE, packed(WHOLE), packed(WHOLE[:5000]) + packed(WHOLE[5000:]), packed(WHOLE) + bytes(700)],
    ids=["plain", "gz", "two members", "gz with zeros after"],
)
def test_whole_body_leaves_its_planes(body: bytes, cache: MosaicCache) -> None:
    assert bring(body, cache) == KEPT


def test_flipped_byte_in_gzip_is_never_accepted(cache: MosaicCache) -> None:
    body = packed(WHOLE)
    for at in range(10, len(body) - 4, max(1, len(body) // 25)):
        changed = bytearray(body)
        changed[at] ^= 0x10
        try:
            assert bring(bytes(changed), cache) == KEPT
        except CorruptMosaicError:
            continue


@pytest.mark.parametrize(
    ("planes", "kept"),
    [
        (("SCI_BKSUB", "SCI", "ERR", "WHT", "BKGD"), ("SCI_BKSUB", "ERR", "WHT")),
        (("ERR", "SCI", "WHT"), ("ERR", "SCI", "WHT")),
        (("SCI",), ("SCI",)),
        (("SCI", "SCI", "WHT"), ("SCI", "WHT")),
    ],
)
def test_which_planes_stay(planes: tuple[str, ...], kept: tuple[str, ...], cache: MosaicCache) -> None:
    bring(fits_bytes(planes), cache)
    with fits.open(next(cache.folder.rglob("*.fits"))) as hdus:
        assert tuple(hdu.name for hdu in hdus[1:]) == kept


@pytest.mark.parametrize("body", [fits_bytes(("ERR", "WHT")), WHOLE[:2880]], ids=["ERR and WHT", "PRIMARY alone"])
def test_no_science_plane_is_no_damage(body: bytes, cache: MosaicCache) -> None:
    with pytest.raises(MosaicLayoutError, match="it has PRIMARY") as caught:
        bring(body, cache)
    assert (caught.value.reason, caught.value.retryable) == ("missing_extension", False)


def test_gzip_bomb_stops_at_its_first_block(cache: MosaicCache) -> None:
    with pytest.raises(CorruptMosaicError, match="not FITS"):
        bring(packed(bytes(50_000_000)), cache)


BROKEN: list[tuple[dict[str, object], str, int]] = [
    ({"do": "status", "status": 503}, "archive_unavailable", 0),
    ({"do": "status", "status": 429}, "archive_unavailable", 0),
    ({"do": "drop"}, "archive_unavailable", 0),
    ({"do": "reset", "at_byte": 700_000}, "cut_off", 700_000),
    ({"do": "truncate", "at_byte": 700_000}, "cut_off", 700_000),
    ({"do": "stall", "at_byte": 700_000, "seconds": 1.6}, "archive_unavailable", 700_000),
    ({"do": "html"}, "not_a_file", 0),
    ({"do": "truncate", "at_byte": 700_000, "headers": {"Content-Length": None}}, "cut_off", 700_000),
    ({"do": "headers", "headers": {"ETag": '"another"'}}, "changed", 0),
]
"""Fault, the error's reason, and what at most is kept of the body."""


@pytest.mark.parametrize("broken", BROKEN, ids=str)
@pytest.mark.parametrize("name", ["mast", "s3"])
def test_broken_transfer_goes_on_where_it_stopped(
    name: str, broken: tuple[dict[str, object], str, int], served: Served, cache: MosaicCache
) -> None:
    fault, reason, most = broken
    archive: Archive = MastDownload(FAST) if name == "mast" else S3(FAST)
    located = locate(mosaic(), [archive])
    served.fault(route="download" if name == "mast" else "s3_object", method="GET", **fault)
    with pytest.raises(GzJwstError) as caught:
        fetch(located, archive, cache, FAST, SCI)
    assert caught.value.retryable
    assert name == "s3" or caught.value.reason == reason
    assert not list(cache.folder.rglob("*.fits"))
    assert sum(entry["method"] == "GET" for entry in served.log()) == 1  # retries are made above
    kept = sum(path.stat().st_size for path in cache.folder.rglob("*.body"))
    assert kept <= most
    again = fetch(located, archive, cache, FAST, SCI)
    assert again.bytes_moved == located.size - kept
    assert not list(cache.folder.rglob("*.body"))
    with fits.open(again.source.path) as hdus, fits.open(io.BytesIO(served.body)) as whole:
        assert all((hdus[plane].data == whole[plane].data).all() for plane in ("SCI", "ERR", "WHT"))


def test_size_that_nobody_states(served: Served, cache: MosaicCache) -> None:
    archive = MastDownload(FAST)
    served.fault(route="download", method="HEAD", do="headers", headers={"Content-Length": None})
    located = locate(mosaic(), [archive])
    assert located.size == 0
    assert fetch(located, archive, cache, FAST, SCI).bytes_moved == len(served.body)


def test_object_that_changed_since_it_was_located(served: Served, cache: MosaicCache) -> None:
    archive = S3(FAST)
    located = locate(mosaic(), [archive])
    with pytest.raises(ArchiveUnavailableError) as caught:
        fetch(located.replace(identity=located.identity + "0"), archive, cache, FAST, SCI)
    assert caught.value.reason == "changed"


def test_file_on_the_mount_that_changed_since_it_was_located(tmp_path: Path, cache: MosaicCache) -> None:
    path = tmp_path / "jw09801" / f"{OBS}_i2d.fits.gz"
    path.parent.mkdir()
    path.write_bytes(packed(WHOLE))
    archive = DataLabs(tmp_path, cache.digests)
    located = locate(mosaic(), [archive])
    other = bytearray(packed(WHOLE))
    other[4] ^= 1  # the time in its header: another file, of the same size and content
    path.write_bytes(bytes(other))
    with pytest.raises(CorruptMosaicError) as caught:
        fetch(located, archive, cache, FAST, SCI)
    assert caught.value.reason == "changed"
    assert not list(cache.folder.rglob("*.fits"))


def test_plain_file_on_the_mount_is_read_in_place(tmp_path: Path, cache: MosaicCache) -> None:
    path = tmp_path / "jw09801" / f"{OBS}_i2d.fits"
    path.parent.mkdir()
    path.write_bytes(WHOLE)
    archive = DataLabs(tmp_path, cache.digests)
    located = locate(mosaic(), [archive])
    assert is_fetched(located, archive, cache, SCI)
    fetched = fetch(located, archive, cache, FAST, SCI)
    assert (fetched.source.path, fetched.bytes_moved) == (str(path), 0)
    path.write_bytes(WHOLE[:-2880])
    with pytest.raises(CorruptMosaicError):
        fetch(located, archive, cache, FAST, SCI)


def test_full_disk_is_named_and_leaves_nothing(
    served: Served, cache: MosaicCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MastDownload(FAST)
    located = locate(mosaic(), [archive])
    keep = keep_planes

    def full(stream: ByteStream, target: object, *rest: object) -> tuple[str, ...]:
        keep(stream, target, *rest)  # type: ignore[arg-type]  # passed on as it came
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetch_module, "keep_planes", full)
    with pytest.raises(StorageError) as caught:
        fetch(located, archive, cache, FAST, SCI)
    assert (caught.value.reason, caught.value.retryable) == ("disk_full", False)
    assert files(cache) == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2880])


@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: next(entry.glob("*.fits")).unlink(),
        lambda entry: (entry / "source.json").unlink(),
        lambda entry: (entry / "source.json").write_text("{"),
        lambda entry: _cut(next(entry.glob("*.fits"))),
    ],
    ids=["file gone", "record gone", "record damaged", "file cut"],
)
def test_entry_that_is_not_whole_is_fetched_again(
    harm: Callable[[Path], object], served: Served, cache: MosaicCache
) -> None:
    archive = MastDownload(FAST)
    located = locate(mosaic(), [archive])
    path = Path(fetch(located, archive, cache, FAST, SCI).source.path)
    good = path.read_bytes()
    harm(path.parent)
    assert not is_fetched(located, archive, cache, SCI)
    assert fetch(located, archive, cache, FAST, SCI).bytes_moved == located.size
    assert path.read_bytes() == good


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from gzjwst_core.cache.mosaic_cache import MosaicCache
    from gzjwst_core.cache.fetch import fetch
    from gzjwst_core.archives.locate import locate
    from gzjwst_core.archives.mast_download import MastDownload
    from tests.archives.conftest import FAST
    from tests.archives.tiny import SCI, mosaic

    archive, cache, seen = MastDownload(FAST), MosaicCache(Path(sys.argv[1])), 0

    def killed_half_way(count):
        global seen
        seen += count
        if seen > 1_000_000:
            os.kill(os.getpid(), signal.SIGKILL)

    fetch(locate(mosaic(), [archive]), archive, cache, FAST, SCI, progress=killed_half_way)
"""


def test_killed_fetch_goes_on_where_it_stopped(served: Served, cache: MosaicCache) -> None:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(cache.folder)]
    ended = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not list(cache.folder.rglob("*.fits"))
    (partial,) = cache.folder.rglob("*.body")
    came = partial.stat().st_size
    assert 0 < came < len(served.body)
    archive = MastDownload(FAST)
    located = locate(mosaic(), [archive])
    assert fetch(located, archive, cache, FAST, SCI).bytes_moved == located.size - came
    assert not partial.exists()
    assert not leftovers(cache.folder)


def test_a_mosaic_that_is_too_large_is_not_begun(cache: MosaicCache) -> None:
    archive = InMemory(WHOLE)
    located = locate(mosaic(), [archive]).replace(size=25 << 30)
    with pytest.raises(MosaicError, match="more than a mosaic may have") as caught:
        fetch(located, archive, cache, FAST, SCI)
    assert (caught.value.reason, caught.value.retryable) == ("too_large", False)
    assert files(cache) == []


def test_a_mosaic_that_has_no_room_is_not_begun(cache: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = InMemory(WHOLE)
    disk = shutil.disk_usage(cache.folder.parent)
    monkeypatch.setattr("shutil.disk_usage", lambda _: disk._replace(free=len(WHOLE) - 1))
    with pytest.raises(StorageError, match="the cache's disk has") as caught:
        fetch(locate(mosaic(), [archive]), archive, cache, FAST, SCI)
    assert caught.value.reason == "disk_full"
    assert files(cache) == []
