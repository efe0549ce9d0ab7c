"""Z on the wire: names, addresses, paths and answers that mean harm, and secrets that must stay where they are."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from gzjwst_core.sky.replies import Reply
from gzjwst_core.sky.routes import LogEntry, LoopbackArchive, Request
from gzjwst_core.sky.server import running
from tests.soak.cases.case import EVER, Case, get, on
from tests.soak.world import World

__all__ = ["CANARY", "HOSTILE"]

CANARY = "canary-token-7"
_NAMES = (
    "../../outside_i2d.fits",
    "/etc/passwd",
    "a/b_i2d.fits",
    "..",
    "-rf_i2d.fits",
    ".hidden_i2d.fits",
    "a\0b_i2d.fits",
    "a\nb_i2d.fits",
    "a\\b_i2d.fits",
    "~root_i2d.fits",
    "*_i2d.fits",
    "n" * 300 + "_i2d.fits",
    "\u202ecod_i2d.fits",
    "",
)
_URIS = (
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "https://example.org/x.fits",
    "s3://other/x.fits",
    "mast:JWST/product/../../../etc/passwd",
    "",
)
_PATHS = ("/jwst/../../secret", "//etc/passwd", "/a\\b", "https://example.org/x", "/", 7)


def _listing() -> Iterator[Case]:
    """Z1, Z6: what MAST lists is dropped with a reason, each row, or is refused."""

    def cell(column: str, value: str) -> tuple[dict[str, Any], ...]:
        shape = {"do": "json", "says": "cell", "column": column, "value": value, "times": EVER, "skip": 1}
        return ({"route": "invoke", **shape},)

    for column, values in (("productFilename", _NAMES), ("dataURI", _URIS), ("obs_id", _NAMES[:3])):
        for value in values:
            what = f"{column} is {value[:40]!r}"
            yield Case(fault="Z1", what=what, where="rules", faults=cell(column, value), ends="harmless", most=12)


def _look_ups() -> Iterator[Case]:
    """Z1, Z7: MAST's look-up of a path in the bucket."""
    common: dict[str, Any] = {"where": "s3", "kind": "gz", "options": {"s3_hlsp": ()}}
    yield Case(fault="S1", what="the look-up tells the path", ends="right", **common)
    for path in _PATHS:
        shape = {"do": "json", "says": "cell", "column": "path", "value": path, "times": EVER}
        faults = ({"route": "path_lookup", **shape},)
        ends = "ArchiveUnavailableError|missing"
        yield Case(fault="Z1", what=f"look-up says {path!r}", faults=faults, ends=ends, **common)
    for says in ("empty_body", "bad_json", "not_object", "number", "deep", "digits", "bytes"):
        faults = ({"route": "path_lookup", "do": "json", "says": says, "times": EVER},)
        yield Case(fault="Z7", what=f"look-up: {says}", faults=faults, ends="ArchiveUnavailableError", **common)
    huge = ({"route": "path_lookup", "do": "json", "says": "huge", "by": 100 << 20, "times": EVER},)
    yield Case(fault="Z7", what="look-up: 100 MB", faults=huge, ends="ArchiveUnavailableError", **common)


class _Heard(logging.Handler):
    """Everything that is logged, with its tracebacks."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter().format(record)


def _secret(world: World, _: Path) -> AbstractContextManager[object]:
    """Give MAST's token, listen to every log, and serve a second host that must not see it."""

    @contextmanager
    def listened() -> Iterator[None]:
        heard, root = _Heard(), logging.getLogger()
        before = root.level
        root.addHandler(heard)
        root.setLevel(0)
        try:
            yield
        finally:
            root.setLevel(before)
            root.removeHandler(heard)
            if CANARY in heard.text:
                raise LeakedError("the token is in a log")

    stack = ExitStack()
    stack.enter_context(mock.patch.dict("os.environ", {"MAST_API_TOKEN": CANARY}))
    stack.enter_context(listened())
    return stack


@contextmanager
def _other_host(world: World, _: Path) -> Iterator[None]:
    """Redirect to another server that has the file, too, and see that the token stays at home."""
    seen: list[str] = []

    class Curious(LoopbackArchive):
        def answer(self, request: Request) -> tuple[Reply, LogEntry | None]:
            seen.append(str(request.headers))
            return super().answer(request)

    with (
        mock.patch.dict("os.environ", {"MAST_API_TOKEN": CANARY}),
        running(Curious(world.folder, world.archive.listing)) as url,
    ):
        uri = world.mosaic("plain").product_uri
        world.play(on("mast", [{"do": "redirect", "to": f"{url}/api/v0.1/Download/file?uri={uri}", "times": EVER}]))
        yield
    if not seen or CANARY in "".join(seen):
        raise LeakedError("the token went to another host" if seen else "the other host was not asked")


class LeakedError(Exception):
    """A secret came out; no error of the project's tree, so it counts as foreign."""


def _secrets() -> Iterator[Case]:
    """Z4: the token is in no error and no log."""
    busy, away = "ArchiveUnavailableError", "ArchiveRefusedError"
    rows: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("none", get("headers"), "right"),
        ("HTTP 401", get("status", EVER, status=401), away),
        ("HTTP 500", get("status", EVER, status=500), busy),
        ("no answer", get("drop", EVER), busy),
        ("silent", get("stall", seconds=1.5), "right"),
        ("redirect", get("redirect", EVER, to=f"https://example.org/?token={CANARY}"), away),
        ("page", get("html", EVER), busy),
        ("no HTTP", get("garbage", EVER), busy),
    )
    for what, fault, ends in rows:
        faults = on("mast", [fault])
        yield Case(fault="Z4", what=f"token, and {what}", where="mast", faults=faults, ends=ends, during=_secret)
    yield Case(fault="Z4", what="token, and another host", where="mast", ends="right", during=_other_host)


HOSTILE: tuple[Case, ...] = (*_listing(), *_look_ups(), *_secrets())
