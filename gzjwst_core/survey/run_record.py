"""A run's record, made from what the stages told and from the tables and receipts that stand in the run folder.

The sums are counted from the folder, not from the run: a run that had nothing to do still tells the whole survey's.
"""

import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from astropy.table import Table
from pydantic import JsonValue, TypeAdapter

from gzjwst_core import __version__
from gzjwst_core.errors import CatalogError
from gzjwst_core.images.verdicts import VERDICTS
from gzjwst_core.runs.engine import cores
from gzjwst_core.runs.products import reading_made
from gzjwst_core.runs.receipts import all_latest, latest
from gzjwst_core.runs.record import CutStep, Missing, RunRecord, StageRecord
from gzjwst_core.runs.work import Receipt
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.completeness import standing_survey
from gzjwst_core.survey.crossmatch import STAGE as COMPARED
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.images import IMAGES, LOST_STRIPS, STRIPS
from gzjwst_core.survey.lost_targets import lost_targets
from gzjwst_core.survey.quality import identities, standing_quality
from gzjwst_core.survey.query import MOSAICS, PRODUCTS
from gzjwst_core.survey.run import Run
from gzjwst_core.survey.training import TRAINING
from gzjwst_core.values import Value

__all__ = ["RunLog", "read_table", "record_of"]

_LIBRARIES = ("astropy", "astroquery", "fsspec", "numpy", "pillow", "prefect", "s3fs", "sep")
_OF_TARGETS = ("ext_id", "is_primary")
_STEPS = TypeAdapter(list[CutStep])


class RunLog(Value):
    """What whoever ran the stages knows of the run."""

    asked: Mapping[str, JsonValue]
    begun: str
    """UTC, ISO 8601."""
    seconds: float
    stages: tuple[StageRecord, ...]
    troubles: tuple[Missing, ...] = ()
    """Units that failed."""
    colour: Mapping[str, str] = {}
    mended: tuple[str, ...] = ()
    """Both as of a run's record."""
    error: Missing | None = None
    """What ended the run before its time."""


def record_of(run: Run, log: RunLog) -> RunRecord:
    """Put a run's record together."""
    folder = run.folder
    merged = latest(folder, "merge", "survey")
    lost, images = _lost_targets(run, log), _tally(folder, IMAGES)
    sums = {
        "products": _products(folder),
        "mosaics": _mosaics(folder),
        "targets": _targets(run, merged, lost),
        "images": _images(images),
        "strips": _strips(images),
        "quality": _quality(run, images),
        "subjects": _subjects(folder),
        "single_bands": _images(_tally(folder, TRAINING)),
        "names": _names(merged),
        "comparisons": _comparisons(run),
        "injected": _injected(run),
    }
    missing = [*_missing(run), *lost, *_not_compared(run), *log.troubles, *([log.error] if log.error else [])]
    parts = [(what, part, count) for what, found in sums.items() for part, count in found.items()]
    failed = [f"{count} {what} ({part})" for what, part, count in parts if part.startswith("failed:")]
    outcome = _outcome(log, missing, failed)
    return RunRecord(
        survey=run.profile.name,
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
        colour=log.colour,
        mended=log.mended,
        made=_made(folder, images),
        cut_flow=_cut_flow(merged),
        stages=log.stages,
        peak_mb=max((stage.peak_mb or 0.0 for stage in log.stages), default=None),
        host={"cores": cores(), "system": platform.platform(), "python": sys.version.split()[0]},
        versions={"gzjwst": __version__, **{name: version(name) for name in _LIBRARIES}},
        digests=_digests(run, merged),
    )


def read_table(folder: Folder, relative: str, columns: Iterable[str] | None = None, *, stage: str = "") -> Table | None:
    """Read a table of the run folder, or some columns of it; None if it is not there.

    Parameters
    ----------
    folder, relative, columns
        The table, and what of it; None = all.
    stage
        Whose survey unit made it: its bytes are compared with the receipt. Empty = they are taken as they are.
    """
    if not folder.exists(relative):
        return None
    with reading_made(folder, stage, "survey", relative) if stage else folder.reading(relative) as path:
        return read_parquet(path, columns)


def _listed(folder: Folder, relative: str, columns: Iterable[str] | None = None, *, stage: str) -> Table | None:
    """Read a table as `read_table`; None if it cannot be parsed: that has ended the run, and is told as what did."""
    try:
        return read_table(folder, relative, columns, stage=stage)
    except CatalogError:
        return None


def _products(folder: Folder) -> dict[str, int]:
    table = _listed(folder, PRODUCTS, stage="query")
    if table is None:
        return {}
    dropped = Counter(f"dropped:{row['reason'].partition(':')[0]}" for row in table if row["outcome"] == "dropped")
    return {"total": len(table), "kept": len(table) - dropped.total(), **dict(sorted(dropped.items()))}


def _mosaics(folder: Folder) -> dict[str, int]:
    table = _listed(folder, MOSAICS, stage="locate")
    if table is None:
        return {}
    lost = Counter(f"missing:{row['reason']}" for row in table if row["outcome"] == "missing")
    return {"total": len(table), "located": len(table) - lost.total(), **dict(sorted(lost.items()))}


def _targets(run: Run, merged: Receipt | None, lost: Sequence[Missing]) -> dict[str, int]:
    if merged is None and not lost:
        return {}
    ended: Counter[str] = Counter()
    for receipt in all_latest(run.folder, CUTOUTS):
        ended.update(receipt.counts)
    left = merged.counts["selected"] - ended.total() if merged else 0
    ended.update({"not_done": left} if left > 0 else {})  # below 0: cutouts of an earlier selection in other fields
    ended.update(f"{'skipped' if one.expected else 'failed'}:{one.reason}" for one in lost)
    return {"total": ended.total(), **dict(sorted(ended.items()))}


class _Tally(NamedTuple):
    """What the receipts of a stage add up to: they are large, and read once."""

    counts: Counter[str]
    files: Counter[str]
    """By the first folder of their paths."""
    identities: dict[str, str]


def _tally(folder: Folder, stage: str) -> _Tally:
    tally = _Tally(Counter(), Counter(), {})
    for receipt in all_latest(folder, stage):
        tally.counts.update(receipt.counts)
        tally.files.update(output.path.partition("/")[0] for output in receipt.outputs)
        tally.identities.update(identities([receipt]))
    return tally


def _images(images: _Tally) -> dict[str, int]:
    """Of every cutout that stands: coloured, or why not; of single bands likewise."""
    ended = Counter({name: count for name, count in images.counts.items() if not name.startswith(LOST_STRIPS)})
    return {"total": ended.total(), **dict(sorted(ended.items()))} if ended else {}


def _strips(images: _Tally) -> dict[str, int]:
    """Of the strips that the images were to have; nothing where none is missing."""
    lost = {name: count for name, count in images.counts.items() if name.startswith(LOST_STRIPS)}
    ended = Counter({name.partition(" ")[2]: count for name, count in lost.items()} | {"written": images.files[STRIPS]})
    return {"total": ended.total(), **dict(sorted(ended.items()))} if lost else {}


def _quality(run: Run, images: _Tally) -> dict[str, int]:
    """Of every image that stands: its verdict. One that fails is left out of the manifests; the run does not fail."""
    judged = standing_quality(run, images.identities)
    return {name: judged.counts[name] for name in ("total", *VERDICTS)} if judged else {}


def _subjects(folder: Folder) -> dict[str, int]:
    """Of every image of a selected target: handed to volunteers, or left out since it fails."""
    handed = latest(folder, "publish", "survey")
    if handed is None or "left_out" not in handed.counts:
        return {}
    parts = {"handed_over": handed.counts["subjects"], "left_out": handed.counts["left_out"]}
    return {"total": sum(parts.values()), **parts}


def _names(merged: Receipt | None) -> dict[str, int]:
    """Of every name of this release and the earlier one: carried over, new, or of an object that is gone."""
    parts = {name: count for name, count in merged.counts.items() if name.startswith("names:")} if merged else {}
    named = {name.partition(":")[2]: count for name, count in parts.items()}
    return {"total": sum(named.values()), **named} if named else {}


def _comparisons(run: Run) -> dict[str, int]:
    receipt = latest(run.folder, COMPARED, "survey") if run.profile.compare else None
    parts = {name: count for name, count in receipt.counts.items() if name != "matches"} if receipt else {}
    return {"total": sum(parts.values()), **parts} if parts else {}


def _not_compared(run: Run) -> list[Missing]:
    """Catalogs of others that could not be compared with, each with its reason."""
    receipt = latest(run.folder, COMPARED, "survey") if run.profile.compare else None
    told: Any = receipt.notes["failed"] if receipt else {}
    return [Missing(what=f"compare {name}", reason=why, detail=said) for name, (why, said) in told.items()]


def _injected(run: Run) -> dict[str, int]:
    """Of the galaxies that were injected: found again, lost to brighter sources, or not detected."""
    made = standing_survey(run)
    if made is None:
        return {}
    ended = {name: made.counts[name] for name in ("found", "blended")}
    return {"total": made.counts["injected"], **ended, "not_detected": made.counts["injected"] - sum(ended.values())}


def _lost_targets(run: Run, log: RunLog) -> list[Missing]:
    catalog = _listed(run.folder, CATALOG, _OF_TARGETS, stage="merge") if run.targets else None
    no_field_left = log.error is not None and any(stage.stage == "catalog" for stage in log.stages)
    return lost_targets(run, catalog) if catalog is not None or (run.targets and no_field_left) else []


def _missing(run: Run) -> list[Missing]:
    table = _listed(run.folder, MOSAICS, stage="locate")
    rows = [] if table is None else [row for row in table if row["outcome"] == "missing"]
    missing = [_lost(row["obs_id"], row["reason"], row["trail"], expected=bool(row["expected"])) for row in rows]
    missing += _bands_without_mosaics(run) + _nothing_selected(run)
    wanted = run.profile.query.expected_mosaics
    if wanted is not None and table is not None and len(table) != wanted:
        said = f"{len(table)} mosaics in the survey, the profile expects {wanted}"
        missing.append(Missing(what="expected_mosaics", reason="unexpected_count", detail=said))
    return missing


def _cut_flow(merged: Receipt | None) -> tuple[CutStep, ...]:
    return () if merged is None else tuple(_STEPS.validate_python(merged.notes["cut_flow"]))


def _nothing_selected(run: Run) -> list[Missing]:
    """Say which cut left nothing of a survey that has sources: a mistyped one is no success."""
    flow = _cut_flow(latest(run.folder, "merge", "survey"))
    emptied = next((step for step in flow if step.before and not step.after), None)
    if emptied is None:
        return []
    said = f"{emptied.cut} leaves none of {emptied.before} rows; images that stand were left alone"
    return [Missing(what="selection", reason="nothing_selected", detail=said)]


def _bands_without_mosaics(run: Run) -> list[Missing]:
    """Bands that the profile asks for and no product has."""
    products = _listed(run.folder, PRODUCTS, stage="query")
    if products is None:
        return []
    have = set(products["band"][products["outcome"] == "kept"].tolist())
    bands = [band for band in run.profile.survey.bands if band not in have]
    return [Missing(what=band, reason="no_mosaic", detail="no product of the survey has this band") for band in bands]


def _lost(obs_id: str, reason: str, trail: str, *, expected: bool) -> Missing:
    return Missing(what=str(obs_id), reason=str(reason), detail=f"asked {trail}", expected=expected)


def _outcome(log: RunLog, missing: list[Missing], failed: list[str]) -> Literal["done", "partial", "failed"]:
    if log.error is not None:
        return "failed"
    return "partial" if failed or any(one.is_loss for one in missing) else "done"


def _message(outcome: str, missing: list[Missing], failed: list[str]) -> str:
    if outcome == "done":
        return ""
    named = [*failed, *(f"{one.what} ({one.reason})" for one in missing if one.is_loss)]
    return f"missing or failed: {', '.join(named[:5])}{f' and {len(named) - 5} more' if len(named) > 5 else ''}"


def _made(folder: Folder, images: _Tally) -> dict[str, int]:
    counts = {CUTOUTS: _tally(folder, CUTOUTS).files[CUTOUTS], IMAGES: images.files[IMAGES]}
    handed = latest(folder, "publish", "survey")
    catalogs = {"field_catalogs": sum(1 for _ in all_latest(folder, "catalog"))}
    return catalogs | counts | (dict(handed.counts) if handed else {})


def _digests(run: Run, merged: Receipt | None) -> dict[str, str]:
    catalog = {CATALOG: merged.outputs[0].digest} if merged else {}
    return {"profile": run.profile.digest(), **catalog}
