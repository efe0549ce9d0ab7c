"""What a run would do, for a person and as JSON: nothing is written."""

from collections.abc import Iterable

from pydantic import JsonValue

from gzjwst_core.runs.receipts import standing
from gzjwst_core.runs.run import Run
from gzjwst_core.runs.work import Work
from gzjwst_core.values import Value

__all__ = ["DryRun", "dry_run_of"]


class DryRun(Value):
    """What a run would do."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """One a unit; as many texts as there are columns."""
    notes: tuple[str, ...] = ()
    """Lines below the table."""
    refusal: str = ""
    """Why the disks cannot hold the run; empty where they can."""
    record: JsonValue = None
    """The same as plain values, for `--json`."""


def dry_run_of(run: Run, works: Iterable[Work]) -> DryRun:
    """Say which units of work stand and which are to do.

    Parameters
    ----------
    run
        The run.
    works
        Its units.
    """
    rows = tuple((w.stage, w.unit, "to do" if standing(run.folder, w) is None else "done") for w in works)
    left = sum(state == "to do" for *_, state in rows)
    named: list[JsonValue] = [{"stage": stage, "unit": unit, "state": state} for stage, unit, state in rows]
    return DryRun(
        title=f"{run.profile.name}: {len(rows)} units of work",
        columns=("stage", "unit", "state"),
        rows=rows,
        notes=(f"{left} to do, {len(rows) - left} done before",),
        record={"name": run.profile.name, "units": named},
    )
