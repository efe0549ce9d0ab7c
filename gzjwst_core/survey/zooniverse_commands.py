"""`python -m gzjwst_core zooniverse check|uploaded|new|refit`: what stands between a run folder and Zooniverse.

Here is only how it is said and which files are opened; what is refused is `manifest_check`, what is new `uploads`.
Uploading is panoptes-cli's work. Its exit code tells nothing: look at what `check` says before, and export afterwards.
"""

import argparse
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gzjwst_core.errors import ProfileError, SubjectsError
from gzjwst_core.paths import default_cache
from gzjwst_core.runs.run import writing_alone
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.refit_command import add_refit_verb
from gzjwst_core.survey.uploads_record import (
    UPLOADED,
    News,
    failing_images,
    news_of,
    record_uploads,
    recorded,
    refresh,
    survey_manifests,
    withdraw_uploads,
)
from gzjwst_core.zooniverse.manifest_check import MOST_IN_A_SET, Checked, Finding, Media, check_manifests
from gzjwst_core.zooniverse.uploads import Upload, of_export, of_manifest, survey_of, unconfirmed

__all__ = ["add_zooniverse_verbs", "look_on_disk"]

_SHOWN = 5
_ENDS = 32


def add_zooniverse_verbs(to: Any) -> None:
    """Add `zooniverse` and its actions to the parser's verbs."""
    actions = to.add_parser("zooniverse", help="manifests and votes").add_subparsers(required=True, metavar="ACTION")
    check = _add(actions, "check", "say what Zooniverse would refuse, and how to upload the rest", _check)
    check.add_argument("what", nargs="+", metavar="RUN_FOLDER_OR_MANIFEST")
    uploaded = _add(actions, "uploaded", "remember what was uploaded", _uploaded)
    uploaded.add_argument("folder", metavar="RUN_FOLDER")
    uploaded.add_argument("manifests", nargs="*", metavar="MANIFEST", help="manifests that went up whole")
    uploaded.add_argument("--export", default="", metavar="CSV", help="Zooniverse's export of subjects: the safest")
    said = "make what is on record but not in the export new again"
    uploaded.add_argument("--withdraw", action="store_true", help=said)
    new = _add(actions, "new", "write manifests of what is not uploaded yet", _new)
    new.add_argument("folder", metavar="RUN_FOLDER")
    add_refit_verb(actions)


def _add(to: Any, name: str, said: str, verb: Callable[[argparse.Namespace], Iterator[str]]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = to.add_parser(name, help=said, description=said)
    parser.set_defaults(verb=verb)
    return parser


# ---------------------------------------------------------------- check


def _check(options: argparse.Namespace) -> Iterator[str]:
    places = [_local(what) for what in options.what]
    paths = [path for place in places for path in _manifests_at(place)]
    if not paths:
        yield "nothing is new since the last upload"
        return
    folders = [Folder(str(_run_folder(place))) for place in places]
    failing = {name: why for folder in folders for name, why in failing_images(folder).items()}
    uploaded = {one.id_str for folder in folders for one in recorded(folder)}
    look = lru_cache(maxsize=4096)(look_on_disk)
    checked = check_manifests({str(path): _bytes(path) for path in paths}, look, failing, uploaded)
    yield from _told(checked.findings)
    files = f"{len(paths)} manifest{'s' * (len(paths) > 1)}"
    yield f"{sum(checked.subjects.values())} subjects in {files}: {_sum(checked)}"
    if checked.refused:
        raise SubjectsError("not to be uploaded like this", reason="refused")
    yield from _commands(checked.subjects)


def _local(what: str) -> Path:
    """Find a run folder or manifest on this machine: the client reads nothing else."""
    path = Folder(what).local() if "://" in what else Path(what)
    if path is None:
        raise SubjectsError(
            f"{what}: the client uploads local files: copy it to a local disk first", reason="not_local"
        )
    return path


def _run_folder(place: Path) -> Path:
    return place if place.is_dir() else place.absolute().parent.parent


def _manifests_at(place: Path) -> list[Path]:
    """Return what is to be uploaded of a run folder: what is new, where something was uploaded; or the one manifest."""
    if not place.is_dir():
        return [place]
    manifests = {path.name: _text(path) for path in sorted((place / "zooniverse").glob("manifest-*.csv"))}
    news = news_of(Folder(str(place)), manifests)
    if news is None and not manifests:
        raise SubjectsError(
            f"{place}/zooniverse: there are no manifests: nothing was handed over yet, or no galaxy is selected",
            reason="not_published",
        )
    texts = manifests if news is None else news[0]
    paths = {place / "zooniverse" / name: text for name, text in texts.items()}
    if stale := [path for path, text in paths.items() if news and not (path.is_file() and _text(path) == text)]:
        said = f"{stale[0]} does not hold what is new now: write it anew with zooniverse new {place}"
        raise SubjectsError(said, reason="stale_manifest")
    return list(paths)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error


def look_on_disk(manifest: str, cell: str) -> Media | None:
    """Find what a cell of a manifest names on this machine."""
    path = Path(manifest).parent / cell  # as panoptes-cli joins them
    try:
        if not path.exists():
            return None
        if not path.is_file():
            return Media(0, b"", b"", is_file=False)
        with path.open("rb") as file:
            head, size = file.read(_ENDS), path.stat().st_size
            file.seek(max(size - _ENDS, 0))
            return Media(size, head, file.read(_ENDS))
    except (OSError, ValueError):  # too long for a name, not readable, a NUL: nothing that can be uploaded
        return None


def _told(findings: Sequence[Finding]) -> Iterator[str]:
    """Tell each fault; of many of one kind in a file the first few, and how many more there are."""
    seen: Counter[tuple[str, str]] = Counter()
    for one in findings:
        seen[one.file, one.kind] += 1
        if seen[one.file, one.kind] <= _SHOWN:
            row = f" row {one.row}:" if one.row else ""
            column = f" column {one.column}:" if one.column else ""
            yield f"{'refused' if one.refused else 'warning'}: {one.file}:{row}{column} {one.said}"
    for (file, kind), count in seen.items():
        if count > _SHOWN:
            yield f"... {file}: {count - _SHOWN} more of this kind ({kind})"


def _sum(checked: Checked) -> str:
    warnings = len(checked.findings) - checked.refused
    return f"{checked.refused or 'nothing'} refused, {warnings or 'no'} warnings"


def _commands(subjects: Mapping[str, int]) -> Iterator[str]:
    """Say what to type, a command for each 10,000 subjects: what one account may have in its sets."""
    sets: list[list[str]] = [[]]
    size = 0
    for name, rows in subjects.items():
        if sets[-1] and size + rows > MOST_IN_A_SET:
            sets.append([])
            size = 0
        sets[-1].append(name)
        size += rows
    for names in sets:
        yield f"panoptes subject-set upload-subjects --file-column 1 SUBJECT_SET_ID {shlex.join(names)}"


# ---------------------------------------------------------------- uploaded and new


def _uploaded(options: argparse.Namespace) -> Iterator[str]:
    if bool(options.manifests) == bool(options.export):
        raise ProfileError("zooniverse uploaded: name the manifests that were uploaded, or --export")
    if options.withdraw and not options.export:
        raise ProfileError("zooniverse uploaded: --withdraw needs --export, which tells what is really there")
    folder = Folder(options.folder)
    with writing_alone(folder, default_cache()):
        survey = survey_of(survey_manifests(folder))
        uploads, said = _exported(options.export, survey) if options.export else _listed(options.manifests, survey)
        yield from said
        yield from _recorded(folder, uploads)
        if options.export:
            yield from _never_arrived(folder, withdraw=options.withdraw)
        yield from _news(folder, refresh(folder))


def _recorded(folder: Folder, uploads: Sequence[Upload]) -> Iterator[str]:
    before = {(one.id_str, one.recipe_hash) for one in recorded(folder)}
    fresh = record_uploads(folder, uploads)
    numbered = sum((one.id_str, one.recipe_hash) in before for one in fresh)
    known = len(uploads) - len(fresh)
    yield f"{len(fresh) - numbered} subjects recorded in {folder.url}/{UPLOADED}, {known} were known"
    if numbered:
        yield f"{numbered} that were on record have their number now"


def _never_arrived(folder: Folder, *, withdraw: bool) -> Iterator[str]:
    """Tell which subjects of uploaded manifests no export has confirmed: an upload may have broken off."""
    names = unconfirmed(recorded(folder))
    if not names:
        return
    if withdraw:
        withdraw_uploads(folder, names)
        yield f"{len(names)} subjects that the export has not are out of the record: {_some(names)}"
    else:
        said = "subjects are on record from manifests, but the export has them not"
        what_then = "where it was made after the upload, they never arrived: --withdraw makes them new again"
        yield f"{len(names)} {said}: {_some(names)}; {what_then}"


def _new(options: argparse.Namespace) -> Iterator[str]:
    folder = Folder(options.folder)
    with writing_alone(folder, default_cache()):
        yield from _news(folder, refresh(folder))


def _listed(manifests: Sequence[str], survey: str) -> tuple[list[Upload], list[str]]:
    read = [of_manifest(_text(Path(path)), Path(path).name, survey) for path in manifests]
    return [one for uploads in read for one in uploads], []


def _exported(export: str, survey: str) -> tuple[list[Upload], list[str]]:
    uploads, left = of_export(_text(Path(export)), Path(export).name, survey)
    return uploads, [f"{count} rows of {export} left out: {why}" for why, count in sorted(left.items())]


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8-sig", errors="replace")


def _news(folder: Folder, news: News | None) -> Iterator[str]:
    if news is None:
        yield f"{folder.url}: no upload is on record, so every manifest is new"
        return
    texts, found = news
    if found.recoloured:
        said = "subjects were coloured anew since, and count as uploaded"
        yield f"{len(found.recoloured)} {said}: {_some(found.recoloured)}"
    if found.renamed:
        names = _some([f"{old} is {new}" for old, new in found.renamed])
        yield f"{len(found.renamed)} subjects have another name now (--ids-from keeps names): {names}"
    if found.near:
        names = _some([f"{new} ({old})" for old, new in found.near])
        said = "new subjects are within 1 arcsec of an uploaded one that is gone: perhaps parts of it, or the same"
        yield f"{len(found.near)} {said}: {names}"
    if found.gone:
        yield f"{len(found.gone)} uploaded subjects are in no manifest any more: {_some(found.gone)}"
    yield from (f"{folder.url}/zooniverse/{name}" for name in texts)
    yield f"{len(found.rows)} new, in {len(texts)} manifest{'s' * (len(texts) > 1)}" if texts else "nothing is new"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
