"""Two catalogs of one sky: the offset is found and taken off, matches are one to one, every source is counted once."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.astrometry import compare_with
from gzjwst_core.catalog.crossmatch import Comparison, Sources, compare, near_any
from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.options import AstrometryOptions, CompareOptions, QueryOptions, SurveyOptions
from gzjwst_core.options.archives import LocalMosaics
from gzjwst_core.runs.work import Receipt
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.crossmatch import CROSSMATCH, crossmatch, matches_path, plan_crossmatch
from gzjwst_core.survey.field_coverage import on_data
from gzjwst_core.survey.profile import SurveyProfile
from gzjwst_core.survey.run import SurveyRun

RA0, DEC0, SIDE_DEG = 359.999, 60.0, 0.01


def sky(count: int, seed: int = 1) -> Sources:
    """Sources on both sides of right ascension 0."""
    rng = np.random.default_rng(seed)
    ra = (RA0 + rng.uniform(0, 2 * SIDE_DEG, count)) % 360
    mag = rng.uniform(20, 26, count)
    return Sources(np.array([f"s{n}" for n in range(count)]), ra, DEC0 + rng.uniform(0, SIDE_DEG, count), mag)


def moved(sources: Sources, east_mas: float, north_mas: float, noise_mas: float = 0.0) -> Sources:
    rng = np.random.default_rng(7)
    east, north = (v + rng.normal(0, noise_mas, sources.ra.size) for v in (east_mas, north_mas))
    ra = (sources.ra + east / 3.6e6 / np.cos(np.radians(sources.dec))) % 360
    return sources._replace(ra=ra, dec=sources.dec + north / 3.6e6)


def compared(ours: Sources, theirs: Sources) -> Comparison:
    return compare(ours, theirs, ("other", "F444W"), radius_arcsec=0.3, offset_radius_arcsec=1.0)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (640.0, -420.0), (-90.0, 15.0)])
def test_a_systematic_offset_is_found_and_taken_off(offset: tuple[float, float]) -> None:
    ours = sky(400)
    theirs = moved(ours, *offset, noise_mas=12.0)._replace(mag=ours.mag - 0.1)
    made = compared(ours, theirs)
    row = made.summary[0]
    assert [row["offset_ra"], row["offset_dec"]] == pytest.approx(offset, abs=3)
    assert row["scatter"] == pytest.approx(12, rel=0.15)
    assert 0.4 < row["offset_error"] < 1.5
    assert row["ours_fraction"] > 0.98
    assert row["dmag"] == pytest.approx(0.1, abs=1e-3)
    assert row["dmag_mad"] < 1e-9
    right = made.matches["id_str"] == made.matches["ext_id"]
    assert right.mean() > 0.99
    assert np.median(made.matches["separation"]) < 0.03


@pytest.mark.parametrize("count", [20, 120])
def test_two_lists_that_have_nothing_in_common_have_no_offset_and_match_by_chance_alone(count: int) -> None:
    """400 and 2400 of ours: with an offset fitted to chance pairs, several times as many would match."""
    side, radius = 30.0, 0.3
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(20):
        ra, dec = rng.uniform(0, side / 3600, (2, 2, count))
        one, two = (sky(count)._replace(ra=ra[n], dec=dec[n]) for n in (0, 1))
        row = compared(one, two).summary[0]
        assert np.isnan([row["offset_ra"], row["offset_dec"], row["offset_error"], row["scatter"]]).all()
        shares.append(row["ours_fraction"])
    assert np.mean(shares) < 2 * (1 - np.exp(-np.pi * radius**2 * count / side**2)) + 3e-3


def test_magnitudes_are_ours_minus_theirs_in_both_tables() -> None:
    ours = sky(60)
    brighter = ours._replace(mag=ours.mag - 0.5)
    mine, its = (
        Table({"ra": one.ra, "dec": one.dec, "mag_ref": one.mag, "mag": one.mag, "field": ["f"] * 60})
        for one in (ours, brighter)
    )
    (astrometry,) = compare_with(mine, its, AstrometryOptions())
    assert astrometry.dmag == pytest.approx(0.5)
    assert compared(ours, brighter).summary["dmag"][0] == pytest.approx(0.5)


def test_what_one_lacks_is_counted_by_magnitude_both_ways() -> None:
    ours = sky(300)
    faint, bright = ours.mag > 25, ours.mag < 21
    made = compared(ours.take(~bright), moved(ours, 50, 0).take(~faint))
    rows = {int(row["mag_low"]): row for row in made.summary[1:]}
    assert sorted(rows) == [20, 21, 22, 23, 24, 25]
    assert rows[20]["theirs"] == bright.sum()
    assert rows[20]["theirs_matched"] <= 1  # by chance
    assert rows[25]["ours"] == faint.sum()
    assert rows[25]["ours_matched"] <= 1
    assert rows[22]["ours_fraction"] > 0.97
    assert np.isnan(rows[25]["theirs_fraction"])
    total = made.summary[0]
    for name in ("ours", "ours_matched", "theirs", "theirs_matched"):
        assert total[name] == sum(row[name] for row in rows.values())
    assert total["ours_matched"] == total["theirs_matched"] == len(made.matches)


def test_sources_without_magnitude_count_in_the_total_alone() -> None:
    ours = sky(40)
    made = compared(ours, ours._replace(mag=np.full(40, np.nan)))
    assert made.summary["theirs"].tolist()[0] == 40
    assert sum(made.summary["theirs"][1:]) == 0
    assert np.isnan(made.matches["dmag"]).all()


@pytest.mark.parametrize(("n_ours", "n_theirs"), [(0, 5), (5, 0), (0, 0)])
def test_an_empty_catalog_has_no_matches_and_no_offset(n_ours: int, n_theirs: int) -> None:
    made = compared(sky(n_ours), sky(n_theirs))
    assert len(made.matches) == 0
    assert (made.summary["ours"][0], made.summary["theirs"][0]) == (n_ours, n_theirs)
    assert np.isnan(made.summary["offset_ra"]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 9))
def test_matches_are_one_to_one_and_near_whatever_the_catalogs(n_ours: int, n_theirs: int, seed: int) -> None:
    made = compared(sky(n_ours, seed), sky(n_theirs, seed + 1))
    assert len(set(made.matches["id_str"])) == len(set(made.matches["ext_id"])) == len(made.matches)
    assert np.all(np.asarray(made.matches["separation"]) <= 0.3)


def test_the_order_of_their_rows_does_not_matter() -> None:
    ours, theirs = sky(200), moved(sky(200), 30, 30, 20)
    mixed = Sources(*(column[np.random.default_rng(2).permutation(200)] for column in theirs))  # type: ignore[arg-type]
    one, two = compared(ours, theirs), compared(ours, mixed)
    assert one.matches["ext_id"].tolist() == two.matches["ext_id"].tolist()
    for name in one.summary.colnames[2:]:
        np.testing.assert_allclose(one.summary[name], two.summary[name], atol=1e-6)


def test_an_area_is_where_sources_are_near() -> None:
    ra, dec = np.array([0.0, 0.001, 180.0]), np.array([0.0, 0.0, 0.0])
    assert near_any(ra, dec, np.array([360.0]), np.array([0.0]), 3.7).tolist() == [True, True, False]
    assert not near_any(ra, dec, np.zeros(0), np.zeros(0), 10).any()


# ---------------------------------------------------------------- on data


def image(path: Path, name: str, data: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [(len(data) + 1) / 2] * 2, [0.0, 60.0], [-1e-3, 1e-3]
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    path.parent.mkdir(parents=True)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, wcs.to_header(), name)]).writeto(path)


def test_positions_on_data_are_those_of_the_depth_map_and_of_the_grid_without_one(tmp_path: Path) -> None:
    ra, dec = np.array([0.0, 0.004, 0.1, 180.0]), np.array([60.0, 60.0, 60.0, -60.0])
    depth = np.full((9, 9), 28.0, dtype=np.float32)
    depth[:, :4] = np.nan  # to the east
    image(tmp_path / "depth" / "f1.fits", "DETECTION", depth)
    image(tmp_path / "segmaps" / "f2.fits", "SEG", np.zeros((9, 9), dtype=np.float32))
    covered, exact = on_data(Folder(str(tmp_path)), ["f1"], ra, dec)
    assert (covered.tolist(), exact) == ([True, False, False, False], True)
    covered, exact = on_data(Folder(str(tmp_path)), ["f2"], ra, dec)
    assert (covered.tolist(), exact) == ([True, True, False, False], False)


# ---------------------------------------------------------------- the stage


def run_with(folder: Path, *compare: CompareOptions) -> SurveyRun:
    local = LocalMosaics(band="F444W", path="x.fits")
    survey = SurveyOptions(name="tiny", bands=("F444W",))
    profile = SurveyProfile(survey=survey, local=(local,), query=QueryOptions(), compare=compare)
    return SurveyRun(
        profile=profile, out=str(folder), cache=str(folder / "cache"), profile_folder=str(folder / "profiles")
    )


def made_survey(run: SurveyRun, ours: Sources) -> None:
    """Leave a survey catalog, its receipt and a depth map."""
    table = Table({"id_str": ours.names, "ra": ours.ra, "dec": ours.dec, "F444W_mag_tot": ours.mag})
    table["field"], table["is_primary"] = "f1", np.arange(ours.ra.size) > 0
    with run.folder.writing(CATALOG) as path:
        write_parquet(table, path)
    output = run.folder.output(CATALOG)
    parts = {"stage": "merge", "version": "1", "unit": "survey", "inputs": {}, "options": ""}
    receipt = Receipt(**parts, key="survey-0", outputs=(output,))
    run.folder.write("receipts/merge/survey-0.json", receipt.model_dump_json().encode())
    wide = np.full((200, 200), 28.0, dtype=np.float32)
    local = run.folder.local("depth/f1.fits")
    assert local is not None
    image(local, "DETECTION", wide)


def test_comparisons_are_tables_with_a_receipt_and_a_bad_one_fails_for_itself(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    theirs = moved(sky(100), 20, 0)
    flux = Table(
        {"ID": np.arange(100), "RA": theirs.ra, "DEC": theirs.dec, "f_f444w": 10 ** ((23.9 - theirs.mag) / 2.5)}
    )
    flux["f_f444w"][3] = -99
    flux.write(tmp_path / "profiles" / "CEERS_optap.fits")
    run = run_with(
        tmp_path,
        CompareOptions(name="astrodeep", path="*_optap.fits", format="astrodeep"),
        CompareOptions(name="gone", path="none.fits"),
        CompareOptions(name="wrong", path="CEERS_optap.fits", magnitude="MAG"),
    )
    made_survey(run, sky(100))
    done = crossmatch(run, plan_crossmatch(run))
    assert done.counts == {"compared": 1, "failed:bad_catalog": 1, "failed:not_found": 1, "matches": 99}
    summary = read_parquet(run.folder.local(CROSSMATCH) or "")
    assert set(summary["name"]) == {"astrodeep"}
    assert summary["theirs"][0] == 100  # all lie on our data
    assert summary["theirs_matched"][0] == 99  # one of ours is no primary
    assert summary["offset_ra"].unit == "mas"
    matches = read_parquet(run.folder.local(matches_path("astrodeep")) or "")
    assert matches["separation"].description
    assert np.isnan(matches["dmag"][matches["ext_id"] == "3"]).all()
    assert np.nanmax(np.abs(matches["dmag"])) < 1e-6
    text = b"".join(run.folder.read(path) for path in run.folder.sizes("receipts/crossmatch"))
    assert b"no column MAG" in text
    assert str(tmp_path).encode() not in text


@pytest.mark.parametrize(
    ("unit", "given", "dmag"),
    [
        ("nJy", {"flux": "f_{band}"}, 0.0),
        ("UJY", {"flux": "f_{band}"}, 2.5 * 3),
        (None, {"flux": "f_{band}", "flux_unit": "10nJy"}, 2.5),
        ("MJY", {"flux": "f_{band}"}, "the unit 'MJY' .allowed: uJy, nJy"),
        ("electron/s", {"flux": "f_{band}"}, "the unit 'electron / s' .allowed: uJy, nJy"),
        ("uJy", {"magnitude": "f_{band}"}, "the unit 'uJy' .allowed: mag"),
    ],
)
def test_fluxes_of_others_are_in_the_unit_they_state_or_refused(
    unit: str | None, given: dict[str, str], dmag: float | str, tmp_path: Path
) -> None:
    (tmp_path / "profiles").mkdir()
    theirs = sky(100)
    njy = 10 ** ((31.4 - theirs.mag) / 2.5)  # AB zero point of 1 nJy
    columns = [("ID", "J", None, np.arange(100)), ("RA", "D", "deg", theirs.ra), ("DEC", "D", "deg", theirs.dec)]
    made = [
        fits.Column(name, form, unit=said, array=v) for name, form, said, v in [*columns, ("f_f444w", "D", unit, njy)]
    ]
    fits.BinTableHDU.from_columns(made).writeto(tmp_path / "profiles" / "other.fits")
    run = run_with(tmp_path, CompareOptions.model_validate({"name": "other", "path": "other.fits", **given}))
    made_survey(run, theirs)
    counts = crossmatch(run, plan_crossmatch(run)).counts
    if isinstance(dmag, str):
        assert counts == {"compared": 0, "failed:bad_catalog": 1, "matches": 0}
        (receipt,) = run.folder.sizes("receipts/crossmatch")
        assert re.search(f"other.fits: column f_f444w states {dmag}", run.folder.read(receipt).decode())
    else:
        found = read_parquet(run.folder.local(CROSSMATCH) or "")["dmag"][0]
        assert found == pytest.approx(dmag, abs=1e-3)


def test_comparisons_stand_until_a_file_changes_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    run = run_with(tmp_path, CompareOptions(name="other", path="other.csv"))
    made_survey(run, sky(5))
    missing = plan_crossmatch(run)
    (tmp_path / "profiles" / "other.csv").write_text("id,ra,dec\n1,0.0,60.0\n")
    there = plan_crossmatch(run)
    assert missing.key != there.key
    assert crossmatch(run, there).fresh
    assert not crossmatch(run, there).fresh
    (tmp_path / "profiles" / "other.csv").rename(tmp_path / "moved.csv")
    elsewhere = run_with(tmp_path, CompareOptions(name="other", path=str(tmp_path / "moved.csv")))
    assert plan_crossmatch(elsewhere).key == there.key


def test_a_file_that_goes_away_under_the_comparison_leaves_no_receipt(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    other = tmp_path / "profiles" / "other.csv"
    other.write_text("id,ra,dec\n1,0.0,60.0\n")
    run = run_with(tmp_path, CompareOptions(name="other", path="other.csv"))
    made_survey(run, sky(5))
    there = plan_crossmatch(run)
    text = other.read_text()
    other.unlink()
    with pytest.raises(StorageError, match="no such file"):
        crossmatch(run, there)
    gone = crossmatch(run, plan_crossmatch(run))
    assert gone.counts == {"compared": 0, "failed:not_found": 1, "matches": 0}
    other.write_text(text)
    assert crossmatch(run, there).counts == {"compared": 1, "matches": 0}


def test_without_a_survey_catalog_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no survey catalog"):
        plan_crossmatch(run_with(tmp_path))
