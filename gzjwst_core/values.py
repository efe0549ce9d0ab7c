"""What every value is made of, and the values that any pipeline speaks in: an output file, how a unit of work ended.

A value is a strict, frozen pydantic model that becomes plain JSON: paths, sizes, digests and counts, never arrays.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

__all__ = ["Outcome", "Output", "Value", "counts_of", "digest_of"]


def digest_of(value: object, length: int = 20) -> str:
    """SHA-256 of the canonical JSON of a plain value.

    Parameters
    ----------
    value
        Anything `json.dumps` takes: dicts are sorted, so their order does not matter.
    length
        Hexadecimal digits to keep.

    Returns
    -------
    str
        Lower-case hexadecimal digest.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Value(BaseModel):
    """Base of the frozen values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self).model_validate({**{k: getattr(self, k) for k in type(self).model_fields}, **changes})


class Outcome(Value):
    """How one unit of work ended."""

    kind: Literal["done", "skipped", "failed"] = "done"
    reason: str = ""
    """Stable code of the error tree; empty when done."""
    detail: str = ""
    """One sentence for a person."""


def counts_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count how the members of a unit ended: `written`, `skipped:<reason>`, `failed:<reason>`, in order of name."""
    named = ("written" if o.kind == "done" else f"{o.kind}:{o.reason}" for o in outcomes)
    return dict(sorted(Counter(named).items()))


class Output(Value):
    """One finished file of a run folder."""

    path: str
    """Relative to the run folder."""
    size: int
    digest: str
    """Hexadecimal, by the receipt's algorithm."""
