"""What a person or a schedule asks for: one model for the command line, the UI's form and deployments."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gzjwst_core.options.base import Options
from gzjwst_core.paths import default_cache, expanded
from gzjwst_core.runs.command_line import Argument
from gzjwst_core.runs.engine import cores
from gzjwst_core.runs.profile_file import Profile, load_profile, profile_folder_of, validate_profile

__all__ = ["RunRequest", "absolute", "run_values"]


class RunRequest(Options):
    """One run of a pipeline."""

    # lists of a form in the UI or of a deployment become tuples
    model_config = ConfigDict(strict=False)

    profile: Annotated[str, Argument(positional=True)]
    """Name of a shipped profile, or the path of a TOML file."""
    out: Annotated[str, Argument(metavar="URL", environment="GZJWST_OUT")] = "runs"
    """Folder or fsspec URL that gets the run's own folder."""
    cache: Annotated[str, Argument(metavar="DIR")] = ""
    """Local folder of the cache; empty = the user's cache folder."""
    cache_gb: Annotated[float, Field(ge=0), Argument(metavar="GB", environment="GZJWST_CACHE_GB")] = 0.0
    """What the cache may hold, GB: least recently read files make room; 0 = what its disk gives."""
    offline: bool = False
    """Ask no archive; the run folder's lists and the cache must do."""
    workers: Annotated[int, Field(ge=0, le=512), Argument(metavar="N", environment="GZJWST_WORKERS")] = 0
    """CPU processes; 0 = one for each core that the run may use."""
    overrides: Annotated[tuple[str, ...], Argument(option="--set", metavar="KEY=VALUE", repeated=True)] = ()
    """`key=value` for any key of the profile, such as detect.threshold=2."""
    until: str = ""
    """Last stage to run; empty = all."""
    quiet: bool = False
    """Print nothing but errors."""

    @property
    def processes(self) -> int:
        """CPU processes to use."""
        return self.workers or cores()


def run_values(
    request: RunRequest, model: type[Profile], given: tuple[dict[str, Any], str, dict[str, str]] | None = None
) -> dict[str, Any]:
    """Return what every run takes from its request: profile, output folder, cache.

    Parameters
    ----------
    request
        What was asked.
    model
        The pipeline's profile.
    given
        A profile as plain data in place of a file: sections, where they come from, and where single values do.

    Returns
    -------
    dict
        Keyword arguments of a `Run`.

    Raises
    ------
    ProfileError
        The profile or a path is wrong.
    """
    if given is None:
        profile = load_profile(model, request.profile, overrides=request.overrides, environment=os.environ)
        folder = profile_folder_of(request.profile)
    else:
        profile, folder = validate_profile(model, *given), Path()
    return {
        "profile": profile,
        "out": absolute(request.out, "--out"),
        "cache": absolute(request.cache or str(default_cache()), "--cache"),
        "cache_gb": request.cache_gb,
        "profile_folder": str(folder.absolute()),
        "offline": request.offline,
    }


def absolute(url: str, key: str) -> str:
    """Return a place that a worker with another working directory finds too.

    Parameters
    ----------
    url
        A path or an fsspec URL; `~` and variables of the environment are expanded.
    key
        Where it was given, for messages.

    Raises
    ------
    ProfileError
        It names a variable that is not set.
    """
    place = expanded(url, key)
    return place if "://" in place else str(Path(place).absolute())
