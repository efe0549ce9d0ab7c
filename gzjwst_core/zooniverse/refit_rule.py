"""Which rule of the field of view voted frames follow, and the subjects of one: sizes of two rules are not one thing.

What is done with their votes is `refit_verb`'s and `refit`'s part.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from astropy.io import fits

from gzjwst_core.cutouts.fov import STATED
from gzjwst_core.errors import GzJwstError, SubjectsError
from gzjwst_core.names import file_stem
from gzjwst_core.storage.folder import Folder
from gzjwst_core.zooniverse.votes import Subject, subject_text

__all__ = ["RULE_CARD", "card_of_cutout", "of_one_rule"]

RULE_CARD = "FOVRULE"
"""Card of a cutout with the name of its rule."""


def of_one_rule(
    subjects: Sequence[Subject], folder: Folder | None, wanted: str, present: str
) -> tuple[list[Subject], list[str]]:
    """Find the subjects whose frames follow one rule.

    Parameters
    ----------
    subjects
        Of the votes. Those with a stated frame follow no rule and are passed on.
    folder
        The run folder, for rules where votes have none.
    wanted
        Name of the rule; empty = the commonest.
    present
        The profile's rule.

    Returns
    -------
    list of Subject, list of str
        Subjects of that rule, in order; and what is to be said of the others, and of a rule that is not the profile's.

    Raises
    ------
    SubjectsError
        No frame follows `wanted` (reason `no_such_rule`).
    """
    rules = [_rule_of(one, folder) for one in subjects]
    there = Counter(rule for rule in rules if rule != STATED)
    used = wanted or next((rule for rule, _ in there.most_common(1)), "")
    if wanted and not there[wanted]:
        raise SubjectsError(f"--rule {wanted}: no frame follows it; there are: {_named(there)}", reason="no_such_rule")
    said = []
    if others := Counter({rule: count for rule, count in there.items() if rule != used}):
        said.append(f"{others.total()} subjects left out: not of the rule {_name(used)} (--rule): {_named(others)}")
    if used not in ("", present):
        said.append(f"these are votes on the rule {used}: the constant found is none of the present rule, {present}")
    return [one for one, rule in zip(subjects, rules, strict=True) if rule in (used, STATED)], said


def card_of_cutout(subject: Subject, card: str, folder: Folder) -> Any:
    """Return a card of the subject's cutout in a run folder; None where there is no such cutout or card."""
    name, field = subject.metadata.get("id_str"), subject.metadata.get("#field")
    try:
        with folder.open(f"cutouts/{field}/{file_stem(str(name))}.fits") as file:
            return fits.Header.fromfile(file).get(card)
    except (GzJwstError, OSError, EOFError, ValueError):  # no such cutout, or none of ours
        return None


def _rule_of(subject: Subject, folder: Folder | None) -> str:
    told = subject_text(subject, "fov_rule")
    return told if told or folder is None else str(card_of_cutout(subject, RULE_CARD, folder) or "")


def _named(rules: Counter[str]) -> str:
    return ", ".join(f"{_name(rule)} ({count})" for rule, count in rules.most_common(12))


def _name(rule: str) -> str:
    return rule[:40] or "not told"
