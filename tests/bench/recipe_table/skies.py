"""Cutouts that recipes are compared on: galaxies of a synthetic sky, the same ones in two pointings, one star anywhere.

Mosaics, catalog, segments, pins and cutouts are made by the core as in a survey. Into the scene of `draw_scene` four
stars of one colour and brightness are set: alone, beside a saturated star, beside a bright galaxy, beside a gap.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Row, Table, vstack
from numpy.typing import NDArray

from gzjwst_core.cutouts.extract import Target
from gzjwst_core.cutouts.fits import Cutter, Provenance, make_cutout
from gzjwst_core.cutouts.fov import fov_arcsec
from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.images.pins import propose_pins
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import CutoutOptions, ImageOptions, MosaicOptions
from gzjwst_core.photometry.field_catalog import build_field_catalog
from gzjwst_core.sky.fields import SkyField, sky_fields
from gzjwst_core.sky.geometry import FieldGeometry
from gzjwst_core.sky.mosaics import mosaic_hdus
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.render import BandImage, render_band
from gzjwst_core.sky.scene import draw_scene
from tests.catalog.tiny_sky import recommended, source_of

__all__ = ["BANDS", "Views", "make_views"]

BANDS = ("F115W", "F150W", "F277W", "F444W")
CONTEXTS = ("alone", "bright star", "bright galaxy", "gap")
STAR_FOVS = (2.0, 4.0, 8.0)

_MAGS = 19.5, 25.5
_STAR_MAG, _SATURATED_MAG, _GALAXY_MAG = 22.5, 16.5, 20.0
_SLOPE = -1.3
_APART, _CLEAR = 11.0, 5.0
_BESIDE = {"bright star": 2.5, "bright galaxy": 2.0}
_GAP_FROM, _GAP_TO = 0.6, 1.6
_PAIR_MAG = 25.0
_SAME_MAG = 0.75


@dataclass(frozen=True)
class Views:
    """All that one sky gives."""

    options: ImageOptions
    """With the pins that its survey would have."""
    galaxies: list[Cutout]
    """F277W AB 19.5-25.5, detected, from both pointings; one that both see is there once."""
    stars: list[tuple[str, Cutout]]
    """The star in every context and field of view."""
    pairs: list[tuple[Cutout, Cutout]]
    """The same galaxy in both pointings, with the same field of view."""


@dataclass(frozen=True)
class _Pointing:
    name: str
    cutter: Cutter
    catalog: Table
    mosaics: Table

    def cut(self, row: Row, fov: float) -> Cutout:
        """Cut a row of the catalog out."""
        name = f"bench_{self.name}-{row['segment_id']}"
        place = float(row["ra"]), float(row["dec"])
        data = make_cutout(Target(name, self.name, *place, fov, int(row["segment_id"])), self.cutter)
        if data is None:
            raise SystemExit(f"{name} is off its own mosaics")
        return read_cutout(data)


def make_views(folder: Path, seed: int) -> Views:
    """Make a sky of one seed, and everything that is looked at in it."""
    options = SkyOptions(seed=seed, bands=BANDS, missing=(), bright_stars=1, overlap_fraction=0.5)
    scene, places = _with_stars(draw_scene(options), sky_fields(options)[0])
    with ExitStack() as stack:
        pointings = [
            _pointing(folder, scene, field, stack, seed=seed, gap=places["gap"] if field.number == 1 else None)
            for field in sky_fields(options)
        ]
        chosen = vstack([one.catalog for one in pointings], metadata_conflicts="silent")
        mosaics = vstack([one.mosaics for one in pointings], metadata_conflicts="silent")
        chosen = chosen[np.asarray(chosen["mag_ref"]) < _MAGS[1]]
        sigma, gain = propose_pins(mosaics, chosen, ImageOptions())
        galaxies, pairs = _galaxies(scene, pointings)
        return Views(ImageOptions(sigma=sigma, gain=gain), galaxies, list(_stars(pointings[0], places)), pairs)


def _with_stars(scene: Table, field: SkyField) -> tuple[Table, dict[str, tuple[float, float]]]:
    """Clear four places and set the star there, with its neighbours."""
    saturated = scene[np.asarray(scene["saturated"])]
    spots = list(_spots(field.short, saturated))
    places = dict(zip(CONTEXTS, spots, strict=True))
    there = SkyCoord(scene["ra_deg"], scene["dec_deg"], unit="deg")
    clear = np.ones(len(scene), dtype=bool)
    for ra, dec in spots:
        clear &= there.separation(SkyCoord(ra, dec, unit="deg")).arcsec > _CLEAR
    new = [_source(scene, place, _STAR_MAG, _SLOPE) for place in spots]
    beside = {name: _moved(places[name], apart) for name, apart in _BESIDE.items()}
    new.append(_source(scene, beside["bright star"], _SATURATED_MAG, _SLOPE, saturated=True))
    new.append(_source(scene, beside["bright galaxy"], _GALAXY_MAG, 0.5, kind="galaxy", r50=0.45, n=1.0, q=0.7))
    return vstack([scene[clear], *new], metadata_conflicts="silent"), places


def _spots(grid: FieldGeometry, saturated: Table) -> Iterator[tuple[float, float]]:
    """Places with full data around them, apart from each other and from saturated stars."""
    covered = grid.contribution_map() > 0
    reach = round(_CLEAR / grid.pixel_scale_arcsec)
    found: list[SkyCoord] = []
    bright = SkyCoord(saturated["ra_deg"], saturated["dec_deg"], unit="deg")
    for y in range(reach, grid.shape[0] - reach, reach // 2):
        for x in range(reach, grid.shape[1] - reach, reach // 2):
            whole = covered[y - reach : y + reach, x - reach : x + reach].all()
            here = SkyCoord(*grid.wcs.all_pix2world(x + 0.3, y - 0.2, 0), unit="deg")
            far = whole and (here.separation(bright).arcsec > _APART).all()
            if far and all(here.separation(other).arcsec > _APART for other in found):
                found.append(here)
                yield float(here.ra.deg), float(here.dec.deg)
                if len(found) == len(CONTEXTS):
                    return
    raise SystemExit("this sky has no room for four stars: take another seed")


def _moved(place: tuple[float, float], north_arcsec: float) -> tuple[float, float]:
    return place[0], place[1] + north_arcsec / 3600


def _source(scene: Table, place: tuple[float, float], mag: float, slope: float, **more: Any) -> Table:
    """Make one row of the scene; `slope` of f_nu over wavelength."""
    row = scene[:1].copy()
    row["ra_deg"], row["dec_deg"], row["kind"] = place[0], place[1], more.get("kind", "star").ljust(6)
    row["r50_arcsec"], row["sersic_n"] = more.get("r50", 0.0), more.get("n", np.nan)
    row["axis_ratio"], row["pa_deg"] = more.get("q", 1.0), 30.0
    row["grey"], row["saturated"] = False, more.get("saturated", False)
    for band in BANDS:
        flux = 10 ** (0.4 * (23.9 - mag)) * (int(band[1:4]) / 277) ** slope
        row[f"flux_{band}_ujy"], row[f"mag_{band}"] = flux, 23.9 - 2.5 * np.log10(flux)
    row["kind"] = more.get("kind", "star")
    return row


def _pointing(
    folder: Path, scene: Table, field: SkyField, stack: ExitStack, *, seed: int, gap: tuple[float, float] | None
) -> _Pointing:
    sources = []
    for number, band in enumerate(BANDS):
        image = render_band(scene, field.geometry(band), band, seed=[seed, field.number, number])
        image = image if gap is None else _with_gap(image, gap)
        path = folder / f"{seed}-{field.key}-{band}.fits"
        mosaic_hdus(field, band, image).writeto(path)
        sources.append(source_of(path, band, field_name=field.key))
    segmap = folder / f"{seed}-{field.key}-seg.fits"
    made = build_field_catalog(sources, recommended(), segmap, bands=BANDS)
    readers = {source.band: stack.enter_context(open_mosaic(source, MosaicOptions())) for source in sources}
    sigma = {str(row["band"]): float(row["sigma"]) for row in made.mosaics}
    options, provenance = CutoutOptions(), Provenance("bench", "0", "bench")
    cutter = Cutter(
        readers, made.reference_band, options, provenance, stack.enter_context(open_segmap(segmap)), sigma=sigma
    )
    return _Pointing(field.key, cutter, made.table, made.mosaics)


def _with_gap(image: BandImage, place: tuple[float, float]) -> BandImage:
    """Take the data of a strip to the west of a place away."""
    y, x = np.indices(image.sci.shape)
    x0, y0 = image.wcs.all_world2pix(*place, 0)
    scale = 3600 * np.sqrt(abs(np.linalg.det(image.wcs.pixel_scale_matrix)))
    strip = ((x - x0) * scale > _GAP_FROM) & ((x - x0) * scale < _GAP_TO) & (np.abs(y - y0) * scale < _CLEAR)
    planes: dict[str, NDArray[Any]] = {name: getattr(image, name).copy() for name in ("sci", "err", "wht", "con")}
    planes["sci"][strip] = planes["err"][strip] = np.nan
    planes["wht"][strip] = 0
    planes["con"][:, strip] = 0
    return replace(image, **planes)


def _found(place: SkyCoord, catalog: Table, within: float = 0.2) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    row, apart, _ = place.match_to_catalog_sky(SkyCoord(catalog["ra"], catalog["dec"], unit="deg"))
    return np.atleast_1d(row), np.atleast_1d(apart.arcsec < within)


def _stars(pointing: _Pointing, places: dict[str, tuple[float, float]]) -> Iterator[tuple[str, Cutout]]:
    for context, (ra, dec) in places.items():
        row, good = _found(SkyCoord([ra], [dec], unit="deg"), pointing.catalog)
        if not good[0]:
            raise SystemExit(f"the star of {context!r} was not detected")
        for fov in STAR_FOVS:
            yield context, pointing.cut(pointing.catalog[row[0]], fov)


def _galaxies(scene: Table, pointings: list[_Pointing]) -> tuple[list[Cutout], list[tuple[Cutout, Cutout]]]:
    mag = np.asarray(scene["mag_F277W"])
    wanted = scene[(scene["kind"] == "galaxy") & (mag > _MAGS[0]) & (mag < _MAGS[1])]
    place = SkyCoord(wanted["ra_deg"], wanted["dec_deg"], unit="deg")
    found = [_found(place, one.catalog) for one in pointings]
    galaxies, pairs = [], []
    for number, truth in enumerate(wanted):
        rows = [
            (one, one.catalog[row[number]])
            for one, (row, good) in zip(pointings, found, strict=True)
            if good[number] and abs(one.catalog["mag_ref"][row[number]] - truth["mag_F277W"]) < _SAME_MAG
        ]
        if not rows:
            continue
        fov = max(float(fov_arcsec(Table(row), CutoutOptions())[0]) for _, row in rows)
        cutouts = [one.cut(row, fov) for one, row in rows]
        galaxies.append(cutouts[0])
        if len(rows) == 2 and truth["mag_F277W"] < _PAIR_MAG:
            pairs.append((cutouts[0], cutouts[1]))
    return galaxies, pairs
