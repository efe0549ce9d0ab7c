"""The small frozen values that cross rooms and task boundaries.

Each is a strict pydantic model that becomes plain JSON: paths, sizes, digests and counts, never arrays. Options (how
to process) are in `options`; these are what was found and made.
"""

from typing import Literal

from gzjwst_core.values import Value

__all__ = [
    "Attempt",
    "Field",
    "Mosaic",
    "MosaicSource",
    "Product",
]


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
