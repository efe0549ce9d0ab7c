"""What injection and the survey's tables of completeness are made from, and what a second run redoes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gzjwst_core.archives.tables import write_products
from gzjwst_core.catalog.injection_stages import FIELDS, INJECTION, PURITY, measure, plan_fields, plan_survey
from gzjwst_core.catalog.selection import SelectionFunction
from gzjwst_core.catalog.stages import plan_field
from gzjwst_core.models import Field, Mosaic, Product, Receipt, Work
from gzjwst_core.request import RunRequest, start
from gzjwst_core.run import Run
from gzjwst_core.storage.receipts import complete
from gzjwst_core.storage.tables import read_parquet, write_parquet
from tests.catalog.test_selection import galaxies

OPTIONS = (
    "survey.bands=['F277W']",
    "completeness.sources=30",
    "completeness.mag_range=[24.0, 28.0]",
    "completeness.mag_step=2.0",
    "completeness.r50_range=[0.1, 0.4]",
)
NONE = [0, 0]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return start(RunRequest(out=str(tmp_path), cache=str(tmp_path / "cache"), overrides=OPTIONS))


def survey(run: Run, *names: str) -> list[Field]:
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


def catalogued(run: Run, fields: list[Field]) -> None:
    for work in (plan_field(run, field) for field in fields):
        complete(run.folder, work, partial(receipt, work))


def receipt(work: Work) -> Receipt:
    return Receipt(**work.model_dump(), key=work.key)


def injected(run: Run, fields: list[Field]) -> list[bool]:
    """Leave what injection would leave; returns which was done just now."""
    works = plan_fields(run, fields)
    return [complete(run.folder, work, partial(injection, run, work)).fresh for work in works.values()]


def injection(run: Run, work: Work) -> Receipt:
    table = galaxies(300, work.unit)
    with run.folder.writing(f"catalog/injected/{work.unit}.parquet") as path:
        write_parquet(table, path)
    output = run.folder.output(f"catalog/injected/{work.unit}.parquet")
    found = {name: int(np.sum(table[name])) for name in ("blended", "selected")}
    counts = {"injected": 300, "negative": 3, "detected": 100, "found": int(np.sum(table["recovered"])), **found}
    magnitudes = {"n_detected": [60, 40], "n_negative": [0, 3], "n_selected": [50, 0], "n_negative_selected": NONE}
    notes = {"reference_band": "F277W", "area": 0.5, "counts": magnitudes}
    return Receipt(**work.model_dump(), key=work.key, outputs=(output,), counts=counts, notes=notes)


def changed(run: Run, section: str, **values: object) -> Run:
    part = getattr(run.profile, section).model_copy(update=values)
    return run.model_copy(update={"profile": run.profile.model_copy(update={section: part})})


def test_only_fields_whose_catalog_stands_are_injected_into(run: Run) -> None:
    fields = survey(run, "north", "south")
    assert plan_fields(run, fields) == {}
    catalogued(run, fields[1:])
    assert list(plan_fields(run, fields)) == ["south"]
    assert plan_fields(changed(run, "completeness", sources=0), fields) == {}


def test_an_injection_knows_its_catalog_and_its_options_and_no_others(run: Run) -> None:
    fields = survey(run, "north")
    catalogued(run, fields)
    key = plan_fields(run, fields)["north"].key
    for same in (changed(run, "images", size_px=300), run.model_copy(update={"cache": "/elsewhere"})):
        assert plan_fields(same, fields)["north"].key == key
    others = [
        changed(run, "completeness", density=9.0),
        changed(run, "psf", min_stars=9),
        changed(run, "select", cuts=()),
    ]
    assert len({key, *(plan_fields(other, fields)["north"].key for other in others)}) == 4
    deeper = changed(run, "detect", threshold=2.0)
    catalogued(deeper, fields)
    assert plan_fields(deeper, fields)["north"].key != key


def test_a_psf_counts_by_its_content_and_not_by_its_place(run: Run, tmp_path: Path) -> None:
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


def test_the_surveys_tables_grow_with_a_field_and_are_not_redone(run: Run) -> None:
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


def test_what_no_longer_fits_its_catalog_or_left_the_survey_counts_no_more(run: Run) -> None:
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
    assert [name.partition("-")[0] for name in run.folder.names(f"receipts/{INJECTION}")] == ["north", "south"]
    assert plan_survey(changed(run, "completeness", density=9.0)) is None
