"""A number of somebody's table is converted by the unit it states, or refused: five formats, units, missing values."""

import logging
import math
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.external_tables import read_outside
from gzjwst_core.catalog.stated_units import ANGLE, FLUX, MAGNITUDE, RIGHT_ASCENSION, SIZE, Quantity, tell, values_of
from gzjwst_core.catalog.target_list import BAD_POSITION, NO_IDENTIFIER, read_targets
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import TableOptions, TargetOptions

Cells = Mapping[str, list[Any]]
RAD = 180 / math.pi
SCALE = 0.03
ROWS = list(product([True, False], repeat=3))
"""Whether identifier, right ascension and size of a row are there."""
UNITS = [
    ("deg", 1.0, "arcsec", 1.0),
    ("DEGREE", 1.0, "ARCSEC", 1.0),
    ("degrees", 1.0, "arcseconds", 1.0),
    ("[deg]", 1.0, "[arcsec]", 1.0),
    ("rad", RAD, "rad", RAD * 3600),
    ("RADIANS", RAD, "RADIANS", RAD * 3600),
    ("arcmin", 1 / 60, "ARCMIN", 60.0),
    ("ARCSEC", 1 / 3600, "deg", 3600.0),
    ("mas", 1 / 3.6e6, "mas", 1e-3),
    ("h", 15.0, "pixel", SCALE),
    ("HOURS", 15.0, "PIXELS", SCALE),
    ("hourangle", 15.0, "0.1 arcsec", 0.1),
]
REFUSED = ["pixel", "kpc", "m", "D", "s", "day", "Jy", "mag", "foo", "-1 deg", "deg2", "deg/s"]


def write_parquet(path: Path, cells: Cells, units: Mapping[str, str]) -> None:
    said = "\n".join(f"- {{name: {name}, unit: {unit!r}, datatype: float64}}" for name, unit in units.items())
    table = pa.table(cells).replace_schema_metadata({b"table_meta_yaml": f"datatype:\n{said}".encode()})
    pq.write_table(table, path)


def write_fits(path: Path, cells: Cells, units: Mapping[str, str]) -> None:
    def column(name: str, values: list[Any]) -> fits.Column:
        if name == "id":
            return fits.Column(name, "K", null=-1, array=np.array([-1 if v is None else v for v in values]))
        return fits.Column(name, "D", unit=units.get(name), array=np.array(values, dtype=float))

    fits.BinTableHDU.from_columns([column(*one) for one in cells.items()]).writeto(path)


def write_ecsv(path: Path, cells: Cells, units: Mapping[str, str]) -> None:
    table = Table()
    for name, values in cells.items():
        mask = [value is None for value in values]
        filled = [0 if value is None else value for value in values]
        table[name] = MaskedColumn(filled, mask=mask, unit=units.get(name))
    table.write(path, format="ascii.ecsv")


def write_votable(path: Path, cells: Cells, units: Mapping[str, str]) -> None:
    kinds = {name: "long" if name == "id" else "double" for name in cells}
    fields = "".join(f'<FIELD name="{n}" datatype="{k}" unit={quoteattr(units.get(n, ""))}/>' for n, k in kinds.items())
    cell = {None: "<TD/>"}
    rows = "".join(
        f"<TR>{''.join(cell.get(v, f'<TD>{v!r}</TD>') for v in row)}</TR>" for row in zip(*cells.values(), strict=True)
    )
    path.write_text(
        f'<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>{fields}'
        f"<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )


def write_csv(path: Path, cells: Cells, units: Mapping[str, str]) -> None:
    names = [f"{name} [{units[name].strip('[]')}]" if name in units else name for name in cells]
    rows = [["" if value is None else repr(value) for value in row] for row in zip(*cells.values(), strict=True)]
    path.write_text("\n".join(",".join(row) for row in [names, *rows]))


FORMATS: Mapping[str, Callable[[Path, Cells, Mapping[str, str]], None]] = {
    "t.parquet": write_parquet,
    "t.fits": write_fits,
    "t.ecsv": write_ecsv,
    "t.vot": write_votable,
    "t.csv": write_csv,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_unit_and_missing_value_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    options = TargetOptions(r50="size", pixel_scale_arcsec=SCALE)
    for ra_unit, degrees, size_unit, arcsec in UNITS:
        cells: Cells = {
            "id": [2**63 - 1 - n if there else None for n, (there, _, _) in enumerate(ROWS)],
            "ra": [0.25 + n / 8 if there else None for n, (_, there, _) in enumerate(ROWS)],
            "dec": [1.5] * len(ROWS),
            "size": [0.5 + n if there else None for n, (_, _, there) in enumerate(ROWS)],
        }
        (tmp_path / name).unlink(missing_ok=True)
        FORMATS[name](tmp_path / name, cells, {"ra": ra_unit, "dec": "deg", "size": size_unit})
        read = read_targets(tmp_path / name, options)
        for n, ((has_id, has_ra, has_size), row) in enumerate(zip(ROWS, read, strict=True)):
            assert row["ext_id"] == (str(2**63 - 1 - n) if has_id else f"row {n + 1}"), ra_unit
            assert row["reason"] == (BAD_POSITION if not has_ra else "" if has_id else NO_IDENTIFIER)
            expected = [degrees * (0.25 + n / 8) if has_ra else math.nan, arcsec * (0.5 + n) if has_size else math.nan]
            np.testing.assert_allclose([row["ra"], row["r50_arcsec"]], expected, rtol=1e-14, err_msg=ra_unit)


@pytest.mark.parametrize("name", FORMATS)
def test_a_unit_that_is_none_of_the_quantity_is_refused_by_file_column_and_unit(name: str, tmp_path: Path) -> None:
    cells: Cells = {"id": [1], "ra": [1.0], "dec": [1.0], "size": [1.0]}
    for column, unit in zip(["ra", "size", "dec", "ra", "size"] * 5, 2 * [*REFUSED, REFUSED[0]], strict=False):
        (tmp_path / name).unlink(missing_ok=True)
        FORMATS[name](tmp_path / name, cells, {column: unit})
        with pytest.raises(CatalogError) as caught:
            read_targets(tmp_path / name, TargetOptions(r50="size"))
        said = str(caught.value)
        assert f"{name}: column {column}" in said
        assert "allowed: " in said or "pixel_scale_arcsec" in said
        assert "\n" not in said


def column_of(values: list[Any], unit: str | None) -> Column:
    return Column(values, unit=unit, name="c")


def read(values: list[Any], unit: str | None, what: Quantity) -> list[float]:
    return [*map(float, values_of(column_of(values, unit), what, "t: column c", default=str(what.unit)))]


@pytest.mark.parametrize(
    ("unit", "what", "expected"),
    [
        ("'", SIZE, 60.0),
        ('"', SIZE, 1.0),
        ("µas", SIZE, 1e-6),
        ("10**-3 deg", ANGLE, 1e-3),
        ("---", ANGLE, 1.0),
        ("H", RIGHT_ASCENSION, 15.0),
        ("mJy", FLUX, 1e3),
        ("MJy", FLUX, 1e12),
        ("nJy", FLUX, 1e-3),
        ("10nJy", FLUX, 1e-2),
        ("UJY", FLUX, 1.0),
        ("microJansky", FLUX, 1.0),
        ("nanomaggies", FLUX, 3.631),
        ("erg s-1 cm-2 Hz-1", FLUX, 1e29),
        (None, FLUX, 1.0),
        ("mag(AB)", MAGNITUDE, 1.0),
        ("MAG", MAGNITUDE, 1.0),
        ("mmag", MAGNITUDE, 1e-3),
    ],
)
def test_spellings_of_units(unit: str | None, what: Quantity, expected: float) -> None:
    assert read([1.0, 2.0], unit, what) == pytest.approx([expected, 2 * expected], rel=1e-14)


@pytest.mark.parametrize(
    ("unit", "what"),
    [
        ("h", ANGLE),
        ("hours", SIZE),
        ('"h:m:s"', RIGHT_ASCENSION),  # of decimal numbers
        ("Mjy", FLUX),
        ("MJY", FLUX),
        ("MJy/sr", FLUX),
        ("mag", FLUX),
        ("count", FLUX),
        ("dex", MAGNITUDE),
        ("mag(ST)", MAGNITUDE),
        ("uJy", MAGNITUDE),
        ("1e400 deg", ANGLE),
    ],
)
def test_units_that_are_none_of_a_quantity(unit: str, what: Quantity) -> None:
    with pytest.raises(CatalogError, match=r"t: column c states the unit .*allowed: "):
        read([1.0, 2.0], unit, what)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 359.9),
    st.floats(-89.9, 89.9),
    st.sampled_from([":", " ", "hms"]),
    st.integers(0, 6),
)
def test_sexagesimal_text_is_what_astropy_reads(ra: float, dec: float, separator: str, precision: int) -> None:
    written = [
        Angle(ra, u.deg).to_string(u.hour, sep=separator, precision=precision, pad=True),
        Angle(dec, u.deg).to_string(u.deg, sep=separator.replace("h", "d"), precision=precision, alwayssign=True),
    ]
    expected = [Angle(text, unit).deg for text, unit in zip(written, (u.hourangle, u.deg), strict=True)]
    found = [read([text], None, what)[0] for text, what in zip(written, (RIGHT_ASCENSION, ANGLE), strict=True)]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("texts", "unit", "what", "expected"),
    [
        (["10:00:24"], "h:m:s", RIGHT_ASCENSION, 150.1),
        (["10:00:24"], "hours", RIGHT_ASCENSION, 150.1),
        (["10:00:36"], '"d:m:s"', RIGHT_ASCENSION, 10.01),
        (["10d00m36s"], "deg", RIGHT_ASCENSION, 10.01),
        (["10d00m36s"], None, RIGHT_ASCENSION, 10.01),
        (["-00:00:36"], "deg", ANGLE, -0.01),
        (["\N{MINUS SIGN}00 00 36"], '"d:m:s"', ANGLE, -0.01),
        (["+01\N{DEGREE SIGN}53'36\""], None, ANGLE, 1.8933333333333333),
        (["10:00.4"], None, RIGHT_ASCENSION, 150.1),
        ([" 1.501D+02 "], None, RIGHT_ASCENSION, 150.1),
    ],
)
def test_text_that_is_a_position(texts: list[str], unit: str | None, what: Quantity, expected: float) -> None:
    assert read(texts, unit, what) == pytest.approx([expected], rel=1e-14)


@pytest.mark.parametrize(
    ("texts", "unit", "said"),
    [
        (["10:00:24"], "deg", "sexagesimal and states the unit 'deg', which row 1 contradicts"),
        (["10h00m24s"], "deg", "contradicts"),
        (["10h00m24s"], "d:m:s", "contradicts"),
        (["10:00:24"], "rad", "contradicts"),
        (["150.1", "10:00:24"], None, "row 2 is sexagesimal, row 1 decimal"),
        (["oops", "n/a"], None, "1 of 2 values are no numbers .row 1: oops"),
        (["150,1"], "deg", "no numbers .row 1: 150,1"),
        (["deg", "150.1"], None, "row 1 holds a unit"),
        (["10 24"], None, "no numbers"),
        (["10:00:24", "150:06:00"], None, "row 2 holds 150:06:00, no right .*: state the unit d:m:s or h:m:s"),
        (["-01 00 00"], None, "row 1 holds -01 00 00"),
    ],
)
def test_text_that_could_be_two_things_is_refused(texts: list[str], unit: str | None, said: str) -> None:
    with pytest.raises(CatalogError, match=f"t: column c.*{said}"):
        read(texts, unit, RIGHT_ASCENSION)


def test_single_values_that_are_none_are_nan(tmp_path: Path) -> None:
    found = read(["10:00:24", "", "--", "oops", "10:61:00"], None, RIGHT_ASCENSION)
    assert found[0] == pytest.approx(150.1)
    assert np.isnan(found[1:]).all()
    (tmp_path / "t.csv").write_text("id,ra,dec\na,10:00:24,+02:12:00\nb,25h00m00s,+02:12:00\nc,10:00:24,91:00:00\n")
    assert read_targets(tmp_path / "t.csv")["reason"].tolist() == ["", BAD_POSITION, BAD_POSITION]


def test_what_is_taken_where_nothing_is_stated_is_told_once(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("RA [deg],DEC,FLUX (nJy)\n1,2,3\n1,2,oops\n")
    tell.cache_clear()
    with caplog.at_level(logging.INFO, "gzjwst_core"):
        for _ in range(2):
            found, _, _ = read_outside(tmp_path / "t.csv", TableOptions(), ["FLUX (nJy)"])
            assert found.fluxes("FLUX (nJy)", "mJy")[0] == pytest.approx(3e-3)
            found.identifiers("")
    said = [record.getMessage().removeprefix(f"{tmp_path}/") for record in caplog.records]
    assert said == [
        "t.csv: column DEC states no unit: deg is taken",
        "t.csv: column FLUX (nJy): 1 of 2 values are no numbers (row 2: oops)",
        "t.csv: no column of identifiers: rows are numbered from 1",
    ]


@pytest.mark.parametrize(
    ("name", "what", "expected"),
    [
        ("ra [hr]", RIGHT_ASCENSION, 15.0),
        ("RA (Hours)", RIGHT_ASCENSION, 15.0),
        ("ra_hours", RIGHT_ASCENSION, 15.0),
        ("ra_rad", RIGHT_ASCENSION, RAD),
        ("RA (J2000)", RIGHT_ASCENSION, 1.0),
        ("ra_h", RIGHT_ASCENSION, 15.0),
        ("dec_h", ANGLE, 1.0),
        ("alpha_s", RIGHT_ASCENSION, 1.0),
        ("size_arcmin", SIZE, 60.0),
        ("flux_nJy", FLUX, 1e-3),
        ("hours", RIGHT_ASCENSION, 1.0),
        ("kron_rad", SIZE, 1.0),
        ("kron_rad [rad]", SIZE, RAD * 3600),
    ],
)
def test_a_unit_in_a_columns_name_is_stated(name: str, what: Quantity, expected: float) -> None:
    found = values_of(Column([1.0], name=name), what, "t", default=str(what.unit))
    assert found[0] == pytest.approx(expected, rel=1e-14)
    both = Column([1.0], name=name, unit=what.unit)
    if expected == 1:
        assert values_of(both, what, "t", default="").tolist() == [1.0]
    else:
        with pytest.raises(CatalogError, match=f"t states the unit '{what.unit}', its name the unit '"):
            values_of(both, what, "t", default="")
    with pytest.raises(CatalogError, match="the unit 'kpc'"):
        values_of(Column([1.0], name="size [kpc]"), what, "t", default="")


@pytest.mark.parametrize(
    ("name", "unit", "value", "expected"),
    [
        ("ra_deg", "Degrees", 1.0, 1.0),
        ("ra [hr]", "hourangle", 1.0, 15.0),
        ("ra_deg", "---", 1.0, 1.0),
        ("ra_hms", "hours", "10:00:24", 150.1),
        ("ra_deg", "h:m:s", "10:00:24", 150.1),
        ("ra [J2000]", "deg", 1.0, 1.0),
    ],
)
def test_a_unit_in_a_name_that_is_the_stated_one_in_other_words(
    name: str, unit: str, value: Any, expected: float
) -> None:
    found = values_of(Column([value], name=name, unit=unit), RIGHT_ASCENSION, "t", default="deg")
    assert found[0] == pytest.approx(expected, rel=1e-14)


def test_a_unit_in_a_name_against_the_stated_one_is_refused() -> None:
    with pytest.raises(CatalogError, match="t states the unit 'hourangle', its name the unit 'deg'"):
        values_of(Column([1.0], name="ra_deg", unit="hourangle"), RIGHT_ASCENSION, "t", default="deg")


def test_sizes_of_a_profile_in_pixels_need_their_scale() -> None:
    assert TargetOptions(size_unit="pixel", pixel_scale_arcsec=0.03).size_unit == "pixel"
    with pytest.raises(ValueError, match="needs pixel_scale_arcsec"):
        TargetOptions(size_unit="pixel")
    column = column_of([2.0], None)
    assert values_of(column, SIZE, "", default="pixel", pixel_arcsec=0.03).tolist() == [0.06]
