"""Offline, the run folder's lists and the cache take the archives' place, and nobody is asked."""

from pathlib import Path
from typing import Any

import pytest

from gzjwst_core.archives.rules import INSTRUMENT_NOT_WANTED as ANOTHER
from gzjwst_core.errors import ProductNotFoundError, ProfileError, QueryError
from gzjwst_core.models import Product
from gzjwst_core.runs.work import Work
from gzjwst_core.survey import query as stages
from gzjwst_core.survey.estimate import estimate
from gzjwst_core.survey.mosaic_tables import MOSAICS, PRODUCTS, mosaics_of, products_of, write_products
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.archives.tiny import fits_bytes

BANDS = ("F277W", "F444W")


def product(band: str, **changes: str) -> Product:
    obs_id = f"jw09801-o001_t001_nircam_clear-{band.lower()}"
    return Product(
        uri=f"mast:JWST/product/{obs_id}_i2d.fits",
        filename=f"{obs_id}_i2d.fits",
        obs_id=obs_id,
        collection="JWST",
        size=10,
        field="one",
        band=band,
    ).replace(**changes)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SurveyRun:
    """An earlier run listed two bands, and found them in the bucket; the archives are not to be asked."""
    run = start(SurveyRequest(out=str(tmp_path / "out"), cache=str(tmp_path / "cache"), offline=True, bands=BANDS))
    listed = (*map(product, BANDS), product("F150W", outcome="dropped", reason="band_not_wanted"))
    keep(run, listed)
    field = stages.listing_of(run, listed).fields[0]
    found = {"archive": "s3", "uri": "s3://b/k", "identity": "s3://b/k|10|e"}
    stages.record(run, [field.replace(mosaics=tuple(mosaic.replace(**found) for mosaic in field.mosaics))])

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("an archive was asked")

    monkeypatch.setattr(stages, "query_products", asked)
    monkeypatch.setattr(stages, "ask", asked)
    return run


def keep(run: SurveyRun, products: tuple[Product, ...]) -> None:
    write_products(run.folder, products)


def test_the_lists_of_an_earlier_run_are_gone_by(run: SurveyRun) -> None:
    listing = stages.query(run)
    assert (listing.kept, listing.dropped) == (2, 1)
    assert stages.locate(run, listing.fields[0]).bands == BANDS


def test_fewer_bands_are_taken_from_the_list_and_leave_it_as_it_is(run: SurveyRun, tmp_path: Path) -> None:
    before = run.folder.read(stages.PRODUCTS)
    one = run.replace(profile=run.profile.model_copy(update={"survey": survey_of(run, "F444W")}))
    listing = stages.query(one)
    assert [mosaic.band for field in listing.fields for mosaic in field.mosaics] == ["F444W"]
    assert dict(listing.reasons) == {"band_not_wanted": 2}
    assert run.folder.read(stages.PRODUCTS) == before


def test_a_band_that_the_list_was_made_without_is_named(run: SurveyRun) -> None:
    more = run.replace(profile=run.profile.model_copy(update={"survey": survey_of(run, "F150W", "F444W")}))
    with pytest.raises(QueryError, match="made without F150W") as caught:
        stages.query(more)
    assert caught.value.reason == "offline"


def survey_of(run: SurveyRun, *bands: str) -> object:
    return run.profile.survey.model_copy(update={"bands": bands})


def test_a_mosaic_that_is_not_cached_is_not_fetched(run: SurveyRun) -> None:
    mosaic = stages.locate(run, stages.query(run).fields[0]).mosaics[0]
    with pytest.raises(ProductNotFoundError, match="not in the cache") as caught:
        stages.fetch(run, mosaic, [Work(stage="catalog", version="1", unit="one", inputs={}, options="")])
    assert caught.value.reason == "offline"


def test_a_dry_run_asks_nobody_either(run: SurveyRun) -> None:
    found = estimate(run)
    assert (found.located, found.missing, found.first_visit, found.injection_visit) == (2, 0, 20, 0)


def test_fields_that_left_the_survey_leave_the_table_of_mosaics(run: SurveyRun) -> None:
    keep(run, tuple(product(band, field="two") for band in BANDS))
    field = stages.listing_of(run, stages.list_products(run)).fields[0]
    stages.record(run, [field])
    assert {mosaic.field for mosaic in mosaics_of(run)} == {"two"}


def test_an_earlier_list_is_judged_by_the_instrument_of_this_run(run: SurveyRun) -> None:
    keep(run, (product("F277W"), product("F444W", instrument="NIRISS/IMAGE")))
    assert dict(stages.query(run).reasons) == {"instrument_not_wanted": 1}
    keep(run, (product("F277W"), product("F444W", instrument="NIRCAM/IMAGE", outcome="dropped", reason=ANOTHER)))
    with pytest.raises(QueryError, match="made without NIRCAM"):
        stages.query(run)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"bands": ("F200W",)}, QueryError, "none of 2 products was kept .*asked for: NIRCAM, F200W"),
        ({"overrides": ("survey.instrument=NIRISS",)}, QueryError, "2 instrument_not_wanted"),
        ({"fields": ("nowhere",)}, ProfileError, "--fields nowhere: no such field"),
    ],
)
def test_a_request_that_cannot_be_met_leaves_a_finished_folder_as_it_is(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A file came since: a run that can be met lists it, and only such a run."""
    (tmp_path / "p.toml").write_text(
        '[survey]\nname="x"\nbands=["F200W","F277W"]\n[[local]]\npath="*.fits"\npattern="(?P<field>.)_(?P<band>f...w)"'
    )
    asked: dict[str, Any] = {"profile": str(tmp_path / "p.toml"), "out": str(tmp_path), "cache": str(tmp_path / "c")}
    (tmp_path / "a_f277w_nircam.fits").write_bytes(fits_bytes())
    first = start(SurveyRequest(**asked))
    stages.query(first)
    before = first.folder.read(stages.PRODUCTS)
    (tmp_path / "b_f277w_nircam.fits").write_bytes(fits_bytes())
    with pytest.raises(error, match=said):
        run = start(SurveyRequest(**asked, **changes))
        run.chosen(stages.query(run).fields)
    assert first.folder.read(stages.PRODUCTS) == before
    stages.query(first)
    assert first.folder.read(stages.PRODUCTS) != before


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing"])
def test_a_damaged_list_of_mosaics_is_none_while_archives_can_be_asked(
    run: SurveyRun, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run.folder.write(MOSAICS, damage)
    asked = run.replace(offline=False)
    assert mosaics_of(asked) == mosaics_of(asked) == []
    assert caplog.text.count("mosaics.parquet is damaged: it is made anew") == 1
    with pytest.raises(QueryError, match=r"mosaics\.parquet is damaged .* run once without --offline"):
        mosaics_of(run)


def test_a_damaged_list_of_products_says_what_to_do(run: SurveyRun) -> None:
    run.folder.write(PRODUCTS, b"PAR1 and nothing")
    with pytest.raises(QueryError, match=r"products\.parquet is damaged .* run once without --offline"):
        products_of(run)
