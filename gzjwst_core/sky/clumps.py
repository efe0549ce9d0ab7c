"""Clumpy spirals: a scene whose large discs hold part of their light in knots along two arms.

Smooth Sersic discs hardly ever part; real ones do. A scene goes in and a scene comes out, so that a sky without clumps
is what it was, byte for byte. Used by the measurements of deblending; no profile asks for it.
"""

import numpy as np
from astropy.table import Table, vstack
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["large_discs", "with_clumps"]

_KNOTS = (8, 16)
_REACH = (0.35, 2.2)
_PITCH_DEG = (15.0, 30.0)
_KNOT_R50_ARCSEC = (0.04, 0.12)


def large_discs(scene: Table, *, faintest_mag: float = 23.0, smallest_r50: float = 0.4) -> NDArray[np.bool_]:
    """Tell which rows of a scene are bright large discs: Sersic index below 2.5."""
    disc = (np.asarray(scene["kind"]) == "galaxy") & (np.nan_to_num(np.asarray(scene["sersic_n"]), nan=9.0) < 2.5)
    large = (np.asarray(scene["mag_F277W"]) < faintest_mag) & (np.asarray(scene["r50_arcsec"]) > smallest_r50)
    return np.asarray(disc & large)


def with_clumps(scene: Table, share: float, seed: int) -> Table:
    """Move light of the large discs into knots.

    Parameters
    ----------
    scene
        From `draw_scene`, with the band F277W.
    share
        Part of a disc's light in its knots, at least 0 and below 1.
    seed
        Of the knots.

    Returns
    -------
    Table
        The scene, its discs dimmed, then the knots: small round exponentials along two logarithmic arms of the disc's
        plane. `parent_id` is the `true_id` of a knot's disc, 0 for all other rows.
    """
    rng = np.random.default_rng(seed)
    smooth = scene.copy()
    smooth["parent_id"] = np.zeros(len(scene), dtype=np.int64)
    chosen = np.flatnonzero(large_discs(scene))
    knots = [_knots(scene[int(row) : int(row) + 1], share, rng) for row in chosen] if share > 0 else []
    for name in (n for n in scene.colnames if n.startswith("flux_")):
        smooth[name][chosen] *= 1 - share
    for name in (n for n in scene.colnames if n.startswith("mag_")):
        smooth[name][chosen] -= 2.5 * np.log10(1 - share)
    return vstack([smooth, *knots], metadata_conflicts="silent")


def _knots(disc: Table, share: float, rng: Generator) -> Table:
    """Draw the knots of one disc; their fluxes differ by a factor of ten and add up to its share."""
    count = int(rng.integers(*_KNOTS))
    radius = float(disc["r50_arcsec"][0]) * rng.uniform(*_REACH, count)
    pitch = np.tan(np.deg2rad(rng.uniform(*_PITCH_DEG)))
    phase = np.log(radius / radius.min()) / pitch + np.pi * rng.integers(0, 2, count) + rng.uniform(0, 2 * np.pi)
    along, across = radius * np.cos(phase), radius * np.sin(phase) * float(disc["axis_ratio"][0])
    angle = np.deg2rad(float(disc["pa_deg"][0]))
    north, east = along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)
    weight = 10 ** rng.uniform(-1, 0, count) * np.exp(-radius / radius.mean())
    weight *= share / weight.sum()
    knots = vstack([disc] * count, metadata_conflicts="silent")
    knots["parent_id"] = np.full(count, int(disc["true_id"][0]))
    knots["ra_deg"] += east / 3600 / np.cos(np.deg2rad(float(disc["dec_deg"][0])))
    knots["dec_deg"] += north / 3600
    knots["r50_arcsec"][:] = rng.uniform(*_KNOT_R50_ARCSEC, count)
    knots["axis_ratio"][:], knots["sersic_n"][:] = 1.0, 1.0
    for name in (n for n in disc.colnames if n.startswith("flux_")):
        knots[name] *= weight
    for name in (n for n in disc.colnames if n.startswith("mag_")):
        knots[name] -= 2.5 * np.log10(weight)
    return knots
