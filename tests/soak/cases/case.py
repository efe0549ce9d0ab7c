"""One case of the matrix."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.harms import Harm
from tests.soak.world import World

__all__ = ["EVER", "ROUTES", "Case", "Faults", "get", "nothing", "on"]

EVER = 999
ROUTES = {"mast": "download", "s3": "s3_object", "directory": "s3_object"}
Faults = tuple[Mapping[str, Any], ...]


def nothing(_world: World, _cache: Path) -> AbstractContextManager[object]:
    """Hold nothing."""
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is done, and how it must end."""

    fault: str
    """Its id in the list of faults: `N1`, `S4`, ..."""
    what: str
    where: str
    """Archives, in the order they are asked; or `query`."""
    ends: str
    """`right` bytes; `unproven` ones, recorded as such; `missing/<reason>`, `<error>/<reason>`, `skipped/<reason>`; any
    reason where none is named, several ends where any is right."""
    faults: Faults = ()
    kind: str = "plain"
    body: Callable[[bytes], bytes] | None = None
    """What the archives hold instead of the whole mosaic."""
    holds: tuple[str, ...] = ()
    """Archives that hold it; none named = those that are asked."""
    is_listed: bool = True
    """Whether the query told the size of the whole mosaic."""
    harm: Harm | None = None
    harmed: str = "cache"
    """Or `volume`."""
    most: int = 6
    """Requests for the body in one archive."""
    gets: int | None = None
    """GETs for it, exactly."""
    opens: bool = False
    """Whether the mosaic is opened as well, as its readers do."""
    waits: float = 0.0
    """Seconds that a busy server must be left alone, on a clock that is not this machine's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    during: Callable[[World, Path], AbstractContextManager[object]] = nothing
    """Holds while the mosaic is located and fetched; gets the cache's folder."""
    meanwhile: Callable[[World], object] | None = None
    """Is done between the two."""
    limit_s: float = 20.0

    @property
    def id(self) -> str:
        """Fault, archives and what is done."""
        return f"{self.fault} {self.where}{' gz' if self.kind == 'gz' else ''}: {self.what}"

    @property
    def is_slow(self) -> bool:
        """Whether a time limit has to pass in every trial."""
        return any(fault.get("seconds", 0) >= 0.2 and fault.get("times") == EVER for fault in self.faults)

    @property
    def group(self) -> str:
        """Letter of the fault's group."""
        return self.fault[0]


def get(do: str, times: int = 1, **more: Any) -> dict[str, Any]:
    """A fault on the body, not on its head."""
    return {"do": do, "method": "GET", "times": times, **more}


def on(where: str, faults: Iterable[Mapping[str, Any]]) -> Faults:
    """Faults on the route of an archive."""
    return tuple({"route": ROUTES[where], **fault} for fault in faults)
