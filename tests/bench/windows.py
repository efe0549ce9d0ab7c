"""Cutouts of a mosaic in a bucket that is far away: `python tests/bench/windows.py [--repeats 3] [--side 10000]`.

A real S3 server (SeaweedFS) behind a proxy of 50 ms a request and 80 MB/s a connection, and a mosaic with a science
plane of 400 MB. Ours is `fetch_rows`, everything in it: the bucket is asked where the mosaic is, headers and rows come
into the cache, cutouts are read from there. Beside it astropy's own way, `fits.open(..., use_fsspec=True)` and
`.section`, sorted by row and in the catalog's order. All in one run, in turns; each begins with no connection open.
What eight plain sockets need for the whole plane says what this machine can do at all: server, proxy and client share
its processors.
"""

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gzjwst_core.transport.s3_client  # noqa: F401 - imports are not what is measured
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.s3 import S3, bucket_key
from gzjwst_core.cache.fetch_rows import fetch_rows
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.rows import Places
from gzjwst_core.options import ArchiveOptions
from tests.bench.slow_proxy import Counts, SlowProxy, slow_proxy
from tests.sky.test_s3_contract import BUCKET, _seaweedfs, opened

SCALE_ARCSEC = 0.03
CUTOUT_PX = 200
LATENCY_S, MB_S = 0.05, 80.0
OBS = "jw09801-o001_t001_nircam_clear-f444w"
MOSAIC = Mosaic(
    field="jw09801-o001_t001",
    band="F444W",
    obs_id=OBS,
    product_uri=f"mast:JWST/product/{OBS}_i2d.fits",
    filename=f"{OBS}_i2d.fits",
    size=0,
)

Cutouts = list[NDArray[np.float32]]
Corners = list[tuple[int, int]]


class Bench(NamedTuple):
    """What every way is measured on."""

    proxy: SlowProxy
    wcs: WCS
    plane_bytes: int


class Measured(NamedTuple):
    """One run of one way."""

    wall_s: float
    cpu_s: float
    counts: Counts


def main() -> None:
    """Measure every way, and print one table."""
    asked = _asked()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder, _bench(Path(folder), asked.side) as bench:
        rng = np.random.default_rng(7)
        for count in (100, 10):
            corners = [(int(y), int(x)) for y, x in rng.integers(0, asked.side - CUTOUT_PX, (count, 2))]
            _table(bench, count, _run(bench, corners, Path(folder), asked.repeats, unsorted=count == 100))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of each way; of the slowest one")
    parser.add_argument("--side", type=int, default=10_000, help="of the science plane, in pixels")
    parser.add_argument("--scratch", type=Path, help="where the server and the cache keep their files")
    return parser.parse_args()


@contextmanager
def _bench(folder: Path, side: int) -> Iterator[Bench]:
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    wcs = _wcs(side)
    path = _write_mosaic(folder / MOSAIC.filename, side, wcs)
    (folder / "weed").mkdir()
    with _seaweedfs(folder / "weed") as url:
        _upload(url, path)
        path.unlink()
        with slow_proxy(urlsplit(url).port or 0, latency_s=LATENCY_S, mb_s=MB_S) as proxy:
            yield Bench(proxy, wcs, side * side * 4)


def _wcs(side: int) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.1, 2.2]
    wcs.wcs.crpix = [side / 2, side / 2]
    wcs.wcs.cdelt = [-SCALE_ARCSEC / 3600, SCALE_ARCSEC / 3600]
    return wcs


def _write_mosaic(path: Path, side: int, wcs: WCS) -> Path:
    """Write a mosaic block by block; every pixel tells where it is."""
    noise = np.random.default_rng(1).normal(size=side + 97).astype(np.float32)
    with path.open("wb") as file:
        file.write(str(fits.PrimaryHDU().header.tostring()).encode())
        file.write(_image_header(wcs.to_header(), side))
        for y in range(side):
            file.write((noise[y % 97 : y % 97 + side] + np.float32(y)).astype(">f4").tobytes())
        file.write(bytes(-file.tell() % 2880))
    return path


def _image_header(wcs: fits.Header, side: int) -> bytes:
    header = fits.Header()
    header["XTENSION"] = "IMAGE"
    for key, value in {"BITPIX": -32, "NAXIS": 2, "NAXIS1": side, "NAXIS2": side, "PCOUNT": 0, "GCOUNT": 1}.items():
        header[key] = value
    header["EXTNAME"] = "SCI"
    header["BUNIT"] = "MJy/sr"
    header.extend(wcs, strip=True, unique=True)
    return str(header.tostring()).encode()


def _upload(url: str, path: Path) -> None:
    with opened(url, key="writer", secret="writing-key") as fs:  # noqa: S106  # of a server that lives minutes
        fs.mkdir(BUCKET)
        fs.put_file(str(path), f"{BUCKET}/{bucket_key(MOSAIC)}")


def _run(bench: Bench, corners: Corners, folder: Path, repeats: int, *, unsorted: bool) -> dict[str, list[Measured]]:
    """Run the ways in turns, and compare their pixels."""
    measured: dict[str, list[Measured]] = {}
    for turn in range(repeats):
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            ours = _measure(measured, "ours", bench, partial(_ours, bench, corners, Path(cache)))
        theirs = _measure(measured, "astropy, sorted by row", bench, partial(_astropy, bench, sorted(corners)))
        in_order = dict(zip(sorted(corners), theirs, strict=True))
        if not all(np.array_equal(mine, in_order[corner]) for mine, corner in zip(ours, corners, strict=True)):
            raise SystemExit("the ways do not read the same pixels")
        if unsorted:
            _measure(measured, "eight sockets, whole plane", bench, partial(_sockets, bench))
        if unsorted and turn == 0:
            _measure(measured, "astropy, catalog order", bench, partial(_astropy, bench, corners))
    return measured


def _measure(measured: dict[str, list[Measured]], name: str, bench: Bench, way: Callable[[], Cutouts]) -> Cutouts:
    before, wall, cpu = bench.proxy.counts(), time.perf_counter(), time.process_time()
    cutouts = way()
    one = Measured(time.perf_counter() - wall, time.process_time() - cpu, bench.proxy.since(before))
    measured.setdefault(name, []).append(one)
    return cutouts


def _sockets(bench: Bench) -> Cutouts:
    parts = [bench.plane_bytes * i // 24 for i in range(25)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(_get, urlsplit(bench.proxy.url).port or 0), parts, parts[1:]))
    return []


def _get(port: int, start: int, stop: int) -> None:
    head = f"GET /{BUCKET}/{bucket_key(MOSAIC)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    buffer = bytearray(256 << 10)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Range: bytes={start}-{stop - 1}\r\n\r\n".encode())
        while connection.recv_into(buffer):
            pass


def _ours(bench: Bench, corners: Corners, folder: Path) -> Cutouts:
    options = ArchiveOptions(s3_endpoint=bench.proxy.url)
    archive = S3(options)
    y, x = (np.array(v, dtype=np.float64) + (CUTOUT_PX - 1) / 2 for v in zip(*corners, strict=True))
    ra, dec = bench.wcs.all_pix2world(x, y, 0)
    places = Places(ra, dec, np.full(len(corners), CUTOUT_PX / 2 * SCALE_ARCSEC))
    fetched = fetch_rows(locate(MOSAIC, [archive]), archive, MosaicCache(folder), options, ("SCI",), places=places)
    if fetched is None:
        raise SystemExit("the mosaic has no plain science plane")
    with fits.open(fetched.source.path, memmap=True) as hdus:
        return [_cut(hdus["SCI"].data, corner) for corner in corners]


def _astropy(bench: Bench, corners: Corners) -> Cutouts:
    where = {"anon": True, "client_kwargs": {"endpoint_url": bench.proxy.url}, "skip_instance_cache": True}
    with fits.open(f"s3://{BUCKET}/{bucket_key(MOSAIC)}", use_fsspec=True, fsspec_kwargs=where) as hdus:
        return [_cut(hdus["SCI"].section, corner) for corner in corners]


def _cut(plane: object, corner: tuple[int, int]) -> NDArray[np.float32]:
    y, x = corner
    return np.array(plane[y : y + CUTOUT_PX, x : x + CUTOUT_PX])  # type: ignore[index]  # an array, or a section of one


def _table(bench: Bench, count: int, measured: dict[str, list[Measured]]) -> None:
    titles = (
        f"{'wall s':>8}{'(range)':>15}{'CPU s':>7}{'requests':>9}{'a cutout':>9}{'MB':>6}{'of plane':>9}{'ours is':>9}"
    )
    print(f"\n{count} cutouts of {CUTOUT_PX} px from a plane of {bench.plane_bytes / 1e6:.0f} MB; medians")
    print(f"{'':26}{titles}")
    ours = _median(measured["ours"], lambda one: one.wall_s)
    for name, runs in measured.items():
        walls = [one.wall_s for one in runs]
        wall, cpu = _median(runs, lambda one: one.wall_s), _median(runs, lambda one: one.cpu_s)
        requests = _median(runs, lambda one: one.counts.requests)
        size = _median(runs, lambda one: one.counts.answered_bytes)
        spread = f"({min(walls):.2f}-{max(walls):.2f})"
        print(
            f"{name:26}{wall:8.2f}{spread:>15}{cpu:7.2f}{requests:9.0f}{requests / count:9.2f}"
            f"{size / 1e6:6.0f}{size / bench.plane_bytes:9.3f}{wall / ours:8.1f}x"
        )


def _median(runs: list[Measured], of: Callable[[Measured], float]) -> float:
    return statistics.median(map(of, runs))


if __name__ == "__main__":
    main()
