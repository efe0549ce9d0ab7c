"""Two runs at once that share a cache, and a reader beside them: `python tests/soak/double.py [--trials N] [--seed S]`.

In each trial two processes bring the same mosaics into an empty cache, two threads each, in orders of their own, and
read back what they hold; a third process reads whatever is there. Every other trial the cache has room for all of them:
then each body must be asked for once. In the others it has room for one field and a little: then they make way for each
other. No read may find other bytes than the right ones, nobody may fail or hang, and in the end the budget is kept.
Prints one row; exits with 1 if a figure is not what it must be.
"""

import argparse
import functools
import hashlib
import io
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.archives.base import Archive, Located, identity_of, whole_only  # noqa: E402
from gzjwst_core.cache.fetch import fetch  # noqa: E402
from gzjwst_core.cache.mosaic_cache import MosaicCache  # noqa: E402
from gzjwst_core.models import Mosaic  # noqa: E402
from gzjwst_core.options import ArchiveOptions  # noqa: E402
from gzjwst_core.transport.streams import ByteStream  # noqa: E402
from tests.archives.tiny import fits_bytes, mosaic, packed  # noqa: E402

__all__ = ["EXPECTED", "double"]

PLANES = ("SCI",)
OPTIONS = ArchiveOptions(transfers=3)
EXPECTED = {"corrupt": 0, "failed": 0, "hung": 0, "again": 0, "over_budget": 0}
_BLOCK = 64 << 10
_READS = 30
"""Of an entry, while the reader holds it."""
_LIMIT_S = 120.0
_spawning = multiprocessing.get_context("spawn")  # like two runs: nothing of the other's memory


@dataclass(frozen=True)
class Setting:
    """One trial after the other, for all three processes."""

    folder: Path
    trials: int
    mosaics: int
    visits: int
    seed: int
    budget: int
    """Of every other trial."""
    digests: tuple[str, ...]
    """Of the right planes' files."""

    def cache(self, trial: int) -> MosaicCache:
        return MosaicCache(self.folder / f"trial{trial}", self.budget if is_tight(trial) else None)

    @property
    def opened_log(self) -> Path:
        return self.folder / "opened.log"


def is_tight(trial: int) -> bool:
    return trial % 2 == 1


class Journalled(Archive):
    """Holds mosaics in memory, sends them slowly, and notes every body that is asked for."""

    name = "memory"

    def __init__(self, setting: Setting, trial: int) -> None:
        self._opened_log, self._trial = setting.opened_log, trial

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        raise NotImplementedError

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        whole_only(start, mosaic.filename)
        with self._opened_log.open("a") as log:
            log.write(f"{self._trial} {mosaic.filename}\n")
        yield Slow(body_of(int(mosaic.field)))


class Slow(io.BytesIO):
    """A body that comes block by block."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.0005)
        return super().read(min(size or 0, _BLOCK) if size and size > 0 else _BLOCK)


@functools.cache
def body_of(number: int) -> bytes:
    """A mosaic's body: each is of another size, and every third is packed."""
    body = fits_bytes(side=100 + number)
    return packed(body) if number % 3 == 2 else body


@functools.cache
def located(number: int) -> Mosaic:
    body = body_of(number)
    name = f"m{number:02d}_i2d.fits{'.gz' if number % 3 == 2 else ''}"
    uri, mark = f"memory:{name}", hashlib.sha256(body).hexdigest()
    changes = {"field": str(number), "archive": "memory", "uri": uri, "identity": identity_of(uri, len(body), mark)}
    return mosaic(name, size=len(body)).replace(**changes)


@functools.cache
def needed(number: int) -> int:
    """Bytes a mosaic takes at most while it is fetched: its body, and its planes."""
    return len(body_of(number)) + len(fits_bytes(side=100 + number))


def bring(setting: Setting, trial: int, those: list[int]) -> Counter[str]:
    """One field of a run: hold its mosaics, bring them, read them."""
    cache, archive, counts = setting.cache(trial), Journalled(setting, trial), Counter[str]()
    keys = {number: cache.key(located(number), PLANES) for number in those}
    with cache.holding({keys[number]: needed(number) for number in those}):
        paths = {n: fetch(located(n), archive, cache, OPTIONS, PLANES).source.path for n in those}
        for number, path in paths.items():
            counts["reads"] += 1
            counts["corrupt"] += digest_of(Path(path)) != setting.digests[number]
            cache.used(keys[number])
    return counts


def run(setting: Setting, trial: int, chance: random.Random) -> Counter[str]:
    """A run: all mosaics several times, in fields of two, two fields at a time."""
    visits = [chance.sample(range(setting.mosaics), setting.mosaics) for _ in range(setting.visits)]
    fields = [visit[at : at + 2] for visit in visits for at in range(0, setting.mosaics, 2)]
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda those: bring(setting, trial, those), fields), Counter())


def read(setting: Setting, trial: int, done: Any) -> Counter[str]:
    """Read what is there until both runs are done."""
    cache, chance, counts = setting.cache(trial), random.Random(setting.seed), Counter[str]()
    mosaics = [located(number) for number in range(setting.mosaics)]
    keys = [cache.key(mosaic, PLANES) for mosaic in mosaics]
    while done.value < 2 * (trial + 1):
        number = chance.randrange(setting.mosaics)
        with cache.holding({keys[number]: 0}):
            path = cache.find(keys[number], mosaics[number])
            for _ in range(_READS if path else 0):
                counts["reads"] += 1
                counts["corrupt"] += digest_of(Path(str(path))) != setting.digests[number]
    return counts


def digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:  # a held file that is gone is as bad as a wrong one
        return repr(error)


def work(setting: Setting, who: int, start: Any, done: Any, answers: Any) -> None:
    """One of the three processes: 0 and 1 are runs, 2 reads."""
    counts, chance = Counter[str](), random.Random(setting.seed * 10 + who)
    for trial in range(setting.trials):
        start.wait(_LIMIT_S)
        if who == 2:
            counts += read(setting, trial, done)
            continue
        try:
            counts += run(setting, trial, chance)
        finally:
            with done.get_lock():
                done.value += 1
    answers.put(dict(counts))


def double(folder: Path, *, trials: int, mosaics: int, visits: int, seed: int) -> dict[str, int]:
    """Run the trials.

    Returns
    -------
    dict
        Counts: `reads`; `corrupt`, reads of wrong bytes; `failed` and `hung`, processes that ended with an error, or
        not at all; `fetches`, bodies that were asked for where there was room for all; `again`, those above one a
        mosaic and trial; `fetches_tight`; `over_budget`, trials that ended with more than the budget.
    """
    budget = 9 * max(map(needed, range(mosaics))) // 4
    setting = Setting(folder, trials, mosaics, visits, seed, budget, right_digests(folder / "right", mosaics))
    counts = together(setting)
    opened = [is_tight(int(line.split()[0])) for line in setting.opened_log.read_text().splitlines()]
    roomy = sum(not is_tight(trial) for trial in range(trials))
    over = [trial for trial in range(trials) if is_tight(trial) and setting.cache(trial).usage() > budget]
    return {
        **{name: counts[name] for name in ("reads", "corrupt", "failed", "hung")},
        "fetches": opened.count(False),
        "again": opened.count(False) - roomy * mosaics,
        "fetches_tight": opened.count(True),
        "over_budget": len(over),
    }


def together(setting: Setting) -> Counter[str]:
    """Start the three processes, and add up what they say."""
    start, done, answers = _spawning.Barrier(3), _spawning.Value("i", 0), _spawning.Queue()
    children = [_spawning.Process(target=work, args=(setting, who, start, done, answers)) for who in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(_LIMIT_S + 10 * setting.trials)
    hung = [child for child in children if child.is_alive()]
    for child in hung:
        child.kill()
        child.join()
    failed = [child for child in children if child not in hung and child.exitcode != 0]
    said = [Counter(answers.get(timeout=10)) for _ in range(3 - len(hung) - len(failed))]
    return sum(said, Counter({"failed": len(failed), "hung": len(hung)}))


def right_digests(folder: Path, mosaics: int) -> tuple[str, ...]:
    """Digests of the planes' files that one alone makes."""
    folder.mkdir(parents=True)
    alone = Setting(folder, 1, mosaics, 1, 0, 0, ())
    cache, archive = alone.cache(0), Journalled(alone, 0)
    paths = [fetch(located(n), archive, cache, OPTIONS, PLANES).source.path for n in range(mosaics)]
    return tuple(digest_of(Path(path)) for path in paths)


def main() -> int:
    """Run the trials, print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("trials", 20), ("mosaics", 12), ("visits", 12), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        counts = double(Path(scratch), **vars(options))
    figures = "  ".join(f"{name} {count}" for name, count in counts.items())
    print(f"two runs x {options.trials}: {figures}  ({time.monotonic() - begun:.0f} s, {os.cpu_count()} cores)")
    return 0 if EXPECTED.items() <= counts.items() else 1


if __name__ == "__main__":
    sys.exit(main())
