"""What the survey adds to the record of its run: what is missing, which targets are lost, what was made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from gzjwst_core.runs.products import read_table_if_whole
from gzjwst_core.runs.record import CutStep, Missing, RunFacts, RunLog, RunRecord
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, with_total
from gzjwst_core.runs.work import Receipt
from gzjwst_core.survey.catalog import CATALOG, FIELD_CATALOG, MERGE
from gzjwst_core.survey.crossmatch import COMPARISON
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.lost_targets import lost_targets
from gzjwst_core.survey.query import LOCATE, MOSAICS, PRODUCTS, QUERY
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.uploads_record import HANDOVER

__all__ = ["facts_of_run", "remarks"]

_OF_TARGETS = ("ext_id", "is_primary")
_LOST_TARGETS = ("bad_position", "no_identifier", "outside_fields", "same_object", "not_asked", "field_failed")
_STEPS = TypeAdapter(list[CutStep])


def facts_of_run(run: SurveyRun, log: RunLog, tallies: Tallies) -> RunFacts:
    """Gather what the record tells beside what the stages count.

    Parameters
    ----------
    run
        The run.
    log
        What happened.
    tallies
        Sums over the receipts.
    """
    merged = MERGE.latest(run.folder)
    lost = _lost_targets(run, log)
    return RunFacts(
        missing=(*_missing(run), *lost, *_not_compared(run)),
        sums={"targets": _targets(tallies.of(CUTOUTS.name).counts, merged, lost)},
        colour=log.facts.get("colour", {}),
        made=_made(run, tallies),
        cut_flow=_cut_flow(merged),
        digests={CATALOG: MERGE.digest(merged, "catalog")} if merged else {},
    )


def remarks(record: RunRecord) -> tuple[str, ...]:
    """Say how many of a table's targets became no cutout, and why; nothing where all did."""
    why = Counter(one.reason for one in record.missing if one.reason in _LOST_TARGETS)
    if not why:
        return ()
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
    of_table = counted(why.total(), "target")
    return (f"{of_table} of the table without a cutout: {counts} (each is named in run.json)",)


def _targets(cut: Mapping[str, int], merged: Receipt | None, lost: Sequence[Missing]) -> dict[str, int]:
    if merged is None and not lost:
        return {}
    ended = Counter(cut)
    left = merged.counts["selected"] - ended.total() if merged else 0
    ended.update({"not_done": left} if left > 0 else {})  # below 0: cutouts of an earlier selection in other fields
    ended.update(f"{'skipped' if one.expected else 'failed'}:{one.reason}" for one in lost)
    return with_total(ended)


def _not_compared(run: SurveyRun) -> list[Missing]:
    """Catalogs of others that could not be compared with, each with its reason."""
    receipt = COMPARISON.latest(run.folder) if run.profile.compare else None
    told: Any = receipt.notes["failed"] if receipt else {}
    return [Missing(what=f"compare {name}", reason=why, detail=said) for name, (why, said) in told.items()]


def _lost_targets(run: SurveyRun, log: RunLog) -> list[Missing]:
    catalog = read_table_if_whole(run.folder, CATALOG, _OF_TARGETS, stage=MERGE.name) if run.targets else None
    no_field_left = log.error is not None and any(stage.stage == "catalog" for stage in log.stages)
    return lost_targets(run, catalog) if catalog is not None or (run.targets and no_field_left) else []


def _missing(run: SurveyRun) -> list[Missing]:
    table = read_table_if_whole(run.folder, MOSAICS, stage=LOCATE.name)
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


def _nothing_selected(run: SurveyRun) -> list[Missing]:
    """Say which cut left nothing of a survey that has sources: a mistyped one is no success."""
    flow = _cut_flow(MERGE.latest(run.folder))
    emptied = next((step for step in flow if step.before and not step.after), None)
    if emptied is None:
        return []
    said = f"{emptied.cut} leaves none of {emptied.before} rows; images that stand were left alone"
    return [Missing(what="selection", reason="nothing_selected", detail=said)]


def _bands_without_mosaics(run: SurveyRun) -> list[Missing]:
    """Bands that the profile asks for and no product has."""
    products = read_table_if_whole(run.folder, PRODUCTS, stage=QUERY.name)
    if products is None:
        return []
    have = set(products["band"][products["outcome"] == "kept"].tolist())
    bands = [band for band in run.profile.survey.bands if band not in have]
    return [Missing(what=band, reason="no_mosaic", detail="no product of the survey has this band") for band in bands]


def _lost(obs_id: str, reason: str, trail: str, *, expected: bool) -> Missing:
    return Missing(what=str(obs_id), reason=str(reason), detail=f"asked {trail}", expected=expected)


def _made(run: SurveyRun, tallies: Tallies) -> dict[str, int]:
    made = {"field_catalogs": tallies.of(FIELD_CATALOG.name).units}
    made |= {stage.name: tallies.of(stage.name).files[stage.name] for stage in (CUTOUTS, IMAGES)}
    handed = HANDOVER.latest(run.folder)
    return made | (dict(handed.counts) if handed else {})
