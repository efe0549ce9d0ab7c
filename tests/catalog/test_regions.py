"""A region file is what DS9 reads: one ellipse a source, named, turned as on the sky."""

import re

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.catalog.regions import COLOURS, region_text
from gzjwst_core.flag_bits import Flag

ELLIPSE = re.compile(
    r'ellipse\((?P<ra>\d+\.\d{7}),(?P<dec>[+-]\d+\.\d{7}),(?P<a>\d+\.\d{3})",(?P<b>\d+\.\d{3})",(?P<angle>\d+\.\d\d)\)'
    r" # (?:color=(?P<colour>\w+) )?text=\{(?P<text>[^{}]+)\} tag=\{(?P<tag>\w+)\}"
)


def rows(**changes: list[object]) -> Table:
    given: dict[str, list[object]] = {
        "id_str": ["d_J1", "d_J2", "d_J3", "d_J4"],
        "ra": [150.0, 150.1, 0.0000001, 359.9],
        "dec": [2.0, -2.0, 0.0, 89.0],
        "kron_a": [1.0, 0.5, 0.4, 0.3],
        "kron_b": [0.5, 0.5, 0.2, 0.1],
        "theta_sky": [30.0, np.nan, 100.0, 179.999],
        "is_star": [False, True, False, False],
        "is_primary": [True, True, True, False],
        "flags": [int(Flag.TARGET), int(Flag.EDGE), int(Flag.EDGE), int(Flag.DUPLICATE)],
    }
    return Table(given | changes)


def test_every_row_is_an_ellipse_of_its_kind() -> None:
    lines = region_text(rows()).splitlines()
    assert lines[0].startswith("# Region file format: DS9")
    assert lines[2] == "icrs"
    found = [ELLIPSE.fullmatch(line) for line in lines[3:]]
    assert [m and m["text"] for m in found] == ["d_J1", "d_J2", "d_J3", "d_J4"]
    assert [m and m["tag"] for m in found] == ["galaxy", "star", "flagged", "duplicate"]
    assert [m and m["colour"] for m in found] == [None, COLOURS["star"], COLOURS["flagged"], COLOURS["duplicate"]]
    assert [m and m["angle"] for m in found] == ["120.00", "0.00", "10.00", "90.00"]
    assert [m and m["dec"] for m in found] == ["+2.0000000", "-2.0000000", "+0.0000000", "+89.0000000"]


def test_a_source_without_an_ellipse_is_a_point() -> None:
    text = region_text(rows(kron_a=[np.nan, 0.0, 1.0, 1.0]))
    assert text.count("point(") == 2
    assert text.count("ellipse(") == 2


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_are_a_whole_file(count: int) -> None:
    assert len(region_text(rows()[:count]).splitlines()) == 3 + count
