"""How a run ended, in Markdown: what the UI shows."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gzjwst_core.runs.record import RunEnd

__all__ = ["summary"]

_MOST_MISSING = 20


def summary(end: RunEnd, folder: str) -> str:
    """Return how a run ended: outcome, sums, what is missing, where the report is.

    Parameters
    ----------
    end
        Of the run.
    folder
        URL of the run folder.
    """
    record = json.loads(end.record)
    return "\n".join(
        [
            f"## {record['name']}: {record['outcome']} in {record['seconds']:.0f} s",
            "",
            *_sums(record["sums"]),
            *_missing(record["missing"]),
            f"Report: `{_without_secrets(folder)}/report.html`",
        ]
    )


def _sums(sums: dict[str, dict[str, int]]) -> Iterator[str]:
    if sums:
        yield from ("| what | total | of which |", "|---|---:|---|")
    for name, parts in sums.items():
        others = ", ".join(f"{count} {part}" for part, count in parts.items() if part != "total")
        yield f"| {name} | {parts['total']} | {others} |"
    yield ""


def _missing(missing: list[dict[str, Any]]) -> Iterator[str]:
    for one in missing[:_MOST_MISSING]:
        why = " as expected" if one["expected"] else ", for the checks alone" if one.get("aside") else ""
        yield f"- missing{why}: `{one['what']}` ({one['reason']})"
    if len(missing) > _MOST_MISSING:
        yield f"- and {len(missing) - _MOST_MISSING} more, all in run.json"
    yield ""


def _without_secrets(url: str) -> str:
    """Leave out a user, password or signature that an address may carry: everybody sees the UI."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
