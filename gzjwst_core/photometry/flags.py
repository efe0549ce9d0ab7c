"""The bits of `flags`: what a reader should know before trusting a row. Columns in, one array out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from gzjwst_core.flag_bits import Flag

__all__ = ["flags_of"]

_CROWDED, _LOW_WEIGHT, _FEW_BANDS = 0.3, 0.3, 2


def flags_of(columns: Mapping[str, NDArray[Any]], *, weight_ratio: NDArray[np.float64], no_error_map: bool) -> Any:
    """Set the flags of a field's sources.

    Parameters
    ----------
    columns
        `sep_flag`, `at_edge`, `at_gap`, `hollow`, `in_zone`, `n_bands`, `persistence`, `kron_circle`, `crowded`.
    weight_ratio
        Weight in the reference band over the field's median; NaN = not known.
    no_error_map
        The reference band has no error plane.

    Returns
    -------
    ndarray of uint32
    """
    sep_flag = columns["sep_flag"]
    conditions = {
        Flag.EDGE: columns["at_edge"],
        Flag.GAP: columns["at_gap"],
        Flag.BLENDED: (sep_flag & sep.OBJ_MERGED) != 0,
        Flag.TRUNCATED: (sep_flag & sep.OBJ_TRUNC) != 0,
        Flag.SATURATED: columns["hollow"],
        Flag.BRIGHT_STAR: columns["in_zone"],
        Flag.FEW_BANDS: columns["n_bands"] < _FEW_BANDS,
        Flag.LOW_WEIGHT: weight_ratio < _LOW_WEIGHT,
        Flag.PERSISTENCE: columns["persistence"],
        Flag.KRON_CIRCLE: columns["kron_circle"],
        Flag.CROWDED: columns["crowded"] > _CROWDED,
        Flag.NO_ERROR_MAP: np.full(sep_flag.shape, no_error_map),
    }
    flags = np.zeros(sep_flag.shape, dtype=np.uint32)
    for bit, condition in conditions.items():
        flags[np.asarray(condition, dtype=bool)] |= np.uint32(bit)
    return flags
