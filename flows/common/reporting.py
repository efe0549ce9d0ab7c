"""Prefect's API for a run from the command line: found or started, and told how the run ended, also when it is stopped.

Where no server is configured, the run starts a temporary one, which ends with the run however that ends (Prefect's own
would stay when the run is killed, and would hear the terminal's Ctrl-C before the run can report to it).
"""

import tasks.settings  # noqa: F401, I001 - before prefect

import atexit
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn, cast
from uuid import UUID

import httpx
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import refresh_global_settings_context
from prefect.exceptions import PrefectException
from prefect.flow_engine import run_flow
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_HOME,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Cancelled, Pending

from flows.common.stopping import before_stopping
from gzjwst_core.transport.redact import redact
from gzjwst_core.errors import FlowServerError
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.runs.request import RunRequest

__all__ = ["find_prefect_api", "leave", "run_reported"]

_ROOT = Path(__file__).resolve().parents[2]
_LOOPBACK = "127.0.0.1"
_STOP_S = 5.0
_ERROR = re.compile(r"^[\w.]+(?:Error|Exception): .*", re.MULTILINE)
_begun = threading.Event()
"""Set once a run has been reported."""


def find_prefect_api() -> None:
    """Make sure that runs can be reported: to the server that is configured, or to a temporary one until we exit.

    Raises
    ------
    FlowServerError
        The server does not answer, or the temporary one does not start.
    """
    logging.raiseExceptions = False  # a log record that the server does not take is no news for the terminal
    if PREFECT_API_URL.value():
        _check()
        return
    if "PREFECT_CLIENT_MAX_RETRIES" not in get_current_settings().to_environment_variables(exclude_unset=True):
        os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "2"  # once it is gone, it does not come back
    os.environ["PREFECT_API_URL"] = _temporary_server()  # for every thread, and for workers of a local Dask cluster
    refresh_global_settings_context()


def run_reported(flow: Flow[..., Any], request: RunRequest) -> RunEnd:
    """Run a flow; a stop is reported as Cancelled.

    Raises
    ------
    FlowServerError
        The server stopped answering.
    """
    parameters: dict[str, Any] = {"request": request}
    try:
        with get_client(sync_client=True) as client:
            reported = _Reported(client)
            before_stopping(reported.cancel)
            with reported.guard:
                run = client.create_flow_run(flow, parameters=flow.serialize_parameters(parameters), state=Pending())
                reported.id = run.id
            _begun.set()
            try:
                return cast("RunEnd", run_flow(flow, flow_run=run, parameters=parameters))
            finally:
                reported.id = None
    except httpx.HTTPError as error:
        raise _unanswered(error, "what is finished stands: run it again") from error


def leave(code: int) -> NoReturn:
    """End the process; where the server is gone, at once: Prefect would try for seconds to send each event left."""
    if _begun.is_set():
        quick = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: _STOP_S}
        with temporary_settings(quick), get_client(sync_client=True) as client:
            answer = client.api_healthcheck()
        if isinstance(answer, httpx.TransportError):
            sys.stderr.write("! Prefect's API does not answer any more: it does not show how this run ended\n")
            sys.stdout.flush()
            os._exit(code)
    sys.exit(code)


class _Reported:
    """A flow run that Prefect knows of."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.id: UUID | None = None
        self.guard = threading.Lock()
        """Held while Prefect is told of the run."""
        self._client = client

    def cancel(self) -> None:
        """Report that the run was stopped."""
        self.guard.acquire(timeout=_STOP_S)
        if self.id is not None:
            # neither a server that is gone nor a client that is closed (RuntimeError) keeps a run from stopping
            with suppress(httpx.HTTPError, PrefectException, RuntimeError):
                self._client.set_flow_run_state(self.id, Cancelled(message="stopped with Ctrl-C or SIGTERM"))


def _check() -> None:
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch()
    except (httpx.HTTPError, RuntimeError) as error:
        raise _unanswered(error.__cause__ or error, "start it, or unset PREFECT_API_URL") from error


def _unanswered(error: BaseException, remedy: str) -> FlowServerError:
    said = " ".join(redact(str(error)).split())
    url = redact(str(PREFECT_API_URL.value()))
    return FlowServerError(f"Prefect's API at {url} (PREFECT_API_URL) does not answer: {said}; {remedy}")


def _temporary_server() -> str:
    """Start a server and wait for it; returns its address."""
    listener, said = socket.create_server((_LOOPBACK, 0)), TemporaryFile()  # noqa: SIM115 - the server has it too
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-P", "-m", "flows.common.temporary_server", str(listener.fileno())],
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        env=_server_environment(),
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    atexit.register(_end, process)  # after what Prefect still reports: it registers later
    url = f"http://{_LOOPBACK}:{listener.getsockname()[1]}/api"
    with listener, said:
        _wait(url, process, said)
    return url


def _end(server: subprocess.Popen[bytes]) -> None:
    cast("IO[bytes]", server.stdin).close()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _server_environment() -> dict[str, str]:
    """As Prefect's own temporary server has it."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    fixed = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    errors = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR"}  # why it does not start
    return {**os.environ, **fixed, **settings, **errors, "PYTHONPATH": os.pathsep.join(paths)}


def _wait(url: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    end = time.monotonic() + float(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value())
    while process.poll() is None and time.monotonic() < end:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").is_success:
                return
        time.sleep(0.1)
    said.seek(0)
    errors = _ERROR.findall(said.read().decode(errors="replace"))
    why = redact(errors[-1]) if errors else "it takes too long" if process.poll() is None else "it ended"
    home = PREFECT_HOME.value()
    remedy = f"make room in PREFECT_HOME ({home}); if that does not help, move its prefect.db away"
    raise FlowServerError(f"Prefect's temporary server did not start: {why}; {remedy}")
