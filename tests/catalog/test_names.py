"""Names are unique and stay: from field to field, and from one release to the next."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.carried_ids import carried_names, name_counts
from gzjwst_core.catalog.merge import EarlierRelease, merge_rows, stack
from gzjwst_core.catalog.reference_tables import read_earlier, read_reference
from gzjwst_core.catalog.source_names import Earlier, group_number, unique_names
from gzjwst_core.catalog.survey import build_survey
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import AstrometryOptions
from gzjwst_core.storage.fits_tables import write_fits
from gzjwst_core.storage.tables import write_parquet
from tests.catalog.test_merge import ARCSEC, OPTIONS, catalog

RA, DEC = 150.0, 0.01


def release(named: dict[str, tuple[float, float]], primary: list[bool] | None = None) -> Table:
    """An earlier release: names and offsets (arcsec) from a place on the equator."""
    ra, dec = np.array(list(named.values()) or np.zeros((0, 2))).T
    flags = np.ones(len(named), dtype=bool) if primary is None else np.array(primary)
    return Table({"id_str": [*named], "ra": RA + ra * ARCSEC, "dec": DEC + dec * ARCSEC, "is_primary": flags})


def carried(offsets: list[tuple[float, float]], earlier: Table, primary: list[bool] | None = None) -> list[str]:
    dx, dy = np.array(offsets).T
    flags = np.ones(len(offsets), dtype=bool) if primary is None else np.array(primary)
    found: list[str] = carried_names((RA + dx * ARCSEC, DEC + dy * ARCSEC), flags, earlier, 0.2).tolist()
    return found


def merged(earlier: Table | None = None, **tables: Table) -> Table:
    rows = stack(tables)
    places = np.asarray(rows["ra"]), np.asarray(rows["dec"])
    return merge_rows(
        rows, places, "demo", OPTIONS, earlier=None if earlier is None else EarlierRelease(earlier, places)
    )


def test_names_go_to_the_nearest_once() -> None:
    earlier = release({"a": (0, 0), "b": (5, 0), "far": (50, 0)})
    assert carried([(0.15, 0), (0.1, 0), (5, 0.1), (9, 9)], earlier) == ["", "a", "b", ""]


def test_the_primary_keeps_the_name_of_the_one_that_spoke_before() -> None:
    """Another field speaks for the object now, and lies nearer to what was its secondary."""
    earlier = release({"spoke": (0, 0), "other": (0.12, 0)}, [True, False])
    assert carried([(0.11, 0), (0.01, 0)], earlier, [True, False]) == ["spoke", "other"]
    assert carried([(0.12, 0)], release({"other": (0.12, 0)}, [False])) == ["other"]


def test_a_row_without_a_position_carries_nothing_and_keeps_its_name_to_itself() -> None:
    earlier = release({"demo_J100000.00+000036.0": (np.nan, 0)})
    table = merged(earlier, a=catalog("a", [(0, 0)]))
    assert table["id_str"].tolist() == ["demo_J100000.00+000036.0a"]


def test_a_release_carried_over_to_itself_is_the_same() -> None:
    tables = {"a": catalog("a", [(0, 0), (0.4, 0), (5, 0)]), "b": catalog("b", [(0.1, 0.05), (5.1, 0)], edge_dist=3)}
    once = merged(None, **tables)
    again = merged(once, **tables)
    assert [tuple(row) for row in again] == [tuple(row) for row in once]
    assert name_counts(np.asarray(again["id_str"]), once) == (len(once), 0, 0)


def test_a_deeper_release_keeps_names_and_groups_of_what_moved_a_little() -> None:
    before = merged(a=catalog("a", [(0, 0), (5, 0), (20, 0)]))
    after = merged(
        before, a=catalog("a", [(0.09, 0.05), (5.03, 0), (30, 0)]), b=catalog("b", [(0.12, 0.05)], edge_dist=9)
    )
    assert after["id_str"].tolist()[:2] != before["id_str"].tolist()[:2]  # the field that sees deeper speaks
    named = dict(zip(after["id_str"].tolist(), after["group_id"].tolist(), strict=True))
    for name, group in list(zip(before["id_str"].tolist(), before["group_id"].tolist(), strict=True))[:2]:
        assert named[name] == group
    assert name_counts(np.asarray(after["id_str"]), before) == (2, 2, 1)


def test_a_new_source_gets_no_name_that_was_given_before() -> None:
    """The old object of that name is gone, or elsewhere now."""
    taken = "demo_J100000.00+000036.0"
    earlier = release({taken: (40, 0), taken + "a": (50, 0)})
    table = merged(earlier, a=catalog("a", [(0, 0)]), b=catalog("b", [(0.001, 0)]))
    assert table["id_str"].tolist() == [taken + "b", taken + "c"]


offsets = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=8).map(
    lambda places: [(x * 0.07, y * 0.07) for x, y in places]
)


@settings(max_examples=25, deadline=None)
@given(offsets, offsets, offsets, offsets)
def test_names_are_unique_in_and_over_releases(
    one: list[tuple[float, float]],
    two: list[tuple[float, float]],
    three: list[tuple[float, float]],
    four: list[tuple[float, float]],
) -> None:
    before = merged(a=catalog("a", one), b=catalog("b", two))
    after = merged(before, a=catalog("a", three), b=catalog("b", four))
    names = after["id_str"].tolist()
    assert len(set(names)) == len(names) == len(three) + len(four)
    groups = dict(zip(names, after["group_id"].tolist(), strict=True))
    primary = np.asarray(after["is_primary"])
    assert len(set(after["group_id"])) == primary.sum()
    where = {name: (ra, dec) for name, ra, dec in before["id_str", "ra", "dec"]}
    for row in after:
        if row["id_str"] in where:
            ra, dec = where[row["id_str"]]
            assert np.hypot(row["ra"] - ra, row["dec"] - dec) <= 0.2 * ARCSEC * 1.001
    for name, group, lead in zip(before["id_str"].tolist(), before["group_id"], before["is_primary"], strict=True):
        if lead and name in groups and after["is_primary"][names.index(name)]:
            assert groups[name] == group
    counts = name_counts(np.asarray(names, dtype=str), before)
    assert counts.carried + counts.new == len(after)
    assert counts.carried + counts.gone == len(before)


def test_names_are_carried_over_from_a_release_in_another_frame() -> None:
    """The mosaics of the earlier release were 0.4 arcsec to the west: twice the radius."""
    random = np.random.default_rng(5)
    places = [(float(x), float(y)) for x, y in random.uniform(0, 60, (40, 2))]
    table = catalog("a", places, r50=0.2, snr_det=50.0)
    earlier = release({f"old-{row}": (x - 0.4, y) for row, (x, y) in enumerate(places)})
    profile = SimpleNamespace(name="demo", merge=OPTIONS, astrometry=AstrometryOptions())
    made = build_survey({"a": table}, profile, earlier=earlier)
    assert made.catalog["id_str"].tolist() == earlier["id_str"].tolist()
    assert made.names == (40, 0, 0)
    assert made.catalog["ra"].tolist() == table["ra"].tolist()


@pytest.mark.parametrize("count", [0, 1])
def test_a_survey_of_next_to_nothing_has_all_its_tables(count: int) -> None:
    tables = {"a": catalog("a", [(0, 0)] * count), "b": catalog("b", [])}
    one = release({"old": (0, 0)})
    profile = SimpleNamespace(name="demo", merge=OPTIONS, astrometry=AstrometryOptions(remove=True))
    reference = Table({"ra": one["ra"], "dec": one["dec"], "mag": [20.0]})
    made = build_survey(tables, profile, reference=reference, earlier=one)
    assert (len(made.catalog), len(made.overlap), made.shifts) == (count, 0, {})
    assert made.astrometry["field"].tolist() == ["a", "b"]
    assert made.names == (count, 0, 1 - count)


def test_numbers_of_groups_know_their_own_names_from_others() -> None:
    own = [
        "demo_J100000.00+000036.0",
        "demo_J100000.00-000036.0",
        "demo_J100000.00+000036.0b",
        "demo_J100000.01+000036.0",
    ]
    others = ["other_J100000.00+000036.0", "GZ-12", "demo_J1000", "demo2_J100000.00+000036.0"]
    numbers = [group_number(name, "demo") for name in own + others]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers[: len(own)]) < 2**62 <= min(numbers[len(own) :])
    assert max(numbers) < 2**63
    assert numbers[0] == 100000000000360 * 2000


def test_letters_go_round_what_is_taken() -> None:
    rows = catalog("a", [(0, 0)] * 30)
    name = "demo_J100000.00+000036.0"
    earlier = Earlier(np.array([""] * 30), {name + "a", name + "z", name + "aa"})
    made = unique_names("demo", rows, np.ones(30, dtype=bool), earlier)
    assert made[0] == name + "b"
    assert made[-1] == name + "ag"
    assert len(set(made.tolist())) == 30


# ---------------------------------------------------------------- files


def test_an_earlier_release_is_read_from_each_kind_of_file(tmp_path: Path) -> None:
    table = merged(a=catalog("a", [(0, 0), (5, 0)]), b=catalog("b", [(0.1, 0)]))
    write_parquet(table, tmp_path / "c.parquet")
    write_fits(table, tmp_path / "c.fits")
    table["id_str", "ra", "dec", "is_primary"].write(tmp_path / "c.csv", format="ascii.csv")
    table["id_str", "ra", "dec"].write(tmp_path / "c.ecsv", format="ascii.ecsv")
    for name in ("c.parquet", "c.fits", "c.csv"):
        read = read_earlier(tmp_path / name)
        assert read["is_primary"].tolist() == [True, True, False] == table["is_primary"].tolist()
        assert read["id_str"].tolist() == table["id_str"].tolist()
        assert np.allclose(read["ra"], table["ra"], atol=1e-9)
    assert read_earlier(tmp_path / "c.ecsv")["is_primary"].all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,ra,dec\na,1,2\n", "no column id_str"),
        ("id_str,ra,dec\na,1,2\na,1,3\n", "'a' is in rows 1 and 2"),
        ("id_str,ra,dec\na_J1+2,1,2\na_J1p2,1,3\n", "is in rows 1 and 2"),
        ("id_str,ra,dec\na,1,2\n../x,1,3\n", "row 2: .* may not name a file"),
        ("id_str,x,dec\na,1,2\n", "no column of ra"),
    ],
)
def test_what_names_cannot_be_taken_from_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "earlier.csv"
    path.write_text(text)
    with pytest.raises(CatalogError, match=rf"earlier\.csv.*{said}"):
        read_earlier(path)


def test_a_reference_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "ref.csv"
    path.write_text("RAJ2000,DEJ2000,MAG\n361,2,20\n1,nan,20\n1,3,99\n-1,4,21\n")
    read = read_reference(path)
    assert read["ra"].tolist() == [359]  # 361 is no right ascension
    path.write_text("ra,dec\n1,95\n")
    with pytest.raises(CatalogError, match="no row has a position"):
        read_reference(path)
