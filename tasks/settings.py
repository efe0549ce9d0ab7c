"""Prefect's settings for our runs, set before anything imports prefect.

Every value is a default: what a user, a deployment or a server's environment says wins. Import this module first in
every file of `tasks/` and `flows/` that touches prefect.
"""

import os
import sys

__all__ = ["DEFAULTS", "apply"]

DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # a loaded machine needs more than the 20 s that a temporary server is given
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    # retrying a run must not redo what was done
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # our own lines tell a person how the run goes; Prefect's log records go to its API and UI
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "gzjwst_core",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # the recorder's defaults lose task runs of a busy flow
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


def apply() -> None:
    """Set what is not set yet.

    Raises
    ------
    RuntimeError
        Prefect was imported before, so that its settings are already read.
    """
    if "prefect" in sys.modules and not os.environ.get("DO_NOT_TRACK"):
        raise RuntimeError("tasks.settings must be imported before prefect")
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


apply()
