"""Votes out of Zooniverse's export of classifications: how many people saw each subject, how many said `bad zoom`.

The export is read line by line, since it may have GBs; each line is one classification (JSON holds no line break), so
that a damaged one costs itself alone. What cannot be read is counted and named, never guessed.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gzjwst_core.errors import SubjectsError
from gzjwst_core.zooniverse.manifests import NOTHING, text_of_cell

__all__ = ["ANSWER", "Reading", "Subject", "read_votes", "subject_number", "subject_text"]

ANSWER = r"((bad|wrong) )?(image )?zoom( level)?"
"""A whole answer, in lower case and with blanks for all else: not the question before it ("star, artifact or zoom")."""
_NEEDED = ("classification_id", "user_name", "workflow_id", "annotations", "subject_data", "subject_ids")
_NAMED = 5
_KEPT = 500
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^>]*>")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass
class Subject:
    """One subject and its votes."""

    subject_id: str
    metadata: Mapping[str, Any]
    """Cells of its manifest, by their names there."""
    classifications: int = 0
    bad_zoom: int = 0
    voters: set[int] = field(default_factory=set)


@dataclass
class Reading:
    """What an export says."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    """By Zooniverse's number."""
    rows: int = 0
    repeated: int = 0
    """Votes of a person for a subject that had one of theirs already."""
    workflows: Counter[str] = field(default_factory=Counter)
    """Classifications by workflow, of those that were asked for."""
    other_workflows: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be read, by why."""
    named: list[str] = field(default_factory=list)
    """The first few of them, by line."""
    near_misses: Counter[str] = field(default_factory=Counter)
    """Answers with `zoom` in them, of classifications where none is a bad-zoom vote; at most some hundred."""
    answers: Counter[str] = field(default_factory=Counter)
    """Every answer that was given, to tell what there is where none matches; at most some hundred."""


def read_votes(
    lines: Iterable[str], source: str, *, answer: str = ANSWER, tasks: Iterable[str] = (), workflow: str = ""
) -> Reading:
    """Count votes.

    Parameters
    ----------
    lines
        Lines of the export, the header first.
    source
        Its name for messages.
    answer
        Regular expression that a whole answer must match to be a bad-zoom vote.
    tasks
        Only answers to these tasks (`T3`); empty = to any.
    workflow
        Only classifications of this workflow; empty = of all: to be believed only where `workflows` has just one, since
        what a person said of a subject in the second counts as said again.

    Returns
    -------
    Reading
        Of several votes of one person for one subject the first counts.

    Raises
    ------
    SubjectsError
        It is no export of classifications, or `answer` is no regular expression.
    """
    given = enumerate(lines, start=1)
    columns, width = _columns(next(given, (1, ""))[1], source)
    reader = _Reader(columns, width, _pattern(answer), frozenset(tasks), workflow)
    for number, line in given:
        if line.strip():
            reader.take(number, line)
    return reader.reading


def subject_number(subject: Subject, name: str) -> float | None:
    """Return a number of the subject's metadata, whatever hides its column; None where there is none above 0."""
    for key in (f"#{name}", f"!{name}", name):
        try:
            value = float(subject.metadata.get(key, "nan"))
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < value < float("inf"):
            return value
    return None


def subject_text(subject: Subject, name: str) -> str:
    """Return a text of the subject's metadata, whatever hides its column; empty where there is none."""
    told = (text_of_cell(str(subject.metadata.get(key) or "").strip()) for key in (f"#{name}", f"!{name}", name))
    return next((text for text in told if text not in ("", NOTHING)), "")


def _columns(line: str, source: str) -> tuple[dict[str, int], int]:
    """Places of the columns that are read, and how many there are."""
    try:
        header = next(csv.reader([line.lstrip("\ufeff")]), [])
    except csv.Error:
        header = []
    if missing := [name for name in _NEEDED if name not in header]:
        raise SubjectsError(f"{source}: no column {missing[0]}: not an export of classifications")
    return {name: header.index(name) for name in (*_NEEDED, "user_ip") if name in header}, len(header)


def _pattern(answer: str) -> re.Pattern[str]:
    try:
        return re.compile(answer)
    except re.error as error:
        raise SubjectsError(f"--answer {answer}: not a regular expression: {error}") from None


class _UnreadableError(Exception):
    """Why a row cannot be read; never leaves this module."""


@dataclass
class _Reader:
    columns: Mapping[str, int]
    width: int
    answer: re.Pattern[str]
    tasks: frozenset[str]
    workflow: str
    reading: Reading = field(default_factory=Reading)

    def take(self, number: int, line: str) -> None:
        """Count one line."""
        self.reading.rows += 1
        try:
            row = _cells(line, self.width)
            self._vote({name: row[place] for name, place in self.columns.items()})
        except _UnreadableError as error:
            self.reading.unreadable[str(error)] += 1
            if len(self.reading.named) < _NAMED:
                self.reading.named.append(f"line {number}: {error}")

    def _vote(self, cells: Mapping[str, str]) -> None:
        if self.workflow and cells["workflow_id"] != self.workflow:
            self.reading.other_workflows += 1
            return
        answers = [_plain(text) for text in _answers(_json(cells, "annotations", list), self.tasks)]
        subject = self._subject(cells)
        self.reading.workflows[cells["workflow_id"]] += 1
        voter = hash(cells["user_name"] or cells.get("user_ip") or cells["classification_id"])
        if voter in subject.voters:
            self.reading.repeated += 1
            return
        subject.voters.add(voter)
        subject.classifications += 1
        if any(self.answer.fullmatch(text) for text in answers):
            subject.bad_zoom += 1
        elif len(self.reading.near_misses) < _KEPT:
            self.reading.near_misses.update({text for text in answers if "zoom" in text})
        if len(self.reading.answers) < _KEPT:
            self.reading.answers.update(answers)

    def _subject(self, cells: Mapping[str, str]) -> Subject:
        name = cells["subject_ids"].strip()
        known = self.reading.subjects.get(name)
        if known is not None:
            return known
        if not name.isdigit():
            raise _UnreadableError("not one subject")
        metadata = _json(cells, "subject_data", dict).get(name)
        if not isinstance(metadata, dict):
            raise _UnreadableError("no metadata of its subject")
        return self.reading.subjects.setdefault(name, Subject(name, metadata))


def _cells(line: str, width: int) -> list[str]:
    try:
        row = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise _UnreadableError(str(error)) from None
    if len(row) != width:
        raise _UnreadableError("another number of cells than the header")
    return row


def _json(cells: Mapping[str, str], column: str, kind: type) -> Any:
    try:
        value = json.loads(cells[column])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise _UnreadableError(f"{column} is no JSON {kind.__name__}")
    return value


def _answers(value: Any, tasks: frozenset[str]) -> Iterator[str]:
    """Walk through annotations: tasks within tasks, several answers to one, menus."""
    waiting = [(value, not tasks)]
    while waiting:
        one, wanted = waiting.pop()
        if isinstance(one, list):
            waiting += [(part, wanted) for part in one]
        elif isinstance(one, dict):
            inside = wanted or str(one.get("task")) in tasks
            waiting += [(one[key], inside) for key in ("value", "label") if key in one]
        elif wanted and isinstance(one, str | int) and not isinstance(one, bool):
            yield str(one)


def _plain(answer: str) -> str:
    """Lower case, without pictures and addresses, and with one blank for all that is no letter or digit."""
    text = _LINK.sub(r" \1 ", _PICTURE.sub(" ", answer[:1000]))
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
