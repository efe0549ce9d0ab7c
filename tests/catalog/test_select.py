"""Cuts do what their text says, count honestly, and never let NaN pass."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.catalog.select import cut_text, select
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import Cut, SelectOptions


def catalog() -> Table:
    return Table(
        {
            "is_primary": [True, True, False, True],
            "is_star": [False, True, False, False],
            "mag_ref": np.array([24.0, 20.0, 22.0, np.nan], dtype="float32"),
            "r50": np.array([0.2, 0.3, 0.4, 0.5], dtype="float32"),
            "flags": np.array([1, 0, 8, 8], dtype="uint32"),
            "field": ["a", "a", "b", "b"],
            "n_bands": np.array([2, 3, 4, 4], dtype="int16"),
            "valid_frac_min": np.array([1.0, 1.0, 1.0, 0.2], dtype="float32"),
        }
    )


def test_the_default_cuts_count_what_they_leave() -> None:
    mask, flow = select(catalog(), SelectOptions().cuts)
    assert mask.tolist() == [True, False, False, False]
    assert [(c["before"], c["after"]) for c in flow] == [(4, 3), (3, 2), (2, 1), (1, 1), (1, 1), (1, 1)]
    assert flow[0]["why"] == "one row a sky object"


@pytest.mark.parametrize(
    ("cut", "expected", "text"),
    [
        (Cut(column="mag_ref", minimum=22.0), [True, False, True, False], "22 <= mag_ref"),
        (Cut(column="mag_ref", minimum=21.0, maximum=22.0), [False, False, True, False], "21 <= mag_ref <= 22"),
        (Cut(column="mag_ref", maximum=99.0), [True, True, True, False], "mag_ref <= 99"),
        (Cut(column="field", equals="b"), [False, False, True, True], "field == b"),
        (Cut(column="n_bands", equals=4), [False, False, True, True], "n_bands == 4"),
        (Cut(column="flags", none_of_bits=9), [False, True, False, False], "flags & 9 == 0"),
        (
            Cut(column="flags", maximum=1.0, none_of_bits=1),
            [False, True, False, False],
            "flags <= 1 and flags & 1 == 0",
        ),
    ],
)
def test_each_kind_of_cut(cut: Cut, expected: list[bool], text: str) -> None:
    mask, flow = select(catalog(), [cut])
    assert mask.tolist() == expected
    assert flow[0]["cut"] == cut_text(cut) == text


def test_no_cuts_keep_everything_and_no_rows_are_fine() -> None:
    mask, flow = select(catalog(), [])
    assert mask.all()
    assert flow == []
    mask, flow = select(catalog()[:0], SelectOptions().cuts)
    assert len(mask) == 0
    assert {c["after"] for c in flow} == {0}


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(CatalogError, match=r"no column 'mag_reff' \(nearest: mag_ref"):
        select(catalog(), [Cut(column="mag_reff", maximum=1.0)])


@pytest.mark.parametrize(
    "cut",
    [
        Cut(column="field", minimum=1.0),
        Cut(column="is_star", maximum=1.0),
        Cut(column="is_star", equals=1),
        Cut(column="is_star", equals="False"),
        Cut(column="flags", equals=True),
        Cut(column="field", equals=3),
        Cut(column="mag_ref", none_of_bits=1),
    ],
)
def test_a_condition_that_does_not_fit_its_column_is_refused(cut: Cut) -> None:
    with pytest.raises(CatalogError, match=f"column '{cut.column}' holds"):
        select(catalog(), [cut])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(width=32), max_size=20),
    st.lists(st.tuples(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32)), min_size=1, max_size=4),
)
def test_the_flow_falls_and_ends_at_the_mask(values: list[float], limits: list[tuple[float, float]]) -> None:
    table = Table({"v": np.array(values, dtype="float32")})
    mask, flow = select(table, [Cut(column="v", minimum=min(c), maximum=max(c)) for c in limits])
    assert flow[0]["before"] == len(values)
    assert all(c["after"] <= c["before"] for c in flow)
    assert flow[-1]["after"] == mask.sum()
    low, high = max(min(c) for c in limits), min(max(c) for c in limits)
    expected = [bool(low <= v <= high) for v in np.array(values, dtype="float32").tolist()]
    assert mask.tolist() == expected
