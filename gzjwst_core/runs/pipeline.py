"""A pipeline: its stages in order, the models of its profile and request, and what only it knows of a run.

`flows/<flow>.py` runs one, `tasks/<pipeline>.py` wraps its stages, `gzjwst_core/<pipeline>/` holds it. Everything that
any pipeline needs takes this declaration: command line, session, progress, dry run, record, deployments.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from gzjwst_core.runs.dry_run import DryRun
from gzjwst_core.runs.profile_file import Profile
from gzjwst_core.runs.record import RunFacts, RunLog, RunRecord
from gzjwst_core.runs.request import RunRequest
from gzjwst_core.runs.run import Run
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies

__all__ = ["Pipeline"]


def _no_report(_run: Any, _log: RunLog, record: RunRecord, _previous: bytes | None) -> RunRecord:
    return record


@dataclass(frozen=True)
class Pipeline:
    """One pipeline, declared."""

    entrypoint: str
    """Of its flow, as a deployment names it: `flows/run_survey.py:run_survey`."""
    description: str
    """What it does, in one sentence."""
    profile: type[Profile]
    request: type[RunRequest]
    stages: tuple[Stage, ...]
    """In the order of work."""
    start: Callable[[Any], Run]
    """Turns a request into a run; raises ProfileError where the request is wrong."""
    dry_run: Callable[[Any], DryRun]
    """Says what a run would do, and writes nothing."""
    prepared: Callable[[Any], AbstractContextManager[Any]] = lambda _: nullcontext()
    """What has to be there while a run, or its dry run, goes on."""
    preparing: Callable[[Any], str] = lambda _: ""
    """What a person is told before that, where it takes its time."""
    begin: Callable[[Any], None] = lambda _: None
    """Removes what a killed run left outside the run folder; called while no other run writes there."""
    check: Callable[[str], tuple[str, ...]] = lambda _: ()
    """Takes a profile by name or path; returns what is not there on this machine, and raises where it is wrong."""
    facts: Callable[[Any, RunLog, Tallies], RunFacts] = lambda _run, _log, _tallies: RunFacts()
    """What its record tells beside what the stages count."""
    report: Callable[[Any, RunLog, RunRecord, bytes | None], RunRecord] = _no_report
    """Writes what a person opens first; takes run.json as it was, and returns the run's record, as it ended."""

    remarks: Callable[[RunRecord], tuple[str, ...]] = lambda _: ()
    """Lines for a person at the end of a run."""

    def stage_index(self, name: str) -> int:
        """Return where a stage is in the order of work.

        Raises
        ------
        ValueError
            The pipeline has no such stage.
        """
        return [stage.name for stage in self.stages].index(name)
