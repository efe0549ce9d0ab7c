"""The observatory's public bucket, read anonymously with s3fs.

A mosaic's key follows from its name; the bucket is asked for that one object, and never listed. Reads are ranges of one
ETag, so that two versions never mix. The clients' own retries are off: the one retry layer is above.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from gzjwst_core.archives.base import Archive, ByteStream, Located, identity_of
from gzjwst_core.errors import ArchiveError, ArchiveRefusedError, ArchiveUnavailableError, ProductNotFoundError
from gzjwst_core.models import Mosaic
from gzjwst_core.names import parse_obs_id, safe_name
from gzjwst_core.options import ArchiveOptions

__all__ = ["S3", "bucket_key"]

T = TypeVar("T")

_BLOCK = 16 << 20
_HLSP = "mast:HLSP/"


class S3(Archive):
    """The bucket, by default `stpubdata`.

    Parameters
    ----------
    options
        Bucket, region and time limits. The endpoint is boto's own setting, `AWS_ENDPOINT_URL_S3`.
    """

    name = "s3"

    def __init__(self, options: ArchiveOptions) -> None:
        self._options = options

    @cached_property
    def _fs(self) -> Any:
        from s3fs import S3FileSystem  # noqa: PLC0415 - a run that has all it needs never pays for this import

        once = {"total_max_attempts": 1, "mode": "standard"}
        limits = {"connect_timeout": self._options.connect_timeout_s, "read_timeout": self._options.read_timeout_s}
        fs = S3FileSystem(
            anon=True,
            client_kwargs={"region_name": self._options.s3_region},
            config_kwargs={"retries": once, **limits},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        fs.retries = 1
        return fs

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:  # noqa: ARG002  # a HEAD is always cheap
        """Ask for the one object that the mosaic's name leads to (`Archive.find`)."""
        key = bucket_key(mosaic)
        bucket = self._options.s3_bucket
        head = _asked(mosaic.filename, lambda: self._fs.call_s3("head_object", Bucket=bucket, Key=key))
        uri, size = f"s3://{bucket}/{key}", int(head["ContentLength"])
        return Located(archive=self.name, uri=uri, size=size, identity=identity_of(uri, size, _etag(head)))

    @contextmanager
    def open(self, mosaic: Mosaic) -> Iterator[ByteStream]:
        """Open the object; its ETag must still be the located one's."""
        file = _asked(mosaic.filename, lambda: self._fs.open(mosaic.uri, "rb", block_size=_BLOCK))
        with file:
            if identity_of(mosaic.uri, int(file.size), _etag(file.details)) != mosaic.identity:
                raise ArchiveUnavailableError(f"S3: {mosaic.filename}: changed since it was located", reason="changed")
            yield _Reader(file, mosaic.filename)


class _Reader:
    """A file of s3fs whose errors are ours."""

    def __init__(self, file: Any, what: str) -> None:
        self._file = file
        self._what = what

    def read(self, size: int, /) -> bytes:
        return _asked(self._what, lambda: bytes(self._file.read(size)))


def bucket_key(mosaic: Mosaic) -> str:
    """Return the key under which the bucket would hold a mosaic.

    Parameters
    ----------
    mosaic
        The observatory's level-3 product, or a team's (HLSP).

    Raises
    ------
    ProductNotFoundError
        Its name follows neither rule of the bucket (`no_key`).

    Notes
    -----
    `jwst/public/jwPPPPP/L3/t/<AC_ID>/<file>` for level 3; teams' products keep their path of MAST under `mast/hlsp/`.
    """
    if mosaic.product_uri.startswith(_HLSP):
        path = mosaic.product_uri.removeprefix(_HLSP)
        return "/".join(["mast", "hlsp", *map(safe_name, path.split("/"))])
    name = parse_obs_id(mosaic.obs_id)
    if name is None or not name.program:
        raise ProductNotFoundError(f"S3: no key is known for {mosaic.obs_id}", reason="no_key")
    return f"jwst/public/jw{name.program}/L3/t/{name.association}/{safe_name(mosaic.filename)}"


def _etag(head: Any) -> str:
    return str(head.get("ETag", "")).strip('"')


def _asked(what: str, call: Callable[[], T]) -> T:
    """Call s3fs; whatever goes wrong is an error of our tree."""
    import aiohttp  # noqa: PLC0415 - with s3fs
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs

    try:
        return call()
    except ArchiveError:
        raise
    except (OSError, BotoCoreError, ClientError, aiohttp.ClientError) as error:
        _raise_ours(error, what)


def _raise_ours(error: Exception, what: str) -> NoReturn:
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        raise ProductNotFoundError(f"S3: {what}: no such object") from None
    if isinstance(error, PermissionError) or status == 403:
        # to anonymous readers the bucket says this of objects that are not there, too
        raise ProductNotFoundError(f"S3: {what}: no such object, or not public (HTTP 403)") from None
    if status == 412:
        raise ArchiveUnavailableError(f"S3: {what}: changed while it was read", reason="changed") from None
    if 300 <= status < 500 and status != 429:
        raise ArchiveRefusedError(f"S3: {what}: HTTP {status}") from None
    raise ArchiveUnavailableError(f"S3: {what}: {type(error).__name__}" + (f" (HTTP {status})" if status else ""))


def _status(error: Exception) -> int:
    """HTTP status behind an error of s3fs, 0 if there was no answer."""
    for cause in (error, error.__cause__):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return 0
