"""Neighbours' wings: an exponential disc shines on the others as it should, and errors know of it."""

import numpy as np
import pytest

from gzjwst_core.photometry.field_catalog import FieldCatalog
from gzjwst_core.photometry.neighbour_light import Wings

R50, R90 = 1.678, 3.890  # of an exponential disc of scale length 1


def test_a_disc_s_wings_are_found_to_a_factor_of_two() -> None:
    places = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 7.0], [100.0, 0.0]])
    r50 = np.array([R50, np.nan, np.nan, R50])
    r90 = np.array([R90, np.nan, np.nan, R90])
    wings = Wings.between(places, r50, r90, np.full(4, 1.0001))
    light = wings.brightness(np.array([100.0, 50.0, 50.0, -7.0]))
    for row, distance in ((1, 5.0), (2, 7.0)):
        true = 100 * np.exp(-distance) / (2 * np.pi)
        assert true / 2 < light[row] < 2 * true
    assert light[0] == light[3] == 0


def test_nobody_shines_without_light_or_neighbours() -> None:
    nothing = np.zeros(0)
    assert Wings.between(np.zeros((0, 2)), nothing, nothing, nothing).brightness(nothing).size == 0
    pair = Wings.between(np.array([[0.0, 0.0], [1.0, 0.0]]), np.full(2, 0.3), np.full(2, 0.3), np.full(2, 1.5))
    assert pair.brightness(np.array([np.nan, -3.0])).tolist() == [0.0, 0.0]


def test_errors_of_a_catalog_hold_the_wings(made: tuple[FieldCatalog, str]) -> None:
    table = made[0].table
    wings = np.asarray(table["F277W_sb_wings"], dtype=float)
    small, large = (np.asarray(table[f"F277W_fluxerr_{name}"], dtype=float) for name in ("aper020", "aper100"))
    naive = np.asarray(table["F277W_fluxerr_aper100_naive"], dtype=float)
    assert (wings >= 0).all()
    assert (wings > 0).mean() > 0.5
    known = np.isfinite(large) & np.isfinite(small)
    assert (large[known] >= np.pi / 4 * wings[known] * (1 - 1e-5)).all()
    worst = known & (wings > 10 * naive)
    assert large[worst] == pytest.approx(np.pi / 4 * wings[worst], rel=0.1)
