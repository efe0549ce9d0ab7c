"""Colour recipes on synthetic skies, ours and two of others: `python tests/bench/recipes.py [SEED ...]`.

Every detected galaxy of AB 19.5-25.5; a star of one colour alone, beside a saturated star, beside a bright galaxy and
beside a gap, in fields of 2, 4 and 8 arcsec; galaxies in two pointings with other noise. `--page docs/colour.md` puts
the table there, `--sheet docs/colour-recipes.jpg` draws what the verb `colour` draws.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # milliseconds are those of one core
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from gzjwst_core.cutouts.read import Cutout  # noqa: E402
from gzjwst_core.images.compare import Look, look_at, sample, star_colour  # noqa: E402
from gzjwst_core.images.compare_sheet import sheet_jpeg  # noqa: E402
from gzjwst_core.images.compare_verb import Variant, compared  # noqa: E402
from gzjwst_core.images.recipes import RECIPES  # noqa: E402
from gzjwst_core.options import ImageOptions  # noqa: E402
from tests.bench.recipe_table.peers import notebook, percentile  # noqa: E402
from tests.bench.recipe_table.skies import Views, make_views  # noqa: E402

_BEGIN, _END = "<!-- recipes: begin -->", "<!-- recipes: end -->"
_ROWS, _SIDE_PX = 9, 128


@dataclass(frozen=True)
class Stars:
    """What one star looks like over its views, in one sky."""

    log2_rb_sd: float
    brightness_sd: float
    ring: float


def variants(options: ImageOptions) -> list[Variant]:
    """Our recipes and the peers, with one sky's pins."""
    ours = [Variant(name, options.model_copy(update={"recipe": name})) for name in RECIPES]
    peers = [Variant("notebook Lupton", options, "Q 2, stretch 0.1, raw", paint=notebook)]
    return [*ours, *peers, Variant("per-image asinh", options, "1-99.7 % of each", paint=percentile)]


def stars(variant: Variant, views: Views) -> Stars:
    """Measure the star in every view."""
    found = np.array(
        [star_colour(variant.paint(cutout, variant.options).rgb, cutout.fov_arcsec) for _, cutout in views.stars]
    )
    return Stars(float(found[:, 1].std(ddof=1)), float(found[:, 2].std(ddof=1)), float(np.median(found[:, 0])))


def pair_difference(variant: Variant, pair: tuple[Cutout, Cutout]) -> float:
    """Mean |difference| of two pictures of one galaxy, levels, where both have data."""
    one, other = (variant.paint(cutout, variant.options) for cutout in pair)
    both = ~(one.gap | other.gap)
    return float(np.abs(one.rgb[both].astype(int) - other.rgb[both].astype(int)).mean())


def table(skies: Sequence[Views]) -> list[str]:
    """Measure every recipe on every sky."""
    names = [variant.name for variant in variants(skies[0].options)]
    rows = []
    for number, name in enumerate(names):
        here = [(variants(views.options)[number], views) for views in skies]
        sheets = [compared(_galaxies(views), [variant], title="", lead="") for variant, views in here]
        weights = [len(views.galaxies) for views in skies]
        figures = {
            key: float(np.average([sheet.columns[0].figures[key] for sheet in sheets], weights=weights))
            for key in ("white", "black", "sky", "sky_sd", "sky_chroma", "too_dark", "lift", "kb", "ms")
        }
        of_stars = [stars(variant, views) for variant, views in here]
        pairs = [pair_difference(variant, pair) for variant, views in here for pair in views.pairs]
        cells = [
            f"**{name}**" if name == RECIPES[0] else name,
            *(f"{figures[key]:.2f}" for key in ("white", "black")),
            f"{figures['sky']:.0f} / {figures['sky_sd']:.1f}",
            f"{figures['sky_chroma']:.1f}",
            *(f"{figures[key]:.0f}" for key in ("too_dark", "lift")),
            f"{np.mean([one.log2_rb_sd for one in of_stars]):.3f}",
            f"{np.mean([one.brightness_sd for one in of_stars]):.1f}",
            f"{np.mean([one.ring for one in of_stars]):.0f}",
            f"{np.mean(pairs):.1f}",
            f"{figures['kb']:.0f}",
            f"{figures['ms']:.0f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    head = (
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
    count = sum(len(views.galaxies) for views in skies), sum(len(views.pairs) for views in skies)
    said = f"{len(skies)} skies, {count[0]} galaxies, {sum(len(views.stars) for views in skies)} views of the star, "
    said += f"{count[1]} galaxies in two pointings."
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows, "", said]


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
    parser.add_argument("--page", type=Path, help="put the table into this page, between its marks")
    parser.add_argument("--sheet", type=Path, help="draw the sheet of the first seed here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        skies = [make_views(Path(scratch), seed) for seed in options.seeds]
    text = "\n".join(table(skies))
    print(text)
    if options.page:
        options.page.write_text(into_page(options.page.read_text(), text))
    if options.sheet:
        options.sheet.write_bytes(sheet(skies[0]))


if __name__ == "__main__":
    main()
