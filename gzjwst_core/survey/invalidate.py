"""Tables made from an earlier survey catalog are removed, before anything reads them.

Called once the catalog is merged; the stages that follow make anew what the profile asks for.
"""

from gzjwst_core.runs.receipts import retire
from gzjwst_core.survey.catalog import MERGE
from gzjwst_core.survey.completeness import INJECTION, SELECTION_FUNCTION, standing_survey
from gzjwst_core.survey.crossmatch import COMPARISON
from gzjwst_core.survey.run import SurveyRun

__all__ = ["drop_stale"]


def drop_stale(run: SurveyRun) -> None:
    """Remove tables of completeness and comparisons of another catalog, or that the profile no longer asks for.

    Notes
    -----
    Injections of a field that was catalogued anew stay until it is injected into anew: nothing reads them.
    """
    if run.targets or run.profile.completeness.sources == 0:
        retire(run.folder, INJECTION.name, _every)
    if standing_survey(run) is None:
        retire(run.folder, SELECTION_FUNCTION.name, _every)
    if not _compared(run):
        retire(run.folder, COMPARISON.name, _every)


def _every(_unit: str) -> bool:
    return True


def _compared(run: SurveyRun) -> bool:
    """Whether the comparisons that stand are with the survey catalog as it is, and asked for."""
    made, merged = COMPARISON.latest(run.folder), MERGE.latest(run.folder)
    if made is None or merged is None or not run.profile.compare:
        return False
    return made.inputs["catalog"] == MERGE.digest(merged, "catalog")
