"""How a run goes, told once: one line a stage for a person, and the log that run.json and the report are made from.

It waits for the stages' futures, keeps what succeeded in the order it was asked for, and names what did not.
"""

import tasks.settings  # noqa: F401, I001 - before prefect

import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prefect.futures import PrefectFuture, as_completed
from rich.markup import escape

from flows.common.terminal import StageLine, Terminal
from gzjwst_core.errors import GzJwstError, StorageError
from gzjwst_core.runs.engine import peak_memory_mb
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.products import DAMAGED
from gzjwst_core.runs.receipts import Done
from gzjwst_core.runs.record import Missing, RunEnd, RunLog, StageRecord
from gzjwst_core.runs.request import RunRequest
from gzjwst_core.runs.run import Run
from gzjwst_core.runs.stage import SURVEY_UNIT, Stage
from gzjwst_core.runs.work import Transferred
from gzjwst_core.transport.traffic import TRAFFIC

__all__ = ["RunProgress", "stops_when_finished"]

REPORT = "report.html"
_UPSTREAM = "upstream_failed"


class Finished(Exception):  # noqa: N818 - no error: the stage that was asked for last is done
    """The last stage that was asked for has run."""


def stops_when_finished(
    stages: Callable[[Any, "RunProgress"], None],
) -> Callable[[Any, "RunProgress"], None]:
    """Let a function of stages end after the last one that was asked for."""

    @wraps(stages)
    def run_stages(run: Any, progress: "RunProgress") -> None:
        with suppress(Finished):
            stages(run, progress)

    return run_stages


class RunProgress:
    """Follows one run.

    Parameters
    ----------
    pipeline
        What runs.
    request
        What was asked.
    terminal
        Where lines go.
    """

    def __init__(self, pipeline: Pipeline, request: RunRequest, terminal: Terminal) -> None:
        self._pipeline = pipeline
        self._request = request
        self._terminal = terminal
        self._begun = datetime.now(tz=UTC)
        self._clock = time.monotonic()
        self._stages: list[StageRecord] = []
        self._troubles: list[Missing] = []
        self._facts: dict[str, dict[str, str]] = {}
        self._mended: list[str] = []
        self._done_before: Counter[str] = Counter()
        """By stage: what was done before the stages were run again."""

    def each(
        self,
        stage: Stage,
        futures: Mapping[str, PrefectFuture[Any]],
        *,
        needs: Mapping[str, PrefectFuture[Any]] = MappingProxyType({}),
        vital: bool = False,
        expected_bytes: int = 0,
    ) -> list[Any]:
        """Wait for a stage's tasks, and print its line.

        Parameters
        ----------
        stage
            The stage.
        futures
            Its tasks by unit, in the order in which results shall come back.
        needs
            Fetches that these tasks wait for, where nobody else tells how they ended.
        vital
            Whether a failure ends the run.
        expected_bytes
            What archives will be asked for, where that is what takes its time.

        Returns
        -------
        list
            Results of the tasks that succeeded.

        Raises
        ------
        GzJwstError
            A vital task failed.
        StorageError
            A disk is full (`disk_full`): said as soon as one task has met it.
        """
        begun, before = time.monotonic(), TRAFFIC.bytes
        with self._terminal.stage(stage.name, len(futures), expected_bytes) as line:
            settled = _settled({future: f"{stage.name} {unit}" for unit, future in futures.items()}, line)
            if any(trouble is not None and trouble.reason == _UPSTREAM for _, trouble in settled):
                _settled({future: f"fetch {unit}" for unit, future in needs.items()})
            results = [result for result, trouble in settled if trouble is None]
            troubles = [trouble.replace(aside=stage.optional) for _, trouble in settled if trouble is not None]
            if vital and troubles:
                line.fail(troubles[0].detail)
                raise GzJwstError(troubles[0].detail, reason=troubles[0].reason)
            kept = sum(isinstance(result, Done) and not result.fresh for result in results)
            line.finish(stage.line(results), kept=kept, failed=len(troubles))
        self._terminal.troubles(troubles)
        self._troubles += troubles
        before_anew = min(self._done_before.pop(stage.name, 0), kept)
        self._stages.append(
            StageRecord(
                stage=stage.name,
                done=len(results) - kept + before_anew,
                cached=kept - before_anew,
                failed=len(troubles),
                seconds=round(time.monotonic() - begun, 3),
                peak_mb=peak_memory_mb(),
                bytes_read=_bytes_read(results, TRAFFIC.bytes - before),
            )
        )
        return results

    def one(self, stage: Stage, future: PrefectFuture[Any]) -> Any:
        """Wait for the single task of a stage; its failure ends the run.

        Parameters
        ----------
        stage
            The stage.
        future
            Its task.

        Returns
        -------
        Any
            The task's result.
        """
        return self.each(stage, {SURVEY_UNIT: future}, vital=True)[0]

    @property
    def passing(self) -> tuple[str, ...]:
        """What failed so far for a reason that may pass."""
        return tuple(trouble.what for trouble in self._troubles if trouble.passing)

    def keep(self, what: str, facts: Mapping[str, str]) -> None:
        """Keep something that a stage found for the record.

        Parameters
        ----------
        what
            Name in the record.
        facts
            What is recorded.
        """
        self._facts[what] = dict(facts)

    def note(self, what: str, facts: Mapping[str, str], line: str, warnings: Sequence[str] = ()) -> None:
        """Keep something that a stage found for the record, and say it.

        Parameters
        ----------
        what
            Name in the record.
        facts
            What is recorded.
        line, warnings
            What a person is told.
        """
        self.keep(what, facts)
        self._terminal.say(f"  {escape(line)}")
        for warning in warnings:
            self._terminal.say(f"[yellow]![/yellow] {escape(warning)}")

    def begin_anew(self, error: GzJwstError) -> None:
        """Say that the stages are run again, for a file that was damaged; what they fail at now counts."""
        self._terminal.complain("[yellow]![/yellow]", str(error))
        self._mended.append(str(error))
        self._done_before.update({stage.stage: stage.done for stage in self._stages})
        self._stages.clear()
        self._troubles.clear()

    def end(self, run: Run, end: RunEnd) -> RunEnd:
        """Say how the run ended and where to look."""
        seconds = f"in {time.monotonic() - self._clock:.0f} s"
        if end.exit_code == 0:
            self._terminal.say(f"[green]✓ done[/] {seconds}")
        else:
            self._terminal.complain("[yellow]! done in part[/]", f"{seconds} {end.message}")
        for remark in end.remarks:
            self._terminal.say(f"[yellow]![/yellow] {escape(remark)}")
        if run.folder.exists(REPORT):
            self._terminal.say(f"  open {escape(_from_here(run.folder.url))}/{REPORT}")
        return end

    def stop_after(self, stage: Stage) -> None:
        """Stop here if this was the last stage asked for.

        Raises
        ------
        Finished
            It was.
        GzJwstError
            Something that was read by then is damaged (reason `damaged`).
        """
        for trouble in self._troubles:
            if trouble.reason == DAMAGED:
                raise GzJwstError(trouble.detail, reason=DAMAGED)
        if stage.name == self._request.until:
            raise Finished

    def goes_beyond(self, stage: Stage) -> bool:
        """Whether a later stage was asked for."""
        last = self._request.until
        return not last or self._pipeline.stage_index(last) > self._pipeline.stage_index(stage.name)

    def log(self, error: GzJwstError | None = None) -> RunLog:
        """Return what happened so far, and what ended it before its time."""
        return RunLog(
            asked=self._request.model_dump(mode="json"),
            begun=self._begun.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            stages=tuple(self._stages),
            troubles=tuple(self._troubles),
            facts=self._facts,
            mended=tuple(self._mended),
            error=None if error is None else Missing(what="run", reason=error.reason, detail=str(error)),
        )


def _settled(
    names: Mapping[PrefectFuture[Any], str], line: StageLine | None = None
) -> list[tuple[Any, Missing | None]]:
    """Wait for tasks, in their order; ends the run at the first that met a full disk: each other would meet it too."""
    settled: dict[PrefectFuture[Any], tuple[Any, Missing | None]] = {}
    for future in as_completed(list(names)):
        if line is not None:
            line.advance()
        settled[future] = _settle(names[future], future)
        trouble = settled[future][1]
        if trouble is not None and trouble.reason == "disk_full":
            said = f"{trouble.what}: {trouble.detail}; make room and run again: what is finished stands"
            raise StorageError(said, reason=trouble.reason)
    return [settled[future] for future in names]


def _bytes_read(results: list[Any], here: int) -> int | None:
    """Tell what archives gave, seen by this process or told by tasks in others (Dask's); None for other stages."""
    told = [result.bytes_moved for result in results if isinstance(result, Transferred)]
    return max(here, sum(told)) if here or told else None


def _from_here(url: str) -> str:
    """Write a path below the working directory as a person would."""
    with suppress(ValueError):
        return str(Path(url).relative_to(Path.cwd()))
    return url


def _settle(what: str, future: PrefectFuture[Any]) -> tuple[Any, Missing | None]:
    future.wait()
    state = future.state
    if state.is_completed():
        return future.result(), None
    if not state.is_final():  # Prefect never started it: something it waits for has failed
        return None, Missing(what=what, reason=_UPSTREAM, detail="not started: what it needs has failed")
    error = state.result(raise_on_failure=False)
    if isinstance(error, GzJwstError):
        return None, Missing(what=what, reason=error.reason, detail=str(error), passing=error.passing)
    frames = traceback.extract_tb(getattr(error, "__traceback__", None))
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = f"{type(error).__name__}: {error}{where}; this is a fault of ours, please report it"
    return None, Missing(what=what, reason="unexpected", detail=said, passing=True)
