"""What MAST lists of a synthetic sky: its observations and products, as rows.

Pure: a sky's mosaics in, rows out, the same rows for the same sky. Around each mosaic stand the rows that a real answer
holds too: side products, exposures of levels 1 and 2, a file listed under several parents, and whole observations
that a survey has to drop (not public, another instrument, a subarray, an exposure, another programme). How the rows
travel is in `mast_protocol`; the pixels are in the rooms beside.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gzjwst_core.sky.build import SkyMosaic
from gzjwst_core.sky.mast_columns import Row

__all__ = ["EXCLUSIVE", "Listing", "build_listing"]

MINIMUM = "Minimum Recommended Products"
PUBLIC, EXCLUSIVE = "PUBLIC", "EXCLUSIVE_ACCESS"
DITHERS = 4
_FIRST_OBSID, _FIRST_MEMBER = 98_010_000, 98_100_000

# suffix, productType, group, description, size in bytes of the stand-in that is served
_SIDE_PRODUCTS = (
    ("_cat.ecsv", "SCIENCE", MINIMUM, "Level3 source catalog", 3_695),
    ("_segm.fits", "SCIENCE", MINIMUM, "Level3 source segmentation map", 5_760),
    ("_i2d.jpg", "PREVIEW", None, "Preview-Full", 1_629),
    ("_i2d_thumb.jpg", "THUMBNAIL", None, "Preview-Thumb", 408),
    ("_asn.json", "INFO", None, "Level3 association", 977),
)
# suffix, calib_level, productType, description
_EXPOSURE_PRODUCTS = (
    ("_uncal.fits", 1, "SCIENCE", "exposure/target (L1b): Uncalibrated 4D exposure data"),
    ("_rate.fits", 2, "SCIENCE", "exposure (L2a): 2D count rate averaged over integrations"),
    ("_cal.fits", 2, "SCIENCE", "exposure/target (L2b): 2D calibrated data"),
    ("_i2d.fits", 2, "SCIENCE", "exposure/target (L2b): 2D rectified data"),
)


@dataclass(frozen=True)
class Listing:
    """All rows of the stand-in for MAST, and which of the files it can hand out."""

    observations: tuple[Row, ...]
    products: tuple[Row, ...]
    files: Mapping[str, str | None]
    """URI of a mosaic -> its path in the sky's folder, or None where no archive holds it. Any other listed URI is a
    stand-in, made of `size` bytes when asked for."""

    @cached_property
    def by_uri(self) -> Mapping[str, Row]:
        """First product row of each URI."""
        return {str(row["dataURI"]): row for row in reversed(self.products)}

    @cached_property
    def by_parent(self) -> Mapping[str, tuple[Row, ...]]:
        """Product rows of each observation, by its obsid as text."""
        rows: dict[str, list[Row]] = {}
        for row in self.products:
            rows.setdefault(str(row["parent_obsid"]), []).append(row)
        return {obsid: tuple(of) for obsid, of in rows.items()}


@dataclass(frozen=True)
class _Observation:
    """One observation, before it is spelled out as rows."""

    obsid: int
    obs_id: str
    filename: str
    uri: str
    band: str
    proposal: int
    s_region: str
    size: int = 20_160
    collection: str = "JWST"
    instrument: str = "NIRCAM/IMAGE"
    rights: str = PUBLIC
    level: int = 3

    @property
    def provenance(self) -> str:
        return "CALJWST" if self.collection == "JWST" else self.obs_id.split("_")[1].upper()


def build_listing(mosaics: Sequence[SkyMosaic], *, proposal: int = 9801, missing: Iterable[str] = ()) -> Listing:
    """List a sky as MAST would.

    Parameters
    ----------
    mosaics
        The sky's mosaics. A `.fits.gz` of the observatory's own collection is DataLabs' copy: MAST lists, and hands
        out, the plain file.
    proposal
        Programme of all observations.
    missing
        Bands that MAST lists for the first field but that no archive holds.

    Returns
    -------
    Listing
        Rows of both tables, with all columns of `mast_columns`.
    """
    sky = [_observation(_FIRST_OBSID + i, mosaic, proposal) for i, mosaic in enumerate(mosaics, start=1)]
    lost = [_sibling(_pattern(sky), 500 + i, band) for i, band in enumerate(missing)]
    extras = list(_extras(_pattern(sky))) if sky else []
    observations = [*sky, *lost, *extras]
    files: dict[str, str | None] = {o.uri: m.path for o, m in zip(sky, mosaics, strict=True)}
    return Listing(
        tuple(_observation_row(o) for o in observations),
        tuple(row for o in observations for row in _product_rows(o)),
        files | {o.uri: None for o in lost},
    )


def _observation(obsid: int, mosaic: SkyMosaic, proposal: int) -> _Observation:
    observatory = mosaic.collection == "JWST"
    return _Observation(
        obsid=obsid,
        obs_id=mosaic.obs_id,
        filename=mosaic.filename,
        uri=mosaic.uri,
        band=mosaic.band,
        proposal=proposal,
        s_region=mosaic.s_region,
        size=mosaic.plain_size if observatory else mosaic.size,
        collection=mosaic.collection,
        level=3 if observatory else 4,
    )


def _pattern(sky: Sequence[_Observation]) -> _Observation:
    """Return the observation that made-up ones are modelled on: the first of the observatory's own, if any."""
    return next((o for o in sky if o.collection == "JWST"), sky[0])


def _sibling(pattern: _Observation, offset: int, band: str, **changes: Any) -> _Observation:
    """Return another observation at the same place: other band, own number and names."""
    stem = pattern.obs_id.replace(pattern.band.lower(), band.lower())
    return _named(replace(pattern, obsid=_FIRST_OBSID + offset, band=band, size=20_160, **changes), stem)


def _named(observation: _Observation, obs_id: str) -> _Observation:
    filename = f"{obs_id}_i2d.fits"
    return replace(observation, obs_id=obs_id, filename=filename, uri=f"mast:JWST/product/{filename}")


def _extras(pattern: _Observation) -> Iterator[_Observation]:
    """Make up the observations that a survey of these mosaics has to drop or to see through."""
    stem = f"jw{pattern.proposal:05d}"
    yield replace(pattern, obsid=_FIRST_OBSID + 600)  # ingested twice: one file, two parents
    exclusive = _sibling(pattern, 601, "F444W", rights=EXCLUSIVE)
    yield _named(exclusive, f"{stem}-o003_t003_nircam_clear-f444w")
    miri = _sibling(pattern, 602, "F770W", instrument="MIRI/IMAGE")
    yield _named(miri, f"{stem}-o001_t001_miri_f770w")
    yield _named(_sibling(pattern, 603, "F150W"), f"{stem}-o001_t001_nircam_clear-f150w-sub160")
    exposure = _sibling(pattern, 604, pattern.band, level=2)
    yield _named(exposure, f"{stem}001001_02101_00001_nrca1")
    other = _sibling(pattern, 605, "F444W", proposal=pattern.proposal + 1)
    yield _named(other, f"jw{other.proposal:05d}-o001_t001_nircam_clear-f444w")


def _observation_row(o: _Observation) -> Row:
    ra_deg, dec_deg = _centre(o.s_region)
    short_nm, long_nm = _wavelengths(o.band)
    start_mjd = 60_000.0 + (o.obsid - _FIRST_OBSID) * 0.25
    return {
        "intentType": "science",
        "obs_collection": o.collection,
        "provenance_name": o.provenance,
        "instrument_name": o.instrument,
        "project": "JWST" if o.collection == "JWST" else o.provenance,
        "filters": o.band,
        "wavelength_region": "INFRARED",
        "target_name": "GZ-DEMO-FIELD",
        "target_classification": "Galaxy; Field galaxies",
        "obs_id": o.obs_id,
        "s_ra": ra_deg,
        "s_dec": dec_deg,
        "dataproduct_type": "image",
        "proposal_pi": "Synthetic, Sky",
        "calib_level": o.level,
        "t_min": start_mjd,
        "t_max": start_mjd + 0.125,
        "t_exptime": 6184.128,
        "em_min": short_nm,
        "em_max": long_nm,
        "obs_title": "A synthetic sky for Galaxy Zoo JWST",
        "t_obs_release": start_mjd + 0.5,
        "proposal_id": str(o.proposal),
        "proposal_type": "GO",
        "sequence_number": None,
        "s_region": o.s_region,
        "jpegURL": f"mast:{o.collection}/product/{o.obs_id}_i2d.jpg",
        "dataURL": o.uri,
        "dataRights": o.rights,
        "mtFlag": False,
        "srcDen": None,
        "obsid": o.obsid,
        "objID": o.obsid + 500_000_000,
    }


def _centre(s_region: str) -> tuple[float, float]:
    """Return the mean of a polygon's corners, RA and Dec in degrees (small fields away from RA 0)."""
    numbers = [float(word) for word in re.findall(r"(?<![\w.])[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?", s_region)]
    ra, dec = numbers[0::2] or [0.0], numbers[1::2] or [0.0]
    return sum(ra) / len(ra), sum(dec) / len(dec)


def _wavelengths(band: str) -> tuple[float, float]:
    """Return the edges of a wide band in nm: named by its centre in 10 nm, about a quarter as wide."""
    centre_nm = 10.0 * int(band[1:4])
    return round(0.88 * centre_nm, 3), round(1.12 * centre_nm, 3)


def _product_rows(o: _Observation) -> Iterator[Row]:
    described = "rectified 2D image" if o.level >= 3 else _EXPOSURE_PRODUCTS[-1][-1]
    yield _product_row(o, o.filename, o.uri, o.size, productType="SCIENCE", description=described, group=MINIMUM)
    if o.collection != "JWST":
        return
    if o.level >= 3:
        yield from _side_rows(o)
        yield from _member_rows(o)
        pool = f"jw{o.proposal:05d}_20260101t000000_pool.csv"
        yield _made_row(o, pool, 512, productType="INFO", description="Association pool", group=None)


def _side_rows(o: _Observation) -> Iterator[Row]:
    for suffix, kind, group, description, size in _SIDE_PRODUCTS:
        yield _made_row(o, o.obs_id + suffix, size, productType=kind, description=description, group=group)


def _member_rows(o: _Observation) -> Iterator[Row]:
    """Rows of the exposures that went into a level-3 mosaic: their own obsID, the mosaic's as parent."""
    for number, member in enumerate(_members(o)):
        obsid = _FIRST_MEMBER + (o.obsid - _FIRST_OBSID) * 100 + number
        for suffix, level, kind, description in _EXPOSURE_PRODUCTS:
            own: Row = {"obsID": obsid, "obs_id": member, "calib_level": level, "type": "S"}
            group = MINIMUM if suffix == "_cal.fits" else None
            row = _made_row(o, member + suffix, 2_880, productType=kind, description=description, group=group)
            yield {**row, **own}


def _members(o: _Observation) -> Iterator[str]:
    """Names of the exposures: visit, activity (one a band), dither, detector."""
    visit = re.search(r"-[oc](\d+)_", o.obs_id)
    number = int(visit[1]) % 1000 if visit else 0
    detectors = ("nrca1", "nrcb1") if int(o.band[1:4]) < 240 else ("nrcalong", "nrcblong")
    for dither in range(1, DITHERS + 1):
        for detector in ("mirimage",) if o.instrument.startswith("MIRI") else detectors:
            yield f"jw{o.proposal:05d}{number:03d}001_{o.band[1:4]}01_{dither:05d}_{detector}"


def _made_row(o: _Observation, filename: str, size: int, **words: str | None) -> Row:
    return _product_row(o, filename, f"mast:JWST/product/{filename}", size, **words)


def _product_row(
    o: _Observation, filename: str, uri: str, size: int, *, group: str | None = None, **words: str | None
) -> Row:
    stem = filename.removesuffix(".gz").rsplit(".", 1)[0]
    return {
        "obsID": o.obsid,
        "obs_collection": o.collection,
        "dataproduct_type": "image",
        "obs_id": o.obs_id,
        "type": "D",
        "dataURI": uri,
        "productGroupDescription": group,
        "productSubGroupDescription": stem.rsplit("_", 1)[-1].upper(),
        "productDocumentationURL": None,
        "project": o.provenance,
        "prvversion": "1.19.1" if o.collection == "JWST" else None,
        "proposal_id": str(o.proposal),
        "productFilename": filename,
        "size": size,
        "parent_obsid": o.obsid,
        "dataRights": o.rights,
        "calib_level": o.level,
        "filters": o.band,
        **words,
    }
