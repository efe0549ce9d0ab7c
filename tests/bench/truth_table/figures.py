"""Figures of a comparison, and the tables they are shown in. Scores in, numbers and text out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.sky.bands import BANDS
from tests.bench.truth_table.scores import Score

__all__ = ["figures", "into_page", "markdown"]

DEPTH = BANDS["F277W"].depth_ab
"""5 sigma in 0.3 arcsec where all exposures overlap; that of F444W is the same."""

_MAG_EDGES = np.arange(22.0, 29.5, 1.0)
_FINE_EDGES = np.arange(23.0, 29.01, 0.5)
_PULL_EDGES = np.arange(23.0, 28.5, 1.0)
_WANTED, _COMPACT_R50 = 0.8, 0.3
_FEWEST = 10
_BEGIN, _END = "<!-- truth: begin -->", "<!-- truth: end -->"


def figures(score: Score) -> dict[str, Any]:
    """Make every figure of one tool; lists go with magnitude bins."""
    detections = score.spurious.size
    made: dict[str, Any] = {"detections": detections}
    made |= _completeness(score)
    made["negative / positive"] = float(score.negative.sum() / detections)
    made["without a true source within 0.2 arcsec"] = float(score.spurious.mean())
    made |= _fluxes(score)
    made["r50 / true, AB < 25"] = _median(score.pair_size[score.pair_mag["F277W"] < 25])
    faint = (score.pair_mag["F277W"] >= 25) & (score.pair_mag["F277W"] < 26.5)
    made["r50 / true, AB 25-26.5"] = _median(score.pair_size[faint])
    made["bright discs split"] = float(score.disc_split.mean())
    made["bright discs"] = score.disc_split.size
    for (band, diameter), pull in score.own_pulls.items():
        some = _pull_figures(pull)
        made[f"own light {band} {diameter}: robust sd"] = some["robust_sd"]
        made[f"own light {band} {diameter}: abs(pull) > 5"] = some["above_5"]
    made["CPU s a field"] = float(score.seconds.mean())
    made["pulls"] = {f"{band} {diameter}": _pulls(values) for (band, diameter), values in score.pulls.items()}
    return made


def _completeness(score: Score) -> dict[str, Any]:
    one_brighter = score.mag < DEPTH - 1
    near = one_brighter & (score.mag > DEPTH - 1.5)
    compact = one_brighter & (score.size < _COMPACT_R50)
    return {
        "complete, by bin": _shares(score, _MAG_EDGES),
        "galaxies, by bin": np.histogram(score.mag, _MAG_EDGES)[0].tolist(),
        f"complete at AB {DEPTH - 1.5}-{DEPTH - 1}": float(score.recovered[near].mean()),
        f"complete, AB < {DEPTH - 1}, r50 < 0.3": float(score.recovered[compact].mean()),
        "AB of 80 %": _crossing(score),
    }


def _shares(score: Score, edges: NDArray[np.float64]) -> list[float]:
    number = np.digitize(score.mag, edges)
    return [float(_mean(score.recovered[number == i])) for i in range(1, edges.size)]


def _crossing(score: Score) -> float:
    """Return where completeness in bins of half a magnitude falls below 80 %, between their middles."""
    shares, middles = np.array(_shares(score, _FINE_EDGES)), (_FINE_EDGES[1:] + _FINE_EDGES[:-1]) / 2
    above = np.flatnonzero(shares >= _WANTED)
    if above.size == 0 or above[-1] == shares.size - 1:
        return float("nan")
    last = above[-1]
    part = (shares[last] - _WANTED) / (shares[last] - shares[last + 1])
    return float(middles[last] + part * (middles[last + 1] - middles[last]))


def _fluxes(score: Score) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for band, mag in score.pair_mag.items():
        difference = score.pair_dmag[band]
        bright, faint = mag < 25, (mag >= 25) & (mag < 27)
        made[f"dmag {band}, AB < 25"] = _median(difference[bright])
        made[f"dmag {band}, AB 25-27"] = _median(difference[faint])
        made[f"abs(dmag) > 0.5 {band}, AB < 25"] = float(np.mean(~(np.abs(difference[bright]) <= 0.5)))
    return made


def _pulls(values: NDArray[np.float64]) -> dict[str, Any]:
    mag, pull = values
    number = np.digitize(mag, _PULL_EDGES)
    bins = [_pull_figures(pull[number == i]) for i in range(1, _PULL_EDGES.size)]
    return {"all": _pull_figures(pull[mag < _PULL_EDGES[-1]]), "bins": bins, "edges": _PULL_EDGES.tolist()}


def _pull_figures(pull: NDArray[np.float64]) -> dict[str, float]:
    if pull.size < _FEWEST:
        return {"n": pull.size, "mean": np.nan, "sd": np.nan, "robust_sd": np.nan, "above_5": np.nan}
    spread = 1.4826 * np.median(np.abs(pull - np.median(pull)))
    within = pull[np.abs(pull) < 10]  # one blend must not be the whole variance; they are counted beside it
    return {
        "n": pull.size,
        "mean": float(within.mean()),
        "sd": float(within.std()),
        "robust_sd": float(spread),
        "above_5": float(np.mean(np.abs(pull) > 5)),
    }


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else float("nan")


def markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the tables: what, one column a tool."""
    parts = [
        _main_table(results),
        "Completeness by true magnitude, all fields together:",
        _bin_table(results),
        "Pulls of lonely sources by true magnitude: mean / sd / robust sd (number; share above 5).",
        *_pull_tables(results),
    ]
    return "\n\n".join(parts)


def into_page(page: str, text: str) -> str:
    """Put the tables between a page's marks."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n{text}\n{_END}{rest.split(_END)[1]}"


def _main_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    names: list[str] = []
    for made in results.values():
        names += [n for n, v in made.items() if not isinstance(v, list | dict) and n not in names]
    rows = [[name, *(_text(name, made.get(name)) for made in results.values())] for name in names]
    return _table(["", *results], rows)


def _bin_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    some = next(iter(results.values()))
    rows = []
    for i, number in enumerate(some["galaxies, by bin"]):
        label = f"{_MAG_EDGES[i]:.0f}-{_MAG_EDGES[i + 1]:.0f}"
        rows.append([label, str(number), *(f"{made['complete, by bin'][i]:.3f}" for made in results.values())])
    return _table(["complete at F277W AB", "galaxies", *results], rows)


def _pull_tables(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write a table for each case that all tools have, and one line for each that ours alone have."""
    tables, short = [], []
    for case in dict.fromkeys(case for made in results.values() for case in made["pulls"]):
        having = {tool: made["pulls"][case] for tool, made in results.items() if case in made["pulls"]}
        if len(having) < len(results):
            short.append([f'{case}"', *(_pull_text(case_of["all"]) for case_of in having.values())])
            names = list(having)
        else:
            tables.append(_pull_table(case, having))
    return [*tables, _table(["all magnitudes", *names], short)] if short else tables


def _pull_table(case: str, having: Mapping[str, Any]) -> str:
    edges = next(iter(having.values()))["edges"]
    labels = [f"{a:.0f}-{b:.0f}" for a, b in pairwise(edges)]
    rows = [[label, *(_pull_text(h["bins"][i]) for h in having.values())] for i, label in enumerate(labels)]
    rows.append(["all", *(_pull_text(h["all"]) for h in having.values())])
    return _table([f'{case}"', *having], rows)


def _pull_text(cell: Mapping[str, float]) -> str:
    if not np.isfinite(cell["sd"]):
        return f"- ({cell['n']})"
    spread = f"{cell['mean']:+.2f} / {cell['sd']:.2f} / {cell['robust_sd']:.2f}"
    return f"{spread} ({cell['n']}; {100 * cell['above_5']:.1f} %)"


def _text(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    if name.startswith("CPU"):
        return f"{value:.1f}"
    if name.startswith("AB"):
        return f"{value:.2f}"
    return f"{value:+.3f}" if name.startswith("dmag") else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
