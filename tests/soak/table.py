"""All soak parts and one table of what they found: `python tests/soak/table.py [--parts A,B] [--scale X] [--seed S]`.

Each part runs in a process of its own, so that its peak memory is its own. Exits with 1 if a goal was missed or a part
did not end as it should. The full counts take an hour or two; `--scale 0.05` gives an impression in minutes.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

__all__ = ["PARTS", "Figures", "Goal", "Part", "Row", "rows_of", "table"]

Figures = Mapping[str, float]
_LAST = "figures: "


class Goal(NamedTuple):
    """What a figure must be; those whose name begins with it are added up."""

    what: str
    figure: str
    least: float = 0
    most: float | None = 0
    """None = no bound above."""

    @property
    def bound(self) -> str:
        """The goal in few words."""
        if self.most is None:
            return f">= {self.least:g}" if self.least else "-"
        return f"<= {self.most:g}" if self.most else "0"

    def seen(self, figures: Figures) -> float:
        """Return the figure, 0 where it does not appear."""
        return sum(value for name, value in figures.items() if name.startswith(self.figure))

    def holds(self, figures: Figures) -> bool:
        """Whether the goal was reached."""
        seen = self.seen(figures)
        return seen >= self.least and (self.most is None or seen <= self.most)


@dataclass(frozen=True)
class Part:
    """One part of the soak."""

    what: str
    counted: str
    """The figure that says how much was tried."""
    count: int
    """How much a whole soak tries; 0 where there is nothing to choose."""
    call: Callable[[int, int, Path], Figures]
    """Gets the count, the seed and a folder."""
    goals: tuple[Goal, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    count: str
    goal: str
    seen: str
    ok: bool


def _faults(count: int, seed: int, _: Path) -> Figures:
    soak = importlib.import_module("tests.soak.faults")
    results = soak.run(soak.chosen(sample=count, seed=seed))
    print("\n".join(soak.table(results)), flush=True)
    figures: Figures = soak.figures(results)
    return figures


def _kills(count: int, seed: int, folder: Path) -> Figures:
    counts: Figures = importlib.import_module("tests.soak.fetch_kills").kill_fetches(count, seed, folder)
    return counts


def _double(count: int, seed: int, folder: Path) -> Figures:
    soak = importlib.import_module("tests.soak.double")
    counts: Figures = soak.double(folder, trials=count, mosaics=12, visits=12, seed=seed)
    return {"trials": count, **counts}


def _counting(module: str) -> Callable[[int, int, Path], Figures]:
    def call(count: int, seed: int, _: Path) -> Figures:
        figures: Figures = importlib.import_module(f"tests.soak.{module}").run(count, seed)
        return figures

    return call


def _bomb(_count: int, _seed: int, _: Path) -> Figures:
    figures: Figures = importlib.import_module("tests.soak.bomb").run()
    return figures


def _peers(_count: int, _seed: int, _: Path) -> Figures:
    """Flatten the peers' counts, and ours of the same cases."""
    soak = importlib.import_module("tests.soak.peers")
    counts = soak.run()
    print("\n".join(soak.table(counts)), flush=True)
    return {f"{who}: {what}": count[what] for who, count in counts.items() for what in soak.COLUMNS}


PARTS: dict[str, Part] = {
    "faults": Part(
        "injected faults",
        "cases",
        0,
        _faults,
        (
            Goal("cases", "cases", 150, None),
            Goal("not the right bytes, and not the named outcome", "missed"),
            Goal("wrong bytes accepted", "wrong bytes"),
            Goal("foreign errors", "foreign"),
            Goal("hangs", "hangs"),
            Goal("more requests than allowed", "too many"),
        ),
    ),
    "skies": Part(
        "ways of writing a WCS, through catalog and products",
        "headers",
        0,
        _counting("skies"),
        (
            Goal("headers", "headers", 30, None),
            Goal("catalog's positions against astropy's, mas", "radec_mas", 0, 1),
            Goal("products' corners against astropy's, mas", "product_mas", 0, 1),
            Goal("position angles against the truth, deg", "theta_deg", 0, 2),
        ),
    ),
    "resets": Part(
        "resets in one transfer",
        "resets",
        10,
        _counting("resets"),
        (
            Goal("bytes above 1.05 x size + 10 MiB", "excess"),
            Goal("wrong bytes", "wrong"),
            Goal("bytes of body in a second run", "again"),
        ),
    ),
    "kills": Part(
        "kills of a fetching run",
        "kills",
        300,
        _kills,
        (
            Goal("damaged under a final name", "corrupt"),
            Goal("lost", "lost"),
            Goal("twice", "duplicate"),
            Goal("temporary files left", "temporary"),
            Goal("runs that failed afterwards", "failed"),
            Goal("bytes asked for again", "asked_again"),
        ),
    ),
    "double": Part(
        "two runs at once",
        "trials",
        20,
        _double,
        (
            Goal("reads beside them", "reads", 1, None),
            Goal("reads of wrong bytes", "corrupt"),
            Goal("runs that failed or hung", "failed"),
            Goal("runs that hung", "hung"),
            Goal("mosaics fetched twice", "again"),
            Goal("above the cache's budget", "over_budget"),
        ),
    ),
    "mutations": Part(
        "mutations of FITS and gzip",
        "cases",
        20_000,
        _counting("mutations"),
        (
            Goal("foreign errors", "foreign"),
            Goal("over 2 s", "over_2_s"),
            Goal("silent, where a digest is known", "silent_with_digest"),
            Goal("silent, under gzip", "silent_gz"),
        ),
    ),
    "names": Part(
        "hostile names",
        "names",
        5_000,
        _counting("names"),
        (
            Goal("paths outside the root", "outside"),
            Goal("files elsewhere", "files_elsewhere"),
            Goal("foreign errors", "foreign"),
        ),
    ),
    "bomb": Part(
        "bombs and absurd headers",
        "files",
        0,
        _bomb,
        (Goal("taken, or not named", "wrong"), Goal("peak memory, MB", "worst_peak_mb", 0, 200)),
    ),
    "stops": Part(
        "stops of a run",
        "stops",
        40,
        _counting("stops"),
        (
            Goal("processes alive 10 s later", "alive"),
            Goal("runs that hung", "hung"),
            Goal("tracebacks", "tracebacks"),
            Goal("other exit codes than 130", "codes"),
            Goal("not Cancelled for Prefect", "not_cancelled"),
            Goal("trees that differ afterwards", "differing"),
            Goal("temporary files left", "temporary"),
        ),
    ),
    "peers": Part(
        "the same transfers elsewhere",
        "ours, mast: cases",
        0,
        _peers,
        tuple(
            Goal(f"{who}: {what}", f"{who}: {what}", 0, None)
            for who in ("astroquery", "s3fs")
            for what in ("wrong bytes", "hang", "not told", "half a file left", "> 6 requests")
        ),
    ),
}


def rows_of(part: Part, figures: Figures | None, scale: float = 1.0) -> Iterator[Row]:
    """Yield a part's lines; without figures, the one that says that it did not end. Goals of amounts are scaled."""
    if figures is None:
        yield Row(part.what, "", "ends", "did not end", ok=False)
        return
    tried = f"{figures.get(part.counted, 0):,.0f}"
    for goal in (goal._replace(least=goal.least * min(1.0, scale)) for goal in part.goals):
        seen = f"{goal.seen(figures):,.0f}"
        yield Row(f"{part.what}: {goal.what}", tried, goal.bound, seen, goal.holds(figures))


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the printed table."""
    head = ("what", "count", "goal", "seen", "ok")
    cells = [head, *((row.what, row.count, row.goal, row.seen, "yes" if row.ok else "NO") for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    for line in cells:
        first, *others = (
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join([first, *others])


def _played(name: str, count: int, seed: int) -> Figures | None:
    """Run a part in a process of its own, whose output passes on; its last line holds the figures."""
    command = [sys.executable, __file__, "--play", name, "--count", str(count), "--seed", str(seed)]
    figures: Figures | None = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith(_LAST):
                figures = json.loads(line.removeprefix(_LAST))
            else:
                print(line, end="", flush=True)
    return figures if process.returncode == 0 else None


def _play(name: str, count: int, seed: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        figures = PARTS[name].call(count, seed, Path(scratch))
    print(_LAST + json.dumps(dict(figures)), flush=True)


def _scaled(part: Part, scale: float) -> int:
    if scale < 1 and not part.count and part is PARTS["faults"]:
        return max(1, round(700 * scale))  # of all that there are
    return max(1, round(part.count * scale)) if part.count else 0


def main() -> int:
    """Run the parts, print the table; or be one part's process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--play", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        _play(options.play, options.count, options.seed)
        return 0
    rows: list[Row] = []
    for name in options.parts.split(","):
        begun = time.monotonic()
        print(f"--- {name}", flush=True)
        figures = _played(name, _scaled(PARTS[name], options.scale), options.seed)
        rows += rows_of(PARTS[name], figures, options.scale)
        print(f"    {time.monotonic() - begun:.0f} s", flush=True)
    print("\n".join(table(rows)))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
