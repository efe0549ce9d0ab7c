"""Mosaics that a profile gives as files: paths and globs become products and one more archive, `local`.

No archive is asked. Field and band are stated, or read from the file's name by the profile's pattern or the archives'
own rules. A plain file is read where it lies; a gzipped one passes through the cache as any other.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gzjwst_core.archives.base import Archive, ByteStream, Located, Stated, identity_of
from gzjwst_core.archives.digests import DigestIndex
from gzjwst_core.archives.mounted import open_file, state_of
from gzjwst_core.archives.rules import broken_rule
from gzjwst_core.errors import NameRefusedError, ProductNotFoundError, ProfileError
from gzjwst_core.models import Mosaic, Product, digest_of
from gzjwst_core.names import parse_obs_id, parse_with_pattern, safe_name
from gzjwst_core.options import LocalMosaics, QueryOptions
from gzjwst_core.paths import expanded, files_at

__all__ = ["Local"]

_ENDINGS = re.compile(r"\.fits(\.gz)?\Z")
_PRODUCT = re.compile(r"_(i2d|drz|sci)\Z")


@dataclass(frozen=True)
class _File:
    path: Path
    entry: LocalMosaics
    err: Path | None
    field: str
    band: str

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

    Raises
    ------
    ProfileError
        A path matches no file, or a noise map is stated for more than one mosaic (on first use).
    """

    name = "local"

    def __init__(self, entries: Sequence[LocalMosaics], folder: Path, cache: Path, digests: DigestIndex) -> None:
        self._entries = entries
        self._folder = folder
        self._cache = cache
        self._digests = digests

    def products(self, query: QueryOptions, bands: Sequence[str]) -> tuple[Product, ...]:
        """List every file as a product, kept or dropped.

        Parameters
        ----------
        query
            Its rules on `productFilename` and `obs_id` hold for files too.
        bands
            Bands of the survey.
        """
        first: dict[tuple[str, str], _File] = {}
        products: list[Product] = []
        for file in self._files:
            product = _product(file)
            reason = _broken(product, query) or _reason(file, bands) or _duplicate(file, first)
            products.append(product.replace(outcome="dropped", reason=reason) if reason else product)
        return tuple(sorted(products, key=lambda product: (product.uri, product.reason)))

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
        return {file.uri: file for file in reversed(self._files)}  # the first of two stays

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
        err = self._paths(entry.err, f"{key}.err")[:1] if entry.err else []
        if entry.err and not err:
            raise ProfileError(f"{key}.err: no file fits {entry.err!r}")
        if err and len(paths) > 1:
            raise ProfileError(f"{key}.err: one noise map for {len(paths)} mosaics; name each in an entry of its own")
        return [_named(path, entry, err[0] if err else None) for path in paths]

    def _paths(self, text: str, key: str) -> list[Path]:
        place = expanded(text, key, self._folder).replace("{cache}", str(self._cache))
        return files_at(self._folder / place)


def _named(path: Path, entry: LocalMosaics, err: Path | None) -> _File:
    """Read field and band: stated, else by the pattern, else by the archives' rules."""
    name = parse_with_pattern(path.name, entry.pattern) if entry.pattern else parse_obs_id(_obs_id(path))
    field = entry.field or (name.field if name else "")
    return _File(path, entry, err, field, entry.band or (name.band if name else ""))


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
        safe_name(file.path.name)
    except NameRefusedError:
        return "bad_name"
    if _ENDINGS.search(file.path.name) is None:
        return "not_fits"
    return "" if file.band in bands else "band_not_wanted"
