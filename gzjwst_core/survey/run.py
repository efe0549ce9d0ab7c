"""One run: a profile, where it writes, where its cache is, and which part of the survey was asked for.

Stages take a `Run`, plan their `Work` from it and leave receipts in its folder. Nothing of where or how it runs
(output URL, cache, workers) enters a key or a product.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ProfileError, StorageError
from gzjwst_core.models import Field
from gzjwst_core.options import Cut, ImageOptions
from gzjwst_core.paths import expanded
from gzjwst_core.runs.products import keep
from gzjwst_core.runs.receipts import claims
from gzjwst_core.runs.run import existing_folder, writing_alone
from gzjwst_core.storage.file_digests import digest_of_files
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept
from gzjwst_core.survey.profile import SurveyProfile, profile_toml, read_frozen
from gzjwst_core.values import Value

__all__ = [
    "FROZEN_PROFILE",
    "Run",
    "freeze_profile",
    "frozen_pins",
    "locked",
    "write_frozen",
]

FROZEN_PROFILE = "profile.toml"
_PIN = "pin"
_log = logging.getLogger(__name__)
_ONE_ROW_AN_OBJECT = Cut(column="is_primary", equals=True, why="one row a sky object")


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
        MosaicCache(existing_folder(Path(run.cache))).sweep()
        yield lock
