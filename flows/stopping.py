"""How a run is stopped: Ctrl-C, or the SIGTERM of a batch system, at any moment from its first line on.

The work is done in a thread while the main thread waits for it: there, where Python delivers signals, no lock is held
and nothing is half done. A stop tells who has to know and leaves at once: what is finished stands, and half-written
files have no name yet. Standard library alone: this comes before all imports that take time.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

__all__ = ["STOPPED", "before_stopping", "interruptible", "listen"]

STOPPED = 130
"""Exit code of a run that was stopped."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAID = "✗ stopped; what was finished stands: run it again to go on\n"
_SHOW_CURSOR = "\x1b[?25h\n"
_LONGEST_S = 6.0
_before: list[Callable[[], object]] = []


def listen() -> None:
    """Take Ctrl-C and SIGTERM from here on."""
    _answer(_stop)


def before_stopping(tell: Callable[[], object]) -> None:
    """Have something done before a stopped run leaves: the last is done first, all of it within seconds."""
    _before.insert(0, tell)


def interruptible(work: Callable[[], int]) -> int:
    """Do the work in a thread; returns its exit code."""
    with ThreadPoolExecutor(1, initializer=_leave_ctrl_c_to_the_main_thread) as thread:
        code = thread.submit(work).result()
    _answer(lambda *_: os._exit(code))  # it is over: nothing is left to be stopped
    return code


def _answer(how: Callable[[int, object], None]) -> None:
    for number in _SIGNALS:
        signal.signal(number, how)


def _leave_ctrl_c_to_the_main_thread() -> None:
    """Keep it from the processes that the work starts: they inherit what its threads do not listen to."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _stop(_signal: int, _frame: object) -> None:
    _answer(lambda *_: os._exit(STOPPED))  # asked twice
    late = threading.Timer(_LONGEST_S, os._exit, (STOPPED,))
    late.daemon = True
    late.start()
    with suppress(OSError):  # nobody reads it
        os.write(2, ((_SHOW_CURSOR if sys.stderr.isatty() else "") + _SAID).encode())
    for tell in _before:
        tell()
    os._exit(STOPPED)
