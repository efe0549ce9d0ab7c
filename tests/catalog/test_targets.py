"""Targets are measured where they are: sources with the survey's own numbers, the rest in a small circle."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from gzjwst_core.catalog.columns import Flag, columns_for
from gzjwst_core.catalog.field import FieldCatalog, build_field_catalog
from gzjwst_core.catalog.target_list import BAD_POSITION
from gzjwst_core.catalog.targets import catalog_of_targets
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import DetectOptions, MosaicOptions, Options, PhotometryOptions, PsfOptions
from gzjwst_core.storage.tables import apply_columns

SIDE, SCALE = 384, 0.06
PLACES = [(100.0, 120.0), (250.3, 80.7), (200.0, 300.0)]
"""x and y of three galaxies."""


class Profile(Options):
    mosaics: MosaicOptions = MosaicOptions()
    detect: DetectOptions = DetectOptions(bands=("F277W",), threshold=5.0)
    photometry: PhotometryOptions = PhotometryOptions(apertures_arcsec=(0.3,))
    psf: PsfOptions = PsfOptions()


def wcs() -> WCS:
    made = WCS(naxis=2)
    made.wcs.crpix, made.wcs.crval = [SIDE / 2 + 0.5] * 2, [0.001, 2.0]
    made.wcs.cd = np.array([[-1.0, 0.3], [0.3, 1.0]]) / np.hypot(1, 0.3) * SCALE / 3600
    made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MosaicSource:
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:SIDE, :SIDE]
    sci = rng.normal(0, 0.01, (SIDE, SIDE))
    for x0, y0 in PLACES:
        sci += np.exp(-((x - x0) ** 2 / 32 + (y - y0) ** 2 / 18))
    sci[:, :20] = np.nan
    header = wcs().to_header()
    header["BUNIT"], header["PIXAR_SR"] = "MJy/sr", (SCALE / 206264.806) ** 2
    err = np.full((SIDE, SIDE), 0.01, dtype=np.float32)
    planes = [fits.ImageHDU(sci.astype(np.float32), header, "SCI"), fits.ImageHDU(err, header, "ERR")]
    path = tmp_path_factory.mktemp("mosaic") / "m.fits"
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    return MosaicSource(field="f1", band="F277W", path=str(path), uri="local:m.fits", identity="m")


def targets_at(places: list[tuple[float, float]], **values: list[object]) -> Table:
    ra, dec = wcs().all_pix2world([p[0] for p in places], [p[1] for p in places], 0)
    count = len(places)
    table = Table({"ext_id": [f"t{n}" for n in range(count)], "ra": ra % 360, "dec": dec})
    table["fov_arcsec"], table["reason"] = np.full(count, np.nan), np.full(count, "", dtype="U20")
    for name, column in values.items():
        table[name] = column
    return table


def measured(source: MosaicSource, targets: Table, segmap: Path) -> FieldCatalog:
    made = catalog_of_targets(targets, [source], Profile(), segmap, bands=("F277W", "F444W"))
    apply_columns(made.table, columns_for(("F277W", "F444W"), (0.3,)))  # nothing missing, nothing unknown
    return made


@pytest.fixture(scope="module")
def survey(source: MosaicSource, tmp_path_factory: pytest.TempPathFactory) -> FieldCatalog:
    path = tmp_path_factory.mktemp("survey") / "s.fits"
    return build_field_catalog([source], Profile(), path, bands=("F277W", "F444W"))


def test_a_target_that_is_a_source_has_the_surveys_numbers(
    source: MosaicSource, survey: FieldCatalog, tmp_path: Path
) -> None:
    offset = (PLACES[1][0] + 2, PLACES[1][1] - 1)
    made = measured(source, targets_at([PLACES[2], offset]), tmp_path / "s.fits")
    assert made.table["ext_id"].tolist() == ["t0", "t1"]
    assert made.table["source_id"].tolist() == [1, 2]
    row = int(np.argmin(np.hypot(survey.table["x"] - PLACES[1][0], survey.table["y"] - PLACES[1][1])))
    for name in ("x", "y", "mag_ref", "r50", "bbox_diagonal", "kron_a", "segment_id", "F277W_flux_aper030"):
        assert made.table[name][1] == survey.table[name][row], name
    assert not np.any(np.asarray(made.table["flags"]) & np.uint32(Flag.TARGET))
    assert (made.counts["targets"], made.counts["circles"]) == (2, 0)
    assert made.table["ra"].unit == "deg"


def test_an_empty_place_gets_a_small_circle_with_a_segment(source: MosaicSource, tmp_path: Path) -> None:
    made = measured(source, targets_at([(320.2, 200.4), PLACES[0]]), tmp_path / "s.fits")
    circle, galaxy = made.table[0], made.table[1]
    assert circle["flags"] & Flag.TARGET
    assert not galaxy["flags"] & Flag.TARGET
    assert (circle["x"], circle["y"]) == (pytest.approx(320.2, abs=0.01), pytest.approx(200.4, abs=0.01))
    assert circle["kron_a"] == pytest.approx(0.175, abs=1e-3)
    assert abs(circle["F277W_flux_auto"]) < 4 * circle["F277W_fluxerr_auto"]
    assert 0.3 < circle["bbox_diagonal"] < 0.7
    assert np.isnan(circle["ellipticity"])
    assert not circle["is_star"]
    with open_segmap(tmp_path / "s.fits") as segmap:
        labels = segmap.window(whole((SIDE, SIDE)))
    assert np.count_nonzero(labels == circle["segment_id"]) == pytest.approx(np.pi * (0.175 / SCALE) ** 2, abs=6)


def test_what_is_outside_or_without_data_or_bad_is_not_in_the_table(source: MosaicSource, tmp_path: Path) -> None:
    places = [PLACES[0], (5.0, 200.0), (-30.0, 10.0), (200.0, 500.0), PLACES[1]]
    targets = targets_at(places, reason=["", "", "", "", BAD_POSITION])
    targets.add_row({"ext_id": "antipode", "ra": 180.0, "dec": -2.0, "fov_arcsec": np.nan, "reason": ""})
    made = measured(source, targets, tmp_path / "s.fits")
    assert made.table["ext_id"].tolist() == ["t0"]


def test_no_target_in_the_field_is_an_empty_table(source: MosaicSource, tmp_path: Path) -> None:
    made = measured(source, targets_at([(900.0, 900.0)]), tmp_path / "s.fits")
    assert (len(made.table), len(made.mosaics)) == (0, 0)
    with open_segmap(tmp_path / "s.fits") as segmap:
        assert not segmap.window(whole((SIDE, SIDE))).any()


def test_two_targets_on_one_galaxy_are_two_rows(source: MosaicSource, tmp_path: Path) -> None:
    near = (PLACES[0][0] + 1, PLACES[0][1])
    empty, beside = (320.0, 200.0), (321.0, 200.0)
    made = measured(source, targets_at([PLACES[0], near, empty, beside]), tmp_path / "s.fits")
    assert made.table["ext_id"].tolist() == ["t0", "t1", "t2", "t3"]
    assert made.table["segment_id"][0] == made.table["segment_id"][1]
    assert made.table["segment_id"][2] == made.table["segment_id"][3]
    assert made.counts["circles"] == 2


def test_a_stated_field_of_view_is_kept(source: MosaicSource, tmp_path: Path) -> None:
    targets = targets_at([PLACES[0], (320.0, 200.0), PLACES[1]], fov_arcsec=[6.0, 3.0, np.nan])
    table = measured(source, targets, tmp_path / "s.fits").table
    assert (1.5 * np.asarray(table["bbox_diagonal"][:2])).tolist() == pytest.approx([6.0, 3.0])
    assert table["bbox_diagonal"][2] != 0


def test_the_segmap_is_the_same_every_time(source: MosaicSource, tmp_path: Path) -> None:
    targets = targets_at([PLACES[0], (320.0, 200.0)])
    for name in ("one", "two"):
        measured(source, targets, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
