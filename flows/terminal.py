"""What a person sees: one line a stage, with progress while it runs; plain lines where there is no terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gzjwst_core.publish.runlog import Missing

__all__ = ["StageLine", "Terminal"]

_QUIET_S = 20.0
_MOST_TROUBLES = 8


class StageLine:
    """The line of one stage while it runs."""

    def __init__(self, console: Console, name: str, total: int, status: Status | None) -> None:
        self._console, self._name, self._total, self._status = console, name, total, status
        self._count, self._begun, self._spoke = 0, time.monotonic(), time.monotonic()

    def advance(self) -> None:
        """Count one finished task; says so now and then where no live line can."""
        self._count += 1
        now = time.monotonic()
        text = f"{self._name:<9} {self._count}/{self._total}{self._left(now)}"
        if self._status is not None:
            self._status.update(text)
        elif now - self._spoke > _QUIET_S and self._count < self._total:
            self._spoke = now
            self._console.print(text, markup=False, highlight=False)

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
        return f", about {(now - self._begun) / self._count * (self._total - self._count):.0f} s left"

    def _print(self, mark: str, text: str) -> None:
        seconds = time.monotonic() - self._begun
        self._console.print(
            f"{mark}[/] [bold]{self._name:<8}[/bold] {text} [dim]{seconds:.1f} s[/dim]", highlight=False
        )


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
    def stage(self, name: str, total: int) -> Iterator[StageLine]:
        """Show a stage while the block runs."""
        if not self._console.is_terminal:
            yield StageLine(self._console, name, total, None)
            return
        with self._console.status(f"{name:<9} 0/{total}") as status:
            yield StageLine(self._console, name, total, status)

    def troubles(self, troubles: Sequence[Missing]) -> None:
        """Name what failed, the first few."""
        for trouble in troubles[:_MOST_TROUBLES]:
            self._console.print(
                f"    {trouble.what}: {trouble.detail} ({trouble.reason})", markup=False, highlight=False
            )
        if len(troubles) > _MOST_TROUBLES:
            self._console.print(f"    … and {len(troubles) - _MOST_TROUBLES} more, all in run.json", highlight=False)
