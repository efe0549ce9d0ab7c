"""Publishing as a stage of a run: hand-overs with a receipt, then the report and the run's own record.

Hand-overs are products and know no clock. report.html and run.json tell of the run itself; the report is written anew
only when the run changed something.
"""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
from astropy.table import Table

from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.report.report import report_html, told_of
from gzjwst_core.runs.receipts import Done, all_latest, claims, complete, latest
from gzjwst_core.runs.record import append_run, earlier_runs, read_runs
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept
from gzjwst_core.storage.seal import BLANK, is_whole, sealed
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.images import IMAGES, is_provisional
from gzjwst_core.survey.quality import identities, standing_quality
from gzjwst_core.survey.report_data import facts_of, shown_rows
from gzjwst_core.survey.run import Run
from gzjwst_core.survey.run_record import RunLog, read_table, record_of
from gzjwst_core.survey.training import singles_of
from gzjwst_core.survey.uploads_record import STAGE, keep_record, news_of, recorded, uploads_identity, write_news
from gzjwst_core.values import Value, digest_of
from gzjwst_core.zoobot.split import SIDES_COLUMNS, remembered
from gzjwst_core.zoobot.zoobot import zoobot_table
from gzjwst_core.zooniverse.manifests import manifests

__all__ = ["REPORT", "RUNS", "RunEnd", "RunLog", "close", "count_uploads", "hand_over", "keep_sides", "plan"]

_VERSION = "3"
ZOOBOT, SIDES = "zoobot/catalog.parquet", "zoobot/sides.parquet"
_SIDES_NAMES = tuple(column.name for column in SIDES_COLUMNS)
_REMEDY = f"put a good copy in its place, or remove it and {KEPT}{SIDES} to go by {ZOOBOT}, or all three to draw anew"
REPORT, RUNS, DAMAGED_RUNS = "report.html", "run.json", "run-damaged.json"
_log = logging.getLogger(__name__)


class RunEnd(Value):
    """How a run ended."""

    exit_code: int
    message: str
    record: str
    """The run's record as JSON text."""


def plan(run: Run) -> Work:
    """Say what the hand-overs are made from: images, verdicts, the catalog, its selection, and past uploads.

    Raises
    ------
    CatalogError
        There is no survey catalog (reason `no_catalog`).
    """
    images = identities(all_latest(run.folder, IMAGES))
    merged = latest(run.folder, "merge", "survey")
    if merged is None:
        raise CatalogError(f"{run.profile.name}: there is no survey catalog to publish from", reason="no_catalog")
    judged = standing_quality(run, images)
    verdicts = {"quality": judged.outputs[0].digest} if judged else {}
    return Work(
        stage=STAGE,
        version=_VERSION,
        unit="survey",
        inputs={unit: identity.rpartition("|")[2] for unit, identity in images.items()}  # the files alone
        | {"catalog": merged.outputs[0].digest}
        | verdicts
        | _singles_input(run)
        | ({"colour": "provisional"} if is_provisional(run.profile.images) else {})
        | uploads_identity(run.folder),
        options=digest_of([run.profile.publish.digest(), *(cut.digest() for cut in run.cuts)]),
    )


def count_uploads(run: Run) -> int:
    """Count the uploads on record, and keep a copy of it as it is now: a person may have changed it.

    Raises
    ------
    SubjectsError
        The record is damaged.
    """
    keep_record(run.folder)
    return len(recorded(run.folder))


def _singles_input(run: Run) -> dict[str, str]:
    singles = singles_of(run) if run.profile.publish.zoobot_fits else {}
    return {"single bands": digest_of(singles)} if singles else {}


def hand_over(run: Run, work: Work) -> Done:
    """Write the Zooniverse manifests and the Zoobot catalog.

    Raises
    ------
    CatalogError
        An image has no row in the catalog, or what is remembered of Zoobot's split is damaged.
    """
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: Run, work: Work) -> Receipt:
    folder, options = run.folder, run.profile.publish
    rows = shown_rows(run)
    good = rows[np.asarray(rows["verdict"]) != "fail"]  # volunteers see none that fails
    texts = manifests(good, run.profile.name, options)
    singles = singles_of(run) if options.zoobot_fits else {}
    earlier = _earlier(folder)
    catalog = zoobot_table(rows, run.profile.name, options, singles=singles, earlier=earlier)
    # sides first: whoever is in a catalog that somebody may train on is remembered, even if a run is killed here;
    # a catalog whose colour is provisional is not to be trained on: the first whole run must not depend on it
    handed = catalog[:0] if is_provisional(run.profile.images) else catalog
    _write_sides(folder, remembered(handed, earlier))
    with folder.writing(ZOOBOT) as local:
        write_parquet(catalog, local)
    written = [folder.write(f"zooniverse/{name}", text.encode()) for name, text in texts.items()]
    new, told = write_news(folder, news_of(folder, texts))
    outputs = (*written, folder.output(ZOOBOT), folder.output(SIDES), folder.output(f"{KEPT}{SIDES}"), *new)
    counts = {"subjects": len(good), "left_out": len(rows) - len(good), "manifests": len(written), **told}
    return Receipt(**work.model_dump(), key=work.key, outputs=outputs, counts=counts)


def keep_sides(folder: Folder) -> None:
    """Remember the sides of the last hand-over, also where it was provisional."""
    handed = read_table(folder, ZOOBOT, _SIDES_NAMES)
    if handed is not None:
        _write_sides(folder, remembered(handed, _earlier(folder)))


def _earlier(folder: Folder) -> Table | None:
    """Read which side galaxies were on: one that cannot be read is never drawn anew unasked.

    A provisional catalog leaves no sides; they are taken from it where volunteers were shown its subjects.
    """
    digests = claims(folder, STAGE, "survey", SIDES, superseded=True)
    sides = read_kept(folder, SIDES, partial(read_parquet, columns=_SIDES_NAMES), _REMEDY, digests)
    if sides is None or (len(sides) == 0 and recorded(folder)):
        return read_table(folder, ZOOBOT, _SIDES_NAMES)
    return sides


def _write_sides(folder: Folder, sides: Table) -> None:
    with folder.writing(f"{KEPT}{SIDES}") as local:
        write_parquet(sides, local)
    folder.write(SIDES, folder.read(f"{KEPT}{SIDES}"))


def close(run: Run, log: RunLog) -> RunEnd:
    """Write report.html if it does not tell of what stands, and append the run to run.json.

    An image that cannot be read costs the report its small copy, and the run is told to be done in part; the report is
    then written by every run until the image is mended.

    Raises
    ------
    StorageError
        run.json is of another survey: it is never overwritten.
    """
    folder, record = run.folder, record_of(run, log)
    previous = _previous(folder)
    if log.error is None and folder.exists(CATALOG) and (_changed(log) or _reported(folder) != _standing(folder)):
        facts = facts_of(run, record)
        if facts.unread:
            record = record_of(run, log.replace(troubles=(*log.troubles, *facts.unread)))
        made_from, earlier = "" if facts.unread else _standing(folder), earlier_runs(previous, record.survey)
        told = replace(facts, record=record, made_from=made_from, earlier=earlier)
        folder.write(REPORT, sealed(report_html(told).encode() + b"\n<!-- " + BLANK + b" -->\n"))
    folder.write(RUNS, append_run(previous, record))  # last: what it says of this run has happened
    return RunEnd(exit_code=record.exit_code, message=record.message, record=record.model_dump_json(indent=1))


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


_MAKING = ("catalog", "merge", "crossmatch", "completeness", "cutouts", "images", "quality", "training", "publish")


def _changed(log: RunLog) -> bool:
    return bool(log.troubles) or any(stage.done for stage in log.stages if stage.stage in _MAKING)


def _standing(folder: Folder) -> str:
    """Tell by one digest which receipts there are: a run that was killed may have left some that no report tells of."""
    return digest_of({stage: folder.names(f"receipts/{stage}") for stage in _MAKING})


def _reported(folder: Folder) -> str:
    """Read which receipts the report tells of."""
    if not folder.exists(REPORT):
        return ""
    with folder.open(REPORT) as file:
        page = file.read()
    whole = is_whole(page)
    return told_of(page[:1000]) if whole or (whole is None and page.rstrip().endswith(b"</html>")) else ""
