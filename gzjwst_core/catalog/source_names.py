"""What sky objects are called: names after the position, letters where they collide, numbers of groups.

Names and positions in, names out. Which name an earlier release gave is `carried_ids`.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.names import id_str

__all__ = ["NOTHING_EARLIER", "Earlier", "group_number", "unique_names"]

_COORDINATES = re.compile(r"_J\d{6}\.\d{2}[+-]\d{6}\.\d[a-z]*\Z", re.ASCII)
_FOREIGN = 2**62


class Earlier(NamedTuple):
    """Names of an earlier release."""

    carried: NDArray[np.str_]
    """(n,) name of each row that is an object of that release, empty for the others."""
    taken: Collection[str]
    """Every name of that release: none of them is given to another object."""


NOTHING_EARLIER = Earlier(np.zeros(0, dtype=str), frozenset())


def unique_names(
    survey: str, rows: Table, is_primary: NDArray[np.bool_], earlier: Earlier = NOTHING_EARLIER
) -> NDArray[np.str_]:
    """Name rows after their position; only where several share a name they get letters, primaries first.

    Parameters
    ----------
    survey
        First part of every name that is made here.
    rows
        ra, dec, field, source_id.
    is_primary
        (n,) A lone primary keeps the bare name whatever secondaries share it, so that a field added later renames no
        image.
    earlier
        Rows with a carried name keep that; the others get no name of the earlier release.
    """
    names = [str(name) for name in earlier.carried] or [""] * len(rows)
    ra, dec = np.asarray(rows["ra"], dtype=np.float64), np.asarray(rows["dec"], dtype=np.float64)
    sharing: dict[str, list[int]] = defaultdict(list)
    for row in np.lexsort((rows["source_id"], rows["field"], ra, dec, ~is_primary)).tolist():
        if not names[row]:
            sharing[id_str(survey, float(ra[row]), float(dec[row]))].append(row)
    for name, same in sharing.items():
        lone = len(same) == 1 or int(is_primary[same].sum()) == 1
        for row, given in zip(same, _free_names(name, earlier.taken, bare=lone), strict=False):
            names[row] = given
    return np.array(names, dtype=str)


def _free_names(name: str, taken: Collection[str], *, bare: bool) -> Iterator[str]:
    """Yield the name itself, if it may be bare, then the name with letters; the bare one takes the place of `a`."""
    if bare := bare and name not in taken:
        yield name
    for place in count(int(bare)):
        lettered = name + _letters(place)
        if lettered not in taken:
            yield lettered


def _letters(place: int) -> str:
    """0 is `a`, 25 `z`, 26 `aa`."""
    text = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, 26)
        text = chr(ord("a") + letter) + text
    return text


def group_number(name: str, survey: str) -> int:
    """Turn a primary's name into a number that stays when fields are added.

    Parameters
    ----------
    name
        A name of this survey gives the digits of its position, the sign, its letters; one that another release made
        up in its own way gives a digest, beyond all of those.
    survey
        The survey's name.
    """
    position = name.removeprefix(survey)
    if not name.startswith(survey) or not _COORDINATES.match(position):
        digest = hashlib.sha256(name.encode()).digest()
        return _FOREIGN + int.from_bytes(digest[:8], "big") % _FOREIGN
    digits = "".join(c for c in position if c.isdigit())
    place = 0
    for letter in (c for c in position if c.islower()):
        place = place * 26 + ord(letter) - ord("a") + 1
    return (int(digits) * 2 + ("-" in position)) * 1000 + place
