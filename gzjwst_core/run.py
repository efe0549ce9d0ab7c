"""One run: a profile, where it writes, where its cache is, and which part of the survey was asked for.

Stages take a `Run`, plan their `Work` from it and leave receipts in its folder. Nothing of where or how it runs
(output URL, cache, workers) enters a key or a product.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TextIO

import platformdirs

from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.catalog.outside import digest_of_files
from gzjwst_core.errors import ProfileError, StorageError
from gzjwst_core.models import Field, Value
from gzjwst_core.options import Cut, ImageOptions
from gzjwst_core.paths import expanded
from gzjwst_core.profile import SurveyProfile, profile_toml, read_frozen
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept
from gzjwst_core.storage.made import keep
from gzjwst_core.storage.receipts import claims

__all__ = [
    "FROZEN_PROFILE",
    "Run",
    "default_cache",
    "freeze_profile",
    "frozen_pins",
    "locked",
    "write_frozen",
    "writing_alone",
]

FROZEN_PROFILE = "profile.toml"
_PIN = "pin"
_log = logging.getLogger(__name__)
_ONE_ROW_AN_OBJECT = Cut(column="is_primary", equals=True, why="one row a sky object")


def default_cache() -> Path:
    """Folder of the mosaic cache where none is named: the environment's, or the user's own on the local disk."""
    return Path(os.environ.get("GZJWST_CACHE") or platformdirs.user_cache_path("gzjwst", appauthor=False))


class Run(Value):
    """What one run does, as plain values."""

    profile: SurveyProfile
    out: str
    """URL of the folder that holds the survey's folder."""
    cache: str
    """Local folder of the mosaic cache."""
    cache_gb: float = 0.0
    """What the cache may hold, GB; 0 = what its disk gives."""
    profile_folder: str = "."
    """Folder that relative paths of the profile are read from."""
    bands: tuple[str, ...] = ()
    """Only these of the profile's own bands, which the profile here has no more; empty = all."""
    fields: tuple[str, ...] = ()
    """Only these fields; empty = all."""
    limit: int | None = None
    """At most this many fields."""
    targets: str = ""
    """A table of targets that takes the place of detection; a pattern where it is several files."""
    ids_from: str = ""
    """Catalog of an earlier release whose names are carried over; wins over the profile's."""
    offline: bool = False
    """Ask no archive: the run folder's lists and the cache must do."""

    @cached_property
    def folder(self) -> Folder:
        """The survey's folder."""
        return Folder(self.out).below(self.profile.name)

    @cached_property
    def targets_digest(self) -> str:
        """Digest of the table of targets and of its name, which the catalog states; empty without one."""
        return self.targets and _digest(self.targets, "--catalog", named=True)

    @property
    def earlier(self) -> str:
        """Local path of the earlier release whose names are carried over; empty without one."""
        return self.ids_from or self.beside_profile(self.profile.merge.ids_from, "merge.ids_from")

    @property
    def reference(self) -> str:
        """Local path of the astrometric reference; empty without one."""
        return self.beside_profile(self.profile.astrometry.reference, "astrometry.reference")

    @cached_property
    def outside_digests(self) -> dict[str, str]:
        """Digests of the tables from outside that merging reads."""
        given = {"astrometry.reference": self.reference, "merge.ids_from": self.earlier}
        return {key: _digest(path, key) for key, path in given.items() if path}

    def beside_profile(self, path: str, key: str) -> str:
        """Return the local path, or pattern, of a file that the profile names under a key; empty for none.

        Raises
        ------
        ProfileError
            It names a variable that is not set.
        """
        return path and str(Path(self.profile_folder) / expanded(path, key, self.profile_folder))

    @property
    def part(self) -> str:
        """Which part of the survey was asked for, as the command line says it; empty = all of it."""
        asked = {"--bands": " ".join(self.bands), "--fields": " ".join(self.fields), "--limit": self.limit}
        return " ".join(f"{option} {value}" for option, value in asked.items() if value)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Selection cuts of this run; whoever made a table of targets has selected them already."""
        return (_ONE_ROW_AN_OBJECT,) if self.targets else self.profile.select.cuts

    def chosen(self, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        """Return the fields this run was asked for, in their order.

        Raises
        ------
        ProfileError
            A field that was asked for is not in the survey.
        """
        known = {field.name for field in fields}
        strange = [name for name in self.fields if name not in known]
        if strange and known:
            raise ProfileError(f"--fields {strange[0]}: no such field (the survey has {', '.join(sorted(known))})")
        wanted = [field for field in fields if not self.fields or field.name in self.fields]
        return tuple(wanted[: self.limit])


def _digest(path: str, said: str, *, named: bool = False) -> str:
    try:
        return digest_of_files(path, named=named)
    except StorageError as error:
        raise ProfileError(f"{said} {error}") from None


def frozen_pins(folder: Folder) -> ImageOptions:
    """Colour that was pinned in a run folder before: sigma, gain and pins alone; empty where none was.

    Raises
    ------
    ProfileError
        Neither the frozen profile nor its copy can be read: colour that volunteers have seen is never guessed anew.
    """
    source = f"{folder.url}/{FROZEN_PROFILE}"
    remedy = f"put a good copy in its place, or remove {source} and {KEPT}{FROZEN_PROFILE} to pin the colour anew"
    digests = claims(folder, _PIN, "survey", FROZEN_PROFILE, superseded=True)
    found = read_kept(folder, FROZEN_PROFILE, lambda path: read_frozen(path.read_bytes(), source), remedy, digests)
    return ImageOptions() if found is None else found


def write_frozen(folder: Folder, text: str) -> None:
    """Write the frozen profile, its copy, and the receipt that holds their digest."""
    keep(folder, _PIN, FROZEN_PROFILE, text.encode(), copy=f"{KEPT}{FROZEN_PROFILE}")


def freeze_profile(run: Run, images: ImageOptions) -> Run:
    """Write the effective profile with its pinned colour, and return the run that goes by it."""
    profile = run.profile.model_copy(update={"images": images})
    write_frozen(run.folder, profile_toml(profile))
    return run.model_copy(update={"profile": profile})


@contextmanager
def locked(run: Run) -> Iterator[int]:
    """Keep other runs out of the same run folder, and sweep what a killed one left; yields the lock's descriptor.

    The lock lies beside a local run folder, however that is called; for others it is this machine's, in the cache.

    Raises
    ------
    StorageError
        Another run is writing there (reason `busy`), or nothing can be written there.
    """
    with writing_alone(run.folder, Path(run.cache)) as lock:
        run.folder.sweep()
        MosaicCache(_made(Path(run.cache))).sweep()
        yield lock


@contextmanager
def writing_alone(folder: Folder, cache: Path) -> Iterator[int]:
    """Keep runs, and other verbs, out of a run folder; yields the lock's descriptor.

    Raises
    ------
    StorageError
        As of `locked`.
    """
    with _opened(_lock_path(folder, cache)) as file:
        _take(file, folder.url)
        yield file.fileno()


def _opened(path: Path) -> TextIO:
    _made(path.parent)
    try:
        return path.open("a")
    except OSError as error:
        raise storage_error(error, path) from error


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return folder


def _lock_path(folder: Folder, cache: Path) -> Path:
    local = folder.local()
    if local is not None:
        return local.with_name(f".{local.name}.lock")
    return cache / "locks" / f"{hashlib.sha256(folder.url.encode()).hexdigest()[:20]}.lock"


def _take(file: TextIO, url: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # dies with the last process that holds it
    except BlockingIOError:
        raise StorageError(f"another run is writing to {url}: wait for it", reason="busy") from None
    except OSError as error:  # some cluster file systems have no locks
        _log.warning("%s cannot be locked (%s): start no second run there", url, error.strerror)
