"""CHECKSUM and DATASUM of a FITS HDU, without the date that other writers put into their comments.

The FITS checksum convention (FITS standard 4.0, section 4.4.2.7 and appendix J). Bytes in, card values out.
"""

import numpy as np

__all__ = ["ZERO_CHECKSUM", "checksum_text", "datasum"]

ZERO_CHECKSUM = "0" * 16
"""What stands in the CHECKSUM card while the sum is taken."""

_BLOCKED = frozenset(range(0x3A, 0x41)) | frozenset(range(0x5B, 0x61))  # punctuation between digits and letters


def datasum(data: bytes | bytearray | memoryview) -> int:
    """Sum of the 32-bit big-endian words, ones' complement.

    Parameters
    ----------
    data
        A multiple of 4 bytes.
    """
    total = int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def checksum_text(total: int) -> str:
    """Encode the complement of an HDU's sum as the 16 characters that make its sum all ones.

    Parameters
    ----------
    total
        Sum of data and header, the header with `ZERO_CHECKSUM` in its card.
    """
    columns = [_four_characters(byte) for byte in (~total & 0xFFFFFFFF).to_bytes(4, "big")]
    text = "".join(chr(columns[byte][place]) for place in range(4) for byte in range(4))
    return text[-1] + text[:-1]  # the value begins one byte after a word's boundary


def _four_characters(byte: int) -> list[int]:
    """Split a byte into four ASCII letters or digits that sum to it (above four zeros)."""
    quotient, remainder = divmod(byte, 4)
    quarters = [quotient + ord("0")] * 4
    quarters[0] += remainder
    while any(quarter in _BLOCKED for quarter in quarters):
        for i in (0, 2):
            if quarters[i] in _BLOCKED or quarters[i + 1] in _BLOCKED:
                quarters[i] += 1
                quarters[i + 1] -= 1
    return quarters
