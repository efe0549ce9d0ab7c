"""What the bits of `flags` say to a person: in the report, in the headers of tables, in docs/columns.md.

One short ASCII sentence a bit. Which bits there are is in `columns`, when they are set in `flags`.
"""

from collections.abc import Mapping
from textwrap import wrap

from gzjwst_core.catalog.columns import Flag

__all__ = ["FLAG_TEXTS", "flag_notes"]

_CARD = 72

FLAG_TEXTS: Mapping[Flag, str] = {
    Flag.EDGE: "an edge or gap within the Kron ellipse",
    Flag.BLENDED: "deblended from a neighbour, or overlaps one",
    Flag.TRUNCATED: "touches the edge of the mosaic",
    Flag.SATURATED: "saturated or empty core",
    Flag.BRIGHT_STAR: "in the halo or spikes of a bright star",
    Flag.FEW_BANDS: "fewer than two bands cover it",
    Flag.LOW_WEIGHT: "weight below 0.3 of the field's median",
    Flag.DUPLICATE: "another field holds the primary row",
    Flag.KRON_CIRCLE: "circular aperture: Kron radius failed or too small",
    Flag.CROWDED: "neighbours cover more than 30 % of the Kron ellipse",
    Flag.NO_ERROR_MAP: "no error map: errors from the background's rms alone",
    Flag.TARGET: "a target of a table: nothing was detected",
}


def flag_notes() -> list[str]:
    """Return the bits and their texts as lines of a header: `  512 KRON_CIRCLE: circular aperture ...`."""
    notes = [f"{int(flag):5d} {flag.name}: {FLAG_TEXTS[flag]}" for flag in Flag]
    lines = [line for note in notes for line in wrap(note, _CARD, initial_indent="", subsequent_indent=" " * 6)]
    return ["bits of the column flags:", *lines]
