"""Pinned colour: proposed from the median mosaic and galaxy, never over what is pinned."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.images.encode import recipe_digest
from gzjwst_core.images.pins import drift, held_pins, pins_of, propose_pins
from gzjwst_core.options import ImageOptions, Pin
from tests.cutouts.skies import BANDS

MOSAICS = Table(
    {
        "field": ["f1", "f1", "f2", "f2", "f3"],
        "band": ["F115W", "F277W", "F115W", "F277W", "F277W"],
        "sigma": [0.4, 0.1, 0.6, np.nan, 0.123456],
    }
)
EVERY_BAND = Table({"field": ["f1"] * len(BANDS), "band": list(BANDS), "sigma": [0.5] * len(BANDS)})


def galaxies(ratios: dict[str, float], count: int = 40) -> Table:
    green = np.random.default_rng(1).uniform(0.5, 5, count)
    columns = {f"{band}_flux_auto": green * ratio for band, ratio in ratios.items()}
    return Table({"mag_ref": 23.9 - 2.5 * np.log10(green), **columns})


def test_sigma_is_the_median_of_the_known_mosaics() -> None:
    sigma, gain = propose_pins(MOSAICS, Table(), ImageOptions())
    assert sigma == {"F115W": 0.5, "F277W": 0.1117}
    assert gain == {"F115W": 1.0, "F277W": 1.0}


def test_a_band_without_a_mosaic_is_not_pinned() -> None:
    """It would keep a gain that nothing speaks for when its first mosaic comes."""
    _, gain = propose_pins(MOSAICS, galaxies({"F115W": 0.5, "F277W": 1.0, "F356W": 2.0}), ImageOptions())
    assert "F356W" not in gain


def test_the_median_galaxy_becomes_neutral() -> None:
    table = galaxies({"F115W": 0.4, "F150W": 0.8, "F277W": 1.0, "F444W": 1.25})
    _, gain = propose_pins(EVERY_BAND, table, ImageOptions())
    assert gain == {"F115W": 2.5, "F150W": 1.25, "F277W": 1.0, "F444W": 0.8}


@pytest.mark.parametrize(("without", "gain"), [(5, 2.0), (15, 20.0)])
def test_galaxies_without_flux_never_lower_the_gain(without: int, gain: float) -> None:
    table = galaxies({"F277W": 1.0, "F115W": 0.5})
    brightest = np.argsort(table["mag_ref"])[:without]  # of the 20 that count
    table["F115W_flux_auto"][brightest] = -0.1
    assert propose_pins(MOSAICS, table, ImageOptions())[1]["F115W"] == gain


def test_galaxies_without_a_measurement_do_not_count() -> None:
    table = galaxies({"F277W": 1.0, "F115W": 0.5})
    table["F115W_flux_auto"][np.argsort(table["mag_ref"])[:15]] = np.nan
    assert propose_pins(MOSAICS, table, ImageOptions())[1]["F115W"] == 2.0


def test_without_green_another_channel_is_the_standard() -> None:
    _, gain = propose_pins(EVERY_BAND, galaxies({"F115W": 0.5, "F444W": 1.0}), ImageOptions())
    assert gain["F444W"] == 1.0
    assert gain["F115W"] == 2.0


def test_too_few_galaxies_say_nothing() -> None:
    _, gain = propose_pins(MOSAICS, galaxies({"F115W": 0.5, "F277W": 1.0}, 4), ImageOptions())
    assert gain["F115W"] == 1.0


def test_what_is_pinned_stays() -> None:
    pinned = ImageOptions(sigma={"F115W": 9.0}, gain={"F115W": 7.0, "F356W": 3.0})
    sigma, gain = propose_pins(MOSAICS, galaxies({"F115W": 0.5, "F277W": 1.0}), pinned)
    assert sigma["F115W"] == 9.0
    assert gain["F115W"] == 7.0
    assert gain["F356W"] == 3.0
    again = ImageOptions(sigma=sigma, gain=gain)
    assert propose_pins(MOSAICS[:1], Table(), again) == (sigma, gain)


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=30), st.integers(0, 5))
def test_pins_read_and_write_as_they_are(fluxes: list[float], lost: int) -> None:
    table = galaxies({"F277W": 1.0}, len(fluxes))
    table["F115W_flux_auto"] = np.array(fluxes)
    table["F115W_flux_auto"][:lost] = np.nan
    sigma, gain = propose_pins(MOSAICS, table, ImageOptions())
    for value in (*sigma.values(), *gain.values()):
        assert float(f"{value:.4g}") == value
        assert value > 0


def test_nothing_is_known() -> None:
    sigma, gain = propose_pins(Table({"band": [], "sigma": []}), Table(), ImageOptions())
    assert (sigma, gain) == ({}, {})


def test_drift_names_the_field() -> None:
    pinned = ImageOptions(sigma={"F115W": 0.5, "F277W": 0.05})
    said = drift(MOSAICS, pinned, percent=30)
    assert [text.partition(":")[0] for text in said] == ["f1 F277W", "f3 F277W"]
    assert "+100 %" in said[0]
    assert drift(MOSAICS, ImageOptions()) == []
    assert drift(MOSAICS, pinned, percent=500) == []


def test_brighter_half_alone_counts() -> None:
    table = galaxies({"F115W": 0.5, "F277W": 1.0})
    faint = np.asarray(table["mag_ref"]) > np.median(table["mag_ref"])
    table["F115W_flux_auto"][faint] *= 9
    assert propose_pins(MOSAICS, table, ImageOptions())[1]["F115W"] == pytest.approx(2.0)


STATES: tuple[Pin | None, ...] = ("provisional", "unpinned", "final", None)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("uploaded", [True, False])
def test_what_holds_and_for_how_long(state: Pin | None, whole: bool, uploaded: bool) -> None:
    """A band that is not named, as in a folder of an older version, is final."""
    pins: dict[str, Pin] = {} if state is None else {"F277W": state}
    frozen = ImageOptions(sigma={"F277W": 0.1}, gain={"F277W": 2.0}, pins=pins)
    held = held_pins(frozen, whole=whole, uploaded=uploaded)
    let_go = whole and (state == "unpinned" or (state == "provisional" and not uploaded))
    assert (dict(held.sigma), dict(held.gain)) == (({}, {}) if let_go else ({"F277W": 0.1}, {"F277W": 2.0}))
    after = pins_of(["F444W", "F277W"], held, whole=whole, uploaded=uploaded)
    assert after["F444W"] == ("final" if whole else "unpinned" if uploaded else "provisional")  # new: nobody saw it
    stays = {None: "final", "provisional": "final" if whole or uploaded else "provisional"}
    assert after["F277W"] == ("final" if let_go else stays.get(state, state))


def test_how_long_pins_hold_is_no_part_of_an_image() -> None:
    plain = ImageOptions(sigma={"F277W": 0.1})
    told = plain.model_copy(update={"pins": {"F277W": "provisional"}})
    assert (told.digest(), recipe_digest(told)) == (plain.digest(), recipe_digest(plain))
    assert plain.digest() != ImageOptions(sigma={"F277W": 0.2}).digest()
