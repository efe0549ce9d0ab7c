"""The shipped profiles' query rules on names as MAST has them."""

import pytest

from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.rules import choose_products
from gzjwst_core.models import Product
from gzjwst_core.survey.profile import load_profile
from tests.archives.tiny import row, square

SURVEYS = ("ceers", "jades", "cosmos-web", "primer")


def judge(survey: str, *rows: dict[str, str | int]) -> list[Product]:
    profile = load_profile(survey)
    full = [{"calib_level": "3", **row} for row in rows]
    return list(choose_products(full, profile.query, profile.survey.bands))


@pytest.mark.parametrize("survey", SURVEYS)
def test_they_validate_and_say_what_to_cite(survey: str) -> None:
    profile = load_profile(survey)
    assert profile.name == survey
    assert profile.survey.cite
    assert all(len(criteria) >= 3 for criteria in profile.query.observations)


def test_ceers_has_its_28_mosaics() -> None:
    profile = load_profile("ceers")
    names = []
    for band in map(str.lower, profile.survey.bands):
        parts = ("2", "2b", "2all") if band in {"f200w", "f444w"} else ("2",)
        names += [(f"hlsp_ceers_jwst_nircam_nircam{pointing}_{band}", pointing) for pointing in ("1", "3", "6", *parts)]
    rows = [
        row(f"{name}_v0.5", collection="HLSP", s_region=square(214.7 + 0.2 * int(pointing[0]), 52.8, 0.05))
        for name, pointing in names
    ]
    side = {**rows[0], "productFilename": str(rows[0]["productFilename"]).replace("_i2d.fits.gz", "_cat.fits")}
    products = judge("ceers", *rows, side, row("hlsp_ceers_jwst_nircam_nircam5_f200w_v0.6", collection="HLSP"))
    kept = [product for product in products if product.outcome == "kept"]
    assert len(kept) == profile.query.expected_mosaics == 28
    fields = fields_of(products)
    assert [len(field.mosaics) for field in fields] == [7, 7, 7, 7]
    dropped = sorted(product.reason for product in products if product.outcome == "dropped")
    assert dropped == ["another_release", "not_a_mosaic", *["part_of_2all"] * 4]


def test_jades_takes_the_newest_mosaics() -> None:
    def drz(field: str, release: str, version: str, ending: str = "_drz.fits") -> dict[str, str | int]:
        obs = f"hlsp_jades_jwst_nircam_{field}_f200w_{version}"
        uri = f"mast:HLSP/jades/{release}/goods-s/images/{obs}{ending}"
        return {**row(obs, collection="HLSP"), "productFilename": obs + ending, "dataURI": uri}

    products = judge(
        "jades",
        drz("goods-s-deep", "dr1", "v1.0"),
        drz("goods-s-deep", "dr2", "v2.0"),
        drz("goods-n", "dr3", "v1.0"),
        drz("goods-s-deep", "dr2", "v2.0", "_catalog.fits"),
    )
    assert sorted((p.reason, p.field) for p in products) == [
        ("", "goods-n"),
        ("", "goods-s-deep"),
        ("not_a_mosaic", ""),
        ("superseded_by_dr2", ""),
    ]


@pytest.mark.parametrize(("survey", "programme"), [("cosmos-web", "01727"), ("primer", "01837")])
def test_level_3_of_one_programme(survey: str, programme: str) -> None:
    stem = f"jw{programme}-o140_t104_nircam_clear-f277w"
    member = {**row("jw01727140001_02101_00001_nrca1"), "calib_level": "2"}
    segm = {**row(stem), "productFilename": f"{stem}_segm.fits", "dataURI": f"mast:JWST/product/{stem}_segm.fits"}
    products = judge(
        survey, row(stem), member, segm, row(f"{stem}-sub160"), row("jw09999-o140_t104_nircam_clear-f277w")
    )
    assert sorted(product.reason for product in products) == [
        "",
        "another_programme",
        "member_exposure",
        "not_a_mosaic",
        "subarray",
    ]
