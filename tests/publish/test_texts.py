"""Numbers read well."""

import numpy as np
import pytest

from gzjwst_core.report.texts import bytes_text, cell_text, plain_text, reasons_text, seconds_text, thousands


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "\u2013"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (31_400_000_000, "31.4 GB"), (5.6e14, "560 TB")],
)
def test_bytes(count: float | None, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (8.24, "8.2 s"), (288, "4 min 48 s"), (2914, "48 min"), (7530, "2 h 05 min")]
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, "\u2013"),
        ([], "\u2013"),
        (["a", 1], "a, 1"),
        ({"id": ["1345"], "n": None}, "id = 1345; n = \u2013"),
        (0, "0"),
    ],
)
def test_plain_values(value: object, text: str) -> None:
    assert plain_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.25), "0.25"),
        (float("nan"), "\u2013"),
        (50168.3, "50\u202f168"),
        (np.int64(1234), "1\u202f234"),
        (np.bool_(False), "no"),
        ("F444W", "F444W"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_thousands() -> None:
    assert thousands(999) == "999"
    assert thousands(-1234567) == "-1\u202f234\u202f567"


def test_reasons_are_words_and_other_texts_stay() -> None:
    assert reasons_text("fill:above sky_chroma:below") == "fill above, sky colour below"
    assert reasons_text("too black") == "too black"
    assert reasons_text("") == ""
