"""A run of a survey: which part of it was asked for, which tables of others it reads, and its pinned colour."""

import logging
from functools import cached_property

from gzjwst_core.errors import ProfileError, StorageError
from gzjwst_core.models import Field
from gzjwst_core.options import Cut, ImageOptions
from gzjwst_core.runs.products import keep
from gzjwst_core.runs.profile_file import profile_toml
from gzjwst_core.runs.receipts import claims
from gzjwst_core.runs.run import Run
from gzjwst_core.storage.file_digests import digest_of_files
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept
from gzjwst_core.survey.profile import SurveyProfile, read_frozen

__all__ = ["FROZEN_PROFILE", "SurveyRun", "freeze_profile", "frozen_pins", "write_frozen"]

FROZEN_PROFILE = "profile.toml"
_PIN = "pin"
_log = logging.getLogger(__name__)
_ONE_ROW_AN_OBJECT = Cut(column="is_primary", equals=True, why="one row a sky object")


class SurveyRun(Run):
    """What one run of a survey does."""

    profile: SurveyProfile
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


def freeze_profile(run: SurveyRun, images: ImageOptions) -> SurveyRun:
    """Write the effective profile with its pinned colour, and return the run that goes by it."""
    profile = run.profile.model_copy(update={"images": images})
    write_frozen(run.folder, profile_toml(profile))
    return run.model_copy(update={"profile": profile})
