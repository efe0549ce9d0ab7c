"""The fault matrix: `python tests/soak/faults.py [--only TEXT] [--sample N --seed S] [-v]`.

Every case ends in the right bytes or in the outcome that it names; no wrong byte is accepted, no error is foreign, none
hangs. Prints a table by group and what was missed; exits with 1 if anything was.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.soak.cases import CASES, Case  # noqa: E402
from tests.soak.player import Result, play  # noqa: E402
from tests.soak.world import World  # noqa: E402

__all__ = ["chosen", "figures", "run", "table"]

_GROUPS = {"N": "network", "S": "sources", "F": "files", "D": "disks", "Z": "hostile"}


def chosen(only: str = "", sample: int = 0, seed: int = 1, *, slow: bool = True) -> list[Case]:
    """Return the cases whose id holds a text; of them a sample, that has every fault at least once if it can."""
    cases = [case for case in CASES if only in case.id and (slow or not case.is_slow)]
    if not 0 < sample < len(cases):
        return cases
    chance = random.Random(seed)
    chance.shuffle(cases)
    first = {case.fault: case for case in reversed(cases)}
    rest = [case for case in cases if case is not first[case.fault]]
    picked = [*first.values(), *rest][:sample]
    return sorted(picked, key=CASES.index)


def run(cases: Sequence[Case], told: Callable[[Result], object] = lambda _: None) -> list[Result]:
    """Play cases, one after the other; one that hangs keeps its world, and the others get a new one."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        while len(results) < len(cases):
            with World.served(Path(scratch) / f"world{len(results)}") as world:
                for number, case in enumerate(cases[len(results) :], len(results)):
                    results.append(play(case, world, Path(scratch) / str(number)))
                    told(results[-1])
                    if results[-1].seen == "hang":
                        break
    return results


def figures(results: Sequence[Result]) -> dict[str, int]:
    """Count what must be none, and how the cases ended."""
    seen = Counter(_kind(result) for result in results)
    return {
        "cases": len(results),
        "right": seen["right"],
        "named": seen["named"],
        "unproven": seen["unproven"],
        "wrong bytes": seen["wrong"],
        "foreign": seen["foreign"],
        "hangs": seen["hang"],
        "too many requests": sum("requests" in fault or "GETs" in fault for r in results for fault in r.faults),
        "missed": sum(not result.ok for result in results),
    }


def _kind(result: Result) -> str:
    if result.seen in {"wrong bytes", "wrong rows"}:
        return "wrong"
    word = result.seen.partition(" ")[0]
    return word if word in {"right", "unproven", "foreign", "hang"} else "named"


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of the table by group, and the misses."""
    head = list(figures(results))
    yield f"{'group':<12}" + "".join(f"{name:>{len(name) + 2}}" for name in head) + "  slowest"
    for letter, name in [*_GROUPS.items(), ("", "all")]:
        part = [result for result in results if result.case.group.startswith(letter)]
        if part:
            counts = "".join(f"{count:>{len(what) + 2}}" for what, count in figures(part).items())
            yield f"{f'{letter} {name}'.strip():<12}{counts}{max(r.seconds for r in part):>7.1f} s"
    for result in results:
        if not result.ok:
            yield f"MISSED {result.case.id}: {result.seen}, not {result.case.ends} {' '.join(result.faults)}".rstrip()


def main() -> int:
    """Play, print, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose id holds this text")
    parser.add_argument("--sample", type=int, default=0, help="this many cases, 0 = all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true", help="every case as it ends")
    options = parser.parse_args()
    logging.getLogger("gzjwst_core").setLevel(logging.ERROR)

    def told(result: Result) -> None:
        if options.verbose or not result.ok:
            print(f"{'ok' if result.ok else 'MISSED':<7}{result.case.id}: {result.seen}", end=" ")
            print(f"{result.requests} req {result.seconds:.1f} s", *result.faults, result.detail[-1500:], flush=True)

    results = run(chosen(options.only, options.sample, options.seed), told)
    print("\n".join(table(results)))
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
