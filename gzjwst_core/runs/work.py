"""A unit of work, known by what goes into it, and the receipt that it leaves."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import JsonValue, field_validator

from gzjwst_core.values import Outcome, Output, Value, digest_of

__all__ = ["UNNAMED", "Receipt", "Transferred", "Work"]

UNNAMED = "files"
"""Name of the outputs in receipts of versions that told outputs by their position."""


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
    outputs: Mapping[str, tuple[Output, ...]] = {}
    """Files by the name that the stage gives them."""
    outcome: Outcome = Outcome()
    counts: Mapping[str, int] = {}
    """Sums of the unit, such as written, skipped:<reason>, failed:<reason>."""
    notes: Mapping[str, JsonValue] = {}
    """Small facts that later stages read (noise of a mosaic, ...)."""
    algorithm: Literal["sha256"] = "sha256"
    """Of the outputs' digests; receipts that were made before it was named mean the same."""
    seal: str = ""
    """Digest of the receipt itself, in its file alone (`storage/seal`)."""

    @field_validator("outputs", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Receipts of earlier versions hold a list."""
        return {UNNAMED: given} if isinstance(given, list | tuple) else given

    @property
    def files(self) -> Iterator[Output]:
        """Every output, in order."""
        return (output for outputs in self.outputs.values() for output in outputs)


class Transferred(Value):
    """Result of a task that reads archives."""

    bytes_moved: int = 0
    """Bytes that archives gave."""
