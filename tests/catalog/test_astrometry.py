"""Offsets are found as large as they are, and solved for one a field; positions, names and WCS follow."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.catalog.astrometry import REFERENCE, Comparison, compare_with, solve
from gzjwst_core.catalog.offset import Offset, Pairs, measure_offset
from gzjwst_core.catalog.reference_tables import read_reference
from gzjwst_core.catalog.survey import Survey, build_survey
from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift, moved, shifted_wcs
from gzjwst_core.options import AstrometryOptions, MergeOptions, MosaicOptions
from tests.catalog.tiny_sky import TinySky, catalog_of, edited, render_sky

DATA = Path(os.environ.get("GZJWST_TEST_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
CEERS = DATA / "ceers_reference" / "CEERS_EGS_HST_v1.9_cat_radecmag.ecsv"
TRUE = SkyShift(180.0, -120.0)
ASKEW: dict[str, Any] = {
    "seed": 5,
    "size_arcsec": 30.0,
    "overlap_fraction": 0.6,
    "bright_stars": 0,
    "galaxies_per_arcmin2": 800.0,
}
NONE = np.zeros(0, dtype=np.int64)


def offset(dra: float, ddec: float, error: float = 1.0, *, good: bool = True) -> Offset:
    return Offset(20, dra, ddec, error, error, 5.0, good, NONE)


def scattered(seed: int, n: int, chance: int, at: tuple[float, float], sigma: float = 15.0) -> Pairs:
    """True pairs around an offset, and chance pairs of the same rows all over the circle of an arcsec."""
    random = np.random.default_rng(seed)
    radius, angle = 1000 * np.sqrt(random.random(chance)), random.uniform(0, 2 * np.pi, chance)
    dx = np.concatenate([random.normal(at[0], sigma, n), radius * np.cos(angle)])
    dy = np.concatenate([random.normal(at[1], sigma, n), radius * np.sin(angle)])
    inside = np.hypot(dx, dy) < 1000
    one = np.concatenate([np.arange(n), random.integers(0, n, chance)])
    two = np.concatenate([np.arange(n), random.integers(0, n, chance)])
    return Pairs(one[inside], two[inside], dx[inside], dy[inside])


def test_an_offset_is_found_among_chance_pairs_and_its_error_is_true() -> None:
    found = [measure_offset(scattered(seed, 60, 120, (-430.0, 210.0)), 1.0, 10) for seed in range(60)]
    assert all(one.good for one in found)
    pulls = [((one.dra + 430) / one.dra_err, (one.ddec - 210) / one.ddec_err) for one in found]
    assert 0.8 < np.std(pulls) < 1.25
    assert abs(np.mean(pulls)) < 0.3
    assert 12 < np.median([one.scatter for one in found]) < 17


@pytest.mark.parametrize("n_chance", [0, 3, 40, 400])
def test_chance_is_no_offset(n_chance: int) -> None:
    found = [measure_offset(scattered(seed, 500, n_chance, (9999.0, 0.0)), 1.0, 10) for seed in range(20)]
    assert not any(one.good for one in found)


def test_the_rows_of_a_pair_are_taken_once() -> None:
    """One star and five pieces of it are one pair."""
    pairs = Pairs(np.zeros(5, dtype=int), np.arange(5), np.linspace(0, 40, 5), np.zeros(5))
    found = measure_offset(pairs, 1.0, 1)
    assert found.n == 1


shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))
edges = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0.1, 20.0)), max_size=14)


@settings(max_examples=60, deadline=None)
@given(st.lists(shifts, min_size=1, max_size=7), edges, st.sets(st.integers(0, 6), max_size=2))
def test_the_solution_is_exact_on_every_graph(
    true: list[tuple[float, float]], links: list[tuple[int, int, float]], anchored: set[int]
) -> None:
    names = [f"f{number}" for number in range(len(true))]
    links = [(i, j, e) for i, j, e in links if i != j and max(i, j) < len(true)]
    anchors = [i for i in anchored if i < len(true)]
    told = [
        Comparison(names[i], names[j], offset(true[i][0] - true[j][0], true[i][1] - true[j][1], e)) for i, j, e in links
    ]
    told += [Comparison(names[i], REFERENCE, offset(*true[i])) for i in anchors]
    told += [Comparison(names[0], names[-1], offset(1e6, 1e6, good=False))]
    solved = solve(names, told)
    group = parts(len(true), [(i, j) for i, j, _ in links])
    for root in set(group):
        rows = [i for i in range(len(true)) if group[i] == root]
        zero = np.zeros(2) if set(rows) & set(anchors) else np.mean([true[i] for i in rows], axis=0)
        for i in rows:
            expected = np.array(true[i]) - zero
            assert np.allclose(solved[names[i]].shift, expected, atol=0.011)
            assert np.isfinite(solved[names[i]].dra_err) == (len(rows) > 1 or i in anchors)


def parts(count: int, links: list[tuple[int, int]]) -> list[int]:
    """Number of the connected part that each node is in."""
    part = list(range(count))
    for one, two in links:
        part = [part[one] if value == part[two] else value for value in part]
    return part


def test_better_measurements_count_for_more() -> None:
    """Round a triangle that does not close, the error goes where the weight is least."""
    told = [
        Comparison("a", REFERENCE, offset(0, 0, 0.1)),
        Comparison("a", "b", offset(-10, 0, 1.0)),
        Comparison("b", REFERENCE, offset(16, 0, 2.0)),
    ]
    solved = solve(["a", "b"], told)
    assert solved["b"].shift.dra_mas == pytest.approx((10 * 4 + 16) / 5, abs=0.1)
    assert solved["b"].dra_err == pytest.approx(np.sqrt(4 / 5), rel=0.02)


@pytest.mark.parametrize(("ra", "dec"), [(150.1, 2.2), (214.9, 52.9), (0.0, -27.8)])
def test_a_moved_position_on_the_moved_wcs_is_the_same_pixel(ra: float, dec: float) -> None:
    wcs = stated_wcs((10000, 10000), 0.06, ra, dec)  # 10 arcmin
    x, y = np.random.default_rng(1).uniform(0, 10000, (2, 200))
    places = [np.asarray(v) for v in wcs.all_pix2world(x, y, 0)]
    shift = SkyShift(100.0, -70.0)
    there = shifted_wcs(wcs, shift).all_world2pix(*moved(places[0], places[1], shift), 0)
    assert np.hypot(there[0] - x, there[1] - y).max() < 0.01
    assert shifted_wcs(wcs, NO_SHIFT) is wcs


# ---------------------------------------------------------------- on pixels


@pytest.fixture(scope="module")
def askew(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinySky, dict[str, Table]]:
    """Two fields that share most of their sky; the WCS of the second is off by a known offset."""
    folder = tmp_path_factory.mktemp("askew")
    sky = render_sky(folder, ("F277W",), **ASKEW)
    (source,) = sky.fields["south"]
    sky.fields["south"] = (edited(source, folder, bend),)
    return sky, {name: catalog_of(sky, name, folder / f"{name}.fits").table for name in sky.fields}


def bend(hdus: fits.HDUList) -> None:
    for hdu in hdus:
        if "CRVAL1" in hdu.header:
            dec = hdu.header["CRVAL2"]
            hdu.header["CRVAL1"] += TRUE.dra_mas / 3.6e6 / np.cos(np.deg2rad(dec))
            hdu.header["CRVAL2"] += TRUE.ddec_mas / 3.6e6


def surveyed(tables: dict[str, Table], reference: Table | None = None, **options: Any) -> Survey:
    copies = {name: table.copy() for name, table in tables.items()}
    merging = MergeOptions(radius_arcsec=0.15)  # less than the offset
    profile = SimpleNamespace(name="demo", merge=merging, astrometry=AstrometryOptions(**options))
    return build_survey(copies, profile, reference=reference)


def row_of(table: Table, field: str, against: str) -> Any:
    (row,) = table[(table["field"] == field) & (table["against"] == against)]
    return row


def test_a_known_offset_between_fields_is_recovered(askew: tuple[TinySky, dict[str, Table]]) -> None:
    made = surveyed(askew[1])
    row = row_of(made.astrometry, "o001_t001", "south")
    assert row["used"]
    assert row["n"] >= 10
    assert abs(row["dra"] - TRUE.dra_mas) < 3 * row["dra_err"] < 15
    assert abs(row["ddec"] - TRUE.ddec_mas) < 3 * row["ddec_err"] < 15
    assert abs(row["dmag"]) < 0.1
    assert np.hypot(row["left_dra"], row["left_ddec"]) < 0.1
    adopted = made.astrometry[made.astrometry["kind"] == "adopted"]
    assert np.allclose(np.sum(adopted["dra"]), 0, atol=0.02)
    assert not adopted["used"].any()
    assert made.shifts == {}
    assert made.catalog["ra"].tolist() == [v for name in sorted(askew[1]) for v in askew[1][name]["ra"].tolist()]


def separations(table: Table) -> NDArray[np.float64]:
    """Mas between the primary and the secondary of each group of two."""
    lone = {row["group_id"]: row for row in table[table["is_primary"]]}
    pairs = [(lone[row["group_id"]], row) for row in table[~table["is_primary"]]]
    return np.array(
        [np.hypot((a["ra"] - b["ra"]) * np.cos(np.deg2rad(a["dec"])), a["dec"] - b["dec"]) * 3.6e6 for a, b in pairs]
    )


def test_duplicates_are_found_with_the_offset_taken_off_and_agree_after_it_is_removed(
    askew: tuple[TinySky, dict[str, Table]],
) -> None:
    kept, removed = surveyed(askew[1]), surveyed(askew[1], remove=True)
    blind = surveyed(askew[1], min_pairs=10_000)  # no offset is good enough
    assert np.sum(~kept.catalog["is_primary"]) == np.sum(~removed.catalog["is_primary"]) >= 15
    assert np.sum(~blind.catalog["is_primary"]) <= 2
    assert 200 < np.median(separations(kept.catalog)) < 235
    assert np.median(separations(removed.catalog)) < 25
    assert kept.catalog["id_str"].tolist() != removed.catalog["id_str"].tolist()
    assert set(removed.shifts) == set(askew[1])


def test_against_a_reference_every_field_comes_to_its_place(askew: tuple[TinySky, dict[str, Table]]) -> None:
    sky, tables = askew
    truth = Table({"ra": sky.truth["ra_deg"], "dec": sky.truth["dec_deg"], "mag": sky.truth["mag_F277W"]})
    made = surveyed(tables, truth, remove=True)
    row = row_of(made.astrometry, "south", REFERENCE)
    assert abs(row["dra"] + TRUE.dra_mas) < 3 * row["dra_err"]
    assert abs(row["ddec"] + TRUE.ddec_mas) < 3 * row["ddec_err"]
    assert abs(row["dmag"]) < 0.2
    right = [made.shifts[field] for field in ("o001_t001", "south")]
    assert np.allclose(right, [(0, 0), (-TRUE.dra_mas, -TRUE.ddec_mas)], atol=6)


def test_a_corrected_source_is_on_its_own_pixel_of_the_corrected_wcs(
    askew: tuple[TinySky, dict[str, Table]],
) -> None:
    made = surveyed(askew[1], remove=True)
    for field, (source,) in askew[0].fields.items():
        with open_mosaic(source, MosaicOptions()) as reader:
            wcs = shifted_wcs(reader.wcs, made.shifts[field])
        rows = made.catalog[made.catalog["field"] == field]
        x, y = wcs.all_world2pix(rows["ra"], rows["dec"], 0)
        assert np.hypot(x - rows["x"], y - rows["y"]).max() < 0.002


def test_the_reference_of_ceers_is_read_and_found_shifted() -> None:
    """The real table: 40,398 sources of HST in three columns of its own."""
    if not CEERS.is_file():
        pytest.skip("the folder of real data is not there (set GZJWST_TEST_DATA)")
    reference = read_reference(CEERS)
    assert len(reference) == 40398
    random = np.random.default_rng(3)
    bright = reference[reference["mag"] < 25]
    bright = bright[random.permutation(len(bright))[:800]]
    ra, dec = moved(np.asarray(bright["ra"]), np.asarray(bright["dec"]), SkyShift(310.0, -250.0))
    noise = random.normal(0, 10 / 3.6e6, (2, len(bright)))
    rows = Table({"ra": ra + noise[0] / np.cos(np.deg2rad(dec)), "dec": dec + noise[1], "mag_ref": bright["mag"]})
    rows["field"] = np.where(np.arange(len(rows)) % 2, "east", "west")
    told = list(compare_with(rows, reference, AstrometryOptions()))
    assert [one.field for one in told] == ["east", "west"]
    for one in told:
        assert one.offset.good
        assert abs(one.offset.dra + 310) < 4 * one.offset.dra_err < 6
        assert abs(one.offset.ddec - 250) < 4 * one.offset.ddec_err < 6
