"""What stands beside the survey catalog and no longer tells of it goes, before anybody takes it for true.

Called once the catalog is merged; the stages that follow make anew what the profile asks for.
"""

from gzjwst_core.runs.receipts import latest, retire
from gzjwst_core.survey.completeness import INJECTION, SURVEY, standing_survey
from gzjwst_core.survey.crossmatch import STAGE as COMPARED
from gzjwst_core.survey.run import Run

__all__ = ["drop_stale"]


def drop_stale(run: Run) -> None:
    """Remove tables of completeness and comparisons of another catalog, or that the profile no longer asks for.

    Notes
    -----
    Injections of a field that was catalogued anew stay until it is injected into anew: nothing reads them.
    """
    if run.targets or run.profile.completeness.sources == 0:
        retire(run.folder, INJECTION, _every)
    if standing_survey(run) is None:
        retire(run.folder, SURVEY, _every)
    if not _compared(run):
        retire(run.folder, COMPARED, _every)


def _every(_unit: str) -> bool:
    return True


def _compared(run: Run) -> bool:
    """Whether the comparisons that stand are with the survey catalog as it is, and asked for."""
    made, merged = latest(run.folder, COMPARED, "survey"), latest(run.folder, "merge", "survey")
    if made is None or merged is None or not run.profile.compare:
        return False
    return made.inputs["catalog"] == merged.outputs[0].digest
