"""Kill a run at random moments, run it again, compare: `python tests/soak/kills.py [--kills N] [--seed S]`.

Every kill is SIGKILL to the whole process group at a random moment of a run of the small survey; the next run must end
with the bytes of an unbroken one. Prints what it counted; exits with 1 if a tree differed or a temporary file was left.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.sky.build import build_sky  # noqa: E402
from gzjwst_core.sky.serving import serving  # noqa: E402
from gzjwst_core.survey.profile import load_profile  # noqa: E402
from tests.flows.survey import SCRIPT, SMALL, World, tree  # noqa: E402


def killed(world: World, profile: Path, out: Path, after_s: float) -> bool:
    """Start a run and kill it; whether it was still running."""
    command = [sys.executable, str(SCRIPT), str(profile), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command, env=world.environment, start_new_session=True)
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False)
        process.wait()
        return True
    return False


def main() -> int:
    """Kill, run again, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        profile = root / "small.toml"
        profile.write_text(SMALL)
        sky = load_profile(profile).sky
        if sky is None:
            raise SystemExit("the small survey has no sky")
        folder = build_sky(sky, root / "sky").folder
        with serving(folder, root / "serving") as environment:
            world = World(root / "prefect", root / "cache", environment)
            (root / "whole").mkdir()
            begun = time.monotonic()
            whole = tree(world.run(str(profile), out=root / "whole", survey="small").folder)
            seconds = time.monotonic() - begun
            counts = {"kills": 0, "differing": 0, "temporary": 0}
            for number in range(options.kills):
                out = root / f"run{number}"
                out.mkdir()
                fresh = World(world.home, root / f"cache{number}", environment)
                # most of a run is starting up: aim at the part that writes
                counts["kills"] += killed(fresh, profile, out, moments.uniform(0.4, 1.0) * seconds)
                again = fresh.run(str(profile), out=out, survey="small")
                counts["differing"] += again.code != 0 or tree(again.folder) != whole
                counts["temporary"] += len(list(out.rglob(".*.part"))) + len(list(fresh.cache.rglob(".*.part")))
    print(counts)
    return 1 if counts["differing"] or counts["temporary"] else 0


if __name__ == "__main__":
    sys.exit(main())
