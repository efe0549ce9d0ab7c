"""The mounted volume: exact names only, never a guess, never a write."""

import logging
from pathlib import Path

import pytest

from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.locate import locate
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import AmbiguousProductError, NameRefusedError, ProductNotFoundError
from tests.archives.tiny import OBS, mosaic


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def archive(volume: Path, cache: MosaicCache) -> DataLabs:
    return DataLabs(volume, cache.digests)


def put(volume: Path, *names: str) -> None:
    for name in names:
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_bytes(name.encode())


@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
def test_plain_or_gzipped(ending: str, volume: Path, archive: DataLabs) -> None:
    put(volume, f"jw09801/{OBS}_i2d{ending}")
    assert archive.find(mosaic()).uri == f"datalabs:jw09801/{OBS}_i2d{ending}"


def test_programme_has_five_digits(volume: Path, archive: DataLabs) -> None:
    for programme in ("01345", "10000"):
        name = f"jw{programme}-o001_t021_nircam_clear-f200w_i2d.fits"
        put(volume, f"jw{programme}/{name}.gz", f"jw0{programme}/{name}.gz")
        assert archive.find(mosaic(name)).uri == f"datalabs:jw{programme}/{name}.gz"


@pytest.mark.parametrize(
    "near",
    [
        OBS.replace("o001", "o0011"),
        f"{OBS}-sub160",
        f"{OBS}_extra",
        f"x{OBS}",
        OBS.upper(),
    ],
)
def test_near_names_are_others(near: str, volume: Path, archive: DataLabs) -> None:
    put(volume, f"jw09801/{near}_i2d.fits.gz")
    with pytest.raises(ProductNotFoundError):
        archive.find(mosaic())


def test_two_files_are_ambiguous_and_both_named(volume: Path, archive: DataLabs) -> None:
    put(volume, f"jw09801/{OBS}_i2d.fits.gz", f"jw09801/{OBS}_i2d.fits")
    with pytest.raises(AmbiguousProductError, match=r"_i2d\.fits, jw09801/.*_i2d\.fits\.gz"):
        archive.find(mosaic())


def test_teams_product_in_any_programme(volume: Path, archive: DataLabs) -> None:
    name = "hlsp_ceers_jwst_nircam_nircam1_f200w_v0.5_i2d.fits.gz"
    put(volume, f"jw01345/{name}", "other/" + name)
    assert archive.find(mosaic(name)).uri == f"datalabs:jw01345/{name}"
    put(volume, f"jw02750/{name}")
    with pytest.raises(AmbiguousProductError):
        archive.find(mosaic(name))


@pytest.mark.parametrize("name", ["*_i2d.fits", "../x_i2d.fits", "[a-z]_i2d.fits", "/etc/passwd", "a?_i2d.fits"])
def test_no_pattern_and_no_path_gets_through(name: str, volume: Path, archive: DataLabs) -> None:
    put(volume, f"jw09801/{OBS}_i2d.fits")
    with pytest.raises(NameRefusedError):
        archive.find(mosaic(name))


def test_absent_volume_is_said_once(archive: DataLabs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            with pytest.raises(ProductNotFoundError) as caught:
                archive.find(mosaic())
            assert caught.value.reason == "no_volume"
    assert len(caplog.records) == 1


def test_dangling_link_is_nothing(volume: Path, archive: DataLabs) -> None:
    (volume / "jw09801").mkdir(parents=True)
    (volume / "jw09801" / f"{OBS}_i2d.fits").symlink_to(volume / "nowhere")
    with pytest.raises(ProductNotFoundError):
        archive.find(mosaic())


def test_digest_is_read_once_and_follows_the_file(
    volume: Path, archive: DataLabs, cache: MosaicCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(volume, f"jw09801/{OBS}_i2d.fits.gz")
    cheap = archive.find(mosaic(), cheap=True)
    assert cheap.identity.endswith("|")
    assert not cache.folder.exists()  # a cheap answer writes nothing
    first = archive.find(mosaic()).identity
    assert archive.find(mosaic(), cheap=True).identity == first
    monkeypatch.setattr("gzjwst_core.archives.digests._sha256", lambda path: pytest.fail(f"{path} read again"))
    assert DataLabs(volume, MosaicCache(cache.folder).digests).find(mosaic()).identity == first
    monkeypatch.undo()
    (volume / "jw09801" / f"{OBS}_i2d.fits.gz").write_bytes(b"new")
    assert archive.find(mosaic()).identity != first


def test_volume_is_never_written(volume: Path, archive: DataLabs) -> None:
    put(volume, f"jw09801/{OBS}_i2d.fits.gz")
    before = sorted(volume.rglob("*"))
    locate(mosaic(), [archive])
    assert sorted(volume.rglob("*")) == before
