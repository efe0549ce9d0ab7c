"""Harm to the disks of this machine, played by patching: a call on a path below some folder fails, as the system says.

A `Harm` says what fails, with which error and from when on. Only files below the folder are met, so that the loopback
archive in this process goes on serving.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from unittest import mock

__all__ = ["Harm", "suffered"]

At = Literal["open", "read", "write", "fsync", "replace", "mkdir", "stat", "os_open", "usage"]


@dataclass
class Harm:
    """One thing that fails."""

    at: At
    code: int
    """errno."""
    match: str = ""
    """Text that the path must hold."""
    after: int = 0
    """Bytes that are still read or written, or calls that still succeed."""
    times: int = 1_000
    """How often it fails."""
    met: int = field(default=0, compare=False)

    def strikes(self, path: object, amount: int = 1) -> bool:
        """Count a call on a path, and tell whether it fails."""
        if self.match not in str(path) or self.times <= 0:
            return False
        self.met += amount
        if self.met <= self.after:
            return False
        self.times -= 1
        return True

    def error(self, path: object) -> OSError:
        """Return what the system says."""
        return OSError(self.code, os.strerror(self.code), str(path))


@contextmanager
def suffered(harm: Harm | None, root: Path) -> Iterator[None]:
    """Play a harm below a folder."""
    with ExitStack() as patches:
        if harm is not None:
            for target, name, replacement in _PATCHES[harm.at](harm, str(root)):
                patches.enter_context(mock.patch.object(target, name, replacement))
        yield


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


class _Harmed:
    """A file whose reads or writes fail."""

    def __init__(self, file: Any, harm: Harm, path: Path) -> None:
        self._file, self._harm, self._path = file, harm, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def read(self, *size: int) -> Any:
        data = self._file.read(*size)
        if self._harm.at == "read" and self._harm.strikes(self._path, len(data)):
            raise self._harm.error(self._path)
        return data

    def write(self, data: Any) -> Any:
        if self._harm.at == "write" and self._harm.strikes(self._path, len(data)):
            raise self._harm.error(self._path)
        return self._file.write(data)


Patch = tuple[Any, str, Callable[..., Any]]


def _of_path(name: str) -> Callable[[Harm, str], list[Patch]]:
    """Patch a method of `Path`."""
    right: Callable[..., Any] = getattr(Path, name)

    def patches(harm: Harm, root: str) -> list[Patch]:
        def failing(self: Path, *args: Any, **options: Any) -> Any:
            if str(self).startswith(root) and harm.strikes(self):
                raise harm.error(self)
            return right(self, *args, **options)

        return [(Path, name, failing)]

    return patches


def _files(harm: Harm, root: str) -> list[Patch]:
    """Patch what `Path.open` gives."""
    right = Path.open

    def opened(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = right(self, mode, *args, **options)
        wanted = str(self).startswith(root) and (harm.at == "read" or mode.strip("bt") != "r")
        return _Harmed(file, harm, self) if wanted else file

    return [(Path, "open", opened)]


def _fsync(harm: Harm, _root: str) -> list[Patch]:
    right = os.fsync

    def failing(descriptor: int) -> None:
        if harm.strikes("any file: only our writers sync"):
            raise harm.error("")
        right(descriptor)

    return [(os, "fsync", failing)]


def _os_open(harm: Harm, root: str) -> list[Patch]:
    right = os.open

    def failing(path: Any, *args: Any, **options: Any) -> int:
        if str(path).startswith(root) and harm.strikes(path):
            raise harm.error(path)
        return right(path, *args, **options)

    return [(os, "open", failing)]


def _usage(harm: Harm, root: str) -> list[Patch]:
    right = shutil.disk_usage

    def nearly_full(path: Any) -> Any:
        if not str(path).startswith(root) or not harm.strikes(path):
            return right(path)
        return _Usage(1 << 40, (1 << 40) - 4096, 4096)

    return [(shutil, "disk_usage", nearly_full)]


_PATCHES: dict[str, Callable[[Harm, str], list[Patch]]] = {
    "open": _of_path("open"),
    "mkdir": _of_path("mkdir"),
    "stat": _of_path("stat"),
    "replace": _of_path("replace"),
    "read": _files,
    "write": _files,
    "fsync": _fsync,
    "os_open": _os_open,
    "usage": _usage,
}
