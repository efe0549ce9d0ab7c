"""Damage a small mosaic in thousands of ways and read it: `python tests/soak/mutations.py [--count N] [--seed S]`.

Each case is one seeded mutation of a plain file, of a `.fits.gz`, of a planes file of the cache or of a tile-compressed
file, taken the way that a run takes it: the planes are kept from the stream, the kept file is opened and checked,
windows are read, positions computed; a plain file is also opened where it lies. Every exception must be of our tree, no
warning may escape, no case may take two seconds. A silent change is a mosaic that reads differently without an error.
Prints one row of figures; exits with 1 if one of them is not what it must be.
"""

import argparse
import hashlib
import io
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.errors import GzJwstError  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.mosaics.geometry import Box, fit_affine, stated_wcs, whole  # noqa: E402
from gzjwst_core.mosaics.layout import read_layout  # noqa: E402
from gzjwst_core.mosaics.planes import check_structure, keep_planes  # noqa: E402
from gzjwst_core.mosaics.reader import open_mosaic  # noqa: E402
from gzjwst_core.options import MosaicOptions  # noqa: E402
from tests.soak.specimen import SCI_PLANES, SHAPE, mosaic_bytes, packed, planes_bytes  # noqa: E402

__all__ = ["FORMS", "mutated", "run"]

SLOW_S = 2.0
_BLOCK, _CARD = 2880, 80
_LIMIT = 64 << 20
_BOXES = (whole(SHAPE), Box(-5, 9, 40, 60), Box(20, 21, 0, 50), Box(30, 45, 10, 25), Box(900, 910, 900, 910))
_KEYS = """
    SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 NAXIS999 PCOUNT GCOUNT EXTNAME EXTEND END BSCALE BZERO BLANK BUNIT
    PIXAR_SR CTYPE1 CTYPE2 CUNIT1 CUNIT2 CRVAL1 CRVAL2 CRPIX1 CRPIX2 CDELT1 CDELT2 PC1_1 PC1_2 PC2_1 PC2_2 CD1_1 CD2_2
    LONPOLE LATPOLE RADESYS EQUINOX WCSAXES PV1_1 PV2_1 A_ORDER B_ORDER A_2_0 AP_ORDER MJDREF DATE-OBS MJD-OBS OBSGEO-X
    TELESCOP CAL_VER ZIMAGE ZCMPTYPE ZBITPIX ZNAXIS ZNAXIS1 ZNAXIS2 ZTILE1 ZTILE2 ZNAME1 ZVAL1 ZVAL2 ZQUANTIZ ZDITHER0
    ZBLANK THEAP TFIELDS TFORM1 TFORM2 TTYPE1 CONTINUE HIERARCH CPDIS1
"""
_VALUES = """
    0 1 -1 2 3 7 8 16 -32 -64 -99 60 50 49 100000 2147483648 4294967296 -2147483648 9223372036854775807
    99999999999999999999 1E400 1E308 -1E308 1E-320 1.5 -0.0 NaN nan INF -Inf T F (1,2) 0x10 'SCI' 'ERR' 'WHT' '' 'x
    'RA---TAN' 'DEC--TAN' 'RA---XXX' 'RA---TAB' 'GLON-TAN' 'RA---TAN-SIP' 'MJy/sr' 'DN/s' 'IMAGE' 'BINTABLE' 'deg' 'FK4'
    'RICE_1' 'GZIP_1' 'PLIO_1' '1PB(9)' '1D' '1QB(99999999)' 90 180 359.9999 91 / =
"""

Mutation = Callable[[bytes, random.Random], bytes]


class _Case(NamedTuple):
    """What became of one mutation."""

    outcome: str
    """`refused`, `same`, `silent`, or `foreign`."""
    detail: str
    seconds: float
    warned: str


class _Seen(NamedTuple):
    """What a reader gets out of a mosaic."""

    pixels: tuple[bytes, ...]
    sky: bytes


def _flip(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _noise(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    size = min(rng.choice((1, 4, 80, 1000, 4096)), len(data) - at)
    return data[:at] + rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size)) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    at = rng.choice(
        (0, 1, 2, 10, _CARD, _BLOCK, len(data) - 1, len(data) - 8, len(data) - _BLOCK, rng.randrange(len(data)))
    )
    return data[:at]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.choice((0, len(data), rng.randrange(len(data)), rng.randrange(len(data)) // _BLOCK * _BLOCK))
    return data[:at] + rng.randbytes(rng.choice((1, 2, _CARD, 511, _BLOCK))) + data[at:]


def _drop(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 2, _CARD, _BLOCK)) :]


def _blocks(data: bytes, rng: random.Random) -> bytes:
    blocks = [data[i : i + _BLOCK] for i in range(0, len(data), _BLOCK)]
    one, other = rng.randrange(len(blocks)), rng.randrange(len(blocks))
    kind = rng.choice(("twice", "swap", "gone"))
    if kind == "twice":
        blocks.insert(other, blocks[one])
    elif kind == "swap":
        blocks[one], blocks[other] = blocks[other], blocks[one]
    else:
        del blocks[one]
    return b"".join(blocks)


def _hdus(data: bytes, rng: random.Random) -> bytes:
    starts = [0, *(m.start() for m in re.finditer(b"XTENSION=", data) if m.start() % _BLOCK == 0), len(data)]
    parts = [data[a:b] for a, b in pairwise(starts)]
    one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    kind = rng.choice(("swap", "twice", "gone", "many"))
    if kind == "swap":
        parts[one], parts[other] = parts[other], parts[one]
    elif kind == "gone":
        del parts[one]
    else:
        parts[other:other] = [parts[one]] * (1 if kind == "twice" else 40)
    return b"".join(parts)


def _cards(data: bytes, rng: random.Random) -> bytes:
    """Change one or a few cards, most often of the keywords that something hangs on."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = _one_card(data, rng)
    return data


def _one_card(data: bytes, rng: random.Random) -> bytes:
    places = [m.start() for m in re.finditer(rb"[A-Z0-9_-]{1,8} *= ", data) if m.start() % _CARD == 0] or [0]
    wanted = rng.choice(_KEYS.split()).encode().ljust(8)
    fitting = [at for at in places if data[at : at + 8] == wanted]
    at = rng.choice(fitting or places)
    card, other = data[at : at + _CARD], rng.choice(places)
    kind = rng.choice(("value", "value", "value", "value", "key", "gone", "bytes", "twice", "swap", "no end"))
    if kind == "no end":
        return data.replace(b"END".ljust(_CARD), b" " * _CARD, rng.choice((1, 2)))
    noise = rng.randbytes(rng.randrange(1, 40))
    new = {
        "value": wanted + b"= " + rng.choice([*_VALUES.split(), ""]).encode().ljust(70),
        "key": wanted + card[8:],
        "gone": b" " * _CARD,
        "bytes": card[:10] + noise + card[10 + len(noise) :],
        "swap": data[other : other + _CARD],
        "twice": card,
    }[kind]
    out = bytearray(data)
    out[at : at + _CARD] = new
    if kind in {"swap", "twice"}:
        out[other : other + _CARD] = card
    return bytes(out)


def _gz_head(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    out[rng.randrange(10)] = rng.choice((0, 1, 2, 4, 8, 16, 31, 32, 64, 128, 255, rng.randrange(256)))
    return bytes(out)


def _gz_tail(data: bytes, rng: random.Random) -> bytes:
    at = len(data) - rng.randrange(1, 9)
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def _gz_members(data: bytes, rng: random.Random) -> bytes:
    second = data.find(b"\x1f\x8b\x08", 20)
    first, rest = data[:second], data[second:]
    empty = bytes.fromhex("1f8b080000000000000303000000000000000000")
    return rng.choice(
        (
            rest + first, first, rest, first + first + rest, first + empty * rng.choice((1, 3000)) + rest, data + empty,
            data + bytes(rng.choice((1, 512))), data + b"\x1f", data + b"\x1f\x8b", data + b"junk", data + rest,
            data + bytes(512) + data, first + b"\0" + rest, packed(data),
        )
    )  # fmt: skip


_FITS: tuple[Mutation, ...] = (_flip, _noise, _cut, _insert, _drop, _blocks, _hdus, _cards, _cards, _cards, _cards)
_GZIP: tuple[Mutation, ...] = (_flip, _flip, _noise, _cut, _insert, _drop, _gz_head, _gz_tail, _gz_members)
FORMS = ("plain", "gz", "planes", "hostile_gz", "plain", "gz", "planes", "hostile_gz", "plain", "gz", "planes", "tiled")
"""Of the cases in turn. `gz`: the compressed bytes are changed; `hostile_gz`: a changed file, compressed well."""


def mutated(form: str, bodies: dict[str, bytes], rng: random.Random) -> bytes:
    """Return one mutation of a body of some form."""
    if form == "gz":
        return rng.choice(_GZIP)(bodies[form], rng)
    return (packed if form == "hostile_gz" else bytes)(rng.choice(_FITS)(bodies[form], rng))


def run(count: int, seed: int) -> dict[str, float]:
    """Try `count` mutations; returns the figures, and says on stderr which were foreign, warned or were slow."""
    mosaic = mosaic_bytes()
    tiled = mosaic_bytes(tiled=True)
    bodies = {
        "plain": mosaic,
        "gz": packed(mosaic),
        "planes": planes_bytes(mosaic),
        "tiled": tiled,
        "hostile_gz": mosaic,
    }
    figures: Counter[str] = Counter()
    worst = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = {form: _read(data, folder / f"{form}.fits") for form, data in bodies.items()}
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            form = FORMS[number % len(FORMS)]
            data = mutated(form, bodies, rng)
            case = _try(data, folder / f"{number}.fits", truth[form], in_place=form != "gz")
            worst = max(worst, case.seconds)
            _count(figures, form, case, known=hashlib.sha256(data).digest() == hashlib.sha256(bodies[form]).digest())
            if case.outcome == "foreign" or case.warned or case.seconds > SLOW_S:
                print(f"case {number} ({form}): {case}", file=sys.stderr)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"cases": count, **figures, "worst_ms": round(worst * 1e3), "grown_mb": round(grown)}


def _count(figures: "Counter[str]", form: str, case: _Case, *, known: bool) -> None:
    figures[case.outcome] += 1
    figures["warnings"] += bool(case.warned)
    figures["over_2_s"] += case.seconds > SLOW_S
    if case.outcome == "silent":
        figures[f"silent_{form}"] += 1
        figures["silent_with_digest"] += known  # whoever knows the digest sees the change, unless there is none


def _try(data: bytes, path: Path, truth: _Seen, *, in_place: bool) -> _Case:
    begun = time.process_time()  # of this process: the machine may be busy with others
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome, detail = _outcome(data, path, truth)
        if in_place and outcome != "foreign":
            foreign = _in_place(data, path.with_suffix(".body.fits"))
            outcome, detail = ("foreign", foreign) if foreign else (outcome, detail)
    seconds = time.process_time() - begun
    warned = "; ".join(str(one.message) for one in caught)
    return _Case(outcome, detail, seconds, warned)


def _outcome(data: bytes, path: Path, truth: _Seen) -> tuple[str, str]:
    try:
        seen = _read(data, path)
    except GzJwstError as error:
        return "refused", error.reason
    except Exception as error:  # noqa: BLE001 - a foreign exception is what is looked for
        return "foreign", repr(error)
    finally:
        path.unlink(missing_ok=True)
    return ("same", "") if seen == truth else ("silent", "")


def _read(data: bytes, path: Path) -> _Seen:
    """Take a body the way that a run takes it."""
    with path.open("wb") as target:
        keep_planes(io.BytesIO(data), target, SCI_PLANES, "specimen", limit=_LIMIT)
    return _look(path)


def _look(path: Path) -> _Seen:
    source = MosaicSource(field="f", band="F277W", path=str(path), uri=f"local:{path.name}", identity="i")
    pixels: list[bytes] = []
    with open_mosaic(source, MosaicOptions()) as reader:
        for box in (*_BOXES, whole(reader.shape).grow(3)):
            window = reader.windows(box)
            pixels += [plane.tobytes() for plane in (window.sci, window.err, window.wht) if plane is not None]
        affine = fit_affine(reader.wcs, stated_wcs(SHAPE, 0.06, 150.1, 2.2), whole(SHAPE)).matrix
        corners = reader.wcs.all_pix2world([[0.0, 0.0], [49.0, 59.0]], 0)
        return _Seen(tuple(pixels), np.concatenate([np.ravel(affine), np.ravel(corners)]).tobytes())


def _in_place(data: bytes, path: Path) -> str:
    """Read a body where it lies; returns the foreign exception, if one came."""
    path.write_bytes(data)
    for verb in (check_structure, read_layout, _look):
        try:
            verb(path)
        except GzJwstError:
            continue
        except Exception as error:  # noqa: BLE001 - a foreign exception is what is looked for
            return f"{verb.__name__}: {error!r}"
    path.unlink()
    return ""


def main() -> int:
    """Mutate, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = run(options.count, options.seed)
    print("mutations | " + " | ".join(f"{name} {value:g}" for name, value in figures.items()))
    must_be_none = ("foreign", "warnings", "over_2_s", "silent_gz", "silent_with_digest")
    return 1 if any(figures.get(name) for name in must_be_none) else 0


if __name__ == "__main__":
    sys.exit(main())
