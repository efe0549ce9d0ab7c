"""Footprints: what can be read, and shares of area that do not depend on where on the sky they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.footprint import Footprint, overlap_of_smaller, parse_footprint
from tests.archives.tiny import square


def footprint(region: str) -> Footprint:
    found = parse_footprint(region)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("region", "area_deg2"),
    [
        ("POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2", 0.04),
        ("POLYGON 10 0 10.2 0 10.2 0.2 10 0.2 10 0", 0.04),
        ("polygon icrs 1.0e1 0 10.2 0 10.2 0.2 10 0.2", 0.04),
        ("CIRCLE ICRS 10 60 0.1", 0.031366),
        ("POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2 POLYGON ICRS 10.1 0 10.3 0 10.3 0.2 10.1 0.2", 0.06),
        ("UNION ICRS (POLYGON 10 0 10.1 0 10.1 0.1 10 0.1 POLYGON 11 0 11.1 0 11.1 0.1 11 0.1)", 0.02),
        ("POLYGON ICRS 359.9 0 0.1 0 0.1 0.2 359.9 0.2", 0.04),
        ("POLYGON ICRS 10 0 10.2 0.2 10.2 0 10 0.2", 0.02),  # a bow tie
    ],
)
def test_area(region: str, area_deg2: float) -> None:
    assert footprint(region).area_deg2 == pytest.approx(area_deg2, rel=1e-3)


@pytest.mark.parametrize(
    "region",
    [
        "",
        "nothing",
        "POLYGON",
        "POLYGON ICRS 1 2 3 4",
        "POLYGON ICRS 1 2 3 4 5",
        "POLYGON ICRS 1 2 3 4 5 x",
        "POLYGON ICRS 1 2 3 4 5 91",
        "POLYGON ICRS 1 2 3 4 5 nan",
        "CIRCLE ICRS 1 2",
        "CIRCLE ICRS 1 2 -1",
        "CIRCLE ICRS 1 2 60",
        "POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2 POLYGON ICRS 1",
    ],
)
def test_what_cannot_be_read_is_no_footprint(region: str) -> None:
    assert parse_footprint(region) is None


@pytest.mark.parametrize("ra", [0.0, 150.0, 359.99])
def test_overlap_is_of_the_smaller_one(ra: float) -> None:
    large, small = footprint(square(ra, 2, 0.1)), footprint(square(ra + 0.08, 2, 0.04))
    assert overlap_of_smaller(large, small) == pytest.approx(0.5, abs=1e-3)


def test_far_apart_and_antipodes_share_nothing() -> None:
    a = footprint(square(10, 0, 0.1))
    assert overlap_of_smaller(a, footprint(square(12, 0, 0.1))) == 0.0
    assert overlap_of_smaller(a, footprint(square(190, 0, 0.1))) == 0.0


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0, 359.999),
    st.floats(-80, 80),
    st.floats(0.01, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
)
def test_overlap_is_a_share_and_symmetric(ra: float, dec: float, side: float, dx: float, dy: float) -> None:
    a, b = footprint(square(ra, dec, side)), footprint(square(ra + dx, dec + dy, 0.7 * side))
    share = overlap_of_smaller(a, b)
    assert 0.0 <= share <= 1.0 + 1e-9
    assert overlap_of_smaller(b, a) == pytest.approx(share, abs=1e-6)
    assert overlap_of_smaller(a, a) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("position", "inside"),
    [((10.0, 0.0), True), ((10.0, 0.509), True), ((10.0, 0.52), False), ((190.0, 0.0), False), ((350.0, -60.0), False)],
)
def test_positions_in_or_near_a_footprint(position: tuple[float, float], inside: bool) -> None:
    footprint = parse_footprint("POLYGON ICRS 9.5 -0.5 10.5 -0.5 10.5 0.5 9.5 0.5")
    assert footprint is not None
    ra, dec = (np.array([value]) for value in position)
    assert footprint.holds_any(ra, dec, margin_deg=0.01) == inside
    assert footprint.holds_any(np.append(ra, 200.0), np.append(dec, 80.0), margin_deg=0.01) == inside
