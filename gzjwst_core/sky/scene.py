"""What is in the sky: the truth table of galaxies and stars, drawn from stated distributions.

One scene serves both fields, so the part they share shows the same sources. Positions and fluxes are drawn here;
how a telescope sees them is in `render`.

Distributions
-------------
galaxies, magnitude
    F277W AB 18.5-29, dN/dm ~ 10^(0.36 m) up to m = 23 and 10^(0.26 m) beyond.
galaxies, size
    log10 r50 ["] = log10 0.30 - 0.09 (m - 24), scatter 0.20 dex, kept in 0.03-1.5; at AB 22 0.45", at AB 27 0.16".
galaxies, Sersic index
    45 % exactly 1, 15 % exactly 4, the others uniform in 0.6-3.5.
galaxies, axis ratio
    n < 2.5: randomly inclined discs of thickness 0.2; else uniform in 0.55-1. Position angles are uniform.
galaxies, colour
    f_nu ~ lambda^beta, beta = 0.55 - 0.12 (m - 24) kept in -0.3-1.2, scatter 0.45; then 0.05 mag scatter per band.
grey galaxies
    AB 21-22.3, r50 0.40-0.65", n = 1, axis ratio 0.5-0.95, equal flux in every band, alone in 4".
stars
    F277W AB 21-27, dN/dm ~ 10^(0.12 m); saturated ones 15.6-16.6. f_nu ~ lambda^-s, s uniform in 1.0-1.7.
"""

import numpy as np
from astropy import units
from astropy.table import Table
from numpy.random import Generator
from numpy.typing import NDArray

from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.fields import SkyField, sky_fields
from gzjwst_core.sky.geometry import tangent_wcs
from gzjwst_core.sky.options import SkyOptions

__all__ = ["draw_scene"]

Floats = NDArray[np.float64]
Columns = dict[str, Floats]

_PIVOT_UM = BANDS["F277W"].wavelength_um
_MARGIN_ARCSEC = 3.0
_ALONE_ARCSEC = 4.0
_TRIES = 2000


def draw_scene(options: SkyOptions) -> Table:
    """Draw the truth table of a sky.

    Parameters
    ----------
    options
        The sky.

    Returns
    -------
    Table
        One row a source, ordered bright stars, grey galaxies, galaxies, stars. ``true_id`` (from 1), ``ra_deg``,
        ``dec_deg``, ``kind`` ("galaxy" or "star"), ``flux_<band>_ujy`` and ``mag_<band>`` (total, AB),
        ``r50_arcsec`` (semi-major axis of the ellipse with half of the light, before any PSF; 0 for a star),
        ``sersic_n`` (NaN for a star), ``axis_ratio``, ``pa_deg`` (E of N), ``grey``, ``saturated``, and for each
        field ``in_<key>``: at least one exposure reaches the centre in every band.
    """
    rng = np.random.default_rng(options.seed)
    fields = sky_fields(options)
    bright = _bright_stars(rng, options, fields)
    grey = _grey_galaxies(rng, options, fields, bright)
    common = [_galaxies(rng, options, fields), _stars(rng, options, fields)]
    common = [_kept(group, _clear_of(group, grey, _ALONE_ARCSEC)) for group in common]
    groups = [bright, grey, *common]
    columns = {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}
    kinds = np.repeat(["star", "galaxy", "galaxy", "star"], [group["ra_deg"].size for group in groups])
    return _truth_table(options, fields, columns, kinds)


def _truth_table(options: SkyOptions, fields: tuple[SkyField, ...], columns: Columns, kinds: NDArray[np.str_]) -> Table:
    table = Table({"true_id": np.arange(1, kinds.size + 1, dtype=np.int64)})
    table["ra_deg"], table["dec_deg"] = columns["ra_deg"] * units.deg, columns["dec_deg"] * units.deg
    table["kind"] = kinds
    for band in options.bands:
        table[f"flux_{band}_ujy"] = columns[band] * units.uJy
        table[f"mag_{band}"] = (23.9 - 2.5 * np.log10(columns[band])) * units.mag
    table["r50_arcsec"] = columns["r50"] * units.arcsec
    table["sersic_n"], table["axis_ratio"] = columns["n"], columns["q"]
    table["pa_deg"] = columns["pa"] * units.deg
    table["grey"], table["saturated"] = columns["grey"] > 0, columns["saturated"] > 0
    for field in fields:
        table[f"in_{field.key}"] = _exposures(field, columns["ra_deg"], columns["dec_deg"]) > 0
    return table


def _galaxies(rng: Generator, options: SkyOptions, fields: tuple[SkyField, ...]) -> Columns:
    ra, dec = _places(rng, options, fields, options.galaxies_per_arcmin2)
    size = ra.size
    mag = _magnitudes(rng, size, 18.5, 29.0, knee=23.0, slopes=(0.36, 0.26))
    r50 = 0.30 * 10 ** (-0.09 * (mag - 24) + 0.20 * rng.standard_normal(size))
    n = rng.choice([1.0, 4.0, 0.0], size, p=[0.45, 0.15, 0.40])
    n = np.where(n > 0, n, rng.uniform(0.6, 3.5, size))
    inclined = np.sqrt(0.04 + 0.96 * rng.uniform(0, 1, size) ** 2)
    q = np.where(n < 2.5, inclined, rng.uniform(0.55, 1, size))
    beta = np.clip(0.55 - 0.12 * (mag - 24), -0.3, 1.2) + 0.45 * rng.standard_normal(size)
    scatter = 0.05 * rng.standard_normal((len(options.bands), size))
    shape = {"r50": np.clip(r50, 0.03, 1.5), "n": n, "q": q, "pa": rng.uniform(0, 180, size)}
    return _columns(options, ra, dec, mag, beta, scatter=scatter, **shape)


def _stars(rng: Generator, options: SkyOptions, fields: tuple[SkyField, ...]) -> Columns:
    ra, dec = _places(rng, options, fields, options.stars_per_arcmin2)
    mag = _magnitudes(rng, ra.size, 21.0, 27.0, knee=24.0, slopes=(0.12, 0.12))
    return _columns(options, ra, dec, mag, -rng.uniform(1.0, 1.7, ra.size))


def _bright_stars(rng: Generator, options: SkyOptions, fields: tuple[SkyField, ...]) -> Columns:
    """Draw the saturated stars of each field, well inside it."""
    wanted = options.bright_stars
    ra, dec = _inner_places(rng, options, fields, wanted, ring_arcsec=min(1.0, options.size_arcsec / 30))
    mag = rng.uniform(15.6, 16.6, ra.size)
    return _columns(options, ra, dec, mag, -rng.uniform(1.0, 1.7, ra.size), saturated=np.ones(ra.size))


def _grey_galaxies(rng: Generator, options: SkyOptions, fields: tuple[SkyField, ...], bright: Columns) -> Columns:
    """Draw the grey galaxies of each field, far from bright stars and each other."""
    apart = min(10.0, options.size_arcsec / 6)
    ring = min(3.0, options.size_arcsec / 20)
    ra, dec = _inner_places(rng, options, fields, options.grey_galaxies, ring_arcsec=ring, apart=apart, others=bright)
    size = ra.size
    mag = rng.uniform(21.0, 22.3, size)
    shape = {"r50": rng.uniform(0.40, 0.65, size), "n": np.ones(size), "q": rng.uniform(0.5, 0.95, size)}
    shape |= {"pa": rng.uniform(0, 180, size), "grey": np.ones(size)}
    return _columns(options, ra, dec, mag, np.zeros(size), **shape)


def _columns(
    options: SkyOptions,
    ra: Floats,
    dec: Floats,
    mag: Floats,
    beta: Floats,
    *,
    scatter: Floats | None = None,
    **given: Floats,
) -> Columns:
    """Put a group's columns together; fluxes follow from the F277W magnitude and the slope of f_nu."""
    zero = np.zeros(ra.size)
    columns = {"ra_deg": ra, "dec_deg": dec, "r50": zero, "n": zero + np.nan, "q": zero + 1, "pa": zero}
    columns |= {"grey": zero, "saturated": zero} | given
    for index, band in enumerate(options.bands):
        colour = beta * np.log10(BANDS[band].wavelength_um / _PIVOT_UM)
        dimming = 0.4 * scatter[index] if scatter is not None else 0.0
        columns[band] = 10 ** (0.4 * (23.9 - mag) + colour + dimming)
    return columns


def _magnitudes(
    rng: Generator, size: int, bright: float, faint: float, *, knee: float, slopes: tuple[float, float]
) -> Floats:
    """Draw magnitudes from a broken exponential number-count law by inverting its tabulated integral."""
    grid = np.linspace(bright, faint, 2001)
    slope = np.where(grid < knee, slopes[0], slopes[1])
    total = np.cumsum(10 ** (slope * (grid - knee)))
    return np.interp(rng.uniform(0, 1, size), (total - total[0]) / (total[-1] - total[0]), grid)


def _places(
    rng: Generator, options: SkyOptions, fields: tuple[SkyField, ...], per_arcmin2: float
) -> tuple[Floats, Floats]:
    """Draw uniform positions (ra, dec) over a rectangle that holds both grids."""
    first, second = (field.short for field in fields)
    frame = tangent_wcs(first.ra_deg, first.dec_deg, first.focal_roll_deg, 1.0)
    _, south = frame.all_world2pix(second.ra_deg, second.dec_deg, 0)
    # a grid is turned against the focal plane by a few deg: 4 % covers its corners
    half = 0.54 * options.size_arcsec + _MARGIN_ARCSEC
    u_range, v_range = (-half, half), (float(south) - half, half)
    area_arcmin2 = np.ptp(u_range) * np.ptp(v_range) / 3600
    size = round(per_arcmin2 * area_arcmin2)
    ra, dec = frame.all_pix2world(rng.uniform(*u_range, size), rng.uniform(*v_range, size), 0)
    return np.asarray(ra), np.asarray(dec)


def _inner_places(
    rng: Generator,
    options: SkyOptions,
    fields: tuple[SkyField, ...],
    wanted: int,
    *,
    ring_arcsec: float,
    apart: float = 8.0,
    others: Columns | None = None,
) -> tuple[Floats, Floats]:
    """Draw positions in each field that are fully covered in a ring around them and apart from each other.

    Fewer than wanted come back where a field is too small for them.
    """
    found = [] if others is None else list(zip(others["ra_deg"], others["dec_deg"], strict=True))
    known = len(found)
    for field in fields:
        reach = 0.5 * options.size_arcsec - ring_arcsec
        frame = tangent_wcs(field.short.ra_deg, field.short.dec_deg, field.short.focal_roll_deg, 1.0)
        tries = frame.all_pix2world(rng.uniform(-reach, reach, (_TRIES, 2)), 0)
        good = tries[_covered(field, tries, ring_arcsec)]
        target = len(found) + wanted
        for place in good:
            if len(found) == target:
                break
            if not found or _separation(place, np.array(found)).min() > apart:
                found.append((float(place[0]), float(place[1])))
    places = np.array(found[known:]).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def _covered(field: SkyField, places: Floats, ring_arcsec: float) -> NDArray[np.bool_]:
    """Whether a ring of 12 points and the centre are exposed in every band, for places (N, 2) in deg."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    good = _exposures(field, places[:, 0], places[:, 1]) > 0
    for radius in (ring_arcsec / 2, ring_arcsec):
        dec = places[:, 1, None] + radius / 3600 * np.sin(angles)
        ra = places[:, 0, None] + radius / 3600 * np.cos(angles) / np.cos(np.deg2rad(dec))
        good &= (_exposures(field, ra, dec) > 0).all(axis=1)
    return np.asarray(good)


def _exposures(field: SkyField, ra: Floats, dec: Floats) -> NDArray[np.int32]:
    """Return the smaller of both channels' exposure counts."""
    return np.minimum(field.short.exposures_at(ra, dec), field.long.exposures_at(ra, dec))


def _separation(place: Floats, others: Floats) -> Floats:
    """Angles between one place (ra, dec) and others (N, 2), all deg; arcsec, for small angles."""
    d_ra = (others[:, 0] - place[0] + 180) % 360 - 180
    return np.asarray(3600 * np.hypot(d_ra * np.cos(np.deg2rad(place[1])), others[:, 1] - place[1]))


def _clear_of(group: Columns, others: Columns, radius_arcsec: float) -> NDArray[np.bool_]:
    """Whether each source of a group is further than the radius from all others."""
    clear = np.ones(group["ra_deg"].size, dtype=bool)
    places = np.column_stack([group["ra_deg"], group["dec_deg"]])
    for ra, dec in zip(others["ra_deg"], others["dec_deg"], strict=True):
        clear &= _separation(np.array([ra, dec]), places) > radius_arcsec
    return clear


def _kept(group: Columns, keep: NDArray[np.bool_]) -> Columns:
    return {name: values[keep] for name, values in group.items()}
