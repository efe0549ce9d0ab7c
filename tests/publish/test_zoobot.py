"""Zoobot's contract, and a split that later fields cannot move."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.options import PublishOptions
from gzjwst_core.publish.rows import join_rows
from gzjwst_core.publish.zoobot import ZOOBOT_COLUMNS, absolute_file_locs, sky_cells, zoobot_table
from gzjwst_core.storage.tables import read_parquet, write_parquet
from tests.publish.conftest import make_catalog, make_image

OPTIONS = PublishOptions(split_cell_arcmin=5.0)


def table_of(count: int, keep: slice = slice(None)) -> Table:
    catalog = make_catalog(count)
    rows = join_rows(catalog, [make_image(catalog, n) for n in range(count)][keep])
    return zoobot_table(rows, "demo", OPTIONS)


def test_the_columns_that_its_loaders_read(tmp_path: Path) -> None:
    write_parquet(table_of(5), tmp_path / "catalog.parquet")
    table = read_parquet(tmp_path / "catalog.parquet")
    assert table.colnames == [c.name for c in ZOOBOT_COLUMNS]
    assert len(set(table["id_str"])) == 5
    assert table["file_loc"][0] == "images/f0/demo_J000000.00p020000.0.jpg"
    assert (table["subfolder"][1], table["filename"][1]) == ("f1", "demo_J000001.00p020000.0.jpg")
    assert table["file_loc_fits"][0].endswith(".fits")


def test_paths_can_be_made_absolute(tmp_path: Path) -> None:
    made = absolute_file_locs(table_of(2), tmp_path)
    assert made["file_loc"][0] == str(tmp_path.resolve() / "images/f0/demo_J000000.00p020000.0.jpg")


def test_rows_that_come_later_move_nobody() -> None:
    table = table_of(200)
    before = dict(zip(table["id_str"], table["split"], strict=True))
    later = table_of(200, slice(50, 150))
    assert all(before[name] == side for name, side in zip(later["id_str"], later["split"], strict=True))
    assert 10 < np.count_nonzero(table["split"] == "test") < 90


def test_one_group_is_on_one_side() -> None:
    catalog = make_catalog(200)
    catalog["group_id"] = np.arange(200) // 4
    rows = join_rows(catalog, [make_image(catalog, n) for n in range(200)])
    table = zoobot_table(rows, "demo", OPTIONS)
    for group in range(50):
        assert len(set(table["split"][np.asarray(table["group_id"]) == group])) == 1


def test_no_test_share_is_all_train() -> None:
    catalog = make_catalog(5)
    rows = join_rows(catalog, [make_image(catalog, n) for n in range(5)])
    assert set(zoobot_table(rows, "demo", PublishOptions(test_share=0.0))["split"]) == {"train"}
    assert set(zoobot_table(rows, "demo", PublishOptions(test_share=1.0))["split"]) == {"test"}


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 359.99), st.floats(-90, 90), st.sampled_from([0.5, 1.0, 7.0, 400.0]))
def test_a_cell_holds_its_position_and_is_no_larger_than_asked(ra: float, dec: float, side: float) -> None:
    ((ring, cell),) = sky_cells(np.array([ra]), np.array([dec]), side)
    bottom = ring * side / 60 - 90
    assert bottom - 1e-9 <= dec <= bottom + side / 60 + 1e-9
    count = max(1, int(np.floor(360 * 60 / side * np.cos(np.deg2rad(bottom + side / 120)))))
    assert 0 <= cell < count
    assert cell * 360 / count - 1e-9 <= ra <= (cell + 1) * 360 / count + 1e-9
