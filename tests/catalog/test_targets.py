"""Targets are measured where the table says, in its shape or in one that their light gives; nothing is detected."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.catalog.columns import columns_for
from gzjwst_core.catalog.target_list import BAD_POSITION
from gzjwst_core.flag_bits import Flag
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import DetectOptions, MosaicOptions, Options, PhotometryOptions, PsfOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.photometry.target_catalog import catalog_of_targets
from gzjwst_core.storage.tables import apply_columns

SIDE, SCALE = 384, 0.06
PLACES = [(100.0, 120.0), (250.3, 80.7), (200.0, 300.0)]
"""x and y of three galaxies."""
A, B = 4.0, 3.0
"""Their second moments, pixels."""
LIGHT = 2 * np.pi * A * B * (SCALE / 206264.806) ** 2 * 1e12
"""Of each, uJy."""
ROLL = float(np.degrees(np.arctan2(0.3, 1.0)))
"""Of the mosaic; its +x is 90 degrees west of its own up."""


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
    return mosaic(tmp_path_factory.mktemp("mosaic") / "m.fits", A, B)


def mosaic(path: Path, a: float, b: float) -> MosaicSource:
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:SIDE, :SIDE]
    sci = rng.normal(0, 0.01, (SIDE, SIDE))
    for x0, y0 in PLACES:
        sci += np.exp(-((x - x0) ** 2 / (2 * a**2) + (y - y0) ** 2 / (2 * b**2)))
    sci[:, :20] = np.nan
    header = wcs().to_header()
    header["BUNIT"], header["PIXAR_SR"] = "MJy/sr", (SCALE / 206264.806) ** 2
    err = np.full((SIDE, SIDE), 0.01, dtype=np.float32)
    planes = [fits.ImageHDU(sci.astype(np.float32), header, "SCI"), fits.ImageHDU(err, header, "ERR")]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    return MosaicSource(field="f1", band="F277W", path=str(path), uri="local:m.fits", identity="m")


def targets_at(places: list[tuple[float, float]], **values: Sequence[object]) -> Table:
    ra, dec = wcs().all_pix2world([p[0] for p in places], [p[1] for p in places], 0)
    count = len(places)
    table = Table({"ext_id": [f"t{n}" for n in range(count)], "ra": ra % 360, "dec": dec})
    table["which_catalogue"], table["reason"] = "mine", np.full(count, "", dtype="U20")
    for name in ("fov_arcsec", "r50_arcsec", "a_arcsec", "b_arcsec", "theta_sky"):
        table[name] = np.full(count, np.nan)
    for name, column in values.items():
        table[name] = column
    return table


def measured(source: MosaicSource, targets: Table, segmap: Path, *, moments: bool = False) -> FieldCatalog:
    made = catalog_of_targets(targets, [source], Profile(), segmap, bands=("F277W", "F444W"), moments=moments)
    apply_columns(made.table, columns_for(("F277W", "F444W"), (0.3,)))  # nothing missing, nothing unknown
    return made


def labels_in(path: Path) -> NDArray[np.int32]:
    with open_segmap(path) as segmap:
        return segmap.window(whole((SIDE, SIDE)))


def test_light_is_followed_where_the_table_has_no_shape(source: MosaicSource, tmp_path: Path) -> None:
    beside_its_middle = (PLACES[0][0] + 2.5, PLACES[0][1])
    made = measured(source, targets_at([PLACES[2], beside_its_middle]), tmp_path / "s.fits")
    assert made.table["ext_id"].tolist() == ["t0", "t1"]
    assert made.table["which_catalogue"].tolist() == ["mine", "mine"]
    assert made.table["source_id"].tolist() == [1, 2]
    round_r50 = np.sqrt(2 * np.log(2)) * np.sqrt(A * B) * SCALE
    for row in made.table:
        assert row["F277W_flux_auto"] == pytest.approx(LIGHT, rel=0.05)
        assert row["F277W_flux_tot"] == pytest.approx(LIGHT, rel=0.1)
        assert round_r50 * 0.95 < row["r50"] < round_r50 * 1.3
        assert row["ext_fov"] == pytest.approx(12 * row["r50"])
        assert row["flags"] == Flag.TARGET | Flag.KRON_CIRCLE | Flag.FEW_BANDS
        assert np.isnan([row["a"], row["theta_sky"], row["ellipticity"], row["kron_factor"]]).all()
        assert not row["is_star"]
    assert made.counts["targets"] == made.counts["measured_shapes"] == 2
    assert made.table["ra"].unit == "deg"


def test_no_target_is_taken_for_a_star_whose_psf_is_the_fields(tmp_path: Path) -> None:
    profile = Profile(psf=PsfOptions(match="reddest", min_stars=1))
    source = mosaic(tmp_path / "m.fits", a=1.0, b=1.0)  # they look like stars
    made = catalog_of_targets(targets_at(PLACES), [source], profile, tmp_path / "s.fits", bands=("F277W",))
    assert made.counts["psf:F277W:model"] == 0
    assert (made.table["F277W_flux_matched"] > 0).all()


def test_nothing_but_targets_is_in_the_segmap(source: MosaicSource, tmp_path: Path) -> None:
    made = measured(source, targets_at([(320.2, 200.4), PLACES[1]]), tmp_path / "s.fits")
    labels = labels_in(tmp_path / "s.fits")
    assert np.unique(labels).tolist() == [0, 1, 2]
    for row in made.table:
        y, x = np.nonzero(labels == row["segment_id"])
        assert [np.mean(x), np.mean(y)] == pytest.approx([row["x"], row["y"]], abs=0.3)
        assert y.size == row["npix"]
    for place in (PLACES[0], PLACES[2]):
        assert labels[round(place[1]), round(place[0])] == 0


def test_an_empty_place_has_a_small_aperture_and_no_light(source: MosaicSource, tmp_path: Path) -> None:
    row = measured(source, targets_at([(320.2, 200.4)]), tmp_path / "s.fits").table[0]
    assert (row["x"], row["y"]) == (pytest.approx(320.2, abs=1e-3), pytest.approx(200.4, abs=1e-3))
    assert 0.17 < row["kron_a"] < 0.5
    assert abs(row["F277W_flux_auto"]) < 4 * row["F277W_fluxerr_auto"]
    assert not row["is_star"]


def test_the_tables_ellipse_is_the_aperture(source: MosaicSource, tmp_path: Path) -> None:
    angle = (ROLL + 90) % 180  # along +x of the mosaic
    shape = {"a_arcsec": [3 * A * SCALE], "b_arcsec": [3 * B * SCALE], "theta_sky": [angle]}
    row = measured(source, targets_at([PLACES[0]], **shape), tmp_path / "s.fits").table[0]
    assert (row["kron_a"], row["kron_b"]) == (pytest.approx(3 * A * SCALE), pytest.approx(3 * B * SCALE))
    assert row["theta_image"] == pytest.approx(0, abs=0.1)
    assert row["theta_sky"] == pytest.approx(angle, abs=0.1)
    assert row["ellipticity"] == pytest.approx(1 - B / A)
    assert not row["flags"] & Flag.KRON_CIRCLE
    assert row["F277W_flux_auto"] == pytest.approx(LIGHT * (1 - np.exp(-4.5)), rel=0.01)
    y, x = np.nonzero(labels_in(tmp_path / "s.fits") == 1)
    assert np.ptp(x) > np.ptp(y)


def test_second_moments_get_the_kron_ellipse_of_a_survey(source: MosaicSource, tmp_path: Path) -> None:
    survey = build_field_catalog([source], Profile(), tmp_path / "all.fits", bands=("F277W",)).table
    mine = survey[int(np.argmin(np.hypot(survey["x"] - PLACES[1][0], survey["y"] - PLACES[1][1])))]
    place = [(float(mine["x"]), float(mine["y"]))]
    shape = {"a_arcsec": [mine["a"]], "b_arcsec": [mine["b"]], "theta_sky": [mine["theta_sky"]]}
    row = measured(source, targets_at(place, **shape), tmp_path / "s.fits", moments=True).table[0]
    for name in ("kron_a", "kron_b", "F277W_flux_auto", "r50", "mag_ref"):
        assert row[name] == pytest.approx(mine[name], rel=0.01), name


def test_sizes_are_the_tables_where_it_has_them(source: MosaicSource, tmp_path: Path) -> None:
    sizes = {"fov_arcsec": [6.0, np.nan, np.nan], "r50_arcsec": [np.nan, 0.2, np.nan]}
    table = measured(source, targets_at(PLACES, **sizes), tmp_path / "s.fits").table
    assert table["ext_fov"][0] == 6.0
    assert (table["r50"][1], table["ext_fov"][1]) == (pytest.approx(0.2), pytest.approx(2.4))
    assert table["kron_a"][1] == pytest.approx(0.6)
    assert table["ext_fov"][2] == pytest.approx(12 * table["r50"][2])
    assert np.isnan(
        [table["isophote_diagonal"], table["segment_reach"]]
    ).all()  # their segments are ellipses, not light


def test_a_neighbour_stops_the_growth_whether_it_is_a_target_or_not(source: MosaicSource, tmp_path: Path) -> None:
    beside = (PLACES[0][0] + 20, PLACES[0][1])
    alone = measured(source, targets_at([beside]), tmp_path / "one.fits").table
    both = measured(source, targets_at([beside, PLACES[0]]), tmp_path / "two.fits").table
    assert alone["kron_a"][0] < 20 * SCALE
    assert abs(both["F277W_flux_auto"][0]) < 0.05 * LIGHT
    assert both["F277W_flux_auto"][1] == pytest.approx(LIGHT, rel=0.05)


def test_what_is_outside_or_without_data_or_bad_is_not_in_the_table(source: MosaicSource, tmp_path: Path) -> None:
    places = [PLACES[0], (5.0, 200.0), (-30.0, 10.0), (200.0, 500.0), PLACES[1]]
    targets = targets_at(places, reason=["", "", "", "", BAD_POSITION])
    targets.add_row({**dict(targets[0]), "ext_id": "antipode", "ra": 180.0, "dec": -2.0})
    made = measured(source, targets, tmp_path / "s.fits")
    assert made.table["ext_id"].tolist() == ["t0"]


def test_no_target_in_the_field_is_an_empty_table(source: MosaicSource, tmp_path: Path) -> None:
    made = measured(source, targets_at([(900.0, 900.0)]), tmp_path / "s.fits")
    assert (len(made.table), len(made.mosaics)) == (0, 0)
    assert not labels_in(tmp_path / "s.fits").any()


def test_two_targets_on_one_place_are_two_rows_with_its_numbers(source: MosaicSource, tmp_path: Path) -> None:
    near = (PLACES[0][0] + 1, PLACES[0][1])
    targets = targets_at([PLACES[0], near, (320.0, 200.0)])
    table = measured(source, targets, tmp_path / "s.fits").table
    assert table["ext_id"].tolist() == ["t0", "t1", "t2"]
    assert table["segment_id"].tolist() == [1, 1, 2]
    assert table["F277W_flux_auto"][0] == table["F277W_flux_auto"][1]
    assert table["ra"].tolist() == targets["ra"].tolist()


def test_the_bytes_are_the_same_every_time_and_for_any_tiles(source: MosaicSource, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    targets = targets_at([*PLACES, *rng.uniform(20, SIDE, (40, 2)).tolist()])
    whole_table = measured(source, targets, tmp_path / "one").table
    measured(source, targets, tmp_path / "two")
    small = Profile(detect=DetectOptions(bands=("F277W",), threshold=5.0, tile_px=128))
    tiled = catalog_of_targets(targets, [source], small, tmp_path / "three", bands=("F277W", "F444W")).table
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()
    for name in ("kron_a", "F277W_flux_auto", "r50"):
        np.testing.assert_allclose(tiled[name], whole_table[name], rtol=1e-5, err_msg=name)
