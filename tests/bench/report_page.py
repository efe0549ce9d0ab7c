"""The page of galaxies against their number: `python tests/bench/report_page.py [COUNT ...]`.

Synthetic galaxies in four bands, images beside the page, headless Chromium. One row a size, as a markdown table.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.tools.browser import Page, browser  # noqa: E402
from tests.tools.many_galaxies import many_galaxies  # noqa: E402

_HEAD = (
    "galaxies",
    "file MB",
    "data B/galaxy",
    "load event ms",
    "filter by magnitude ms",
    "search ms",
    "sort ms",
    "heap MB",
    "nodes in the grid",
)
_LOAD = "(() => { const [one] = performance.getEntriesByType('navigation'); return one.loadEventStart; })()"
_DATA = "document.querySelector('#galaxy-data').textContent"
_HELD = "Object.values(JSON.parse(TEXT).thumbs).join('').length".replace("TEXT", _DATA)
_TIMED = """(() => {
  const input = document.querySelector('#galaxy-filter').elements["NAME"], took = [];
  for (const value of VALUES) {
    input.value = value;
    const begun = performance.now();
    input.dispatchEvent(new Event('input', { bubbles: true }));
    document.querySelector('#galaxy-grid').getBoundingClientRect();
    took.push(performance.now() - begun);
  }
  input.value = '';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  return took.sort((a, b) => a - b)[Math.floor(took.length / 2)];
})()"""


def main(counts: list[int]) -> None:
    """Print the table."""
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="gzjwst-page-") as name:
            folder = Path(name)
            many_galaxies(folder, count)
            with browser(folder) as page:
                print("| " + " | ".join(_measured(page, folder / "report.html", count)) + " |", flush=True)


def _measured(page: Page, file: Path, count: int) -> list[str]:
    page.open(file, width=1280)
    data = page.value(f"{_DATA}.length") - page.value(_HELD)
    load = page.value(_LOAD)
    times = [
        _timed(page, "mag_min", range(18, 25)),
        _timed(page, "q", range(7)),
        _timed(page, "sort", ("r50", "mag_ref")),
    ]
    page.call("HeapProfiler.collectGarbage")
    heap = page.call("Runtime.getHeapUsage")["usedSize"] / 1e6
    nodes = page.value("document.querySelectorAll('#galaxy-grid *').length")
    shown = [f"{count:,}", f"{file.stat().st_size / 1e6:.2f}", f"{data / count:.0f}", f"{load:.0f}"]
    return [*shown, *(f"{one:.0f}" for one in times), f"{heap:.1f}", str(nodes)]


def _timed(page: Page, name: str, values: object) -> float:
    """Median time of a change until the grid stands, ms."""
    told = str([str(one) for one in values])  # type: ignore[attr-defined]
    return float(page.value(_TIMED.replace("NAME", name).replace("VALUES", told)))


if __name__ == "__main__":
    begun = time.monotonic()
    main([int(one) for one in sys.argv[1:]] or [1000, 10_000, 20_000])
    print(f"\n{time.monotonic() - begun:.0f} s in all")
