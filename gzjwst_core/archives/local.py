"""Mosaics that a profile gives as files: paths and globs become products and one more archive, `local`.

No archive is asked. Field and band are stated, or read from the file's name by the profile's pattern or the archives'
own rules. A plain file, tile-compressed (`.fz`) or not, is read where it lies; a gzipped one passes through the cache
as any other.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from gzjwst_core.archives.base import Archive, Located, Stated, identity_of
from gzjwst_core.archives.digests import DigestIndex
from gzjwst_core.archives.mounted import open_file, state_of
from gzjwst_core.archives.rules import INSTRUMENT_NOT_WANTED, broken_rule
from gzjwst_core.errors import NameRefusedError, ProductNotFoundError, ProfileError
from gzjwst_core.instruments import instrument_in, names_another
from gzjwst_core.models import Mosaic, Product
from gzjwst_core.mosaics.instrument import instrument_of
from gzjwst_core.names import band_of, parse_obs_id, safe_name, tidy_name
from gzjwst_core.options import LocalMosaics, QueryOptions
from gzjwst_core.paths import expanded, files_at
from gzjwst_core.transport.streams import ByteStream
from gzjwst_core.values import digest_of

__all__ = ["Local"]

_ENDINGS = re.compile(r"\.fits(\.[gf]z)?\Z")
_PRODUCT = re.compile(r"_(i2d|drz|sci)\Z")


@dataclass(frozen=True)
class _File:
    path: Path
    entry: LocalMosaics
    key: str
    """Of the entry, for messages."""
    err: Path | None
    field: str
    band: str
    instrument: str
    """As its header, else its name states it."""

    @property
    def uri(self) -> str:
        """Logical address: field and band make it unique, and no folder of this machine is in it."""
        return f"local:{self.field}/{self.band}/{self.path.name}"


class Local(Archive):
    """The files of a profile's `[[local]]` entries.

    Parameters
    ----------
    entries
        As the profile gives them.
    folder
        Folder of the profile: relative paths start there.
    cache
        Folder of the mosaic cache, for `{cache}`.
    digests
        Where digests of files are remembered.
    instrument
        Instrument of the survey: files whose header, or else name, states another are dropped.

    Raises
    ------
    ProfileError
        A path matches no file, several files fit as a noise map, or it is stated for several mosaics (on first use).
    """

    name = "local"

    def __init__(
        self,
        entries: Sequence[LocalMosaics],
        folder: Path,
        cache: Path,
        digests: DigestIndex,
        instrument: str = "NIRCAM",
    ) -> None:
        self._entries = entries
        self._folder = folder
        self._cache = cache
        self._digests = digests
        self._instrument = instrument

    def products(self, query: QueryOptions, bands: Sequence[str]) -> tuple[Product, ...]:
        """List every file as a product, kept or dropped.

        Parameters
        ----------
        query
            Its rules on `productFilename` and `obs_id` hold for files too.
        bands
            Bands of the survey.

        Raises
        ------
        ProfileError
            A path names no file, or no file is kept and the name of one does not tell field and band.
        """
        first: dict[tuple[str, str], _File] = {}
        products: list[Product] = []
        for file in self._files:
            product = _product(file)
            reason = _broken(product, query) or self._another(file) or _reason(file, bands) or _duplicate(file, first)
            products.append(product.replace(outcome="dropped", reason=reason) if reason else product)
        if not any(product.outcome == "kept" for product in products) and (unnamed := _unnamed(self._files)):
            raise ProfileError(unnamed[0])
        return tuple(sorted(products, key=lambda product: (product.uri, product.reason)))

    def faults(self) -> list[str]:
        """Say which paths name no file on this machine, and which files' names do not tell field and band.

        Paths in `{cache}` are left out: a run fills it.
        """
        faults = []
        for number, entry in enumerate(self._entries):
            try:
                faults += _unnamed(self._of(entry, f"local.{number}"))
            except ProfileError as error:
                faults += [] if "{cache}" in str(error) else [str(error)]
        return faults

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        """Look at the file (`Archive.find`); its identity covers its noise map and all that the profile states."""
        file = self._file(mosaic)
        size = state_of(file.path)[0]
        digests = [self._digest(path, cheap=cheap) for path in (file.path, file.err) if path]
        stated = {name: value for name, value in self.stated(mosaic).items() if name != "err_path"}
        beside = [*digests[1:], stated] if file.err or any(stated.values()) else []
        mark = digest_of([digests[0], *beside]) if beside else digests[0]
        return Located(archive=self.name, uri=file.uri, size=size, identity=identity_of(file.uri, size, mark))

    def open(self, mosaic: Mosaic, *, start: int = 0) -> AbstractContextManager[ByteStream]:
        """Open the file (`Archive.open`)."""
        return open_file(self.local_path(mosaic), start)

    def local_path(self, mosaic: Mosaic) -> Path:
        """Path of the file."""
        return self._file(mosaic).path

    def stated(self, mosaic: Mosaic) -> Stated:
        """Noise map, unit and geometry that the profile states."""
        file = self._file(mosaic)
        return {
            "err_path": str(file.err or ""),
            "unit": file.entry.unit,
            "pixel_scale_arcsec": file.entry.pixel_scale_arcsec,
            "centre_ra_deg": file.entry.centre_ra_deg,
            "centre_dec_deg": file.entry.centre_dec_deg,
        }

    @cached_property
    def _files(self) -> list[_File]:
        return [file for number, entry in enumerate(self._entries) for file in self._of(entry, f"local.{number}")]

    @cached_property
    def _by_uri(self) -> dict[str, _File]:
        ours = [file for file in self._files if not self._another(file)]
        return {file.uri: file for file in reversed(ours)}  # the first of two stays

    def _another(self, file: _File) -> str:
        return INSTRUMENT_NOT_WANTED if names_another(file.instrument, self._instrument) else ""

    def _file(self, mosaic: Mosaic) -> _File:
        file = self._by_uri.get(mosaic.product_uri)
        if file is None:
            raise ProductNotFoundError(f"the profile names no file {mosaic.product_uri}")
        return file

    def _digest(self, path: Path, *, cheap: bool) -> str:
        return self._digests.known(path) if cheap else self._digests.digest(path)

    def _of(self, entry: LocalMosaics, key: str) -> list[_File]:
        paths = self._paths(entry.path, f"{key}.path")
        if not paths:
            raise ProfileError(f"{key}.path: no file fits {entry.path!r}")
        err = self._paths(entry.err, f"{key}.err") if entry.err else []
        if entry.err and not err:
            raise ProfileError(f"{key}.err: no file fits {entry.err!r}")
        if len(err) > 1:
            both = f"{len(err)} files fit {entry.err!r}, such as {err[0].name} and {err[1].name}"
            raise ProfileError(f"{key}.err: {both}; one noise map is allowed")
        if err and len(paths) > 1:
            raise ProfileError(f"{key}.err: one noise map for {len(paths)} mosaics; name each in an entry of its own")
        return [_named(path, entry, key, err[0] if err else None) for path in paths]

    def _paths(self, text: str, key: str) -> list[Path]:
        place = expanded(text, key, self._folder).replace("{cache}", str(self._cache))
        return files_at(self._folder / place)


def _named(path: Path, entry: LocalMosaics, key: str, err: Path | None) -> _File:
    """Read field and band: stated, else by the pattern, else by the archives' rules."""
    field, band = _told(path, entry)
    instrument = _instrument(path, state_of(path)) or instrument_in(path.name)
    return _File(path, entry, key, err, entry.field or field, entry.band or band, instrument)


def _told(path: Path, entry: LocalMosaics) -> tuple[str, str]:
    """Field and band as the name tells them; empty where it does not."""
    if entry.pattern:
        groups = _groups(path, entry)
        return groups.get("field") or "", band_of(groups.get("band") or "")
    name = parse_obs_id(_obs_id(path))
    return (name.field, name.band) if name else ("", "")


def _groups(path: Path, entry: LocalMosaics) -> dict[str, str | None]:
    found = re.search(entry.pattern, path.name)
    return found.groupdict() if found else {}


def _unnamed(files: Sequence[_File]) -> list[str]:
    """Say what the name of the first file lacks, if any lacks field or band."""
    return [_lacking(file) for file in files if not (file.field and file.band)][:1]


def _lacking(file: _File) -> str:
    """Say what the name of a file does not tell, and how it can be told."""
    name, groups = file.path.name, _groups(file.path, file.entry)
    lacks = [group for group in ("field", "band") if not getattr(file, group)]
    if not file.entry.pattern:
        why = f"{name!r} follows no naming rule of the archives, no {' and no '.join(lacks)} is known"
    elif not groups:
        why = f"{file.entry.pattern!r} is not found in {name!r}, or has no groups; needed: {', '.join(lacks)}"
    else:
        found = (f"{group} is {groups[group]!r}" if groups.get(group) else f"no group {group}" for group in lacks)
        why = f"{file.entry.pattern!r} on {name!r}: {', '.join(found)}"
    cure = "local[].pattern needs the groups field and band (one of NIRCam's), or state local[].field and local[].band"
    return f"{file.key}.pattern: {why}; {cure}"


@lru_cache(maxsize=1 << 14)
def _instrument(path: Path, _state: tuple[int, int, int]) -> str:
    return instrument_of(path)


def _obs_id(path: Path) -> str:
    return _PRODUCT.sub("", _ENDINGS.sub("", path.name))


def _product(file: _File) -> Product:
    return Product(
        uri=file.uri,
        filename=file.path.name,
        obs_id=_obs_id(file.path),
        collection="LOCAL",
        size=state_of(file.path)[0],
        field=file.field,
        band=file.band,
        instrument=file.instrument,
    )


def _broken(product: Product, query: QueryOptions) -> str:
    row = {"productFilename": product.filename, "obs_id": product.obs_id}
    return broken_rule(row, query)


def _duplicate(file: _File, first: dict[tuple[str, str], _File]) -> str:
    """Keep the first file of a field's band."""
    winner = first.setdefault((file.field, file.band), file)
    return "" if winner is file else f"duplicate_of:{winner.uri}"


def _reason(file: _File, bands: Sequence[str]) -> str:
    if not file.field or not file.band:
        return "no_field_or_band"
    try:
        safe_name(file.field)
        tidy_name(file.path.name)
    except NameRefusedError:
        return "bad_name"
    if _ENDINGS.search(file.path.name) is None:
        return "not_fits"
    return "" if file.band in bands else "band_not_wanted"
