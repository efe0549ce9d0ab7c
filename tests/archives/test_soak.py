"""A seeded sample of the soak: what `make soak` counts in full."""

from pathlib import Path

import pytest

from tests.soak import fetch_kills, resets

pytestmark = pytest.mark.tools  # for its time alone: one kill of each kind is among test_fetch's


def test_killed_fetches_lose_nothing(tmp_path: Path) -> None:
    counts = fetch_kills.kill_fetches(10, 7, tmp_path)
    assert counts["kills"] >= 5
    assert {name: counts[name] for name in fetch_kills.EXPECTED} == fetch_kills.EXPECTED


def test_a_line_that_breaks_costs_nothing(tmp_path: Path) -> None:
    for where, counts in resets.reset_transfers(tmp_path, 16, 3, 7).items():
        assert counts["requests"] == 4, where
        assert (counts["excess"], counts["again"], counts["wrong"]) == (0, 0, 0), where
