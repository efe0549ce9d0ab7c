"""What injection and the survey's tables of completeness are made from, and what a second run redoes."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.completeness.selection import COMPLETENESS, SelectionFunction
from gzjwst_core.errors import CatalogError
from gzjwst_core.models import Field, Mosaic, Product
from gzjwst_core.options import CompareOptions, Cut
from gzjwst_core.runs.close import record_of
from gzjwst_core.runs.receipts import complete
from gzjwst_core.runs.record import RunLog
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey.catalog import plan_field
from gzjwst_core.survey.completeness import FIELDS, INJECTION, PURITY, measure, plan_fields, plan_survey
from gzjwst_core.survey.crossmatch import CROSSMATCH
from gzjwst_core.survey.invalidate import drop_stale
from gzjwst_core.survey.mosaic_tables import write_products
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Output
from tests.catalog.test_selection import galaxies

CUTS = ("{column='is_primary', equals=true}", "{column='is_star', equals=false}", "{column='mag_ref', maximum=26.0}")
OPTIONS = (
    "survey.bands=['F277W']",
    "completeness.sources=30",
    "completeness.mag_range=[24.0, 28.0]",
    "completeness.mag_step=2.0",
    "completeness.r50_range=[0.1, 0.4]",
    f"select.cuts=[{', '.join(CUTS)}]",
)


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    return start(SurveyRequest(out=str(tmp_path), cache=str(tmp_path / "cache"), overrides=OPTIONS))


def survey(run: SurveyRun, *names: str) -> list[Field]:
    """Write the list of a survey with these fields."""
    kinds = {"collection": "JWST", "size": 1, "band": "F277W"}
    write_products(
        run.folder,
        [Product(uri=f"mast:{n}", filename=n, obs_id=n, field=n, **kinds) for n in names],
    )
    known = {"size": 1, "archive": "mast"}
    return [
        Field(name=n, mosaics=(Mosaic(field=n, band="F277W", obs_id=n, product_uri=f"mast:{n}", filename=n,
                                      uri=f"mast:{n}", identity=f"mast:{n}|1|", **known),))
        for n in names
    ]  # fmt: skip


def catalogued(run: SurveyRun, fields: list[Field]) -> None:
    for work in (plan_field(run, field) for field in fields):
        complete(run.folder, work, partial(receipt, run, work))


def receipt(run: SurveyRun, work: Work) -> Receipt:
    """Leave a catalog with 60 bright and 40 faint sources, a sixth of the bright ones round."""
    mag, star = np.repeat([25.0, 27.0], [60, 40]), np.arange(100) < 10
    output = write(run, f"catalog/fields/{work.unit}.parquet", Table({"mag_ref": mag, "is_star": star}))
    return Receipt(**work.model_dump(), key=work.key, outputs=(output,))


def write(run: SurveyRun, relative: str, table: Table) -> Output:
    with run.folder.writing(relative) as path:
        write_parquet(table, path)
    return run.folder.output(relative)


def injected(run: SurveyRun, fields: list[Field]) -> list[bool]:
    """Leave what injection would leave; returns which was done just now."""
    works = plan_fields(run, fields)
    return [complete(run.folder, work, partial(injection, run, work)).fresh for work in works.values()]


def injection(run: SurveyRun, work: Work) -> Receipt:
    table = galaxies(300, work.unit)
    del table["selected"]
    mags = np.asarray(table["mag_out"])[table["recovered"]]
    outputs = (
        write(run, f"catalog/injected/{work.unit}.parquet", table),
        write(
            run,
            f"catalog/injected/detections/{work.unit}.parquet",
            Table({"mag_ref": mags, "is_star": np.zeros(len(mags), dtype=bool)}),
        ),
        write(
            run,
            f"catalog/negative/{work.unit}.parquet",
            Table({"mag_ref": [27.0] * 3, "is_star": [False] * 3}),
        ),
    )
    counts = {"injected": 300, "negative": 3, "detected": 100, "found": len(mags)}
    counts["blended"] = int(np.sum(table["blended"]))
    notes = {"reference_band": "F277W", "area": 0.5}
    return Receipt(**work.model_dump(), key=work.key, outputs=outputs, counts=counts, notes=notes)


def changed(run: SurveyRun, section: str, **values: object) -> SurveyRun:
    part = getattr(run.profile, section).model_copy(update=values)
    return run.model_copy(update={"profile": run.profile.model_copy(update={section: part})})


def test_only_fields_whose_catalog_stands_are_injected_into(run: SurveyRun) -> None:
    fields = survey(run, "north", "south")
    assert plan_fields(run, fields) == {}
    catalogued(run, fields[1:])
    assert list(plan_fields(run, fields)) == ["south"]
    assert plan_fields(changed(run, "completeness", sources=0), fields) == {}


def test_an_injection_knows_its_catalog_and_its_options_and_no_others(run: SurveyRun) -> None:
    fields = survey(run, "north")
    catalogued(run, fields)
    key = plan_fields(run, fields)["north"].key
    for same in (changed(run, "images", size_px=300), run.model_copy(update={"cache": "/elsewhere"})):
        assert plan_fields(same, fields)["north"].key == key
    for counted in ({"limit_r50": 0.3}, {"r50_bins": 7}, {"mag_step": 0.25}):
        assert plan_fields(changed(run, "completeness", **counted), fields)["north"].key == key
    assert plan_fields(changed(run, "select", cuts=()), fields)["north"].key == key
    others = [changed(run, "completeness", density=9.0), changed(run, "psf", min_stars=9)]
    assert len({key, *(plan_fields(other, fields)["north"].key for other in others)}) == 3
    deeper = changed(run, "detect", threshold=2.0)
    catalogued(deeper, fields)
    assert plan_fields(deeper, fields)["north"].key != key


def test_a_psf_counts_by_its_content_and_not_by_its_place(run: SurveyRun, tmp_path: Path) -> None:
    fields = survey(run, "north")
    catalogued(run, fields)
    keys = []
    for name, content in (("a.fits", b"1"), ("b.fits", b"1"), ("b.fits", b"2")):
        (tmp_path / name).write_bytes(content)
        keys.append(plan_fields(changed(run, "psf", files={"F277W": str(tmp_path / name)}), fields)["north"].key)
    assert keys[0] == keys[1] != keys[2]
    assert plan_fields(run, fields)["north"].key not in keys
    matched = changed(run, "psf", files={"F277W": str(tmp_path / "a.fits")}, match="reddest")
    moved = changed(run, "psf", files={"F277W": str(tmp_path / "c.fits")}, match="reddest")
    (tmp_path / "a.fits").write_bytes(b"2")
    (tmp_path / "c.fits").write_bytes(b"2")
    assert plan_field(matched, fields[0]).key == plan_field(moved, fields[0]).key


def test_bands_are_matched_anew_only_for_a_cut_that_asks(run: SurveyRun) -> None:
    fields = survey(run, "north")
    matched = changed(run, "psf", match="reddest")
    asked = changed(matched, "select", cuts=(Cut(column="F277W_flux_matched", minimum=1.0),))
    options = []
    for one in (run, matched, asked):
        catalogued(one, fields)
        options.append(plan_fields(one, fields)["north"].options)
    assert options[0] == options[1] != options[2]


def test_the_surveys_tables_grow_with_a_field_and_are_not_redone(run: SurveyRun) -> None:
    fields = survey(run, "north", "south")
    assert plan_survey(run) is None
    catalogued(run, fields)
    assert injected(run, fields[1:]) == [True]
    work = plan_survey(run)
    assert work is not None
    assert measure(run, work).fresh
    assert not measure(run, work).fresh
    assert SelectionFunction.read(run.folder.url).fields == ("south",)
    assert injected(run, fields) == [True, False]
    work = plan_survey(run)
    assert work is not None
    done = measure(run, work)
    assert done.fresh
    assert (done.counts["injected"], done.counts["negative"]) == (600, 6)
    assert SelectionFunction.read(run.folder.url).fields == ("north", "south")
    local = run.folder.local()
    assert local is not None
    limits, purity = read_parquet(local / FIELDS), read_parquet(local / PURITY)
    assert limits["field"].tolist() == ["north", "south"]
    assert purity["purity"].tolist() == pytest.approx([1.0, 0.925] * 2)


def test_cuts_and_bins_are_applied_to_what_was_injected_once(run: SurveyRun) -> None:
    fields = survey(run, "north")
    catalogued(run, fields)
    injected(run, fields)
    limits = []
    for faintest in (26.0, 27.0):
        one = changed(run, "select", cuts=(*run.cuts[:2], Cut(column="mag_ref", maximum=faintest)))
        work = plan_survey(one)
        assert work is not None
        limits.append(measure(one, work))
        local = run.folder.local()
        assert local is not None
        table, purity = read_parquet(local / COMPLETENESS), read_parquet(local / PURITY)
        galaxy = galaxies(300, "north")
        kept = galaxy["recovered"] & (galaxy["mag_out"] <= faintest)
        assert table["n_selected"].sum() == kept.sum() == limits[-1].counts["selected"]
        assert purity["n_selected"].tolist() == [50, 40 if faintest == 27.0 else 0]
        assert purity["n_negative_selected"].tolist() == [0, 3 if faintest == 27.0 else 0]
    finer = changed(run, "completeness", r50_bins=2)
    work = plan_survey(finer)
    assert work is not None
    assert measure(finer, work).fresh
    assert injected(finer, fields) == [False]


def test_tables_of_another_catalog_are_not_left_to_be_believed(run: SurveyRun) -> None:
    fields = survey(run, "north")
    catalogued(run, fields)
    injected(run, fields)
    work = plan_survey(run)
    assert work is not None
    measure(run, work)
    drop_stale(run)
    assert told(run)["total"] == 300
    assert told(changed(run, "completeness", sources=0)) == {}
    deeper = changed(run, "detect", threshold=2.0)
    assert told(deeper)["total"] == 300  # until its catalog is made
    catalogued(deeper, fields)
    assert told(deeper) == {}
    drop_stale(deeper)
    assert not any(run.folder.exists(path) for path in (COMPLETENESS, PURITY, FIELDS))
    with pytest.raises(CatalogError, match="run the survey with"):
        SelectionFunction.read(run.folder.url)
    assert run.folder.exists("catalog/injected/north.parquet")
    assert plan_survey(changed(run, "completeness", sources=0)) is None
    drop_stale(changed(run, "completeness", sources=0))
    assert not run.folder.names(f"receipts/{INJECTION.name}")
    assert not run.folder.exists("catalog/injected/north.parquet")


def told(run: SurveyRun) -> Mapping[str, int]:
    """Return what the run's record says of injected galaxies."""
    log = RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=())
    return record_of(SURVEY, run, log).sums.get("injected", {})


def test_comparisons_go_with_the_profiles_or_with_their_catalog(run: SurveyRun) -> None:
    merged = Work(stage="merge", version="1", unit="survey", inputs={}, options="")
    made = write(run, "catalog/catalog.parquet", Table({"a": [1]}))
    complete(run.folder, merged, lambda: Receipt(**merged.model_dump(), key=merged.key, outputs=(made,)))
    asked = run.model_copy(
        update={"profile": run.profile.model_copy(update={"compare": (CompareOptions(name="a", path="b"),)})}
    )

    def compared(digest: str) -> None:
        work = Work(stage="crossmatch", version="1", unit="survey", inputs={"catalog": digest}, options="")
        output = write(run, CROSSMATCH, Table({"a": [1]}))
        complete(run.folder, work, lambda: Receipt(**work.model_dump(), key=work.key, outputs=(output,)))

    compared(made.digest)
    drop_stale(asked)
    assert run.folder.exists(CROSSMATCH)
    drop_stale(run)
    assert not run.folder.exists(CROSSMATCH)
    compared("another")
    drop_stale(asked)
    assert not run.folder.exists(CROSSMATCH)


def test_what_no_longer_fits_its_catalog_or_left_the_survey_counts_no_more(run: SurveyRun) -> None:
    fields = survey(run, "north", "south", "west")
    catalogued(run, fields)
    injected(run, fields)
    deeper = changed(run, "detect", threshold=2.0)
    catalogued(deeper, fields[:1])
    survey(run, "north", "south")
    work = plan_survey(run)
    assert work is not None
    assert list(work.inputs) == ["south"]
    measure(run, work)
    assert [name.partition("-")[0] for name in run.folder.names(f"receipts/{INJECTION.name}")] == ["north", "south"]
    assert plan_survey(changed(run, "completeness", density=9.0)) is None
