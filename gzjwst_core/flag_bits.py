"""Bits of a catalog's `flags`, and what each says."""

from collections.abc import Mapping
from enum import IntFlag

__all__ = ["FLAG_MEANINGS", "Flag"]


class Flag(IntFlag):
    """Bits of `flags` (uint32): what a reader should know before trusting a row; `FLAG_MEANINGS` explains them."""

    EDGE = 1
    BLENDED = 2
    TRUNCATED = 4
    SATURATED = 8
    BRIGHT_STAR = 16
    FEW_BANDS = 32
    LOW_WEIGHT = 64
    PERSISTENCE = 128
    DUPLICATE = 256
    KRON_CIRCLE = 512
    CROWDED = 1024
    NO_ERROR_MAP = 2048
    TARGET = 4096
    GAP = 8192


FLAG_MEANINGS: Mapping[Flag, str] = {
    Flag.EDGE: "the outer edge of the mosaic within the Kron ellipse (detection image)",
    Flag.BLENDED: "deblended from a neighbour, or overlaps one (sep's OBJ_MERGED)",
    Flag.TRUNCATED: "touches the edge of the mosaic (sep's OBJ_TRUNC)",
    Flag.SATURATED: "no data inside the segment: a saturated or empty core",
    Flag.BRIGHT_STAR: "in the halo or a diffraction spike of a bright star",
    Flag.FEW_BANDS: "fewer than two bands cover it",
    Flag.LOW_WEIGHT: "weight below 0.3 of the field's median",
    Flag.PERSISTENCE: "measured in a mosaic that the profile names for persistence",
    Flag.DUPLICATE: "a secondary of its group: another field holds the primary row",
    Flag.KRON_CIRCLE: "circular aperture: the Kron radius failed or was too small",
    Flag.CROWDED: "neighbours' segments cover more than 30 % of the Kron ellipse",
    Flag.NO_ERROR_MAP: "no error map: errors come from the weights, else from the background's rms",
    Flag.TARGET: "a target from a table: measured where the table says, not detected",
    Flag.GAP: "data missing within the Kron ellipse, inside the mosaic: chip gap, masked region, empty core",
}
"""What each flag means, for the documentation and the report."""
