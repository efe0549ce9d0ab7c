"""The catalog of a field against the truth, and what it must not depend on."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.columns import columns_for
from gzjwst_core.detection.tiles import OBJECT_DTYPE
from gzjwst_core.errors import CatalogError, NoValidPixelsError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import DetectOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.runs.engine import cpu_map, use_processes
from tests.catalog.tiny_sky import (
    Profile,
    TinySky,
    catalog_of,
    edited,
    recommended,
    source_of,
    truth_pixels,
    write_plain,
)

FIELDS = ("o001_t001", "south")


def digest(table: Table) -> str:
    parts = [np.asarray(c).astype("S32" if c.dtype.kind in "UO" else c.dtype).tobytes() for c in table.itercols()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def matched(table: Table, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    distance, row = cKDTree(np.column_stack([table["x"], table["y"]])).query(np.column_stack([x, y]))
    return distance, row


# ---------------------------------------------------------------- against the truth


@pytest.fixture(scope="module")
def counted(deep: TinySky, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """For each deep field: the catalog, the truth on its grid and which truth was found (one to one, 0.25 arcsec)."""
    found = []
    for name in FIELDS:
        made = catalog_of(deep, name, tmp_path_factory.mktemp("deep") / f"{name}.fits")
        x, y, inside = truth_pixels(deep, deep.fields[name][0])
        distance, row = matched(made.table, x, y)
        taken: set[int] = set()
        hit = np.zeros(x.size, dtype=bool)
        for i in np.argsort(np.asarray(deep.truth["mag_F277W"])):
            if inside[i] and distance[i] < 0.25 / 0.06 and row[i] not in taken:
                taken.add(int(row[i]))
                hit[i] = True
        found.append({"made": made, "inside": inside, "hit": hit, "row": row, "distance": distance})
    return found


def test_galaxies_a_magnitude_above_the_depth_are_complete(deep: TinySky, counted: list[dict[str, Any]]) -> None:
    galaxy = (np.asarray(deep.truth["kind"]) == "galaxy") & (np.asarray(deep.truth["r50_arcsec"]) < 0.3)
    found = wanted = 0
    for field in counted:
        mosaics = field["made"].mosaics
        depth = float(mosaics["depth"][mosaics["band"] == field["made"].reference_band][0])
        assert depth == pytest.approx(28.0, abs=0.15)
        bright = galaxy & field["inside"] & (np.asarray(deep.truth["mag_F277W"]) < depth - 1)
        found += int((bright & field["hit"]).sum())
        wanted += int(bright.sum())
    assert wanted > 150
    assert found / wanted >= 0.9


def test_nearly_nothing_is_found_on_the_negative_sky(
    deep: TinySky, counted: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Negate the background-subtracted light: 2 c - s has the same background c and noise."""
    positive = negative = 0
    for name, field in zip(FIELDS, counted, strict=True):
        mirrored = tuple(edited(s, tmp_path, _negate) for s in deep.fields[name])
        upside_down = build_field_catalog(mirrored, Profile(), tmp_path / "seg.fits", bands=deep.bands)
        positive += len(field["made"].table)
        negative += len(upside_down.table)
    assert positive > 300
    assert negative / positive <= 0.02


def _negate(hdus: fits.HDUList) -> None:
    name = "SCI_BKSUB" if "SCI_BKSUB" in hdus else "SCI"
    hdus[name].data *= -1


def test_total_magnitudes_and_centres_are_right(deep: TinySky, counted: list[dict[str, Any]]) -> None:
    truth = np.asarray(deep.truth["mag_F277W"])
    galaxy = np.asarray(deep.truth["kind"]) == "galaxy"
    for band in deep.bands:
        difference, offset = [], []
        for field in counted:
            table = field["made"].table
            chosen = np.flatnonzero(field["hit"] & galaxy & (truth < 25))
            rows = field["row"][chosen]
            clean = (np.asarray(table["flags"])[rows] & int(Flag.EDGE | Flag.GAP | Flag.CROWDED)) == 0
            measured = np.asarray(table[f"{band}_mag_tot"])[rows][clean]
            difference.append(measured - np.asarray(deep.truth[f"mag_{band}"])[chosen][clean])
            offset.append(field["distance"][chosen][clean])
        assert np.concatenate(difference).size > 50
        assert abs(np.median(np.concatenate(difference))) < 0.05
        assert np.median(np.concatenate(offset)) < 0.2
        assert np.mean(np.concatenate(offset) < 0.5) > 0.85


def test_saturated_stars_are_one_flagged_star_each(deep: TinySky, counted: list[dict[str, Any]]) -> None:
    saturated = np.asarray(deep.truth["saturated"])
    seen = 0
    for field in counted:
        x_all, _, _ = truth_pixels(deep, deep.fields["o001_t001"][0])
        assert x_all.size == saturated.size
        table = field["made"].table
        for i in np.flatnonzero(saturated & (field["distance"] < 2)):
            row = table[field["row"][i]]
            assert row["is_star"]
            assert row["flags"] & Flag.SATURATED
            seen += 1
            near = (np.abs(table["x"] - row["x"]) < 30) & (np.abs(table["y"] - row["y"]) < 30)
            others = near & (np.asarray(table["segment_id"]) != row["segment_id"])
            assert (np.asarray(table["flags"])[others] & int(Flag.BRIGHT_STAR) > 0).all()
    assert seen >= 3


def test_faint_isolated_stars_are_told_from_galaxies(deep: TinySky, counted: list[dict[str, Any]]) -> None:
    kind, mag = np.asarray(deep.truth["kind"]), np.asarray(deep.truth["mag_F277W"])
    verdicts: dict[str, list[bool]] = {"star": [], "galaxy": []}
    for field in counted:
        for i in np.flatnonzero(field["hit"] & (mag > 19) & (mag < 25.5)):
            row = field["made"].table[field["row"][i]]
            if not row["flags"] & int(Flag.EDGE | Flag.GAP | Flag.CROWDED | Flag.BLENDED):
                verdicts[kind[i]].append(bool(row["is_star"]))
    assert np.mean(verdicts["star"]) > 0.8
    assert np.mean(verdicts["galaxy"]) < 0.05


# ---------------------------------------------------------------- the table and the segmap


def test_the_table_has_exactly_its_columns_and_sane_values(made: tuple[FieldCatalog, str], sky: TinySky) -> None:
    catalog, _ = made
    table = catalog.table
    assert table.colnames == [c.name for c in columns_for(sky.bands, (0.2, 0.3, 0.5, 0.7, 1.0))]
    assert catalog.reference_band == "F277W"
    assert table["source_id"].tolist() == list(range(1, len(table) + 1))
    assert ((table["theta_sky"] >= 0) & (table["theta_sky"] < 180)).all()
    assert (np.asarray(table["xmax"]) >= np.asarray(table["xmin"])).all()
    assert (np.asarray(table["kron_a"]) >= np.asarray(table["kron_b"]) * 0.999).all()
    assert np.isfinite(table["kron_a"]).all()
    np.testing.assert_allclose(table["F444W_flux_tot"], table["F444W_flux_auto"] * table["total_factor"], rtol=1e-5)
    for c in table.itercols():
        assert c.description
    assert set(np.unique(table["n_bands"])) <= {0, 1, 2, 3}


def test_every_segment_has_its_row_and_every_row_its_segment(made: tuple[FieldCatalog, str]) -> None:
    catalog, path = made
    with open_segmap(Path(path)) as segmap:
        labels = segmap.window(whole(segmap.shape))
        ra, dec = segmap.wcs.all_pix2world(catalog.table["x"], catalog.table["y"], 0)
    ids, sizes = np.unique(labels[labels > 0], return_counts=True)
    assert catalog.table["segment_id"].tolist() == ids.tolist()
    assert catalog.table["npix"].tolist() == sizes.tolist()
    np.testing.assert_allclose(catalog.table["ra"], ra, atol=1e-10)
    np.testing.assert_allclose(catalog.table["dec"], dec, atol=1e-10)
    for row in catalog.table:
        rows, columns = np.nonzero(labels == row["segment_id"])
        assert (rows.min(), rows.max()) == (row["ymin"], row["ymax"])
        assert (columns.min(), columns.max()) == (row["xmin"], row["xmax"])


def test_distances_to_edges_and_neighbours_are_those_of_brute_force(
    made: tuple[FieldCatalog, str], sky: TinySky
) -> None:
    table = made[0].table
    x, y = np.asarray(table["x"]), np.asarray(table["y"])
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_allclose(table["nn_dist"], apart.min(axis=1) * 0.06, rtol=1e-5)
    empty = np.ones((502, 502), dtype=bool)
    planes = [fits.getdata(s.path, "WHT") > 0 for s in sky.fields["o001_t001"] if s.band != "F150W"]
    empty[1:-1, 1:-1] = ~(planes[0] | planes[1])
    rows, columns = np.nonzero(empty)
    true = np.hypot(rows - 1 - np.rint(y)[:, None], columns - 1 - np.rint(x)[:, None]).min(axis=1) * 0.06
    near = true < 128 * 0.06
    np.testing.assert_allclose(np.asarray(table["edge_dist"])[near], true[near], atol=0.02)
    assert (np.abs(np.asarray(table["edge_dist"]) - true) < 1.5).all()


def test_position_angles_on_the_sky_follow_the_truth(deep: TinySky, counted: list[dict[str, Any]]) -> None:
    truth = deep.truth
    long = (np.asarray(truth["axis_ratio"]) < 0.6) & (np.asarray(truth["r50_arcsec"]) > 0.2)
    bright = long & (np.asarray(truth["kind"]) == "galaxy") & (np.asarray(truth["mag_F277W"]) < 25)
    errors = []
    for field in counted:
        chosen = np.flatnonzero(bright & field["hit"])
        measured = np.asarray(field["made"].table["theta_sky"])[field["row"][chosen]]
        errors.append(np.abs((measured - np.asarray(truth["pa_deg"])[chosen] + 90) % 180 - 90))
    assert np.concatenate(errors).size > 8
    assert np.median(np.concatenate(errors)) < 5


def test_the_table_of_mosaics_states_zero_points_noise_and_area(made: tuple[FieldCatalog, str]) -> None:
    mosaics = made[0].mosaics
    assert mosaics["band"].tolist() == ["F150W", "F277W", "F444W"]
    assert mosaics["zero_point"] == pytest.approx([28.0865, 26.5814, 26.5814], abs=1e-4)
    assert mosaics["is_detection"].tolist() == [False, True, True]
    assert mosaics["err_factor"] == pytest.approx([1, 1, 1], abs=0.05)
    assert ((mosaics["noise_beta"] >= 0.5) & (mosaics["noise_beta"] < 0.8)).all()
    assert ((mosaics["area"] > 0.1) & (mosaics["area"] < 0.26)).all()
    np.testing.assert_allclose(mosaics["sigma"], mosaics["sigma_pixel"] / mosaics["pixel_scale"] ** 2)


def test_sizes_above_the_isophote_are_there_where_light_is(made: tuple[FieldCatalog, str]) -> None:
    table = made[0].table
    found = table["isophote_diagonal"]
    assert found.unit == "arcsec"
    faint = np.isnan(found)
    assert np.median(table["mag_ref"][faint]) > np.median(table["mag_ref"][~faint])
    beyond = found[~faint] / table["bbox_diagonal"][~faint]
    assert 0.4 < np.median(beyond) < 1.1
    assert beyond.max() < 2


def test_a_segment_is_within_its_reach_of_the_position(made: tuple[FieldCatalog, str]) -> None:
    table = made[0].table
    across = [np.maximum(table[v] - table[f"{v}min"], table[f"{v}max"] - table[v]) + 0.5 for v in ("x", "y")]
    reach = np.asarray(table["segment_reach"]) / 0.06
    assert table["segment_reach"].unit == "arcsec"
    assert (reach >= np.maximum(*across) - 1e-4).all()
    assert (reach <= np.hypot(*across) + 1e-4).all()


# ---------------------------------------------------------------- what it must not depend on


def test_neither_tiles_nor_workers_change_the_sources(
    sky: TinySky, made: tuple[FieldCatalog, str], tmp_path: Path
) -> None:
    tiles = recommended(tile_px=128, halo_px=64)
    small = catalog_of(sky, "o001_t001", tmp_path / "small.fits", tiles)
    assert small.counts["tiles"] == 16
    one, other = made[0].table, small.table
    assert len(one) == len(other)
    distance, row = matched(other, one["x"], one["y"])
    assert len(set(row.tolist())) == len(one)
    alone = (np.asarray(one["flags"]) & int(Flag.BLENDED)) == 0
    assert alone.sum() > 20
    assert distance[alone].max() < 1e-9  # of blends SEP deals the last pixels out at random
    for name in ("npix", "r50", "kron_a", "F150W_flux_auto", "F444W_flux_aper030"):
        assert np.array_equal(one[name][alone], other[name][row[alone]]), name
    for name in ("isophote_diagonal", "segment_reach"):
        size, same = np.asarray(one[name]), np.asarray(other[name])[row]
        assert np.array_equal(size[alone], same[alone], equal_nan=True)
    assert np.mean(distance < 0.02) >= 0.85
    assert distance.max() < 8
    same = distance < 0.02
    for name in ("F150W_flux_auto", "F444W_flux_aper030", "r50", "kron_a"):
        ratio = np.asarray(one[name][same]) / np.asarray(other[name][row[same]])
        assert np.mean(np.abs(ratio - 1) < 0.02) > 0.85  # neighbours of such blends are masked a little differently
    with use_processes(2):
        spread = catalog_of(sky, "o001_t001", tmp_path / "spread.fits", tiles, cpu_map=cpu_map)
    assert digest(spread.table) == digest(other)
    assert digest(spread.mosaics) == digest(small.mosaics)
    assert (tmp_path / "spread.fits").read_bytes() == (tmp_path / "small.fits").read_bytes()


def zero_gaps(hdus: fits.HDUList) -> None:
    gap = np.isnan(hdus["SCI"].data)
    for name in ("SCI", "ERR", "WHT"):
        hdus[name].data[gap] = 0.0


def as_float64_with_bksub(hdus: fits.HDUList) -> None:
    hdus["SCI"].name = "SCI_BKSUB"
    hdus["SCI_BKSUB"].data = hdus["SCI_BKSUB"].data.astype(np.float64)
    decoy = hdus["SCI_BKSUB"].copy()
    decoy.name = "SCI"
    decoy.data = decoy.data + 7.0
    hdus.append(decoy)


@pytest.mark.parametrize("edit", [zero_gaps, as_float64_with_bksub])
def test_zeros_or_nan_in_gaps_and_the_type_of_pixels_change_nothing(
    sky: TinySky, made: tuple[FieldCatalog, str], tmp_path: Path, edit: Callable[[fits.HDUList], None]
) -> None:
    sources = tuple(edited(s, tmp_path, edit) for s in sky.fields["o001_t001"])
    again = build_field_catalog(sources, Profile(), tmp_path / "seg.fits", bands=sky.bands)
    assert digest(again.table) == digest(made[0].table)


def test_detection_bands_on_different_grids_are_stacked(sky: TinySky, tmp_path: Path) -> None:
    """F150W (0.03 arcsec, another grid) joins F277W: deeper than F277W alone, at the same places."""
    alone, both = (
        catalog_of(sky, "o001_t001", tmp_path / "s.fits", recommended(bands=bands))
        for bands in (("F277W",), ("F277W", "F150W"))
    )
    assert both.reference_band == "F277W"
    assert both.mosaics["is_detection"].tolist() == [True, True, False]
    assert len(both.table) > len(alone.table) * 0.85
    bright = np.asarray(alone.table["snr_det"]) > 20
    distance, row = matched(both.table, alone.table["x"][bright], alone.table["y"][bright])
    assert np.median(distance) < 0.4
    for axis in ("x", "y"):
        offset = np.asarray(both.table[axis])[row] - np.asarray(alone.table[axis])[bright]
        assert abs(np.median(offset)) < 0.12
    assert np.median(both.table["snr_det"][row] / alone.table["snr_det"][bright]) > 1.05
    np.testing.assert_allclose(np.median(both.table["mag_ref"][row] - alone.table["mag_ref"][bright]), 0, atol=0.05)


# ---------------------------------------------------------------- other recipes, other files, faults


def test_the_reference_recipe_and_the_reddest_band_run(sky: TinySky, tmp_path: Path) -> None:
    profile = Profile(DetectOptions(recipe="reference", bands=("F356W",)))
    catalog = catalog_of(sky, "o001_t001", tmp_path / "seg.fits", profile)
    assert catalog.reference_band == "F444W"
    assert 5 < len(catalog.table) < 100


def test_bands_that_a_field_lacks_have_empty_columns(sky: TinySky, tmp_path: Path) -> None:
    bands = ("F115W", *sky.bands)
    catalog = build_field_catalog(sky.fields["south"][1:2], Profile(), tmp_path / "s.fits", bands=bands)
    assert np.isnan(catalog.table["F115W_flux_auto"]).all()
    assert (catalog.table["F115W_valid_frac"] == 0).all()
    assert (np.asarray(catalog.table["flags"]) & int(Flag.FEW_BANDS) > 0).all()


def local_source(folder: Path, *, stars: int, **more: Any) -> Any:
    """A big-endian float64 file like a published cutout: no WCS, no unit, no weights."""
    rng = np.random.default_rng(8)
    image = rng.normal(0, 1, (300, 300)) + 2.0
    rows, columns = np.mgrid[:300, :300]
    for y, x in 45 + 70 * np.argwhere(np.ones((4, 4)))[:stars] + rng.uniform(-5, 5, (stars, 2)):
        image += 60 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 2.5**2))
    stated = {"unit": "nJy", "pixel_scale_arcsec": 0.06, "centre_ra_deg": 150.1, "centre_dec_deg": 1.9}
    return source_of(write_plain(folder / "local.fits", image.astype(">f8")), "F444W", **{**stated, **more})


def test_a_local_file_without_anything_else_is_measured(tmp_path: Path) -> None:
    plain = build_field_catalog([local_source(tmp_path, stars=12)], Profile(), tmp_path / "s.fits", bands=("F444W",))
    assert 9 <= len(plain.table) <= 14
    assert (np.asarray(plain.table["flags"]) & int(Flag.NO_ERROR_MAP) > 0).all()
    noise = write_plain(tmp_path / "noise.fits", np.full((300, 300), 2.0))
    mapped = build_field_catalog(
        [local_source(tmp_path, stars=12, err_path=str(noise))], Profile(), tmp_path / "s.fits", bands=("F444W",)
    )
    assert mapped.mosaics["err_factor"][0] == pytest.approx(0.5, abs=0.03)
    assert mapped.mosaics["sigma_pixel"][0] == pytest.approx(1e-3, rel=0.06)
    assert plain.mosaics["sigma_pixel"][0] == pytest.approx(1e-3, rel=0.06)
    assert not (np.asarray(mapped.table["flags"]) & int(Flag.NO_ERROR_MAP)).any()
    brightest = float(np.nanmin(mapped.table["mag_ref"]))
    assert brightest == pytest.approx(31.4 - 2.5 * np.log10(60 * 2 * np.pi * 2.5**2), abs=0.15)


def test_a_sky_without_sources_is_an_empty_table(tmp_path: Path) -> None:
    empty = build_field_catalog(
        [local_source(tmp_path, stars=0)], recommended(threshold=30.0), tmp_path / "s.fits", bands=("F444W",)
    )
    assert len(empty.table) == 0
    assert empty.table.colnames == [c.name for c in columns_for(("F444W",), (0.2, 0.3, 0.5, 0.7, 1.0))]
    with open_segmap(tmp_path / "s.fits") as segmap:
        assert not segmap.window(whole(segmap.shape)).any()


def test_a_band_that_cannot_be_measured_is_left_out_and_counted(sky: TinySky, tmp_path: Path) -> None:
    def blank(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[:] = np.nan

    good, bad = sky.fields["o001_t001"][1], edited(sky.fields["o001_t001"][2], tmp_path, blank)
    catalog = build_field_catalog([good, bad], Profile(), tmp_path / "s.fits", bands=sky.bands)
    assert catalog.counts["skipped:no_valid_pixels"] == 1
    assert catalog.mosaics["band"].tolist() == ["F277W"]
    with pytest.raises(NoValidPixelsError):
        build_field_catalog([bad], Profile(), tmp_path / "s.fits", bands=sky.bands)


def test_one_infinite_pixel_changes_no_other_source(
    sky: TinySky, made: tuple[FieldCatalog, str], tmp_path: Path
) -> None:
    def spike(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[250, 250] = np.inf

    sources = tuple(edited(s, tmp_path, spike) if s.band == "F277W" else s for s in sky.fields["o001_t001"])
    again = build_field_catalog(sources, Profile(), tmp_path / "s.fits", bands=sky.bands)
    assert abs(len(again.table) - len(made[0].table)) <= 1


def test_no_mosaics_and_two_of_one_band_are_refused(sky: TinySky, tmp_path: Path) -> None:
    one = sky.fields["south"][1]
    for sources in ([], [one, one]):
        with pytest.raises(CatalogError):
            build_field_catalog(sources, Profile(), tmp_path / "s.fits", bands=sky.bands)


def test_objects_cross_processes_in_a_plain_layout() -> None:
    assert OBJECT_DTYPE.names is not None
    assert set(OBJECT_DTYPE.names) == {"id", "tile", "flag", "x", "y", "a", "b", "theta"}
