"""The command line of a flow: options and exit codes, the same for every pipeline.

Exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, 130 stopped with
Ctrl-C or SIGTERM.
"""

import tasks.settings  # noqa: F401, I001 - before prefect

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from prefect import Flow
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import ConfigDict, Field
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.common.reporting import find_prefect_api, run_reported
from flows.common.stopping import STOPPED, before_stopping
from flows.common.terminal import Terminal
from gzjwst_core import __version__
from gzjwst_core.errors import BudgetError, GzJwstError, ProfileError
from gzjwst_core.options.base import Options
from gzjwst_core.runs.command_line import Argument, add_arguments, read_arguments
from gzjwst_core.runs.dry_run import DryRun
from gzjwst_core.runs.engine import silence_resource_trackers, stop_processes
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.profile_file import profile_names
from gzjwst_core.runs.request import RunRequest

__all__ = ["LocalOptions", "main", "parse"]

_EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, "
    f"{STOPPED} stopped"
)
_FAILED, _USAGE, _BUDGET = 1, 2, 3
_PIPE_WIDTH = 160


class LocalOptions(Options):
    """How a flow runs from the command line: nothing that a deployment is asked."""

    model_config = ConfigDict(strict=False)

    dry_run: bool = False
    """Say what a run would read and write; writes nothing."""
    runner: Literal["threads", "dask"] = "threads"
    """Where tasks run."""
    dask_address: Annotated[str, Argument(metavar="URL")] = ""
    """Scheduler of a Dask cluster that is up; empty = a local one."""
    fields_in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Units of work under way at once: transfers and CPU work overlap."""
    json_record: Annotated[bool, Argument(option="--json")] = False
    """Print the run's record as JSON on standard output."""


def main(pipeline: Pipeline, flow: Flow[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Parameters
    ----------
    pipeline
        What runs.
    flow
        Its flow, which takes one parameter, `request`.
    arguments
        Of the command line; None = this process's.
    """
    options = parse(pipeline, sys.argv[1:] if arguments is None else arguments)
    terminal = Terminal(quiet=options.quiet)
    try:
        request, local = read_arguments(pipeline.request, options), read_arguments(LocalOptions, options)
        if local.dask_address and local.runner != "dask":
            raise ProfileError("--dask-address: goes with --runner dask")
        run = pipeline.start(request)
        if told := pipeline.preparing(run):
            terminal.say(f"[dim]{escape(told)} …[/dim]")
        with pipeline.prepared(run):
            if local.dry_run:
                return _dry_run(pipeline.dry_run(run), terminal, as_json=local.json_record)
            return _run(flow, request, local, terminal)
    except GzJwstError as error:
        terminal.complain("[red]✗[/red]", str(error))
        return _USAGE if isinstance(error, ProfileError) else _BUDGET if isinstance(error, BudgetError) else _FAILED


def parse(pipeline: Pipeline, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options of a pipeline's request, and those of the command line alone.

    Parameters
    ----------
    pipeline
        Whose.
    arguments
        Of the command line.
    """
    shipped = ", ".join(profile_names(pipeline.profile.head))
    parser = argparse.ArgumentParser(
        prog=Path(pipeline.entrypoint.partition(":")[0]).name,
        description=pipeline.description,
        epilog=f"{_EXIT_CODES}" + (f"; shipped profiles: {shipped}" if shipped else ""),
    )
    add_arguments(parser, pipeline.request)
    add_arguments(parser, LocalOptions)
    parser.add_argument("--version", action="version", version=f"gzjwst {__version__}")
    return parser.parse_args(arguments)


def _dry_run(found: DryRun, terminal: Terminal, *, as_json: bool) -> int:
    """Print what a run would do; returns the exit code: 3 when the disk cannot hold it."""
    if as_json:
        sys.stdout.write(json.dumps(found.record, indent=1) + "\n")
    else:
        _show(found)
    if found.refusal:
        terminal.say(f"[red]✗[/red] {found.refusal}")
        return _BUDGET
    return 0


def _show(found: DryRun) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    table = Table(title=found.title, title_justify="left", box=None, pad_edge=False)
    widest = max(found.columns, key=len, default="")
    for name in found.columns:
        table.add_column(name, overflow="fold" if name == widest else "ellipsis", no_wrap=name != widest)
    for row in found.rows:
        table.add_row(*row)
    console.print(table)
    for line in found.notes:
        console.print(line, highlight=False, soft_wrap=True)


def _run(flow: Flow[..., Any], request: RunRequest, local: LocalOptions, terminal: Terminal) -> int:
    terminal.say(f"[bold]gzjwst {__version__}[/bold] · {escape(request.profile or flow.name)} → {escape(request.out)}")
    before_stopping(stop_processes)
    find_prefect_api()
    end = run_reported(flow.with_options(task_runner=_runner(request, local)), request)
    if local.json_record:
        sys.stdout.write(end.record + "\n")
    return end.exit_code


def _runner(request: RunRequest, local: LocalOptions) -> TaskRunner[Any]:
    if local.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=local.fields_in_flight)
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProfileError("--runner dask needs the extra: pip install 'gzjwst[dask]'") from None
    if local.dask_address:
        return cast("TaskRunner[Any]", DaskTaskRunner(address=local.dask_address))
    silence_resource_trackers()
    workers = {"n_workers": request.processes, "threads_per_worker": 1, "dashboard_address": None}
    return cast("TaskRunner[Any]", DaskTaskRunner(cluster_kwargs=workers))
