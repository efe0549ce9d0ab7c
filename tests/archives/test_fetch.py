"""Fetching under faults: right bytes in the cache, or a named error and nothing at all."""

# ruff: noqa: ARG002 - the fake archive answers without looking

import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy.io import fits

from gzjwst_core.archives import fetch as fetch_module
from gzjwst_core.archives.base import Archive, ByteStream, Located, identity_of
from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.fetch import fetch, is_fetched
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.errors import (
    ArchiveUnavailableError,
    CorruptMosaicError,
    GzJwstError,
    MosaicLayoutError,
    StorageError,
)
from gzjwst_core.models import Mosaic, digest_of
from gzjwst_core.mosaics.planes import keep_planes
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
    def open(self, mosaic: Mosaic) -> Iterator[ByteStream]:
        yield io.BytesIO(self._body)


def bring(body: bytes, cache: MosaicCache) -> bytes:
    archive = InMemory(body)
    return Path(fetch(locate(mosaic(), [archive]), archive, cache, SCI).source.path).read_bytes()


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
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


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


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"do": "status", "status": 503}, "archive_unavailable"),
        ({"do": "status", "status": 429}, "archive_unavailable"),
        ({"do": "drop"}, "archive_unavailable"),
        ({"do": "reset", "at_byte": 700_000}, "archive_unavailable"),
        ({"do": "truncate", "at_byte": 700_000}, "archive_unavailable"),
        ({"do": "stall", "at_byte": 700_000, "seconds": 1.6}, "archive_unavailable"),
        ({"do": "html"}, "size_mismatch"),
        ({"do": "truncate", "at_byte": 700_000, "headers": {"Content-Length": None}}, "size_mismatch"),
        ({"do": "headers", "headers": {"ETag": '"another"'}}, "changed"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_broken_transfer_from_mast(fault: dict[str, object], reason: str, served: Served, cache: MosaicCache) -> None:
    archive = MastDownload(FAST)
    located = locate(mosaic(), [archive])
    served.fault(route="download", method="GET", **fault)
    with pytest.raises(GzJwstError) as caught:
        fetch(located, archive, cache, SCI)
    assert (caught.value.reason, caught.value.retryable) == (reason, True)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []
    assert sum(entry["method"] == "GET" for entry in served.log()) == 1  # retries are made above
    assert fetch(located, archive, cache, SCI).bytes_moved == located.size


@pytest.mark.parametrize(
    "fault",
    [{"do": "status", "status": 503}, {"do": "reset", "at_byte": 300_000}, {"do": "truncate", "at_byte": 300_000}],
    ids=str,
)
def test_broken_transfer_from_s3(fault: dict[str, object], served: Served, cache: MosaicCache) -> None:
    archive = S3(FAST)
    located = locate(mosaic(), [archive])
    served.fault(route="s3_object", method="GET", **fault)
    with pytest.raises(ArchiveUnavailableError):
        fetch(located, archive, cache, SCI)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []
    assert sum(entry["method"] == "GET" for entry in served.log()) == 1
    assert fetch(located, archive, cache, SCI).bytes_moved == located.size


def test_size_that_nobody_states(served: Served, cache: MosaicCache) -> None:
    archive = MastDownload(FAST)
    served.fault(route="download", method="HEAD", do="headers", headers={"Content-Length": None})
    located = locate(mosaic(), [archive])
    assert located.size == 0
    assert fetch(located, archive, cache, SCI).bytes_moved == len(served.body)


def test_object_that_changed_since_it_was_located(served: Served, cache: MosaicCache) -> None:
    archive = S3(FAST)
    located = locate(mosaic(), [archive])
    with pytest.raises(ArchiveUnavailableError) as caught:
        fetch(located.replace(identity=located.identity + "0"), archive, cache, SCI)
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
        fetch(located, archive, cache, SCI)
    assert caught.value.reason == "changed"
    assert not list(cache.folder.rglob("*.fits"))


def test_plain_file_on_the_mount_is_read_in_place(tmp_path: Path, cache: MosaicCache) -> None:
    path = tmp_path / "jw09801" / f"{OBS}_i2d.fits"
    path.parent.mkdir()
    path.write_bytes(WHOLE)
    archive = DataLabs(tmp_path, cache.digests)
    located = locate(mosaic(), [archive])
    assert is_fetched(located, archive, cache, SCI)
    fetched = fetch(located, archive, cache, SCI)
    assert (fetched.source.path, fetched.bytes_moved) == (str(path), 0)
    path.write_bytes(WHOLE[:-2880])
    with pytest.raises(CorruptMosaicError):
        fetch(located, archive, cache, SCI)


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
        fetch(located, archive, cache, SCI)
    assert (caught.value.reason, caught.value.retryable) == ("disk_full", False)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


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
    path = Path(fetch(located, archive, cache, SCI).source.path)
    good = path.read_bytes()
    harm(path.parent)
    assert not is_fetched(located, archive, cache, SCI)
    assert fetch(located, archive, cache, SCI).bytes_moved == located.size
    assert path.read_bytes() == good


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from gzjwst_core.archives.cache import MosaicCache
    from gzjwst_core.archives.fetch import fetch
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

    fetch(locate(mosaic(), [archive]), archive, cache, SCI, progress=killed_half_way)
"""


def test_killed_fetch_leaves_no_entry_and_is_swept(served: Served, cache: MosaicCache) -> None:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(cache.folder)]
    ended = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(leftovers(cache.folder)) == 1
    assert not list(cache.folder.rglob("*.fits"))
    assert cache.sweep() == 1
    assert not leftovers(cache.folder)


def test_sweep_leaves_files_of_living_processes(cache: MosaicCache) -> None:
    with cache.scratch(cache.folder / "x.fits") as temporary:
        temporary.write_bytes(b"x")
        assert cache.sweep() == 0
        assert temporary.exists()
    assert not temporary.exists()
