"""The bits of `flags` as lines for a table's header. What they mean is in `columns`, when they are set in `flags`."""

from textwrap import wrap

from gzjwst_core.flag_bits import FLAG_MEANINGS, Flag

__all__ = ["flag_notes"]

_CARD = 72


def flag_notes() -> list[str]:
    """Return the bits and their texts as lines of a header: `  512 KRON_CIRCLE: circular aperture ...`."""
    notes = [f"{int(flag):5d} {flag.name}: {FLAG_MEANINGS[flag]}" for flag in Flag]
    lines = [line for note in notes for line in wrap(note, _CARD, initial_indent="", subsequent_indent=" " * 6)]
    return ["bits of the column flags:", *lines]
