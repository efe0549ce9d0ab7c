"""Every pipeline there is: the one list that a new one is added to."""

from gzjwst_core.errors import ProfileError
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.profile_file import read_profile
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.timeseries.pipeline import TIME_SERIES

__all__ = ["PIPELINES", "pipeline_of"]

PIPELINES: tuple[Pipeline, ...] = (SURVEY, TIME_SERIES)


def pipeline_of(profile: str) -> Pipeline:
    """Return the pipeline that a profile is of: the one whose head section it has.

    Parameters
    ----------
    profile
        Name of a shipped profile, or the path of a TOML file.

    Raises
    ------
    ProfileError
        It cannot be read, or it has the head section of none, or of two.
    """
    sections = read_profile(profile)
    found = [pipeline for pipeline in PIPELINES if pipeline.profile.head in sections]
    if len(found) == 1:
        return found[0]
    heads = ", ".join(f"[{pipeline.profile.head}]" for pipeline in PIPELINES)
    raise ProfileError(f"{profile}: a profile has one of these sections, which says what it is for: {heads}")
