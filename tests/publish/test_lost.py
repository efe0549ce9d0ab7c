"""Every target of a table is booked once: as a cutout, or with the reason why there is none."""

from pathlib import Path

import pytest
from astropy.table import Table

from gzjwst_core.models import Product
from gzjwst_core.options import QueryOptions, SurveyOptions
from gzjwst_core.options.archives import LocalMosaics
from gzjwst_core.runs.work import Receipt
from gzjwst_core.survey.lost_targets import lost_targets
from gzjwst_core.survey.mosaic_tables import write_products
from gzjwst_core.survey.profile import SurveyProfile
from gzjwst_core.survey.run import SurveyRun

SQUARE = "POLYGON ICRS {0} -0.1 {0} 0.1 {1} 0.1 {1} -0.1"


def product(field: str, region: str) -> Product:
    name = f"{field}_F444W.fits"
    parts = {"uri": f"local:{name}", "filename": name, "obs_id": name, "collection": "LOCAL", "size": 1}
    return Product(**parts, field=field, band="F444W", s_region=region)


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    """Three fields side by side: f1 has a catalog, f2 failed, f3 was not asked for."""
    rows = ["made,10.05,0", "twin,10.05,0", "gap,10.06,0", "lost,11.05,0", "other,12.05,0", "far,50,0", "bad,nan,0"]
    (tmp_path / "t.csv").write_text("\n".join(["id,ra,dec", *rows]) + "\n")
    local = LocalMosaics(band="F444W", path="x.fits")
    survey = SurveyOptions(name="tiny", bands=("F444W",))
    made = SurveyRun(
        profile=SurveyProfile(survey=survey, local=(local,), query=QueryOptions()),
        out=str(tmp_path),
        cache=str(tmp_path / "cache"),
        targets=str(tmp_path / "t.csv"),
        fields=("f1", "f2"),
    )
    regions = {f"f{n}": SQUARE.format(9 + n, 9.1 + n) for n in (1, 2, 3)}
    write_products(made.folder, [product(field, region) for field, region in regions.items()])
    inputs = {"targets": made.targets_digest}
    receipt = Receipt(stage="catalog", version="1", unit="f1", key="f1-0", inputs=inputs, options="")
    made.folder.write("receipts/catalog/f1-0.json", receipt.model_dump_json().encode())
    return made


def test_every_target_has_its_own_reason(run: SurveyRun) -> None:
    catalog = Table({"ext_id": ["made", "twin"], "is_primary": [True, False]})
    lost = {one.what: one for one in lost_targets(run, catalog)}
    assert {name: one.reason for name, one in lost.items()} == {
        "gap": "outside_fields",
        "lost": "field_failed",
        "other": "not_asked",
        "far": "outside_fields",
        "bad": "bad_position",
        "twin": "same_object",
    }
    assert not lost["lost"].expected
    assert all(one.expected for name, one in lost.items() if name != "lost")
    assert "f2" in lost["lost"].detail


def test_a_field_without_footprint_may_hold_any(run: SurveyRun) -> None:
    write_products(run.folder, [product("f1", SQUARE.format(10, 10.1)), product("f2", "")])
    catalog = Table({"ext_id": ["made", "twin"], "is_primary": [True, True]})
    assert {one.reason for one in lost_targets(run, catalog)} == {"field_failed", "bad_position"}


def test_without_any_catalog_all_are_booked(run: SurveyRun) -> None:
    assert len(lost_targets(run, None)) == 7
    assert lost_targets(run.model_copy(update={"targets": ""}), None) == []
