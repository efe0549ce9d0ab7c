"""The command line of a run: options, exit codes, the child process of a synthetic sky.

Exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, 130 stopped with
Ctrl-C.
"""

import tasks.settings  # noqa: F401, I001 - before prefect

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from prefect import Flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import ValidationError
from rich.markup import escape

from flows.dry_run import dry_run
from flows.terminal import Terminal
from gzjwst_core import __version__
from gzjwst_core.engine import stop_processes
from gzjwst_core.errors import BudgetError, GzJwstError, ProfileError
from gzjwst_core.profile import profile_names
from gzjwst_core.publish.stages import RunEnd
from gzjwst_core.request import STAGES, RunRequest, start
from gzjwst_core.run import Run
from gzjwst_core.sky.standin import archives_stand_in, needs_archive

__all__ = ["main", "parse"]

_EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 usage or profile error, 3 refused by budget (disk), 4 done in part, 130 stopped"
)
_FAILED, _USAGE, _BUDGET, _STOPPED = 1, 2, 3, 130
_STOPPED_SAID = "stopped; what was finished stands: run it again to go on"


def main(flow: Flow[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given)
    terminal = Terminal(quiet=options.quiet)
    try:
        request = _request(options)
        run = start(request)
        if needs_archive(run):
            return _with_archive(run, given, terminal)
        if options.dry_run:
            return dry_run(run, terminal, as_json=options.json)
        return _run(flow, request, options, terminal)
    except GzJwstError as error:
        terminal.complain("[red]✗[/red]", str(error))
        return _USAGE if isinstance(error, ProfileError) else _BUDGET if isinstance(error, BudgetError) else _FAILED
    except KeyboardInterrupt:
        terminal.complain("[red]✗[/red]", _STOPPED_SAID)
        return _STOPPED


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


def _with_archive(run: Run, arguments: list[str], terminal: Terminal) -> int:
    """Serve the synthetic sky, and run the same command in a child process that sees it."""
    terminal.say(f"[dim]synthetic sky of {run.profile.name}: making or checking it …[/dim]")
    script = Path(__file__).with_name("run_survey.py")
    command = [sys.executable, str(script), *arguments]
    with archives_stand_in(run) as environment, subprocess.Popen(command, env=environment) as child:  # noqa: S603 - ours
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        with suppress(KeyboardInterrupt):  # the child has said so already
            return child.wait()
        child.wait()
    return _STOPPED


def _run(flow: Flow[..., Any], request: RunRequest, options: argparse.Namespace, terminal: Terminal) -> int:
    terminal.say(f"[bold]gzjwst {__version__}[/bold] · {escape(request.profile)} → {escape(request.out)}")
    for how in (signal.SIGINT, signal.SIGTERM):
        signal.signal(how, partial(_stop, terminal))
    with _one_server(local_dask=options.runner == "dask" and not options.dask_address):
        end = cast("RunEnd", flow.with_options(task_runner=_runner(request, options))(request))
    if options.json:
        sys.stdout.write(end.record + "\n")
    return end.exit_code


def _stop(terminal: Terminal, _signal: int, _frame: object) -> None:
    """End at once, on Ctrl-C or when a batch system asks for it.

    What is finished stands, and half-written files have no name yet.

    Prefect would first try for minutes to report to its temporary server, which the same Ctrl-C has ended.
    """
    terminal.give_back()
    terminal.complain("[red]✗[/red]", _STOPPED_SAID)
    stop_processes()
    servers = sys.modules.get("prefect.server.api.server")  # seconds to import, and most runs never start a server
    for server in servers.SubprocessASGIServer._instances.values() if servers else ():  # noqa: SLF001 - its only list
        if server.server_process is not None:
            server.server_process.kill()
    os._exit(_STOPPED)


def _runner(request: RunRequest, options: argparse.Namespace) -> TaskRunner[Any]:
    if options.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=request.fields_in_flight)
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProfileError("--runner dask needs the extra: pip install 'gzjwst[dask]'") from None
    if options.dask_address:
        return cast("TaskRunner[Any]", DaskTaskRunner(address=options.dask_address))
    workers = {"n_workers": request.processes, "threads_per_worker": 1, "dashboard_address": None}
    return cast("TaskRunner[Any]", DaskTaskRunner(cluster_kwargs=workers))


@contextmanager
def _one_server(*, local_dask: bool) -> Iterator[None]:
    """Let the workers of a local Dask cluster share this process's temporary server: each would start its own."""
    if not local_dask or PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - a heavy import that few runs need

    server = SubprocessASGIServer()
    server.start()
    os.environ["PREFECT_API_URL"] = server.api_url  # workers inherit it; this process ends with the run
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield
