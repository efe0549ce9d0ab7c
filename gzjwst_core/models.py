"""The small frozen values that cross rooms and task boundaries.

Each is a strict pydantic model that becomes plain JSON: paths, sizes, digests and counts, never arrays. Options (how
to process) are in `options`; these are what was found and made.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue

__all__ = [
    "Attempt",
    "Field",
    "Mosaic",
    "MosaicSource",
    "Outcome",
    "Output",
    "Product",
    "Receipt",
    "Value",
    "Work",
    "counts_of",
    "digest_of",
]


def digest_of(value: object, length: int = 20) -> str:
    """SHA-256 of the canonical JSON of a plain value.

    Parameters
    ----------
    value
        Anything `json.dumps` takes: dicts are sorted, so their order does not matter.
    length
        Hexadecimal digits to keep.

    Returns
    -------
    str
        Lower-case hexadecimal digest.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Value(BaseModel):
    """Base of the frozen values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self).model_validate({**{k: getattr(self, k) for k in type(self).model_fields}, **changes})


class Outcome(Value):
    """How one unit of work ended."""

    kind: Literal["done", "skipped", "failed"] = "done"
    reason: str = ""
    """Stable code of the error tree; empty when done."""
    detail: str = ""
    """One sentence for a person."""


def counts_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count how the members of a unit ended: `written`, `skipped:<reason>`, `failed:<reason>`, in order of name."""
    named = ("written" if o.kind == "done" else f"{o.kind}:{o.reason}" for o in outcomes)
    return dict(sorted(Counter(named).items()))


class Product(Value):
    """A row of MAST's product list (or a local file), and what the query rules said of it."""

    uri: str
    """Logical address: `mast:JWST/product/...`, or `local:<name>`."""
    filename: str
    obs_id: str
    collection: str
    """`JWST` (level-3 products of the observatory, LE3), `HLSP` (a team's), or `LOCAL`."""
    size: int
    """Bytes MAST states; 0 where it does not."""
    field: str = ""
    band: str = ""
    instrument: str = ""
    """As MAST, the file's header or its name states it; empty where none does."""
    s_region: str = ""
    proposal: str = ""
    outcome: Literal["kept", "dropped"] = "kept"
    reason: str = ""


class Attempt(Value):
    """One archive asked for one mosaic."""

    archive: str
    found: bool
    reason: str = ""
    detail: str = ""


class Mosaic(Value):
    """The level-3 image of one field in one band: the product, and where it was located."""

    field: str
    band: str
    obs_id: str
    product_uri: str
    filename: str
    size: int
    """Bytes of what was located (a `.fits.gz` counts compressed); the product's own size while nothing was located."""
    archive: str = ""
    """Where it was located; empty = in no archive."""
    uri: str = ""
    """Logical address there: `datalabs:jw01345/...`, `s3://bucket/key`, `mast:...`, `local:...`; no port, no root."""
    identity: str = ""
    """`uri|size|ETag or digest`: what receipts remember it by; empty while nothing was located."""
    expected: bool = False
    """The profile knows that this mosaic is in no archive."""
    trail: tuple[Attempt, ...] = ()

    @property
    def located(self) -> bool:
        """Whether some archive holds it."""
        return bool(self.archive)


class Field(Value):
    """One pointing: all bands at one place on the sky."""

    name: str
    mosaics: tuple[Mosaic, ...]

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that were located, in the order of the survey's list."""
        return tuple(m.band for m in self.mosaics if m.located)


class MosaicSource(Value):
    """Where one mosaic's planes can be read from now: a local plain FITS file, small enough to send to a worker.

    `path` is a local detail: it never enters a product, a card, an identity or a receipt.
    """

    field: str
    band: str
    path: str
    """Local path of a plain FITS file that holds at least the science plane."""
    uri: str
    identity: str
    obs_id: str = ""
    err_path: str = ""
    """A separate file with the noise map, where the planes come as files of their own."""
    unit: str = ""
    """Unit of the pixels, stated for this file: it wins over BUNIT; empty = BUNIT."""
    pixel_scale_arcsec: float | None = None
    centre_ra_deg: float | None = None
    centre_dec_deg: float | None = None
    """Stated geometry for a file without WCS: scale, and sky position of the array's centre; north up, east left."""
    rows: tuple[tuple[int, int], ...] | None = None
    """Bands of rows, [first, behind the last), that the run looks at: the others are no coverage; None = all."""
    light: str = ""
    """A local file of raw native float32 pixels on the same grid, uJy per pixel, that are added to the science plane
    wherever it has data: injected sources; empty = none."""

    @property
    def verified(self) -> bool:
        """Whether its whole body must have been seen and checked: not, where only some rows are looked at."""
        return self.rows is None


class Output(Value):
    """One finished file of a run folder."""

    path: str
    """Relative to the run folder."""
    size: int
    digest: str
    """Hexadecimal, by the receipt's algorithm."""


class Work(Value):
    """One unit of work, known by what goes into it.

    The key holds the stage and its version, the unit, the identities of the inputs and the digest of just the options
    the stage reads; never a path, port, output folder or number of workers.
    """

    stage: str
    version: str
    unit: str
    inputs: Mapping[str, str]
    options: str

    @property
    def key(self) -> str:
        """Name of the receipt, and Prefect's cache key without its nonce."""
        parts = {
            "stage": self.stage,
            "version": self.version,
            "inputs": dict(self.inputs),
            "options": self.options,
        }
        return f"{self.unit}-{digest_of(parts)}"


class Receipt(Value):
    """The record of one finished unit: the truth that a second run reads."""

    stage: str
    version: str
    unit: str
    key: str
    inputs: Mapping[str, str]
    options: str
    outputs: tuple[Output, ...] = ()
    outcome: Outcome = Outcome()
    counts: Mapping[str, int] = {}
    """Sums of the unit, such as written, skipped:<reason>, failed:<reason>."""
    notes: Mapping[str, JsonValue] = {}
    """Small facts that later stages read (noise of a mosaic, ...)."""
    algorithm: Literal["sha256"] = "sha256"
    """Of the outputs' digests; receipts that were made before it was named mean the same."""
    seal: str = ""
    """Digest of the receipt itself, in its file alone (`storage/seal`)."""
