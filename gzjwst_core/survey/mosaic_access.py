"""Bringing a run's mosaics to where they are read, and holding them there while they are.

A task that reads holds its field's mosaics in the cache, and brings those that are not there (any more); fetching ahead
of that spares it the wait, as far as the cache has room. Mosaics are visited up to three times (catalog, injection,
cutouts), and the cache may be smaller than the survey.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gzjwst_core.archives.base import Archive
from gzjwst_core.cache.fetch import Fetched, is_fetched, lies_here, noise_key
from gzjwst_core.cache.fetch import fetch as fetch_whole
from gzjwst_core.cache.fetch_rows import fetch_rows, has_rows, needs_whole, rows_key, rows_of
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import BudgetError, CorruptMosaicError, ProductNotFoundError
from gzjwst_core.models import Field, Mosaic, MosaicSource
from gzjwst_core.mosaics.instrument import check_instrument
from gzjwst_core.runs.receipts import standing
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.wording import counted, megabytes
from gzjwst_core.runs.work import Transferred, Work
from gzjwst_core.survey.archive_registry import archives_of, cache_of
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.target_regions import places_of
from gzjwst_core.transport.traffic import TRAFFIC
from gzjwst_core.values import Value, digest_of

__all__ = [
    "Prefetch",
    "Transfers",
    "capacity",
    "check_room",
    "fetch",
    "inputs_of",
    "is_cached",
    "reading",
    "scratch_bytes",
    "transfers",
]

_LE3 = "mast:JWST/product/"
_SHARE_OF_LE3 = 0.45
"""Science, error and weight planes are three of an i2d's seven (four bytes a pixel each); of others nobody knows."""
_UNPACKED = 3.1
"""A gzipped mosaic unpacks to about this many times its size (measured: 0.90 GB to 2.80 GB)."""
_TYPICAL_SCALE_ARCSEC = 0.03


class Prefetch(Transferred):
    """What fetching a mosaic ahead came to."""

    needed: bool = False
    """Whether anything will read it."""
    later: bool = False
    """The cache has no room for it now: whoever reads it fetches it."""
    bytes_moved: int = 0


def _line(fetched: Sequence[Prefetch]) -> str:
    """Tell what moved."""
    moved = sum(one.bytes_moved for one in fetched)
    needed, later = sum(one.needed for one in fetched), sum(one.later for one in fetched)
    rest = f"; the cache had no room for {later}: they are fetched when they are read" if later else ""
    return (
        f"{counted(needed, 'mosaic')} to read, {megabytes(moved)} fetched{rest}"
        if needed
        else "nothing to read: no byte fetched"
    )


FETCH = Stage("fetch", reads=("locate.mosaics",), line=_line)


class Transfers(Value):
    """What is to be moved before a stage can read its mosaics."""

    bytes: int
    """That archives will be asked for."""
    kept: int
    """That the cache would hold, were it large enough for all."""
    largest: int
    """That the cache must have room for: the largest field, while it is fetched and read, and its scratch files."""


@contextmanager
def reading(run: SurveyRun, field: Field, scratch: int = 0) -> Iterator[list[MosaicSource]]:
    """Hold a field's located mosaics where they can be read, as long as the block runs.

    Parameters
    ----------
    run
        The run.
    field
        Located. Waits while other readers hold what the cache has room for.
    scratch
        Bytes of scratch files that the reader will put beside the mosaics: room is held for them too.

    Yields
    ------
    list of MosaicSource
        In the order of the field's mosaics.

    Raises
    ------
    ArchiveError, CorruptMosaicError, MosaicLayoutError, StorageError
        A mosaic that is not in the cache cannot be fetched.
    """
    cache, found = cache_of(run), _with_archives(run, field.mosaics)
    for last in (False, True):
        wanted = _room(run, cache, found)
        with cache.holding(wanted | _scratch(run, field, scratch)), _forgetting_damage(cache, wanted):
            fetched = [_fetched(run, cache, mosaic, archive) for mosaic, archive in found]
            sources = [one.source for one in fetched if one is not None]
            if len(sources) == len(found) or last:
                yield sources
                for key in wanted:
                    cache.used(key)
                return
        # one of them can only be read whole, which takes other room: held anew


def fetch(run: SurveyRun, mosaic: Mosaic, works: Sequence[Work]) -> Prefetch:
    """Fetch a mosaic ahead of its readers, unless every work that would read it stands, or there is no room now.

    Raises
    ------
    ArchiveError, CorruptMosaicError, MosaicLayoutError, StorageError
        It cannot be had, or what came is not whole.
    """
    if all(standing(run.folder, work) is not None for work in works):
        return Prefetch()
    cache, found = cache_of(run), _with_archives(run, [mosaic])
    wanted = _room(run, cache, found)
    with cache.ahead(wanted) as has_room, _forgetting_damage(cache, wanted):
        if not has_room:
            return Prefetch(needed=True, later=True)
        ((_, archive),) = found
        fetched = _fetched(run, cache, mosaic, archive)
        return Prefetch(needed=True, later=fetched is None, bytes_moved=fetched.bytes_moved if fetched else 0)


@contextmanager
def _forgetting_damage(cache: MosaicCache, keys: Iterable[str]) -> Iterator[None]:
    """Let whoever tries again fetch what was found to be damaged in the cache."""
    try:
        yield
    except CorruptMosaicError:
        for key in keys:
            cache.forget_damaged(key)
        raise


def inputs_of(run: SurveyRun, field: Field) -> dict[str, str]:
    """Return what a work that reads a field's mosaics depends on: their identities, and how much of each is read."""
    return {m.band: m.identity + (_by_rows_mark(run, m, a)) for m, a in _with_archives(run, field.mosaics)}


def is_cached(run: SurveyRun, mosaic: Mosaic) -> bool:
    """Whether a mosaic can be read without fetching a byte."""
    if not mosaic.located:
        return False
    cache, ((_, archive),) = cache_of(run), _with_archives(run, [mosaic])
    return _is_here(run, cache, mosaic, archive)


def transfers(run: SurveyRun, fields: Iterable[Field]) -> Transfers:
    """Estimate what bringing the fields' mosaics takes; those of the cache take nothing."""
    cache = cache_of(run)
    moved, kept, largest = 0, 0, 0
    for field in fields:
        found = _with_archives(run, field.mosaics)
        moved += sum(_moved(run, cache, m, a) for m, a in found if not _is_here(run, cache, m, a))
        kept += sum(_kept(run, cache, m, a) for m, a in found)
        read = sum(_kept(run, cache, m, a) for m, a in found) + scratch_bytes(run, field)
        largest = max(largest, read, sum(_room(run, cache, found).values()))
    return Transfers(bytes=moved, kept=kept, largest=largest)


def check_room(run: SurveyRun, fields: Iterable[Field]) -> Transfers:
    """See that the cache can hold the largest of the fields, and say what is to be moved.

    Raises
    ------
    BudgetError
        It cannot; says how much is missing.
    """
    needed, budget = transfers(run, fields), capacity(run)
    if needed.largest > budget:
        said = f"a field's mosaics and scratch files need {needed.largest / 1e9:.3g} GB, the cache {run.cache}"
        cure = "raise --cache-gb" if run.cache_gb else "make room on its disk"
        said += f" has room for {budget / 1e9:.3g} GB"
        raise BudgetError(f"{said}: {cure}, move it with --cache, or take fewer bands")
    return needed


def capacity(run: SurveyRun) -> int:
    """Bytes that the run's cache may hold."""
    return cache_of(run).capacity()


def scratch_bytes(run: SurveyRun, field: Field) -> int:
    """Estimate what injection puts beside a field's mosaics: negative copies of the detection bands' planes.

    The planes of injected light, which go before those come, are files of holes, and the segmap is small: not counted.
    """
    if run.targets or run.profile.completeness.sources == 0:
        return 0
    cache, detect = cache_of(run), run.profile.detect
    planes = {mosaic.band: _planes(run, cache, mosaic) for mosaic in field.mosaics if mosaic.located}
    searched = [planes[band] for band in detect.bands if band in planes]
    searched = searched or [max(planes.values(), default=0)]
    return sum(searched[:1] if detect.combine == "single" else searched)


def _scratch(run: SurveyRun, field: Field, size: int) -> dict[str, int]:
    """Say what scratch files take as if they were an entry, which never comes."""
    return {digest_of(["scratch", run.folder.url, field.name]): size} if size else {}


def _with_archives(run: SurveyRun, mosaics: Iterable[Mosaic]) -> list[tuple[Mosaic, Archive]]:
    archives = {archive.name: archive for archive in archives_of(run)}
    return [(mosaic, archives[mosaic.archive]) for mosaic in mosaics if mosaic.located]


def _by_rows(run: SurveyRun, mosaic: Mosaic, archive: Archive) -> bool:
    """Whether only rows around the run's targets are looked at; known from the mosaic's address alone."""
    return bool(run.targets) and run.profile.archives.windows and archive.windowed(mosaic)


def _by_rows_mark(run: SurveyRun, mosaic: Mosaic, archive: Archive) -> str:
    if not _by_rows(run, mosaic, archive):
        return ""
    cutouts = run.profile.cutouts
    # every target's field of view is stated then, or the largest: no rule is asked, only limits and steps
    steps = [cutouts.fov_steps, *([cutouts.fov_fixed_arcsec] if cutouts.fov_rule == "fixed" else [])]
    return f"|rows:{digest_of([cutouts.fov_min_arcsec, cutouts.fov_max_arcsec, *steps])}"


def _fetches_rows(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> bool:
    """Whether only rows are fetched: not where the whole is there already, or is needed."""
    if not _by_rows(run, mosaic, archive):
        return False
    planes = run.profile.mosaics.sci_planes
    whole = cache.find(cache.key(mosaic, planes), mosaic)
    return whole is None and not needs_whole(mosaic, cache, planes)


def _is_here(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> bool:
    planes = run.profile.mosaics.sci_planes
    if _fetches_rows(run, cache, mosaic, archive):
        return has_rows(mosaic, cache, planes, places_of(run))
    return is_fetched(mosaic, archive, cache, planes)


def _fetched(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> Fetched | None:
    """Bring a mosaic, or the rows of it that are looked at; None where it turns out that the whole is needed."""
    if run.offline and not run.profile.local and not _is_here(run, cache, mosaic, archive):
        raise ProductNotFoundError(f"{mosaic.filename}: not in the cache, and this run is offline", reason="offline")
    options, planes = run.profile.archives, run.profile.mosaics.sci_planes
    if _fetches_rows(run, cache, mosaic, archive):
        rows = fetch_rows(mosaic, archive, cache, options, planes, places=places_of(run), progress=TRAFFIC.came)
        if rows is not None:
            check_instrument(Path(rows.source.path), run.profile.survey.instrument)
        return rows
    whole = fetch_whole(mosaic, archive, cache, options, planes, progress=TRAFFIC.came)
    check_instrument(Path(whole.source.path), run.profile.survey.instrument)
    if not _by_rows(run, mosaic, archive):
        return whole
    seen = rows_of(Path(whole.source.path), planes, places_of(run))
    return whole.replace(source=whole.source.replace(rows=seen))


def _room(run: SurveyRun, cache: MosaicCache, found: Iterable[tuple[Mosaic, Archive]]) -> dict[str, int]:
    """Say which cache entries mosaics have, and what each takes at most; none for what is read in place.

    They are fetched one after the other, so that only the largest body counts.
    """
    sizes: dict[str, int] = {}
    bodies: dict[str, int] = {}
    for mosaic, archive in found:
        key = _key(run, cache, mosaic, archive)
        if key:
            sizes[key] = _kept(run, cache, mosaic, archive)
            bodies[key] = _body(run, cache, mosaic, archive)
        packed = str(archive.stated(mosaic).get("err_path") or "")
        if noise := noise_key(mosaic, packed, cache):
            sizes[noise] = cache.size(noise) or round(Path(packed).stat().st_size * _UNPACKED)
    largest = max(bodies, key=lambda key: bodies[key], default="")
    return sizes | ({largest: sizes[largest] + bodies[largest]} if largest else {})


def _key(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> str:
    planes = run.profile.mosaics.sci_planes
    if _fetches_rows(run, cache, mosaic, archive):
        return rows_key(mosaic, cache, planes)
    return "" if lies_here(mosaic, archive) else cache.key(mosaic, planes)


def _kept(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> int:
    """Bytes of a mosaic's planes in the cache: as they are, or at most."""
    if _fetches_rows(run, cache, mosaic, archive):
        return _moved(run, cache, mosaic, archive)
    if lies_here(mosaic, archive):
        return 0
    return _planes(run, cache, mosaic)


def _planes(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic) -> int:
    there = cache.size(cache.key(mosaic, run.profile.mosaics.sci_planes))
    if there is not None:
        return there
    share = _SHARE_OF_LE3 if mosaic.product_uri.startswith(_LE3) else 1.0
    return round(mosaic.size * (_UNPACKED if mosaic.uri.endswith(".gz") else 1.0) * share)


def _body(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> int:
    """Bytes of the body that lies in the cache while it is fetched; none where it is not kept."""
    passes = _fetches_rows(run, cache, mosaic, archive) or archive.local_path(mosaic) is not None
    return 0 if passes or _is_here(run, cache, mosaic, archive) else mosaic.size


def _moved(run: SurveyRun, cache: MosaicCache, mosaic: Mosaic, archive: Archive) -> int:
    if _fetches_rows(run, cache, mosaic, archive):
        return round(mosaic.size * _share_of_rows(run, mosaic))
    return 0 if lies_here(mosaic, archive) else mosaic.size


def _share_of_rows(run: SurveyRun, mosaic: Mosaic) -> float:
    """Guess which share of a mosaic's rows its targets need, before its header is known: a square, seven planes."""
    height_arcsec = (mosaic.size / 28) ** 0.5 * _TYPICAL_SCALE_ARCSEC
    needed_arcsec = float(2 * places_of(run).reach_arcsec.sum())
    return min(1.0, needed_arcsec / max(float(height_arcsec), 1.0))
