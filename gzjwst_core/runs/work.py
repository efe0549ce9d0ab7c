"""A unit of work, known by what goes into it, and the receipt that it leaves."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from gzjwst_core.values import Outcome, Output, Value, digest_of

__all__ = ["Receipt", "Work"]


class Work(Value):
    """One unit of work, known by what goes into it.

    The key holds the stage and its version, the unit, the identities of the inputs and the digest of just the options
    the stage reads; never a path, port, output folder or number of workers.
    """

    stage: str
    version: str
    unit: str
    inputs: Mapping[str, str]
    options: str

    @property
    def key(self) -> str:
        """Name of the receipt, and Prefect's cache key without its nonce."""
        parts = {
            "stage": self.stage,
            "version": self.version,
            "inputs": dict(self.inputs),
            "options": self.options,
        }
        return f"{self.unit}-{digest_of(parts)}"


class Receipt(Value):
    """The record of one finished unit: the truth that a second run reads."""

    stage: str
    version: str
    unit: str
    key: str
    inputs: Mapping[str, str]
    options: str
    outputs: tuple[Output, ...] = ()
    outcome: Outcome = Outcome()
    counts: Mapping[str, int] = {}
    """Sums of the unit, such as written, skipped:<reason>, failed:<reason>."""
    notes: Mapping[str, JsonValue] = {}
    """Small facts that later stages read (noise of a mosaic, ...)."""
    algorithm: Literal["sha256"] = "sha256"
    """Of the outputs' digests; receipts that were made before it was named mean the same."""
    seal: str = ""
    """Digest of the receipt itself, in its file alone (`storage/seal`)."""
