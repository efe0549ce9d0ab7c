"""Selection: the profile's cuts, applied one after another, and the count that each leaves.

Cuts are data; this is their one interpreter. Not here: which rows of several fields are one object (`merge`).
"""

import difflib
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.errors import CatalogError
from gzjwst_core.options import Cut

__all__ = ["CutCount", "cut_text", "select"]


class CutCount(TypedDict):
    """One row of the cut flow."""

    cut: str
    why: str
    before: int
    after: int


def select(table: Table, cuts: Sequence[Cut]) -> tuple[NDArray[np.bool_], list[CutCount]]:
    """Apply cuts in their order.

    Parameters
    ----------
    table
        A catalog.
    cuts
        A row stays if every condition of every cut holds; limits are inclusive and compared in the
        column's own precision (float32 0.3 passes `maximum = 0.3`); NaN never passes.

    Returns
    -------
    mask
        (n,) True for the rows that pass every cut.
    flow
        One entry a cut: its text, why it is made, rows before and after.

    Raises
    ------
    CatalogError
        A column is not in the table (the nearest names are given), or a condition does not fit its type.
    """
    mask = np.ones(len(table), dtype=bool)
    flow: list[CutCount] = []
    for cut in cuts:
        before = int(mask.sum())
        mask &= _passing(table, cut)
        flow.append(CutCount(cut=cut_text(cut), why=cut.why, before=before, after=int(mask.sum())))
    return mask, flow


def cut_text(cut: Cut) -> str:
    """Write a cut the way a person would: `20 <= mag_ref <= 25`."""
    low = "" if cut.minimum is None else f"{cut.minimum:g} <= "
    high = "" if cut.maximum is None else f" <= {cut.maximum:g}"
    said = [f"{low}{cut.column}{high}"] if low or high else []
    if cut.equals is not None:
        said.append(f"{cut.column} == {cut.equals}")
    if cut.none_of_bits is not None:
        said.append(f"{cut.column} & {cut.none_of_bits} == 0")
    return " and ".join(said)


def _passing(table: Table, cut: Cut) -> NDArray[np.bool_]:
    values = _values(table, cut)
    passing = np.ones(len(table), dtype=bool)
    if cut.minimum is not None:
        passing &= values >= cut.minimum
    if cut.maximum is not None:
        passing &= values <= cut.maximum
    if cut.equals is not None:
        passing &= values == cut.equals
    if cut.none_of_bits is not None:
        passing &= (values.astype(np.int64) & cut.none_of_bits) == 0
    return passing


def _values(table: Table, cut: Cut) -> NDArray[Any]:
    if cut.column not in table.colnames:
        near = difflib.get_close_matches(cut.column, table.colnames, n=3, cutoff=0.4) or table.colnames
        raise CatalogError(f"cut {cut_text(cut)!r}: no column {cut.column!r} (nearest: {', '.join(near)})")
    values = np.asarray(table[cut.column])
    wrong = _misfit(cut, values.dtype.kind)
    if wrong:
        raise CatalogError(f"cut {cut_text(cut)!r}: {wrong}, but column {cut.column!r} holds {values.dtype}")
    return values


def _misfit(cut: Cut, kind: str) -> str:
    """Say which condition cannot be put to values of a numpy kind; empty if all can."""
    if (cut.minimum is not None or cut.maximum is not None) and kind not in "iuf":
        return "minimum and maximum need a number"
    if cut.none_of_bits is not None and kind not in "iu":
        return "none_of_bits needs an integer"
    if cut.equals is None:
        return ""
    if isinstance(cut.equals, bool):
        return "" if kind == "b" else "equals = true or false needs a bool"
    if isinstance(cut.equals, str):
        return "" if kind == "U" else "equals = text needs text"
    return "" if kind in "iuf" else "equals = a number needs a number"
