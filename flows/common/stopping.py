"""How a run is stopped: Ctrl-C, or the SIGTERM of a batch system, at any moment from its first line on.

Every thread blocks both signals but one, which waits for them. (A handler would run in the main thread alone, and not
before that thread wakes: where the system gives the signal to another thread, the run would go on.) A stop tells who
has to know and leaves at once: what is finished stands, and half-written files have no name yet. Standard library
alone: this comes before all imports that take time.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["STOPPED", "before_stopping", "listen"]

STOPPED = 130
"""Exit code of a run that was stopped."""
_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_SAID = "✗ stopped; what was finished stands: run it again to go on\n"
_SHOW_CURSOR = "\x1b[?25h\n"
_LONGEST_S = 6.0
_before: list[Callable[[], object]] = []


def listen() -> None:
    """Take Ctrl-C and SIGTERM from here on: call it before any other thread starts.

    Processes that the run starts inherit what it blocks: its end is theirs.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=_wait, daemon=True).start()


def before_stopping(tell: Callable[[], object]) -> None:
    """Have something done before a stopped run leaves: the last is done first, all of it within seconds."""
    _before.insert(0, tell)


def _wait() -> None:
    signal.sigwait(_SIGNALS)
    late = threading.Timer(_LONGEST_S, os._exit, (STOPPED,))
    for thread in (late, threading.Thread(target=_stop)):
        thread.daemon = True
        thread.start()
    signal.sigwait(_SIGNALS)  # asked twice: at once
    os._exit(STOPPED)


def _stop() -> None:
    try:
        with suppress(OSError):  # nobody reads it
            os.write(2, ((_SHOW_CURSOR if sys.stderr.isatty() else "") + _SAID).encode())
        for tell in _before:
            tell()
    finally:
        os._exit(STOPPED)
