"""Headers as text: what we write, astropy reads, and so do we."""

import io
import math
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cutouts.cards import CardRow, cards, hdu_bytes, parsed

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150).map(str.rstrip)
VALUES = st.one_of(TEXT, st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
START: list[CardRow] = [
    ("SIMPLE", True, "FITS"),
    ("BITPIX", -32, ""),
    ("NAXIS", 2, ""),
    ("NAXIS1", 5, ""),
    ("NAXIS2", 7, ""),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6), st.text("abc /'", max_size=60))
def test_values_come_back(values: list[str | int | float | bool], comment: str) -> None:
    rows: list[CardRow] = [(f"KEY{i}", value, comment) for i, value in enumerate(values)]
    text = cards(rows)
    assert len(text) % 80 == 0
    by_astropy = fits.Header.fromstring(text)
    ours = parsed(text)
    for keyword, value, _ in rows:
        assert ours[keyword] == value
        assert type(ours[keyword]) is type(value)
        if not (isinstance(value, str) and set(value) & {"&", "'"}):  # astropy misreads '/ in a text, and a final &
            assert by_astropy[keyword] == value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_checksums_are_right(seed: int, further: int) -> None:
    pixels = np.random.default_rng(seed).normal(size=(7, 5)).astype(">f4")
    rows = START + [(f"K{i}", seed * i, "x") for i in range(further)]
    data = hdu_bytes(cards(rows), pixels.tobytes())
    assert len(data) % 2880 == 0
    with warnings.catch_warnings(), fits.open(io.BytesIO(data), checksum=True) as hdus:  # a wrong sum is a warning
        warnings.simplefilter("error")
        hdus.verify("exception")
        assert np.array_equal(hdus[0].data, pixels)


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_no_value_no_card(nothing: float | None) -> None:
    assert cards([("KEY", nothing, "x")]) == ""


def test_text_is_made_ascii() -> None:
    assert parsed(cards([("KEY", "Å\nb", "")]))["KEY"] == "??b"
