"""The run folder's `zooniverse/`: the record of uploads beside the manifests, and the manifests of what is new.

Here files are read and written; what is new is found by `uploads`. The record is a person's: no receipt claims it, and
nothing but `record_uploads` and `withdraw_uploads` writes to it.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from gzjwst_core.errors import SubjectsError
from gzjwst_core.runs.products import read_table
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, with_total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept, write_kept
from gzjwst_core.survey.quality import QUALITY
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Output
from gzjwst_core.zooniverse.uploads import Difference, Upload, appended, new_manifests, read_uploads, withdrawn

__all__ = [
    "HANDOVER",
    "UPLOADED",
    "News",
    "failing_images",
    "keep_record",
    "news_of",
    "record_uploads",
    "recorded",
    "refresh",
    "survey_manifests",
    "uploads_identity",
    "withdraw_uploads",
    "write_news",
]

FOLDER = "zooniverse"
UPLOADED = f"{FOLDER}/uploaded.csv"
_INPUT = "uploaded"
_REMEDY = (
    f"put a good copy in its place, or remove {UPLOADED} and {KEPT}{UPLOADED} and record the uploads again "
    "(`zooniverse uploaded`)"
)
_COUNTS = ("new", "new_manifests", "recoloured", "renamed", "gone")


def _line(done: Sequence[Done]) -> str:
    """Tell what was handed over."""
    counts = done[0].counts
    left_out = f" ({counts['left_out']} left out by quality)" if counts.get("left_out") else ""
    files = counted(counts["manifests"], "manifest")
    new = f", {counts['new']} of them new since the last upload" if "new" in counts else ""
    return f"{counted(counts['subjects'], 'subject')}{left_out} in {files}{new}, Zoobot catalog, report"


def _sums(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    """Of every image of a selected target: handed to volunteers, or left out since it fails."""
    handed = HANDOVER.latest(run.folder)
    if handed is None or "left_out" not in handed.counts:
        return {}
    return {"subjects": with_total({"handed_over": handed.counts["subjects"], "left_out": handed.counts["left_out"]})}


HANDOVER = Stage(
    "publish",
    version="3",
    writes={
        "manifests": "zooniverse/manifest-*",
        "zoobot": "zoobot/catalog.parquet",
        "sides": "zoobot/sides.parquet",
        "sides_copy": f"{KEPT}zoobot/sides.parquet",
        "news": "zooniverse/new-*",
    },
    reads=("merge.catalog", "images.images", "quality.verdicts", "training.bands"),
    line=_line,
    sums=_sums,
)

News = tuple[dict[str, str], Difference]


def uploads_identity(folder: Folder) -> dict[str, str]:
    """Return the record's digest as an input of publishing; empty while nothing was uploaded."""
    text = _record(folder)
    return {_INPUT: hashlib.sha256(text.encode()).hexdigest()} if text else {}


def failing_images(folder: Folder) -> dict[str, str]:
    """Return why images fail, by id_str, where they were judged."""
    judged = read_table(folder, QUALITY, ("id_str", "verdict", "reasons"), stage="quality")
    if judged is None:
        return {}
    return {str(row["id_str"]): str(row["reasons"]) for row in judged[judged["verdict"] == "fail"]}


def recorded(folder: Folder) -> list[Upload]:
    """Read the record of uploads; empty while nothing was uploaded.

    Raises
    ------
    SubjectsError
        It is damaged.
    """
    return read_uploads(_record(folder), f"{folder.url}/{UPLOADED}")


def keep_record(folder: Folder) -> None:
    """Keep a copy of the record as it is now."""
    if text := _record(folder):
        write_kept(folder, UPLOADED, text.encode())


def news_of(folder: Folder, manifests: Mapping[str, str]) -> News | None:
    """Compare manifests with the record; None while nothing was uploaded.

    Parameters
    ----------
    folder
        The run folder.
    manifests
        Text by file name, in order.
    """
    uploads = recorded(folder)
    return new_manifests(manifests, uploads, failing_images(folder)) if uploads else None


def write_news(folder: Folder, news: News | None) -> tuple[tuple[Output, ...], dict[str, int]]:
    """Write the manifests of what is new; returns the files, and counts for the receipt."""
    if news is None:
        return (), {}
    texts, found = news
    written = tuple(folder.write(f"{FOLDER}/{name}", text.encode()) for name, text in texts.items())
    counts = (len(found.rows), len(written), len(found.recoloured), len(found.renamed), len(found.gone))
    return written, dict(zip(_COUNTS, counts, strict=True))


def record_uploads(folder: Folder, uploads: Sequence[Upload]) -> list[Upload]:
    """Append to the record; returns the rows that were new to it. Nothing is written when none is."""
    name = f"{folder.url}/{UPLOADED}"
    old = _record(folder)
    new = appended(old, uploads, name)
    if new != old:
        write_kept(folder, UPLOADED, new.encode())
    return read_uploads(new, name)[len(read_uploads(old, name)) :]


def withdraw_uploads(folder: Folder, names: Collection[str]) -> None:
    """Take subjects out of the record, by id_str: they are new again."""
    write_kept(folder, UPLOADED, withdrawn(_record(folder), names, f"{folder.url}/{UPLOADED}").encode())


def survey_manifests(folder: Folder) -> dict[str, str]:
    """Read the survey's manifests as they were handed over, in order.

    Raises
    ------
    SubjectsError
        No hand-overs stand (reason `not_published`).
    """
    return {name: _text(folder, f"{FOLDER}/{name}") for name in _manifest_names(_published(folder))}


def refresh(folder: Folder) -> News | None:
    """Write the manifests of what is new now, as the survey's next run would; None while nothing was uploaded.

    The receipt of publishing is replaced by the one that a run would leave, so that this run has nothing to redo.

    Raises
    ------
    SubjectsError
        No hand-overs stand, or the record is damaged.
    """
    receipt, news = _published(folder), news_of(folder, survey_manifests(folder))
    inputs = {name: value for name, value in receipt.inputs.items() if name != _INPUT} | uploads_identity(folder)
    known = receipt.model_dump(include={"stage", "version", "unit", "options"})
    work = Work(**known, inputs=inputs)
    complete(folder, work, partial(_remade, folder, work, receipt, news))
    return news


def _remade(folder: Folder, work: Work, old: Receipt, news: News | None) -> Receipt:
    written, counts = write_news(folder, news)
    kept = {name: HANDOVER.outputs(old, name) for name in HANDOVER.writes if name != "news"}
    others = {name: count for name, count in old.counts.items() if name not in _COUNTS}
    return HANDOVER.receipt(work, {**kept, "news": written}, others | counts, old.notes)


def _published(folder: Folder) -> Receipt:
    receipt = HANDOVER.latest(folder)
    if receipt is None:
        raise SubjectsError(f"{folder.url}: no manifests stand there: run the survey first", reason="not_published")
    return receipt


def _manifest_names(receipt: Receipt) -> list[str]:
    return [output.path.partition("/")[2] for output in HANDOVER.outputs(receipt, "manifests")]


def _record(folder: Folder) -> str:
    """Return the record's text; empty where there is none."""
    name = f"{folder.url}/{UPLOADED}"

    def read(path: Path) -> str:
        text = _decoded(path.read_bytes(), name)
        if not text:
            raise SubjectsError(f"{name}: it is empty")
        read_uploads(text, name)
        return text

    return read_kept(folder, UPLOADED, read, _REMEDY) or ""


def _text(folder: Folder, relative: str) -> str:
    return _decoded(folder.read(relative), f"{folder.url}/{relative}")


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SubjectsError(f"{name}: it is not UTF-8 text") from None
