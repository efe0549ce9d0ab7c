"""What Zooniverse has of a survey: the record of uploads, and which subjects of the manifests are new.

Text in, text out; `subjects_folder` reads and writes the files. An image that was coloured anew since its upload is not
new, and neither is a galaxy whose name has changed: volunteers have seen them.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.catalog.astrometry import chord, unit_vectors
from gzjwst_core.errors import SubjectsError
from gzjwst_core.names import is_id_str
from gzjwst_core.zoobot.split import NEAR_ARCSEC
from gzjwst_core.zooniverse.manifests import NOTHING, chunked

__all__ = [
    "Difference",
    "Upload",
    "appended",
    "compare",
    "new_manifests",
    "of_export",
    "of_manifest",
    "read_uploads",
    "survey_of",
    "unconfirmed",
    "withdrawn",
]

_COMPARED = ("id_str", "#ra", "#dec", "#recipe_hash")
_SAME_ARCSEC = 0.3
"""A name that is gone and a new one this near are one galaxy: positions of two releases differ by less. What is
farther than this but within NEAR_ARCSEC counts as new, and is told."""

_Place = tuple[str, str]
"""Cells of right ascension and declination."""


class Upload(NamedTuple):
    """One subject that was uploaded; every value is the text of a cell."""

    id_str: str
    recipe_hash: str
    ra: str
    dec: str
    subject_id: str
    """Zooniverse's own number; `none` while only the manifest is known."""
    source: str
    """Name of the manifest or export that said so."""


class Difference(NamedTuple):
    """How the survey's manifests differ from what was uploaded."""

    rows: list[list[str]]
    """Cells of the subjects that are new, in the manifests' order."""
    recoloured: list[str]
    """id_str of subjects whose image is of another recipe than the uploaded ones."""
    renamed: list[tuple[str, str]]
    """Uploaded name and present name of the same galaxy."""
    near: list[tuple[str, str]]
    """Uploaded name that is gone and name of a new subject that may be a part of it, or the same, but counts as new."""
    gone: list[str]
    """Uploaded id_str that are in no manifest any more."""


def read_uploads(text: str, source: str) -> list[Upload]:
    """Read the record of uploads.

    Parameters
    ----------
    text
        The file's text; empty = nothing was uploaded.
    source
        Its name for messages.

    Raises
    ------
    SubjectsError
        It is not ours, or a row is damaged; names the row (the header is row 1).
    """
    rows = _csv_rows(text, source)
    if rows and tuple(rows[0]) != Upload._fields:
        raise SubjectsError(f"{source}: row 1 must be {','.join(Upload._fields)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(Upload._fields) or not is_id_str(row[0]):
            raise SubjectsError(f"{source}: row {number} must have {len(Upload._fields)} cells, the first an id_str")
    return [Upload(*row) for row in rows[1:]]


def appended(text: str, uploads: Iterable[Upload], source: str) -> str:
    """Append what is not known yet to the record.

    Parameters
    ----------
    text
        The record as it is; empty = none yet.
    uploads
        What was uploaded, in any order.
    source
        The record's name for messages.

    Returns
    -------
    str
        The record as it shall be: the old text, then the new rows. The same text if everything is known: an image
        (name and recipe) whose subject number is known, or not given now.
    """
    old = read_uploads(text, source)
    known = {(one.id_str, one.recipe_hash, one.subject_id) for one in old} | {(u.id_str, u.recipe_hash) for u in old}
    fresh: list[Upload] = []
    for one in uploads:
        image = (one.id_str, one.recipe_hash)
        if image not in known or (one.subject_id != NOTHING and (*image, one.subject_id) not in known):
            known |= {image, (*image, one.subject_id)}
            fresh.append(one)
    whole = text if not text or text.endswith("\n") else f"{text}\n"
    return whole + _csv_text([*([] if text else [Upload._fields]), *fresh]) if fresh else text


def unconfirmed(uploads: Sequence[Upload]) -> list[str]:
    """Return the id_str of which only manifests tell: Zooniverse's number of them is not known, sorted."""
    numbered = {one.id_str: False for one in uploads}
    numbered |= {one.id_str: True for one in uploads if one.subject_id != NOTHING}
    return sorted(name for name, known in numbered.items() if not known)


def withdrawn(text: str, names: Collection[str], source: str) -> str:
    """Return the record without some id_str; raises as `read_uploads`."""
    return _csv_text([Upload._fields, *(one for one in read_uploads(text, source) if one.id_str not in names)])


def of_manifest(text: str, source: str, survey: str) -> list[Upload]:
    """Read a manifest that was uploaded.

    Raises
    ------
    SubjectsError
        It is no manifest of ours, or of another survey; names the row.
    """
    header, *rows = _csv_rows(text, source) or [[]]
    if missing := {"id_str", "#survey"} - set(header):
        raise SubjectsError(f"{source}: no column {min(missing)}: not a manifest of ours")
    uploads = []
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(header, row, strict=False))
        if len(row) != len(header) or not is_id_str(cells["id_str"]):
            raise SubjectsError(f"{source}: row {number} must have {len(header)} cells, and an id_str")
        if survey and cells["#survey"] != survey:
            raise SubjectsError(f"{source}: row {number} is of the survey {cells['#survey']!r}, not of {survey!r}")
        uploads.append(_upload(cells, NOTHING, source))
    return uploads


def survey_of(manifests: Mapping[str, str]) -> str:
    """Return the survey that manifests are of; empty where they have no rows."""
    rows = (row for text in manifests.values() for row in csv.DictReader(io.StringIO(text)))
    return next((str(row.get("#survey") or "") for row in rows), "")


def of_export(text: str, source: str, survey: str) -> tuple[list[Upload], Counter[str]]:
    """Read Zooniverse's export of subjects.

    Parameters
    ----------
    text
        CSV with the columns `subject_id` and `metadata` (JSON of the manifest's cells). A subject is listed once for
        each workflow and subject set that it is in.
    source
        Its name for messages.
    survey
        Only subjects of this survey; empty = of any.

    Returns
    -------
    list of Upload, Counter
        Each subject once; and how many rows were left out, by why.

    Raises
    ------
    SubjectsError
        It has not these columns.
    """
    header, *rows = _csv_rows(text, source) or [[]]
    if missing := {"subject_id", "metadata"} - set(header):
        raise SubjectsError(f"{source}: no column {min(missing)}: not an export of subjects")
    number, metadata = header.index("subject_id"), header.index("metadata")
    found: dict[Upload, None] = {}
    left: Counter[str] = Counter()
    for row in rows:
        cells = _metadata(row[metadata]) if len(row) == len(header) else None
        if cells is None or not row[number].isdigit():
            left["cannot be read"] += 1
        elif not is_id_str(cells.get("id_str", "")):
            left["not ours"] += 1
        elif survey and cells.get("#survey", survey) != survey:
            left["of another survey"] += 1
        else:
            found[_upload(cells, row[number], source)] = None
    return list(found), left


def compare(
    header: Sequence[str], rows: Sequence[Sequence[str]], uploads: Sequence[Upload], failing: Collection[str] = ()
) -> Difference:
    """Find what is new.

    Parameters
    ----------
    header, rows
        Of all manifests of the survey.
    uploads
        The record.
    failing
        id_str whose image fails its quality checks: such a galaxy is in no manifest, but keeps its name, so that a
        neighbour is none of its new ones.
    """
    column = {name: place for place, name in enumerate(header)}
    now = {row[column["id_str"]]: row for row in rows}
    recipes: dict[str, set[str]] = {}
    for one in uploads:
        recipes.setdefault(one.id_str, set()).add(one.recipe_hash)
    last = {one.id_str: one for one in uploads}
    unknown = {name: (row[column["#ra"]], row[column["#dec"]]) for name, row in now.items() if name not in last}
    lost = {name: (one.ra, one.dec) for name, one in last.items() if name not in now and name not in failing}
    renamed = _pairs(lost, unknown, _SAME_ARCSEC)
    fresh = {name: place for name, place in unknown.items() if name not in renamed.values()}
    apart = {name: place for name, place in lost.items() if name not in renamed}
    return Difference(
        rows=[list(now[name]) for name in fresh],
        recoloured=[n for n in now if n in recipes and not {now[n][column["#recipe_hash"]], NOTHING} & recipes[n]],
        renamed=sorted(renamed.items()),
        near=sorted(_pairs(apart, fresh, NEAR_ARCSEC).items()),
        gone=sorted(name for name in last if name not in now and name not in renamed),
    )


def new_manifests(
    texts: Mapping[str, str], uploads: Sequence[Upload], failing: Collection[str] = ()
) -> tuple[dict[str, str], Difference]:
    """Write manifests of what is new.

    Parameters
    ----------
    texts
        The survey's manifests by name, in order; the first is a full one where there are several.
    uploads
        The record; it must not be empty: without one, the survey's manifests themselves are what is new.
    failing
        As of `compare`.

    Returns
    -------
    dict, Difference
        Text by file name, `new-0001.csv` first, empty when nothing is new; and what else differs.

    Raises
    ------
    SubjectsError
        One is no manifest of ours, or they differ in their columns; names it.
    """
    read = [_manifest_rows(text, name) for name, text in texts.items()]
    if odd := [name for name, rows in zip(texts, read, strict=True) if rows[0] != read[0][0]]:
        raise SubjectsError(f"{odd[0]}: its columns are not those of {next(iter(texts))}")
    header = read[0][0] if read else list(_COMPARED)
    found = compare(header, [row for rows in read for row in rows[1:]], uploads, failing)
    return chunked("new", header, found.rows, max(len(read[0]) - 1, 1) if read else 1), found


# ---------------------------------------------------------------- parts


def _upload(cells: Mapping[str, str], subject_id: str, source: str) -> Upload:
    recipe, ra, dec = (cells.get(name, "") or NOTHING for name in ("#recipe_hash", "#ra", "#dec"))
    return Upload(cells["id_str"], recipe, ra, dec, subject_id, source)


def _metadata(text: str) -> dict[str, str] | None:
    try:
        cells = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {str(key): str(value) for key, value in cells.items()} if isinstance(cells, dict) else None


def _pairs(old: Mapping[str, _Place], new: Mapping[str, _Place], radius_arcsec: float) -> dict[str, str]:
    """Old and new names whose places are each other's nearest, within the radius."""
    (was, there), (now, here) = (_placed(places) for places in (old, new))
    if not (was and now):
        return {}
    apart, forth = cKDTree(here).query(there, distance_upper_bound=chord(radius_arcsec))
    _, back = cKDTree(there).query(here)
    found = [(one, int(two)) for one, two in enumerate(forth) if np.isfinite(apart[one]) and back[two] == one]
    return {was[one]: now[two] for one, two in found}


def _placed(places: Mapping[str, _Place]) -> tuple[list[str], NDArray[np.float64]]:
    """Names whose cells are numbers, and their unit vectors, (n, 3)."""
    degrees = {name: (_number(ra), _number(dec)) for name, (ra, dec) in places.items()}
    known = {name: place for name, place in degrees.items() if all(map(math.isfinite, place))}
    return list(known), unit_vectors(*np.array(list(known.values()), dtype=np.float64).reshape(-1, 2).T)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _manifest_rows(text: str, source: str) -> list[list[str]]:
    rows = _csv_rows(text, source) or [[]]
    if missing := set(_COMPARED) - set(rows[0]):
        raise SubjectsError(f"{source}: no column {min(missing)}: not a manifest of ours")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise SubjectsError(f"{source}: row {number} must have {len(rows[0])} cells")
    return rows


def _csv_rows(text: str, source: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise SubjectsError(f"{source}: it is no CSV: {error}") from None


def _csv_text(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
