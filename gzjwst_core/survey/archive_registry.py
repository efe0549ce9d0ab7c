"""The archives a run can ask, by the names that a profile's `archives.order` uses.

One of your own: a class of the `Archive` protocol, registered by a package of yours under the entry point group
`gzjwst.archives`; it is called with the profile's `ArchiveOptions`. `directory` is an example of how little it takes.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from os import environ
from pathlib import Path

from gzjwst_core.archives.base import Archive
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.directory import Directory
from gzjwst_core.archives.local import Local
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ProfileError
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.paths import expanded
from gzjwst_core.survey.run import SurveyRun

__all__ = ["GROUP", "archives_of", "cache_of", "local_of"]

GROUP = "gzjwst.archives"
Make = Callable[[ArchiveOptions], Archive]


def archives_of(run: SurveyRun) -> tuple[Archive, ...]:
    """Return the archives of a run, in the order to ask.

    Raises
    ------
    ProfileError
        `archives.order` names one that is not known.
    """
    if run.profile.local:
        return (local_of(run),)
    options = run.profile.archives
    return tuple(_make(name, run)(options) for name in options.order)


def local_of(run: SurveyRun) -> Local:
    """Return the files that the run's profile names."""
    return Local(
        run.profile.local,
        Path(run.profile_folder),
        Path(run.cache),
        cache_of(run).digests,
        run.profile.survey.instrument,
    )


def cache_of(run: SurveyRun) -> MosaicCache:
    """Return the run's mosaic cache."""
    return MosaicCache(Path(run.cache), round(run.cache_gb * 1e9) or None)


def _make(name: str, run: SurveyRun) -> Make:
    ours: Mapping[str, Make] = {
        "datalabs": lambda options: _datalabs(run, options),
        "s3": S3,
        "mast": MastDownload,
        "directory": Directory,
    }
    if name in ours:
        return ours[name]
    others = {point.name: point for point in entry_points(group=GROUP)}
    if name not in others:
        known = ", ".join([*ours, *sorted(others)])
        raise ProfileError(f"{run.profile.name}: archives.order: no archive {name!r} (known: {known})")
    made: Make = others[name].load()
    return made


def _datalabs(run: SurveyRun, options: ArchiveOptions) -> DataLabs:
    root = environ.get("GZJWST_DATALABS_ROOT", options.datalabs_root)
    place = Path(expanded(root, "archives.datalabs_root"))
    return DataLabs(place, cache_of(run).digests, whole=not (run.targets and options.windows))
