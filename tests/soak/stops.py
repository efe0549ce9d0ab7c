"""Stop runs at all moments, look for what is left, run them again: `python tests/soak/stops.py [--stops N] [--seed S]`.

Each stop is a signal to the run, to its process group (as a terminal sends it), to one of its workers, to the archive
of its synthetic sky or to Prefect's temporary server, between the run's first line and its last stage. A run that was
stopped must be gone with all its processes 10 s later, and Cancelled for Prefect where it could report; one that lost a
process must end by itself. The next run must end with the bytes of an unbroken one. Half of them report to one server,
half start a temporary one. Prints one row a stop; exits with 1 if a figure is not what it must be.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.flows.survey import SCRIPT, SMALL, World, bare_environment, tree  # noqa: E402
from tests.flows.test_stop import MARK, marked  # noqa: E402
from tests.tools.processes import free_port, running, until  # noqa: E402

__all__ = ["run"]

ASKED = (signal.SIGINT, signal.SIGTERM)
KINDS = [("run", how) for how in (*ASKED, signal.SIGKILL)] * 2
KINDS += [("group", how) for how in (*ASKED, signal.SIGKILL)]
KINDS += [("worker", how) for how in (*ASKED, signal.SIGKILL)]
KINDS += [("archive", signal.SIGKILL), ("server", signal.SIGKILL), ("server", signal.SIGTERM)]
PARTS = {"worker": "popen_loky_posix", "archive": "gzjwst_core.sky.serving", "server": "flows.common.temporary_server"}
MOMENTS = ("", "gzjwst", "query", "locate", "fetch", "catalog", "merge", "cutouts", "images", "quality", "publish")
"""Words at the begin of the lines after which a stop comes; the first is the run's own begin."""
GONE_S, ENDED_S = 10.0, 900.0


@dataclass(frozen=True)
class Trial:
    """One stop."""

    number: int
    whom: str
    how: signal.Signals
    after: str
    delay_s: float
    own_server: bool


@dataclass(frozen=True)
class Ground:
    """What all trials share."""

    root: Path
    profile: Path
    home: Path
    url: str
    whole: Mapping[str, str]

    def world(self, trial: Trial) -> World:
        """Where one trial's runs happen."""
        own = self.root / f"t{trial.number}"
        if trial.own_server:
            return World(own / "home", own / "cache", {MARK: str(own)})
        return World(self.home, own / "cache", {MARK: str(own), "PREFECT_API_URL": self.url})


def trials(count: int, seed: int) -> list[Trial]:
    """Choose stops of every kind, at moments that cover a run."""
    chance = random.Random(seed)
    chosen = []
    for number in range(count):
        whom, how = KINDS[number % len(KINDS)]
        moments = MOMENTS[3:-2] if whom in {"worker", "archive"} else MOMENTS[1:-1] if whom == "server" else MOMENTS
        after = moments[(number // 2 + chance.randrange(len(moments))) % len(moments)]
        delay_s = chance.uniform(0.0, 3.0 if after == "" else 1.0)
        chosen.append(Trial(number, whom, how, after, delay_s, own_server=whom == "server" or chance.random() < 0.5))
    return chosen


def play(ground: Ground, trial: Trial) -> Counter[str]:
    """Stop a run and run it again; what was wrong."""
    world, out = ground.world(trial), ground.root / f"t{trial.number}" / "out"
    out.mkdir(parents=True)
    if trial.number % 5:  # the others make their sky anew
        shutil.copytree(ground.root / "cache" / "sky", world.cache / "sky")
    log = out.parent / "said.txt"
    command = [sys.executable, str(SCRIPT), str(ground.profile), "--out", str(out), "--workers", "2"]
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=world.environment, stdout=said, stderr=said, start_new_session=True)
    wait(lambda: process.poll() is not None or _is_time(trial, process.pid, log), ENDED_S)
    time.sleep(trial.delay_s)
    ended_before = process.poll() is not None or not _send(trial, process.pid)
    if trial.whom in PARTS:
        wait(lambda: process.poll() is not None, ENDED_S)
    begun = time.monotonic()
    wait(lambda: not marked(str(out.parent)), GONE_S)
    gone_s = time.monotonic() - begun
    alive = [" ".join(left.cmdline()) for left in marked(str(out.parent))]
    state = _state(ground, trial, out)
    text = log.read_text(errors="replace")
    again = World(ground.home, world.cache, {"PREFECT_API_URL": ground.url}).run(
        str(ground.profile), out=out, survey="small", seconds=ENDED_S
    )
    asked = trial.how in ASKED and trial.whom in {"run", "group"} and not ended_before
    stopped = asked and process.poll() == 130
    wrong = Counter(
        stops=1,
        too_late=int(ended_before),
        alive=len(alive),
        hung=int(process.poll() is None),
        tracebacks=int("Traceback" in text or "leaked" in text),
        codes=int(asked and process.poll() not in {130, 0}),
        lines=int(stopped and text.count("✗") != 1),
        not_cancelled=int(stopped and state not in {"CANCELLED", "COMPLETED", "not yet"}),
        differing=int(again.code != 0 or tree(again.folder) != ground.whole),
        temporary=len([*out.rglob(".*.part"), *world.cache.rglob(".*.part")]),
    )
    faults = ", ".join(f"{name} {n}" for name, n in wrong.items() if n and name not in {"stops", "too_late"})
    when = f"{trial.after or 'begin'} + {trial.delay_s:.1f} s" + (" (too late)" if ended_before else "")
    row = (trial.number, trial.whom, trial.how.name, when, process.poll(), f"{gone_s:.1f} s", state, faults or "ok")
    print("{:>3}  {:<8} {:<8} {:<24} {!s:>5}  {:>7}  {:<10} {}".format(*row), flush=True)
    if faults:
        print("\n".join([*alive, text[-3000:], again.said[-1500:] if wrong["differing"] else ""]), flush=True)
    else:
        shutil.rmtree(out.parent, ignore_errors=True)
    return wrong


def wait(over: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, or for a time."""
    end = time.monotonic() + seconds
    while not over() and time.monotonic() < end:
        time.sleep(0.1)


def _is_time(trial: Trial, pid: int, log: Path) -> bool:
    if not trial.after:
        return _listens(pid)
    return bool(re.search(rf"^\W*{trial.after}\b", log.read_text(errors="replace"), re.MULTILINE))


def _listens(pid: int) -> bool:
    """Whether a process blocks SIGTERM, as our first line does: before, it is the interpreter that starts."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    blocked = int(status.partition("SigBlk:\t")[2].split()[0], 16)
    return bool(blocked >> (signal.SIGTERM - 1) & 1)


def _send(trial: Trial, pid: int) -> bool:
    """Send the signal; whether there was somebody to get it."""
    if trial.whom == "group":
        os.killpg(pid, trial.how)
        return True
    found = [pid] if trial.whom == "run" else []
    while trial.whom in PARTS and not found and psutil.pid_exists(pid):
        try:
            family = psutil.Process(pid).children(recursive=True)
            found = [child.pid for child in family if PARTS[trial.whom] in " ".join(child.cmdline())]
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.Error:
            continue
        time.sleep(0.05)
    for target in found[:1]:
        os.kill(target, trial.how)
    return bool(found)


def _state(ground: Ground, trial: Trial, out: Path) -> str:
    """State of the run in the database of the server that it reported to."""
    path = ground.world(trial).home / "prefect.db"
    if not path.exists():
        return "not yet"
    with sqlite3.connect(path) as database:
        try:
            rows = database.execute("select state_type, parameters from flow_run").fetchall()
        except sqlite3.OperationalError:  # stopped while it was made
            return "not yet"
    return next((state for state, parameters in rows if str(out) in parameters), "not yet")


def run(count: int, seed: int, at_once: int = 2) -> dict[str, float]:
    """Play the trials; what was wrong, counted."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        root = Path(scratch)
        home, port = root / "home", free_port()
        home.mkdir()
        (root / "small.toml").write_text(SMALL)
        (root / "whole").mkdir()
        server = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-services"]
        with running(server, root / "server.log", env=bare_environment(home), cwd=root):
            url = f"http://127.0.0.1:{port}/api"
            until(lambda: _is_healthy(url), seconds=300, log=root / "server.log", what="Prefect's server")
            world = World(home, root / "cache", {"PREFECT_API_URL": url})
            unbroken = world.run(str(root / "small.toml"), out=root / "whole", survey="small", seconds=ENDED_S)
            if unbroken.code:
                raise SystemExit(unbroken.said)
            ground = Ground(root, root / "small.toml", home, url, tree(unbroken.folder))
            with ThreadPoolExecutor(at_once) as threads:
                for wrong in threads.map(lambda trial: play(ground, trial), trials(count, seed)):
                    counts.update(wrong)
    return dict(counts)


def _is_healthy(url: str) -> bool:
    command = [sys.executable, "-c", f"import urllib.request as r; r.urlopen('{url}/health', timeout=5)"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stops", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    counts = run(options.stops, options.seed, options.at_once)
    print(counts)
    return 1 if sum(counts.values()) - counts["stops"] - counts["too_late"] else 0


if __name__ == "__main__":
    sys.exit(main())
