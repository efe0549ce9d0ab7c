"""A report of as many galaxies as wanted, none ever observed: names, numbers and links to a few pictures."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from PIL import Image

from gzjwst_core.flag_bits import Flag
from gzjwst_core.images.record import ImageRecord
from gzjwst_core.names import file_stem, id_str
from gzjwst_core.report.explorer import embedded_names
from gzjwst_core.report.facts import FailedImage, Galaxies, ReportFacts
from gzjwst_core.report.galaxies import DETAILS, band_details, listed, measure_names
from gzjwst_core.report.report import report_html
from gzjwst_core.report.sheets import thumbnail
from gzjwst_core.runs.record import RunRecord
from gzjwst_core.zoobot.rows import join_rows

BANDS = ("F115W", "F150W", "F277W", "F444W")
LINK = "https://viewer.example/?target={ra:.6f}%20{dec:+.6f}&fov=0.02"
PICTURES = 12

_RECORD = RunRecord(survey="many", run_id="r", started="", ended="", seconds=1.0, outcome="done", exit_code=0)


def many_galaxies(folder: Path, count: int) -> Galaxies:
    """Write the page of so many galaxies and return what it lists; every tenth has no strip of its bands."""
    pictures = [_picture(n) for n in range(PICTURES)]
    catalog = _catalog(count)
    records = [_record(str(name), str(field), n) for n, (name, field) in enumerate(catalog["id_str", "field"])]
    for n, data in enumerate(pictures):
        (folder / f"picture{n}.jpg").write_bytes(data)
    for n, record in enumerate(records):
        for path in filter(None, (record.image, record.strip)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(folder / f"picture{n % PICTURES}.jpg")
    quality = _quality(catalog)
    rows = listed(join_rows(catalog, records), catalog, quality, BANDS, count)
    made = Galaxies(rows, count, tuple(measure_names(quality, rows)), bands=BANDS, link=LINK)
    made = replace(made, small=dict.fromkeys(embedded_names(made), thumbnail(pictures[0])))
    bad = rows[np.asarray(rows["verdict"]) == "fail"][:20]
    failed = tuple(FailedImage(str(row["id_str"]), str(row["image"]), str(row["reasons"])) for row in bad)
    facts = ReportFacts(record=_RECORD, bands=BANDS, galaxies=made, image_measures=quality, failed_images=failed)
    (folder / "report.html").write_text(report_html(facts))
    return made


def _catalog(count: int) -> Table:
    rng = np.random.default_rng(11)
    ra, dec = 150 + np.arange(count) * 4e-5, 2 + rng.uniform(-0.5, 0.5, count)
    catalog = Table({"id_str": [id_str("many", a, d) for a, d in zip(ra, dec, strict=True)], "ra": ra, "dec": dec})
    for one in (*DETAILS, *band_details(BANDS)):
        catalog[one.name] = rng.uniform(1, 30, count).astype("float32")
    catalog["group_id"] = np.arange(count) + 200_048_020_424_049_985
    catalog["field"] = np.array(["north", "south", "east <west>"])[rng.integers(0, 3, count)]
    catalog["mag_ref"] = np.where(np.arange(count) % 97 == 5, np.nan, rng.uniform(18, 27, count)).astype("float32")
    catalog["r50"] = rng.uniform(0.05, 1.5, count).astype("float32")
    bits = np.array([0, Flag.EDGE, Flag.BLENDED, Flag.BLENDED | Flag.CROWDED], dtype="uint32")
    catalog["flags"] = bits[rng.integers(0, 4, count)]
    catalog["ext_id"] = [f"x{n}" if n % 50 == 0 else "" for n in range(count)]
    return catalog


def _quality(catalog: Table) -> Table:
    rng = np.random.default_rng(12)
    count = len(catalog)
    verdict = np.array(["pass", "pass", "pass", "warn", "fail"])[rng.integers(0, 5, count)]
    table = Table({"id_str": catalog["id_str"], "verdict": verdict})
    table["reasons"] = np.where(verdict == "pass", "", "fill is out of its range")
    for name, high in (("black", 0.1), ("white", 0.1), ("sky_median", 60), ("sky_chroma", 6), ("fill", 1)):
        table[name] = rng.uniform(0, high, count)
    return table


def _record(name: str, field: str, n: int) -> ImageRecord:
    folder, stem = ("odd" if "<" in field else field), file_stem(name)
    return ImageRecord(
        id_str=name,
        image=f"images/{folder}/{stem}.jpg",
        cutout=f"cutouts/{folder}/{stem}.fits",
        strip="" if n % 10 == 0 else f"strips/{folder}/{stem}.jpg",
        strip_bands="" if n % 10 == 0 else ",".join(BANDS),
        size_bytes=40_000 + n,
        fov_arcsec=1.9 + n % 7,
        pixscale_arcsec=0.01,
        coverage_min=1.0,
        filters_rgb="R=F444W G=F277W B=F150W+F115W",
        recipe="asinh",
        recipe_digest="abc123",
    )


def _picture(n: int) -> bytes:
    """A blob on a noisy sky, a colour for each."""
    y, x = np.mgrid[:424, :424] - 212.0
    blob = 220 * np.exp(-(x**2 + (1 + n / 4) * y**2) / 5000)
    colour = np.array([1.0, 0.4 + 0.05 * n, 1.1 - 0.08 * n])
    sky = np.random.default_rng(n).normal(30, 6, (424, 424, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(sky + blob[..., None] * colour, 0, 255).astype(np.uint8)).save(
        out, format="JPEG", quality=92
    )
    return out.getvalue()
