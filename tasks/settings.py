"""Prefect's settings for our runs, set before anything imports prefect.

Every value is a default: what a user, a deployment or a server's environment says wins. Import this module first in
every file of `tasks/` and `flows/` that touches prefect. Where prefect comes first by nature (a worker's process, a
Dask worker) they come from outside: deployments carry `FOR_RUNS` in their job variables, Dask inherits them.
"""

import logging
import os

__all__ = ["DEFAULTS", "FOR_RUNS", "apply"]

FOR_RUNS = {
    "DO_NOT_TRACK": "1",
    # retrying a run must not redo what was done
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "gzjwst_core",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""What every run needs, also one that a worker starts."""

_ON_THIS_MACHINE = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # a loaded machine needs more than the 20 s that a temporary server is given
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    # our own lines tell a person how the run goes; Prefect's log records go to its API and UI
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # of a server that is gone, one line is enough (flows/reporting)
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # the recorder's defaults lose task runs of a busy flow
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}

DEFAULTS = FOR_RUNS | _ON_THIS_MACHINE


def apply() -> None:
    """Set what is not set yet, and let the core's progress reach Prefect's log (a logger of no level drops it)."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    core = logging.getLogger("gzjwst_core")
    if core.level == logging.NOTSET:
        core.setLevel(logging.INFO)


apply()
