"""What a person or a schedule asks for: the options of a run, one model for the command line, the UI and deployments.

`start` turns a request into a `Run`: profile read, overrides laid, folders named.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import ConfigDict, Field

from gzjwst_core.catalog.columns import SURVEY_COLUMNS, catalog_columns
from gzjwst_core.catalog.reference_tables import read_earlier, read_reference
from gzjwst_core.catalog.select import select
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.errors import CatalogError, ProfileError, StorageError
from gzjwst_core.options import Options, TargetOptions
from gzjwst_core.paths import default_cache, expanded, files_at
from gzjwst_core.psf.known import file_digests, with_folder
from gzjwst_core.runs.engine import cores
from gzjwst_core.storage.tables import empty_table
from gzjwst_core.survey.archive_registry import local_of
from gzjwst_core.survey.profile import SurveyProfile, load_profile, profile_folder_of
from gzjwst_core.survey.run import Run

__all__ = ["STAGES", "RunRequest", "Stage", "path_faults", "profile_of", "start"]

Stage = Literal[
    "query",
    "locate",
    "fetch",
    "catalog",
    "merge",
    "crossmatch",
    "injection",
    "completeness",
    "cutouts",
    "images",
    "quality",
    "training",
    "publish",
]
STAGES: tuple[Stage, ...] = get_args(Stage)


class RunRequest(Options):
    """One run of one survey."""

    # lists of a form in the UI or of a deployment become tuples
    model_config = ConfigDict(strict=False)

    profile: str = "demo"
    """Name of a shipped profile, or the path of a TOML file."""
    out: str = "runs"
    """Folder or fsspec URL that gets the survey's folder."""
    cache: str = ""
    """Local folder of the mosaic cache; empty = the user's cache folder."""
    cache_gb: Annotated[float, Field(ge=0)] = 0.0
    """What the cache may hold, GB: least recently read mosaics make room; 0 = what its disk gives."""
    bands: tuple[str, ...] = ()
    """Only these bands; empty = the profile's."""
    fields: tuple[str, ...] = ()
    """Only these fields; empty = all."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most this many fields."""
    until: Stage = "publish"
    """Last stage to run."""
    catalog: str = ""
    """Table of targets (parquet, FITS, VOTable, ECSV, CSV and other text, or a pattern) in the place of detection."""
    ids_from: str = ""
    """Catalog of an earlier release (id_str, ra, dec) whose names are carried over by position."""
    offline: bool = False
    """Ask no archive; the run folder's lists and the mosaic cache must do."""
    workers: int = Field(default=0, ge=0, le=512)
    """CPU processes; 0 = one for each core that the run may use."""
    fields_in_flight: int = Field(default=4, ge=1, le=64)
    """Units under way at once on the command line; transfers and CPU work overlap. A deployment has four."""
    overrides: tuple[str, ...] = ()
    """`key=value` for any key of the profile."""
    quiet: bool = False
    """Print nothing but errors."""

    @property
    def processes(self) -> int:
        """CPU processes to use."""
        return self.workers or cores()


def profile_of(request: RunRequest) -> SurveyProfile:
    """Read the request's profile: default < profile < environment < command line.

    Raises
    ------
    ProfileError
        The profile, an override or a band is wrong, or a cut does not fit the catalog that the profile makes.
    """
    profile = load_profile(request.profile, overrides=request.overrides, environment=os.environ)
    if request.bands:
        part = [*request.overrides, *_of_bands(profile, request.bands)]
        profile = load_profile(request.profile, overrides=part, environment=os.environ)
    columns = catalog_columns(profile.survey.bands, profile.photometry, profile.psf)
    try:
        select(empty_table([*SURVEY_COLUMNS, *columns]), profile.select.cuts)
    except CatalogError as error:
        raise ProfileError(f"{request.profile}: select.cuts: {error}") from None
    return profile


def _of_bands(profile: SurveyProfile, bands: tuple[str, ...]) -> list[str]:
    """Return overrides that leave a part of the bands, wherever the profile lists some of the survey's."""
    listed = {"images.panel_bands": profile.images.panel_bands, "publish.zoobot_fits": profile.publish.zoobot_fits}
    kept = [f"{key}={[band for band in of if band in bands]!r}" for key, of in listed.items() if of]
    return [f"survey.bands={list(bands)!r}", *kept]


def start(request: RunRequest) -> Run:
    """Turn a request into a run.

    Raises
    ------
    ProfileError
        The profile or an option is wrong.
    """
    profile = profile_of(request)
    cache = request.cache or str(default_cache())
    run = Run(
        profile=profile,
        out=_absolute(request.out, "--out"),
        cache=_absolute(cache, "--cache"),
        cache_gb=request.cache_gb,
        profile_folder=str(profile_folder_of(request.profile).absolute()),
        bands=_left_by(request),
        fields=request.fields,
        limit=request.limit,
        targets=request.catalog and _absolute(request.catalog, "--catalog"),
        ids_from=request.ids_from and _absolute(request.ids_from, "--ids-from"),
        offline=request.offline,
    )
    _check("--catalog", expanded(request.catalog, "--catalog"), partial(_placed_targets, options=profile.targets))
    earlier = expanded(request.ids_from, "--ids-from") or run.earlier
    _check("--ids-from" if request.ids_from else "merge.ids_from", earlier, read_earlier)
    _check("astrometry.reference", run.reference, read_reference)
    file_digests(with_folder(profile.psf, Path(run.profile_folder)))  # a PSF that is not there is told now
    _ = run.outside_digests  # what cannot be read whole is found now, not after the detection
    return run


def _left_by(request: RunRequest) -> tuple[str, ...]:
    """Return the bands that were asked for, where the profile has others too."""
    own = load_profile(request.profile, overrides=request.overrides, environment=os.environ).survey.bands
    return request.bands if request.bands and set(own) - set(request.bands) else ()


def _check(what: str, path: str, read: Callable[[str], object]) -> None:
    """Refuse a table that is not there or cannot be used, before anything is done."""
    if path and not files_at(path):
        raise ProfileError(f"{what} {path}: no such file")
    try:
        if path:
            read(path)
    except (CatalogError, StorageError) as error:
        raise ProfileError(f"{what} {error}") from None


def _placed_targets(path: str, options: TargetOptions) -> None:
    """Read a table of targets; one without any position is refused now, not after the archives were asked."""
    if np.all(read_targets(path, options)["reason"] != ""):
        raise CatalogError(f"{path}: no row has a position on the sky and an identifier")


def path_faults(run: Run) -> list[str]:
    """Say which paths of a profile name no file on this machine, and which local files cannot be told apart by name."""
    profile, faults = run.profile, local_of(run).faults()
    named = [("astrometry.reference", profile.astrometry.reference), ("merge.ids_from", profile.merge.ids_from)]
    named += [(f"compare.{number}.path", one.path) for number, one in enumerate(profile.compare)]
    named += [(f"psf.files.{band}", path) for band, path in profile.psf.files.items()]
    for key, path in named:
        try:
            if path and not files_at(run.beside_profile(path, key)):
                faults.append(f"{key}: no file fits {path!r}")
        except ProfileError as error:
            faults.append(str(error))
    return faults


def _absolute(url: str, key: str) -> str:
    """Let a worker with another working directory find the same place."""
    place = expanded(url, key)
    return place if "://" in place else str(Path(place).absolute())
