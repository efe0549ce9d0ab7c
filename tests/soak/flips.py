"""Flip a byte in every kind of file of a run, and look for it: `python tests/soak/flips.py [--each] [--seed S]`.

One table: kind of file, whether `verify` names just that file, and whether `verify --mend` brings the same bytes back:
products, then second copies, then receipts at once, or with `--each` also one after the other. Then the same for a
plain run, which finds damage in what it reads; the time that `verify` takes, and the share of a run's CPU time that its
checks take. Exits with 1 if a flip was not found, or a tree differed.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.sky.build import build_sky  # noqa: E402
from gzjwst_core.sky.serving import serving  # noqa: E402
from gzjwst_core.storage.folder import Folder  # noqa: E402
from gzjwst_core.survey.profile import load_profile  # noqa: E402
from gzjwst_core.survey.verify import verify  # noqa: E402
from tests.flows.survey import SMALL, World, tree  # noqa: E402

PROFILE = SMALL.replace("sources = 0", "sources = 20")
_MEMBER = re.compile(r"(?<=/)(jw09801-o001_t001|south|small_J[^/]*|survey)[^/]*?(?=/|(\.\w+)?$)")
_READ = ("catalog/catalog.parquet", "catalog/mosaics.parquet", "mosaics.parquet", "profile.toml", "products.parquet")
"""What every run reads, whatever stands."""
_MEASURED = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
sys.argv = ["run_survey.py", *{arguments!r}]
from flows.run_survey import main, run_survey
from gzjwst_core.mosaics import blocks
from gzjwst_core.storage import made
spent = dict.fromkeys(("outputs", "planes"), 0.0)

def timed(what, function):
    def call(*given, **named):
        begun = time.thread_time()
        try:
            return function(*given, **named)
        finally:
            spent[what] += time.thread_time() - begun
    return call

made.claims, made._is, made._sha256 = (timed("outputs", one) for one in (made.claims, made._is, made._sha256))
blocks.Blocks.check = timed("planes", blocks.Blocks.check)
begun = time.process_time()
code = main(run_survey)
Path({told!r}).write_text(json.dumps({{**spent, "run": time.process_time() - begun}}))
sys.exit(code)
"""


def kinds(folder: Path, chance: random.Random) -> dict[str, str]:
    """One file of every kind, by kind."""
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    of: dict[str, list[str]] = {}
    for name in names:
        of.setdefault(_MEMBER.sub("*", name), []).append(name)
    return {kind: chance.choice(members) for kind, members in of.items()}


def flip(path: Path, chance: random.Random) -> None:
    """Change one byte, and nothing of its size."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    path.write_bytes(data)


def found(folder: Path) -> list[str]:
    """What `verify` names."""
    return [finding.path for finding in verify(Folder(str(folder))).findings]


def mended(world: World, folder: Path) -> str:
    """Mend a folder in a process of its own; what it said last, empty if it said that all is well."""
    command = [sys.executable, "-m", "gzjwst_core", "verify", str(folder), "--mend"]
    done = subprocess.run(command, env=world.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:]


def compare(whole: dict[str, str], folder: Path) -> list[str]:
    """Files that are not as in the unbroken tree."""
    now = tree(folder)
    return sorted(name for name in whole | now if whole.get(name) != now.get(name) and name != "run-damaged.json")


def shares(world: World, profile: Path, out: Path) -> dict[str, float]:
    """CPU seconds of a whole run in one process, and of the checks in it."""
    out.mkdir()
    told = out / "told.json"
    given = [str(profile), "--out", str(out), "--workers", "1", "--fields-in-flight", "1", "--quiet"]
    code = _MEASURED.format(root=str(ROOT), arguments=given, told=str(told))
    subprocess.run([sys.executable, "-c", code], env=world.environment, cwd=out, check=True)
    spent: dict[str, float] = json.loads(told.read_text())
    return spent


def play(world: World, profile: Path, root: Path, options: argparse.Namespace) -> Iterable[str]:
    """Yield what went wrong."""
    (root / "whole").mkdir()
    ended = world.run(str(profile), out=root / "whole", survey="small", seconds=900)
    if ended.code != 0:
        raise SystemExit(ended.said)
    whole, chance = tree(ended.folder), random.Random(options.seed)
    begun = time.monotonic()
    seen = verify(Folder(str(ended.folder)))
    print(f"verify: {seen.checked} files, {seen.checked_bytes / 1e6:.1f} MB in {time.monotonic() - begun:.2f} s")
    every = kinds(ended.folder, chance)
    copy = root / "all" / "small"
    shutil.copytree(ended.folder, copy)
    named = 0
    for kind, name in every.items():
        before = (copy / name).read_bytes()
        flip(copy / name, chance)
        right = found(copy) == [name]
        named += right
        print(f"  {kind:48} {'found' if right else 'NOT FOUND'}", flush=True)
        if options.each:
            yield from (f"{kind}: {one}" for one in (mended(world, copy), *compare(whole, copy)) if one)
        else:
            (copy / name).write_bytes(before)
    print(f"{named} of {len(every)} flips found")
    if named < len(every):
        yield "a flip was not found"
    # a history cannot be made anew, a receipt vouches for a file only where it is whole itself, and so does a copy
    receipts = [name for name in every.values() if name.startswith("receipts/")]
    copies = [name for name in every.values() if name.startswith("kept/")]
    products = [name for name in every.values() if name not in {*receipts, *copies, "run.json"}]
    for names in (products, copies, receipts):
        for name in names:
            flip(copy / name, chance)
        said, others = mended(world, copy), compare(whole, copy)
        print(f"{len(names)} at once, --mend: {'the same bytes' if not (said or others) else f'{said} {others}'}")
        if said or others:
            yield "at once"
    yield from plain(world, profile, copy, whole, chance)


def plain(world: World, profile: Path, copy: Path, whole: dict[str, str], chance: random.Random) -> Iterable[str]:
    """Let a run find what it reads; yields what went wrong."""
    for name in _READ:
        flip(copy / name, chance)
    ended = world.run(str(profile), out=copy.parent, survey="small", seconds=900)
    others = compare(whole, copy)
    print(f"a plain run after {len(_READ)} flips in what it reads: exit code {ended.code}, {len(others)} files differ")
    if ended.code or others:
        yield f"a plain run: {ended.said[-2000:]} {others}"


def main() -> int:
    """Flip, look, mend, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", action="store_true", help="mend every kind by itself")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        profile = root / "small.toml"
        profile.write_text(PROFILE)
        sky = load_profile(profile).sky
        if sky is None:
            raise SystemExit("the small survey has no sky")
        with serving(build_sky(sky, root / "sky").folder, root / "serving") as environment:
            world = World(root / "prefect", root / "cache", environment)
            wrong = list(play(world, profile, root, options))
            spent = shares(World(root / "prefect", root / "cache2", environment), profile, root / "measured")
    for what in ("outputs", "planes"):
        print(f"checks of {what}: {spent[what]:.3f} of {spent['run']:.1f} CPU s, {spent[what] / spent['run']:.2%}")
    print("\n".join(wrong))
    return 1 if wrong or spent["outputs"] + spent["planes"] > 0.03 * spent["run"] else 0


if __name__ == "__main__":
    sys.exit(main())
