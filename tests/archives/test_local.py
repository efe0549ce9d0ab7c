"""Mosaics given as files: names, globs, what the profile states, and identities that cover it."""

from pathlib import Path
from typing import Any

import pytest

from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.archives.fetch import fetch
from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.local import Local
from gzjwst_core.archives.locate import locate
from gzjwst_core.errors import CorruptMosaicError, ProfileError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import LocalMosaics, ProductRule, QueryOptions
from tests.archives.conftest import FAST
from tests.archives.tiny import OBS, SCI, fits_bytes, packed

BANDS = ("F115W", "F277W", "F444W")


def archive_of(folder: Path, cache: MosaicCache, *entries: dict[str, Any]) -> Local:
    return Local([LocalMosaics.model_validate(entry) for entry in entries], folder, cache.folder, cache.digests)


def put(path: Path, data: bytes = fits_bytes()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def mosaics(archive: Local) -> list[Mosaic]:
    return [m for field in fields_of(archive.products(QueryOptions(), BANDS)) for m in field.mosaics]


def test_names_of_the_archives_are_read(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "data" / f"{OBS}_i2d.fits")
    put(tmp_path / "data" / "hlsp_ceers_jwst_nircam_nircam1_f444w_v0.5_i2d.fits.gz", packed(fits_bytes()))
    archive = archive_of(tmp_path, cache, {"path": "data/*.fits*"})
    assert [(m.field, m.band) for m in mosaics(archive)] == [("jw09801-o001_t001", "F277W"), ("nircam1", "F444W")]
    for mosaic in mosaics(archive):
        fetched = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI)
        in_place = fetched.source.path == str(tmp_path / "data" / mosaic.filename)
        assert in_place == mosaic.filename.endswith(".fits")
        assert str(tmp_path) not in fetched.source.uri + fetched.source.identity


def test_pattern_and_stated_names(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "uds_f444w.fits")
    put(tmp_path / "F115W" / "data.fits")
    archive = archive_of(
        tmp_path,
        cache,
        {"path": "uds_*.fits", "pattern": r"(?P<field>[a-z]+)_(?P<band>f\d{3}w)"},
        {"path": "F115W/data.fits", "field": "ring", "band": "F115W"},
    )
    assert [(m.field, m.band, m.product_uri) for m in mosaics(archive)] == [
        ("ring", "F115W", "local:ring/F115W/data.fits"),
        ("uds", "F444W", "local:uds/F444W/uds_f444w.fits"),
    ]


def test_folder_and_cache_may_hold_glob_characters(tmp_path: Path, cache: MosaicCache) -> None:
    folder = tmp_path / "a[1]*"
    put(folder / f"{OBS}_i2d.fits")
    put(MosaicCache(tmp_path / "c[2]").folder / "sky" / f"{OBS.replace('o001', 'o002')}_i2d.fits")
    archive = archive_of(folder, MosaicCache(tmp_path / "c[2]"), {"path": "*.fits"}, {"path": "{cache}/sky/*.fits"})
    assert {m.field for m in mosaics(archive)} == {"jw09801-o001_t001", "jw09801-o002_t001"}


def test_every_file_is_accounted_for(tmp_path: Path, cache: MosaicCache) -> None:
    for name in (f"a/{OBS}_i2d.fits", f"b/{OBS}_i2d.fits", "a/x.fits", f"a/{OBS.replace('277', '356')}_i2d.fits"):
        put(tmp_path / name)
    put(tmp_path / "a" / f"{OBS}_segm.fits")
    query = QueryOptions(drop=(ProductRule(column="productFilename", matches=".*_segm.*", reason="segmap"),))
    products = archive_of(tmp_path, cache, {"path": "?/*"}).products(query, BANDS)
    assert sorted(product.reason for product in products) == [
        "",
        "band_not_wanted",
        f"duplicate_of:local:jw09801-o001_t001/F277W/{OBS}_i2d.fits",
        "no_field_or_band",
        "segmap",
    ]


def test_what_the_profile_states_reaches_the_source_and_the_identity(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "data.fits")
    noise = put(tmp_path / "noise.fits")
    stated = {"pixel_scale_arcsec": 0.03, "centre_ra_deg": 150.1, "centre_dec_deg": 1.9, "unit": "MJy/sr"}
    entry = {"path": "data.fits", "field": "ring", "band": "F277W", "err": "noise.fits", **stated}

    def identity(**changes: Any) -> str:
        archive = archive_of(tmp_path, cache, {**entry, **changes})
        [mosaic] = mosaics(archive)
        source = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI).source
        assert (source.err_path, source.unit, source.pixel_scale_arcsec) == (str(noise), "MJy/sr", 0.03)
        return source.identity

    first = identity()
    assert identity() == first
    assert identity(centre_ra_deg=150.2) != first
    noise.write_bytes(fits_bytes(("SCI",)))
    assert identity() != first


def test_a_gzipped_noise_map_is_unpacked_into_the_cache_once(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "data.fits")
    noise = put(tmp_path / "noise_rms.fits.gz", packed(fits_bytes(("SCI", "ERR"))))
    entry = {"path": "data.fits", "field": "ring", "band": "F277W", "err": "noise_rms.fits.gz"}
    paths = set()
    for data in (("SCI", "ERR"), ("SCI", "ERR"), ("ERR", "SCI")):
        noise.write_bytes(packed(fits_bytes(data)))
        archive = archive_of(tmp_path, cache, entry)
        [mosaic] = mosaics(archive)
        source = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI).source
        assert source.path == str(tmp_path / "data.fits")
        assert Path(source.err_path).name == "noise_rms.fits"
        assert Path(source.err_path).read_bytes() == fits_bytes(data)
        paths.add(source.err_path)
    assert len(paths) == len(cache.entries()) == 2
    noise.write_bytes(packed(fits_bytes())[:-9])
    archive = archive_of(tmp_path, cache, entry)
    [mosaic] = mosaics(archive)
    with pytest.raises(CorruptMosaicError, match=r"noise_rms\.fits\.gz: gzip ends too early"):
        fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI)
    assert len(cache.entries()) == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "none.fits"}, r"local\.0\.path: no file fits 'none\.fits'"),
        ({"path": "none*.fits"}, r"local\.0\.path"),
        ({"path": "x.fits", "err": "none.fits"}, r"local\.0\.err"),
        ({"path": "?.fits", "err": "x.fits"}, "one noise map for 2 mosaics"),
    ],
)
def test_mistakes_are_named(entry: dict[str, str], said: str, tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "x.fits")
    put(tmp_path / "y.fits")
    with pytest.raises(ProfileError, match=said):
        archive_of(tmp_path, cache, entry).products(QueryOptions(), BANDS)
