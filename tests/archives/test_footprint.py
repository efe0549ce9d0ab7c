"""Footprints: what can be read, and shares of area that do not depend on where on the sky they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.footprint import Footprint, join_footprints, overlap_of_smaller, parse_footprint
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
        "POLYGON ICRS 81.18 -89.37 81.11 -89.37 81.11 89.30 81.18 89.30",  # from pole to pole
        "POLYGON ICRS 81 -30 81 -30 81 -30 81 -30",  # a point
        "POLYGON ICRS 81 -30 81.1 -30 81.2 -30 81.1 -30",  # a line, but for great circles
        "POLYGON ICRS 0 0 0 0.1 0 0.2 0 0.1",  # a line
        "POLYGON ICRS 150.1 2.2 150.2 2.2 150.2 2.3 nan nan",
        "POLYGON ICRS 150.1 2.2 150.2 2.2 150.2 2.3 inf 2",
        "POLYGON ICRS 150.1 2.2 150.2 2.2 150.2 2.3 0 0",  # a corner that was never filled in
        "POLYGON ICRS 2.2 150.1 2.2 150.2 2.3 150.2",  # exchanged
        "POLYGON ICRS 99999 2.2 99999.1 2.2 99999 2.3",
        "POLYGON GALACTIC 10 0 10.2 0 10.2 0.2 10 0.2",
        "POLYGON FK4 10 0 10.2 0 10.2 0.2 10 0.2",
        "NOT (POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2)",
        "INTERSECTION ICRS (POLYGON 10 0 10.2 0 10.2 0.2 10 0.2 CIRCLE 10 0 1)",
        "UNION ICRS (POLYGON 10 0 10.2 0 10.2 0.2 10 0.2 BOX 11 0 1 1)",
        "POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2; DROP TABLE",
        "CIRCLE ICRS 10 0 1e-9",
        "CIRCLE ICRS nan 0 1",
        "CIRCLE ICRS 10 95 1",
        "POSITION ICRS 10 0",
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


@pytest.mark.parametrize(
    ("region", "ra", "dec"),
    [
        ("POLYGON ICRS -0.0088 -30.01 359.98 -30.01 359.98 -29.99 0.01 -29.99", 359.995, -30.0),
        ("POLYGON ICRS 360.1 1 359.9 1 359.9 1.2 360.1 1.2", 0.05, 1.1),
        ("POLYGON ICRS 10 0 10 0.2 10.2 0.2 10.2 0", 10.1, 0.1),  # the other way round
        ("POLYGON ICRS 10 0 10.2 0.2 10.2 0 10 0.2", 10.1, 0.02),  # a bow tie: between its wings
        ("POLYGON ICRS 10 0 10.2 0.2 10.2 0 10 0.2", 10.1, 0.18),
        ("POLYGON ICRS 10 89.9 100 89.9 190 89.9 280 89.9", 33.0, 89.99),  # around the pole
        ("POLYGON J2000 10 0 10.2 0 10.2 0.2 10 0.2", 10.1, 0.1),
        ("POLYGON FK5 TOPOCENTER 10 0 10.2 0 10.2 0.2 10 0.2 10 0", 10.1, 0.1),
        ("Polygon((10 0, 10.2 0, 10.2 0.2, 10 0.2))", 10.1, 0.1),
        ("UNION ICRS (POLYGON 10 0 10.1 0 10.1 0.1 10 0.1 POLYGON 190 0 190.1 0 190.1 0.1 190 0.1)", 190.05, 0.05),
        ("CIRCLE ICRS 0.0 89.95 0.1", 180.0, 89.99),
    ],
)
def test_what_a_footprint_may_hold_is_held(region: str, ra: float, dec: float) -> None:
    found = footprint(region)
    assert found.holds_any(np.array([ra]), np.array([dec]), margin_deg=1e-4)
    assert not found.holds_any(np.array([ra + 90]), np.array([-60.0]), margin_deg=1e-4)
    assert found.area_deg2 > 0


def test_fields_on_opposite_sides_of_the_sky_have_the_area_of_both() -> None:
    both = join_footprints(
        [footprint(square(10, 0, 0.1)), footprint(square(190, 0, 0.1)), footprint(square(10, 0, 0.1))]
    )
    assert both is not None
    assert both.area_deg2 == pytest.approx(0.02, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.text("POLYGNCIRUEF5K0123456789.-+ ,()eEnaNif", max_size=60))
def test_any_text_is_a_footprint_that_can_be_used_or_none(text: str) -> None:
    for region in (text, f"POLYGON ICRS {text}", f"POLYGON ICRS 10 0 10.2 0 10.2 0.2 10 0.2 {text}"):
        found = parse_footprint(region)
        if found is not None:
            middles = [ring.mean(axis=0) / np.linalg.norm(ring.mean(axis=0)) for ring in found.rings]
            ra = np.degrees([np.arctan2(y, x) for x, y, _ in middles])
            assert found.area_deg2 > 0
            held = found.holds(ra, np.degrees(np.arcsin([z for *_, z in middles])), margin_deg=found.radius_deg)
            assert held.all()
