"""The end of a run: its record, put together from what the stages told and what stands in the folder, and run.json.

The sums are counted from the folder, not from the run: a run that had nothing to do still tells of everything.
"""

import logging
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal
from uuid import uuid4

from gzjwst_core import __version__
from gzjwst_core.errors import StorageError
from gzjwst_core.runs.engine import cores
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.record import Missing, RunEnd, RunLog, RunRecord, append_run, read_runs
from gzjwst_core.runs.run import Run
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.storage.folder import Folder

__all__ = ["DAMAGED_RUNS", "RUNS", "close_run", "record_of", "with_missing"]

RUNS, DAMAGED_RUNS = "run.json", "run-damaged.json"
_LIBRARIES = ("astropy", "astroquery", "fsspec", "numpy", "pillow", "prefect", "s3fs", "sep")
_log = logging.getLogger(__name__)


def close_run(pipeline: Pipeline, run: Run, log: RunLog) -> RunEnd:
    """Write the pipeline's report, and append the run to run.json.

    Parameters
    ----------
    pipeline, run
        What ran.
    log
        What happened.

    Raises
    ------
    StorageError
        run.json is of another run folder: it is never overwritten.
    """
    folder, record = run.folder, record_of(pipeline, run, log)
    previous = _previous(folder)
    record = pipeline.report(run, log, record, previous)
    folder.write(RUNS, append_run(previous, record))  # last: what it says of this run has happened
    text, remarks = record.model_dump_json(indent=1), pipeline.remarks(record)
    return RunEnd(exit_code=record.exit_code, message=record.message, record=text, remarks=remarks)


def record_of(pipeline: Pipeline, run: Run, log: RunLog) -> RunRecord:
    """Put a run's record together.

    Parameters
    ----------
    pipeline, run
        What ran.
    log
        What happened.
    """
    tallies = Tallies(run.folder)
    facts = pipeline.facts(run, log, tallies)
    sums = dict(facts.sums)
    for stage in pipeline.stages:
        sums |= stage.sums(run, tallies)
    missing = [*facts.missing, *log.troubles, *([log.error] if log.error else [])]
    parts = [(what, part, count) for what, found in sums.items() for part, count in found.items()]
    failed = [f"{count} {what} ({part})" for what, part, count in parts if part.startswith("failed:")]
    outcome = _outcome(log, missing, failed)
    return RunRecord(
        name=run.profile.name,
        run_id=uuid4().hex[:12],
        started=log.begun,
        ended=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        seconds=log.seconds,
        outcome=outcome,
        exit_code={"done": 0, "failed": 1, "partial": 4}[outcome],
        message=_message(outcome, missing, failed),
        asked=log.asked,
        sums={name: parts for name, parts in sums.items() if parts},
        missing=tuple(missing),
        colour=facts.colour,
        mended=log.mended,
        made=facts.made,
        cut_flow=facts.cut_flow,
        stages=log.stages,
        peak_mb=max((stage.peak_mb or 0.0 for stage in log.stages), default=None),
        host={"cores": cores(), "system": platform.platform(), "python": sys.version.split()[0]},
        versions={"gzjwst": __version__, **{name: version(name) for name in _LIBRARIES}},
        digests={"profile": run.profile.digest(), **facts.digests},
    )


def with_missing(record: RunRecord, more: Sequence[Missing]) -> RunRecord:
    """Return a run's record with more that it has not: done in part, where it was done.

    Parameters
    ----------
    record
        Of the run.
    more
        What is missing beside what the record names.
    """
    missing = (*record.missing, *more)
    if record.outcome != "done":
        return record.replace(missing=missing)
    return record.replace(missing=missing, outcome="partial", exit_code=4, message=_message("partial", missing, ()))


def _outcome(log: RunLog, missing: Sequence[Missing], failed: Sequence[str]) -> Literal["done", "partial", "failed"]:
    if log.error is not None:
        return "failed"
    return "partial" if failed or any(one.is_loss for one in missing) else "done"


def _message(outcome: str, missing: Sequence[Missing], failed: Sequence[str]) -> str:
    if outcome == "done":
        return ""
    named = [*failed, *(f"{one.what} ({one.reason})" for one in missing if one.is_loss)]
    return f"missing or failed: {', '.join(named[:5])}{f' and {len(named) - 5} more' if len(named) > 5 else ''}"


def _previous(folder: Folder) -> bytes | None:
    """Read run.json; one that is damaged is put aside."""
    if not folder.exists(RUNS):
        return None
    data = folder.read(RUNS)
    try:
        read_runs(data)
    except StorageError as error:
        folder.write(DAMAGED_RUNS, data)
        _log.warning("%s: %s; it is kept as %s, and a new one is begun", folder.url, error, DAMAGED_RUNS)
        return None
    return data
