"""Plays one case of the fault matrix through the real path, and says how it ended.

Locate and fetch are tried again as Prefect does; then faults and harm are taken away, and the same cache must give the
right bytes: nothing that a fault left behind may stay.
"""

import hashlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from gzjwst_core.archives import mast
from gzjwst_core.archives.locate import locate, missing_reason
from gzjwst_core.archives.rules import choose_products
from gzjwst_core.cache import download
from gzjwst_core.cache.fetch import Fetched, fetch
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import GzJwstError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.names import safe_name
from gzjwst_core.options import MosaicOptions, QueryOptions
from gzjwst_core.sky.faults import Fault
from gzjwst_core.transport import s3_client
from gzjwst_core.transport.retry_after import PATIENCE
from tests.soak.cases.case import ROUTES, Case
from tests.soak.harms import Harm, suffered
from tests.soak.world import PLANES, WHOLE, World, again, kept_planes

__all__ = ["Result", "play"]

_WEAK = {"", "size", "structure"}
_QUERY = QueryOptions(observations=({"proposal_id": ("9801",)},))
_PORTAL = {
    "MAST_REQUEST_URL": "/api/v0/invoke",
    "COLUMNS_CONFIG_URL": "/portal/Mashup/Mashup.asmx/columnsconfig",
    "MAST_DOWNLOAD_URL": "/api/v0.1/Download/file",
    "MAST_BUNDLE_URL": "/api/v0.1/Download/bundle",
}


class Result(NamedTuple):
    """How a case ended."""

    case: Case
    seen: str
    """As `Case.ends`; `wrong bytes`, `foreign <error>` or `hang` where it must not."""
    seconds: float
    requests: int
    """For the body, in the archive that was asked most."""
    faults: tuple[str, ...] = ()
    """What else was not as it must be."""
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended as it must."""
        return fits(self.seen, self.case.ends) and not self.faults


def fits(seen: str, ends: str) -> bool:
    """Whether an end is one of those that are allowed."""
    return any(seen == end or seen.startswith(f"{end}/") for end in ends.split("|"))


class _Ended(NamedTuple):
    seen: str
    detail: str = ""


class _Clock:
    """A clock that only waiting moves, so that no patience costs time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waited = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds


def play(case: Case, world: World, scratch: Path) -> Result:
    """Play a case, in a thread that is given up on after the case's limit.

    Parameters
    ----------
    case
        What is done.
    world
        Where.
    scratch
        Folder for this case's cache.
    """
    ended: list[tuple[_Ended, tuple[str, ...]]] = []
    clock = _Clock()

    def played() -> None:
        ended.append(_played(case, world, MosaicCache(scratch / "cache")))

    begun = time.monotonic()
    thread = threading.Thread(target=played, daemon=True, name=case.id)
    with world.environment(), _patient(clock):
        thread.start()
        thread.join(case.limit_s)
    seconds = time.monotonic() - begun
    if not ended:
        return Result(case, "hang" if thread.is_alive() else "foreign crash", seconds, _requests(case, world))
    end, faults = ended[0]
    if clock.waited < case.waits - 1:
        faults = (*faults, f"waited {clock.waited:.0f} s of {case.waits:.0f}")
    return Result(case, end.seen, seconds, *_counted(case, world, faults), end.detail)


@contextmanager
def _patient(clock: _Clock) -> Iterator[None]:
    PATIENCE.forget()
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(PATIENCE, "_clock", clock))
        patches.enter_context(mock.patch.object(PATIENCE, "_sleep", clock.sleep))
        patches.enter_context(mock.patch.object(download, "_PAUSE_S", 0.0))
        patches.enter_context(mock.patch.object(mast, "_one_at_a_time", threading.Lock()))  # a case that hangs keeps it
        patches.enter_context(mock.patch.object(s3_client, "_patiently", _patiently))
        yield


async def _patiently(host: str) -> None:
    """Wait as the bucket's client does, on our clock."""
    PATIENCE.wait(host)


def _played(case: Case, world: World, cache: MosaicCache) -> tuple[_Ended, tuple[str, ...]]:
    listings: dict[str, Callable[[Case, World], _Ended]] = {"query": _query, "rules": _rules}
    if case.where in listings:
        _hold(case, world)
        return _named(lambda: listings[case.where](case, world)), tuple(_unmet(case, world))
    _hold(case, world)
    harm = replace(case.harm, met=0) if case.harm else None  # it counts, and a case may be played twice
    with ExitStack() as stack:
        try:
            stack.enter_context(case.during(world, cache.folder))
            root = world.volume if case.harmed == "volume" else cache.folder
            stack.enter_context(suffered(harm, root))
            end = _named(lambda: _transfer(case, world, cache))
            asked, unmet = list(world.archive.log), list(_unmet(case, world, harm))
            stack.close()
        except Exception as error:  # noqa: BLE001 - a leak that `during` found
            return _Ended(f"foreign {type(error).__name__}", str(error)), ()
    faults = [*unmet, *_left(end, cache), *([] if end.seen in {"right", "unproven"} else _recovers(case, world, cache))]
    world.archive.log.clear()
    world.archive.log.extend(asked)
    return end, tuple(faults)


def _hold(case: Case, world: World) -> None:
    body = WHOLE[case.kind]
    body = case.body(body) if case.body else body
    names = case.holds or tuple(case.where.split())
    # the bucket is also the plain web server
    world.hold({"s3" if name == "directory" else name: body for name in names}, case.kind)
    world.play(case.faults)


def _named(call: Callable[[], _Ended]) -> _Ended:
    """Say what a call raised, if it did."""
    try:
        return call()
    except GzJwstError as error:
        return _Ended(f"{type(error).__name__}/{error.reason}", str(error))
    except Exception as error:  # noqa: BLE001 - the point of the matrix: nothing else may come
        return _Ended(f"foreign {type(error).__name__}", traceback.format_exc())


def _transfer(case: Case, world: World, cache: MosaicCache) -> _Ended:
    options = world.options(**case.options)
    archives = world.archives(case.where.split(), cache, options)
    listed = len(WHOLE[case.kind]) if case.is_listed else 0
    located = again(lambda: locate(world.mosaic(case.kind, size=listed), archives))
    if not located.located:
        said = "; ".join(f"{step.archive}: {step.reason}" for step in located.trail)
        wanted = len(case.where.split())
        return _Ended(f"missing/{missing_reason(located)}" if len(located.trail) == wanted else "short trail", said)
    if case.meanwhile:
        case.meanwhile(world)
    archive = next(archive for archive in archives if archive.name == located.archive)
    fetched = again(lambda: fetch(located, archive, cache, options, PLANES))
    if case.opens:
        again(lambda: open_mosaic(fetched.source, MosaicOptions(sci_planes=PLANES))).close()
    return _judged(case, located, fetched, cache)


def _judged(case: Case, located: Mosaic, fetched: Fetched, cache: MosaicCache) -> _Ended:
    """Compare what was kept with what an unbroken transfer of the right body leaves."""
    found = hashlib.sha256(Path(fetched.source.path).read_bytes()).hexdigest()
    body = WHOLE[case.kind]
    right = {kept_planes(body), hashlib.sha256(body).hexdigest()}
    if case.body and fits("right", case.ends):
        right |= _planes_of(case.body(body))
    if found in right:
        return _Ended("right")
    entry = next((entry for entry in cache.entries() if entry.identity == located.identity), None)
    checked = entry.checked if entry else ""
    return _Ended("unproven" if entry and checked in _WEAK else "wrong bytes", f"checked: {checked}")


def _planes_of(body: bytes) -> set[str]:
    try:
        return {kept_planes(body), hashlib.sha256(body).hexdigest()}
    except GzJwstError:
        return set()


def _unmet(case: Case, world: World, harm: Harm | None = None) -> Iterator[str]:
    """Say which faults, and which harm, met nothing: such a case shows nothing."""
    whole = [fault.model_dump() for fault in world.archive.faults.pending()]
    planned = [Fault.model_validate(dict(fault)).model_dump() for fault in case.faults]
    yield from (f"{fault['do']} was never met" for fault in planned if fault in whole)
    if harm is not None and not harm.met:
        yield f"the harm at {harm.at} was never met"


def _left(end: _Ended, cache: MosaicCache) -> Iterator[str]:
    """Say what a case left behind that it must not."""
    if temporary := [path.name for path in cache.folder.rglob("*.part")]:
        yield f"left {temporary}"
    if end.seen not in {"right", "unproven"} and (entries := cache.entries()):
        whole = [entry for entry in entries if entry.checked in _WEAK or entry.checked == "etag"]
        yield from (
            f"an entry of {entry.uri}"
            for entry in whole
            if "MosaicLayout" not in end.seen and "NoValid" not in end.seen
        )


def _recovers(case: Case, world: World, cache: MosaicCache) -> Iterator[str]:
    """Take everything away that was wrong, and fetch again into the same cache."""
    PATIENCE.forget()
    healed = Case(fault=case.fault, what="again", where=case.where, kind=case.kind, ends="right", options=case.options)
    _hold(healed, world)
    if case.where.startswith("datalabs"):
        os.utime(world.volume / "jw09801", None)
    end = _named(lambda: _transfer(healed, world, cache))
    if end.seen != "right":
        yield f"and does not recover: {end.seen} {end.detail[-300:]}"


def _query(_: Case, world: World) -> _Ended:
    with _portal(world):
        rows, reason = _asked_for_rows(world)
    if reason:
        return _Ended(f"skipped/{reason}")
    world_rows = _right_rows(world)
    return _Ended("right" if rows == world_rows else "other rows" if len(rows) == len(world_rows) else "wrong rows")


def _rules(_: Case, world: World) -> _Ended:
    """Let the rules judge what was listed: whatever is kept may be a name, and is asked of MAST's own kind of URI."""
    with _portal(world):
        rows, reason = _asked_for_rows(world)
    if reason:
        return _Ended(f"skipped/{reason}")
    products = choose_products(rows, _QUERY, ("F277W", "F356W", "F444W"))
    kept = [product for product in products if product.outcome == "kept"]
    for product in kept:
        safe_name(product.filename)
        safe_name(product.field)
    strange = [
        product.uri
        for product in kept
        if not product.uri.startswith(("mast:JWST/", "mast:HLSP/")) or ".." in product.uri
    ]
    return _Ended("wrong names", str(strange[:3])) if strange else _Ended("harmless", f"{len(kept)} of {len(products)}")


_known_rows: dict[str, Any] = {}


def _right_rows(world: World) -> Any:
    if world.url not in _known_rows:
        world.archive.faults.clear()
        with _portal(world):
            _known_rows[world.url] = _asked_for_rows(world)[0]
    return _known_rows[world.url]


def _asked_for_rows(world: World) -> tuple[Any, str]:
    from gzjwst_core.archives.mast import query_products  # noqa: PLC0415 - astroquery is heavy

    found = again(lambda: query_products(_QUERY, world.options()))
    return found.rows, found.outcome.reason


@contextmanager
def _portal(world: World) -> Iterator[None]:
    """Point an astroquery that may have been imported before at the world."""
    from astroquery.mast.discovery_portal import PortalAPI  # noqa: PLC0415 - heavy

    with ExitStack() as patches:
        for name, path in _PORTAL.items():
            patches.enter_context(mock.patch.object(PortalAPI, name, world.url + path))
        patches.enter_context(mock.patch.object(PortalAPI, "_column_configs", {}))
        yield


def _requests(case: Case, world: World, method: str = "") -> int:
    """Requests for the body in the archive that was asked most."""
    routes = [ROUTES[name] for name in case.where.split() if name in ROUTES] or ["invoke"]
    asked = [[entry for entry in world.asked(route) if method in {"", entry.method}] for route in routes]
    return max(map(len, asked))


def _counted(case: Case, world: World, faults: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    requests, gets = _requests(case, world), _requests(case, world, "GET")
    if requests > case.most:
        faults = (*faults, f"{requests} requests")
    if case.gets is not None and gets != case.gets:
        faults = (*faults, f"{gets} GETs")
    return requests, faults
