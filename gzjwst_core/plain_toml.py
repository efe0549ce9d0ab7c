"""TOML that people wrote, as plain data: any usual encoding of theirs, and no more of it than a profile can need."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gzjwst_core.errors import ProfileError

__all__ = ["DEEPEST", "MAX_BYTES", "TooMuch", "read_toml", "read_toml_value", "too_much"]

DEEPEST = 16
"""Sections, lists and dotted keys inside one another."""
MAX_BYTES = 1_000_000
"""Of a file."""
_MOST_VALUES, _MOST_KEYS, _LONGEST_LIST, _LONGEST_TEXT, _LONGEST_KEY = 50_000, 1000, 5000, 10_000, 200
_LARGEST = 2**63
_UTF16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# tomllib takes a time that grows with the square of a dotted key's parts
_DOTTED = re.compile(r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII)
_LONG_NUMBER = re.compile(r"\d[\d_]{4299,}", re.ASCII)


class TooMuch(NamedTuple):
    """A value that no profile may hold."""

    key: tuple[str, ...]
    """Its place: names of sections and keys, numbers of list members."""
    said: str
    """What it is, and what is allowed."""


def read_toml(data: bytes, source: str) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    data
        Its bytes: UTF-8, with or without a byte order mark, with line ends of any system.
    source
        Its name for messages.

    Raises
    ------
    ProfileError
        It is too large, of another encoding, or not TOML; names the line where the reader knows it.
    """
    if len(data) > MAX_BYTES:
        raise ProfileError(f"{source}: {len(data)} bytes is too large for a profile (at most {MAX_BYTES})")
    if data.startswith(_UTF16_OR_32) or b"\0" in data:
        raise ProfileError(f"{source}: not UTF-8 text (UTF-16 or binary): save it as UTF-8")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError(f"{source}: line {line}: not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    return _parsed(text, source)


def read_toml_value(text: str, source: str) -> Any:
    """Read one value as TOML writes it; what is none is taken as text, so that `survey.name=deep` needs no quotes.

    Raises
    ------
    ProfileError
        It is nested too deeply, or a number too long to be read.
    """
    try:
        found = _parsed(f"value = {text}", source)
    except _NotTomlError:
        return text
    return found["value"] if len(found) == 1 else text


class _NotTomlError(ProfileError):
    """The text follows no rule of TOML."""


def _parsed(text: str, source: str) -> dict[str, Any]:
    if (dotted := _DOTTED.search(text)) is not None:
        raise ProfileError(f"{_at(text, dotted.start(), source)}: a key of too many parts (at most {DEEPEST})")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _NotTomlError(f"{source}: not TOML: {_one_line(str(error))}") from None
    except RecursionError:
        raise ProfileError(f"{source}: nested too deeply (at most {DEEPEST} levels)") from None
    except ValueError as error:  # Python reads no integer of more digits
        found = _LONG_NUMBER.search(text)
        where = _at(text, found.start(), source) if found else source
        said = f"an integer of {len(found[0])} digits (allowed: 64 bit, at most 19)" if found else _one_line(str(error))
        raise ProfileError(f"{where}: {said}") from None


def _at(text: str, place: int, source: str) -> str:
    """Name the line, and what stands before its `=`."""
    start = text.rfind("\n", 0, place) + 1
    key, sign, _ = text[start : place + 1].partition("=")
    return f"{source}: line {text.count(chr(10), 0, place) + 1}{f': {_one_line(key)}' if sign else ''}"


def _one_line(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= _LONGEST_KEY else f"{said[:_LONGEST_KEY]}..."


def too_much(data: Mapping[str, Any]) -> TooMuch | None:
    """Find the first value that no profile may hold: too long, too deep, too many, or a number beyond what is counted.

    Parameters
    ----------
    data
        Sections as TOML gives them.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), data)]
    seen = 0
    while waiting:
        key, value = waiting.pop()
        seen += 1
        said = _fault(value) if seen <= _MOST_VALUES else f"more than {_MOST_VALUES} values in one profile"
        if not said and len(key) > DEEPEST:
            said = f"nested too deeply (at most {DEEPEST} levels)"
        if said:
            return TooMuch(tuple(part[:_LONGEST_KEY] for part in key[:DEEPEST]), said)
        if isinstance(value, Mapping):
            waiting += [((*key, str(name)), inner) for name, inner in reversed(list(value.items()))]
        elif isinstance(value, list | tuple):
            waiting += [((*key, str(place)), value[place]) for place in reversed(range(len(value)))]
    return None


def _fault(value: Any) -> str:
    """Say what is wrong with one value, its members aside; empty where it is right."""
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, Mapping):
        if len(value) > _MOST_KEYS:
            return f"{len(value)} keys (at most {_MOST_KEYS})"
        return next((f"key: {said}" for name in value if (said := _text_fault(str(name), _LONGEST_KEY))), "")
    if isinstance(value, Sequence):
        return f"{len(value)} members (at most {_LONGEST_LIST})" if len(value) > _LONGEST_LIST else ""
    if isinstance(value, int):
        return "" if -_LARGEST <= value < _LARGEST else "an integer beyond 64 bit (allowed: -2^63 to 2^63 - 1)"
    return "must be a finite number" if isinstance(value, float) and not math.isfinite(value) else ""


def _text_fault(text: str, most: int = _LONGEST_TEXT) -> str:
    if len(text) > most:
        return f"{len(text)} characters (at most {most})"
    return "holds a NUL character" if "\0" in text else ""
