"""Hostile mosaics: `python tests/soak/hostile_mosaics.py [--only TEXT] [--batch N] [--workers N]`.

Each mosaic is a field of a local survey that runs as a person's would, to its images. Every one must end in an outcome
that has a name; the run in an exit code of ours, without a traceback, in time, and with at most 2 GB resident at once
in all its processes. Prints a table; exits with 1 if anything else was seen. The files are small on disk.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from astropy.io import fits
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.mosaics.geometry import stated_wcs  # noqa: E402
from tests.flows.survey import SCRIPT, World  # noqa: E402

__all__ = ["MOSAICS", "write"]

_MOST_BYTES = 2_000_000_000
_MOST_SECONDS = 900
_CODES = {0, 1, 4}

PROFILE = """
[survey]
name = "hostile"
bands = ["F277W"]

[completeness]
sources = 0

[[select.cuts]]
column = "is_primary"
equals = true

[[select.cuts]]
column = "mag_ref"
maximum = 21.0
"""
LOCAL = """
[[local]]
path = "{path}"
field = "{field}"
band = "F277W"
"""

Floats = NDArray[np.floating]
Make = Callable[[Path], None]
MOSAICS: dict[str, Make] = {}


def sky(side: int = 300, *, sigma: float = 0.01, sources: int = 12, seed: int = 3) -> Floats:
    """Noise with round sources, MJy/sr."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, sigma, (side, side))
    y, x = np.mgrid[-12:13, -12:13]
    spot = np.exp(-(x**2 + y**2) / 18)
    for row, column in rng.integers(12, side - 13, (sources, 2)):
        image[row - 12 : row + 13, column - 12 : column + 13] += spot * sigma * 100
    return image.astype(np.float32)


def header(shape: tuple[int, ...], scale: float = 0.06, **cards: Any) -> fits.Header:
    """Cards of a science plane."""
    made = stated_wcs((shape[-2], shape[-1]), scale, 150.0, 2.0).to_header()
    made["BUNIT"] = "MJy/sr"
    made.update(cards)
    return made


def write(path: Path, sci: NDArray[Any], scale: float = 0.06, more: dict[str, NDArray[Any]] | None = None) -> None:
    """Write a mosaic: an empty PRIMARY, SCI and other planes."""
    hdus = [fits.ImageHDU(sci, header(sci.shape, scale), name="SCI")]
    hdus += [fits.ImageHDU(plane, header(sci.shape, scale), name=name) for name, plane in (more or {}).items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def holes(path: Path, shape: tuple[int, ...], bits: int = -32, **cards: Any) -> None:
    """Write the headers of a mosaic whose pixels are a hole in the file."""
    hdu = fits.ImageHDU(np.zeros((1, 1), np.float32), header(shape[-2:], **cards), name="SCI")
    hdu.header["BITPIX"], hdu.header["NAXIS"] = bits, len(shape)
    for number, size in enumerate(reversed(shape), start=1):
        hdu.header.set(f"NAXIS{number}", size, after="NAXIS" if number == 1 else f"NAXIS{number - 1}")
    size = abs(bits) // 8 * int(np.prod(shape, dtype=object))
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode() + hdu.header.tostring().encode())
        file.truncate(file.tell() + -(-size // 2880) * 2880)


def mosaic(name: str) -> Callable[[Make], Make]:
    """Give a maker its name."""

    def kept(make: Make) -> Make:
        MOSAICS[name] = make
        return make

    return kept


def _of_shapes() -> None:
    large = {"a-billion-by-1", "1-by-a-billion", "65536-by-65537"}  # a byte a pixel: locating reads every byte
    for name, shape in {
        "a-billion-by-1": (1, 10**9), "1-by-a-billion": (10**9, 1), "131073-by-1": (1, 131073),
        "131072-by-1": (1, 131072), "1-by-131072": (131072, 1), "65536-by-65537": (65537, 65536), "1-by-1": (1, 1),
        "2-by-2": (2, 2), "3-axes": (2, 300, 300), "no-rows": (0, 300),
    }.items():  # fmt: skip
        MOSAICS[name] = partial(holes, shape=shape, bits=8 if name in large else -32)
    MOSAICS["bitpix-64"] = lambda path: write(path, (sky() * 1000).astype(np.int64))
    MOSAICS["bitpix-8"] = lambda path: write(path, np.clip(sky() * 1000 + 50, 0, 255).astype(np.uint8))
    MOSAICS["a-row-of-noise"] = lambda path: write(path, sky(131072 // 400).reshape(1, -1)[:, :100000])


def _of_pixels() -> None:
    grid = np.indices((300, 300)).sum(axis=0) % 2 == 0
    base = sky()

    def filled(value: float, where: NDArray[Any] | tuple[Any, ...] = ...) -> Floats:  # type: ignore[assignment]
        image = base.copy()
        image[where] = value
        return image

    cases = {
        "all-nan": filled(np.nan), "all-inf": filled(np.inf), "all-zero": filled(0), "constant": filled(7),
        "denormals": base * np.float32(1e-42), "noise-1e-30": base * np.float32(1e-30), "scale-1e30": base * 1e30,
        "one-pixel-1e38": filled(1e38, (150, 150)), "one-pixel-inf": filled(np.inf, (150, 150)),
        "checkerboard": np.where(grid, 1, -1).astype("f4"), "nan-checkerboard": filled(np.nan, grid),
        "all-negative": base - 10, "one-valid-row": np.where(np.arange(300)[:, None] == 7, base, np.nan),
        "ramp": (np.indices((300, 300)).sum(axis=0) * 1.0).astype("f4"), "steps": np.round(base * 50).astype("f4"),
        "half-huge": filled(1e6, np.s_[:, :150]), "no-sources": sky(sources=0),
    }  # fmt: skip
    for name, image in cases.items():
        MOSAICS[name] = partial(write, sci=image)
    for name, plane in {
        "err-zero": 0.0,
        "err-nan": np.nan,
        "err-inf": np.inf,
        "err-1e-30": 1e-30,
        "err-negative": -1.0,
    }.items():
        MOSAICS[name] = partial(write, sci=base, more={"ERR": np.full_like(base, plane)})
    for name, plane in {"wht-inf": np.inf, "wht-nan": np.nan, "wht-zero": 0.0, "wht-negative": -1.0}.items():
        MOSAICS[name] = partial(write, sci=base, more={"WHT": np.full_like(base, plane)})


def _of_scales() -> None:
    for scale in (1e-9 * 3600, 1e-3, 6e-3, 5.0, 100.0):
        MOSAICS[f"scale-{scale:g}-arcsec"] = partial(write, sci=sky(), scale=scale)


@mosaic("huge-galaxy")
def _huge_galaxy(path: Path) -> None:
    y, x = np.indices((2600, 2600)) - 1300
    light = np.exp(-np.hypot(x, y) / 300) * (1.2 + np.sin(x / 9) * np.cos(y / 9))  # no mesh is smooth over it
    write(path, (sky(2600, sources=0) + light).astype(np.float32))


@mosaic("pedestal-tile")
def _pedestal(path: Path) -> None:
    image = sky(2400, sources=60)
    y, x = np.indices((1500, 1500))
    image[:1500, :1500] += 5 + 4 * np.sin(x / 5) * np.sin(y / 5)
    write(path, image)


@mosaic("crowded-tile")
def _crowded(path: Path) -> None:
    image = np.random.default_rng(1).normal(0, 0.01, (1200, 1200)).astype(np.float32)
    image[::4, ::4] += 1.0
    image[1::4, ::4] += 0.5
    image[::4, 1::4] += 0.5
    write(path, image)


@mosaic("knots")
def _knots(path: Path) -> None:
    y, x = np.indices((900, 900)) - 450
    image = sky(900, sources=0) + 3 * np.exp(-(x**2 + y**2) / 60000.0)
    rows, columns = np.random.default_rng(2).integers(0, 900, (2, 4000))
    image[rows, columns] += 5
    write(path, image.astype(np.float32))


@mosaic("3000-hdus")
def _many_hdus(path: Path) -> None:
    write(path, sky())
    empty = fits.ImageHDU().header.tostring().encode()
    with path.open("ab") as file:
        file.write(empty * 3000)


@mosaic("header-of-20-mb")
def _long_header(path: Path) -> None:
    write(path, sky())
    data = path.read_bytes()
    at = data.index(b"XTENSION")
    cards = b"".join(f"K{number:07d}= {number:20d}".ljust(80).encode() for number in range(36 * 7000))
    end = data.index(b"END" + b" " * 77, at)
    head = data[at:end] + cards + b"END" + b" " * 77
    rest = data[at + -(-(end + 80 - at) // 2880) * 2880 :]
    path.write_bytes(data[:at] + head.ljust(-(-len(head) // 2880) * 2880) + rest)


@mosaic("one-huge-tile")
def _huge_tile(path: Path) -> None:
    hdu = fits.CompImageHDU(np.zeros((5000, 5000), np.int16), header((5000, 5000)), tile_shape=(5000, 5000), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


@mosaic("tiles-of-a-row")
def _tiled(path: Path) -> None:
    hdu = fits.CompImageHDU(sky(), header((300, 300)), tile_shape=(1, 300), name="SCI", quantize_level=16)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


@mosaic("gzipped-billion-by-1")
def _bomb(path: Path) -> None:
    plain = path.with_suffix("")
    holes(plain, (1, 10**8))
    subprocess.run(["gzip", "-1", str(plain)], check=True)


for _family in (_of_shapes, _of_pixels, _of_scales):
    _family()


@dataclass
class Ended:
    """How one mosaic ended, and the run it was in."""

    name: str
    outcome: str
    code: int
    peak_gb: float
    seconds: float
    faults: list[str]


def measured(command: list[str], world: World, out: Path) -> tuple[int, str, float, float]:
    """Run to the end; exit code, what was said, peak of all processes together in bytes, seconds."""
    begun, peak = time.monotonic(), 0.0
    with (out / "said").open("w+") as said:
        child = subprocess.Popen(command, env=world.environment, stdout=said, stderr=said, start_new_session=True)
        root = psutil.Process(child.pid)
        while child.poll() is None and time.monotonic() - begun < _MOST_SECONDS:
            peak = max(peak, sum(map(resident, [root, *family(root)])))
            time.sleep(0.1)
        if child.poll() is None:
            subprocess.run(["kill", "-9", "--", f"-{child.pid}"], check=False)
            return -999, "hangs", peak, time.monotonic() - begun
        said.seek(0)
        return child.wait(), said.read(), peak, time.monotonic() - begun


def family(root: psutil.Process) -> list[psutil.Process]:
    """All processes below one."""
    try:
        return list(root.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def resident(process: psutil.Process) -> float:
    """Bytes that a process holds in memory; 0 once it is gone."""
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return 0.0


def play(names: list[str], root: Path, world: World, workers: int) -> Iterator[Ended]:
    """Run a survey of these mosaics."""
    folder = Path(tempfile.mkdtemp(dir=root))
    entries = []
    for name in names:
        path = folder / f"{name}.fits{'.gz' if name.startswith('gzipped') else ''}"
        MOSAICS[name](path)
        entries.append(LOCAL.format(path=path, field=name))
    profile = folder / "hostile.toml"
    profile.write_text(PROFILE + "".join(entries))
    command = [sys.executable, str(SCRIPT), str(profile), "--out", str(folder), "--workers", str(workers)]
    code, said, peak, seconds = measured(command, world, folder)
    faults = {
        f"exit code {code}": code not in _CODES,
        "traceback": "Traceback" in said,
        "fault of ours": "fault of ours" in said,
        f"{peak / 1e9:.1f} GB": peak > _MOST_BYTES,
    }
    outcomes = outcomes_of(folder / "hostile", said)
    for name in names:
        outcome = outcomes.get(name, "")
        found = [fault for fault, is_there in faults.items() if is_there] + ([] if outcome else ["no outcome"])
        yield Ended(name, outcome or said.strip().splitlines()[-1], code, peak / 1e9, seconds, found)


def outcomes_of(folder: Path, said: str) -> dict[str, str]:
    """Read how each field ended: from run.json and the receipts, or from what the run said of the only one."""
    outcomes: dict[str, str] = {}
    for path in (folder / "receipts" / "catalog").glob("*.json"):
        receipt = json.loads(path.read_text())
        counts = receipt["counts"]
        saturated = f", {counts['saturated_tiles']} tiles saturated" if "saturated_tiles" in counts else ""
        outcomes[receipt["unit"]] = f"done: {counts['sources']} sources{saturated}"
    if (folder / "run.json").exists():
        for lost in json.loads((folder / "run.json").read_text())["runs"][-1]["missing"]:
            name = lost["what"].split()[1] if " " in lost["what"] else lost["what"]
            outcomes.setdefault(
                re.sub(r"(-[0-9]+)?$", "", name) if name not in MOSAICS else name, f"failed: {lost['reason']}"
            )
    for name, reason in re.findall(r"(?:catalog|fetch|locate) (\S+?)(?: F277W)?: .*\((\w+)\)", said):
        outcomes.setdefault(name, f"failed: {reason}")
    return outcomes


def main() -> int:
    """Play, print, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mosaics whose name fits this regular expression")
    parser.add_argument("--batch", type=int, default=1, help="mosaics of one run")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    names = [name for name in MOSAICS if re.search(options.only, name)]
    faulty = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        world = World(Path(scratch) / "home", Path(scratch) / "cache", {})
        print(f"{'mosaic':<24}{'outcome':<44}{'code':>5}{'GB':>6}{'s':>6}  faults", flush=True)
        for start in range(0, len(names), options.batch):
            for ended in play(names[start : start + options.batch], Path(scratch), world, options.workers):
                faulty += bool(ended.faults)
                figures = f"{ended.code:>5}{ended.peak_gb:>6.2f}{ended.seconds:>6.0f}"
                print(f"{ended.name:<24}{ended.outcome[:43]:<44}{figures}  {', '.join(ended.faults)}", flush=True)
    print(f"{len(names)} mosaics, {faulty} with faults")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
