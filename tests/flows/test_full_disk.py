"""A run ends at its first task that meets a full disk; what else fails is kept, with whether it may pass."""

from dataclasses import dataclass
from typing import Any

import pytest

from flows.common import progress
from flows.common.progress import RunProgress
from flows.common.terminal import Terminal
from gzjwst_core.errors import (
    ArchiveUnavailableError,
    CatalogError,
    CorruptMosaicError,
    GzJwstError,
    ProfileError,
    StorageError,
    WorkerLostError,
)
from gzjwst_core.runs.receipts import Done
from gzjwst_core.survey.catalog import FIELD_CATALOG
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest

FULL = StorageError("segmaps/north.fits: No space left on device", reason="disk_full")


@dataclass(frozen=True)
class Ended:
    """A future, and its state, that ended so."""

    error: GzJwstError | None = None
    is_started: bool = True

    @property
    def state(self) -> "Ended":
        return self

    def wait(self) -> None:
        if self.error is None:
            raise AssertionError("the run waits on, though the disk is full")

    def is_completed(self) -> bool:
        return False

    def is_final(self) -> bool:
        return self.is_started

    def result(self, *, raise_on_failure: bool) -> GzJwstError | None:  # noqa: ARG002 - Prefect's signature
        return self.error


@dataclass(frozen=True)
class Finished:
    """A future, and its state, that finished a unit."""

    fresh: bool

    @property
    def state(self) -> "Finished":
        return self

    def wait(self) -> None:
        """It has ended."""

    def is_completed(self) -> bool:
        return True

    def result(self) -> Done:
        return Done(unit="survey", key="k", counts={}, files="", fresh=self.fresh)


@pytest.fixture(autouse=True)
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "as_completed", list)


def each(futures: dict[str, Any], **more: Any) -> list[Any]:
    return RunProgress(SURVEY, SurveyRequest(), Terminal(quiet=True)).each(FIELD_CATALOG, futures, **more)


def test_the_run_ends_at_the_first_task_that_meets_it() -> None:
    with pytest.raises(StorageError, match=r"catalog north: segmaps/north\.fits: No space left.*make room") as caught:
        each({"north": Ended(FULL), "south": Ended()})
    assert caught.value.reason == "disk_full"


def test_it_ends_too_where_a_fetch_that_tasks_wait_for_met_it() -> None:
    lost = Ended(CatalogError("not started"), is_started=False)
    with pytest.raises(StorageError, match="fetch north F277W: segmaps"):
        each({"north": lost}, needs={"north F277W": Ended(FULL)})


def test_other_failures_are_told_and_the_run_goes_on() -> None:
    assert each({"north": Ended(CatalogError("no sources")), "south": Ended(CatalogError("none"))}) == []


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ArchiveUnavailableError("busy"), True),
        (WorkerLostError("killed"), True),
        (StorageError("not ours", reason="not_writable"), True),
        (CorruptMosaicError("cut short, after every retry"), False),
        (ProfileError("psf.match wants square pixels"), False),
        (CatalogError("no sources"), False),
    ],
)
def test_what_stays_as_it_is_keeps_no_run_from_being_whole(error: GzJwstError, *, passing: bool) -> None:
    told = RunProgress(SURVEY, SurveyRequest(), Terminal(quiet=True))
    told.each(FIELD_CATALOG, {"north": Ended(error)})  # type: ignore[dict-item]  # as much of a future as is asked
    assert [trouble.passing for trouble in told.log().troubles] == [passing]
    assert told.passing == (("catalog north",) if passing else ())


def test_stages_that_are_run_again_are_told_once_and_what_was_mended_is_told() -> None:
    told = RunProgress(SURVEY, SurveyRequest(), Terminal(quiet=True))
    for fresh in (True, False):
        told.each(FIELD_CATALOG, {"survey": Finished(fresh)})  # type: ignore[dict-item]
        if fresh:
            told.begin_anew(StorageError("catalog.parquet: damaged", reason="damaged"))
    assert [(stage.stage, stage.done, stage.cached) for stage in told.log().stages] == [("catalog", 1, 0)]
    assert told.log().mended == ("catalog.parquet: damaged",)
