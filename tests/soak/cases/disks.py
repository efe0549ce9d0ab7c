"""D and S4: this machine's disk is full or not ours to write; a mounted volume does not answer, or answers twice."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.soak.cases.case import Case
from tests.soak.harms import At, Harm
from tests.soak.world import NAMES, WHOLE, World

__all__ = ["DISKS"]

_FULL = "StorageError/disk_full"
_LOCKED = "StorageError/not_writable"
_OTHER = "StorageError/storage"
_SIZE = len(WHOLE["plain"])
_BODY, _PLANES, _RECORD, _LOCKS, _DIGEST = ".body", ".fits", "source.json", "lock", "digests"

Point = tuple[At, str, int]
_WRITES: tuple[tuple[str, Point], ...] = (
    ("the first byte of the body", ("write", _BODY, 0)),
    ("the middle of the body", ("write", _BODY, _SIZE // 2)),
    ("the last byte of the body", ("write", _BODY, _SIZE - 1)),
    ("the first byte of the planes", ("write", _PLANES, 0)),
    ("the middle of the planes", ("write", _PLANES, _SIZE // 4)),
    ("the record", ("write", _RECORD, 0)),
    ("the planes' sync", ("fsync", "", 0)),
    ("their folder's sync", ("fsync", "", 1)),
    ("the record's sync", ("fsync", "", 2)),
    ("the planes' renaming", ("replace", _PLANES, 0)),
    ("the record's renaming", ("replace", _RECORD, 0)),
)
_MAKES: tuple[tuple[str, Point], ...] = (
    ("the body's file", ("open", _BODY, 0)),
    ("the planes' file", ("open", f"{_PLANES}.", 0)),
    ("the record's file", ("open", f"{_RECORD}.", 0)),
    ("a folder", ("mkdir", "", 0)),
    ("the entry's folder", ("mkdir", "mosaics", 0)),
    ("a lock", ("os_open", _LOCKS, 0)),
)


def _harmed(code: int, point: Point, **more: Any) -> Harm:
    at, match, after = point
    return Harm(at, code, match=match, after=after, **more)


def _full() -> Iterator[Case]:
    """D1."""
    for what, point in (*_WRITES, *_MAKES):
        yield Case(fault="D1", what=f"full at {what}", where="mast", harm=_harmed(errno.ENOSPC, point), ends=_FULL)
    quota = _harmed(errno.EDQUOT, ("write", _BODY, 100))
    yield Case(fault="D1", what="over the quota", where="mast", harm=quota, ends=_FULL)
    room = Harm("usage", errno.ENOSPC)
    yield Case(fault="D1", what="no room to begin with", where="mast", harm=room, ends=_FULL, gets=0)
    for what, point in _WRITES[3:8]:
        harm = _harmed(errno.ENOSPC, point)
        yield Case(fault="D1", what=f"full at {what}", where="datalabs", kind="gz", harm=harm, ends=_FULL)
    digest = _harmed(errno.ENOSPC, ("write", _DIGEST, 0))
    yield Case(fault="D1", what="full at a digest", where="datalabs", kind="gz", harm=digest, ends=_FULL)


def _refused() -> Iterator[Case]:
    """D2."""
    for code, ends in ((errno.EACCES, _LOCKED), (errno.EROFS, _LOCKED), (errno.EMFILE, _OTHER)):
        for what, point in _MAKES[:4]:
            said = f"{errno.errorcode[code]} at {what}"
            yield Case(fault="D2", what=said, where="mast", harm=_harmed(code, point), ends=ends)
    for code in (errno.EXDEV, errno.ENAMETOOLONG, errno.EIO):
        harm = _harmed(code, ("replace", _PLANES, 0))
        yield Case(fault="D2", what=f"{errno.errorcode[code]} at renaming", where="mast", harm=harm, ends=_OTHER)
    once = _harmed(errno.EIO, ("read", _BODY, 0))
    yield Case(fault="D2", what="EIO at reading the body again", where="mast", harm=once, ends="StorageError")


@contextmanager
def _small_files(_world: World, _cache: Path) -> Iterator[None]:
    """Let no file of this process grow beyond a megabyte: the kernel says so, not a patch."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _limits() -> Iterator[Case]:
    """D1, by the kernel."""
    for where, kind in (("mast", "plain"), ("s3", "gz"), ("datalabs", "gz")):
        what = "no file above a megabyte"
        yield Case(fault="D1", what=what, where=where, kind=kind, ends="StorageError", during=_small_files)


def _volume(harm: Harm, what: str, ends: str, kind: str = "gz", where: str = "datalabs") -> Case:
    return Case(fault="S4", what=what, where=where, kind=kind, harm=harm, harmed="volume", ends=ends)


def _volumes() -> Iterator[Case]:
    """S4: errors of the mount."""
    gone, locked = "ArchiveUnavailableError/archive_unavailable", "missing/archive_refused"
    for code in (errno.EIO, errno.ESTALE):
        name = errno.errorcode[code]
        yield _volume(Harm("read", code, match=".fits"), f"{name} at once", gone)
        yield _volume(
            Harm("read", code, match=".fits", after=len(WHOLE["gz"]) + 100), f"{name} after it was located", gone
        )
        yield _volume(Harm("read", code, match=".fits", times=1), f"{name}, once", "right")
        yield _volume(Harm("open", code, match=".fits", times=2), f"{name} at opening, twice", "right")
        yield _volume(Harm("read", code, match=".fits"), f"{name}, MAST has it", "right", where="datalabs mast")
    yield _volume(Harm("open", errno.EACCES, match=".fits"), "permission denied", locked)
    yield _volume(Harm("open", errno.EIO, match=".fits"), "EIO in a plain file", gone, kind="plain")


def _changed(change: Callable[[Path], object]) -> Callable[[World, Path], AbstractContextManager[object]]:
    @contextmanager
    def during(world: World, _: Path) -> Iterator[None]:
        folder, aside = world.volume / "jw09801", world.folder / "aside"
        shutil.copytree(folder, aside)
        change(folder)
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.unlink(missing_ok=True)
            world.volume.mkdir(exist_ok=True)
            aside.rename(folder)

    return during


def _dangling(folder: Path) -> None:
    (folder / NAMES["plain"]).unlink()
    (folder / NAMES["plain"]).symlink_to(folder / "gone.fits")


def _elsewhere(folder: Path) -> None:
    (folder / NAMES["plain"]).rename(folder / "elsewhere.fits")
    (folder / NAMES["plain"]).symlink_to(folder / "elsewhere.fits")


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def _packed(folder: Path) -> None:
    (folder / NAMES["plain"]).unlink()
    (folder / f"{NAMES['plain']}.gz").write_bytes(WHOLE["gz"])


def _a_folder(folder: Path) -> None:
    (folder / NAMES["plain"]).unlink()
    (folder / NAMES["plain"]).mkdir()


def _renamed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / NAMES["plain"]).rename(folder / name)


def _trees() -> Iterator[Case]:
    """S4: what lies on the mount."""
    obs, plain = NAMES["plain"].partition("_i2d")[0], NAMES["plain"]
    changes: tuple[tuple[str, Callable[[Path], object], str], ...] = (
        ("no volume", lambda folder: shutil.rmtree(folder.parent), "missing/not_found"),
        ("no programme", shutil.rmtree, "missing/not_found"),
        ("the programme is a file", _a_file, "missing/not_found"),
        ("a dangling link", _dangling, "missing/not_found"),
        ("a link to the file", _elsewhere, "right"),
        ("plain and gzipped", lambda folder: (folder / f"{plain}.gz").write_bytes(WHOLE["gz"]), "missing/ambiguous"),
        ("gzipped alone", _packed, "right"),
        ("a folder of that name", _a_folder, "missing/not_found"),
        ("a name that goes on", _renamed(f"{obs}-sub160_i2d.fits"), "missing/not_found"),
        ("another programme's", _renamed(plain.replace("o001", "o0011")), "missing/not_found"),
        ("an empty file", lambda folder: (folder / plain).write_bytes(b""), "CorruptMosaicError"),
    )
    for what, change, ends in changes:
        yield Case(fault="S4", what=what, where="datalabs", ends=ends, during=_changed(change))
    both = _changed(lambda folder: shutil.rmtree(folder.parent))
    yield Case(fault="S4", what="no volume, the bucket has it", where="datalabs s3", ends="right", during=both)
    if os.geteuid() != 0:
        shut = _changed(lambda folder: (folder / plain).chmod(0))
        yield Case(
            fault="S4",
            what="a file that we may not read",
            where="datalabs",
            ends="missing/archive_refused",
            during=shut,
        )


DISKS: tuple[Case, ...] = (*_full(), *_refused(), *_limits(), *_volumes(), *_trees())
