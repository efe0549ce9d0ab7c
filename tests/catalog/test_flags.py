"""Flags: edges and gaps told apart, halos and spikes, persistence, one place for meanings."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.detection.outline import missing_kind, outside_of
from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.options import MosaicOptions
from gzjwst_core.photometry import star_masks as halos
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.photometry.measure import Scene
from gzjwst_core.survey.profile import load_profile
from tests.catalog.tiny_sky import Profile, TinySky


def test_every_flag_is_one_bit_with_a_meaning() -> None:
    assert set(FLAG_MEANINGS) == set(Flag)
    assert all(int(flag).bit_count() == 1 for flag in Flag)
    assert len(set(FLAG_MEANINGS.values())) == len(Flag)


# ---------------------------------------------------------------- edge and gap


def blocks() -> NDArray[np.bool_]:
    """A mosaic of 60 x 60 blocks of 1 arcsec in a larger array: a chip gap that runs out to the edge, and a hole."""
    empty = np.ones((80, 80), dtype=bool)
    empty[10:70, 10:70] = False
    empty[10:70, 38:42] = True
    empty[20:22, 20:22] = True
    return empty


def test_a_gap_that_runs_out_to_the_edge_is_a_gap() -> None:
    outside = outside_of(blocks(), 1.0)[1:-1, 1:-1]
    assert outside[5, 5]
    assert outside[75, 40]
    assert not outside[12:68, 38:42].any()
    assert not outside[20:22, 20:22].any()
    assert not outside[~blocks()].any()


def test_a_wide_bay_is_outside_and_an_array_full_of_data_ends_at_its_rim() -> None:
    bay = blocks()
    bay[10:40, 28:52] = True
    assert outside_of(bay, 1.0)[1:-1, 1:-1][15, 40]
    full = outside_of(np.zeros((30, 30), dtype=bool), 1.0)
    assert full.sum() == 4 * 31
    assert not full[1:-1, 1:-1].any()


def test_sources_are_told_what_they_lack_data_for() -> None:
    places: dict[str, tuple[float, float]] = {"edge": (11.0, 30.0), "gap": (50.0, 36.5), "hole": (21.0, 23.0)}
    places |= {"both": (11.0, 37.0), "neither": (50.0, 20.0)}
    y, x = np.array(list(places.values())).T
    missing = np.array([name != "neither" for name in places])
    kind = missing_kind(blocks(), 1.0, (y, x), np.full(5, 2.5), missing)
    assert dict(zip(places, zip(kind.edge.tolist(), kind.gap.tolist(), strict=True), strict=True)) == {
        "edge": (True, False),
        "gap": (False, True),
        "hole": (False, True),
        "both": (True, True),
        "neither": (False, False),
    }
    assert (kind.edge | kind.gap).tolist() == missing.tolist()


def test_edges_and_gaps_of_a_field_are_where_data_are_missing(made: tuple[FieldCatalog, str]) -> None:
    table = made[0].table
    flags = np.asarray(table["flags"])
    either = (flags & int(Flag.EDGE | Flag.GAP)) > 0
    lacks = (table["valid_frac"] < 1) | (table["edge_dist"] < table["kron_b"])
    np.testing.assert_array_equal(either, lacks)
    hollow = (flags & int(Flag.SATURATED)) > 0
    inner = np.hypot(np.asarray(table["x"]) - 250, np.asarray(table["y"]) - 250) < 150
    assert (flags[inner & either] & int(Flag.GAP) > 0).all()
    assert hollow.any()


# ---------------------------------------------------------------- bright stars


def star_of_six_rays(angle_deg: float, length: int = 40) -> tuple[NDArray[np.int32], float]:
    labels = np.zeros((101, 101), dtype=np.int32)
    yy, xx = np.mgrid[:101, :101] - 50
    labels[np.hypot(yy, xx) < 8] = 3
    for axis in np.deg2rad(angle_deg + np.array([0, 60, 120])):
        labels[(np.abs(xx * np.sin(axis) - yy * np.cos(axis)) < 1.5) & (np.hypot(yy, xx) < length)] = 3
    return labels, np.deg2rad(angle_deg)


def moments(labels: NDArray[np.int32]) -> complex:
    nothing = np.zeros(labels.shape, np.float32)
    scene = Scene(Frame(nothing, nothing, nothing > 1), labels, np.array([3, 9], dtype=np.int32), WHITE)
    re, im = halos.sixfold_moments(scene, np.array([50.0, 5.0]), np.array([50.0, 5.0]))
    assert re[1] == im[1] == 0
    return complex(re[0], im[0])


@pytest.mark.parametrize("angle", [0.0, 13.0, 47.5])
def test_rays_are_measured_from_the_segment(angle: float) -> None:
    labels, _ = star_of_six_rays(angle)
    six = moments(labels)
    assert abs(six) > 0.5
    assert (np.rad2deg(np.angle(six)) / 6 - angle + 30) % 60 - 30 == pytest.approx(0, abs=1)
    round_one = np.where(np.hypot(*(np.mgrid[:101, :101] - 50)) < 30, 3, 0).astype(np.int32)
    assert abs(moments(round_one)) < 0.02


def columns(six: complex) -> dict[str, Any]:
    """One bright star at the middle of a grid of faint sources 0.5 arcsec apart."""
    y, x = (np.mgrid[-30:31, -30:31] * 0.5 / 0.06 + 500).reshape(2, -1)
    star = np.zeros(x.size, dtype=bool)
    star[x.size // 2] = True
    return {
        "x": x,
        "y": y,
        "mag_ref": np.where(star, 18.5, 27.0),
        "npix": np.where(star, 1200, 10),
        "bbox_diagonal": np.where(star, 12.0, 0.5),
        "sixfold_re": np.where(star, six.real, 0.0),
        "sixfold_im": np.where(star, six.imag, 0.0),
    }


def flagged(v3_deg: float | None, six: complex = 0j) -> tuple[NDArray[np.bool_], NDArray[Any], NDArray[Any]]:
    table = columns(six)
    wcs = stated_wcs((1001, 1001), 0.06, 150.0, 2.0)  # north up, east left
    rows = np.array([table["x"].size // 2])
    zones = halos.zones_of(table, rows, wcs, v3_deg, 0.06)
    dx, dy = (table["x"] - 500) * 0.06, (table["y"] - 500) * 0.06
    return halos.in_zones(zones, table["x"], table["y"], table["mag_ref"]), dx, dy


def test_spikes_lie_where_the_header_says() -> None:
    """V3 to the north: spikes up and down and 60 deg from there; a small pair across; elsewhere the sky is clean."""
    inside, dx, dy = flagged(0.0)
    assert not inside[inside.size // 2]  # not the star itself
    r = np.hypot(dx, dy)
    assert inside[(np.abs(dx) < 0.1) & (r > 0.1) & (r < 7)].all()
    assert inside[(np.abs(dy) < 0.1) & (r > 0.1) & (r < 3.5)].all()
    assert not inside[(np.abs(dy) < 0.1) & (r > 6)].any()
    assert not inside[(np.abs(np.abs(dx) - np.abs(dy)) < 0.1) & (r > 3)].any()
    turned, _, _ = flagged(60.0)
    assert turned[(np.abs(dx) < 0.1) & (r > 0.1) & (r < 7)].all()
    sideways, _, _ = flagged(30.0)
    assert sideways[(np.abs(dy) < 0.1) & (r > 0.1) & (r < 7)].all()
    assert not sideways[(np.abs(dx) < 0.1) & (r > 6)].any()


def test_without_a_header_the_segment_speaks_and_without_rays_the_zone_is_round() -> None:
    six, dx, dy = flagged(None, 0.4 * np.exp(6j * np.deg2rad(90)))
    r = np.hypot(dx, dy)
    assert six[(np.abs(dx) < 0.1) & (r > 0.1) & (r < 7)].all()
    assert not six[(np.abs(dy) < 0.1) & (r > 3)].any()  # the small pair is not known then
    circle, _, _ = flagged(None)
    edge = r[circle].max()
    assert circle[(r <= edge) & (r > 0.1)].all()
    assert circle.sum() > six.sum()


def test_only_fainter_sources_and_those_without_a_magnitude_are_in_a_zone() -> None:
    zones = halos.Zones(np.array([0]), np.array([40.0]), np.array([40.0]), np.array([np.nan]), False, 0.06)
    x, y, mag = np.array([0.0, 10, 20, 30, 500]), np.zeros(5), np.array([18.0, 24, 17, np.nan, 24])
    assert halos.in_zones(zones, x, y, mag).tolist() == [False, True, False, True, False]


def test_headers_say_where_the_telescope_looks() -> None:
    assert halos.v3_angle(fits.Header([("PA_V3", 110.0), ("ROLL_REF", 109.5)])) == 109.5
    assert halos.v3_angle(fits.Header(), fits.Header([("PA_V3", 110)])) == 110.0
    assert halos.v3_angle(fits.Header([("PA_APER", 100.0), ("V3I_YANG", -0.5)])) == 100.5
    assert halos.v3_angle(fits.Header([("PA_APER", "unknown")])) is None
    broken = fits.Header.fromstring("ROLL_REF= '12 is no end".ljust(80))
    assert halos.v3_angle(broken) is None


def test_a_field_without_bright_stars_has_no_zones() -> None:
    wcs = stated_wcs((11, 11), 0.06, 0.0, 0.0)
    none = halos.zones_of(columns(0j), np.zeros(0, dtype=np.int64), wcs, None, 0.06)
    assert not halos.in_zones(none, np.zeros(3), np.zeros(3), np.zeros(3)).any()


# ---------------------------------------------------------------- persistence


def test_sources_in_a_mosaic_known_for_persistence_are_flagged(sky: TinySky, tmp_path: Path) -> None:
    sources = [s.replace(obs_id=f"hlsp_x_{s.band.lower()}_2b") for s in sky.fields["south"][1:]]
    profile = Profile(mosaics=MosaicOptions(persistence=("hlsp_x_f444w_2b", "never")))
    table = build_field_catalog(sources, profile, tmp_path / "s.fits", bands=sky.bands).table
    flag = (np.asarray(table["flags"]) & int(Flag.PERSISTENCE)) > 0
    np.testing.assert_array_equal(flag, np.asarray(table["F444W_valid_frac"]) > 0)
    assert flag.any()


def test_ceers_names_the_pointing_with_persistence() -> None:
    known = load_profile("ceers").mosaics.persistence
    for name, expected in (("2all_f200w", True), ("2all_f444w", True), ("2_f150w", False), ("1_f200w", False)):
        obs_id = f"hlsp_ceers_jwst_nircam_nircam{name}_v0.5"
        assert any(re.fullmatch(pattern, obs_id) for pattern in known) == expected
