"""Overlaps tell how much of a catalog another look finds again."""

import numpy as np
from astropy.table import Table

from gzjwst_core.catalog.reproducibility import OVERLAP_COLUMNS, reproducibility
from gzjwst_core.flag_bits import Flag

ARCSEC = 1 / 3600
WIDTH, OVERLAP = 60.0, 30.0


def two_fields(seed: int, n: int, false: int) -> tuple[Table, int]:
    """Fields a, x in [0, 60], and b, x in [30, 90] arcsec, of the same `n` objects; `a` has false ones besides.

    Returns the rows, and how many false ones lie 3 arcsec or more inside both fields.
    """
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, 90, n), random.uniform(0, 60, n)
    false_x, false_y = random.uniform(0, WIDTH, false), random.uniform(0, 60, false)
    parts = [
        ("a", np.append(x[x < WIDTH], false_x), np.append(y[x < WIDTH], false_y), 0.0),
        ("b", x[x > WIDTH - OVERLAP], y[x > WIDTH - OVERLAP], WIDTH - OVERLAP),
    ]
    tables = []
    for name, px, py, x0 in parts:
        count = len(px)
        edge = np.min([px - x0, x0 + WIDTH - px, py, 60 - py], axis=0)
        mag = np.full(count, 25.2)
        if name == "a":
            mag[count - false :] = 27.3
        tables.append((np.full(count, name), px, py, edge, mag))
    field, px, py, edge, mag = (np.concatenate(values) for values in zip(*tables, strict=True))
    rows = Table({"field": field, "edge_dist": edge, "mag_ref": mag, "flags": np.zeros(len(field), dtype="uint32")})
    rows["ra"], rows["dec"] = 150 + px * ARCSEC, py * ARCSEC
    inside = (false_x > WIDTH - OVERLAP + 3) & (np.minimum(false_y, 60 - false_y) > 3)
    return rows, int(inside.sum())


def places(rows: Table) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(rows["ra"]), np.asarray(rows["dec"])


def test_what_is_false_is_not_found_again_and_what_is_true_is() -> None:
    rows, false = two_fields(1, 500, 200)
    table = reproducibility(rows, places(rows), 0.2)
    assert table.colnames == [column.name for column in OVERLAP_COLUMNS]
    true = table[table["mag_low"] == 25.0]
    assert true["n"].tolist() == true["n_found"].tolist()
    assert list(zip(true["field"], true["other"], strict=True)) == [("a", "b"), ("b", "a")]
    (wrong,) = table[table["mag_low"] == 27.0]
    assert 0.6 * false < wrong["n"] <= false * 1.2
    assert wrong["n_found"] <= 5
    area = 90 * 60
    chance = np.pi * 0.2**2 * 500 / area
    assert 0 <= wrong["n_chance"] <= wrong["n"] * chance * 4


def test_no_one_outside_is_counted() -> None:
    """What counts is 1.5 arcsec inside the other field at least, and few that are farther inside are missed."""
    rows, _ = two_fields(2, 800, 0)
    x, y = (np.asarray(rows["ra"]) - 150) / ARCSEC, np.asarray(rows["dec"]) / ARCSEC
    of_a = np.asarray(rows["field"]) == "a"
    in_b = [np.sum(of_a & (x > WIDTH - OVERLAP + far) & (np.minimum(y, 60 - y) > far)) for far in (1.5, 5.0)]
    table = reproducibility(rows, places(rows), 0.2)
    assert 0.98 * in_b[1] < table["n"][0] <= in_b[0]


def test_rows_at_an_edge_are_left_out_and_those_without_a_magnitude_are_a_bin_of_their_own() -> None:
    rows, _ = two_fields(3, 300, 0)
    whole = reproducibility(rows, places(rows), 0.2)
    rows["mag_ref"] = np.nan
    unknown = reproducibility(rows, places(rows), 0.2)
    assert np.isnan(unknown["mag_low"]).all()
    assert unknown["n"].tolist() == whole["n"].tolist()
    rows["flags"] = np.uint32(Flag.EDGE)
    assert len(reproducibility(rows, places(rows), 0.2)) == 0


def test_fields_that_share_no_sky_have_no_rows() -> None:
    rows, _ = two_fields(4, 100, 0)
    rows["ra"][rows["field"] == "b"] += 1.0
    assert len(reproducibility(rows, places(rows), 0.2)) == 0
    alone = rows[rows["field"] == "a"]
    assert len(reproducibility(alone, places(alone), 0.2)) == 0
    assert reproducibility(rows[:0], places(rows[:0]), 0.2).colnames == [column.name for column in OVERLAP_COLUMNS]
