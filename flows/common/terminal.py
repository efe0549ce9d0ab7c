"""What a person sees: one line a stage, with progress while it runs; plain lines where there is no terminal."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner

from gzjwst_core.runs.record import Missing
from gzjwst_core.runs.wording import megabytes
from gzjwst_core.transport.traffic import TRAFFIC

__all__ = ["StageLine", "Terminal"]

_QUIET_S = 20.0
_MOST_TROUBLES = 8
_RATE_OVER_S = 20.0


class StageLine:
    """The line of one stage while it runs."""

    def __init__(self, console: Console, name: str, total: int, expected_bytes: int = 0) -> None:
        self._console, self._name, self._total = console, name, total
        self._count, self._begun = 0, time.monotonic()
        self._transfer = _Transfer(expected_bytes) if expected_bytes else None

    def advance(self) -> None:
        """Count one finished task."""
        self._count += 1

    def progress(self) -> str:
        """Say how far the stage is: tasks and, where bytes take the time, bytes, their rate and the time left."""
        now = time.monotonic()
        left = self._transfer.said(now) if self._transfer else self._left(now)
        return f"{self._name:<9} {self._count}/{self._total}{left}"

    @property
    def is_over(self) -> bool:
        """Whether every task has finished."""
        return self._count >= self._total

    def finish(self, said: str, *, kept: int, failed: int) -> None:
        """Print the stage's one line."""
        done = f" · {kept} of {self._total} stood already" if kept else ""
        bad = f" · [red]{failed} failed[/red]" if failed else ""
        self._print("[red]!" if failed else "[green]✓", escape(said) + done + bad)

    def fail(self, said: str) -> None:
        """Print the line of a stage that ends the run."""
        self._print("[red]✗", f"[red]{escape(said)}[/red]")

    def _left(self, now: float) -> str:
        if not 0 < self._count < self._total:
            return ""
        return f", about {_duration((now - self._begun) / self._count * (self._total - self._count))} left"

    def _print(self, mark: str, text: str) -> None:
        seconds = time.monotonic() - self._begun
        self._console.print(
            f"{mark}[/] [bold]{self._name:<8}[/bold] {text} [dim]{seconds:.1f} s[/dim]", highlight=False
        )


class _Transfer:
    """Bytes on their way: how many of how many, how fast, how long still."""

    def __init__(self, expected: int) -> None:
        self._expected, self._first = expected, TRAFFIC.bytes
        self._seen = deque([(time.monotonic(), 0)])

    def said(self, now: float) -> str:
        came = TRAFFIC.bytes - self._first
        self._seen.append((now, came))
        while len(self._seen) > 2 and now - self._seen[1][0] > _RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = (came - before) / max(now - since, 1e-3)
        text = f" · {megabytes(came)} of {megabytes(max(self._expected, came))}"
        if rate <= 0:
            return text
        left = f", about {_duration((self._expected - came) / rate)} left" if came < self._expected else ""
        return f"{text} · {megabytes(rate)}/s{left}"


class Terminal:
    """Lines of a run.

    Parameters
    ----------
    quiet
        Print nothing but complaints.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._errors = Console(stderr=True, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line; rich markup is understood."""
        self._console.print(text, highlight=False)

    def complain(self, mark: str, text: str) -> None:
        """Print a line that is never kept quiet: a mark with rich markup, and plain text."""
        self._errors.print(f"{mark} {escape(text)}", highlight=False)

    @contextmanager
    def stage(self, name: str, total: int, expected_bytes: int = 0) -> Iterator[StageLine]:
        """Show a stage while the block runs.

        Parameters
        ----------
        name
            Of the stage.
        total
            Its tasks.
        expected_bytes
            What archives will be asked for, where that is what takes its time.
        """
        line = StageLine(self._console, name, total, expected_bytes)
        with self._live(line) if self._console.is_terminal else self._spoken(line):
            yield line

    @contextmanager
    def _live(self, line: StageLine) -> Iterator[None]:
        spinner = Spinner("dots")

        def shown() -> Spinner:
            spinner.update(text=escape(line.progress()))
            return spinner

        with Live(get_renderable=shown, console=self._console, refresh_per_second=4, transient=True):
            yield

    @contextmanager
    def _spoken(self, line: StageLine) -> Iterator[None]:
        """Say now and then how far it is, where no live line can."""
        over = threading.Event()

        def speak() -> None:
            while not over.wait(_QUIET_S):
                if not line.is_over:
                    self._console.print(line.progress(), markup=False, highlight=False)

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        try:
            yield
        finally:
            over.set()
            speaker.join()

    def troubles(self, troubles: Sequence[Missing]) -> None:
        """Name what failed, the first few."""
        for trouble in troubles[:_MOST_TROUBLES]:
            self._console.print(
                f"    {trouble.what}: {trouble.detail} ({trouble.reason})", markup=False, highlight=False
            )
        if len(troubles) > _MOST_TROUBLES:
            self._console.print(f"    … and {len(troubles) - _MOST_TROUBLES} more, all in run.json", highlight=False)


def _duration(seconds: float) -> str:
    """Seconds for a person."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
