"""Zooniverse manifests: CSV files whose rows are subjects, as panoptes-cli reads them.

The client takes any cell of the first row that names an existing file for a medium, and an empty cell names the
manifest's own folder: so no cell is empty, and only `file_name` looks like a path of ours. Columns with `#` are
hidden from volunteers, those with `!` while classifying. Uploading is panoptes-cli's work, not ours.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return. Such a text gets an
apostrophe before it, which spreadsheets hide and `text_of_cell` takes off; so does a text that begins with one. Numbers
stay as they are. Manifests and catalog are joined by `id_str`, which never begins so.
"""

import csv
import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core import __version__
from gzjwst_core.errors import ProfileError
from gzjwst_core.options import PublishOptions

__all__ = ["MANIFEST_COLUMNS", "NOTHING", "chunked", "manifests", "runs_in_spreadsheets", "text_of_cell"]

NOTHING = "none"
"""Stands in every cell that has no value."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_STARTS = ("=", "+", "-", "@", "\t", "\r")

_NUMBERS: dict[str, tuple[str, str]] = {
    "#ra": ("ra", ".6f"),
    "#dec": ("dec", "+.6f"),
    "#fov_arcsec": ("fov_arcsec", ".3f"),
    "#size_arcsec": ("size_arcsec", ".3f"),
    "#floor_arcsec": ("floor_arcsec", ".3f"),
    "#pixscale_out_arcsec": ("pixscale_arcsec", ".5f"),
    "#mag_ref": ("mag_ref", ".2f"),
    "#r50_arcsec": ("r50", ".3f"),
    "#coverage_min": ("coverage_min", ".3f"),
}
_TEXTS: dict[str, str] = {
    "id_str": "id_str",
    "#field": "field",
    "#filters_rgb": "filters_rgb",
    "#filled": "filled",
    "#panels": "panels",
    "#fov_rule": "fov_rule",
    "#recipe": "recipe",
    "#recipe_hash": "recipe_digest",
    "#ext_id": "ext_id",
}
MANIFEST_COLUMNS = (
    "file_name",
    "id_str",
    "!iauname",
    "#ra",
    "#dec",
    "#survey",
    "#field",
    "#filters_rgb",
    "#filled",
    "#panels",
    "#fov_rule",
    "#fov_arcsec",
    "#size_arcsec",
    "#floor_arcsec",
    "#pixscale_out_arcsec",
    "#mag_ref",
    "#r50_arcsec",
    "#coverage_min",
    "#recipe",
    "#recipe_hash",
    "#ext_id",
    "#version",
    "!link",
)
"""In the order of the file; `file_name` must stay first (`--file-column 1`)."""


def manifests(rows: Table, survey: str, options: PublishOptions) -> dict[str, str]:
    """Write the manifests of a survey.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS of `rows`, one row an image.
    survey
        The survey's name.
    options
        `manifest_rows` subjects go into one file; `link` is the sky viewer's address with `{ra}`, `{dec}`, `{id_str}`.

    Returns
    -------
    dict
        Text by file name, `manifest-0001.csv` first; the files belong into `zooniverse/`, beside `images/`. Empty when
        there are no rows.

    Raises
    ------
    ProfileError
        `publish.link` has a placeholder that is not known.
    """
    lines = list(zip(*_columns(rows, survey, options), strict=True))
    return chunked("manifest", MANIFEST_COLUMNS, lines, options.manifest_rows)


def chunked(stem: str, header: Sequence[str], lines: Sequence[Sequence[str]], step: int) -> dict[str, str]:
    """Write rows into numbered files of at most `step` rows; text by file name, `<stem>-0001.csv` first."""
    return {
        f"{stem}-{number:04d}.csv": _csv(header, lines[start : start + step])
        for number, start in enumerate(range(0, len(lines), step), start=1)
    }


def _columns(rows: Table, survey: str, options: PublishOptions) -> list[list[str]]:
    names = np.asarray(rows["id_str"]).tolist()
    made = {
        "file_name": [f"../{image}" for image in np.asarray(rows["image"]).tolist()],
        "!iauname": [name.rpartition("_")[2] for name in names],
        "#survey": [survey] * len(rows),
        "#version": [f"gzjwst {__version__}"] * len(rows),
        "!link": _links(rows, options.link),
    }
    made |= {name: [_cell(v) for v in np.asarray(rows[column]).tolist()] for name, column in _TEXTS.items()}
    made |= {name: _numbers(rows, column, form) for name, (column, form) in _NUMBERS.items()}
    return [made[name] for name in MANIFEST_COLUMNS]


def _numbers(rows: Table, column: str, form: str) -> list[str]:
    return [format(v, form) if math.isfinite(v) else NOTHING for v in np.asarray(rows[column]).tolist()]


def _cell(value: Any) -> str:
    """Plain ASCII that is neither empty nor a path nor a formula."""
    text = str(value).strip().encode("ascii", "backslashreplace").decode()
    if text.strip("./\\~") == "":
        return NOTHING
    text = text.replace("/", "-").replace("\\", "-")
    return f"'{text}" if text.startswith("'") or runs_in_spreadsheets(text) else text


def runs_in_spreadsheets(cell: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula: it begins like one, and is no number."""
    return cell.startswith(_STARTS) and not _NUMBER.match(cell)


def text_of_cell(cell: str) -> str:
    """Return the text that a cell of a manifest stands for, without the apostrophe that keeps it from being run."""
    return cell[1:] if cell.startswith("'") and (cell[1:2] == "'" or runs_in_spreadsheets(cell[1:])) else cell


def _links(rows: Table, template: str) -> list[str]:
    places = zip(*(np.asarray(rows[name]).tolist() for name in ("ra", "dec", "id_str")), strict=True)
    try:
        links = [template.format(ra=ra, dec=dec, id_str=name) for ra, dec, name in places]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ProfileError(f"publish.link: {template!r}: {error} (allowed: {{ra}}, {{dec}}, {{id_str}})") from error
    return [link.encode("ascii", "backslashreplace").decode() or NOTHING for link in links]


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
