"""Paths that people write: `~`, variables of the environment, and patterns that several files answer to."""

import os
import re
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

import platformdirs

from gzjwst_core.errors import ProfileError

__all__ = ["default_cache", "expanded", "files_at"]

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^}]*)\})", re.ASCII)


def default_cache() -> Path:
    """Folder of the mosaic cache where none is named: the environment's, or the user's own on the local disk."""
    return Path(os.environ.get("GZJWST_CACHE") or platformdirs.user_cache_path("gzjwst", appauthor=False))


def expanded(text: str, key: str, folder: str | os.PathLike[str] = "") -> str:
    """Put the home folder for a leading `~` and its value for each `$NAME` and `${NAME}`.

    Parameters
    ----------
    text
        A path, a pattern or an address; one that is there as it is written stays so.
    key
        Where it was given, for messages.
    folder
        Where a relative path starts.

    Raises
    ------
    ProfileError
        A variable is not set.
    """
    if os.path.lexists(Path(folder) / text):
        return text

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise ProfileError(f"{key}: {text!r} names the variable {name!r}, which is not set")
        return os.environ[name]

    return os.path.expanduser(_VARIABLE.sub(value, text))  # noqa: PTH111 - Path's raises where there is no such user


def files_at(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a path or pattern names, sorted.

    Parameters
    ----------
    path
        Each part of it that is there as it is written is taken so, whatever characters it holds; only then are `*`,
        `?`, `[...]` and, for folders at any depth, `**` read as a pattern.

    Returns
    -------
    list of Path
        Empty where there is none.
    """
    whole = Path(path)
    return sorted(set(_matching(Path(whole.anchor), whole.relative_to(whole.anchor).parts)))


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        if os.path.isfile(folder):  # noqa: PTH113 - Path's raises where a name is too long
            yield folder
        return
    first, *rest = parts
    if os.path.lexists(folder / first):
        names = [first]
    elif first == "**":
        names, rest = [".", *_glob("**/", folder)], rest or ["*"]
    else:
        names = _glob(first, folder)
    for name in names:
        yield from _matching(folder / name, rest)


def _glob(pattern: str, folder: Path) -> list[str]:
    return glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - Path's takes hidden files too
