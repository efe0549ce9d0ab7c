"""`python -m gzjwst_core cache show|clear`: what the mosaic cache holds, and emptying it.

Here is only how it is said; what may be removed, and how, is the cache's business.
"""

import argparse
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gzjwst_core.cache.entries import Item, Kind
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ProfileError
from gzjwst_core.paths import default_cache

__all__ = ["add_cache_verbs"]

_Verb = Callable[[argparse.Namespace], list[str]]
_WITHOUT_ADDRESS = {"body": "a body that is on its way", "unfinished": "left over"}
_DAY_S = 24 * 3600.0


def add_cache_verbs(to: Any) -> None:
    """Add `cache` and its actions to the parser's verbs."""
    cache = to.add_parser("cache", help="the mosaic cache").add_subparsers(required=True, metavar="ACTION")
    show = _add(cache, "show", "list what it holds", _show)
    show.add_argument("--json", action="store_true", help="as JSON")
    clear = _add(cache, "clear", "empty it, but for what a run holds right now", _clear)
    clear.add_argument(
        "--older-than", type=_days, default=0.0, metavar="DAYS", help="only what was not read, and did not come, since"
    )
    clear.add_argument("--all", action="store_true", help="also the digests of files on mounted volumes")


def _add(to: Any, name: str, said: str, verb: _Verb) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = to.add_parser(name, help=said, description=said)
    parser.add_argument("--cache", default="", metavar="DIR", help="folder of the cache")
    parser.set_defaults(verb=verb)
    return parser


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of days, 0 or more")
    return days


def _cache(options: argparse.Namespace) -> MosaicCache:
    return MosaicCache(Path(options.cache or default_cache()))


def _show(options: argparse.Namespace) -> list[str]:
    cache = _cache(options)
    held, items, budget = cache.held(), cache.items(), _budget()
    rows = [_row(item, held=item.key in held) for item in sorted(items, key=_by_address)]
    size = sum(item.size for item in items)
    if options.json:
        facts = {"folder": str(cache.folder), "bytes": size, "budget_bytes": budget, "items": rows}
        return [json.dumps(facts, indent=1)]
    count = sum(item.entry is not None for item in items)
    limit = "" if budget is None else f" of {budget / 1e9:.2f} GB"
    return [*map(_line, rows), f"{count} mosaics, {size / 1e9:.2f} GB{limit} in {cache.folder}"]


def _budget() -> int | None:
    text = os.environ.get("GZJWST_CACHE_GB", "")
    try:
        return round(float(text or "0") * 1e9) or None
    except (ValueError, OverflowError):
        raise ProfileError(f"GZJWST_CACHE_GB={text}: must be a number of GB") from None


def _row(item: Item, *, held: bool) -> dict[str, Any]:
    entry = item.entry
    return {
        "key": item.key,
        "kind": item.kind.name.lower(),
        "bytes": item.size,
        "checked": entry.checked if entry else "",
        "last_used": _date(item) if item.kind is Kind.USED else "",
        "came": _date(item) if item.kind is not Kind.USED else "",
        "held": held,
        "uri": entry.uri if entry else "",
    }


def _date(item: Item) -> str:
    return datetime.fromtimestamp(item.changed_ns / 1e9, UTC).isoformat(timespec="seconds")


def _line(row: dict[str, Any]) -> str:
    when = row["last_used"][:16].replace("T", " ") or "not read yet"
    what = row["uri"] or f"{_WITHOUT_ADDRESS[row['kind']]} ({row['key']})"
    return f"{row['bytes'] / 1e6:9.1f} MB  {row['checked']:9}  {when:16}  {'held' if row['held'] else '':4}  {what}"


def _clear(options: argparse.Namespace) -> list[str]:
    cache, days = _cache(options), options.older_than
    gone, left = cache.clear(lambda item: not days or item.age_s() >= days * _DAY_S)
    if options.all:
        cache.digests.clear()
    count = sum(item.entry is not None for item in gone)
    size = sum(item.size for item in gone)
    said = [f"{_name(item)}: left, since a run needs it right now" for item in left]
    return [*said, f"{count} mosaics removed ({size / 1e9:.2f} GB) from {cache.folder}"]


def _name(item: Item) -> str:
    return item.entry.uri if item.entry else item.key


def _by_address(item: Item) -> tuple[bool, str, str]:
    return item.entry is None, _name(item), item.key
