"""Tables of others in parquet, FITS, VOTable and ECSV: no digit of an identifier is lost, no damage goes unseen."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table

from gzjwst_core.catalog.external_tables import read_outside
from gzjwst_core.catalog.target_list import BAD_POSITION, NO_IDENTIFIER, read_targets
from gzjwst_core.errors import CatalogError, GzJwstError
from gzjwst_core.options import TableOptions, TargetOptions

POSITIONS = {"ra": [1.0, 2.0, 3.0], "dec": [1.0, 2.0, 3.0]}


def ids_of(path: Path, **options: Any) -> list[str]:
    names: list[str] = read_targets(path, TargetOptions(**options))["ext_id"].tolist()
    return names


# ---------------------------------------------------------------- parquet


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([2**63 - 1, None, 5]), [str(2**63 - 1), "row 2", "5"]),
        (pa.array([2**64 - 1, None, 5], pa.uint64()), [str(2**64 - 1), "row 2", "5"]),
        (pa.array([2.0**53 - 1, None, 5.0]), [str(2**53 - 1), "row 2", "5"]),
        (pa.array(["007", "", " b "]), ["007", "row 2", "b"]),
        (pa.array(["a", None, "b"]).dictionary_encode(), ["a", "row 2", "b"]),
        (pa.array([b"a", b"caf\xe9", b"\xc3\xa9"]), ["a", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "\xe9"]),
        (pa.array([Decimal(10**20), None, Decimal(1)]), ["1" + "0" * 20, "row 2", "1"]),
        (pa.array(["a", None, "b"], pa.string_view()), ["a", "row 2", "b"]),
    ],
)
def test_identifiers_of_parquet_are_text_with_every_digit(
    values: pa.Array, expected: list[str], tmp_path: Path
) -> None:
    pq.write_table(pa.table({"id": values, **POSITIONS}), tmp_path / "t.parquet")
    assert ids_of(tmp_path / "t.parquet") == expected


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.5, 2.0, 3.0], "row 1 holds 1.5"),
        ([1.0, 2.0**53, 3.0], "row 2 holds 9007199254740992.0"),
        (np.array([1, 2**24, 3], dtype=np.float32), "row 2 holds 1.6777216e.07"),
        ([None, None, None], "holds no identifier"),
        ([["a"], ["b"], ["c"]], "holds list"),
        ([{"a": 1}] * 3, "holds struct"),
        ([7, None, 7], "'7' is in rows 1 and 3"),
    ],
)
def test_what_is_no_identifier_is_refused(values: Any, said: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": values, **POSITIONS}), tmp_path / "t.parquet")
    for options in ({}, {"id": "id"}):
        with pytest.raises(CatalogError, match=rf"t\.parquet: column id.*{said}"):
            ids_of(tmp_path / "t.parquet", **options)


def test_lists_are_left_alone_until_they_are_asked_for(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3], "v": [[1.0]] * 3, **POSITIONS}), tmp_path / "t.parquet")
    assert ids_of(tmp_path / "t.parquet") == ["1", "2", "3"]
    with pytest.raises(CatalogError, match=r"column v holds list.* one value a row"):
        ids_of(tmp_path / "t.parquet", a="v")
    pq.write_table(pa.table({"ra": [[1.0]], "dec": [1.0]}), tmp_path / "t.parquet")
    with pytest.raises(CatalogError, match="column ra holds list"):
        ids_of(tmp_path / "t.parquet")


YAML = (b"", b"a: [", b"\xff", b"[1, 2]", b"datatype: 5", b"datatype: [5]", b"- " * 3000, b"!!python/name:os.system")


@pytest.mark.parametrize("key", [b"table_meta_yaml", b"IVOA.VOTable-Parquet.content"])
@pytest.mark.parametrize("said", YAML)
def test_metadata_that_cannot_be_read_are_one_refusal(key: bytes, said: bytes, tmp_path: Path) -> None:
    pq.write_table(pa.table(POSITIONS).replace_schema_metadata({key: said}), tmp_path / "t.parquet")
    with pytest.raises(CatalogError, match=r"t\.parquet: its metadata, which state units, cannot be read\Z"):
        ids_of(tmp_path / "t.parquet")


def test_what_a_reader_of_text_left_in_names_is_no_part_of_them(tmp_path: Path) -> None:
    for name in ("\N{ZERO WIDTH NO-BREAK SPACE}id", "#id", "# id ", "id\N{ZERO WIDTH SPACE}"):
        pq.write_table(pa.table({name: ["007"], "ra [h]": [10.0], " dec": [1.0]}), tmp_path / "t.parquet")
        read = read_targets(tmp_path / "t.parquet")
        assert (read["ext_id"][0], read["ra"][0]) == ("007", 150.0)


def test_units_of_parquet_may_stand_in_three_places(tmp_path: Path) -> None:
    votable = b'<VOTABLE><RESOURCE><TABLE><FIELD name="ra" unit="h"/></TABLE></RESOURCE></VOTABLE>'
    field = pa.schema([pa.field("ra", pa.float64(), metadata={b"unit": b"h"}), pa.field("dec", pa.float64())])
    plain = pa.table({"ra": [10.0], "dec": [1.0]})
    for stated in (
        plain.replace_schema_metadata({b"IVOA.VOTable-Parquet.content": votable}),
        plain.replace_schema_metadata({b"table_meta_yaml": b"datatype:\n- {name: ra, unit: h, datatype: float64}"}),
        plain.cast(field),
    ):
        pq.write_table(stated, tmp_path / "t.parquet")
        assert read_targets(tmp_path / "t.parquet")["ra"].tolist() == [150.0]


# ---------------------------------------------------------------- FITS


def binary(**columns: tuple[str, Any]) -> fits.BinTableHDU:
    made = [fits.Column(name, form, array=np.array(values)) for name, (form, values) in columns.items()]
    return fits.BinTableHDU.from_columns(made)


def test_identifiers_of_fits_are_text_with_every_digit(tmp_path: Path) -> None:
    ids = np.array([2**64 - 1, 2**63, 5], dtype=np.uint64)
    columns = [
        fits.Column("ID", "K", bzero=2**63, null=5 - 2**63, array=ids),
        *(fits.Column(name, "D", array=np.array(values)) for name, values in POSITIONS.items()),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    read = read_targets(tmp_path / "t.fits")
    assert read["ext_id"].tolist() == [str(2**64 - 1), str(2**63), "row 3"]
    assert read["reason"].tolist() == ["", "", NO_IDENTIFIER]


def test_text_of_fits_is_utf8_or_latin1_without_what_fills_it(tmp_path: Path) -> None:
    hdu = binary(ID=("8A", [b"cafe", b"007", b"a b"]), RA=("D", [1.0] * 3), DEC=("D", [1.0] * 3))
    hdu.writeto(tmp_path / "t.fits")
    data = (tmp_path / "t.fits").read_bytes()
    (tmp_path / "t.fits").write_bytes(data.replace(b"cafe\0\0", b"caf\xe9  ").replace(b"a b\0\0", b"\xce\xbd\0xx"))
    assert ids_of(tmp_path / "t.fits") == ["caf\xe9", "007", "\N{GREEK SMALL LETTER NU}"]


def test_ascii_tables_keep_leading_zeros_and_know_what_is_missing(tmp_path: Path) -> None:
    columns = [
        fits.Column("ID", "A5", array=["007", "b", "c"]),
        fits.Column("RAJ2000", "A10", array=["10:00:24.0", "10:00:24.0", ""], unit='"h:m:s"'),
        fits.Column("DEJ2000", "D25.17", null="-9", array=[2.2, 2.2, 2.2], unit="deg"),
        fits.Column("SIZE", "F8.3", array=[0.5, 1.5, 2.5], unit="arcmin"),
    ]
    fits.TableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    data = (tmp_path / "t.fits").read_bytes().replace(b"   1.500", b"        ")
    (tmp_path / "t.fits").write_bytes(data)
    read = read_targets(tmp_path / "t.fits", TargetOptions(fov="SIZE"))
    assert read["ext_id"].tolist() == ["007", "b", "c"]
    assert read["ra"][:2].tolist() == pytest.approx([150.1] * 2)
    assert read["reason"].tolist() == ["", "", BAD_POSITION]
    np.testing.assert_array_equal(read["fov_arcsec"], [30.0, np.nan, 150.0])


def test_the_objects_of_an_ldac_file_are_its_table(tmp_path: Path) -> None:
    def objects(number: int) -> fits.BinTableHDU:
        hdu = binary(NUMBER=("J", [number]), ALPHA_J2000=("D", [1.0]), DELTA_J2000=("D", [1.0]))
        hdu.name = "LDAC_OBJECTS"
        return hdu

    head = binary(CARDS=("80A", ["x"]))
    head.name = "LDAC_IMHEAD"
    fits.HDUList([fits.PrimaryHDU(), head, objects(1)]).writeto(tmp_path / "one.cat")
    assert ids_of(tmp_path / "one.cat") == ["1"]
    fits.HDUList([fits.PrimaryHDU(), head, objects(1), head.copy(), objects(2)]).writeto(tmp_path / "two.ldac")
    with pytest.raises(CatalogError, match=r"name one with hdu .*4 LDAC_OBJECTS"):
        ids_of(tmp_path / "two.ldac")
    assert ids_of(tmp_path / "two.ldac", hdu="4") == ["2"]


def test_vectors_of_fits_are_left_alone_until_they_are_asked_for(tmp_path: Path) -> None:
    lists = np.array([np.array([1.0]), np.array([1.0, 2.0])], dtype=object)
    columns = [
        *(fits.Column(name, "D", array=np.array(POSITIONS[name][:2])) for name in POSITIONS),
        fits.Column("V", "PD()", array=lists),
        fits.Column("W", "3E", array=np.zeros((2, 3))),
        fits.Column("X", "9X", array=np.zeros((2, 9), dtype=bool)),
        fits.Column("C", "C", array=np.array([1j, 2j])),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    assert ids_of(tmp_path / "t.fits") == ["1", "2"]
    for name in "VWXC":
        with pytest.raises(CatalogError, match=rf"t\.fits: column {name} holds .* one value a row"):
            ids_of(tmp_path / "t.fits", a=name)


CARDS = {
    "TFIELDS": ["1", "2", "5", "999", "-1", "'x'", "3.5", "T"],
    "TFORM2": ["'Z9'", "''", "'E'", "'2D'", "'9999999D'", "'D3D'", "5", "'PD(9)'", "'-1D'"],
    "TTYPE2": ["7", "'ID'", "T"],
    "NAXIS1": ["0", "19", "21", "4000", "'x'"],
    "NAXIS2": ["4000000", "-2", "'x'"],
    "TDIM1": ["'(9,9)'", "'x'"],
    "TSCAL1": ["'x'"],
    "TNULL1": ["'x'", "1.5"],
    "XTENSION": ["'IMAGE'", "'?'", "3"],
    "TUNIT2": ["5", "'((('", "'m**(1/0)'"],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in CARDS.items() for value in values])
def test_a_damaged_header_of_a_fits_table_is_one_error_or_changes_nothing(key: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    binary(ID=("J", [1, 2]), RA=("D", [1.0, 2.0]), DEC=("D", [1.0, 2.0])).writeto(path)
    data = path.read_bytes()
    cards = [data[n : n + 80] for n in range(2880, 5760, 80)]
    names = [card[:8].strip().decode() for card in cards]
    at = names.index(key if key in names else "END")
    cards[at : at + (key in names)] = [f"{key:8}= {value:>20}".ljust(80).encode()]
    path.write_bytes(data[:2880] + b"".join(cards)[:2880] + data[5760:])
    try:
        found = read_targets(path)
    except GzJwstError as error:
        told = str(error)
    else:
        told = "t.fits"
        assert (found["ra"].tolist(), found["ext_id"].tolist()) == ([1.0, 2.0], ["1", "2"])
    assert "t.fits" in told
    assert "\n" not in told


@pytest.mark.parametrize("count", ["4", "999", "1000", "-1", "'x'", "3.5", "T"])
def test_a_wrong_number_of_columns_names_its_card(count: str, tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    binary(RA=("D", [1.0]), DEC=("D", [1.0])).writeto(path)
    card = f"TFIELDS = {2:>20}".encode()
    path.write_bytes(path.read_bytes().replace(card, f"TFIELDS = {count:>20}".encode()))
    with pytest.raises(CatalogError, match=r"t\.fits: .* TFIELDS is .* number of columns, .* 0 to 999, is needed\Z"):
        read_targets(path)


@pytest.mark.parametrize(("name", "form"), [("t.ecsv", "ascii.ecsv"), ("t.fits", "fits"), ("t.parquet", "parquet")])
def test_true_and_false_are_no_identifiers(name: str, form: str, tmp_path: Path) -> None:
    Table({"id": [True, False], "ra": [1.0, 2.0], "dec": [1.0, 2.0]}).write(tmp_path / name, format=form)
    with pytest.raises(CatalogError, match=r"column id holds true and false; an identifier is text or a whole number"):
        read_targets(tmp_path / name)


def test_true_and_false_and_nothing_are_no_identifiers_either(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [True, None, False], **POSITIONS}), tmp_path / "t.parquet")
    with pytest.raises(CatalogError, match="column id holds true and false"):
        ids_of(tmp_path / "t.parquet")


# ---------------------------------------------------------------- objects of astropy, VOTable


@pytest.mark.parametrize(("name", "form"), [("t.ecsv", "ascii.ecsv"), ("t.fits", "fits"), ("t.parquet", "parquet")])
def test_a_skycoord_is_a_position(name: str, form: str, tmp_path: Path) -> None:
    QTable({"id": ["a", "b"], "sky": SkyCoord([1, 2] * u.deg, [3, 4] * u.deg)}).write(tmp_path / name, format=form)
    read = read_targets(tmp_path / name)
    assert (read["ra"].tolist(), read["dec"].tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert read_outside(tmp_path / name, TableOptions(ra="sky.ra", dec="sky.dec"))[1].tolist() == [1.0, 2.0]


def test_a_skycoord_of_another_frame_becomes_icrs_and_two_of_them_are_not_guessed(tmp_path: Path) -> None:
    sky = SkyCoord([150.1] * u.deg, [2.2] * u.deg)
    QTable({"where": sky.galactic}).write(tmp_path / "t.ecsv", format="ascii.ecsv")
    read = read_targets(tmp_path / "t.ecsv")
    assert (read["ra"][0], read["dec"][0]) == (pytest.approx(150.1, abs=1e-9), pytest.approx(2.2, abs=1e-9))
    QTable({"one": sky, "two": sky}).write(tmp_path / "two.ecsv", format="ascii.ecsv")
    with pytest.raises(CatalogError, match=r"no column of ra.*one\.ra, one\.dec, two\.ra"):
        read_targets(tmp_path / "two.ecsv")


def test_ecsv_is_known_by_its_first_line(tmp_path: Path) -> None:
    Table({"id": ["007"], "ra": [10.0] * u.hourangle, "dec": [1.0]}).write(tmp_path / "t.ecsv", format="ascii.ecsv")
    text = (tmp_path / "t.ecsv").read_text()
    for name, encoding in (("t.csv", "utf-8"), ("bom.ecsv", "utf-8-sig")):
        (tmp_path / name).write_text(text, encoding=encoding)
        read = read_targets(tmp_path / name)
        assert (read["ext_id"][0], read["ra"][0]) == ("007", 150.0)


VOTABLE = '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>{}</RESOURCE></VOTABLE>'
FIELDS = "".join(f'<FIELD name="{name}" datatype="double"/>' for name in POSITIONS)
ONE = f'<TABLE name="{{0}}">{FIELDS}<DATA><TABLEDATA><TR><TD>{{1}}</TD><TD>1</TD></TR></TABLEDATA></DATA></TABLE>'


def test_a_table_of_a_votable_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text(VOTABLE.format(ONE.format("a", 1) + ONE.format("b", 2)))
    for hdu, ra in (("", 1.0), ("1", 1.0), ("b", 2.0), ("2", 2.0)):
        assert read_targets(tmp_path / "t.xml", TargetOptions(hdu=hdu))["ra"].tolist() == [ra]
    with pytest.raises(CatalogError, match=r"t\.xml: no table c .*it has 1 a, 2 b"):
        read_targets(tmp_path / "t.xml", TargetOptions(hdu="c"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("junk", "cannot be read as VOTable"),
        ("<html><body>Not found</body></html>", "cannot be read as VOTable|no table 1"),
        (VOTABLE.format(""), "no table 1 in this VOTable .it has none"),
        (VOTABLE.format(ONE.format("a", "oops")), "Invalid literal for float 'oops'"),
        (VOTABLE.format(ONE.format("a", 2**63).replace("double", "long")), "out of range"),
        (VOTABLE.format(ONE.format("a", "1"))[:-40], "cannot be read as VOTable"),
        (
            VOTABLE.format(f'<TABLE>{FIELDS}<DATA><BINARY><STREAM href="file:///etc/hosts"/></BINARY></DATA></TABLE>'),
            "data are elsewhere",
        ),
    ],
)
def test_a_votable_that_cannot_be_read_is_one_refusal(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.vot").write_text(text)
    with pytest.raises(CatalogError, match=rf"t\.vot: .*({said})"):
        read_targets(tmp_path / "t.vot")


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("RIGHT_ASCENSION", "DECLINATION"),
        ("_RAJ2000", "_DEJ2000"),
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
        ("coord_ra", "coord_dec"),
        ("raMean", "decMean"),
        ("ra", "decl"),
        ("X_WORLD", "Y_WORLD"),
    ],
)
def test_more_usual_names_of_positions(ra: str, dec: str, tmp_path: Path) -> None:
    (tmp_path / "t.dat").write_text(f"# {ra} {dec} DESIGNATION\n 10.5 -3.25 0012\n")
    read = read_targets(tmp_path / "t.dat")
    assert (read["ext_id"][0], read["ra"][0], read["dec"][0]) == ("0012", 10.5, -3.25)
