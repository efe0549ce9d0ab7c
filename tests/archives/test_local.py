"""Mosaics given as files: names, globs, what the profile states, and identities that cover it."""

import io
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.local import Local
from gzjwst_core.archives.locate import locate
from gzjwst_core.cache.fetch import fetch
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError, ProfileError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.blocks import blocks_of
from gzjwst_core.mosaics.instrument import check_instrument
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


def test_a_gzipped_noise_map_is_known_by_its_bytes(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "data.fits")
    put(tmp_path / "noise.fits", packed(fits_bytes(("ERR",))))
    archive = archive_of(tmp_path, cache, {"path": "data.fits", "field": "a", "band": "F277W", "err": "noise.fits"})
    [mosaic] = mosaics(archive)
    source = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI).source
    assert Path(source.err_path).read_bytes() == fits_bytes(("ERR",))


def test_a_tile_compressed_file_is_read_where_it_lies(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / f"{OBS}_i2d.fits.fz")
    archive = archive_of(tmp_path, cache, {"path": "*.fz"})
    [mosaic] = mosaics(archive)
    assert (mosaic.field, mosaic.band) == ("jw09801-o001_t001", "F277W")
    fetched = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI)
    assert (fetched.source.path, fetched.bytes_moved) == (str(tmp_path / f"{OBS}_i2d.fits.fz"), 0)


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
        assert blocks_of(Path(source.err_path)) is not None
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
        ({"path": "x.fits", "err": "?.fits"}, r"local\.0\.err: 2 files fit .* x\.fits and y\.fits; one noise map is"),
    ],
)
def test_mistakes_are_named(entry: dict[str, str], said: str, tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "x.fits")
    put(tmp_path / "y.fits")
    with pytest.raises(ProfileError, match=said):
        archive_of(tmp_path, cache, entry).products(QueryOptions(), BANDS)


def stating(instrument: str, *, zipped: bool = False, primary: bool = True) -> bytes:
    """A mosaic whose PRIMARY header, or that of its science plane, states an instrument."""
    with fits.open(io.BytesIO(fits_bytes(("SCI",)))) as hdus:
        hdus[0 if primary else 1].header["INSTRUME"] = instrument
        hdus.writeto(out := io.BytesIO())
    return packed(out.getvalue()) if zipped else out.getvalue()


@pytest.mark.parametrize("primary", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_another_instrument_are_dropped_whatever_they_are_called(
    tmp_path: Path, cache: MosaicCache, *, zipped: bool, primary: bool
) -> None:
    """Both are F277W of one field and have one file name: the address of one must not lead to the other."""
    name = "mosaic.fits.gz" if zipped else "mosaic.fits"
    put(tmp_path / "1" / name, stating("NIRISS", zipped=zipped, primary=primary))
    put(tmp_path / "2" / name, stating("NIRCAM", zipped=zipped, primary=primary))
    entry = LocalMosaics(path="*/mosaic.fits*", field="ring", band="F277W")
    for instrument, folder in (("NIRCAM", "2"), ("NIRISS", "1")):
        archive = Local([entry], tmp_path, cache.folder, cache.digests, instrument)
        products = archive.products(QueryOptions(), BANDS)
        assert sorted((p.reason, p.instrument == instrument) for p in products) == [
            ("", True),
            ("instrument_not_wanted", False),
        ]
        [mosaic] = fields_of(products)[0].mosaics
        assert archive.local_path(mosaic) == tmp_path / folder / name


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a_niriss_f277w.fits", fits_bytes(), "instrument_not_wanted"),
        ("ceers-grizli-v7.0-f277wn-clear_drc_sci.fits", fits_bytes(), "instrument_not_wanted"),
        ("jw01345-o001_t021_niriss_clear-f277w_i2d.fits", fits_bytes(), "instrument_not_wanted"),
        ("a_f277w.fits", stating("WFC3"), "instrument_not_wanted"),
        ("a_f277w.fits", stating("NIRCam"), ""),
        ("a_f277w.fits", stating(""), ""),
        ("a_f277w.fits", stating("UNKNOWN"), ""),
        ("a_f277w.fits", b"no FITS at all", ""),
        ("a_f277w.fits", b"", ""),
        ("a_f277w.fits.gz", b"\x1f\x8b\x08 damaged", ""),
        ("a_niriss_field_f277w.fits", stating("NIRCAM"), ""),  # the header wins
    ],
)
def test_what_header_and_name_tell_of_the_instrument(
    tmp_path: Path, cache: MosaicCache, name: str, data: bytes, reason: str
) -> None:
    put(tmp_path / name, data)
    [product] = archive_of(tmp_path, cache, {"path": "*", "field": "f", "band": "F277W"}).products(
        QueryOptions(), BANDS
    )
    assert product.reason == reason


def test_a_mosaic_whose_header_states_another_instrument_is_refused_by_name(tmp_path: Path) -> None:
    check_instrument(put(tmp_path / "a.fits", stating("NIRCAM")), "NIRCAM")
    with pytest.raises(MosaicLayoutError, match=r"b\.fits: INSTRUME = 'NIRISS', .* is NIRCAM") as caught:
        check_instrument(put(tmp_path / "b.fits", stating("NIRISS")), "NIRCAM")
    assert (caught.value.reason, caught.value.retryable) == ("other_instrument", False)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, r"'uds_f277w\.fits' follows no naming rule of the archives, no field and no band is known"),
        ({"field": "uds"}, r"'uds_f277w\.fits' follows no naming rule of the archives, no band is known"),
        ({"pattern": "cosmos"}, r"'cosmos' is not found in 'uds_f277w\.fits'.*needed: field, band"),
        ({"pattern": r"(?P<band>f\d+w)"}, "no group field"),
        ({"pattern": "(?P<field>[a-z]+)_"}, "no group band"),
        ({"pattern": r"(?P<field>[a-z]+)_(?P<band>f\d\d)"}, "band is 'f27'"),
    ],
)
def test_a_name_that_does_not_tell_is_shown_with_what_it_lacks(
    entry: dict[str, str], said: str, tmp_path: Path, cache: MosaicCache
) -> None:
    put(tmp_path / "uds_f277w.fits")
    archive = archive_of(tmp_path, cache, {"path": "*.fits", **entry})
    with pytest.raises(ProfileError, match=rf"^local\.0\.pattern: .*{said}.*; local\[\]\.pattern needs the groups"):
        archive.products(QueryOptions(), BANDS)
    assert len(archive.faults()) == 1


def test_a_pattern_may_tell_what_is_not_stated(tmp_path: Path, cache: MosaicCache) -> None:
    put(tmp_path / "uds_f277w.fits")
    archive = archive_of(tmp_path, cache, {"path": "*.fits", "pattern": "(?P<field>[a-z]+)_", "band": "F277W"})
    assert [(m.field, m.band) for m in mosaics(archive)] == [("uds", "F277W")]


@pytest.mark.parametrize("name", ["a [b].fits.gz", "a b (1).fits", "a'b;#&=%,~!@.fits.gz", "100%.fits"])
def test_a_file_of_a_usual_name_is_read_whatever_it_holds(tmp_path: Path, cache: MosaicCache, name: str) -> None:
    put(tmp_path / name, packed(fits_bytes()) if name.endswith(".gz") else fits_bytes())
    archive = archive_of(tmp_path, cache, {"path": name, "field": "f", "band": "F277W"})
    [mosaic] = mosaics(archive)
    source = fetch(locate(mosaic, [archive]), archive, cache, FAST, SCI).source
    assert fits.getval(source.path, "EXTNAME", 1) == "SCI"
    assert source.uri == f"local:f/F277W/{name}"


def test_home_variables_and_literal_names(tmp_path: Path, cache: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "run [v2]" / "a [b].fits")
    put(tmp_path / "run [v2]" / "noise?.fits")
    named = {"field": "f", "band": "F277W"}
    for path in ("~/run [v2]/a [b].fits", "$HOME/run [v2]/a*.fits", "${HOME}/run*/a [b].fits", "run [v2]/a [[]b].fits"):
        archive = archive_of(tmp_path, cache, {"path": path, "err": "~/run [v2]/noise?.fits", **named})
        [mosaic] = mosaics(archive)
        assert archive.local_path(mosaic) == tmp_path / "run [v2]" / "a [b].fits"
        assert archive.stated(mosaic)["err_path"] == str(tmp_path / "run [v2]" / "noise?.fits")
    with pytest.raises(ProfileError, match=r"local\.0\.path: '\$NOT_SET_1/a\.fits' names the variable 'NOT_SET_1'"):
        mosaics(archive_of(tmp_path, cache, {"path": "$NOT_SET_1/a.fits"}))
