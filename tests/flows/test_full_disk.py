"""A run ends at its first task that meets a full disk."""

from dataclasses import dataclass
from typing import Any

import pytest

from flows import journal
from flows.journal import Journal
from flows.terminal import Terminal
from gzjwst_core.errors import CatalogError, GzJwstError, StorageError
from gzjwst_core.request import RunRequest

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


@pytest.fixture(autouse=True)
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "as_completed", list)


def each(futures: dict[str, Any], **more: Any) -> list[Any]:
    return Journal(RunRequest(), Terminal(quiet=True)).each("catalog", futures, lambda _: "", **more)


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
