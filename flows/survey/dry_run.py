"""`--dry-run`: what a run would read, from where, and what it would write. Starts no Prefect and writes nothing."""

import json
import sys

from rich.console import Console
from rich.table import Table

from flows.common.terminal import Terminal
from flows.survey.lines import megabytes
from gzjwst_core.survey.estimate import Estimate, estimate
from gzjwst_core.survey.run import Run

__all__ = ["dry_run"]

_OVER_BUDGET = 3
_PIPE_WIDTH = 160


def dry_run(run: Run, terminal: Terminal, *, as_json: bool) -> int:
    """Print the estimate; returns the exit code: 3 when the disk cannot hold the run."""
    found = estimate(run)
    if as_json:
        sys.stdout.write(json.dumps(found.model_dump(mode="json"), indent=1) + "\n")
    else:
        _show(found)
    if not found.fits:
        terminal.say(f"[red]✗[/red] {_too_much(found)}")
        return _OVER_BUDGET
    return 0


def _show(found: Estimate) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    table = Table(title=f"{found.survey}: {len(found.rows)} mosaics", title_justify="left", box=None, pad_edge=False)
    for name in ("field", "band", "where"):
        table.add_column(name, no_wrap=True)
    table.add_column("file, or why it is nowhere", overflow="fold")
    for name in ("bytes", "catalog", "injection", "cutouts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("cached")
    for row in found.rows:
        sizes = [megabytes(size) for size in (row.size, row.catalog_bytes, row.injection_bytes, row.cutout_bytes)]
        name = row.address.rpartition("/")[2]
        table.add_row(row.field, row.band, row.where, name, *sizes, "yes" if row.cached else "no")
    console.print(table)
    for line in _sums(found):
        console.print(line, highlight=False, soft_wrap=True)


def _sums(found: Estimate) -> list[str]:
    every = f"{megabytes(found.cached)} for every mosaic at once"
    disk = f"{megabytes(found.free)} free where the output goes" if found.free >= 0 else "the output goes elsewhere"
    visits = f"{megabytes(found.first_visit)} for the catalogs, again {megabytes(found.injection_visit)} for injection"
    visits += f" and {megabytes(found.second_visit)} for the cutouts"
    return [
        f"products  {found.products} listed, {found.kept} kept",
        f"mosaics   {found.located} located, {found.missing} missing",
        f"to fetch  {visits}",
        f"output    about {megabytes(found.output)} for {found.targets} targets ({found.basis})",
        f"cache     {megabytes(found.capacity)} allowed, {megabytes(found.needed)} needed at once, {every}",
        f"disk      {disk}",
    ]


def _too_much(found: Estimate) -> str:
    if found.needed > found.capacity:
        return f"a field needs {megabytes(found.needed)} of the cache, which may hold {megabytes(found.capacity)}"
    return f"the output needs {megabytes(found.output)}, its disk has {megabytes(found.free)} free"
