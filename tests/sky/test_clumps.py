"""Clumpy discs: light is moved, not made, and stays in its disc."""

import numpy as np
import pytest

from gzjwst_core.sky.clumps import large_discs, with_clumps
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.scene import draw_scene

OPTIONS = SkyOptions(seed=5, bands=("F277W", "F444W"), missing=())


def test_knots_hold_the_share_of_their_discs_and_lie_on_them() -> None:
    smooth = draw_scene(OPTIONS)
    discs = np.flatnonzero(large_discs(smooth))
    assert len(discs) >= 6
    clumpy = with_clumps(smooth, 0.25, 7)
    np.testing.assert_array_equal(draw_scene(OPTIONS)["mag_F277W"], smooth["mag_F277W"])  # the scene given is as it was
    parents = np.asarray(clumpy["parent_id"])
    assert set(parents[parents > 0]) == set(np.asarray(smooth["true_id"])[discs])
    for band in OPTIONS.bands:
        name = f"flux_{band}_ujy"
        assert np.sum(clumpy[name]) == pytest.approx(np.sum(smooth[name]))
        np.testing.assert_allclose(clumpy[f"mag_{band}"], 23.9 - 2.5 * np.log10(np.asarray(clumpy[name])), atol=1e-9)
    for row in discs:
        knots = clumpy[parents == smooth["true_id"][row]]
        light = float(knots["flux_F277W_ujy"].sum())
        assert light == pytest.approx(0.25 * float(smooth["flux_F277W_ujy"][row]))
        east = (knots["ra_deg"] - smooth["ra_deg"][row]) * np.cos(np.deg2rad(smooth["dec_deg"][row]))
        apart = 3600 * np.hypot(east, knots["dec_deg"] - smooth["dec_deg"][row])
        assert apart.max() < 2.3 * smooth["r50_arcsec"][row]


def test_without_a_share_nothing_changes() -> None:
    smooth = draw_scene(OPTIONS)
    same = with_clumps(smooth, 0.0, 7)
    assert len(same) == len(smooth)
    for name in smooth.colnames:
        np.testing.assert_array_equal(np.asarray(same[name]), np.asarray(smooth[name]))
