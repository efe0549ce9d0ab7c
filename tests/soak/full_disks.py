"""Full disks, real ones: `python tests/soak/full_disks.py [--only TEXT]`. Needs root on Linux: it mounts tmpfs.

The small survey runs with its output, its mosaic cache or Prefect's home on a file system that is too small. A run that
fails must end by itself (no signal, no traceback) with one message and leave no temporary file; on the same file
system, enlarged, the next run must end with the bytes of an unbroken one. Prints a table; exits with 1 if one did not.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.sky.build import build_sky  # noqa: E402
from gzjwst_core.sky.serving import serving  # noqa: E402
from gzjwst_core.survey.profile import load_profile  # noqa: E402
from tests.flows.survey import SMALL, Ended, World, tree  # noqa: E402

PROFILE = SMALL.replace("sources = 0", "sources = 6")  # injection writes planes with holes
SIZES = {
    "output": ("300k", "700k", "1500k", "3m", "6m"),
    "cache": ("8m", "20m", "30m", "45m", "60m"),
    "home": ("600k", "2m"),
}
_LARGE = "300m"


@dataclass
class Played:
    """One run on a small file system, and the next on the same one, enlarged."""

    what: str
    size: str
    workers: int
    code: int = 0
    said: str = ""
    again: int = 0
    faults: list[str] = field(default_factory=list)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of this size."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        time.sleep(1)  # Prefect's temporary server lets go of its home a moment later
        subprocess.run(["umount", "-l", str(folder)], check=True)


def enlarge(folder: Path) -> None:
    """Give a mounted file system room for everything."""
    subprocess.run(["mount", "-o", f"remount,size={_LARGE}", str(folder)], check=True)


def play(played: Played, root: Path, profile: Path, settings: dict[str, str], whole: dict[str, str]) -> Played:
    """Run on the small disk, enlarge it, run again, judge."""
    scratch = Path(tempfile.mkdtemp(dir=root))
    with small_disk(scratch / "disk", played.size) as disk:
        places = {"output": scratch / "output", "cache": root / "cache", "home": root / "home"} | {played.what: disk}
        places["output"].mkdir(exist_ok=True)
        world = World(places["home"], places["cache"], settings)

        def run() -> Ended:
            arguments = (str(profile), "--workers", str(played.workers))
            return world.run(*arguments, out=places["output"], survey="small", seconds=900)

        first = run()
        errors = [line for line in first.said.splitlines() if line.startswith("✗")]
        played.code, played.said = first.code, errors[-1] if errors else first.said.strip().splitlines()[-1]
        places_left = [places["output"], places["cache"]]
        left = [path for place in places_left for path in place.rglob(".*.part")]
        checks = {
            f"signal {-first.code}": first.code < 0,
            "traceback": "Traceback" in first.said,
            f"{len(errors)} messages": first.code not in {0, 4} and len(errors) != 1,
            "done in part": first.code == 4,
            f"{len(left)} temporary files": bool(left),
        }
        enlarge(disk)
        for file in disk.glob("prefect.db*"):  # half made, it stays useless: the message says to move it away
            file.unlink()
        last = run()
        played.again = last.code
        checks |= {"differing": last.code != 0 or tree(last.folder) != whole}
        played.faults = [fault for fault, is_there in checks.items() if is_there]
    return played


def main() -> int:
    """Play, print, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name (`cache 20m 2`) fits this regular expression")
    options = parser.parse_args()
    cases = [Played(what, size, n) for what, sizes in SIZES.items() for size in sizes for n in (1, 2)]
    cases = [case for case in cases if re.search(options.only, f"{case.what} {case.size} {case.workers}")]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        root = Path(scratch)
        profile = root / "small.toml"
        profile.write_text(PROFILE)
        sky = load_profile(profile).sky
        if sky is None:
            raise SystemExit("the small survey has no sky")
        with serving(build_sky(sky, root / "sky").folder, root / "serving") as settings:
            (root / "whole").mkdir()
            world = World(root / "home", root / "cache", settings)
            whole = tree(world.run(str(profile), out=root / "whole", survey="small", seconds=900).folder)
            print(f"{'place':<8}{'size':>7}{'workers':>9}{'code':>6}{'again':>7}  faults / what it said", flush=True)
            for case in cases:
                play(case, root, profile, settings, whole)
                said = " ".join(case.faults) or case.said.replace(str(root), "…")[:150]
                print(f"{case.what:<8}{case.size:>7}{case.workers:>9}{case.code:>6}{case.again:>7}  {said}", flush=True)
    print(f"{len(cases)} cases, {sum(bool(case.faults) for case in cases)} with faults")
    return 1 if any(case.faults for case in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
