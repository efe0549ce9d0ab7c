"""Our catalog and its peers against the truth of synthetic skies: `python tests/bench/truth.py [--sky FOLDER]`.

Four bands, 122.88 arcsec a side: short-wave grids of 4096 pixels. Side by side in one run: our recipes `recommended`
and `reference`, SEP as its tutorial uses it, photutils, SExtractor. Peers get our detection image (inverse-variance
stack of F277W and F444W) and our threshold, filter, area, contrast and mesh where they have such; their settings are
told in the rooms of `truth_table`. A peer that is not installed is left out, and said so. `--sky` keeps the skies.
"""

import argparse
import importlib.util
import json
import logging
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # CPU seconds are those of one core
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from tests.bench.truth_table.figures import figures, into_page, markdown  # noqa: E402
from tests.bench.truth_table.found import Found, Shared, shared_images  # noqa: E402
from tests.bench.truth_table.ours import ours  # noqa: E402
from tests.bench.truth_table.plain_sep import plain_sep  # noqa: E402
from tests.bench.truth_table.scores import Score, joined, score  # noqa: E402
from tests.bench.truth_table.sextractor import PROGRAM, sextractor  # noqa: E402
from tests.bench.truth_table.skies import TrueField, make_field  # noqa: E402

_BANDS = ("F115W", "F150W", "F277W", "F444W")
_OURS = ("recommended", "reference")
_log = logging.getLogger("truth")


def available() -> tuple[list[str], list[str]]:
    """Return the tools that are here, and a sentence about each that is not."""
    tools, missing = [*_OURS, "SEP"], []
    if importlib.util.find_spec("photutils") and importlib.util.find_spec("skimage"):
        tools.append("photutils")
    else:
        missing.append("photutils is left out: it is not installed, or scikit-image for its deblending is not")
    if PROGRAM:
        tools.append("SExtractor")
    else:
        missing.append("SExtractor is left out: source-extractor is not on the PATH")
    return tools, missing


def look(tool: str, field: TrueField, shared: Shared, overrides: Sequence[str]) -> Found:
    """Let one tool catalog a field."""
    if tool in _OURS:
        return ours(field, tool, overrides if tool == "recommended" else ())
    peers: dict[str, Callable[[Shared], Found]] = {"SEP": plain_sep, "SExtractor": sextractor}
    if tool == "photutils":
        from tests.bench.truth_table.with_photutils import with_photutils  # noqa: PLC0415 - may not be installed

        peers[tool] = with_photutils
    return peers[tool](shared)


def compare(tools: Sequence[str], overrides: Sequence[str], root: Path, case: tuple[SkyOptions, int]) -> list[Score]:
    """Score every tool on one field."""
    field = make_field(root, *case)
    shared = shared_images(field)
    scores = []
    for tool in tools:
        found = look(tool, field, shared, overrides)
        print(
            f"{field.seed} {field.field.key} {tool}: {found.x.size} detections, {found.seconds:.0f} CPU s",
            file=sys.stderr,
            flush=True,
        )
        scores.append(score(field, found))
    return scores


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[20260101, 7, 11])
    parser.add_argument("--size", type=float, default=122.88, help="side of a field, arcsec")
    parser.add_argument("--fields", choices=["first", "both"], default="first", help="fields of each sky")
    parser.add_argument("--sky", type=Path, help="folder that keeps rendered skies for the next run")
    parser.add_argument("--tools", help="comma-separated names; default all that are installed")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the profile, for `recommended`")
    parser.add_argument("--jobs", type=int, default=2, help="fields at a time")
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    parser.add_argument("--page", type=Path, help="put the tables into this page, between its marks")
    parser.add_argument("--json", type=Path, help="write every figure here, each seed's own too")
    return parser.parse_args()


def main() -> None:
    """Measure every seed, print tables."""
    options = arguments()
    tools, missing = available()
    if options.tools:
        tools = [tool for tool in tools if tool in options.tools.split(",")]
    skies = [SkyOptions(seed=seed, size_arcsec=options.size, bands=_BANDS, missing=()) for seed in options.seeds]
    cases = [(sky, number) for sky in skies for number in range(2 if options.fields == "both" else 1)]
    with tempfile.TemporaryDirectory() as scratch:
        work = partial(compare, tools, options.set, options.sky or Path(scratch))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
            scores = list(pool.map(work, cases))
    results = {tool: figures(joined([of_case[i] for of_case in scores])) for i, tool in enumerate(tools)}
    text = "\n\n".join([markdown(results), *missing])
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    if options.page:
        options.page.write_text(into_page(options.page.read_text(), text))
    if options.json:
        single = [{tool: figures(of_case[i]) for i, tool in enumerate(tools)} for of_case in scores]
        named = {f"{case[0].seed}-{case[1]}": made for case, made in zip(cases, single, strict=True)}
        content: dict[str, Any] = {"all": results, "fields": named, "missing": missing}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
