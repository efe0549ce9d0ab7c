"""Recipes side by side: which galaxies are taken, what is measured, what the verb writes and refuses."""

import io
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gzjwst_core.cli import main
from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.images.compare import Look, look_at, sample, star_colour
from gzjwst_core.images.compare_figures import FIGURES, best
from gzjwst_core.images.recipes import RECIPES
from tests.cutouts.skies import Blob, make_field
from tests.images.scenes import cut_bytes, flux, grids, punch

PINS = "[images]\nsize_px = 48\n[images.sigma]\n" + "".join(
    f"{b} = 0.05\n" for b in ("F115W", "F150W", "F277W", "F444W")
)
BRIGHTNESS = {"a": 40.0, "b": 4.0, "c": 1.0}


def look(path: str, flux_ujy: float = 1.0, size: float = 1.0, coverage: float = 1.0) -> Look:
    return Look(path, path, flux_ujy, size, 0.3, 3.0, coverage)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with cutouts of three galaxies, one of them partly covered, and a frozen profile."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    (folder / "cutouts" / "f1").mkdir(parents=True)
    for name, total in BRIGHTNESS.items():
        blobs = [Blob(0, 0, 0.25, flux(total, total, total, total))]
        field = make_field(tmp_path_factory.mktemp("f"), blobs, grids(17.0, side=5.0), noise=0.02)
        if name == "b":
            where = np.zeros((167, 167), dtype=bool)
            where[:, :60] = True
            punch(field, "F115W", where)
            punch(field, "F150W", where)
        (folder / "cutouts" / "f1" / f"{name}.fits").write_bytes(cut_bytes(field))
    (folder / "profile.toml").write_text(PINS)
    return folder


@pytest.fixture
def copy(survey: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(survey, tmp_path / "tiny"))


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def go(folder: Path, *more: str) -> tuple[int, str]:
        code = main(["colour", str(folder), "--out", str(tmp_path / "sheet.html"), *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return go


def test_brightness_and_size_are_those_of_the_target(survey: Path) -> None:
    looks = {name: look_at(name, read_cutout((survey / f"cutouts/f1/{name}.fits").read_bytes())) for name in BRIGHTNESS}
    for name, total in BRIGHTNESS.items():
        inside = 1 - math.exp(-(2.5**2) / 2)  # the segment ends at 2.5 sigma
        assert looks[name].flux_ujy == pytest.approx(total * inside, rel=0.05)
        assert looks[name].size_arcsec == pytest.approx(2 * 2.5 * 0.25, rel=0.05)
        assert looks[name].r50_arcsec == pytest.approx(1.13 * 0.25, rel=0.1)
    assert looks["a"].coverage == 1
    assert looks["b"].coverage < 0.9
    assert not looks["a"].star_like


def test_a_point_is_star_like(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.03, flux(9, 9, 9, 9))], grids(0.0, side=4.0), noise=0.001)
    found = look_at("star", read_cutout(cut_bytes(field, 2.0)))
    assert found.star_like


def test_without_a_segment_there_is_no_flux(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(1.8, 1.8, 0.1, flux(9, 9, 9, 9))], grids(0.0, side=4.0))
    found = look_at("none", read_cutout(cut_bytes(field, 1.9)))
    assert math.isnan(found.mag)
    assert found.size_arcsec == 1.9


@given(
    st.lists(st.tuples(st.floats(-1, 1e4), st.floats(0.1, 9), st.floats(0, 1)), min_size=1, max_size=40),
    st.integers(1, 30),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_a_sample_is_the_same_in_any_order_and_holds_the_extremes(
    given_looks: list[tuple[float, float, float]], count: int, mix: object
) -> None:
    looks = [look(f"p{i}", *values) for i, values in enumerate(given_looks)]
    chosen = [(looks[row].path, why) for row, why in sample(looks, count)]
    mixed = looks.copy()
    mix.shuffle(mixed)  # type: ignore[attr-defined]
    assert [(mixed[row].path, why) for row, why in sample(mixed, count)] == chosen
    names = [path for path, _ in chosen]
    assert len(set(names)) == len(names)
    assert min(count, len(looks)) <= len(names) <= max(count, 4)
    taken = {one.path: one for one in looks if one.path in names}
    assert max(one.flux_ujy for one in taken.values()) == max(one.flux_ujy for one in looks)
    assert min(one.flux_ujy for one in taken.values()) == min(one.flux_ujy for one in looks)
    assert max(one.size_arcsec for one in taken.values()) == max(one.size_arcsec for one in looks)
    assert min(one.coverage for one in taken.values()) == min(one.coverage for one in looks)
    fluxes = [taken[name].flux_ujy for name in names]
    assert fluxes == sorted(fluxes, reverse=True)


def test_what_has_no_flux_is_neither_brightest_nor_faintest() -> None:
    looks = [look("a", math.nan), look("b", 3.0), look("c", -1.0)]
    assert [(looks[row].path, why) for row, why in sample(looks, 3)] == [
        ("b", "brightest"),
        ("c", "faintest"),
        ("a", "largest"),
    ]
    assert sample(looks[:1], 4) == [(0, "largest")]


def test_a_sample_spreads_over_brightness_and_size() -> None:
    looks = [look(f"{i}-{j}/{k}", 10.0**i, 1.0 + j) for i in range(4) for j in range(3) for k in range(9)]
    cells = {looks[row].path.split("/")[0] for row, _ in sample(looks, 16)}
    assert len(cells) == 12


def test_colour_of_a_star() -> None:
    grey = np.full((100, 100, 3), 30, dtype=np.uint8)
    assert star_colour(grey, 2.0) == pytest.approx((0.0, 0.0, 30.0))
    y, x = np.mgrid[:100, :100] - 49.5
    ringed = grey.copy()
    ringed[np.hypot(x, y) < 5, 2] = 90  # blue within 0.1 arcsec: one colour that ends
    assert star_colour(ringed, 2.0).ring == 0
    ringed[np.hypot(x, y) < 2.5] = 255  # and white within 0.05
    ring, log2_rb, brightness = star_colour(ringed, 2.0)
    assert ring == pytest.approx(60)
    assert log2_rb < 0
    assert brightness > 30


def test_best_is_the_lowest_as_shown() -> None:
    low = next(figure for figure in FIGURES if figure.key == "white")
    assert best(low, [0.001, 0.004, 0.2]) == [True, True, False]
    assert best(low, [0.1, 0.1]) == [False, False]
    assert best(low, [math.nan, 0.1, 0.2]) == [False, True, False]
    level = next(figure for figure in FIGURES if figure.key == "sky")
    assert best(level, [10, 20]) == [False, False]


def test_one_sheet_with_every_recipe(survey: Path, run: Run, tmp_path: Path) -> None:
    code, said = run(survey, "--set", "deep:high_sigma=50", "--set", "deep:images.knee_sigma=3")
    assert code == 0, said
    assert f"| | {' | '.join([*RECIPES, 'deep'])} |" in said
    assert "white, %" in said
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3 * (len(RECIPES) + 1)
    assert "high_sigma = 50, knee_sigma = 3" in page
    assert "brightest" in page
    assert "partly covered" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # nothing is loaded
    with Image.open(tmp_path / "sheet.jpg") as image:
        assert image.width > 168 * (len(RECIPES) + 1)
        assert image.height > 3 * 168
    first = (tmp_path / "sheet.jpg").read_bytes()
    run(survey, "--set", "deep:high_sigma=50", "--set", "deep:images.knee_sigma=3")
    assert (tmp_path / "sheet.jpg").read_bytes() == first


def test_recipes_in_the_order_asked_for_with_a_value_for_all(survey: Path, run: Run, tmp_path: Path) -> None:
    code, said = run(survey, "--recipes", "lupton,asinh", "--set", "images.low_sigma=-1", "--count", "1")
    assert code == 0, said
    assert "| | lupton | asinh |" in said
    with Image.open(io.BytesIO((tmp_path / "sheet.jpg").read_bytes())) as image:
        assert image.width < 3 * 168 + 178
    assert main(["colour", str(survey), "--recipes", "asinh", "--out", str(tmp_path / "other.html")]) == 0
    assert _sky(tmp_path / "other.html", 0) > _sky(tmp_path / "sheet.html", 1)  # -1 sigma is a darker sky than -3


def _sky(page: Path, column: int) -> int:
    line = re.search(r">sky level</th>(.*?)</tr>", page.read_text(), re.DOTALL)
    assert line
    return int(re.findall(r'<span class="\w*">(\d+)</span>', line[1])[column])


def test_a_damaged_cutout_is_named_and_left_out(copy: Path, run: Run) -> None:
    (copy / "cutouts" / "f1" / "d.fits").write_bytes(b"no cutout")
    code, said = run(copy, "--recipes", "asinh")
    assert code == 0
    assert "cutouts/f1/d.fits is left out" in said


def test_a_cutout_that_one_recipe_cannot_colour_leaves_a_hole(copy: Path, run: Run, tmp_path: Path) -> None:
    gone = [f"images.{channel}={{F356W = 1.0}}" for channel in ("red", "green", "blue")]
    code, said = run(copy, "--recipes", "asinh", *(word for text in gone for word in ("--set", f"bare:{text}")))
    assert code == 0, said
    assert said.count("bare: ") == 3
    assert (tmp_path / "sheet.html").read_text().count("no picture</div>") == 3


def test_a_sheet_without_any_picture_is_an_error(survey: Path, run: Run, tmp_path: Path) -> None:
    gone = [f"images.{channel}={{F356W = 1.0}}" for channel in ("red", "green", "blue")]
    code, said = run(survey, "--recipes", "asinh,lupton", *(word for text in gone for word in ("--set", text)))
    assert code == 1
    assert "no recipe can colour any of 3 galaxies; lupton: test_J1p2" in said
    assert not (tmp_path / "sheet.html").exists()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--recipes", "asinh,sepia"), 2, f"sepia: no such recipe (have: {', '.join(RECIPES)})"),
        (("--set", "images.knee_sigm=2"), 2, "images.knee_sigm: unknown key; did you mean 'knee_sigma'?"),
        (("--set", "detect.threshold=2"), 2, "images.detect: unknown key"),
        (("--set", "deep:images.high_sigma=-9"), 2, "images.high_sigma"),
        (("--set", "high_sigma"), 2, "write images.key=value"),
        (("--set", "../x:high_sigma=2"), 2, "write images.key=value"),
        (("--set", "lupton:high_sigma=2"), 2, "a recipe's name"),
        (("--count", "0"), 2, "--count must be 1 to 200"),
        (("--out", "sheet.pdf"), 2, "name an .html file"),
        (("--out", "no/such/sheet.html"), 2, "there is no folder no/such"),
    ],
)
def test_bad_words_are_refused(survey: Path, run: Run, more: tuple[str, ...], code: int, said: str) -> None:
    ended = run(survey, *more)
    assert ended[0] == code
    assert said in ended[1]


def test_folders_without_what_is_needed(copy: Path, run: Run, tmp_path: Path) -> None:
    code, said = run(tmp_path / "nowhere")
    assert code == 2
    assert "profile.toml is not there" in said
    for path in (copy / "cutouts" / "f1").iterdir():
        path.write_bytes(b"x")
    code, said = run(copy)
    assert code == 1
    assert "none of 3 cutouts can be read" in said
    shutil.rmtree(copy / "cutouts")
    code, said = run(copy)
    assert code == 1
    assert "there are no cutouts in it" in said
    (copy / "profile.toml").write_bytes(b"\xff")
    assert run(copy)[0] == 2


def test_colour_that_is_not_pinned_is_said(copy: Path, run: Run) -> None:
    (copy / "profile.toml").write_text("[images]\nsize_px = 48\n")
    code, said = run(copy, "--recipes", "asinh", "--look", "2")
    assert code == 0
    assert "No band's sigma is pinned" in said


def test_stars_of_the_quality_checks_are_measured(copy: Path, run: Run) -> None:
    assert "rings in stars" not in run(copy, "--recipes", "asinh")[1]
    (copy / "controls" / "f1" / "stars").mkdir(parents=True)
    for name in BRIGHTNESS:
        shutil.copy(copy / "cutouts" / "f1" / f"{name}.fits", copy / "controls" / "f1" / "stars")
    (copy / "controls" / "f1" / "stars" / "d.fits").write_bytes(b"damaged")
    said = run(copy, "--recipes", "asinh")[1]
    assert "rings in stars" in said
    assert "star colours, sd" in said
