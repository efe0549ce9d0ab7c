"""`python -m gzjwst_core verify RUN`: is every file of a run folder as it was made, and what to do where one is not.

What lies on receipts is compared by `storage/examine`; here are the few files that none names, what is said, and
`--mend`: what is damaged is taken away and its unit stands no longer, so that the flow, asked as it was before, makes
just that anew.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gzjwst_core.errors import CatalogError, ProfileError, StorageError, SubjectsError
from gzjwst_core.paths import default_cache
from gzjwst_core.runs.close import DAMAGED_RUNS, RUNS
from gzjwst_core.runs.examine import Examined, Finding, examine
from gzjwst_core.runs.products import DAMAGED
from gzjwst_core.runs.receipts import read_receipt, supersede
from gzjwst_core.runs.run import writing_alone
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, put_back
from gzjwst_core.storage.seal import is_whole
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.profile import read_frozen
from gzjwst_core.survey.publish import REPORT, SIDES
from gzjwst_core.survey.query import MOSAICS, PRODUCTS
from gzjwst_core.survey.request import SurveyRequest
from gzjwst_core.survey.run import FROZEN_PROFILE
from gzjwst_core.survey.uploads_record import UPLOADED
from gzjwst_core.zooniverse.uploads import read_uploads

__all__ = ["add_verify_verb", "mend", "verify"]

_SHOWN = 5
_SCRIPT = Path(__file__).resolve().parents[2] / "flows" / "run_survey.py"
"""In a checkout; the wheel has no flows."""
_PLAIN = ("until", "cache", "cache_gb", "limit", "catalog", "ids_from", "workers")
_LISTS = ("bands", "fields")


def add_verify_verb(to: Any) -> None:
    """Add `verify` to the parser's verbs."""
    said = "say whether every file of a run folder is as it was made"
    parser = to.add_parser("verify", help=said, description=said)
    parser.add_argument("folder", metavar="RUN_FOLDER", help="path or fsspec URL")
    parser.add_argument(
        "--sample", type=_sample, default=0.0, metavar="N", help="read only N files, or a share (0.05, 5%%), by chance"
    )
    parser.add_argument("--seed", type=int, default=1, help="of that choice (default: 1)")
    parser.add_argument("--mend", action="store_true", help="make anew what is damaged or missing, and nothing else")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(verb=_verify)


def _sample(text: str) -> float:
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = 0.0
    if not (0 < number < 1 or (1 <= number < float("inf") and number == int(number))):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of files, or a share between 0 and 1")
    return number


def _verify(options: argparse.Namespace) -> Iterator[str]:
    folder, begun = Folder(_url(options.folder)), time.monotonic()
    if not folder.names("receipts"):
        raise ProfileError(f"{options.folder}: no run folder (it has no receipts)")
    found = verify(folder, options.sample, options.seed)
    seconds = time.monotonic() - begun
    if options.json:
        facts: dict[str, Any] = {"folder": folder.url, "sample": options.sample, "seed": options.seed}
        facts["seconds"] = round(seconds, 3)
        yield json.dumps(facts | found.model_dump(mode="json"), indent=1)
    else:
        yield from map(_line, found.findings)
        copy = f"{KEPT}{UPLOADED}"
        if folder.exists(UPLOADED) and folder.exists(copy) and folder.read(UPLOADED) != folder.read(copy):
            yield f"{UPLOADED}: is not what was recorded last ({copy}): right if you have changed it"
        yield from _told(found, options.sample, options.seed, seconds)
    if not found.findings:
        return
    if not options.mend:
        raise StorageError(f"{_n(found.findings)} not as made: --mend makes them anew", reason=DAMAGED)
    command = mend(folder, found.findings)
    left = [finding for finding in found.findings if not _is_back(folder, finding)]
    if command and _SCRIPT.is_file() and not all(map(_is_irreplaceable, left)):
        sys.stderr.write(f"{shlex.join(command)}\n")
        subprocess.run([sys.executable, *command], check=False, stdout=2)  # noqa: S603 - our own script
        left = [finding for finding in found.findings if not _is_back(folder, finding)]
    if left:
        again = f"run {shlex.join(command)}" if command else "run the survey again"
        if any(map(_is_irreplaceable, left)):
            again = f"put a good copy in the place of what is also in {KEPT}, then {again}"
        names = ", ".join(finding.path for finding in left[:_SHOWN])
        raise StorageError(f"{_n(left)} still to be made anew ({names}): {again}", reason=DAMAGED)
    if not options.json:
        yield f"{_n(found.findings)} as made again"


def verify(folder: Folder, sample: float = 0, seed: int = 1) -> Examined:
    """Compare a run folder with its receipts, and look at the files that no receipt names.

    Parameters
    ----------
    folder, sample, seed
        As of `examine`.

    Returns
    -------
    Examined
        `others` without those that were looked at: unclaimed files.
    """
    found = examine(folder, sample, seed)
    known = [path for path in found.others if path in _CHECKS]
    findings = [Finding(path=path, what="differs") for path in known if not _reads_well(folder, path)]
    others = tuple(path for path in found.others if path not in known and not path.startswith(KEPT))
    return found.replace(findings=(*found.findings, *findings), others=others)


def mend(folder: Folder, findings: Iterable[Finding]) -> list[str]:
    """Take away what is damaged, so that its units stand no longer; what has a copy is put back.

    Returns
    -------
    list of str
        Script and arguments that make the rest anew: those of an earlier run; empty where run.json tells of none.

    Raises
    ------
    StorageError
        A run is writing there (reason `busy`).
    """
    command = _command(folder)
    with writing_alone(folder, default_cache()):
        for finding in findings:
            if finding.what == "superseded":
                continue
            if finding.path == RUNS:
                folder.write(DAMAGED_RUNS, folder.read(RUNS))
            copy = _copy(folder, finding)
            if copy is not None:
                put_back(folder, finding.path, copy)
            if copy is not None or _is_irreplaceable(finding):
                continue
            folder.remove(finding.path)
            if not finding.is_receipt and finding.stage:
                supersede(folder, finding.stage, lambda unit, old=finding.unit: unit == old)  # type: ignore[misc]
    return command


def _is_irreplaceable(finding: Finding) -> bool:
    return finding.path.removeprefix(KEPT) in _IRREPLACEABLE


def _copy(folder: Folder, finding: Finding) -> bytes | None:
    """Return the other copy of a file that is there twice, where that one is as it was made."""
    other = finding.path.removeprefix(KEPT) if finding.path.startswith(KEPT) else f"{KEPT}{finding.path}"
    if finding.is_receipt or not folder.exists(other):
        return None
    if finding.digest:
        return folder.read(other) if folder.output(other).digest == finding.digest else None
    return folder.read(other) if finding.path in _CHECKS and _reads_well(folder, finding.path, other) else None


def _is_back(folder: Folder, finding: Finding) -> bool:
    """Whether a file is as it was made; a receipt, or a file that no receipt names, whether it can be read.

    What run.json told is nowhere else: once it is set aside, the next run begins a new one.
    """
    if finding.path == RUNS and not folder.exists(RUNS):
        return True
    if finding.is_receipt:
        receipt = read_receipt(folder, finding.path)
        if finding.what == "superseded":  # another may have taken its place
            return receipt is None or receipt.outcome.kind == "done"
        return receipt is not None
    if not finding.digest:
        return folder.exists(finding.path) and _reads_well(folder, finding.path)
    return folder.exists(finding.path) and folder.output(finding.path).digest == finding.digest


# ---------------------------------------------------------------- files that no receipt names


def _sealed(folder: Folder, path: str) -> bool:
    data = folder.read(path)
    whole = is_whole(data)
    if path == RUNS:
        json.loads(data)
    return whole is not False


def _frozen(folder: Folder, path: str) -> bool:
    read_frozen(folder.read(path), path)
    return True


def _table(folder: Folder, path: str) -> bool:
    with folder.reading(path) as local:
        read_parquet(local)
    return True


def _uploads(folder: Folder, path: str) -> bool:
    read_uploads(folder.read(path).decode(), path)
    return True


_CHECKS = {
    RUNS: _sealed,
    REPORT: _sealed,
    FROZEN_PROFILE: _frozen,
    PRODUCTS: _table,
    MOSAICS: _table,
    UPLOADED: _uploads,
}
"""Files that no unit of work makes: in a folder of an earlier version none of them is on a receipt."""


_IRREPLACEABLE = (FROZEN_PROFILE, SIDES, UPLOADED)
"""Files that are there twice, and that no run would make again as they were: they are never removed."""


def _reads_well(folder: Folder, path: str, where: str = "") -> bool:
    """Whether a file can be read as what it is; `where` is another file that shall be the same."""
    try:
        return _CHECKS[path](folder, where or path)
    except (ValueError, CatalogError, ProfileError, SubjectsError):
        return False


# ---------------------------------------------------------------- the run that makes it anew


def _command(folder: Folder) -> list[str]:
    """Return how the folder's newest whole run was asked for, or else its newest."""
    requests = list(_requests(folder))
    whole = [one for one in requests if one.until == "publish" and not one.fields and one.limit is None]
    newest = next(iter([*whole[::-1], *requests[::-1]]), None)
    if newest is None:
        return []
    standard, given = SurveyRequest(), []
    for name in _PLAIN:
        if getattr(newest, name) != getattr(standard, name):
            given += [_option(name), str(getattr(newest, name))]
    for name in _LISTS:
        if getattr(newest, name):
            given += [_option(name), ",".join(getattr(newest, name))]
    given += ["--offline"] if newest.offline else []
    given += [part for override in newest.overrides for part in ("--set", override)]
    return [str(_SCRIPT), newest.profile, "--out", folder.url.rstrip("/").rpartition("/")[0], *given]


def _requests(folder: Folder) -> Iterator[SurveyRequest]:
    try:
        runs = json.loads(folder.read(RUNS))["runs"] if folder.exists(RUNS) else []
    except (ValueError, KeyError, TypeError):
        return
    for run in runs:
        try:
            asked = run["asked"].items()  # options of other versions, such as fields_in_flight, change no product
            yield SurveyRequest.model_validate(
                {name: value for name, value in asked if name in SurveyRequest.model_fields}
            )
        except (ValidationError, KeyError, TypeError, AttributeError):  # another version's
            continue


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# ---------------------------------------------------------------- what is said


def _url(given: str) -> str:
    return given.rstrip("/") if "://" in given else str(Path(given).expanduser().absolute())


def _line(finding: Finding) -> str:
    if finding.what == "superseded":
        said = "stands no longer, and is not made anew yet"
    elif finding.is_receipt:
        said = "is no receipt that can be read"
    elif not finding.stage:
        said = "cannot be read, or is not what was sealed"
    else:
        said = "is missing" if finding.what == "missing" else "differs from its receipt"
    who = f" (stage {finding.stage}, {finding.unit})" if finding.stage else ""
    return f"{finding.path}: {said}{who}"


def _told(found: Examined, sample: float, seed: int, seconds: float) -> Iterator[str]:
    if found.others:
        more = " ..." if len(found.others) > _SHOWN else ""
        yield f"{_n(found.others)} on no receipt: {', '.join(found.others[:_SHOWN])}{more}"
    part = f", a sample with seed {seed}" if sample else ""
    checked = f"{found.checked} of {found.files} files read ({found.checked_bytes / 1e6:.1f} MB{part})"
    yield f"{checked} in {seconds:.1f} s: {len(found.findings)} not as made"


def _n(files: Iterable[object]) -> str:
    count = len(list(files))
    return f"{count} file{'s' * (count != 1)}"
