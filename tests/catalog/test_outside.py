"""Tables of others: named columns, formats of known releases, several files as one."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gzjwst_core.catalog.external_tables import read_outside
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.errors import CatalogError, ProfileError
from gzjwst_core.options import TargetOptions
from gzjwst_core.storage.file_digests import digest_of_files
from gzjwst_core.storage.fits_tables import write_fits
from gzjwst_core.storage.tables import write_parquet
from gzjwst_core.survey.profile import SurveyProfile, validate_profile


def options(**given: Any) -> TargetOptions:
    return TargetOptions(**given)


def test_several_files_of_astrodeep_are_one_table_with_unique_names(tmp_path: Path) -> None:
    for n, name in enumerate(("CEERS", "ABELL2744")):
        Table({"ID": [1, 2], "RA": [10.0 + n, 11.0], "DEC": [1.0, -99.0]}).write(tmp_path / f"{name}_optap.fits")
    read = read_targets(tmp_path / "*_optap.fits", options(format="astrodeep"))
    assert read["which_catalogue"].tolist() == ["ABELL2744"] * 2 + ["CEERS"] * 2
    assert read["ext_id"].tolist() == ["ABELL2744:1", "ABELL2744:2", "CEERS:1", "CEERS:2"]
    assert read["ra"].tolist() == [11.0, 11.0, 10.0, 11.0]
    assert read["reason"].tolist() == ["", "bad_position"] * 2
    alone = read_targets(tmp_path / "CEERS_optap.fits", options(format="astrodeep"))
    assert (alone["ext_id"].tolist(), alone["which_catalogue"][0]) == (["1", "2"], "CEERS")


def test_a_made_up_name_of_a_row_is_no_identifier_of_another(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,ra,dec\nrow 2,1,1\n,2,2\n")
    found, _, _ = read_outside(tmp_path / "t.csv", options())
    with pytest.raises(CatalogError, match=r"t\.csv: identifiers .*'row 2' is in rows 1 and 2"):
        found.identifiers("")


def test_the_digest_is_of_what_files_hold_and_of_the_names_of_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("ra,dec\n1,1\n")
    one, both = digest_of_files(tmp_path / "a.csv"), digest_of_files(tmp_path / "*.csv")
    assert one == digest_of_files(tmp_path / "b.csv") != both
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    assert digest_of_files(tmp_path / "*.csv") != both


@pytest.mark.parametrize("name", ["wide.fits", "wide.parquet"])
def test_columns_that_nobody_asks_for_stay_out_of_memory(name: str, tmp_path: Path) -> None:
    rows = 4000
    wide = Table({"ID": np.arange(rows), "RA": np.linspace(1, 2, rows), "DEC": np.zeros(rows), "MAG": np.ones(rows)})
    for n in range(60):
        wide[f"c{n}"] = np.random.default_rng(n).normal(size=rows)
    (write_fits if name.endswith("fits") else write_parquet)(wide, tmp_path / name)
    read_outside(tmp_path / name, options())  # once for what is imported late
    tracemalloc.start()
    try:
        found, ra, _ = read_outside(tmp_path / name, options(), ["mag"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.4 * (tmp_path / name).stat().st_size
    assert (ra[-1], found.magnitudes("mag")[-1], found.identifiers("")[0][-1]) == (2.0, 1.0, str(rows - 1))
    with pytest.raises(CatalogError, match=r"no column FLUX \(it has ID, RA, DEC, MAG, c0, c1"):
        read_targets(tmp_path / name, options(a="FLUX"))


def test_columns_are_read_by_the_names_of_the_profile(tmp_path: Path) -> None:
    table = Table({"my_id": ["x"], "alpha": [1.5] * u.hourangle, "delta": [2.0], "side": [0.1], "re": [6.0] * u.arcsec})
    table.write(tmp_path / "t.ecsv", format="ascii.ecsv")
    named = options(id="my_id", ra="ALPHA", dec="delta", fov="side", r50="re", size_unit="arcmin")
    row = read_targets(tmp_path / "t.ecsv", named)[0]
    assert row["ext_id"] == "x"
    assert (row["ra"], row["dec"]) == (pytest.approx(22.5), 2.0)
    assert (row["fov_arcsec"], row["r50_arcsec"]) == (pytest.approx(6.0), pytest.approx(6.0))


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [
        ({"a": 2.0, "b": 1.0, "t": 30.0}, {"a": "a", "b": "b", "theta": "t"}, (2.0, 1.0, 30.0)),
        ({"a": 1.0, "b": 2.0, "t": 200.0}, {"a": "a", "b": "b", "theta": "t"}, (2.0, 1.0, 20.0)),
        ({"a": 2.0, "b": 1.0, "t": 30.0}, {"a": "a", "b": "b", "theta": "t", "theta_from": "x"}, (2.0, 1.0, 120.0)),
        ({"a": 2.0, "b": 0.5}, {"a": "a", "b": "b"}, (1.0, 1.0, np.nan)),
        ({"a": 2.0, "b": 0.5, "t": np.nan}, {"a": "a", "b": "b", "theta": "t"}, (1.0, 1.0, np.nan)),
        ({"a": 2.0}, {"a": "a"}, (2.0, 2.0, np.nan)),
        ({"a": -1.0, "b": 1.0}, {"a": "a", "b": "b"}, (np.nan, np.nan, np.nan)),
        ({"a": 2.0, "b": 0.5}, {}, (np.nan, np.nan, np.nan)),
    ],
)
def test_shapes_are_axes_and_a_position_angle_or_a_circle_of_their_area(
    tmp_path: Path, shape: dict[str, float], given: dict[str, str], expected: tuple[float, float, float]
) -> None:
    Table({"ra": [1.0], "dec": [1.0], **{name: [value] for name, value in shape.items()}}).write(tmp_path / "t.fits")
    row = read_targets(tmp_path / "t.fits", options(**given))[0]
    found = [row[name] for name in ("a_arcsec", "b_arcsec", "theta_sky")]
    np.testing.assert_allclose(found, expected)


def test_the_extension_of_a_fits_file_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    flag, kron = Table({"ID": [1], "RA": [1.0], "DEC": [1.0]}), Table({"ID": [7], "RA": [2.0], "DEC": [1.0]})
    kron["A_KRON"], kron["B_KRON"], kron["CIRC"] = [1.0] * u.arcsec, [0.25] * u.arcsec, np.zeros((1, 3))
    tables = [fits.BinTableHDU(t, name=name) for t, name in ((flag, "FLAG"), (kron, "KRON"))]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "j.fits")
    found = read_targets(tmp_path / "j.fits", options(format="jades"))
    assert (found["ext_id"][0], found["a_arcsec"][0]) == ("7", 0.5)
    assert read_targets(tmp_path / "j.fits")["ext_id"].tolist() == ["1"]
    assert read_targets(tmp_path / "j.fits", options(hdu="2"))["ext_id"].tolist() == ["7"]
    with pytest.raises(CatalogError, match=r"no table CIRC .*it has 1 FLAG, 2 KRON"):
        read_targets(tmp_path / "j.fits", options(hdu="CIRC"))


def test_cosmos_web_is_read_by_its_names(tmp_path: Path) -> None:
    table = Table({"id": [4], "ra": [150.0], "dec": [2.0], "kron1_a": [2.0], "kron1_b": [0.5], "theta_image": [9.0]})
    table.write(tmp_path / "c.fits")
    row = read_targets(tmp_path / "c.fits", options(format="cosmos-web"))[0]
    assert (row["ext_id"], row["a_arcsec"], row["b_arcsec"]) == ("4", 1.0, 1.0)


def test_a_named_column_that_is_not_there_is_an_error_and_a_given_key_wins_over_its_format(tmp_path: Path) -> None:
    Table({"NR": [3], "RA": [1.0], "DEC": [1.0]}).write(tmp_path / "t.fits")
    with pytest.raises(CatalogError, match=r"t\.fits: no column ID \(it has NR, RA, DEC\)"):
        read_targets(tmp_path / "t.fits", options(format="astrodeep"))
    assert read_targets(tmp_path / "t.fits", options(format="astrodeep", id="NR"))["ext_id"].tolist() == ["3"]


def test_numbers_are_brought_to_the_unit_that_is_asked_for(tmp_path: Path) -> None:
    Table({"ra": [1.0], "dec": [1.0], "f": [5.0] * u.nJy, "g": [5.0]}).write(tmp_path / "t.fits")
    found, _, _ = read_outside(tmp_path / "t.fits", options(), ("F", "g"))
    assert found.fluxes("F", "uJy")[0] == pytest.approx(0.005)
    assert found.fluxes("g", "mJy")[0] == pytest.approx(5000.0)


def test_the_profile_names_formats_that_are_known() -> None:
    data: dict[str, Any] = {"survey": {"name": "s", "bands": ["F444W"]}}
    data["local"] = [{"band": "F444W", "path": "x.fits"}]
    data["compare"] = [{"name": "cosmos", "path": "c.fits", "format": "cosmos-web"}]
    made: SurveyProfile = validate_profile(data, "p.toml")
    assert made.compare[0].magnitude == "mag_auto_{band}"
    assert made.targets.axes == "aperture"
    with pytest.raises(ProfileError, match=r"targets\.format"):
        validate_profile(data | {"targets": {"format": "sdss"}}, "p.toml")


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ([{"name": "a", "path": "x.fits"}, {"name": "a", "path": "y.fits", "band": "F200W"}], "compare: two .* 'a'"),
        (
            [{"name": "a", "path": "x", "magnitude": "mag_{filter}"}],
            r"compare\.0\.magnitude: .*allowed: {band}, {BAND}",
        ),
        ([{"name": "a", "path": "x", "flux": "f_{"}], r"compare\.0\.flux: .*allowed: {band}, {BAND}"),
    ],
)
def test_a_comparison_that_could_not_be_made_is_refused_with_the_profile(
    compare: list[dict[str, str]], said: str
) -> None:
    data = {"survey": {"name": "s", "bands": ["F444W"]}, "local": [{"band": "F444W", "path": "x.fits"}]}
    with pytest.raises(ProfileError, match=said):
        validate_profile(data | {"compare": compare}, "p.toml")
