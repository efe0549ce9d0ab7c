"""Verdicts: each reason can be reached, a wider range never makes a verdict worse, nothing known is a failure."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.errors import ProfileError
from gzjwst_core.images.meanings import MEANINGS, described
from gzjwst_core.images.verdicts import IMAGE_MEASURES, VERDICTS, grade, judge, outside, reasons_of
from gzjwst_core.options import Limits, QualityOptions
from gzjwst_core.survey.profile import load_profile

GOOD = {"black": 0.0, "white": 0.001, "sky_median": 33.0, "sky_chroma": 1.0, "fill": 0.45, "reach": 0.5}
GOOD |= {"coverage": 1.0, "centring": 0.003, "contrast": 9.0, "size_bytes": 50_000.0}
OPTIONS = QualityOptions()


def images(**changed: float) -> Table:
    return Table({name: [value] for name, value in (GOOD | changed).items()})


def verdict(**changed: float) -> tuple[str, str]:
    row = judge(images(**changed), OPTIONS)[0]
    return str(row["verdict"]), str(row["reasons"])


def test_every_measure_has_limits_and_a_good_image_passes() -> None:
    assert [column.name for column in IMAGE_MEASURES] == list(GOOD)
    assert all(getattr(OPTIONS, name).fail for name in GOOD)
    assert verdict() == ("pass", "")


def test_every_limit_is_told_of_in_the_one_set_of_words() -> None:
    fields = {name: field for name, field in QualityOptions.model_fields.items() if isinstance(field.default, Limits)}
    assert list(MEANINGS) == list(fields)
    assert len({meaning.words for meaning in MEANINGS.values()}) == len(MEANINGS)
    for name, field in fields.items():
        said = " ".join((field.description or "").split())
        assert said.lower().startswith(MEANINGS[name].says), said
    assert {column.meaning for column in IMAGE_MEASURES} < {described(name) for name in MEANINGS}


@pytest.mark.parametrize(
    ("name", "side", "warns", "fails"),
    [
        ("black", "above", 0.05, 0.5),
        ("white", "above", 0.05, 0.5),
        ("sky_median", "below", 8, 1),
        ("sky_median", "above", 50, 120),
        ("sky_chroma", "above", 6, 30),
        ("fill", "below", 0.1, 0.01),
        ("fill", "above", 0.8, 0.99),
        ("reach", "above", 0.8, 1.2),
        ("coverage", "below", 0.9, 0.3),
        ("centring", "above", 0.05, 0.2),
        ("contrast", "below", 3, 0.5),
        ("size_bytes", "above", 700_000, 2_000_000),
        ("size_bytes", "below", 500, 0),
    ],
)
def test_each_reason_can_be_reached(name: str, side: str, warns: float, fails: float) -> None:
    assert verdict(**{name: warns}) == ("warn", f"{name}:{side}")
    assert verdict(**{name: fails}) == ("fail", f"{name}:{side}")


def test_only_what_failed_an_image_is_why_it_failed() -> None:
    both = judge(images(black=0.05, sky_chroma=6, fill=0.99, coverage=0.1), OPTIONS)[0]
    assert (both["verdict"], both["reasons"]) == ("fail", "fill:above coverage:below")
    assert both["warnings"] == "black:above sky_chroma:above"
    warned = judge(images(black=0.05), OPTIONS)[0]
    assert warned["reasons"] == warned["warnings"] == "black:above"


def test_what_is_not_known_decides_nothing_unless_nothing_is() -> None:
    assert verdict(fill=np.nan, centring=np.nan, contrast=np.nan) == ("pass", "")
    nothing = dict.fromkeys(GOOD, np.nan) | {"size_bytes": 50_000.0}
    assert verdict(**nothing) == ("fail", "unmeasured")


def test_images_are_counted_by_what_decided() -> None:
    rows = [GOOD, GOOD | {"fill": 0.99, "black": 0.05}, GOOD | {"black": 0.9}, GOOD | {"fill": 0.99}]
    judged = judge(Table(rows), OPTIONS)
    assert judged["verdict"].tolist() == ["pass", "fail", "fail", "fail"]
    assert reasons_of(judged, "fail") == {"black:above": 1, "fill:above": 2}
    assert len(judge(images()[:0], OPTIONS)) == 0


NUMBER = st.floats(-100, 100)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Limits, Limits]:
    """Limits, and others that are nowhere narrower."""
    cuts = sorted(draw(st.lists(NUMBER, min_size=8, max_size=8)))
    narrow = Limits(warn=(cuts[3], cuts[4]), fail=(cuts[2], cuts[5]))
    wide = Limits(warn=(draw(st.sampled_from(cuts[2:4])), cuts[4]), fail=(cuts[0], draw(st.sampled_from(cuts[5:]))))
    return narrow, draw(st.sampled_from([wide, Limits(fail=narrow.fail), Limits(warn=narrow.warn), Limits()]))


@given(ranges(), st.lists(NUMBER | st.just(float("nan")), min_size=1, max_size=20))
def test_a_wider_range_never_makes_a_verdict_worse(limits: tuple[Limits, Limits], values: list[float]) -> None:
    narrow, wide = limits
    assert np.all(grade(values, wide) <= grade(values, narrow))
    assert np.all(grade(values, narrow)[np.isnan(values)] == VERDICTS.index("pass"))


def test_both_ends_are_within() -> None:
    assert outside([1.0, 0.9, 2.0, 2.1, np.nan], (1, 2)).tolist() == [0, -1, 0, 1, 0]


def test_a_range_that_is_not_named_keeps_its_default() -> None:
    one = load_profile("demo", overrides=["quality.fill.warn=[0.1, 0.8]", "quality.white.fail=[]"]).quality
    assert (one.fill.warn, one.fill.fail) == ((0.1, 0.8), OPTIONS.fill.fail)
    assert (one.white.warn, one.white.fail) == (OPTIONS.white.warn, ())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("quality.fill.warn=[0.01, 0.8]", r"quality.fill: warn \[0.01, 0.8\] must lie within fail"),
        ("quality.fill.fail=[1, 0]", r"must be \[lowest, highest\], or \[\] for no limit"),
        ("quality.fill.fail=[1]", r"must be \[lowest, highest\]"),
        ("quality.fil.warn=[0, 1]", "did you mean 'fill'"),
        ("quality.fill.warm=[0, 1]", "did you mean 'warn'"),
        ("quality.fill=3", "quality.fill"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        load_profile("demo", overrides=[given])
