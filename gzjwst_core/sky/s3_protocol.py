"""What an anonymous, read-only S3 bucket answers: objects, listings and errors, as values.

Path-style addresses over a folder `bucket/<name>/<key>`: HEAD and GET of objects, HEAD of buckets, ListObjectsV2. What
is not public is refused, as the real one does. Ranges and conditions are those of `replies`.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from gzjwst_core.sky.replies import Content, FileContent, MemoryContent, Reply, content_reply, whole

__all__ = ["ERRORS", "Bucket", "list_objects", "object_reply", "refusal"]

_MAX_KEYS = 1000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
ERRORS = {
    "AccessDenied": (403, "Access Denied"),
    "ExpiredToken": (400, "The provided token has expired."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not exist in our records."),
    "InvalidArgument": (400, "The continuation token provided is incorrect"),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "PermanentRedirect": (
        301,
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
    ),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "RequestTimeout": (400, "Your socket connection to the server was not read from or written to in time."),
    "SlowDown": (503, "Please reduce your request rate."),
}
"""Status and message of the errors that a bucket has for readers, by their code."""
_REFUSALS = {412: "PreconditionFailed", 416: "InvalidRange"}


@dataclass(frozen=True)
class Bucket:
    """A folder seen as a bucket: keys are the paths of its files."""

    name: str
    folder: Path

    def file(self, key: str) -> Path | None:
        """Return the file of a key, or None where there is none or the key leaves the folder."""
        path = self.folder / key
        outside = "\0" in key or ".." in Path(key).parts or key.endswith("/") or Path(key).is_absolute()
        return path if not outside and path.is_file() else None

    def keys(self) -> list[str]:
        """Return all keys in the order S3 lists them: by their UTF-8 bytes."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted((path.relative_to(self.folder).as_posix() for path in files), key=str.encode)


def object_reply(
    bucket: Bucket, key: str, asked: Mapping[str, str], version: Callable[[Content], Content] = lambda content: content
) -> Reply:
    """Answer GET or HEAD of one object.

    Parameters
    ----------
    bucket
        Where it is.
    key
        Its key, decoded.
    asked
        Request headers, names in lower case.
    version
        Which version of the object is held.

    Returns
    -------
    Reply
        200, 206, 304, 404 `NoSuchKey`, 412 or 416.
    """
    path = bucket.file(key)
    if path is None:
        return refusal("NoSuchKey", key)
    return content_reply(
        version(FileContent(path)),
        asked,
        content_type="binary/octet-stream",
        refuse=lambda status: refusal(_REFUSALS[status], key),
    )


def list_objects(bucket: Bucket, query: Mapping[str, str]) -> Reply:
    """Answer ListObjectsV2.

    Parameters
    ----------
    bucket
        What is listed.
    query
        `prefix`, `delimiter`, `max-keys`, `continuation-token`, `start-after`, `encoding-type`; others are ignored.

    Returns
    -------
    Reply
        One page of `Contents` and `CommonPrefixes` in one order, at most 1000; 400 for a token that is not ours.
    """
    try:
        after = _from_token(query.get("continuation-token", ""))
        limit = min(_MAX_KEYS, int(query.get("max-keys", _MAX_KEYS)))
    except ValueError:
        return refusal("InvalidArgument", bucket.name)
    entries = _entries(bucket.keys(), query.get("prefix", ""), query.get("delimiter", ""), query.get("start-after", ""))
    page = list(islice((entry for entry in entries if entry.encode() > after.encode()), limit + 1))
    return whole(MemoryContent(_listing_xml(bucket, query, page, limit).encode()), "application/xml")


def _entries(keys: Iterable[str], prefix: str, delimiter: str, start_after: str) -> Iterator[str]:
    """Yield keys, and once each the prefixes that stand for all keys below them, in order."""
    last = None
    for key in keys:
        if not key.startswith(prefix) or key.encode() <= start_after.encode():
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        entry = prefix + head + found if found else key
        if entry != last:
            yield entry
        last = entry


def _listing_xml(bucket: Bucket, query: Mapping[str, str], page: list[str], limit: int) -> str:
    shown, more = page[:limit], len(page) > limit
    delimiter, urls = query.get("delimiter", ""), query.get("encoding-type") == "url"
    parts = [
        _tag("Name", bucket.name),
        _tag("Prefix", _name(query.get("prefix", ""), urls=urls)),
        _tag("MaxKeys", limit),
        _tag("KeyCount", len(shown)),
        _tag("IsTruncated", str(more and bool(shown)).lower()),
        _tag("Delimiter", _name(delimiter, urls=urls)) if delimiter else "",
        _tag("EncodingType", "url") if urls else "",
        _tag("NextContinuationToken", _to_token(shown[-1])) if more and shown else "",
        *(_entry_xml(bucket, entry, urls=urls, delimiter=delimiter) for entry in shown),
    ]
    return _document("ListBucketResult", "".join(parts), namespace=_NAMESPACE)


def _entry_xml(bucket: Bucket, entry: str, *, urls: bool, delimiter: str) -> str:
    name = _name(entry, urls=urls)
    if delimiter and entry.endswith(delimiter):
        return f"<CommonPrefixes>{_tag('Prefix', name)}</CommonPrefixes>"
    content = FileContent(bucket.folder / entry)
    facts = _tag("Key", name) + _tag("LastModified", "2026-01-01T00:00:00.000Z") + _tag("ETag", content.etag)
    return f"<Contents>{facts}{_tag('Size', content.size)}{_tag('StorageClass', 'STANDARD')}</Contents>"


def refusal(code: str, resource: str) -> Reply:
    """Answer with one of `ERRORS`, about a bucket, a key or an address."""
    status, message = ERRORS[code]
    body = _document("Error", _tag("Code", code) + _tag("Message", message) + _tag("Resource", resource))
    return whole(MemoryContent(body.encode()), "application/xml", status)


def _document(root: str, inner: str, namespace: str = "") -> str:
    opening = f'{root} xmlns="{namespace}"' if namespace else root
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{opening}>{inner}</{root}>'


def _tag(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def _name(text: str, *, urls: bool) -> str:
    return quote(text, safe="/") if urls else text


def _to_token(entry: str) -> str:
    return base64.urlsafe_b64encode(entry.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(token) from error
