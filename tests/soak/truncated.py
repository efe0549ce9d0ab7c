"""Damage every file that a run reads back, and run again: `python tests/soak/truncated.py [--every]`.

A finished run folder of the small survey, with uploads on record, is damaged one file at a time: emptied, cut in half,
or overwritten with another length of garbage (`--every`: each file in all three ways, else in turns). The next run must
end done with the bytes of the undamaged folder, or name the copy of a file that people may edit. Then the file and its
copy in `kept/`, where it has one, are damaged together: the run must say in one line what to do. Prints one table;
exits with 1 if a folder did not heal.
"""

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.cli import main as verb  # noqa: E402
from gzjwst_core.sky.build import build_sky  # noqa: E402
from gzjwst_core.sky.serving import serving  # noqa: E402
from gzjwst_core.storage.kept import KEPT  # noqa: E402
from gzjwst_core.survey.profile import load_profile  # noqa: E402
from gzjwst_core.survey.request import SurveyRequest  # noqa: E402
from gzjwst_core.survey.uploads_record import UPLOADED  # noqa: E402
from tests.flows.survey import SMALL, tree  # noqa: E402
from tests.soak.plain_run import plain_run  # noqa: E402

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "garbage": lambda data: b"\x93\x00garbage\xff" * (len(data) // 20 + 1),
}
ALONE = ("profile.toml", "run.json", "report.html", "products.parquet", "mosaics.parquet")
ONE_OF = (
    "segmaps",
    "depth",
    "catalog/fields",
    "catalog/regions",
    "cutouts",
    "controls",
    "images/jw09801-o001_t001",
    "strips",
)


def read_back(folder: Path) -> Iterator[str]:
    """Paths of the files to damage: every table and list, and one of each kind that there are many of."""
    yield from ALONE
    for part in ("catalog/*.*", "images/*.parquet", "zoobot/*.parquet", "zooniverse/*.csv", f"{KEPT}**/*.*"):
        yield from sorted(str(path.relative_to(folder)) for path in folder.glob(part) if path.is_file())
    for part in (*ONE_OF, "zoobot/F444W", *sorted(f"receipts/{path.name}" for path in (folder / "receipts").iterdir())):
        yield str(min(path for path in (folder / part).rglob("*") if path.is_file()).relative_to(folder))


def ended_after(damaged: dict[str, bytes], ready: Path, request: SurveyRequest) -> tuple[int, str, dict[str, str]]:
    """Run in a copy of the folder with some files' bytes replaced: exit code, what was said, the tree."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(ready, Path(scratch) / "small"))
        for name, data in damaged.items():
            (folder / name).write_bytes(data)
        code, said = plain_run(request.model_copy(update={"out": scratch}))
        now = tree(folder)
        now.pop("run-damaged.json", None)
        return code, said, now


def rows(ready: Path, request: SurveyRequest, *, every: bool) -> Iterator[tuple[bool, str]]:
    """Damage and run; whether each ended as it must, and the table's row."""
    whole, turns = tree(ready), itertools.cycle(DAMAGES)
    for name in read_back(ready):
        data = (ready / name).read_bytes()
        for damage in DAMAGES if every else [next(turns)]:
            code, said, now = ended_after({name: DAMAGES[damage](data)}, ready, request)
            is_healed = code == 0 and now == whole
            is_told = name == UPLOADED and damage == "garbage" and f"its copy is {KEPT}{name}" in said
            yield is_healed or is_told, f"| {name} | {damage} | {'healed' if is_healed else f'exit {code}: {said}'} |"
        if name.startswith(KEPT):
            own = name.removeprefix(KEPT)
            code, said, _ = ended_after(dict.fromkeys((name, own), b"\xff"), ready, request)
            is_said = code in {1, 2} and "put a good copy in its place" in said and "\n" not in said
            yield is_said, f"| {own} and {name} | garbage | exit {code}: {said} |"


def main() -> int:
    """Make a folder, damage it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        profile = root / "small.toml"
        profile.write_text(SMALL)
        sky = load_profile(profile).sky
        if sky is None:
            raise SystemExit("the small survey has no sky")
        with serving(build_sky(sky, root / "sky").folder, root / "serving") as environment:
            os.environ.update(environment)
            request = SurveyRequest(profile=str(profile), out=str(root / "run"), cache=str(root / "cache"))
            plain_run(request)
            ready = root / "run" / "small"
            verb(["zooniverse", "uploaded", str(ready), str(ready / "zooniverse" / "manifest-0001.csv")])
            plain_run(request)
            bad = 0
            print("| file | damage | the next run |\n|---|---|---|")
            for is_right, row in rows(ready, request, every=options.every):
                print(row, flush=True)
                bad += not is_right
    print(f"{bad} did not end as they must")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
