"""A sample of the fault matrix (`tests/soak/faults.py` plays all of it): right bytes, or the named outcome."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.cases import CASES, Case
from tests.soak.faults import chosen, figures, table
from tests.soak.player import Result, fits, play
from tests.soak.table import PARTS, rows_of
from tests.soak.table import table as soak_table
from tests.soak.world import World

SAMPLE = chosen(sample=80, seed=1, slow=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World.served(tmp_path_factory.mktemp("world")) as served:
        yield served


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.id)
def test_right_bytes_or_the_named_outcome(case: Case, world: World, tmp_path: Path) -> None:
    result = play(case, world, tmp_path)
    assert (result.faults, result.detail if not fits(result.seen, case.ends) else "") == ((), "")
    assert fits(result.seen, case.ends)


def test_the_matrix_is_large_and_has_no_case_twice() -> None:
    assert len(CASES) >= 150
    assert len({case.id for case in CASES}) == len(CASES)


def test_the_sample_has_every_fault() -> None:
    assert {case.fault for case in SAMPLE} == {case.fault for case in CASES}


def test_a_miss_is_told_and_counted() -> None:
    case = CASES[0]
    results = [
        Result(case, "right", 0.1, 2),
        Result(case, "wrong bytes", 0.1, 2),
        Result(case, "hang", 20.0, 9, ("9 requests",)),
    ]
    counts = figures(results)
    assert (counts["cases"], counts["missed"], counts["wrong bytes"], counts["hangs"]) == (3, 2, 1, 1)
    assert counts["too many requests"] == 1
    assert sum(line.startswith("MISSED") for line in table(results)) == 2


@pytest.mark.parametrize(
    ("seen", "ends", "is_right"),
    [
        ("right", "right", True),
        ("right", "unproven|right", True),
        ("ArchiveUnavailableError/changed", "ArchiveUnavailableError", True),
        ("ArchiveUnavailableError/changed", "ArchiveUnavailableError/cut_off", False),
        ("ArchiveUnavailableError/changed", "right", False),
        ("wrong bytes", "right", False),
    ],
)
def test_an_end_is_one_of_those_allowed(seen: str, ends: str, is_right: bool) -> None:
    assert fits(seen, ends) is is_right


def test_the_soaks_table_judges_by_its_goals() -> None:
    part = PARTS["kills"]
    rows = list(rows_of(part, {"kills": 300, "lost": 2}))
    assert [row.what.partition(": ")[2] for row in rows if not row.ok] == ["lost"]
    assert [row.ok for row in rows_of(part, None)] == [False]
    lines = list(soak_table(rows))
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == len(part.goals) + 1


def test_a_scaled_soak_has_scaled_goals() -> None:
    figures = {"cases": 15.0}
    assert all(row.ok for row in rows_of(PARTS["faults"], figures, 0.1))
    assert not all(row.ok for row in rows_of(PARTS["faults"], figures))
