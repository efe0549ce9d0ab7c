"""What stages plan, tidy up and hand over when a survey's fields and its selection change between runs."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.errors import ArchiveUnavailableError, BudgetError, ProfileError
from gzjwst_core.models import Attempt, Field, Mosaic, Product
from gzjwst_core.names import file_stem
from gzjwst_core.options import CompletenessOptions
from gzjwst_core.runs.close import record_of
from gzjwst_core.runs.receipts import complete
from gzjwst_core.runs.record import RunLog
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey import estimate as estimating
from gzjwst_core.survey import query as archives
from gzjwst_core.survey.archive_registry import cache_of
from gzjwst_core.survey.catalog import (
    CATALOG,
    FIELD_CATALOG,
    MOSAICS,
    plan_field,
    plan_merge,
    plan_transfers,
    with_targets,
)
from gzjwst_core.survey.cutouts import CUTOUTS, Plan, plan, tidy
from gzjwst_core.survey.images import IMAGES, measures_of, pin
from gzjwst_core.survey.mosaic_tables import mosaics_of, write_mosaics, write_products
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.query import Listing
from gzjwst_core.survey.report_data import shown_rows
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.run_facts import _bands_without_mosaics, _targets
from gzjwst_core.values import Output

CUTS = 'select.cuts=[{column="is_primary",equals=true},{column="mag_ref",maximum=25.0}]'


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    return start(
        SurveyRequest(out=str(tmp_path), cache=str(tmp_path / "cache"), overrides=(CUTS, "cutouts.chunk_size=4"))
    )


def survey(run: SurveyRun, magnitudes: dict[str, list[float]]) -> list[Field]:
    """Write the tables of a survey with these fields and the magnitudes of their sources."""
    listed = [
        Product(uri=f"mast:{name}", filename=name, obs_id=name, collection="JWST", size=1, field=name, band="F444W")
        for name in magnitudes
    ]
    write_products(run.folder, listed)
    with run.folder.writing(CATALOG) as path:
        write_parquet(catalog_of(magnitudes), path)
    return [Field(name=name, mosaics=(mosaic(name),)) for name in magnitudes]


def mosaic(name: str) -> Mosaic:
    return Mosaic(field=name, band="F444W", obs_id=name, product_uri=f"mast:{name}", filename=name, size=1,
                  archive="mast", uri=f"mast:{name}", identity=f"mast:{name}|1|")  # fmt: skip


def catalog_of(magnitudes: dict[str, list[float]]) -> Table:
    where = [name for name, values in magnitudes.items() for _ in values]
    count = len(where)
    return Table(
        {
            "id_str": [
                f"demo_J{name}{row:03d}+02" for name, values in magnitudes.items() for row in range(len(values))
            ],
            "group_id": np.arange(count),
            "field": where,
            "ra": np.full(count, 150.0),
            "dec": np.full(count, 2.0),
            "mag_ref": [value for values in magnitudes.values() for value in values],
            "r50": np.full(count, 0.3),
            "flags": np.zeros(count, dtype="uint32"),
            "ext_id": [""] * count,
            "is_primary": np.ones(count, dtype=bool),
            "segment_id": np.arange(count),
            "bbox_diagonal": np.ones(count),
            "isophote_diagonal": np.ones(count),
            "ellipticity": np.zeros(count),
            "segment_reach": np.full(count, 0.4),
            "ext_fov": np.full(count, np.nan),
            "kron_a": np.ones(count),
        }
    )


def carry_out(run: SurveyRun, planned: Plan) -> None:
    """Leave a cutout and an image of every target that was planned."""
    with run.folder.reading(CATALOG) as path:
        table = read_parquet(path)
    bright = table[table["mag_ref"] <= 25]
    for field, works in planned.chunks.items():
        names = [file_stem(name) for name in bright["id_str"][bright["field"] == field]]
        for number, work in enumerate(works):
            for item in (work, work.replace(stage=IMAGES.name)):
                complete(run.folder, item, partial(make, run.folder, item, names[number :: len(works)]))


def make(folder: Folder, work: Work, names: list[str]) -> Receipt:
    paths = [f"{work.stage}/{work.unit.rpartition('-')[0]}/{name}" for name in names]
    outputs: list[Output] = [folder.write(path, b"pixels") for path in paths]
    notes = {"images": [{"record": record(path), "measures": {"fill": 0.5, "sky": None}} for path in paths]}
    counts = {"written": len(outputs)}
    return Receipt(**work.model_dump(), key=work.key, outputs=tuple(outputs), counts=counts, notes=notes)


def record(path: str) -> dict[str, str | float]:
    name = path.rpartition("/")[2]
    text = {"id_str": name.replace("p02", "+02"), "image": path, "filters_rgb": "", "recipe": "", "recipe_digest": ""}
    return text | dict.fromkeys(("fov_arcsec", "pixscale_arcsec", "coverage_min"), 1.0)


def step(run: SurveyRun, magnitudes: dict[str, list[float]], *asked: str) -> Plan:
    """One run up to publishing, of all fields or of those asked for."""
    fields = survey(run, magnitudes)
    planned = plan(run, [field for field in fields if not asked or field.name in asked])
    carry_out(run, planned)
    tidy(run, planned)
    return planned


def files(run: SurveyRun) -> dict[str, int]:
    found = [path.split("/")[:2] for path in run.folder.sizes() if path.startswith((CUTOUTS.name, IMAGES.name))]
    return {"/".join(parts): found.count(parts) for parts in found}


def test_a_field_that_loses_its_last_target_loses_its_images(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    step(run, {"north": [26.0] * 6, "south": [20.0] * 3})
    assert files(run) == {"cutouts/south": 3, "images/south": 3}
    assert len(shown_rows(run)) == 3


def test_a_cut_that_leaves_nothing_removes_nothing(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    step(run, {"north": [26.0] * 6, "south": [26.0] * 3})
    assert files(run)["images/north"] == 6
    assert len(shown_rows(run)) == 0
    flow = [{"cut": "mag_ref <= 25", "before": 9, "after": 0}]
    counts = {"sources": 9, "primary": 9, "selected": 0}
    work = Work(stage="merge", version="1", unit="survey", inputs={}, options="")
    merged = Receipt(
        **work.model_dump(),
        key=work.key,
        counts=counts,
        notes={"cut_flow": flow},
        outputs=(run.folder.output(CATALOG),),
    )
    complete(run.folder, work, lambda: merged)
    told = record_of(SURVEY, run, RunLog(begun="2026-01-01T00:00:00+00:00", seconds=0.0, asked={}, stages=()))
    assert told.exit_code == 4
    assert [(one.reason, one.detail.partition(";")[0]) for one in told.missing if one.what == "selection"] == [
        ("nothing_selected", "mag_ref <= 25 leaves none of 9 rows")
    ]


def test_a_field_that_left_the_survey_leaves_nothing_to_hand_over(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    step(run, {"south": [20.0] * 3})
    assert files(run) == {"cutouts/south": 3, "images/south": 3}
    assert set(shown_rows(run)["field"]) == {"south"}


def test_a_run_of_one_field_keeps_the_others_but_shows_no_one_who_is_not_selected(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    step(run, {"north": [20.0] * 2 + [26.0] * 4, "south": [20.0] * 3}, "south")
    assert files(run)["images/north"] == 6
    assert len(shown_rows(run)) == 2 + 3


def test_a_field_that_is_in_the_survey_but_not_in_its_catalog_keeps_its_files(run: SurveyRun) -> None:
    """Its catalog failed this time: what was made is kept, and not shown."""
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    fields = survey(run, {"north": [], "south": [20.0] * 3})
    tidy(run, plan(run, fields[1:]))
    assert files(run)["images/north"] == 6
    assert set(shown_rows(run)["field"]) == {"south"}


def test_a_field_whose_mosaics_are_in_no_archive_this_time_keeps_its_images(run: SurveyRun) -> None:
    fields = survey(run, {"north": [20.0] * 6})
    carry_out(run, plan(run, fields))
    lost = fields[0].replace(mosaics=(mosaic("north").replace(archive="", uri="", identity=""),))
    planned = plan(run, [lost])
    tidy(run, planned)
    assert dict(planned.chunks) == {}
    assert files(run)["images/north"] == len(shown_rows(run)) == 6


def test_chunks_that_are_divided_anew_no_longer_stand_while_they_are(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 4})
    fields = survey(run, {"north": [20.0] * 8})
    planned = plan(run, fields)
    assert len(planned.chunks["north"]) == 2
    assert list(CUTOUTS.all_latest(run.folder)) == list(IMAGES.all_latest(run.folder)) == []
    carry_out(run, planned)
    tidy(run, planned)
    assert files(run) == {"cutouts/north": 8, "images/north": 8}
    assert len(run.folder.names("receipts/cutouts")) == 2


def test_cutouts_of_an_earlier_selection_never_make_a_sum_negative(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    cut = Tallies(run.folder).of(CUTOUTS.name).counts
    merged = Receipt(stage="merge", version="1", unit="survey", key="k", inputs={}, options="", counts={"selected": 5})
    assert _targets(cut, merged, []) == {"total": 9, "written": 9}
    more = merged.replace(counts={"selected": 10})
    assert _targets(cut, more, []) == {"total": 10, "not_done": 1, "written": 9}


def test_images_that_failed_are_counted_and_end_a_run_as_partly_done(run: SurveyRun) -> None:
    step(run, {"north": [20.0] * 6})
    bad = IMAGES.work("north-9of16", {}, "")
    counts = {"failed:no_sigma": 2, "written": 1}
    complete(run.folder, bad, lambda: Receipt(**bad.model_dump(), key=bad.key, counts=counts))
    log = RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=())
    record = record_of(SURVEY, run, log)
    assert record.sums["images"] == {"total": 9, "failed:no_sigma": 2, "written": 7}
    assert (record.outcome, record.exit_code) == ("partial", 4)
    assert record.message.startswith("missing or failed: 2 images (failed:no_sigma)")


def test_measures_are_a_row_an_image_and_nan_where_there_are_none(run: SurveyRun) -> None:
    assert measures_of([]) is None
    step(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    measures = measures_of(IMAGES.all_latest(run.folder))
    assert measures is not None
    assert measures["id_str"].tolist() == sorted(measures["id_str"].tolist())
    assert np.all(np.isnan(measures["sky"]))
    assert measures["fill"].tolist() == [0.5] * 9


def measured(run: SurveyRun, sigmas: dict[str, float]) -> None:
    """Write the tables of a survey whose fields were catalogued, with the sky of each."""
    survey(run, dict.fromkeys(("north", "south"), [20.0] * 6))
    table = catalog_of(dict.fromkeys(sigmas, [20.0] * 6))
    for band in run.profile.survey.bands:
        table[f"{band}_flux_auto"] = np.ones(len(table))
    with run.folder.writing(CATALOG) as path:
        write_parquet(table, path)
    with run.folder.writing(MOSAICS) as path:
        bands, values = ["F444W"] * len(sigmas), list(sigmas.values())
        write_parquet(Table({"field": list(sigmas), "band": bands, "sigma": values}), path)


PARTS: dict[str, dict[str, Any]] = {
    "limit": {"limit": 1},
    "fields": {"fields": ("north",)},
    "bands": {"bands": ("F444W",)},
}


@pytest.mark.parametrize("part", [*PARTS, "failed"])
def test_colour_of_a_run_that_is_not_whole_is_provisional(run: SurveyRun, part: str) -> None:
    """Also where that run is repeated; the first whole run pins as if it had been the first."""
    asked, passing = run.replace(**PARTS.get(part, {})), ("locate south",) if part == "failed" else ()
    measured(run, {"north": 0.1})
    first = pin(asked, passing)
    assert (first.state, dict(first.run.profile.images.sigma)) == ("provisional", {"F444W": 0.1})
    assert (passing or (asked.part,))[0] in first.why
    measured(run, {"north": 0.1, "south": 0.3})
    again = pin(asked, passing)
    assert (again.state, dict(again.run.profile.images.sigma)) == ("provisional", {"F444W": 0.1})
    whole = pin(run)
    assert (whole.state, dict(whole.run.profile.images.sigma)) == ("final", {"F444W": 0.2})
    assert "pinned anew" in whole.warnings[0]
    unbroken = run.replace(out=f"{run.out}/unbroken")
    measured(unbroken, {"north": 0.1, "south": 0.3})
    assert pin(unbroken).run.profile == whole.run.profile
    measured(run, {"north": 0.1, "south": 0.7})
    later = pin(run)
    assert (later.state, later.run.profile) == ("final", whole.run.profile)
    assert len(later.warnings) == 2  # north and south differ from what is pinned


def test_colour_that_volunteers_have_seen_stays_though_it_was_provisional(run: SurveyRun) -> None:
    measured(run, {"north": 0.1})
    pin(run.replace(limit=1))
    measured(run, {"north": 0.1, "south": 0.12})
    seen = pin(run, uploaded=3)
    assert (seen.state, seen.why) == ("final", "3 uploads are on record")
    assert dict(seen.run.profile.images.sigma) == {"F444W": 0.1}
    assert "was pinned by a run that was not whole and stays" in seen.warnings[0]
    assert pin(run, uploaded=3).warnings == ()
    assert dict(pin(run).run.profile.images.sigma) == {"F444W": 0.1}


def test_colour_that_a_profile_states_is_final(run: SurveyRun, tmp_path: Path) -> None:
    measured(run, {"north": 0.1})
    pin(run.replace(limit=1))
    stated = run.profile.images.model_copy(update={"sigma": {"F444W": 0.5}, "gain": {"F444W": 2.0}})
    mine = run.replace(profile=run.profile.model_copy(update={"images": stated}))
    pinned = pin(mine.replace(limit=1))
    assert (pinned.state, dict(pinned.run.profile.images.sigma)) == ("final", {"F444W": 0.5})


def test_a_folder_of_an_older_version_keeps_its_colour(run: SurveyRun) -> None:
    measured(run, {"north": 0.1, "south": 0.1})
    run.folder.write("profile.toml", b"[images.sigma]\nF444W = 0.07\n[images.gain]\nF444W = 1.5\n")
    pinned = pin(run)
    assert (pinned.state, pinned.why) == ("final", "pinned before")
    assert dict(pinned.run.profile.images.sigma) == {"F444W": 0.07}


def test_colour_that_is_pinned_from_a_part_of_the_survey_is_told(run: SurveyRun) -> None:
    survey(run, {"north": [20.0] * 6, "south": [20.0] * 3})
    bands = ("F150W", "F444W")
    with run.folder.writing(CATALOG) as path:
        table = catalog_of({"north": [20.0] * 6})
        for band in run.profile.survey.bands:
            table[f"{band}_flux_auto"] = np.ones(6)
        write_parquet(table, path)
    with run.folder.writing(MOSAICS) as path:
        write_parquet(Table({"field": ["north"] * 2, "band": bands, "sigma": [0.1, 0.2]}), path)
    unpin = f"`python -m gzjwst_core colour unpin {run.folder.url}`"
    assert pin(run).warnings == (f"colour of F150W, F444W is pinned from 1 of 2 fields; {unpin} lets it go",)
    assert pin(run).warnings == ()
    assert dict(pin(run).run.profile.images.sigma) == {"F150W": 0.1, "F444W": 0.2}


def test_a_cache_that_cannot_hold_a_field_refuses_the_run(run: SurveyRun) -> None:
    mosaic = Mosaic(
        field="f", band="F444W", obs_id="o", product_uri="mast:o", filename="o_i2d.fits", size=10**9,
        archive="mast", uri="mast:o", identity="mast:o|1|",
    )  # fmt: skip
    field = Field(name="f", mosaics=(mosaic,))
    assert plan_transfers(run, [field, field]).bytes == 2 * 10**9
    with pytest.raises(BudgetError, match=r"need 2 GB.* 1\.2 GB: raise --cache-gb"):
        plan_transfers(run.replace(cache_gb=1.2), [field])


def test_scratch_copies_of_detection_bands_need_room_and_a_third_visit_is_told(
    run: SurveyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    bands = ("F150W", "F277W", "F356W", "F444W")
    known = {"obs_id": "o", "size": 10**9, "archive": "mast"}
    mosaics = [
        Mosaic(field="f", band=b, product_uri=b, filename=f"{b}_i2d.fits", uri=f"mast:{b}", identity=b, **known)
        for b in bands
    ]
    field = Field(name="f", mosaics=tuple(mosaics))
    none = run.profile.model_copy(update={"completeness": CompletenessOptions(sources=0)})
    without = run.model_copy(update={"profile": none})
    assert (archives.scratch_bytes(run, field), archives.scratch_bytes(without, field)) == (3 * 10**9, 0)
    assert (plan_transfers(run, [field]).largest, plan_transfers(without, [field]).largest) == (7 * 10**9, 5 * 10**9)
    with pytest.raises(BudgetError, match=r"scratch files need 7 GB.* 6 GB"):
        plan_transfers(run.replace(cache_gb=6.0), [field])
    with archives.reading(run, Field(name="f", mosaics=()), scratch=5):
        assert list(cache_of(run).held()) != []
    monkeypatch.setattr(estimating, "list_products", lambda _: ())
    monkeypatch.setattr(estimating, "listing_of", lambda *_: archives.Listing(fields=(field,), kept=4, dropped=0))
    monkeypatch.setattr(estimating, "locate", lambda *_, **__: field)
    for cache_gb, one, again in ((10.0, run, 0), (3.0, run, 4), (3.0, without, 0)):
        found = estimating.estimate(one.replace(cache_gb=cache_gb))
        assert (found.first_visit, found.injection_visit) == (4 * 10**9, again * 10**9)
        assert found.second_visit == (4 * 10**9 if cache_gb == 3.0 else 0)


def test_targets_and_detected_sources_do_not_share_a_folder(run: SurveyRun, tmp_path: Path) -> None:
    field = Field(name="f", mosaics=())
    work = plan_field(run, field)
    complete(run.folder, work, lambda: Receipt(**work.model_dump(), key=work.key))
    (tmp_path / "mine.csv").write_text("ra,dec\n1.0,2.0\n")
    with pytest.raises(ProfileError, match="detected sources: give this run a folder of its own"):
        plan_field(run.model_copy(update={"targets": str(tmp_path / "mine.csv")}), field)


def test_a_band_without_any_mosaic_is_named(run: SurveyRun) -> None:
    product = Product(uri="mast:a", filename="a", obs_id="a", collection="JWST", size=1, field="f", band="F444W")
    write_products(run.folder, [product])
    lost = {one.what: one.reason for one in _bands_without_mosaics(run)}
    assert lost == dict.fromkeys(("F115W", "F150W", "F277W", "F356W"), "no_mosaic")


def test_fields_without_targets_are_not_read(run: SurveyRun, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("ra,dec\n150.0,2.0\n150.0,2.001\n")
    squares = {"here": "150.01 1.99 149.99 1.99 149.99 2.01 150.01 2.01", "there": "151 1 150.9 1 150.9 1.1 151 1.1"}
    listed = [
        Product(
            uri=f"mast:{name}", filename=name, obs_id=name, collection="JWST", size=1, field=name, band="F444W",
            s_region=f"POLYGON ICRS {corners}",
        )
        for name, corners in squares.items()
    ]  # fmt: skip
    unknown = listed[0].replace(uri="mast:u", field="unknown", s_region="")
    write_products(run.folder, [*listed, unknown])
    fields = [Field(name=name, mosaics=(mosaic(name),)) for name in ("here", "there", "unknown")]
    targets = run.model_copy(update={"targets": str(tmp_path / "mine.csv")})
    assert [field.name for field in with_targets(targets, fields)] == ["here", "unknown"]
    assert with_targets(run, fields) == fields


def test_a_mosaic_that_is_away_keeps_its_place(run: SurveyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(name="north", mosaics=(mosaic("north"),))
    asked = mosaic("north").replace(archive="", uri="", identity="")
    nowhere = asked.replace(trail=(Attempt(archive="mast", found=False, reason="not_found"),))
    write_products(run.folder, [])
    monkeypatch.setattr(archives, "ask", lambda *_, **__: nowhere)
    assert archives.locate(run, field).bands == ()  # no earlier run knows it either
    write_mosaics(run.folder, field.mosaics)
    (again,) = archives.locate(run, field.replace(mosaics=(asked,))).mosaics
    assert (again.archive, again.uri, again.identity) == ("mast", "mast:north", "mast:north|1|")
    assert [(one.archive, one.found) for one in again.trail] == [("mast", False), ("mast before", True)]
    without = run.profile.model_copy(update={"archives": run.profile.archives.model_copy(update={"order": ("s3",)})})
    assert archives.locate(run.model_copy(update={"profile": without}), field.replace(mosaics=(asked,))).bands == ()


def test_no_field_at_all_was_located(run: SurveyRun) -> None:
    """The table says so, and the run goes on to tell what failed."""
    write_products(run.folder, [])
    archives.record(run, [])
    assert mosaics_of(run) == []
    assert run.folder.exists(archives.MOSAICS)


def test_a_mosaic_that_is_expected_nowhere_ends_no_field(run: SurveyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise ArchiveUnavailableError("nobody could say")

    monkeypatch.setattr(archives, "ask", busy)
    nowhere = mosaic("north").replace(archive="", uri="", identity="")
    with pytest.raises(ArchiveUnavailableError):
        archives.locate(run, Field(name="north", mosaics=(nowhere,)))
    (found,) = archives.locate(run, Field(name="north", mosaics=(nowhere.replace(expected=True),))).mosaics
    assert (found.located, found.trail[0].reason) == (False, "archive_unavailable")


def merged_with(run: SurveyRun, **shifts: list[float]) -> None:
    work = Work(stage="merge", version="1", unit="survey", inputs={}, options=str(shifts))
    receipt = Receipt(**work.model_dump(), key=work.key, notes={"shifts": shifts})
    complete(run.folder, work, lambda: receipt)


def test_cutouts_are_made_anew_when_their_fields_offset_changes_and_only_then(run: SurveyRun) -> None:
    fields = survey(run, {"north": [20.0] * 3, "south": [20.0] * 3})

    def keys() -> dict[str, str]:
        return {field: works[0].key for field, works in plan(run, fields).chunks.items()}

    bare = keys()
    merged_with(run)
    assert keys() == bare
    merged_with(run, south=[12.5, -3.0])
    first = keys()
    assert first["north"] == bare["north"]
    assert first["south"] != bare["south"]
    merged_with(run, south=[12.5, -3.0], east=[1.0, 1.0])
    assert keys() == first
    merged_with(run, south=[12.5, -3.01])
    assert keys()["south"] not in (first["south"], bare["south"])


def test_naming_a_mosaic_for_persistence_redoes_the_catalog_and_no_cutout(run: SurveyRun) -> None:
    fields = survey(run, {"a": [24.0, 24.5]})
    flagged = run.profile.mosaics.model_copy(update={"persistence": ("a",)})
    other = run.replace(profile=run.profile.model_copy(update={"mosaics": flagged}))
    assert plan_field(other, fields[0]).key != plan_field(run, fields[0]).key
    assert plan(other, fields).chunks == plan(run, fields).chunks


def test_a_field_that_is_as_deep_as_it_was_not_is_merged_anew(run: SurveyRun) -> None:
    """The tables of mosaics and depths come from its receipt's notes: the same sources do not make them stand."""
    fields = survey(run, {"a": []})
    listing = Listing(fields=tuple(fields), kept=1, dropped=0)
    run.folder.write(FIELD_CATALOG.path("table", "a"), b"x")
    keys = set()
    for depth in (27.0, 28.0):
        work = FIELD_CATALOG.work("a", {}, str(depth))
        table = run.folder.output(FIELD_CATALOG.path("table", "a"))
        made = FIELD_CATALOG.receipt(work, {"table": table}, {}, {"mosaics": [{"depth": depth}]})
        complete(run.folder, work, partial(Receipt.model_copy, made))
        keys.add(plan_merge(run, listing).key)
    assert len(keys) == 2
