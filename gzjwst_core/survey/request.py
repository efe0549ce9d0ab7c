"""What a person or a schedule asks for: the options of a run, one model for the command line, the UI and deployments.

`start` turns a request into a `Run`: profile read, overrides laid, folders named.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from gzjwst_core.catalog.columns import SURVEY_COLUMNS, catalog_columns
from gzjwst_core.catalog.reference_tables import read_earlier, read_reference
from gzjwst_core.catalog.select import select
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.errors import CatalogError, ProfileError, StorageError
from gzjwst_core.options import TargetOptions
from gzjwst_core.paths import expanded, files_at
from gzjwst_core.psf.known import file_digests, with_folder
from gzjwst_core.runs.command_line import Argument
from gzjwst_core.runs.request import RunRequest, absolute, run_values
from gzjwst_core.storage.tables import empty_table
from gzjwst_core.survey.archive_registry import local_of
from gzjwst_core.survey.profile import SurveyProfile, load_profile
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.stages import STAGES

__all__ = ["SurveyRequest", "path_faults", "profile_of", "start"]

_NAMES = tuple(stage.name for stage in STAGES if not stage.optional)


def _known_stage(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"{name!r} is no stage (allowed: {', '.join(_NAMES)})")
    return name


class SurveyRequest(RunRequest):
    """One run of one survey."""

    profile: Annotated[str, Argument(positional=True)] = "demo"
    """Name of a shipped profile, or the path of a TOML file."""
    bands: tuple[str, ...] = ()
    """Only these bands; empty = the profile's."""
    fields: tuple[str, ...] = ()
    """Only these fields; empty = all."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most this many fields."""
    until: Annotated[str, AfterValidator(_known_stage), Field(json_schema_extra={"enum": list(_NAMES)})] = "publish"
    """Last stage to run."""
    catalog: Annotated[str, Argument(metavar="FILE")] = ""
    """Table of targets (parquet, FITS, VOTable, ECSV, CSV and other text, or a pattern) in the place of detection."""
    ids_from: Annotated[str, Argument(metavar="FILE")] = ""
    """Catalog of an earlier release (id_str, ra, dec) whose names are carried over by position."""


def profile_of(request: SurveyRequest) -> SurveyProfile:
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


def start(request: SurveyRequest) -> SurveyRun:
    """Turn a request into a run.

    Raises
    ------
    ProfileError
        The profile or an option is wrong.
    """
    profile = profile_of(request)
    run = SurveyRun(
        **run_values(request, SurveyProfile) | {"profile": profile},
        bands=_left_by(request),
        fields=request.fields,
        limit=request.limit,
        targets=request.catalog and absolute(request.catalog, "--catalog"),
        ids_from=request.ids_from and absolute(request.ids_from, "--ids-from"),
    )
    _check("--catalog", expanded(request.catalog, "--catalog"), partial(_placed_targets, options=profile.targets))
    earlier = expanded(request.ids_from, "--ids-from") or run.earlier
    _check("--ids-from" if request.ids_from else "merge.ids_from", earlier, read_earlier)
    _check("astrometry.reference", run.reference, read_reference)
    file_digests(with_folder(profile.psf, Path(run.profile_folder)))  # a PSF that is not there is told now
    _ = run.outside_digests  # what cannot be read whole is found now, not after the detection
    return run


def _left_by(request: SurveyRequest) -> tuple[str, ...]:
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


def path_faults(run: SurveyRun) -> list[str]:
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
