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
from contextlib import suppress
from typing import Any, TypeVar, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.survey import lines
from flows.common.command_line import main
from flows.common.progress import Journal, stops_when_finished
from flows.common.reporting import leave
from flows.common.session import open_session
from gzjwst_core.survey.query import Brought
from gzjwst_core.survey.cutouts import Plan
from gzjwst_core.errors import GzJwstError, StorageError
from gzjwst_core.models import Field
from gzjwst_core.runs.work import Work
from gzjwst_core.survey.publish import RunEnd
from gzjwst_core.survey.request import RunRequest
from gzjwst_core.survey.run import Run
from gzjwst_core.runs.products import DAMAGED
from gzjwst_core.runs.receipts import Done
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
from tasks.images import paint_chunk, pin_colour, plan_images
from tasks.quality import check_images, cut_controls, plan_controls, plan_quality
from tasks.publish import close_run, count_uploads, hand_over, plan_publish, show_mosaics, show_summary
from tasks.training import plan_training, split_chunk

__all__ = ["run_survey"]

T = TypeVar("T")

_TRIES = 4
"""Each finds what was damaged one stage further up; more than this is no chance any more, but a bad disk."""

_FEW_THREADS = cast("TaskRunner[Any]", ThreadPoolTaskRunner(max_workers=4))  # its default has no bound


def _run_name() -> str:
    request = flow_run.parameters["request"]
    name = request.get("profile", "demo") if isinstance(request, dict) else request.profile
    return f"{Path(name).stem}-{flow_run.scheduled_start_time:%Y-%m-%d-%H%M%S}"


@flow(name="survey", flow_run_name=_run_name, task_runner=_FEW_THREADS, persist_result=False)
def run_survey(request: RunRequest) -> RunEnd:
    """Find, read, catalog, cut out, colour and hand over one survey."""
    with open_session(request) as (run, journal):
        try:
            end = _whole(run, journal)
        except GzJwstError as error:
            with suppress(StorageError):  # on a full disk this run is not even told of in run.json
                _close(run, journal, error)
            raise
        return journal.end(run, end)


def _whole(run: Run, journal: Journal) -> RunEnd:
    """Run the stages; again, where something that they read was damaged and stands no longer, to make it anew."""
    for _ in range(_TRIES):
        try:
            _survey(run, journal)
            return _close(run, journal)
        except GzJwstError as error:
            if error.reason != DAMAGED:
                raise
            journal.begin_anew(error)
    _survey(run, journal)
    return _close(run, journal)


def _close(run: Run, journal: Journal, error: GzJwstError | None = None) -> RunEnd:
    end = close_run(run, journal.log(error))
    show_summary(lines.summary(end, run.folder.url))
    return end


@stops_when_finished
def _survey(run: Run, journal: Journal) -> None:
    """Run the stages in order."""
    listing = journal.one("query", query_products.submit(run), lines.query)
    journal.stop_after("query")
    asked = {field.name: locate_field.submit(run, field) for field in run.chosen(listing.fields)}
    fields = journal.each("locate", asked, lines.locate)
    record_mosaics(run, fields)
    show_mosaics(lines.mosaic_rows(fields))
    journal.stop_after("locate")
    _catalogs(run, journal, with_targets(run, [field for field in fields if field.bands]))
    journal.one("merge", merge_survey.submit(run, plan_merge(run, listing)), lines.merge)
    drop_stale(run)
    run = journal.pinned(pin_colour(run, journal.passing, count_uploads(run)))
    journal.stop_after("merge")
    if run.profile.compare:
        journal.each("crossmatch", {"survey": crossmatch_survey.submit(run, plan_crossmatch(run))}, lines.crossmatch)
    journal.stop_after("crossmatch")
    _completeness(run, journal, fields)
    plan = plan_cutouts(run, fields)
    cutouts = _cutouts(run, journal, fields, plan)
    paints = {done.unit: paint_chunk.submit(run, plan_images(run, done)) for done in cutouts}
    journal.each("images", paints, lines.images)
    tidy_chunks(run, plan)
    journal.stop_after("images")
    journal.one("quality", check_images.submit(run, plan_quality(run)), lines.quality)
    journal.stop_after("quality")
    _training(run, journal, cutouts)
    journal.one("publish", hand_over.submit(run, plan_publish(run)), lines.publish)


def _catalogs(run: Run, journal: Journal, fields: list[Field]) -> None:
    """Fetch and catalog field after field: one field's transfers overlap another's CPU work."""
    expected = plan_transfers(run, fields)
    fetches: dict[str, PrefectFuture[Brought]] = {}
    catalogs: dict[str, PrefectFuture[Done]] = {}
    for field in fields:
        work = plan_catalog(run, field)
        fetched = _bring(run, field, [work])
        fetches |= fetched
        if journal.goes_beyond("fetch"):
            catalogs[field.name] = catalog_field.submit(run, work, field, _results(fetched))
    journal.each("fetch", fetches, lines.fetch, expected_bytes=expected.bytes)
    journal.stop_after("fetch")
    journal.each("catalog", catalogs, lines.catalog)
    journal.stop_after("catalog")


def _completeness(run: Run, journal: Journal, fields: list[Field]) -> None:
    """Inject galaxies into every field that has a catalog, and measure which of them the catalog misses."""
    works = plan_injections(run, fields)
    injections: dict[str, PrefectFuture[Done]] = {}
    fetches: dict[str, PrefectFuture[Brought]] = {}
    for field in [field for field in fields if field.name in works]:
        work = works[field.name]
        fetched = _bring(run, field, [work])
        fetches |= fetched
        injections[field.name] = inject_field.submit(run, work, field, _results(fetched))
    if injections:
        journal.each("injection", injections, lines.injection, needs=fetches)
    journal.stop_after("injection")
    survey = plan_completeness(run)
    if survey is not None:
        journal.each("completeness", {"survey": measure_completeness.submit(run, survey)}, lines.completeness)
    journal.stop_after("completeness")


def _cutouts(run: Run, journal: Journal, fields: list[Field], plan: Plan) -> list[Done]:
    """Cut out every field's targets, and its controls while its mosaics are there."""
    asides = plan_controls(run, fields, plan)
    cuts: dict[str, PrefectFuture[Done]] = {}
    controls: dict[str, PrefectFuture[Done]] = {}
    fetches: dict[str, PrefectFuture[Brought]] = {}
    for field in fields:
        chunks = plan.chunks.get(field.name, ())
        brought = _bring(run, field, chunks)  # nothing is fetched for controls alone
        fetches |= brought
        fetched = _results(brought)
        cuts |= {work.unit: cut_chunk.submit(run, work, field, fetched) for work in chunks}
        if aside := asides.get(field.name):
            controls[field.name] = cut_controls.submit(run, aside.work, aside.controls, field, fetched)
    made = journal.each("cutouts", cuts, lines.cutouts, needs=fetches)
    if controls:
        journal.each("controls", controls, lines.controls, aside=True)
    journal.stop_after("cutouts")
    return made


def _training(run: Run, journal: Journal, cutouts: list[Done]) -> None:
    """Write the bands that Zoobot is to have one by one, where the profile names any."""
    works = plan_training(run, cutouts)
    if works:
        journal.each("training", {u: split_chunk.submit(run, work) for u, work in works.items()}, lines.training)
    journal.stop_after("training")


def _bring(run: Run, field: Field, works: Sequence[Work]) -> dict[str, PrefectFuture[Brought]]:
    located = [mosaic for mosaic in field.mosaics if mosaic.located]
    return {f"{field.name} {mosaic.band}": fetch_mosaic.submit(run, mosaic, works) for mosaic in located}


def _results(futures: dict[str, PrefectFuture[T]]) -> list[T]:
    """Futures as a task's argument: Prefect puts their results in their place."""
    return cast("list[T]", list(futures.values()))


if __name__ == "__main__":
    leave(main(run_survey))
