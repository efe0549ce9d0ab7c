"""The command line of a run: options and exit codes.

Exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, 130 stopped with
Ctrl-C or SIGTERM.
"""

import tasks.settings  # noqa: F401, I001 - before prefect

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from prefect import Flow
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import ValidationError
from rich.markup import escape

from flows.survey.dry_run import dry_run
from flows.common.reporting import find_prefect_api, run_reported
from flows.common.stopping import STOPPED, before_stopping
from flows.common.terminal import Terminal
from gzjwst_core import __version__
from gzjwst_core.runs.engine import silence_resource_trackers, stop_processes
from gzjwst_core.errors import BudgetError, GzJwstError, ProfileError
from gzjwst_core.survey.profile import profile_names
from gzjwst_core.survey.request import STAGES, RunRequest, start
from gzjwst_core.survey.synthetic_archive import archives_stand_in, needs_archive

__all__ = ["main", "parse"]

_EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, "
    f"{STOPPED} stopped"
)
_FAILED, _USAGE, _BUDGET = 1, 2, 3


def main(flow: Flow[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    terminal = Terminal(quiet=options.quiet)
    try:
        request = _request(options)
        run = start(request)
        if needs_archive(run):
            terminal.say(f"[dim]synthetic sky of {run.profile.name}: making or checking it …[/dim]")
        with archives_stand_in(run):
            if options.dry_run:
                return dry_run(run, terminal, as_json=options.json)
            return _run(flow, request, options, terminal)
    except GzJwstError as error:
        terminal.complain("[red]✗[/red]", str(error))
        return _USAGE if isinstance(error, ProfileError) else _BUDGET if isinstance(error, BudgetError) else _FAILED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="run_survey.py",
        description="Find, read, catalog, cut out, colour and hand over the galaxies of one JWST survey.",
        epilog=_EXIT_CODES,
    )
    add: Callable[..., Any] = parser.add_argument
    add("profile", nargs="?", default="demo", help=f"{', '.join(profile_names())}, or the path of a TOML file")
    add("--out", metavar="URL", help="folder or fsspec URL that gets the survey's folder (default: runs)")
    add("--cache", metavar="DIR", help="local folder of the mosaic cache")
    add("--cache-gb", type=float, metavar="GB", help="what the cache may hold (default: what its disk gives)")
    add("--bands", metavar="B,B", help="only these bands")
    add("--fields", metavar="F,F", help="only these fields")
    add("--limit", type=int, metavar="N", help="at most N fields")
    add("--until", choices=STAGES, help="last stage to run")
    add("--catalog", metavar="FILE", help="cut out the targets of this table instead of detecting sources")
    add("--ids-from", metavar="FILE", help="carry the names of an earlier release's catalog over, by position")
    add("--dry-run", action="store_true", help="say what a run would read and write; writes nothing")
    add("--offline", action="store_true", help="ask no archive: the run folder's lists and the cache must do")
    add("--workers", type=int, metavar="N", help="CPU processes (default: one for each core)")
    add("--fields-in-flight", type=int, metavar="N", help="units under way at once (default: 4)")
    add("--runner", choices=("threads", "dask"), default="threads", help="where tasks run")
    add("--dask-address", metavar="URL", help="scheduler of a Dask cluster that is up (default: a local one)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any key of the profile, e.g. detect.threshold=2",
    )
    add("--json", action="store_true", help="print the run's record as JSON on standard output")
    add("--quiet", action="store_true", help="print nothing but errors and JSON")
    add("--version", action="version", version=f"gzjwst {__version__}")
    return parser.parse_args(arguments)


def _request(options: argparse.Namespace) -> RunRequest:
    environment = {"out": "GZJWST_OUT", "workers": "GZJWST_WORKERS", "cache_gb": "GZJWST_CACHE_GB"}
    values: dict[str, Any] = {key: os.environ[name] for key, name in environment.items() if name in os.environ}
    for key in (
        "profile",
        "out",
        "cache",
        "cache_gb",
        "limit",
        "until",
        "catalog",
        "ids_from",
        "offline",
        "workers",
        "fields_in_flight",
        "quiet",
    ):
        if getattr(options, key) is not None:
            values[key] = getattr(options, key)
    for key in ("bands", "fields"):
        if getattr(options, key):
            values[key] = tuple(part.strip() for part in getattr(options, key).split(","))
    values["overrides"] = tuple(options.set)
    if options.dask_address and options.runner != "dask":
        raise ProfileError("--dask-address: goes with --runner dask")
    try:
        return RunRequest(**values)
    except ValidationError as error:
        said = "; ".join(f"--{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise ProfileError(said.replace("_", "-")) from None


def _run(flow: Flow[..., Any], request: RunRequest, options: argparse.Namespace, terminal: Terminal) -> int:
    terminal.say(f"[bold]gzjwst {__version__}[/bold] · {escape(request.profile)} → {escape(request.out)}")
    before_stopping(stop_processes)
    find_prefect_api()
    end = run_reported(flow.with_options(task_runner=_runner(request, options)), request)
    if options.json:
        sys.stdout.write(end.record + "\n")
    return end.exit_code


def _runner(request: RunRequest, options: argparse.Namespace) -> TaskRunner[Any]:
    if options.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=request.fields_in_flight)
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProfileError("--runner dask needs the extra: pip install 'gzjwst[dask]'") from None
    if options.dask_address:
        return cast("TaskRunner[Any]", DaskTaskRunner(address=options.dask_address))
    silence_resource_trackers()
    workers = {"n_workers": request.processes, "threads_per_worker": 1, "dashboard_address": None}
    return cast("TaskRunner[Any]", DaskTaskRunner(cluster_kwargs=workers))
