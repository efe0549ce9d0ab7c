"""Find a mosaic: ask the archives in the survey's order, and keep the trail of what each said.

An archive that cannot say right now is passed over; but a mosaic is called missing only when every archive has said so.
"""

from collections.abc import Iterable

from gzjwst_core.archives.base import Archive, Located
from gzjwst_core.errors import ArchiveError, ArchiveUnavailableError
from gzjwst_core.models import Attempt, Mosaic

__all__ = ["locate", "missing_reason"]

_TELLING = ("not_public", "ambiguous", "archive_refused", "redirected_away")


def locate(mosaic: Mosaic, archives: Iterable[Archive], *, cheap: bool = False) -> Mosaic:
    """Ask for a mosaic until one archive holds it.

    Parameters
    ----------
    mosaic
        As the query made it.
    archives
        In the order to ask.
    cheap
        Read no body and write nothing (`--dry-run`): a digest that is not on record is left out of the identity.

    Returns
    -------
    Mosaic
        With the trail, and where it was located; `archive` is empty when every archive said no.

    Raises
    ------
    ArchiveUnavailableError
        Nothing was found, and at least one archive could not say: try again.
    """
    trail: list[Attempt] = []
    undecided: list[str] = []
    for archive in archives:
        try:
            found = archive.find(mosaic, cheap=cheap)
        except ArchiveError as error:
            trail.append(Attempt(archive=archive.name, found=False, reason=error.reason, detail=str(error)))
            undecided += [str(error)] if error.retryable else []
        else:
            trail.append(Attempt(archive=found.archive, found=True))
            return _located(mosaic, found, trail)
    if undecided:
        said = "; ".join(undecided)
        raise ArchiveUnavailableError(f"{mosaic.obs_id}: not found yet, and not every archive could say: {said}")
    return mosaic.replace(archive="", uri="", identity="", trail=tuple(trail))


def missing_reason(mosaic: Mosaic) -> str:
    """Why a mosaic is in no archive, in one code: the most telling of its trail, or `not_found`."""
    said = {attempt.reason for attempt in mosaic.trail}
    return next((reason for reason in _TELLING if reason in said), "not_found")


def _located(mosaic: Mosaic, found: Located, trail: list[Attempt]) -> Mosaic:
    return mosaic.replace(
        archive=found.archive, uri=found.uri, size=found.size, identity=found.identity, trail=tuple(trail)
    )
