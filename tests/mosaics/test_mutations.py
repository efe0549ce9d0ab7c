"""A sample of the soak: whatever is done to a mosaic's bytes ends in an error of ours or a mosaic, quickly."""

import random

import pytest

from tests.soak.mutations import FORMS, mutated, run
from tests.soak.specimen import mosaic_bytes, packed


def test_no_mutation_ends_in_anything_but_our_errors_or_a_mosaic(capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(240, seed=2)
    said = capsys.readouterr().err
    assert figures["refused"] + figures["same"] + figures["silent"] == figures["cases"] == 240, said
    assert (figures["warnings"], figures["over_2_s"], figures["silent_with_digest"]) == (0, 0, 0), said
    assert figures.get("silent_gz", 0) == 0  # the checksum is drained
    assert figures["refused"] > 100
    assert figures["grown_mb"] < 100


def test_mutations_are_seeded_and_nearly_all_change_something() -> None:
    mosaic = mosaic_bytes()
    bodies = {form: packed(mosaic) if form == "gz" else mosaic for form in FORMS}
    for form in sorted(set(FORMS)):
        made = [mutated(form, bodies, random.Random(n)) for n in range(40)]
        assert made == [mutated(form, bodies, random.Random(n)) for n in range(40)]
        whole = packed(mosaic) if "gz" in form else mosaic
        assert sum(one != whole for one in made) > 34
