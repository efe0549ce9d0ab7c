"""`python -m gzjwst_core zooniverse refit`: from Zooniverse's export of classifications to a line for the profile.

Here is only which files are opened and how it is said; reading is `votes`, arithmetic is `refit`.
"""

import argparse
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from pydantic import ValidationError

from gzjwst_core.cutouts.fov import RULES
from gzjwst_core.errors import SubjectsError
from gzjwst_core.options import CutoutOptions
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.run import FROZEN_PROFILE
from gzjwst_core.zooniverse.refit import Refit, SizeBin, Votes, refit
from gzjwst_core.zooniverse.refit_rule import card_of_cutout, of_one_rule
from gzjwst_core.zooniverse.votes import ANSWER, Reading, Subject, read_votes, subject_number

__all__ = ["FLOOR_CARD", "SIZE_CARD", "add_refit_verb", "bounded_lines"]

SIZE_CARD = "FOVSIZE"
"""Card of a cutout with what the field-of-view rule multiplied, arcsec."""
FLOOR_CARD = "FOVFLOOR"
"""Card of a cutout with the least field of view that shows the whole source, arcsec."""
_LONGEST_LINE = 1 << 20


def add_refit_verb(to: Any) -> None:
    """Add `refit` to the actions of `zooniverse`."""
    said = "refit cutouts.fov_factor from bad-zoom votes"
    parser: argparse.ArgumentParser = to.add_parser("refit", help=said, description=said)
    parser.add_argument("export", metavar="EXPORT.csv", help="Zooniverse's export of classifications")
    parser.add_argument("--run", default="", metavar="RUN_FOLDER", help="its profile, and sizes where votes have none")
    parser.add_argument(
        "--question", action="append", default=[], metavar="TASK", help="only answers to it, such as T3"
    )
    parser.add_argument("--answer", default=ANSWER, metavar="REGEX", help="a whole answer that says bad zoom")
    parser.add_argument("--workflow", default="", metavar="ID", help="only classifications of this workflow")
    said = "only subjects whose frames follow this rule, such as isophote; without it the commonest"
    parser.add_argument("--rule", default="", metavar="RULE", help=said)
    parser.set_defaults(verb=_refit)


def _refit(options: argparse.Namespace) -> Iterator[str]:
    folder = Folder(options.run) if options.run else None
    rule = CutoutOptions() if folder is None else _rule(folder)
    with _opened(Path(options.export)) as file:
        given = {"answer": options.answer, "tasks": options.question, "workflow": options.workflow}
        reading = read_votes(bounded_lines(file), options.export, **given)
    _of_one_workflow(reading, options.export, options.workflow)
    yield from _what_was_read(reading, options.export)
    subjects, said = of_one_rule(list(reading.subjects.values()), folder, options.rule, rule.fov_rule)
    yield from said
    votes, without = _votes(subjects, folder)
    if without:
        yield f"{without} subjects left out: no #fov_arcsec and #size_arcsec, nor a size in the cutouts of --run"
    if not len(votes.size_arcsec):
        raise SubjectsError(
            f"{options.export}: no subject has #fov_arcsec and #size_arcsec: name the run folder with --run",
            reason="no_sizes",
        )
    if RULES[rule.fov_rule].floor is None:
        votes = votes._replace(floor_arcsec=np.zeros_like(votes.floor_arcsec))
    elif unknown := np.count_nonzero(votes.floor_arcsec == 0):
        yield f"{unknown} subjects without #floor_arcsec: their frames are taken to follow the constant alone"
    yield from _told(refit(votes, rule), rule)


def _of_one_workflow(reading: Reading, source: str, asked: str) -> None:
    """Refuse to mix workflows: each asks its own questions, and a person has one vote a subject in each."""
    if reading.other_workflows and not reading.workflows:
        said = f"none of its {reading.other_workflows} classifications is of workflow {asked} (--workflow)"
        raise SubjectsError(f"{source}: {said}", reason="no_such_workflow")
    if len(reading.workflows) > 1:
        there = ", ".join(f"{name} ({count} classifications)" for name, count in reading.workflows.most_common(12))
        raise SubjectsError(
            f"{source}: several workflows, name one with --workflow: {there}", reason="several_workflows"
        )


def bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield lines, of a line beyond 1 MiB only its start: a file without line breaks does not fill the memory."""
    while line := file.readline(_LONGEST_LINE):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = file.readline(_LONGEST_LINE)
        yield line


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise storage_error(error, path) from error


def _rule(folder: Folder) -> CutoutOptions:
    """Read the run's rule; other sections of its frozen profile may be of another version."""
    try:
        section = tomllib.loads(folder.read(FROZEN_PROFILE).decode())["cutouts"]
        known = {name: value for name, value in section.items() if name in CutoutOptions.model_fields}
        return CutoutOptions.model_validate(known, strict=False)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, AttributeError, ValidationError) as error:
        raise SubjectsError(f"{folder.url}/{FROZEN_PROFILE}: its [cutouts] cannot be read: {error}") from None


# ---------------------------------------------------------------- subjects to arrays


def _votes(subjects: Sequence[Subject], folder: Folder | None) -> tuple[Votes, int]:
    """Put votes into arrays; and say how many subjects have no frame or size."""
    rows = [
        (fov, size, _number(one, "floor_arcsec", FLOOR_CARD, folder) or 0, one.classifications, one.bad_zoom)
        for one in subjects
        if (fov := subject_number(one, "fov_arcsec")) and (size := _number(one, "size_arcsec", SIZE_CARD, folder))
    ]
    return Votes(*np.array(rows, dtype=np.float64).reshape(-1, 5).T), len(subjects) - len(rows)


def _number(subject: Subject, name: str, card: str, folder: Folder | None) -> float | None:
    """Return a number above 0 of the subject's metadata, or else of its cutout."""
    told = subject_number(subject, name)
    return told if told is not None or folder is None else _number_of_cutout(subject, card, folder)


def _number_of_cutout(subject: Subject, card: str, folder: Folder) -> float | None:
    value = card_of_cutout(subject, card, folder)
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else None


# ---------------------------------------------------------------- how it is said


def _what_was_read(reading: Reading, source: str) -> Iterator[str]:
    people = sum(one.classifications for one in reading.subjects.values())
    bad = sum(one.bad_zoom for one in reading.subjects.values())
    yield f"{source}: {people} classifications of {len(reading.subjects)} subjects, {bad} bad-zoom votes"
    if reading.repeated:
        yield f"{reading.repeated} more by people who had judged the subject already: not counted"
    if reading.other_workflows:
        yield f"{reading.other_workflows} of other workflows: not counted"
    for why, count in sorted(reading.unreadable.items()):
        yield f"{count} rows cannot be read: {why}"
    yield from (f"  {named}" for named in reading.named)
    if people and not bad:
        often = ", ".join(repr(answer) for answer, _ in reading.answers.most_common(12))
        yield f"no answer is a bad-zoom vote (--answer, --question); there are: {often}"
    elif reading.near_misses:
        named = ", ".join(f"{answer!r} ({count})" for answer, count in reading.near_misses.most_common(12))
        yield f"not bad-zoom votes, though zoom is in them (--answer): {named}"


def _told(found: Refit, rule: CutoutOptions) -> Iterator[str]:
    low, high = found.ratio_range
    yield f"fewest bad-zoom votes in frames of {found.ratio:.2f} times the size (95 %: {low:.2f} to {high:.2f})"
    yield from map(_of_bin, found.by_size)
    if not found.with_size:
        yield "frame and size cannot be told apart in these votes: what goes with size alone may be in the answer"
    shares = f"{found.share_present:.2%} expected at {rule.fov_factor:g}, {found.share_best:.2%} at {found.factor:.2f}"
    yield f"bad-zoom votes: {found.share_seen:.2%} seen, {shares}"
    if found.floored_present or found.floored_best:
        part = f"{found.floored_present:.0%} of the frames at {rule.fov_factor:g}, {found.floored_best:.0%}"
        yield f"not the constant but the least that shows the whole galaxy decides {part} at {found.factor:.2f}"
    if found.factor < 0.98 * found.ratio:
        wider = "frames are rounded up to the next step" + (
            ", and some are no smaller than the galaxy" if found.floored_best else ""
        )
        yield f"{wider}: a constant of {found.factor:.2f} makes frames of {found.ratio:.2f} times the size on average"
    low, high = found.factor_range
    if low <= rule.fov_factor <= high:
        yield f"the present constant is within the 95 % interval, {low:.2f} to {high:.2f}: no need to change it"
    yield f"cutouts.fov_factor = {found.factor:.2f}  # 95 %: {low:.2f} to {high:.2f}"


def _of_bin(one: SizeBin) -> str:
    name = f"  sizes {one.low_arcsec:.2f} to {one.high_arcsec:.2f} arcsec ({one.subjects} subjects)"
    if one.ratio is None or one.ratio_range is None:
        return f"{name}: these votes alone do not tell"
    return f"{name}: {one.ratio:.2f} ({one.ratio_range[0]:.2f} to {one.ratio_range[1]:.2f})"
