"""Rules: every row ends kept or dropped with a reason, whatever the order it came in."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.rules import choose_products
from gzjwst_core.errors import QueryError
from gzjwst_core.models import Product
from gzjwst_core.options import ProductRule, QueryOptions
from tests.archives.tiny import row, square

BANDS = ("F115W", "F200W", "F277W", "F444W")
QUERY = QueryOptions(
    keep=(ProductRule(column="productFilename", matches=r".*_i2d\.fits(\.gz)?", reason="not_a_mosaic"),),
    drop=(ProductRule(column="obs_id", matches=r".*-sub[0-9a-z]+", reason="subarray"),),
)
LE3 = "jw01345-o001_t021_nircam_clear-"
HLSP = "hlsp_ceers_jwst_nircam_"


def judge(*rows: dict[str, str | int], query: QueryOptions = QUERY) -> dict[str, Product]:
    return {product.uri.rpartition("/")[2]: product for product in choose_products(rows, query, BANDS)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"productFilename": "a_segm.fits"}, "not_a_mosaic"),
        ({"obs_id": LE3 + "f200w-sub160"}, "subarray"),
        ({"dataRights": "EXCLUSIVE_ACCESS"}, "not_public"),
        ({"dataRights": "EXCLUSIVE_ACCESS", "productFilename": "a_cat.ecsv"}, "not_a_mosaic"),
        ({"dataRights": ""}, ""),
        ({"obs_id": LE3 + "f150w"}, "band_not_wanted"),
        ({"obs_id": "x", "productFilename": "x_i2d.fits"}, "no_field_or_band"),
        ({"obs_id": "jw01345-o001_t021_miri_f770w", "productFilename": "y_i2d.fits"}, "instrument_not_wanted"),
        ({"obs_id": "jw01345-o001_t021_niriss_clear-f200w"}, "instrument_not_wanted"),
        ({"obs_id": "x-f200w", "productFilename": "x_niriss_f200w_i2d.fits"}, "instrument_not_wanted"),
        ({"instrument_name": "NIRISS/IMAGE"}, "instrument_not_wanted"),
        ({"instrument_name": "NIRISS/WFSS;NIRCAM/IMAGE"}, ""),
        ({"instrument_name": "NIRCAM/IMAGE"}, ""),
        ({"instrument_name": ""}, ""),
        ({"size": -1}, "bad_size"),
        ({"size": 10**16}, "bad_size"),
        ({"size": "5 GB"}, "bad_size"),
        ({"size": -1, "productFilename": "a_cat.ecsv"}, "not_a_mosaic"),
        ({"obs_id": "x", "productFilename": HLSP + "nircam1_f200w_v0.5_i2d.fits.gz"}, ""),  # the file's name tells
        ({"productFilename": "../../etc/passwd_i2d.fits"}, "bad_name"),
        ({"dataURI": "file:///etc/passwd"}, "bad_name"),
    ],
)
def test_each_reason(changes: dict[str, str | int], reason: str) -> None:
    [product] = choose_products([{**row(LE3 + "f200w"), **changes}], QUERY, BANDS)
    assert (product.outcome, product.reason) == ("dropped" if reason else "kept", reason)
    assert product.size >= 0


def test_an_instrument_of_the_same_filter_is_never_taken_for_the_surveys() -> None:
    """NIRISS' file is the larger one: among products of one instrument it would win."""
    niriss = row("jw01345-o001_t021_niriss_clear-f200w", size=9) | {"instrument_name": "NIRISS/IMAGE"}
    nircam = row(LE3 + "f200w", size=2) | {"instrument_name": "NIRCAM/IMAGE"}
    for wanted, other, instrument in ((nircam, niriss, "NIRCAM"), (niriss, nircam, "NIRISS")):
        found = {p.obs_id: p for p in choose_products([niriss, nircam], QUERY, BANDS, instrument)}
        assert found[str(wanted["obs_id"])].outcome == "kept"
        assert found[str(other["obs_id"])].reason == "instrument_not_wanted"
        assert all(product.instrument for product in found.values())


def test_kept_product_carries_field_band_and_programme() -> None:
    [product] = choose_products([row(LE3 + "f200w", size=7)], QUERY, BANDS)
    assert (product.field, product.band, product.proposal, product.size) == ("jw01345-o001_t021", "F200W", "01345", 7)


def test_a_narrow_filter_in_the_pupil_is_the_band() -> None:
    bands = (*BANDS, "F470N")
    [product] = choose_products([row("jw02731-o001_t017_nircam_f444w-f470n")], QUERY, bands)
    assert product.band == "F470N"


def test_profiles_own_pattern_wins() -> None:
    query = QueryOptions(field_pattern=r"team_(?P<field>[a-z0-9]+)_(?P<band>f\d{3}w)")
    products = judge(row("team_uds1_f444w", collection="HLSP"), row(LE3 + "f444w"), query=query)
    assert {product.field for product in products.values()} == {"uds1", "jw01345-o001_t021"}


def test_field_that_may_not_name_a_file_is_dropped() -> None:
    query = QueryOptions(field_pattern=r"(?P<field>.*)_(?P<band>f\d{3}w)")
    named = {"productFilename": "a.fits", "dataURI": "mast:HLSP/x/a.fits"}
    [product] = choose_products([{**row("a b/../c_f444w"), **named}], query, BANDS)
    assert product.reason == "no_field_or_band"


@pytest.mark.parametrize(
    "path", ["JWST/product/../../../etc/passwd", "JWST//x.fits", "/etc/passwd", "", "JWST/a b.fits"]
)
def test_an_address_that_leads_elsewhere_is_dropped(path: str) -> None:
    [product] = choose_products([{**row(LE3 + "f444w"), "dataURI": f"mast:{path}"}], QUERY, BANDS)
    assert product.reason == "bad_name"


def test_observatory_wins_over_team_on_the_same_sky() -> None:
    there = square(214.9, 52.9, 0.04)
    products = judge(
        row(LE3 + "f200w", s_region=there),
        row(HLSP + "nircam1_f200w_v0.5", s_region=square(214.901, 52.9, 0.04), collection="HLSP"),
        row(HLSP + "nircam1_f115w_v0.5", s_region=there, collection="HLSP"),
    )
    assert {product.field for product in products.values()} == {"jw01345-o001_t021"}
    assert products[HLSP + "nircam1_f200w_v0.5_i2d.fits.gz"].reason.startswith("duplicate_of:mast:JWST/product/jw01345")
    assert products[HLSP + "nircam1_f115w_v0.5_i2d.fits.gz"].outcome == "kept"


def test_preference_is_the_profiles() -> None:
    rows = [
        row(LE3 + "f200w", s_region=square(0, 0, 0.04)),
        row(HLSP + "nircam1_f200w_v0.5", s_region=square(0, 0, 0.04), collection="HLSP"),
    ]
    kept = [p for p in choose_products(rows, QueryOptions(prefer=("HLSP", "LE3")), BANDS) if p.outcome == "kept"]
    assert [(p.collection, p.field) for p in kept] == [("HLSP", "nircam1")]


def test_pointing_2_triple_keeps_the_largest() -> None:
    names = {"nircam2": (0.035, 2300), "nircam2b": (0.035, 2300), "nircam2all": (0.05, 3200)}
    products = judge(
        *(
            row(f"{HLSP}{name}_f200w_v0.5", s_region=square(214.9, 52.9, side), collection="HLSP", size=size)
            for name, (side, size) in names.items()
        )
    )
    kept = [product.obs_id for product in products.values() if product.outcome == "kept"]
    assert kept == [HLSP + "nircam2all_f200w_v0.5"]


def test_a_chain_of_overlapping_visits_stays_apart() -> None:
    rows = [
        row(f"jw01727-o{i:03d}_t001_nircam_clear-f444w", s_region=square(150 + 0.02 * i, 2, 0.05)) for i in range(4)
    ]
    rows = [{**r, "obs_id": str(r["obs_id"]).replace("t001", f"t{i:03d}")} for i, r in enumerate(rows)]
    query = QueryOptions(same_field_overlap=0.55)
    fields = {p.field for p in choose_products(rows, query, BANDS) if p.outcome == "kept"}
    assert fields == {"jw01727-o000_t000", "jw01727-o002_t002"}  # 1 joins 0, 3 joins 2; 2 shares too little with 0


@pytest.mark.parametrize("ra", [10.0, 359.99, 0.0])
def test_no_footprint_means_the_name_decides(ra: float) -> None:
    rows = [
        row(LE3 + "f200w", s_region="POLYGON garbage"),
        row("jw01345-o002_t022_nircam_clear-f200w", s_region=square(ra, 5, 0.02)),
    ]
    assert len(fields_of(choose_products(rows, QUERY, BANDS))) == 2


def test_fields_are_ordered_by_name_and_wavelength() -> None:
    rows = [row(f"jw01345-o00{n}_t021_nircam_clear-{band}") for n in (2, 1) for band in ("f444w", "f115w", "f277w")]
    expected = ("jw01345-o002_t021_nircam_clear-f277w",)
    first, second = fields_of(choose_products(rows, QUERY, BANDS), expected_missing=expected)
    assert (first.name, second.name) == ("jw01345-o001_t021", "jw01345-o002_t021")
    assert [mosaic.band for mosaic in second.mosaics] == ["F115W", "F277W", "F444W"]
    assert [mosaic.expected for mosaic in second.mosaics] == [False, True, False]


def test_rule_on_an_unknown_column_is_named() -> None:
    query = QueryOptions(keep=(ProductRule(column="productFilname", matches=".*", reason="x"),))
    with pytest.raises(QueryError, match="productFilname"):
        choose_products([row(LE3 + "f200w")], query, BANDS)


def test_missing_column_is_named() -> None:
    broken = {name: value for name, value in row(LE3 + "f200w").items() if name != "dataRights"}
    with pytest.raises(QueryError, match="dataRights"):
        choose_products([broken], QUERY, BANDS)


obs_ids = st.sampled_from(
    [
        LE3 + "f200w",
        LE3 + "f200w-sub160",
        LE3 + "f444w",
        "jw01345-c1000_t021_nircam_clear-f200w",
        HLSP + "nircam1_f200w_v0.5",
        HLSP + "nircam2all_f444w_v0.5",
        "jw01345001001_02101_00001_nrca1",
        "",
        "x/../y",
    ]
)
regions = st.sampled_from(
    ["", "POLYGON 1 2", square(214.9, 52.9, 0.04), square(214.91, 52.9, 0.04), square(359.99, 1, 0.05)]
)
rows_of_mast = st.lists(
    st.builds(
        lambda obs, region, collection, size, rights: row(
            obs, s_region=region, collection=collection, size=size, dataRights=rights
        ),
        obs_ids,
        regions,
        st.sampled_from(["JWST", "HLSP"]),
        st.integers(0, 3),
        st.sampled_from(["PUBLIC", "EXCLUSIVE_ACCESS", ""]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(rows_of_mast, st.randoms(use_true_random=False))
def test_all_rows_are_accounted_for_in_any_order(rows: list[dict[str, str | int]], shuffler: random.Random) -> None:
    products = choose_products(rows, QUERY, BANDS)
    assert len(products) == len(rows)
    assert all(bool(p.reason) == (p.outcome == "dropped") for p in products)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert choose_products(shuffled, QUERY, BANDS) == products
    kept = [(p.field, p.band) for p in products if p.outcome == "kept"]
    assert len(set(kept)) == len(kept)
    assert sum(len(field.mosaics) for field in fields_of(products)) == len(kept)
