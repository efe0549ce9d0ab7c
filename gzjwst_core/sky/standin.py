"""A profile with a `[sky]` section runs against a synthetic sky on loopback archives: made once, kept, served.

Real profiles pass through here untouched. The archive is a process of its own; the environment that points clients at
it must be set before astroquery is imported, which is why the command line runs such a profile in a child process.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gzjwst_core.errors import ProfileError
from gzjwst_core.run import Run

__all__ = ["archives_stand_in", "needs_archive", "sky_folder"]


def sky_folder(run: Run) -> Path:
    """Folder of a survey's synthetic sky, in the cache: kept between runs."""
    return Path(run.cache) / "sky" / run.profile.name


def needs_archive(run: Run) -> bool:
    """Whether the run asks a synthetic sky that nobody serves yet."""
    return run.profile.sky is not None and "GZJWST_MAST_URL" not in os.environ and not run.offline


@contextmanager
def archives_stand_in(run: Run) -> Iterator[dict[str, str]]:
    """Serve the run's synthetic sky for as long as the block runs, if it has one that nobody serves yet.

    Yields
    ------
    dict of str to str
        This process's environment, pointed at the sky; it is also set in this process.

    Raises
    ------
    ProfileError
        astroquery was imported before, so that it would ask the real MAST.
    """
    if not needs_archive(run) or run.profile.sky is None:
        yield dict(os.environ)
        return
    if "astroquery" in sys.modules:
        raise ProfileError(f"{run.profile.name}: a synthetic sky must be served before astroquery is imported")
    from gzjwst_core.sky.build import build_sky  # noqa: PLC0415 - a real survey does not pay for the sky's imports
    from gzjwst_core.sky.serving import serving  # noqa: PLC0415

    before = dict(os.environ)
    folder = build_sky(run.profile.sky, sky_folder(run)).folder
    with TemporaryDirectory(prefix="gzjwst-sky-") as scratch, serving(folder, Path(scratch)) as environment:
        os.environ.update(environment)
        try:
            yield environment
        finally:
            os.environ.clear()
            os.environ.update(before)
