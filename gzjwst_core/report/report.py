"""report.html: what a person opens first. One file, no network, everything escaped.

Here the facts become what the template shows: words, tables, percentages. Drawings are `figures`, contact sheets
`sheets`, layout and looks the files in `templates/`.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import numpy as np
from astropy.table import Table
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from gzjwst_core.report.depth_figures import RAMP_CSS, depth_limits, depth_uri
from gzjwst_core.report.explorer import explorer_data, random_sheet
from gzjwst_core.report.facts import Galaxies, MosaicCell, ReportFacts
from gzjwst_core.report.figures import flag_counts, number_counts, size_magnitude, sky_map
from gzjwst_core.report.packing import script_json
from gzjwst_core.report.selection_figures import (
    astrometric_residuals,
    completeness_curves,
    completeness_map,
    corrected_counts,
    overlap_curves,
    purity_curves,
)
from gzjwst_core.report.shown import check_rows, distributions, table_rows
from gzjwst_core.report.texts import bytes_text, plain_text, reasons_text, seconds_text, thousands, words
from gzjwst_core.runs.record import StageRecord, sums_hold

__all__ = ["report_html", "told_of"]

_ARCHIVES = {"datalabs": "DataLabs", "s3": "S3", "mast": "MAST", "local": "local"}
_MIRROR = tuple(
    (round(15.0 * q, 1), round(17.3 * (r + q / 2), 1))
    for q in range(-2, 3)
    for r in range(-2, 3)
    if 0 < max(abs(q), abs(r), abs(q + r)) <= 2
)
"""Centres of the eighteen segments of JWST's mirror."""
_STYLES = ("report.css", "galaxies.css")
_SCRIPTS = ("galaxies.data.js", "galaxies.view.js", "galaxies.grid.js", "galaxies.detail.js", "galaxies.main.js")
"""In the order in which they need each other: they share one scope."""
_OUTCOMES = {"done": "Done", "partial": "Done in part", "failed": "Failed"}


def report_html(facts: ReportFacts) -> str:
    """Write the report of a run.

    Parameters
    ----------
    facts
        What there is to show; sections without facts are left out.

    Returns
    -------
    str
        A whole HTML page. It loads nothing: small images, drawings, style and script are inside. Links to images and
        files are relative to where it lies, in the survey's folder.
    """
    shown: dict[str, Any] = {
        "facts": facts,
        "record": facts.record,
        "outcome": _OUTCOMES[facts.record.outcome],
        "cards": _cards(facts),
        "broken_sums": sums_hold(facts.record),
        "asked": {key: value for key, value in facts.record.asked.items() if value},
        "matrix": _matrix(facts),
        "depth": table_rows(facts.depth),
        "depth_maps": _depth_maps(facts),
        "astrometry": table_rows(facts.astrometry),
        "limits": table_rows(facts.limits),
        "overlap": table_rows(facts.overlap),
        "crossmatch": table_rows(facts.crossmatch),
        "flow": _flow(facts),
        "flags": [] if facts.catalog is None else [f for f in flag_counts(facts.catalog) if f.rows],
        "plots": _plots(facts),
        "selection": _selection_plots(facts),
        "measures": distributions(facts.image_measures),
        "none_selected": _none_selected(facts),
        "checks": _checks(facts),
        "galaxies": None if facts.galaxies is None else _galaxies(facts.galaxies),
        "listed": set() if facts.galaxies is None else set(facts.galaxies.rows["id_str"].tolist()),
        "slowest": max([stage.seconds for stage in facts.record.stages], default=0.0),
    }
    return _environment().get_template("report.html.j2").render(**shown)


def told_of(page: bytes) -> str:
    """Read back what a report was made from; its first thousand bytes are enough. Empty = it does not say."""
    found = re.search(rb'<meta name="made-from" content="(\w*)">', page)
    return found[1].decode() if found else ""


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("gzjwst_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"bytes": bytes_text, "seconds": seconds_text, "n": thousands, "plain": plain_text}
    made.filters |= {"address": quote, "reasons": reasons_text}
    made.filters |= {"moment": _moment, "archive": _archive, "words": words, "units": _units}
    folder = resources.files("gzjwst_core.report") / "templates"
    # files of this package, never text from outside
    made.globals["style"] = Markup("\n".join((folder / name).read_text() for name in _STYLES))  # noqa: S704
    made.globals["script"] = Markup("\n".join((folder / name).read_text() for name in _SCRIPTS))  # noqa: S704
    made.globals["mirror"] = _MIRROR
    return made


# ---------------------------------------------------------------- words


def _moment(text: str) -> str:
    """Write an ISO time without its seconds' fraction and zone letters."""
    return text[:16].replace("T", " ") + " UTC" if len(text) >= 16 else text


def _archive(name: str) -> str:
    return _ARCHIVES.get(name, name)


def _units(stage: StageRecord) -> str:
    """Say what a stage did: `2 made, 6 stood`."""
    told = ((stage.done, "made"), (stage.cached, "stood"), (stage.failed, "failed"))
    parts = [f"{thousands(count)} {what}" for count, what in told if count]
    read = "" if stage.bytes_read is None else f", {bytes_text(stage.bytes_read)} read"
    return (", ".join(parts) or "nothing to do") + read


# ---------------------------------------------------------------- sections


def _cards(facts: ReportFacts) -> list[tuple[str, str, str]]:
    """Key numbers: (number, what, small print)."""
    cards = _mosaic_cards(facts.mosaics) + _catalog_cards(facts.catalog, facts.selected)
    if "images" in facts.record.made:
        cards.append((thousands(facts.record.made["images"]), "images", "coloured for volunteers"))
    memory = "" if facts.record.peak_mb is None else f"peak memory {bytes_text(facts.record.peak_mb * 1e6)}"
    return [*cards, (seconds_text(facts.record.seconds), "this run", memory)]


def _mosaic_cards(mosaics: Sequence[MosaicCell]) -> list[tuple[str, str, str]]:
    if not mosaics:
        return []
    located = [m for m in mosaics if m.outcome == "located"]
    fields = {m.field for m in mosaics}
    size = bytes_text(sum(m.size for m in located))
    return [
        (str(len(fields)), "field" if len(fields) == 1 else "fields", f"{len({m.band for m in mosaics})} bands"),
        (f"{len(located)} of {len(mosaics)}", "mosaics", f"{size} in the archives"),
    ]


def _catalog_cards(catalog: Table | None, selected: NDArray[np.bool_] | None) -> list[tuple[str, str, str]]:
    if catalog is None:
        return []
    primaries = int(np.count_nonzero(catalog["is_primary"]))
    cards = [(thousands(primaries), "sky objects", f"{thousands(len(catalog))} detections")]
    if selected is not None:
        share = np.count_nonzero(selected) / max(primaries, 1)
        cards.append((thousands(int(np.count_nonzero(selected))), "galaxies selected", f"{share:.0%} of the objects"))
    return cards


def _matrix(facts: ReportFacts) -> list[tuple[str, list[MosaicCell | None]]]:
    """Rows of the matrix: a field, and a cell (or None) for each band."""
    cells = {(m.field, m.band): m for m in facts.mosaics}
    fields = dict.fromkeys(m.field for m in facts.mosaics)
    return [(field, [cells.get((field, band)) for band in facts.bands]) for field in fields]


def _flow(facts: ReportFacts) -> list[dict[str, Any]]:
    """Cut flow with each step's share of the start."""
    flow = facts.record.cut_flow
    start = max(flow[0].before, 1) if flow else 1
    return [{"step": step, "share": step.after / start, "lost": step.before - step.after} for step in flow]


def _plots(facts: ReportFacts) -> list[tuple[str, Markup, str]]:
    """Drawings of the catalog: title, drawing, caption."""
    if facts.catalog is None or len(facts.catalog) == 0:
        return []
    area = "" if facts.area_arcmin2 is None else f" {facts.area_arcmin2:.1f} arcmin² were searched."
    made = [
        (
            "Number counts",
            number_counts(facts.catalog, facts.bands, facts.area_arcmin2),
            f"Galaxies by total magnitude, one row a sky object, stars left out.{area} They turn over near the depth.",
        ),
        (
            "Size and magnitude",
            size_magnitude(facts.catalog, facts.selected),
            "Half-light radius on the detection image, before any correction for the PSF.",
        ),
        ("On the sky", sky_map(facts.catalog), "Every detection, by the field it was made in."),
    ]
    return [(title, drawing, said) for title, drawing, said in made if drawing is not None]


def _selection_plots(facts: ReportFacts) -> list[tuple[str, Markup, str]]:
    """Drawings of the selection function: title, drawing, caption."""
    injected, purity = facts.completeness, facts.purity
    pairs = [(one.name, one.dra, one.ddec) for one in facts.residuals]
    made = [
        (
            "Completeness",
            None if injected is None else completeness_curves(injected),
            "Share of injected galaxies that come back, by true magnitude, with 95 % intervals; all sizes together.",
        ),
        (
            "Completeness by size",
            None if injected is None else completeness_map(injected),
            "The same over true magnitude and half-light radius, all fields together: the fuller, the more come back.",
        ),
        (
            "Number counts, corrected",
            _corrected(facts),
            "Galaxies by mag_ref, and divided by the completeness at their own size where nearly all pass 30 %.",
        ),
        (
            "Purity",
            None if purity is None else purity_curves(purity),
            "One minus the detections on the negative image over those on the image itself, with 95 % intervals.",
        ),
        (
            "Found again where fields overlap",
            None if facts.overlap is None else overlap_curves(facts.overlap),
            "Share of one field's sources that the other detects too, with 95 % intervals; chance matches are in it.",
        ),
        (
            "Astrometry between fields",
            astrometric_residuals(pairs),
            "Every shared object, first field minus second; crosses mark median and half of all. Below: compact ones.",
        ),
    ]
    return [(title, drawing, said) for title, drawing, said in made if drawing is not None]


def _galaxies(galaxies: Galaxies) -> dict[str, Any]:
    """Tell what can be looked through: numbers, the sheet that needs no script, and the scripts' data."""
    data = explorer_data(galaxies)
    return {
        "total": galaxies.total,
        "listed": len(galaxies.rows),
        "static": random_sheet(galaxies),
        "sheets": data["sheets"],
        "json": script_json(data),
    }


def _none_selected(facts: ReportFacts) -> str:
    """Say that no galaxy is selected, and which cut left none; empty where some are, or nothing is known."""
    if facts.selected is None or facts.selected.any():
        return ""
    cut = next((step for step in facts.record.cut_flow if step.before and not step.after), None)
    if cut is None:
        return "No galaxy is selected: the catalog has no source that a cut could have left."
    return f"No galaxy is selected: the cut {cut.cut} leaves none of {thousands(cut.before)} rows."


def _checks(facts: ReportFacts) -> list[dict[str, Any]]:
    """Return the image checks; none where they judged no image, even if the survey's had their control stars."""
    checks = check_rows(facts.image_checks)
    return checks if any(any(one["counts"].values()) for one in checks if not one["survey"]) else []


def _corrected(facts: ReportFacts) -> Markup | None:
    if facts.catalog is None or facts.catalog_completeness is None:
        return None
    keep = np.asarray(facts.catalog["is_primary"], dtype=bool) & ~np.asarray(facts.catalog["is_star"], dtype=bool)
    mag = np.asarray(facts.catalog["mag_ref"], dtype=np.float64)
    return corrected_counts(mag[keep], facts.catalog_completeness[keep], facts.area_arcmin2)


def _depth_maps(facts: ReportFacts) -> dict[str, Any] | None:
    """Pictures of the fields' depth on one scale."""
    limits = depth_limits([one.values for one in facts.depth_maps])
    if limits is None:
        return None
    pictures = [
        {"field": one.field, "uri": depth_uri(one.values, limits), "median": f"{np.nanmedian(one.values):.2f}"}
        for one in facts.depth_maps
        if np.isfinite(one.values).any()
    ]
    return {"low": f"{limits[0]:.1f}", "high": f"{limits[1]:.1f}", "ramp": RAMP_CSS, "pictures": pictures}
