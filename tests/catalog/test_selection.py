"""What became of injected galaxies, in bins, and the function that a paper uses."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from gzjwst_core.completeness import selection
from gzjwst_core.completeness.counts import bins_of, completeness_table, count_magnitudes, jeffreys, purity_table
from gzjwst_core.completeness.recovery import injected_columns, match
from gzjwst_core.completeness.selection import COMPLETENESS, SelectionFunction, magnitude_limits
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import CompletenessOptions
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import apply_columns, read_parquet, write_parquet

OPTIONS = CompletenessOptions(mag_range=(24.0, 28.0), mag_step=1.0, r50_range=(0.1, 0.4), r50_bins=2)
BANDS = ("F277W",)


def galaxies(count: int, field: str = "north", seed: int = 1) -> Table:
    """Injected galaxies of which fewer are recovered the fainter and larger they are."""
    rng = np.random.default_rng(seed)
    mag, r50 = rng.uniform(24, 28, count), np.exp(rng.uniform(np.log(0.1), np.log(0.4), count))
    recovered = rng.random(count) < share(mag, r50)
    flux = 10 ** (0.4 * (23.9 - mag))
    made: dict[str, Any] = {"field": np.full(count, field), "batch": np.zeros(count, int), "mag": mag, "r50": r50}
    made |= {name: np.ones(count) for name in ("ra", "dec", "sersic_n", "axis_ratio", "pa", "F277W_fluxerr_tot")}
    made |= {"recovered": recovered, "blended": ~recovered & (mag < 25)}
    made |= {"mag_out": mag + 0.1, "r50_out": r50 * 1.2, "F277W_flux_in": flux, "F277W_flux_tot": flux / 10**0.04}
    table = apply_columns(Table(made), injected_columns(BANDS))
    table["selected"] = recovered & (mag < 26)
    return table


def share(mag: Any, r50: Any) -> Any:
    return 1 / (1 + np.exp(3 * (np.asarray(mag) - 27 + 2 * np.log10(np.asarray(r50) / 0.2))))


def places(*degrees: float, **more: Any) -> Table:
    return Table({"ra": [10.0] * len(degrees), "dec": np.array(degrees) / 3600, **more})


def test_found_blended_and_lost() -> None:
    """Alone; on a brighter source; on a fainter one; far from all; large, with a wide reach; on one that gains nothing;
    on one without a magnitude."""
    injected = places(0, 100, 200, 300, 400, 500, 600, mag=[25.0] * 7, r50=[0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 0.1])
    after = [25.1, 21.95, 24.7, 22.0, 25.9, 26.0, 25.1]
    found = places(0.05, 100.15, 200.1, 300.3, 400.45, 500.1, 600.0, mag_ref=after)
    before = places(100.14, 200.12, 300.3, 500.1, 600.0, mag_ref=[22.0, 26.0, 22.0, 26.02, np.nan])
    matched = match(injected, found, before, 0.2)
    assert matched.row.tolist() == [0, 1, 2, -1, 4, -1, 6]
    assert matched.recovered.tolist() == [True, False, True, False, True, False, True]
    assert matched.blended.tolist() == [False, True, False, False, False, False, False]
    nothing = match(injected, found[:0], before[:0], 0.2)
    assert not (nothing.recovered | nothing.blended).any()


def test_nothing_is_found_where_nothing_changed() -> None:
    """Of detections as they were before none is an injected galaxy, however many there are and however wide it is."""
    rng = np.random.default_rng(1)

    def scattered(count: int, **more: Any) -> Table:
        return Table({"ra": rng.uniform(0, 0.02, count), "dec": rng.uniform(0, 0.02, count), **more})

    field = scattered(400, mag_ref=rng.uniform(26, 28.5, 400))
    matched = match(scattered(2000, mag=np.full(2000, 26.0), r50=np.full(2000, 1.0)), field, field, 0.2)
    assert not matched.recovered.any()


@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_are_those_of_jeffreys(found: int, lost: int) -> None:
    low, high = jeffreys(np.array([found, 0]), np.array([found + lost, 0]))
    assert low[0] == pytest.approx(beta.ppf(0.025, found + 0.5, lost + 0.5) if found else 0)
    assert high[0] == pytest.approx(beta.ppf(0.975, found + 0.5, lost + 0.5))
    assert np.isnan(low[1])
    assert np.isnan(high[1])


def test_bins_hold_every_galaxy_once_and_their_biases() -> None:
    injected = {"south": galaxies(300, "south"), "north": galaxies(200)}
    table = completeness_table(injected, OPTIONS, BANDS)
    assert len(table) == 2 * 4 * 2
    for field, given_ in injected.items():
        rows = table[table["field"] == field]
        counted = {"n_in": len(given_), "n_found": given_["recovered"].sum(), "n_blended": given_["blended"].sum()}
        for name, total in (counted | {"n_selected": given_["selected"].sum()}).items():
            assert rows[name].sum() == total, name
    some = table[table["n_found"] > 0]
    np.testing.assert_allclose(some["mag_bias"], 0.1, atol=1e-4)
    np.testing.assert_allclose(some["F277W_mag_bias"], 0.1, atol=1e-4)
    np.testing.assert_allclose(some["r50_ratio"], 1.2, atol=1e-4)
    assert np.all(
        (some["completeness_low"] <= some["completeness"]) & (some["completeness"] <= some["completeness_high"])
    )
    assert str(table["mag"].unit) == "mag"
    assert str(table["r50_high"].unit) == "arcsec"


def test_the_last_magnitude_bin_ends_with_the_range() -> None:
    odd = CompletenessOptions(mag_range=(24.0, 25.2), mag_step=0.5)
    assert bins_of(odd).mag.tolist() == pytest.approx([24, 24.5, 25, 25.2])
    assert count_magnitudes(np.array([23.9, 24.0, 24.5, 25.2, 25.3, np.nan]), odd) == [1, 1, 1]


def test_purity_compares_with_the_negative_sky() -> None:
    options = CompletenessOptions(mag_range=(24.0, 27.0), mag_step=1.0)
    counts = {"n_detected": [100, 100, 0], "n_negative": [0, 10, 3], "n_selected": [9, 0, 0]}
    table = purity_table({"north": counts | {"n_negative_selected": [0, 0, 0]}}, options)
    assert table["purity"][:2].tolist() == pytest.approx([1.0, 0.9])
    assert np.isnan(table["purity"][2])
    assert 0.94 < table["purity_low"][0] < 1 == table["purity_high"][0]
    assert 0.8 < table["purity_low"][1] < 0.9 < table["purity_high"][1] < 0.97


def test_a_paper_asks_for_any_magnitude_size_and_field(tmp_path: Path) -> None:
    table = completeness_table({"north": galaxies(4000), "south": galaxies(4000, "south", 2)}, OPTIONS, BANDS)
    with Folder(str(tmp_path)).writing(COMPLETENESS) as path:
        write_parquet(table, path)
    known = SelectionFunction.read(tmp_path)
    assert known.fields == ("north", "south")
    row = table[5]
    assert known.completeness(row["mag"], row["r50"], row["field"]) == pytest.approx(row["completeness"])
    asked = known.completeness([[24.6, 25.4, 26.2, 27.0]], [[0.15], [0.3]], ["north", "south", "north", "south"])
    np.testing.assert_allclose(asked, share([[24.6, 25.4, 26.2, 27.0]], [[0.15], [0.3]]), atol=0.12)
    assert np.isnan(known.completeness([23.9, 28.1, 25, 25, np.nan], [0.2, 0.2, 0.09, 0.41, 0.2], "north")).all()
    assert known.completeness(24.0, 0.1, "north") == pytest.approx(1, abs=0.05)  # the ends of the range are in it
    assert known.selected(27.5, 0.2, "north") == 0
    low, high = (known.completeness(26.7, 0.2, "north", kind=f"completeness_{end}") for end in ("low", "high"))
    assert low < known.completeness(26.7, 0.2, "north") < high
    with pytest.raises(CatalogError, match=r"'west' has no completeness \(there is north, south\)"):
        known.completeness(25, 0.2, "west")
    with pytest.raises(CatalogError, match="allowed: completeness"):
        known.completeness(25, 0.2, "north", kind="purity")
    assert len(SelectionFunction(read_parquet(tmp_path / COMPLETENESS)).table) == len(table)
    with pytest.raises(CatalogError, match=r"completeness\.sources above 0"):
        SelectionFunction.read(tmp_path / "elsewhere")


def test_limits_are_where_a_falling_curve_crosses() -> None:
    options = OPTIONS.model_copy(update={"mag_step": 0.25})
    known = SelectionFunction(completeness_table({"north": galaxies(8000)}, options, BANDS))
    limits = magnitude_limits(known, "north", 0.2, {"mag_50": 0.5, "mag_90": 0.9, "never": 1.1, "always": 0.0})
    assert limits["mag_50"] == pytest.approx(27.0, abs=0.15)
    assert limits["mag_90"] == pytest.approx(27 - np.log(9) / 3, abs=0.25)
    assert np.isnan(limits["never"])
    assert np.isnan(limits["always"])


def test_a_bin_without_galaxies_is_not_known() -> None:
    few = galaxies(400)
    known = SelectionFunction(completeness_table({"north": few[np.asarray(few["mag"]) < 26]}, OPTIONS, BANDS))
    assert np.isfinite(known.completeness(25.4, 0.2, "north"))
    assert np.isnan(known.completeness(27.2, 0.2, "north"))


def test_an_empty_bin_leaves_the_others_as_they_were_measured() -> None:
    some = galaxies(4000)
    mag, r50 = np.asarray(some["mag"]), np.asarray(some["r50"])
    table = completeness_table({"north": some[~((mag > 25) & (mag < 26) & (r50 > 0.2))]}, OPTIONS, BANDS)
    known = SelectionFunction(table)
    assert np.isnan(table["completeness"]).sum() == 1
    np.testing.assert_allclose(known.completeness(table["mag"], table["r50"], "north"), table["completeness"])
    small = float(table["r50"].min())
    assert np.isfinite(magnitude_limits(known, "north", small, {"mag_50": 0.5})["mag_50"])
    assert np.isnan(known.completeness(25.5, small * 1.1, "north"))


def test_the_example_of_the_docstring_holds() -> None:
    assert doctest.testmod(selection).failed == 0
