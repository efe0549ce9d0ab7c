"""Faults that the loopback archive plays on request, as values.

A `Fault` says on which route, how often and what; it turns the right reply into the wrong one. A new kind of fault is
one function in `_EFFECTS`. The book of pending faults is filled through `POST /_faults`.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gzjwst_core.sky.mast_protocol import error_answer, executing_answer
from gzjwst_core.sky.replies import MemoryContent, Reply, json_reply, whole

__all__ = ["Fault", "FaultBook", "RouteName"]

RouteName = Literal["columnsconfig", "invoke", "path_lookup", "download", "s3_object", "s3_list"]
_KILLED = "Cannot continue the execution because the session is in the kill state."


class Fault(BaseModel):
    """One thing that goes wrong, some number of times."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    route: RouteName
    do: Literal["status", "html", "executing", "error", "drop", "reset", "truncate", "stall", "ignore_range", "headers"]
    """`status` another status; `html` a page with 200; `executing`, `error` MAST's own words; `drop` closes without an
    answer; `truncate` closes after `at_byte`, `reset` resets there; `stall` waits `seconds` there and goes on;
    `ignore_range` answers 200 to a range; `headers` changes headers only."""
    times: int = Field(default=1, ge=1)
    """How many requests it meets."""
    skip: int = Field(default=0, ge=0)
    """How many requests that it could meet it lets pass first."""
    method: Literal["", "GET", "HEAD", "POST"] = ""
    """Empty = any."""
    match: str = ""
    """Text that the request's target must hold."""
    status: int = Field(default=503, ge=300, le=599)
    headers: dict[str, str | None] = {}
    """Headers to set, on any fault; None leaves one out."""
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    at_byte: int = -1
    """Bytes of the body that are still sent; -1 = none, not even the head."""

    def meets(self, route: str, method: str, target: str) -> bool:
        """Whether a request is one of those that this fault is for."""
        return self.route == route and self.method in {"", method} and self.match in target

    def spoil(self, reply: Reply) -> Reply:
        """Turn the right reply into the faulty one."""
        return _EFFECTS[self.do](self, reply).with_headers(self.headers)


def _status(fault: Fault, _: Reply) -> Reply:
    body = MemoryContent(f"<html><body>{fault.status}</body></html>".encode())
    return whole(body, "text/html", fault.status)


def _html(_fault: Fault, _: Reply) -> Reply:
    return whole(MemoryContent(b"<html><body>Down for maintenance</body></html>"), "text/html")


_EFFECTS: dict[str, Callable[[Fault, Reply], Reply]] = {
    "status": _status,
    "html": _html,
    "executing": lambda fault, _: replace(
        # the client asks again at once, so a pause keeps it from spinning
        json_reply(executing_answer()),
        pause_at=-1,
        pause_seconds=fault.seconds or 0.05,
    ),
    "error": lambda _fault, _: json_reply(error_answer(_KILLED)),
    "drop": lambda _fault, reply: replace(reply, cut_at=-1),
    "reset": lambda fault, reply: replace(reply, cut_at=fault.at_byte, reset=True),
    "truncate": lambda fault, reply: replace(reply, cut_at=max(0, fault.at_byte)),
    "stall": lambda fault, reply: replace(reply, pause_at=fault.at_byte, pause_seconds=fault.seconds),
    "ignore_range": lambda _fault, reply: reply,
    "headers": lambda _fault, reply: reply,
}


class FaultBook:
    """The faults still to come; each request takes at most one, the oldest that meets it."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, text: bytes) -> int:
        """Add one fault or a list of them, given as JSON.

        Returns
        -------
        int
            How many are pending now.

        Raises
        ------
        pydantic.ValidationError
            The JSON is no fault; the message names the key.
        """
        many = text.lstrip().startswith(b"[")
        faults = _FAULTS.validate_json(text) if many else [Fault.model_validate_json(text)]
        with self._lock:
            self._pending.extend(faults)
            return len(self._pending)

    def pending(self) -> list[Fault]:
        """Return the faults still to come."""
        with self._lock:
            return list(self._pending)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._pending.clear()

    def take(self, route: str, method: str, target: str) -> Fault | None:
        """Return the fault that meets this request, if any, and count it."""
        with self._lock:
            for index, fault in enumerate(self._pending):
                if fault.meets(route, method, target):
                    self._pending[index : index + 1] = _counted(fault)
                    if fault.skip == 0:
                        return fault
        return None


_FAULTS = TypeAdapter(list[Fault])


def _counted(fault: Fault) -> list[Fault]:
    """Return what is left of a fault after one more request."""
    if fault.skip:
        return [fault.model_copy(update={"skip": fault.skip - 1})]
    return [fault.model_copy(update={"times": fault.times - 1})] if fault.times > 1 else []
