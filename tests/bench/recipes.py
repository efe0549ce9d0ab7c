"""Colour recipes on synthetic skies, ours and two of others: `python tests/bench/recipes.py [SEED ...]`.

Every detected galaxy of AB 19.5-25.5; a star of one colour alone, beside a saturated star, beside a bright galaxy and
beside a gap, in fields of 2, 4 and 8 arcsec; galaxies in two pointings with other noise. `--page docs/colour.md` puts
the table there, `--sheet docs/colour-recipes.jpg` draws what the verb `colour` draws.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # milliseconds are those of one core
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from gzjwst_core.cutouts.read import Cutout  # noqa: E402
from gzjwst_core.images.compare import Look, look_at, sample, star_colour  # noqa: E402
from gzjwst_core.images.compare_sheet import sheet_jpeg  # noqa: E402
from gzjwst_core.images.recipes import RECIPES  # noqa: E402
from gzjwst_core.options import ImageOptions  # noqa: E402
from gzjwst_core.survey.compare_command import Variant, compared  # noqa: E402
from tests.bench.recipe_table.peers import notebook, percentile  # noqa: E402
from tests.bench.recipe_table.skies import Views, make_views  # noqa: E402

_BEGIN, _END = "<!-- recipes: begin -->", "<!-- recipes: end -->"
_ROWS, _SIDE_PX = 9, 128
_HEAD = (
    "recipe",
    "white %",
    "black %",
    "sky median / noise",
    "sky tint",
    "too dark %",
    "galaxy above sky",
    "star log2(R/B) sd",
    "star brightness sd",
    "rings in the star",
    "two pointings, mean \\|dRGB\\|",
    "kB",
    "ms",
)


@dataclass(frozen=True)
class Stars:
    """What one star looks like over its views, in one sky."""

    log2_rb_sd: float
    brightness_sd: float
    ring: float


@dataclass(frozen=True)
class Measured:
    """One recipe on one sky."""

    name: str
    galaxies: int
    figures: dict[str, float]
    stars: Stars
    pairs: list[float]


def variants(options: ImageOptions) -> list[Variant]:
    """Our recipes and the peers, with one sky's pins."""
    ours = [Variant(name, options.model_copy(update={"recipe": name})) for name in RECIPES]
    peers = [Variant("notebook Lupton", options, "Q 2, stretch 0.1, MJy/sr", render=notebook)]
    return [*ours, *peers, Variant("per-image asinh", options, "1-99.7 % of each", render=percentile)]


def stars(variant: Variant, views: Views) -> Stars:
    """Measure the star in every view."""
    found = np.array(
        [star_colour(variant.render(cutout, variant.options).rgb, cutout.fov_arcsec) for _, cutout in views.stars]
    )
    return Stars(float(found[:, 1].std(ddof=1)), float(found[:, 2].std(ddof=1)), float(np.median(found[:, 0])))


def pair_difference(variant: Variant, pair: tuple[Cutout, Cutout]) -> float:
    """Mean |difference| of two pictures of one galaxy, levels, where both have data."""
    one, other = (variant.render(cutout, variant.options) for cutout in pair)
    both = ~(one.gap | other.gap)
    return float(np.abs(one.rgb[both].astype(int) - other.rgb[both].astype(int)).mean())


def measured(views: Views) -> list[Measured]:
    """Measure every recipe on one sky."""
    found = []
    for variant in variants(views.options):
        figures = dict(compared(_galaxies(views), [variant], title="", lead="").columns[0].figures)
        pairs = [pair_difference(variant, pair) for pair in views.pairs]
        found.append(Measured(variant.name, len(views.galaxies), figures, stars(variant, views), pairs))
        print(found[-1].name, file=sys.stderr, flush=True)
    return found


def one_sky(seed: int) -> tuple[list[Measured], bytes]:
    """Make a sky, measure it, and draw its sheet."""
    with tempfile.TemporaryDirectory() as scratch:
        views = make_views(Path(scratch), seed)
    return measured(views), sheet(views)


def table(skies: Sequence[list[Measured]]) -> str:
    """Lay the means over skies out."""
    rows = [_row(of_skies) for of_skies in zip(*skies, strict=True)]
    count = sum(sky[0].galaxies for sky in skies), sum(len(sky[0].pairs) for sky in skies)
    said = f"{len(skies)} skies, {count[0]} galaxies, {12 * len(skies)} views of the star, "
    said += f"{count[1]} galaxies in two pointings."
    return "\n".join([f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|", *rows, "", said])


def _row(of_skies: Sequence[Measured]) -> str:
    weights = [one.galaxies for one in of_skies]
    figures = {
        key: float(np.average([one.figures[key] for one in of_skies], weights=weights))
        for key in ("white", "black", "sky", "sky_sd", "sky_chroma", "too_dark", "lift", "kb", "ms")
    }
    name = of_skies[0].name
    cells = [
        f"**{name}**" if name == RECIPES[0] else name,
        *(f"{figures[key]:.2f}" for key in ("white", "black")),
        f"{figures['sky']:.0f} / {figures['sky_sd']:.1f}",
        f"{figures['sky_chroma']:.1f}",
        *(f"{figures[key]:.0f}" for key in ("too_dark", "lift")),
        f"{np.mean([one.stars.log2_rb_sd for one in of_skies]):.3f}",
        f"{np.mean([one.stars.brightness_sd for one in of_skies]):.1f}",
        f"{np.mean([one.stars.ring for one in of_skies]):.0f}",
        f"{np.mean([pair for one in of_skies for pair in one.pairs]):.1f}",
        *(f"{figures[key]:.0f}" for key in ("kb", "ms")),
    ]
    return f"| {' | '.join(cells)} |"


def _galaxies(views: Views) -> list[tuple[Look, str, Cutout]]:
    return [(look_at(str(number), cutout), "", cutout) for number, cutout in enumerate(views.galaxies)]


def sheet(views: Views) -> bytes:
    """Draw a sample of one sky's galaxies, then the star beside the saturated one."""
    looks = [look for look, _, _ in _galaxies(views)]
    chosen = [(looks[row], why, views.galaxies[row]) for row, why in sample(looks, _ROWS - 1)]
    star = next(cutout for context, cutout in views.stars if context == "bright star" and cutout.fov_arcsec == 4)
    chosen.append((look_at("star", star), "star of known colour", star))
    drawn = compared(chosen, variants(views.options), title="", lead="")
    return sheet_jpeg(drawn, side_px=_SIDE_PX, quality=84)


def into_page(page: str, text: str) -> str:
    """Put the table between a page's marks."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n{text}\n{_END}{rest.split(_END)[1]}"


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[20260101, 7, 11])
    parser.add_argument("--jobs", type=int, default=2, help="skies at a time")
    parser.add_argument("--page", type=Path, help="put the table into this page, between its marks")
    parser.add_argument("--sheet", type=Path, help="draw the sheet of the first seed here")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        skies = list(pool.map(one_sky, options.seeds))
    text = table([sky for sky, _ in skies])
    print(text)
    if options.page:
        options.page.write_text(into_page(options.page.read_text(), text))
    if options.sheet:
        options.sheet.write_bytes(skies[0][1])


if __name__ == "__main__":
    main()
