"""A profile with a `[sky]` section runs against a synthetic sky on loopback archives: made once, kept, served.

Real profiles pass through here untouched. The archive is a process of its own, since its answers take CPU, and ends
with the run; the run's own process finds it by its environment.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gzjwst_core.survey.run import SurveyRun

__all__ = ["needs_archive", "serve_synthetic_archive", "sky_folder"]


def sky_folder(run: SurveyRun) -> Path:
    """Folder of a survey's synthetic sky, in the cache: kept between runs."""
    return Path(run.cache) / "sky" / run.profile.name


def needs_archive(run: SurveyRun) -> bool:
    """Whether the run asks a synthetic sky that nobody serves yet."""
    return run.profile.sky is not None and "GZJWST_MAST_URL" not in os.environ and not run.offline


@contextmanager
def serve_synthetic_archive(run: SurveyRun) -> Iterator[None]:
    """Serve the run's synthetic sky for as long as the block runs, if it has one that nobody serves yet.

    This process's environment points there meanwhile.
    """
    if not needs_archive(run) or run.profile.sky is None:
        yield
        return
    from gzjwst_core.sky.build import build_sky  # noqa: PLC0415 - a real survey does not pay for the sky's imports
    from gzjwst_core.sky.serving import serving  # noqa: PLC0415

    before = dict(os.environ)
    with serving(build_sky(run.profile.sky, sky_folder(run)).folder) as environment:
        _become(environment)
        try:
            yield
        finally:
            _become(before)


def _become(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
