"""The sky's folder: make it once, find it again, describe it to the server and the tests.

`build_sky` writes the mosaics where three archives would keep them, the truth table, and last of all the stamp
`sky.json`: a folder without a fitting stamp, or with a file of another size, is built anew. Equal options give equal
bytes. Of two builders in one folder the second waits and finds what the first has made.
"""

import fcntl
import gzip
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from astropy.io.fits import HDUList
from astropy.table import Table
from pydantic import ValidationError

from gzjwst_core.errors import StorageError
from gzjwst_core.sky.fields import ArchiveName, Collection, SkyField, sky_fields
from gzjwst_core.sky.mosaics import mosaic_hdus
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.render import render_band
from gzjwst_core.sky.scene import draw_scene
from gzjwst_core.storage.atomic import atomic_path, storage_error
from gzjwst_core.storage.tables import read_parquet, write_parquet

__all__ = ["GENERATOR_VERSION", "Sky", "SkyMosaic", "build_sky", "load_sky"]

GENERATOR_VERSION = 4
"""Raise it with every change that moves a byte of any file; folders of another version are built anew."""

_STAMP, _TRUTH = "sky.json", "truth.parquet"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SkyMosaic:
    """One mosaic of the sky and where it lies.

    Attributes
    ----------
    obs_id, filename, uri
        Its names at MAST.
    collection
        ``"JWST"`` or ``"HLSP"``.
    field, band
        Key of its field, filter name.
    archive
        The archive that holds it.
    path
        The file, relative to the sky's folder, with forward slashes.
    size
        Bytes of that file.
    plain_size
        Bytes of the uncompressed FITS file.
    s_region
        Footprint, ``POLYGON ICRS ra dec ...`` in deg.
    """

    obs_id: str
    filename: str
    uri: str
    collection: Collection
    field: str
    band: str
    archive: ArchiveName
    path: str
    size: int
    plain_size: int
    s_region: str


@dataclass(frozen=True)
class Sky:
    """A sky that is whole on disk."""

    folder: Path
    options: SkyOptions
    mosaics: tuple[SkyMosaic, ...]

    @property
    def truth_path(self) -> Path:
        """The truth table, parquet with astropy's metadata."""
        return self.folder / _TRUTH

    @property
    def datalabs_folder(self) -> Path:
        """Root of what DataLabs would mount."""
        return self.folder / "datalabs"

    @property
    def bucket_folder(self) -> Path:
        """Folder that holds the buckets, ``stpubdata`` among them."""
        return self.folder / "bucket"

    def truth(self) -> Table:
        """Read the truth table; columns as in `draw_scene`."""
        return read_parquet(self.truth_path)


def build_sky(options: SkyOptions, folder: Path) -> Sky:
    """Make a sky in a folder, or find it there.

    Parameters
    ----------
    options
        The sky.
    folder
        Where it lives; made if missing. Files of an older sky in it are removed.

    Returns
    -------
    Sky
        Whole on disk.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    found = _find(folder, options)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            return _find(folder, options) or _build(options, folder)
    except StorageError:
        raise
    except OSError as error:
        raise storage_error(error, folder) from error


def load_sky(folder: Path) -> Sky:
    """Open a sky by its folder alone.

    Raises
    ------
    StorageError
        If there is no stamp of this generator, or a file is missing or of another size.
    """
    sky = _find(folder, None)
    if sky is None:
        raise StorageError(f"{folder} holds no whole synthetic sky of this version: build it with build_sky")
    return sky


def _find(folder: Path, options: SkyOptions | None) -> Sky | None:
    """Return the folder's sky if its stamp fits (the options, when given) and every file is there with its size."""
    try:
        stamp = json.loads((folder / _STAMP).read_text("utf-8"))
        sky = Sky(
            folder,
            SkyOptions.model_validate(stamp["options"]),
            tuple(SkyMosaic(**mosaic) for mosaic in stamp["mosaics"]),
        )
        sizes = {_TRUTH: stamp["truth_size"]} | {mosaic.path: mosaic.size for mosaic in sky.mosaics}
        whole = all((folder / path).stat().st_size == size for path, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
    fits = stamp.get("digest") == _digest(sky.options) and options in (None, sky.options)
    return sky if whole and fits else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other builders; the lock goes with the process, however it ends."""
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(options: SkyOptions, folder: Path) -> Sky:
    (folder / _STAMP).unlink(missing_ok=True)
    fields = sky_fields(options)
    _remove_others(folder, {field.path(band) for field in fields for band in field.bands})
    scene = draw_scene(options)
    with atomic_path(folder / _TRUTH) as partial:
        write_parquet(scene, partial)
    mosaics = tuple(_write_mosaic(options, folder, scene, field, band) for field in fields for band in field.bands)
    _write_stamp(Sky(folder, options, mosaics))
    return Sky(folder, options, mosaics)


def _write_mosaic(options: SkyOptions, folder: Path, scene: Table, field: SkyField, band: str) -> SkyMosaic:
    seed = [options.seed, field.number, options.bands.index(band)]
    image = render_band(scene, field.geometry(band), band, seed=seed, depth_offset_mag=options.depth_offset_mag)
    hdus = mosaic_hdus(field, band, image)
    path = folder / field.path(band)
    with atomic_path(path) as partial, partial.open("wb") as stream:
        (_write_packed if path.suffix == ".gz" else _write_plain)(hdus, stream)
    _logger.info("made %s", field.path(band))
    return SkyMosaic(
        obs_id=field.obs_id(band),
        filename=field.filename(band),
        uri=field.uri(band),
        collection=field.collection,
        field=field.key,
        band=band,
        archive=field.archive(band),
        path=field.path(band),
        size=path.stat().st_size,
        plain_size=sum(hdu.filebytes() for hdu in hdus),
        s_region=field.geometry(band).s_region(),
    )


def _write_plain(hdus: HDUList, stream: IO[bytes]) -> None:
    hdus.writeto(stream)


def _write_packed(hdus: HDUList, stream: IO[bytes]) -> None:
    # no name, no time, and zlib itself: equal pixels, equal bytes (isal was once seen not to keep that)
    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=stream, mtime=0) as packed:
        hdus.writeto(packed)


def _write_stamp(sky: Sky) -> None:
    stamp = {
        "digest": _digest(sky.options),
        "options": sky.options.model_dump(mode="json"),
        "truth_size": sky.truth_path.stat().st_size,
        "mosaics": [asdict(mosaic) for mosaic in sky.mosaics],
    }
    with atomic_path(sky.folder / _STAMP) as partial:
        partial.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")


def _digest(options: SkyOptions) -> str:
    """Identity of a sky: its options and the generator's version."""
    text = json.dumps([GENERATOR_VERSION, options.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _remove_others(folder: Path, wanted: set[str]) -> None:
    """Remove mosaics of an older sky and what a killed builder left: the archives must hold this sky only."""
    for archive in ("datalabs", "bucket", "mast"):
        for path in sorted((folder / archive).rglob("*_i2d.fits*")):
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink(missing_ok=True)
