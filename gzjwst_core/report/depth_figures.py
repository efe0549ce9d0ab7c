"""Depth maps as small pictures for the report. Arrays in, `data:` addresses out."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["RAMP_CSS", "depth_limits", "depth_uri"]

_MOST_PX = 320
_RAMP = np.array([[38, 22, 74], [63, 72, 137], [38, 130, 142], [108, 196, 98], [250, 230, 80]], dtype=np.float64)
"""Dark = shallow, bright = deep; brightness rises evenly, so that it reads without colour too."""

RAMP_CSS = "linear-gradient(90deg, " + ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in _RAMP) + ")"


def depth_limits(maps: list[NDArray[np.float32]]) -> tuple[float, float] | None:
    """Return the 1 and 99 % quantiles of several maps together, mag, at least 0.2 apart; None without any value."""
    known = [values[np.isfinite(values)] for values in maps]
    together = np.concatenate(known) if known else np.zeros(0)
    if together.size == 0:
        return None
    low, high = (float(v) for v in np.percentile(together, [1, 99]))
    spare = max(0.2 - (high - low), 0.0) / 2
    return low - spare, high + spare


def depth_uri(depth: NDArray[np.float32], limits: tuple[float, float]) -> str:
    """Draw a depth map.

    Parameters
    ----------
    depth
        (ny, nx) AB mag, row 0 at the bottom; NaN = no data, transparent.
    limits
        Magnitudes of the ramp's ends.

    Returns
    -------
    str
        A PNG of at most 320 pixels a side in a `data:` address.
    """
    step = max(1, -(-max(depth.shape) // _MOST_PX))
    values = depth[::step, ::step][::-1]
    known = np.isfinite(values)
    place = np.clip((np.where(known, values, limits[0]) - limits[0]) / (limits[1] - limits[0]), 0, 1) * (len(_RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(_RAMP)), _RAMP[:, c]) for c in range(3)], axis=-1)
    pixels = np.dstack([np.rint(colours), np.where(known, 255, 0)]).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
