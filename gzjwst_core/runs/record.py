"""The run's own record: what one run was asked, found, missed and made; and run.json, which keeps every run.

With report.html the only place for clocks, hosts and timings. Records are values; `close` writes the file.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, Field, JsonValue, ValidationError

from gzjwst_core.errors import StorageError
from gzjwst_core.storage.seal import is_whole, sealed
from gzjwst_core.values import Value

__all__ = [
    "CutStep",
    "Missing",
    "RunEnd",
    "RunFacts",
    "RunLog",
    "RunRecord",
    "StageRecord",
    "append_run",
    "earlier_runs",
    "read_runs",
    "sums_hold",
]


class StageRecord(Value):
    """What one stage did in one run."""

    stage: str
    done: int = 0
    """Units made now."""
    cached: int = 0
    """Units that stood already."""
    failed: int = 0
    seconds: float = 0.0
    """Wall clock from the stage's first start to its last end."""
    peak_mb: float | None = None
    """Highest resident memory from the run's start to the stage's end: of its process and of each of its workers."""
    bytes_read: int | None = None
    """What archives gave."""


class Missing(Value):
    """One mosaic, field or target that the run has not."""

    what: str
    """Its name: an obs_id, a field, a target."""
    reason: str
    detail: str = ""
    expected: bool = False
    """The profile said so beforehand."""
    aside: bool = False
    """Wanted for the survey's checks alone: the run is whole without it."""
    passing: bool = False
    """The next run may well have it: the reason is none of the archive's or the mosaic's own for good."""

    @property
    def is_loss(self) -> bool:
        """Whether the run is partly done for want of it."""
        return not self.expected and not self.aside


class CutStep(Value):
    """One selection cut and the rows it left."""

    cut: str
    why: str = ""
    before: int
    after: int


class RunRecord(Value):
    """One run of a pipeline."""

    name: str = Field(validation_alias=AliasChoices("name", "survey"))
    """Of the run folder; `survey` in records of earlier versions."""
    run_id: str
    started: str
    """UTC, ISO 8601."""
    ended: str
    seconds: float
    outcome: Literal["done", "partial", "failed"]
    exit_code: int
    message: str = ""
    """One sentence for a person, where something is missing or failed."""
    asked: Mapping[str, JsonValue] = {}
    """What was asked for: bands, fields, limit, until, queries, archives."""
    sums: Mapping[str, Mapping[str, int]] = {}
    """By what is counted (`products`, `mosaics`, `targets`): `total`, and the parts that must add up to it."""
    missing: tuple[Missing, ...] = ()
    colour: Mapping[str, str] = {}
    """Of the survey's images: `state` (provisional or final) and `why`; empty where the run did not come so far."""
    mended: tuple[str, ...] = ()
    """What was found damaged, and made anew by the same run."""
    made: Mapping[str, int] = {}
    """Files or rows by kind."""
    cut_flow: tuple[CutStep, ...] = ()
    """In the order of the cuts; the dicts of `select` are taken as they are."""
    stages: tuple[StageRecord, ...] = ()
    peak_mb: float | None = None
    host: Mapping[str, JsonValue] = {}
    """Machine: cores, memory, system, python."""
    versions: Mapping[str, str] = {}
    digests: Mapping[str, str] = {}
    """Of the profile and of the tables this run ended with."""


class RunLog(Value):
    """What whoever ran the stages knows of the run."""

    asked: Mapping[str, JsonValue]
    begun: str
    """UTC, ISO 8601."""
    seconds: float
    stages: tuple[StageRecord, ...]
    troubles: tuple[Missing, ...] = ()
    """Units that failed."""
    facts: Mapping[str, Mapping[str, str]] = {}
    """What stages told, by name."""
    mended: tuple[str, ...] = ()
    """As of a run's record."""
    error: Missing | None = None
    """What ended the run before its time."""


class RunFacts(Value):
    """What a pipeline adds to the record of its run."""

    missing: tuple[Missing, ...] = ()
    sums: Mapping[str, Mapping[str, int]] = {}
    colour: Mapping[str, str] = {}
    made: Mapping[str, int] = {}
    cut_flow: tuple[CutStep, ...] = ()
    digests: Mapping[str, str] = {}


class RunEnd(Value):
    """How a run ended."""

    exit_code: int
    message: str
    record: str
    """The run's record as JSON text."""
    remarks: tuple[str, ...] = ()
    """Lines for a person."""


def sums_hold(record: RunRecord) -> list[str]:
    """Name the sums whose parts do not add up to their total; empty when every promise holds."""
    return [
        name
        for name, parts in record.sums.items()
        if parts.get("total", 0) != sum(count for part, count in parts.items() if part != "total")
    ]


def append_run(previous: bytes | None, record: RunRecord) -> bytes:
    """Add a run to run.json.

    Parameters
    ----------
    previous
        The file as it is, None where there is none yet.
    record
        The run that ended.

    Returns
    -------
    bytes
        The file as it shall be: `{"name": ..., "runs": [oldest, ..., newest], "seal": ...}`.

    Raises
    ------
    StorageError
        The file is damaged or of another run folder (reason `bad_run_log`): it is never overwritten.
    """
    runs = [] if previous is None else _runs(previous, record.name)
    log = {"name": record.name, "runs": [*runs, record.model_dump(mode="json")], "seal": ""}
    return sealed((json.dumps(log, indent=1, ensure_ascii=False) + "\n").encode())


def earlier_runs(previous: bytes | None, name: str, most: int = 10) -> tuple[RunRecord, ...]:
    """Read the last runs of run.json, oldest first; those that another version told in other words are left out.

    Raises
    ------
    StorageError
        The file is damaged or of another run folder (reason `bad_run_log`).
    """
    runs = [] if previous is None else _runs(previous, name)[-most:]
    return tuple(read for run in runs if (read := _record(run)) is not None)


def _record(run: Any) -> RunRecord | None:
    try:
        return RunRecord.model_validate(run)
    except ValidationError:
        return None


def read_runs(data: bytes) -> tuple[str, list[Any]]:
    """Read the name and the runs of run.json as they are.

    Raises
    ------
    StorageError
        The file is damaged (reason `bad_run_log`).
    """
    if is_whole(data) is False:
        said = "run.json is damaged (it is not what was sealed): move it away to start a new one"
        raise StorageError(said, reason="bad_run_log")
    try:
        log = json.loads(data)
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 faults are both ValueErrors
        raise StorageError(
            f"run.json is damaged ({error}): move it away to start a new one", reason="bad_run_log"
        ) from error
    if not isinstance(log, dict) or not isinstance(log.get("runs"), list):
        raise StorageError("run.json has no list of runs: move it away to start a new one", reason="bad_run_log")
    return str(log.get("name", log.get("survey"))), list(log["runs"])


def _runs(previous: bytes, name: str) -> list[Any]:
    found, runs = read_runs(previous)
    if found != name:
        raise StorageError(f"run.json is of {found[:40]!r}, not of {name!r}", reason="bad_run_log")
    return runs
