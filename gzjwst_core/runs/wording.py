"""Numbers in sentences for a person."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gzjwst_core.runs.receipts import Done

__all__ = ["counted", "megabytes", "reasons", "total", "with_total"]


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 mosaic`, `2 galaxies`, `3 matches`.

    Parameters
    ----------
    count
        The number.
    noun
        In the singular.
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {f'{noun[:-1]}ies' if noun.endswith('y') else f'{noun}es' if noun.endswith('ch') else f'{noun}s'}"


def megabytes(size: float) -> str:
    """Return a number of bytes in MB or GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def total(done: Sequence[Done], name: str) -> int:
    """Return the sum of one count over units.

    Parameters
    ----------
    done
        The units.
    name
        Of the count.
    """
    return sum(one.counts.get(name, 0) for one in done)


def reasons(done: Sequence[Done]) -> str:
    """Return what was skipped or failed in units, by reason: `, 3 failed (no_data)`; empty for nothing."""
    counts: Counter[str] = Counter()
    for one in done:
        counts.update({name: count for name, count in one.counts.items() if ":" in name})
    return "".join(f", {count} {name.replace(':', ' (')})" for name, count in sorted(counts.items()))


def with_total(parts: Mapping[str, int]) -> dict[str, int]:
    """Return counts in the order of their names, after their sum as `total`; empty where there is nothing to count."""
    return {"total": sum(parts.values()), **dict(sorted(parts.items()))} if parts else {}
