"""The stages of a survey one after the other, in this process: what a flow does, without Prefect, retries or threads.

For scripts that run a survey dozens of times; the same core functions make the same bytes.
"""

from collections.abc import Callable
from typing import TypeVar

from gzjwst_core.errors import GzJwstError
from gzjwst_core.models import Field
from gzjwst_core.runs.close import close_run
from gzjwst_core.runs.record import Missing, RunLog, StageRecord
from gzjwst_core.runs.run import locked
from gzjwst_core.survey import catalog as catalogs
from gzjwst_core.survey import cutouts, images, publish, quality, training
from gzjwst_core.survey import query as archives
from gzjwst_core.survey.invalidate import drop_stale
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun

__all__ = ["plain_run"]

T = TypeVar("T")


class _Told:
    """What failed, and what was made."""

    def __init__(self) -> None:
        self.troubles: list[Missing] = []
        self.stages: list[StageRecord] = []

    def each(self, stage: str, works: dict[str, Callable[[], T]]) -> list[T]:
        """Do a stage's units; those that fail are noted."""
        made = []
        for unit, do in works.items():
            try:
                made.append(do())
            except GzJwstError as error:
                self.troubles.append(Missing(what=f"{stage} {unit}", reason=error.reason, detail=str(error)))
                self.troubles[-1] = self.troubles[-1].replace(passing=error.retryable)
        fresh = sum(getattr(one, "fresh", False) for one in made)
        self.stages.append(StageRecord(stage=stage, done=fresh, cached=len(made) - fresh))
        return made


def plain_run(request: SurveyRequest) -> tuple[int, str]:
    """Run a survey without completeness; returns the exit code, and what there is to say."""
    told = _Told()
    run = start(request)
    with locked(run):
        error = None
        try:
            run = _survey(run, told)
        except GzJwstError as fault:
            error = Missing(what="run", reason=fault.reason, detail=str(fault))
        log = RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=tuple(told.stages))
        try:
            end = close_run(SURVEY, run, log.replace(troubles=tuple(told.troubles), error=error))
        except GzJwstError as fault:
            return 1, str(fault)
    return end.exit_code, error.detail if error else end.message


def _survey(run: SurveyRun, told: _Told) -> SurveyRun:
    listing = archives.query(run)
    asked = {f.name: _bound(archives.locate, run, f) for f in run.chosen(listing.fields)}
    fields: list[Field] = told.each("locate", asked)
    archives.record(run, fields)
    works = {f.name: (catalogs.plan_field(run, f), f) for f in fields if f.bands}
    told.each("catalog", {n: _bound(catalogs.catalog_field, run, w, f, []) for n, (w, f) in works.items()})
    told.each("merge", {"survey": lambda: catalogs.merge(run, catalogs.plan_merge(run, listing))})
    drop_stale(run)
    passing = [trouble.what for trouble in told.troubles if trouble.passing]
    run = images.pin(run, passing, publish.count_uploads(run)).run
    plan = cutouts.plan(run, fields)
    chunks = {w.unit: (w, f) for f in fields for w in plan.chunks.get(f.name, ())}
    asides = {n: (c, f) for f in fields for n, c in quality.plan_controls(run, fields, plan).items() if n == f.name}
    cut = told.each("cutouts", {u: _bound(cutouts.cut_chunk, run, w, f, []) for u, (w, f) in chunks.items()})
    controls = {n: _bound(quality.cut_controls, run, c.work, c.controls, f, []) for n, (c, f) in asides.items()}
    told.each("controls", controls)
    told.each("images", {one.unit: _bound(images.render_chunk, run, images.plan(run, one)) for one in cut})
    cutouts.tidy(run, plan)
    told.each("quality", {"survey": lambda: quality.check_images(run, quality.plan_quality(run))})
    singles = training.plan(run, cut)
    told.each("training", {unit: _bound(training.split_chunk, run, work) for unit, work in singles.items()})
    publish.hand_over(run, publish.plan(run))
    return run


def _bound(function: Callable[..., T], *values: object) -> Callable[[], T]:
    return lambda: function(*values)
