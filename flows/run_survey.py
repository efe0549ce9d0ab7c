"""Run one survey: `python flows/run_survey.py [PROFILE]`, or as a deployment of Prefect.

The flow is the table of contents of a run; what each line does is in `tasks/` and, below it, in `gzjwst_core/`.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[1])
if sys.path[0] != _ROOT:  # `flows` and `tasks` are names that other packages use: ours come first
    sys.path.insert(0, _ROOT)

from flows.common.stopping import listen

if __name__ == "__main__":
    listen()  # importing what follows takes seconds

import tasks.settings  # noqa: F401, I001 - before prefect

from collections.abc import Sequence
from typing import TypeVar, cast

from prefect import flow
from prefect.futures import PrefectFuture

from flows.common.command_line import main
from flows.common.progress import RunProgress
from flows.common.reporting import leave
from flows.common.run_pipeline import FLOW, run_pipeline
from gzjwst_core.models import Field
from gzjwst_core.runs.receipts import Done
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.catalog import FIELD_CATALOG, MERGE
from gzjwst_core.survey.completeness import INJECTION, SELECTION_FUNCTION
from gzjwst_core.survey.controls import CONTROLS
from gzjwst_core.survey.crossmatch import COMPARISON
from gzjwst_core.survey.cutouts import CUTOUTS, Plan
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.mosaic_access import FETCH, Prefetch
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.quality import IMAGE_CHECKS
from gzjwst_core.survey.query import LOCATE, QUERY, mosaic_rows
from gzjwst_core.survey.request import SurveyRequest
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.training import TRAINING
from gzjwst_core.survey.uploads_record import HANDOVER
from tasks.archives import fetch_mosaic, locate_field, query_products, record_mosaics
from tasks.catalog import (
    catalog_field,
    drop_stale,
    merge_survey,
    plan_catalog,
    plan_merge,
    plan_transfers,
    with_targets,
)
from tasks.crossmatch import crossmatch_survey, plan_crossmatch
from tasks.completeness import inject_field, measure_completeness, plan_completeness, plan_injections
from tasks.cutouts import cut_chunk, plan_cutouts, tidy_chunks
from tasks.images import render_chunk, pin_colour, plan_images
from tasks.quality import check_images, cut_controls, plan_controls, plan_quality
from tasks.publish import count_uploads, hand_over, plan_publish
from tasks.run import show_table
from tasks.training import plan_training, split_chunk

__all__ = ["run_survey"]

T = TypeVar("T")


@flow(name="survey", **FLOW)
def run_survey(request: SurveyRequest) -> RunEnd:
    """Find, read, catalog, cut out, colour and hand over one survey."""
    return run_pipeline(SURVEY, request, _survey)


def _survey(run: SurveyRun, progress: RunProgress) -> None:
    """Run the stages in order."""
    listing = progress.one(QUERY, query_products.submit(run))
    progress.stop_after(QUERY)
    asked = {field.name: locate_field.submit(run, field) for field in run.chosen(listing.fields)}
    fields = progress.each(LOCATE, asked)
    record_mosaics(run, fields)
    show_table("mosaics", mosaic_rows(fields), "Where each mosaic was found")
    progress.stop_after(LOCATE)
    _catalogs(run, progress, with_targets(run, [field for field in fields if field.bands]))
    progress.one(MERGE, merge_survey.submit(run, plan_merge(run, listing)))
    drop_stale(run)
    run = _pinned(run, progress)
    progress.stop_after(MERGE)
    if run.profile.compare:
        progress.each(COMPARISON, {"survey": crossmatch_survey.submit(run, plan_crossmatch(run))})
    progress.stop_after(COMPARISON)
    _completeness(run, progress, fields)
    plan = plan_cutouts(run, fields)
    cutouts = _cutouts(run, progress, fields, plan)
    renders = {done.unit: render_chunk.submit(run, plan_images(run, done)) for done in cutouts}
    progress.each(IMAGES, renders)
    tidy_chunks(run, plan)
    progress.stop_after(IMAGES)
    progress.one(IMAGE_CHECKS, check_images.submit(run, plan_quality(run)))
    progress.stop_after(IMAGE_CHECKS)
    _training(run, progress, cutouts)
    progress.one(HANDOVER, hand_over.submit(run, plan_publish(run)))


def _pinned(run: SurveyRun, progress: RunProgress) -> SurveyRun:
    """Pin the survey's colour, say for how long, and warn of fields that differ from it."""
    pinned = pin_colour(run, progress.passing, count_uploads(run))
    facts = {"state": pinned.state, "why": pinned.why}
    progress.note("colour", facts, f"colour is {pinned.state}: {pinned.why}", pinned.warnings)
    return pinned.run


def _catalogs(run: SurveyRun, progress: RunProgress, fields: list[Field]) -> None:
    """Fetch and catalog field after field: one field's transfers overlap another's CPU work."""
    expected = plan_transfers(run, fields)
    fetches: dict[str, PrefectFuture[Prefetch]] = {}
    catalogs: dict[str, PrefectFuture[Done]] = {}
    for field in fields:
        work = plan_catalog(run, field)
        fetched = _fetch(run, field, [work])
        fetches |= fetched
        if progress.goes_beyond(FETCH):
            catalogs[field.name] = catalog_field.submit(run, work, field, _results(fetched))
    progress.each(FETCH, fetches, expected_bytes=expected.bytes)
    progress.stop_after(FETCH)
    progress.each(FIELD_CATALOG, catalogs)
    progress.stop_after(FIELD_CATALOG)


def _completeness(run: SurveyRun, progress: RunProgress, fields: list[Field]) -> None:
    """Inject galaxies into every field that has a catalog, and measure which of them the catalog misses."""
    works = plan_injections(run, fields)
    injections: dict[str, PrefectFuture[Done]] = {}
    fetches: dict[str, PrefectFuture[Prefetch]] = {}
    for field in [field for field in fields if field.name in works]:
        work = works[field.name]
        fetched = _fetch(run, field, [work])
        fetches |= fetched
        injections[field.name] = inject_field.submit(run, work, field, _results(fetched))
    if injections:
        progress.each(INJECTION, injections, needs=fetches)
    progress.stop_after(INJECTION)
    survey = plan_completeness(run)
    if survey is not None:
        progress.each(SELECTION_FUNCTION, {"survey": measure_completeness.submit(run, survey)})
    progress.stop_after(SELECTION_FUNCTION)


def _cutouts(run: SurveyRun, progress: RunProgress, fields: list[Field], plan: Plan) -> list[Done]:
    """Cut out every field's targets, and its controls while its mosaics are there."""
    asides = plan_controls(run, fields, plan)
    cuts: dict[str, PrefectFuture[Done]] = {}
    controls: dict[str, PrefectFuture[Done]] = {}
    fetches: dict[str, PrefectFuture[Prefetch]] = {}
    for field in fields:
        chunks = plan.chunks.get(field.name, ())
        fetching = _fetch(run, field, chunks)  # nothing is fetched for controls alone
        fetches |= fetching
        fetched = _results(fetching)
        cuts |= {work.unit: cut_chunk.submit(run, work, field, fetched) for work in chunks}
        if aside := asides.get(field.name):
            controls[field.name] = cut_controls.submit(run, aside.work, aside.controls, field, fetched)
    made = progress.each(CUTOUTS, cuts, needs=fetches)
    if controls:
        progress.each(CONTROLS, controls)
    progress.stop_after(CUTOUTS)
    return made


def _training(run: SurveyRun, progress: RunProgress, cutouts: list[Done]) -> None:
    """Write the bands that Zoobot is to have one by one, where the profile names any."""
    works = plan_training(run, cutouts)
    if works:
        progress.each(TRAINING, {unit: split_chunk.submit(run, work) for unit, work in works.items()})
    progress.stop_after(TRAINING)


def _fetch(run: SurveyRun, field: Field, works: Sequence[Work]) -> dict[str, PrefectFuture[Prefetch]]:
    located = [mosaic for mosaic in field.mosaics if mosaic.located]
    return {f"{field.name} {mosaic.band}": fetch_mosaic.submit(run, mosaic, works) for mosaic in located}


def _results(futures: dict[str, PrefectFuture[T]]) -> list[T]:
    """Futures as a task's argument: Prefect puts their results in their place."""
    return cast("list[T]", list(futures.values()))


if __name__ == "__main__":
    leave(main(SURVEY, run_survey))
