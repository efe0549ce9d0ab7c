"""Publishing as a stage of a run: hand-overs with a receipt, then the report and the run's own record.

Hand-overs are products and know no clock. report.html and run.json tell of the run itself; the report is written anew
only when the run changed something.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from astropy.table import Table

from gzjwst_core.errors import CatalogError
from gzjwst_core.report.report import report_html, told_of
from gzjwst_core.runs.close import with_missing
from gzjwst_core.runs.products import read_table
from gzjwst_core.runs.receipts import Done, claims, complete
from gzjwst_core.runs.record import RunLog, RunRecord, earlier_runs
from gzjwst_core.runs.stage import SURVEY_UNIT
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept
from gzjwst_core.storage.seal import BLANK, is_whole, sealed
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey.catalog import CATALOG, MERGE
from gzjwst_core.survey.images import IMAGES, is_provisional
from gzjwst_core.survey.quality import IMAGE_CHECKS, identities, standing_quality
from gzjwst_core.survey.report_data import facts_of, shown_rows
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.training import singles_of
from gzjwst_core.survey.uploads_record import HANDOVER, keep_record, news_of, recorded, uploads_identity, write_news
from gzjwst_core.values import digest_of
from gzjwst_core.zoobot.split import SIDES_COLUMNS, remembered
from gzjwst_core.zoobot.zoobot import zoobot_table
from gzjwst_core.zooniverse.manifests import manifests

__all__ = ["REPORT", "count_uploads", "hand_over", "keep_sides", "plan", "write_report"]

ZOOBOT, SIDES = HANDOVER.path("zoobot"), HANDOVER.path("sides")
_SIDES_NAMES = tuple(column.name for column in SIDES_COLUMNS)
_REMEDY = f"put a good copy in its place, or remove it and {KEPT}{SIDES} to go by {ZOOBOT}, or all three to draw anew"
REPORT = "report.html"


def plan(run: SurveyRun) -> Work:
    """Say what the hand-overs are made from: images, verdicts, the catalog, its selection, and past uploads.

    Raises
    ------
    CatalogError
        There is no survey catalog (reason `no_catalog`).
    """
    images = identities(IMAGES.all_latest(run.folder))
    merged = MERGE.latest(run.folder)
    if merged is None:
        raise CatalogError(f"{run.profile.name}: there is no survey catalog to publish from", reason="no_catalog")
    judged = standing_quality(run, images)
    verdicts = {"quality": IMAGE_CHECKS.digest(judged, "verdicts")} if judged else {}
    return HANDOVER.work(
        unit=SURVEY_UNIT,
        inputs={unit: identity.rpartition("|")[2] for unit, identity in images.items()}  # the files alone
        | {"catalog": MERGE.digest(merged, "catalog")}
        | verdicts
        | _singles_input(run)
        | ({"colour": "provisional"} if is_provisional(run.profile.images) else {})
        | uploads_identity(run.folder),
        options=digest_of([run.profile.publish.digest(), *(cut.digest() for cut in run.cuts)]),
    )


def count_uploads(run: SurveyRun) -> int:
    """Count the uploads on record, and keep a copy of it as it is now: a person may have changed it.

    Raises
    ------
    SubjectsError
        The record is damaged.
    """
    keep_record(run.folder)
    return len(recorded(run.folder))


def _singles_input(run: SurveyRun) -> dict[str, str]:
    singles = singles_of(run) if run.profile.publish.zoobot_fits else {}
    return {"single bands": digest_of(singles)} if singles else {}


def hand_over(run: SurveyRun, work: Work) -> Done:
    """Write the Zooniverse manifests and the Zoobot catalog.

    Raises
    ------
    CatalogError
        An image has no row in the catalog, or what is remembered of Zoobot's split is damaged.
    """
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: SurveyRun, work: Work) -> Receipt:
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
    kept = {name: folder.output(HANDOVER.path(name)) for name in ("zoobot", "sides", "sides_copy")}
    counts = {"subjects": len(good), "left_out": len(rows) - len(good), "manifests": len(written), **told}
    return HANDOVER.receipt(work, {"manifests": written, **kept, "news": new}, counts)


def keep_sides(folder: Folder) -> None:
    """Remember the sides of the last hand-over, also where it was provisional."""
    handed = read_table(folder, ZOOBOT, _SIDES_NAMES)
    if handed is not None:
        _write_sides(folder, remembered(handed, _earlier(folder)))


def _earlier(folder: Folder) -> Table | None:
    """Read which side galaxies were on: one that cannot be read is never drawn anew unasked.

    A provisional catalog leaves no sides; they are taken from it where volunteers were shown its subjects.
    """
    digests = claims(folder, HANDOVER.name, SURVEY_UNIT, SIDES, superseded=True)
    sides = read_kept(folder, SIDES, partial(read_parquet, columns=_SIDES_NAMES), _REMEDY, digests)
    if sides is None or (len(sides) == 0 and recorded(folder)):
        return read_table(folder, ZOOBOT, _SIDES_NAMES)
    return sides


def _write_sides(folder: Folder, sides: Table) -> None:
    with folder.writing(f"{KEPT}{SIDES}") as local:
        write_parquet(sides, local)
    folder.write(SIDES, folder.read(f"{KEPT}{SIDES}"))


def write_report(run: SurveyRun, log: RunLog, record: RunRecord, previous: bytes | None) -> RunRecord:
    """Write report.html if it does not tell of what stands; returns the run's record, as it ended.

    An image that cannot be read costs the report its small copy, and the run is told to be done in part; the report is
    then written by every run until the image is mended.

    Parameters
    ----------
    run
        The run.
    log
        What happened.
    record
        Of the run.
    previous
        run.json as it was; None where there was none.
    """
    folder = run.folder
    if (
        log.error is not None
        or not folder.exists(CATALOG)
        or not (_changed(log) or _reported(folder) != _standing(folder))
    ):
        return record
    facts = facts_of(run, record)
    if facts.unread:
        record = with_missing(record, facts.unread)
    made_from, earlier = "" if facts.unread else _standing(folder), earlier_runs(previous, record.name)
    told = replace(facts, record=record, made_from=made_from, earlier=earlier)
    folder.write(REPORT, sealed(report_html(told).encode() + b"\n<!-- " + BLANK + b" -->\n"))
    return record


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
