"""A hand-made sky of five small files that are no images: enough for what the archive serves, made in milliseconds."""

import gzip
import random
from pathlib import Path

from gzjwst_core.sky.build import SkyMosaic
from gzjwst_core.sky.listing import Listing, build_listing

REGION = "POLYGON ICRS 150.10 2.20 150.12 2.20 150.12 2.22 150.10 2.22 150.10 2.20"
KEY_ROOT = "jwst/public/jw09801/L3/t/o001"


def content(name: str, size: int) -> bytes:
    return random.Random(name).randbytes(size)


def name_of(band: str) -> str:
    return f"jw09801-o001_t001_nircam_clear-{band.lower()}_i2d.fits"


def _mosaic(folder: Path, band: str, path: str, size: int) -> SkyMosaic:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    plain = content(file.name.removesuffix(".gz"), size)
    file.write_bytes(gzip.compress(plain, mtime=0) if file.suffix == ".gz" else plain)
    hlsp = file.name.startswith("hlsp")
    stem = "mast:HLSP/gzdemo/" if hlsp else "mast:JWST/product/"
    return SkyMosaic(
        field="south" if hlsp else "o001_t001",
        archive="mast" if hlsp else "datalabs" if file.suffix == ".gz" else "s3",
        s_region=REGION,
        obs_id=file.name.split("_i2d")[0],
        filename=file.name if hlsp else name_of(band),
        collection="HLSP" if hlsp else "JWST",
        band=band,
        path=path,
        size=file.stat().st_size,
        plain_size=size,
        uri=stem + (file.name if hlsp else name_of(band)),
    )


def make_folder(folder: Path) -> tuple[SkyMosaic, ...]:
    """One mosaic in DataLabs, three in the bucket (one longer than a chunk, one empty), one HLSP at MAST."""
    bucket = f"bucket/stpubdata/{KEY_ROOT}"
    return (
        _mosaic(folder, "F115W", f"datalabs/jw09801/{name_of('F115W')}.gz", 300_007),
        _mosaic(folder, "F150W", f"{bucket}/{name_of('F150W')}", 700_001),
        _mosaic(folder, "F277W", f"{bucket}/{name_of('F277W')}", 5_000),
        _mosaic(folder, "F444W", f"{bucket}/{name_of('F444W')}", 0),
        _mosaic(folder, "F444W", "mast/hlsp_gzdemo_jwst_nircam_gzdemo2_f444w_v1.0_i2d.fits.gz", 40_000),
    )


def make_listing(folder: Path) -> Listing:
    return build_listing(make_folder(folder), proposal=9801, missing=("F356W",))
