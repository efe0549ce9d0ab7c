"""One sky object is one primary, whatever the order of the fields."""

import random
from collections.abc import Mapping

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.columns import columns_for
from gzjwst_core.catalog.merge import merge_rows, stack
from gzjwst_core.errors import CatalogError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.options import MergeOptions
from gzjwst_core.storage.tables import apply_columns

COLUMNS = columns_for(["F277W", "F444W"], [0.3])
OPTIONS = MergeOptions()
ARCSEC = 1 / 3600


def catalog(field: str, offsets_arcsec: list[tuple[float, float]], **values: object) -> Table:
    """Field catalog with sources at offsets (ra, dec) from a place on the equator."""
    count = len(offsets_arcsec)
    table = Table({c.name: np.zeros(count, dtype=c.dtype) for c in COLUMNS})
    table["field"] = np.full(count, field)
    table["source_id"] = np.arange(1, count + 1)
    table["ra"] = [150.0 + dx * ARCSEC for dx, _ in offsets_arcsec]
    table["dec"] = [0.01 + dy * ARCSEC for _, dy in offsets_arcsec]
    table["valid_frac"] = np.ones(count, dtype="float32")
    for name, value in values.items():
        table[name] = np.broadcast_to(np.asarray(value, dtype=table[name].dtype), count)
    return apply_columns(table, COLUMNS)


def merge_fields(tables: Mapping[str, Table]) -> Table:
    """Merge catalogs whose positions agree."""
    rows = stack(tables)
    return merge_rows(rows, (np.asarray(rows["ra"]), np.asarray(rows["dec"])), "demo", OPTIONS)


def merged(**tables: Table) -> Table:
    return merge_fields(tables)


def test_one_object_in_two_fields_is_one_group_with_the_deeper_row_as_primary() -> None:
    shallow = catalog("a", [(0, 0), (9, 0)], F444W_fluxerr_aper030_naive=2.0, F444W_wht_med=9.0)
    deep = catalog("b", [(0.1, 0.05)], F444W_fluxerr_aper030_naive=1.0, F444W_wht_med=1.0)
    table = merged(a=shallow, b=deep)
    assert table["field"].tolist() == ["a", "a", "b"]
    assert table["is_primary"].tolist() == [False, True, True]
    assert table["group_id"][0] == table["group_id"][2] != table["group_id"][1]
    assert table["flags"].tolist() == [Flag.DUPLICATE, 0, 0]
    assert table.colnames[:3] == ["id_str", "group_id", "is_primary"]
    assert table["ra"].unit == "deg"
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"valid_frac": 0.9}, {"F444W_fluxerr_aper030_naive": 9.0}),
        ({"flags": Flag.EDGE}, {"F444W_fluxerr_aper030_naive": 9.0}),
        ({"flags": Flag.SATURATED}, {"F444W_fluxerr_aper030_naive": 9.0}),
        ({"flags": Flag.TRUNCATED}, {}),
        ({"F444W_fluxerr_aper030_naive": 2.0}, {"F444W_fluxerr_aper030_naive": 1.0}),
        (
            {"F444W_fluxerr_aper030_naive": 1.0, "edge_dist": 4.0},
            {"F444W_fluxerr_aper030_naive": 1.0, "edge_dist": 5.0},
        ),
        (
            {"F444W_fluxerr_aper030_naive": np.nan, "F277W_fluxerr_aper030_naive": 2.0},
            {"F444W_fluxerr_aper030_naive": 1.0, "F277W_fluxerr_aper030_naive": 1.0},
        ),
        (  # the wings of neighbours, which one field sees and the other does not, say nothing of its depth
            {"F444W_fluxerr_aper030_naive": 2.0, "F444W_fluxerr_aper030": 3.0},
            {"F444W_fluxerr_aper030_naive": 1.0, "F444W_fluxerr_aper030": 7.0},
        ),
        ({"edge_dist": np.nan}, {"edge_dist": 0.0}),
    ],
)
def test_the_rule_of_the_primary(worse: dict[str, float], better: dict[str, float]) -> None:
    table = merged(a=catalog("a", [(0, 0)], **worse), b=catalog("b", [(0.1, 0)], **better))
    assert table["is_primary"].tolist() == [False, True]


def test_equal_rows_are_settled_by_the_fields_name() -> None:
    table = merged(b=catalog("b", [(0.1, 0)]), a=catalog("a", [(0, 0)]))
    assert table["is_primary"].tolist() == [True, False]


def test_two_detections_of_one_field_stay_two_beside_a_worse_field() -> None:
    table = merged(a=catalog("a", [(0, 0), (0.3, 0)], edge_dist=5), b=catalog("b", [(0.14, 0)], edge_dist=1))
    assert table["is_primary"].tolist() == [True, True, False]
    assert table["group_id"][2] == table["group_id"][0]  # the nearer of the two


def test_groups_do_not_grow_by_chains() -> None:
    table = merged(
        a=catalog("a", [(0, 0)], edge_dist=3),
        b=catalog("b", [(0.15, 0)], edge_dist=2),
        c=catalog("c", [(0.3, 0)], edge_dist=1),
    )
    assert table["is_primary"].tolist() == [True, False, True]


def test_names_get_letters_only_where_they_collide_and_a_lone_primary_keeps_its_name() -> None:
    table = merged(a=catalog("a", [(0, 0), (5, 0)]), b=catalog("b", [(0.001, 0.001)]))
    assert table["id_str"].tolist() == [
        "demo_J100000.00+000036.0",
        "demo_J100000.33+000036.0",
        "demo_J100000.00+000036.0b",
    ]
    two = merged(a=catalog("a", [(0.01, 0.01), (0, 0)]), b=catalog("b", [(0.001, 0.02)]))
    assert two["id_str"].tolist() == [
        "demo_J100000.00+000036.0b",
        "demo_J100000.00+000036.0a",
        "demo_J100000.00+000036.0c",
    ]


def test_a_further_field_elsewhere_changes_no_row() -> None:
    first = {"b": catalog("b", [(0, 0), (3, 1)]), "c": catalog("c", [(0.1, 0)])}
    before = merge_fields(first)
    after = merge_fields({**first, "a": catalog("a", [(60, 0)])})
    assert [tuple(row) for row in after[1:]] == [tuple(row) for row in before]


def test_merging_again_is_the_same() -> None:
    tables = {"a": catalog("a", [(0, 0)]), "b": catalog("b", [(0.1, 0)])}
    once = merge_fields(tables)
    names = [c.name for c in COLUMNS]
    again = {f: once[names][np.asarray(once["field"]) == f] for f in tables}
    assert [tuple(r) for r in merge_fields(again)] == [tuple(r) for r in once]


def test_empty_fields_merge() -> None:
    table = merged(a=catalog("a", []), b=catalog("b", [(0, 0)]))
    assert len(table) == 1
    assert len(merged(a=catalog("a", []))) == 0


def test_what_cannot_be_merged_is_refused_by_field() -> None:
    good = catalog("a", [(0, 0)])
    with pytest.raises(CatalogError, match="no field catalog"):
        merged()
    with pytest.raises(CatalogError, match="field b: its columns differ"):
        merged(a=good, b=Table({"ra": [1.0]}))
    with pytest.raises(CatalogError, match="field b: its catalog holds rows of another"):
        merged(a=good, b=good)
    with pytest.raises(CatalogError, match="field b: source_id 1 has no finite"):
        merged(a=good, b=catalog("b", [(np.nan, 0)]))
    twice = catalog("b", [(0, 0), (1, 1)])
    twice["source_id"] = 1
    with pytest.raises(CatalogError, match="field b: source_id is not unique"):
        merged(a=good, b=twice)


places = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda p: (p[0] * 0.05, p[1] * 0.05))
fields = st.lists(st.tuples(st.lists(places, max_size=6), st.integers(0, 2)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(fields, st.randoms(use_true_random=False))
def test_every_group_has_one_primary_and_the_order_of_fields_is_nothing(
    sky: list[tuple[list[tuple[float, float]], int]], shuffler: random.Random
) -> None:
    tables = {f"f{n}": catalog(f"f{n}", offsets, edge_dist=edge) for n, (offsets, edge) in enumerate(sky)}
    table = merge_fields(tables)
    shuffled = list(tables.items())
    shuffler.shuffle(shuffled)
    assert [tuple(r) for r in merge_fields(dict(shuffled))] == [tuple(r) for r in table]

    primary = np.asarray(table["is_primary"])
    groups, counts = np.unique(table["group_id"][primary], return_counts=True)
    assert counts.tolist() == [1] * len(groups)
    assert set(table["group_id"]) == set(groups)
    assert len(set(table["id_str"])) == len(table) == sum(len(offsets) for offsets, _ in sky)
    assert (((np.asarray(table["flags"]) & Flag.DUPLICATE) != 0) == ~primary).all()
    if primary.any():
        kept = table[primary]
        ra, dec, field = (np.asarray(kept[n]) for n in ("ra", "dec", "field"))
        separation = np.hypot(ra[:, None] - ra, dec[:, None] - dec) * 3600
        assert not np.any((separation < OPTIONS.radius_arcsec - 1e-6) & (field[:, None] != field))
