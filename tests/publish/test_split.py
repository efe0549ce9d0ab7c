"""Sides of the split: one for a galaxy, and nobody is moved by what comes later."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.options import PublishOptions
from gzjwst_core.zoobot.split import remembered, sides_of, sky_cells, split_rule

OPTIONS = PublishOptions(split_cell_arcmin=0.1, test_share=0.5)
MAS = 1 / 3600e3


def objects(count: int, rng: np.random.Generator, named: str = "a") -> Table:
    """Sky objects of 5 x 5 cells, half of them within 20 mas of a border; `who` is the object, whatever its name."""
    ra, dec = 150 + rng.uniform(0, 30, count) / 3600, rng.uniform(0, 30, count) / 3600
    border = rng.random(count) < 0.5
    dec[border] = np.round(dec[border] * 3600 / 6) * 6 / 3600 + rng.uniform(-20, 20, count)[border] * MAS
    who = np.array([f"{named}{n}" for n in range(count)], dtype="U20")
    return apart(Table({"who": who, "id_str": who, "group_id": np.arange(count), "ra": ra, "dec": dec}))


def apart(rows: Table) -> Table:
    """Without objects within 0.4 arcsec of another: a catalog would not tell them apart."""
    ra, dec = np.asarray(rows["ra"]), np.asarray(rows["dec"])
    close = np.hypot(ra[:, None] - ra, dec[:, None] - dec) * 3600 < 0.4
    return rows[~np.triu(close, 1).any(axis=0)]


def one_field_more(rows: Table, rng: np.random.Generator, named: str) -> Table:
    """The same sky with a later field: it speaks for a part of the objects, which renames them and their groups, it
    moves every position by some mas, and it brings new objects."""
    made = rows.copy()
    renamed = rng.random(len(rows)) < 0.6
    made["id_str"] = np.where(renamed, [f"{named}{who}" for who in rows["who"]], rows["id_str"])
    for name in ("ra", "dec"):
        made[name] += rng.normal(0, 10, len(rows)) * MAS
    every = [made, objects(10, rng, f"{named}new")]
    made = apart(Table({name: np.concatenate([np.asarray(t[name]) for t in every]) for name in rows.colnames}))
    made["group_id"] = rng.permutation(len(made))
    return made


def with_secondaries(rows: Table, rng: np.random.Generator) -> Table:
    """Rows of a group in any order: some objects are seen by two fields, 40 mas apart."""
    second = rows[rng.random(len(rows)) < 0.3]
    second["id_str"] = [f"second{name}" for name in second["id_str"]]
    second["dec"] += 40 * MAS
    both = Table({name: np.concatenate([np.asarray(rows[name]), np.asarray(second[name])]) for name in rows.colnames})
    return both[rng.permutation(len(both))]


def handed_over(rows: Table, sides: np.ndarray, earlier: Table | None = None) -> Table:
    made = rows.copy()
    made["split"] = sides
    made.meta.update(split_rule(OPTIONS))
    return remembered(made, earlier)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_fields_that_come_later_move_nobody(seed: int) -> None:
    """Nor do hand-overs in which some are missing, as a narrower cut or a lost field leaves them."""
    rng = np.random.default_rng(seed)
    rows, earlier = objects(60, rng), None
    was: dict[str, str] = {}
    for release in range(5):
        shown = with_secondaries(rows, rng)
        shown = shown[rng.random(len(shown)) < rng.choice([0.0, 0.3, 1.0], p=[0.1, 0.5, 0.4])]
        sides = sides_of(shown, OPTIONS, earlier)
        for who, side in zip(shown["who"].tolist(), sides.tolist(), strict=True):
            assert was.setdefault(who, side) == side
        earlier = handed_over(shown, sides, earlier)
        rows = one_field_more(rows, rng, f"r{release}")


def test_without_what_was_said_before_galaxies_at_a_border_would_move() -> None:
    """Why sides are carried over: 20 mas, another name and another group are what a later field brings."""
    rows = objects(200, np.random.default_rng(5))
    moved = rows.copy()
    moved["dec"] += 20 * MAS
    moved["id_str"] = [f"b{who}" for who in rows["who"]]
    sides = sides_of(rows, OPTIONS)
    assert np.count_nonzero(sides_of(moved, OPTIONS) != sides) > 10
    assert (sides_of(moved, OPTIONS, handed_over(rows, sides)) == sides).all()


def pair(dec: float, names: tuple[str, str], groups: tuple[int, int]) -> Table:
    """Two objects, 0.8 arcsec to both sides of `dec`."""
    half = 0.4 / 3600
    return Table({"id_str": list(names), "group_id": list(groups), "ra": [150.0] * 2, "dec": [dec - half, dec + half]})


@pytest.fixture
def border() -> float:
    """A declination with train on one side and test on the other."""
    rings = np.arange(60) * 0.1 / 60  # 6 arcsec apart
    rows = Table({"id_str": rings.astype(str), "group_id": range(60), "ra": [150.0] * 60, "dec": rings + 0.05 / 60})
    sides = sides_of(rows, OPTIONS)
    return float(rings[1:][sides[1:] != sides[:-1]][0])


def test_what_was_trained_on_never_becomes_test(border: float) -> None:
    two = handed_over(pair(border, ("x", "y"), (1, 2)), np.array(["train", "test"]))
    one = pair(border, ("x", "y"), (3, 3))
    assert sides_of(one, OPTIONS, two).tolist() == ["train", "train"]


def test_a_part_of_a_galaxy_joins_it_across_a_border(border: float) -> None:
    """Whether it is seen as two from the start or later."""
    two = pair(border, ("x", "y"), (1, 2))
    whole = two[:1]
    sides = sides_of(whole, OPTIONS)
    assert len(set(sides_of(two, OPTIONS, handed_over(whole, sides)).tolist())) == 1
    assert len(set(sides_of(two, OPTIONS).tolist())) == 1


def close_together(rows: Table) -> list[set[int]]:
    """Sets of rows that hang together by steps of 1 arcsec."""
    ra, dec = np.asarray(rows["ra"]), np.asarray(rows["dec"])
    sets: list[set[int]] = []
    for row in range(len(rows)):
        near = set(np.flatnonzero(np.hypot(ra - ra[row], dec - dec[row]) * 3600 < 1.0).tolist())
        ties = [one for one in sets if one & near]
        sets = [one for one in sets if not one & near] + [near.union(*ties)]
    return sets


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5]))
def test_objects_close_together_are_on_one_side(seed: int, known: float) -> None:
    """Unless those of them that were handed over before were on two."""
    rng = np.random.default_rng(seed)
    rows = objects(150, rng)
    before = rng.random(len(rows)) < known
    was = sides_of(rows[before], OPTIONS)
    sides = sides_of(rows, OPTIONS, handed_over(rows[before], was))
    assert (sides[before] == was).all()
    sets = close_together(rows)
    assert max(map(len, sets)) > 1
    for one in sets:
        members = sorted(one)
        said = set(sides[members][before[members]].tolist())
        assert len(said) == 2 or len(set(sides[members].tolist())) == 1


def test_whom_a_galaxy_was_known_by_follows_it_to_train(border: float) -> None:
    """Else a later name of it, as near to the one it had before, would be test again."""
    earlier = handed_over(pair(border, ("x", "y"), (1, 2)), np.array(["train", "test"]))
    one = pair(border, ("x2", "y2"), (3, 3))
    earlier = handed_over(one, sides_of(one, OPTIONS, earlier), earlier)
    assert earlier["id_str"].tolist() == ["x", "x2", "y", "y2"]
    assert set(earlier["split"].tolist()) == {"train"}


def test_another_rule_draws_anew(border: float) -> None:
    two = pair(border, ("x", "y"), (1, 2))
    earlier = handed_over(two, sides_of(two, OPTIONS))
    none = OPTIONS.model_copy(update={"test_share": 0.0})
    assert set(sides_of(two, none, earlier).tolist()) == {"train"}
    drawn = Table(two[:1], meta=split_rule(none))
    drawn["split"] = "train"
    assert remembered(drawn, earlier)["id_str"].tolist() == ["x"], "what another rule said is forgotten"


def test_nothing_was_handed_over_before() -> None:
    rows = objects(5, np.random.default_rng(1))
    assert (sides_of(rows, OPTIONS, handed_over(rows[:0], np.zeros(0, dtype="U5"))) == sides_of(rows, OPTIONS)).all()
    assert sides_of(rows[:0], OPTIONS, handed_over(rows, sides_of(rows, OPTIONS))).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 359.99), st.floats(-90, 90), st.sampled_from([0.5, 1.0, 7.0, 400.0]))
def test_a_cell_holds_its_position_and_is_no_larger_than_asked(ra: float, dec: float, side: float) -> None:
    ((ring, cell),) = sky_cells(np.array([ra]), np.array([dec]), side)
    bottom = ring * side / 60 - 90
    assert bottom - 1e-9 <= dec <= bottom + side / 60 + 1e-9
    count = max(1, int(np.floor(360 * 60 / side * np.cos(np.deg2rad(bottom + side / 120)))))
    assert 0 <= cell < count
    assert cell * 360 / count - 1e-9 <= ra <= (cell + 1) * 360 / count + 1e-9
