"""What the page of galaxies embeds: columns, sheets, small copies and the sky viewer's address as plain JSON values.

How values are packed is `packing`; the page's own scripts in `templates/` read them, filter, sort and show.
"""

from collections.abc import Iterator
from string import Formatter
from typing import Any
from urllib.parse import quote

import numpy as np

from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.report.column_words import column_words, unit_words
from gzjwst_core.report.facts import Galaxies
from gzjwst_core.report.galaxies import DETAILS, Detail, band_details
from gzjwst_core.report.measures import Measure, measure_of
from gzjwst_core.report.packing import choices, doubles, numbers, paths, texts
from gzjwst_core.report.sheets import RANDOM, SORT_DIGITS, Sheet, choose, sheets_of
from gzjwst_core.report.texts import NOTHING, reasons_text

__all__ = ["embedded_names", "explorer_data", "measures_shown", "random_sheet"]

_PAGE = 48
_FEW = 200
_FIRST = (
    Detail("Name", "ext_id"),
    Detail("Name", "field"),
    Detail("Light", "mag_ref", SORT_DIGITS["mag_ref"]),
    Detail("Size and shape", "r50", SORT_DIGITS["r50"]),
)
_OF_THE_IMAGE = (
    Detail("Image", "fov_arcsec", SORT_DIGITS["fov_arcsec"]),
    Detail("Image", "size_arcsec", SORT_DIGITS["fov_arcsec"]),
    Detail("Image", "floor_arcsec", SORT_DIGITS["fov_arcsec"]),
    Detail("Image", "pixscale_arcsec", 5),
    Detail("Image", "coverage_min", 3),
    Detail("Image", "size_bytes", 0),
    Detail("Image", "filters_rgb"),
    Detail("Image", "filled"),
    Detail("Image", "recipe"),
    Detail("Image", "recipe_digest"),
    Detail("", "verdict"),
    Detail("", "reasons"),
)
_ORDER = ("", "Name", "Position", "Light", "Magnitudes", "Size and shape", "Image", "Quality")


def measures_shown(galaxies: Galaxies) -> dict[str, Measure]:
    """Say what the measures of a survey's images mean, by column."""
    limits = {name: _limits(name, *ends) for name, ends in galaxies.limits.items()}
    return {name: measure_of(galaxies.rows[name], limits.get(name)) for name in galaxies.measures}


def embedded_names(galaxies: Galaxies) -> list[str]:
    """Names of the galaxies whose small copies the page holds: the first of every sheet, each once."""
    measures = measures_shown(galaxies)
    chosen = (choose(one, galaxies.rows, measures, galaxies.sheet) for one in sheets_of(galaxies.rows, measures))
    rows = dict.fromkeys(row for sheet in chosen for row in sheet)
    return [str(galaxies.rows["id_str"][row]) for row in rows]


def random_sheet(galaxies: Galaxies) -> list[dict[str, Any]]:
    """Images that the page shows without any script: the random sheet, with links."""
    return [_static(galaxies, row) for row in _first(galaxies)]


def explorer_data(galaxies: Galaxies) -> dict[str, Any]:
    """Pack what the page's scripts need.

    Parameters
    ----------
    galaxies
        What is listed, with the small copies.

    Returns
    -------
    dict
        JSON values. `columns` by name in the order of the detail view; small copies of the random sheet are left out,
        as the page shows them by itself.
    """
    rows, measures = galaxies.rows, measures_shown(galaxies)
    first = set(_first(galaxies))
    small = [(row, name) for row, name in enumerate(_texts(galaxies, "id_str")) if name in galaxies.small]
    return {
        "count": len(rows),
        "page": galaxies.sheet or _PAGE,
        "columns": dict(_columns(galaxies, measures)),
        "flags": [[int(flag), str(flag.name), FLAG_MEANINGS[flag]] for flag in Flag],
        "measures": {name: _range(measure) for name, measure in measures.items()},
        "sheets": [_sheet(one) for one in sheets_of(rows, measures)],
        "link": _link_parts(galaxies.link),
        "links": _links(galaxies) if _link_parts(galaxies.link) is None else [],
        "thumbs": {str(row): galaxies.small[name] for row, name in small if row not in first},
    }


# ---------------------------------------------------------------- columns


def _columns(galaxies: Galaxies, measures: dict[str, Measure]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every column with its head and packed values."""
    rows = galaxies.rows
    names, fields = _texts(galaxies, "id_str"), _texts(galaxies, "field")
    yield "id_str", {"group": "", **texts(names)}
    for name in ("image", "cutout", "strip"):
        yield name, {"group": "", **paths(_texts(galaxies, name), fields, names)}
    yield "strip_bands", {"group": "", **choices(_texts(galaxies, "strip_bands"))}
    if any(panels := _texts(galaxies, "panels")):
        yield "panels", {"group": "", **choices(panels)}
    yield "ra", _head(rows["ra"], "Position") | doubles(rows["ra"], 6)
    yield "dec", _head(rows["dec"], "Position") | doubles(rows["dec"], 6)
    yield "flags", _head(rows["flags"], "") | numbers(rows["flags"], 0)
    for one in sorted(_details(galaxies), key=lambda detail: _ORDER.index(detail.group)):
        column = rows[one.name]
        packed = _said(_texts(galaxies, one.name)) if one.digits is None else numbers(column, one.digits)
        yield one.name, _head(column, one.group) | packed
    for name, measure in measures.items():
        head = {"group": "Quality", "words": measure.words, "unit": measure.unit, "said": measure.said}
        yield name, head | numbers(rows[name], measure.digits)


def _details(galaxies: Galaxies) -> list[Detail]:
    every = (*_FIRST, *DETAILS, *band_details(galaxies.bands), *_OF_THE_IMAGE)
    return [one for one in every if one.name in galaxies.rows.colnames and one.name not in galaxies.measures]


def _said(values: list[str]) -> dict[str, Any]:
    """Texts of any number; the page makes lists of fields and verdicts, of which there are few."""
    return choices(values) if len(set(values)) <= max(len(values) / 2, _FEW) else texts(values)


def _head(column: Any, group: str) -> dict[str, str]:
    unit = "" if column.info.unit is None else str(column.info.unit.to_string())
    said = column.info.description or ""
    return {"group": group, "words": column_words(column.info.name), "unit": unit_words(unit), "said": said}


def _texts(galaxies: Galaxies, name: str) -> list[str]:
    values = [str(value) for value in np.asarray(galaxies.rows[name]).tolist()]
    return [reasons_text(value) for value in values] if name == "reasons" else values


# ---------------------------------------------------------------- the rest


def _limits(name: str, low: float, high: float) -> tuple[float, float] | None:
    """Leave out the least size of a file: large files make volunteers wait, and all good ones lie near that least."""
    if name != "size_bytes":
        return low, high
    return (-np.inf, high) if np.isfinite(high) else None


def _first(galaxies: Galaxies) -> list[int]:
    names = _texts(galaxies, "id_str")
    return [row for row in choose(RANDOM, galaxies.rows, {}, galaxies.sheet) if names[row] in galaxies.small]


def _static(galaxies: Galaxies, row: int) -> dict[str, Any]:
    one = galaxies.rows[row]
    name = str(one["id_str"])
    said = f"{one['mag_ref']:.1f} mag · r50 {one['r50']:.2f}″".replace("nan", NOTHING)
    return {"row": row, "id": name, "href": quote(str(one["image"])), "said": said, "small": galaxies.small[name]}


def _sheet(sheet: Sheet) -> dict[str, Any]:
    return sheet._asdict()


def _range(measure: Measure) -> list[float | None]:
    """Return the ends of the good range; None = open."""
    return [end if np.isfinite(end) else None for end in (measure.low, measure.high)]


def _link_parts(template: str) -> list[dict[str, Any]] | None:
    """Take the sky viewer's address apart: texts, and columns with their sign and decimals; None = too odd for that."""
    parts: list[dict[str, Any]] = []
    for text, name, spec, conversion in Formatter().parse(template):
        parts += [{"text": text}] if text else []
        if name is None:
            continue
        digits = (spec or "").removeprefix("+").removeprefix(".").removesuffix("f")
        plain = name == "id_str" and not spec
        if conversion or not (plain or (name in {"ra", "dec"} and digits.isdigit() and (spec or "").endswith("f"))):
            return None
        parts.append({"of": [name] if plain else [name, int(digits), (spec or "").startswith("+")]})
    return parts


def _links(galaxies: Galaxies) -> list[str]:
    places = zip(galaxies.rows["ra"], galaxies.rows["dec"], _texts(galaxies, "id_str"), strict=True)
    return [galaxies.link.format(ra=float(ra), dec=float(dec), id_str=name) for ra, dec, name in places]
