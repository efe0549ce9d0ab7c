"""Kill fetching runs and run them again: `python tests/soak/fetch_kills.py [--kills N] [--seed S]`.

A process brings one mosaic from each archive into a cache and is killed with SIGKILL, half of the times at a random
moment, half at a named point between two steps; then everything is fetched again. What is in the cache must be right
after the kill and after the second time: nothing damaged under a final name, nothing lost, nothing twice, no temporary
file left, and no byte of a body asked for again that had come. Prints one row; exits with 1 if a figure is not 0.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.archives.locate import locate  # noqa: E402
from gzjwst_core.cache import fetch as fetch_room  # noqa: E402
from gzjwst_core.cache.fetch import Fetched, fetch  # noqa: E402
from gzjwst_core.cache.mosaic_cache import MosaicCache  # noqa: E402
from gzjwst_core.mosaics.planes import keep_planes  # noqa: E402
from tests.soak.world import PLANES, WHOLE, World, kept_planes  # noqa: E402

__all__ = ["EXPECTED", "POINTS", "kill_fetches"]

JOBS = (("plain", "mast"), ("plain", "s3"), ("plain", "directory"), ("gz", "mast"), ("gz", "datalabs"))
POINTS = ("first_bytes", "mid_body", "body_whole", "planes_half", "planes_whole", "planes_placed", "recorded")
EXPECTED = {"corrupt": 0, "lost": 0, "duplicate": 0, "temporary": 0, "failed": 0, "asked_again": 0}


def bring_all(cache: MosaicCache, world: World, progress: Any = None) -> list[Fetched]:
    """Fetch every job's mosaic."""
    fetched = []
    options = world.options(read_timeout_s=20.0)
    for kind, where in JOBS:
        (archive,) = world.archives([where], cache, options)
        located = locate(world.mosaic(kind), [archive])
        fetched.append(fetch(located, archive, cache, options, PLANES, progress=progress))
    return fetched


# ---------------------------------------------------------------- the process that is killed


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Told:
    """Counts what comes, and dies at a point of the n-th mosaic."""

    def __init__(self, point: str, job: int) -> None:
        self.point, self.job, self.now, self.came = point, job, 0, 0

    def __call__(self, count: int) -> None:
        first = self.came == 0
        self.came += count
        if self.now == self.job and (self.point == "first_bytes" and first) | (self.point == "mid_body" and not first):
            _die()

    def at(self, point: str) -> None:
        if self.point == point and self.now == self.job:
            _die()


@contextmanager
def _failpoints(told: _Told) -> Iterator[None]:
    """Put a possible death between the steps of a fetch."""
    record = MosaicCache.record

    def dying_keep(stream: Any, target: Any, *rest: Any, **more: Any) -> Any:
        told.at("body_whole")
        kept = keep_planes(stream, cast("BinaryIO", _Half(target, told)), *rest, **more)
        target.flush()
        told.at("planes_whole")
        return kept

    def dying_record(self: MosaicCache, path: Path, **facts: Any) -> Any:
        told.at("planes_placed")
        entry = record(self, path, **facts)
        told.at("recorded")
        told.now, told.came = told.now + 1, 0
        return entry

    with (
        mock.patch.object(fetch_room, "keep_planes", dying_keep),
        mock.patch.object(MosaicCache, "record", dying_record),
    ):
        yield


class _Half:
    """A file whose writer may die half-way."""

    def __init__(self, target: IO[bytes], told: _Told) -> None:
        self._target, self._told, self._count = target, told, 0

    def write(self, data: bytes) -> int:
        self._count += len(data)
        if self._count > 1_000_000:
            self._told.at("planes_half")
        return self._target.write(data)


def _serve(folder: Path, url: str) -> None:
    """Fork a fetching process for each line of input, and tell how it ended: imports are paid for once."""
    world = World(folder, None, url)  # type: ignore[arg-type]  # nobody asks it for its log here
    sys.stdout.write("ready\n")
    for line in sys.stdin:
        sys.stdout.flush()
        cache, point, job = line.split()
        pid = os.fork()
        if pid == 0:
            told = _Told(point, int(job))
            with _failpoints(told):
                bring_all(MosaicCache(Path(cache)), world, told)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitpid(pid, 0)[1]}\n")
        sys.stdout.flush()


# ---------------------------------------------------------------- the one that kills


class _Fetcher:
    """Starts fetching processes."""

    def __init__(self, world: World) -> None:
        command = [sys.executable, __file__, "--serve", str(world.folder), "--url", world.url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, cache: Path, point: str = "none", job: int = 0, after_s: float | None = None) -> bool:
        """Fetch, and kill after some time; whether it was killed."""
        asks, answers = self._process.stdin, self._process.stdout
        if asks is None or answers is None:
            raise RuntimeError("the fetcher has no pipes")
        asks.write(f"{cache} {point} {job}\n")
        while (line := answers.readline().strip()) == "ready":
            pass
        if after_s is not None:
            time.sleep(after_s)
            with suppress(ProcessLookupError):  # it was faster
                os.kill(int(line), signal.SIGKILL)
        return int(answers.readline()) == signal.SIGKILL

    def stop(self) -> None:
        self._process.communicate(timeout=30)


def kill_fetches(kills: int, seed: int, folder: Path) -> dict[str, int]:
    """Kill, look, bring again, look; returns the counts."""
    counts = {"kills": 0, "survived": 0, **EXPECTED}
    chance = random.Random(seed)
    with World.served(folder / "world") as world, world.environment():
        for kind in ("plain", "gz"):
            for path in world._paths(kind).values():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(WHOLE[kind])
        fetcher = _Fetcher(world)
        fetcher.run(folder / "warm")
        begun = time.monotonic()
        fetcher.run(folder / "unbroken")
        seconds = time.monotonic() - begun
        for number in range(2 * kills):
            if counts["kills"] == kills:
                break
            cache = folder / f"cache{number}"
            if number % 2:
                killed = fetcher.run(cache, chance.choice(POINTS), chance.randrange(len(JOBS)))
            else:
                killed = fetcher.run(cache, after_s=chance.uniform(0.02, 1.0) * seconds)
            counts["kills" if killed else "survived"] += 1
            _look(cache, world, counts)
        fetcher.stop()
    return counts


def _look(folder: Path, world: World, counts: dict[str, int]) -> None:
    right = kept_planes(WHOLE["plain"])
    cache = MosaicCache(folder)
    counts["corrupt"] += sum(_digest(path) != right for path in folder.glob("mosaics/*/*.fits"))
    cache.sweep()
    there = sum(path.stat().st_size for path in folder.glob("partial/*.body"))
    there += sum(entry.source_size for entry in cache.entries())
    try:
        fetched = bring_all(cache, world)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and shown
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        counts["failed"] += 1
        return
    paths = [Path(one.source.path) for one in fetched]
    counts["lost"] += len(JOBS) - len(set(paths))
    counts["corrupt"] += sum(_digest(path) != right for path in paths)
    counts["duplicate"] += len(list(folder.glob("mosaics/*/*.fits"))) - len(JOBS)
    counts["temporary"] += sum(path.suffix in {".part", ".body"} for path in folder.rglob("*"))
    whole = sum(len(WHOLE[kind]) for kind, _ in JOBS)
    counts["asked_again"] += sum(one.bytes_moved for one in fetched) != whole - there


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    """Kill, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve, options.url)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        counts = kill_fetches(options.kills, options.seed, Path(scratch))
    print(counts)
    return int(any(counts[name] for name in EXPECTED))


if __name__ == "__main__":
    sys.exit(main())
