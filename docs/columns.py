"""Write docs/columns.md from the table of columns: `python docs/columns.py`. A test fails when the page is stale."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gzjwst_core.catalog.columns import APERTURE_COLUMNS, BAND_COLUMNS, MATCHED_COLUMNS, SOURCE_COLUMNS, SURVEY_COLUMNS
from gzjwst_core.catalog.crossmatch import MATCH_COLUMNS, SUMMARY_COLUMNS
from gzjwst_core.catalog.definitions import REFERENCES
from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag
from gzjwst_core.storage.tables import Column

_INTRO = """# Columns of the catalog

Made by `python docs/columns.py` from `gzjwst_core/catalog/columns.py`, which the code, the parquet metadata, the FITS
header and the tests read too: change it there.

- `catalog/catalog.parquet` is the catalog; `catalog.fits` (TOPCAT) and, below 50,000 rows, `catalog.ecsv` hold the same
  rows, columns, units, descriptions and UCDs. `catalog/fields/<field>.parquet` has no columns of merging.
- Units are VOUnit and FITS units alike. Fluxes are in uJy, magnitudes AB (23.9 - 2.5 log10 of the flux); angles in
  degrees; positions ICRS. NaN means not measured; pixels count from 0.
- In parquet each Arrow field carries `unit`, `description`, `ucd` and `source`. `pandas`, `polars` and
  `gzjwst_core.storage.tables.read_parquet` need nothing else; astropy's `Table.read("catalog.parquet")` restores units,
  descriptions and UCDs (`column.meta["ucd"]`) but wants pandas installed.
- In FITS the cards of column n are `TTYPEn`, `TUNITn`, `TUCDn`, `TCOMMn` (meaning) and `TSRCn` (source); the bits of
  `flags` are COMMENT cards. ECSV shows missing text as missing, elsewhere it is empty.
- `catalog/regions/<field>.reg`: the Kron ellipses for DS9, text = `id_str`; galaxies green, stars cyan, flagged rows
  yellow, secondaries red, each kind with its tag.
- Words in [brackets] are keys of the references at the end.
"""


def page() -> str:
    """Return the page."""
    parts = [
        _INTRO,
        *_section("Of the survey", SURVEY_COLUMNS),
        *_section("Of every source", SOURCE_COLUMNS),
        *_section("Of every band", (*BAND_COLUMNS, *APERTURE_COLUMNS)),
        *_section("Of every band, with `psf.match`", MATCHED_COLUMNS),
        *_section("Comparisons: `catalog/crossmatch.parquet`", SUMMARY_COLUMNS),
        *_section("Matches: `catalog/matches/<name>.parquet`", MATCH_COLUMNS),
        "## Bits of `flags`\n\n| bit | name | meaning |\n|---:|---|---|",
        *(f"| {int(flag)} | {flag.name} | {FLAG_MEANINGS[flag]} |" for flag in Flag),
        "\n## References\n",
        *(f"- [{key}] {text}" for key, text in REFERENCES.items()),
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, columns: Iterable[Column]) -> Iterator[str]:
    yield f"## {title}\n\n| name | type | unit | UCD | meaning | source of the definition |\n|---|---|---|---|---|---|"
    for c in columns:
        yield f"| `{c.name}` | {c.dtype} | {c.unit} | {c.ucd} | {c.meaning} | {c.source} |"
    yield ""


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
