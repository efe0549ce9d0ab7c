"""What Zooniverse, or its upload client, would refuse of a manifest, and what would go wrong without being refused.

Bytes and a look-up of files in, findings out; `zooniverse_verbs` opens the files. The limits are those of panoptes-cli
1.2 and of its client library; that both agree with these checks is tested with the client itself.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

from gzjwst_core.names import is_id_str
from gzjwst_core.zooniverse.manifests import runs_in_spreadsheets

__all__ = ["MOST_IN_A_SET", "Checked", "Finding", "Media", "check_manifests"]

MOST_BYTES = 1024 * 1024
"""panoptes-cli refuses larger files."""
_MUCH_BYTES = 600_000
_MANY_ROWS = 2000
MOST_IN_A_SET = 10_000
"""What an account may upload, unless Zooniverse gave it more."""
_ALLOWED = {"jpg", "jpeg", "png", "gif", "svg", "mp3", "mp4", "m4a", "mpeg", "txt", "json"}
_STARTS = {"jpg": b"\xff\xd8\xff", "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF8"}
_ENDS = {"jpg": b"\xff\xd9", "jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82", "gif": b";"}
_HEADER = re.compile(r"%?(#|!|//)?[A-Za-z][ -~]*\Z", re.ASCII)


class Finding(NamedTuple):
    """One fault of a manifest."""

    file: str
    row: int
    """As a spreadsheet counts: the header is row 1; 0 = the whole file."""
    column: str
    kind: str
    """Stable code."""
    said: str
    refused: bool = True
    """False: a warning."""


@dataclass(frozen=True, slots=True)
class Media:
    """What stands at a path."""

    size: int
    head: bytes
    """First 16 bytes at least, if it has them."""
    tail: bytes
    """Last 16 bytes at least."""
    is_file: bool = True


Look = Callable[[str, str], Media | None]
"""By manifest's name and cell: what stands there, seen from the manifest's folder; None = nothing."""


@dataclass
class Checked:
    """What was found."""

    findings: list[Finding] = field(default_factory=list)
    subjects: dict[str, int] = field(default_factory=dict)
    """Rows by manifest."""

    @property
    def refused(self) -> int:
        """How many findings are more than a warning."""
        return sum(one.refused for one in self.findings)


@dataclass
class _Seen:
    """Where an id_str or a file stood first, over all manifests."""

    names: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def check_manifests(
    manifests: Mapping[str, bytes],
    look: Look,
    failing: Mapping[str, str] | None = None,
    uploaded: Collection[str] = frozenset(),
) -> Checked:
    """Check manifests that shall be uploaded together.

    Parameters
    ----------
    manifests
        Bytes by name.
    look
        Finds what a cell names.
    failing
        Why an image fails its quality checks, by id_str.
    uploaded
        id_str of subjects that Zooniverse has: a second upload would double them.

    Returns
    -------
    Checked
        Findings in the order of files and rows.
    """
    checked, seen = Checked(), _Seen()
    for name, data in manifests.items():
        table = _Table(name, look, seen, failing or {}, uploaded)
        checked.findings += table.check(data)
        checked.subjects[name] = table.rows
    total = sum(checked.subjects.values())
    if total > MOST_IN_A_SET:
        said = f"{total} subjects: an account may upload {MOST_IN_A_SET}, unless Zooniverse allowed more"
        checked.findings.append(Finding(f"{len(manifests)} manifests", 0, "", "many_subjects", said, refused=False))
    return checked


@dataclass
class _Table:
    """One manifest under check."""

    name: str
    look: Look
    seen: _Seen
    failing: Mapping[str, str]
    uploaded: Collection[str]
    rows: int = 0

    def check(self, data: bytes) -> Iterator[Finding]:
        if not self.name.endswith(".csv"):
            yield self._whole("not_csv_name", "its name must end in .csv")
        text = _decoded(data)
        if text is None or text.startswith("\ufeff"):
            yield self._whole("encoding", "it must be UTF-8 without a byte order mark (a spreadsheet may have put it)")
            return
        if not text.isascii():
            yield self._whole("not_ascii", "characters that are not ASCII read as other ones elsewhere", refused=False)
        try:
            # as the client reads it, which skips blanks before a cell
            header, *rows = list(csv.reader(io.StringIO(text, newline=None), skipinitialspace=True)) or [[]]
        except csv.Error as error:
            yield self._whole("not_csv", f"it is no CSV: {error}")
            return
        yield from self._table(header, rows)

    def _table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Finding]:
        self.rows = len(rows)
        if not header:
            yield self._whole("no_header", "its first line must name the columns")
            return
        yield from self._header(header)
        if not rows:
            yield self._whole("no_rows", "it has no rows")
        if len(rows) > _MANY_ROWS:
            said = f"{len(rows)} rows: uploads of more than {_MANY_ROWS} tend to break (publish.manifest_rows: 1000)"
            yield self._whole("many_rows", said, refused=False)
        for number, row in enumerate(rows, start=2):
            yield from self._row(number, header, row)

    def _header(self, header: Sequence[str]) -> Iterator[Finding]:
        if "id_str" not in header:
            yield Finding(self.name, 1, "id_str", "no_column", "there is no such column (cells end at commas)")
        # the client takes % off: what is left must differ
        names = [name.lstrip("%") for name in header]
        for place, name in enumerate(header):
            if not _HEADER.match(name):
                said = f"{name[:40]!r} must begin with a letter, or with one of # ! % // and a letter"
                yield Finding(self.name, 1, f"{place + 1}", "bad_column", said)
            elif names[place] in names[:place]:
                yield Finding(self.name, 1, name, "double_column", "this column is there twice: one of them is lost")

    def _row(self, number: int, header: Sequence[str], row: Sequence[str]) -> Iterator[Finding]:
        if len(row) != len(header):
            said = f"{len(row)} cells, the header has {len(header)}"
            yield Finding(self.name, number, "", "ragged", said)
            return
        cells = dict(zip(header, row, strict=True))
        for column, cell in cells.items():
            if not cell.strip():
                yield Finding(self.name, number, column, "empty_cell", "it is empty: the client takes it for a folder")
            elif runs_in_spreadsheets(cell):
                said = f"{cell[:60]!r} begins like a formula: a spreadsheet runs it (not with an apostrophe before)"
                yield Finding(self.name, number, column, "formula", said, refused=False)
        yield from self._media(number, header[0], row[0])
        yield from self._others(number, header, row)
        if "id_str" in cells:
            yield from self._id(number, cells["id_str"])

    def _media(self, number: int, column: str, cell: str) -> Iterator[Finding]:
        faults = _media_faults(cell, self.look(self.name, cell))
        yield from (Finding(self.name, number, column, kind, said, bad) for kind, said, bad in faults)
        first = self.seen.files.setdefault(_resolved(self.name, cell), f"{self.name} row {number}")
        if first != f"{self.name} row {number}":
            yield Finding(self.name, number, column, "double_file", f"{cell} is in {first} too")

    def _others(self, number: int, header: Sequence[str], row: Sequence[str]) -> Iterator[Finding]:
        for column, cell in zip(header[1:], row[1:], strict=True):
            if cell.strip() and self.look(self.name, cell) is not None:
                said = f"{cell[:60]!r} names something that is there: the client may upload it as a second medium"
                yield Finding(self.name, number, column, "second_medium", said)

    def _id(self, number: int, name: str) -> Iterator[Finding]:
        if not is_id_str(name):
            yield Finding(self.name, number, "id_str", "not_ours", f"{name[:60]!r} is no name that we give")
        elif name in self.failing:
            said = f"{name} fails its quality checks: {self.failing[name]}"
            yield Finding(self.name, number, "id_str", "bad_quality", said)
        elif name in self.uploaded:
            said = f"{name} was uploaded: it would be there twice (zooniverse new writes what is new)"
            yield Finding(self.name, number, "id_str", "already_uploaded", said)
        first = self.seen.names.setdefault(name, f"{self.name} row {number}")
        if first != f"{self.name} row {number}":
            yield Finding(self.name, number, "id_str", "double_id", f"{name[:60]} is in {first} too")

    def _whole(self, kind: str, said: str, *, refused: bool = True) -> Finding:
        return Finding(self.name, 0, "", kind, said, refused)


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _resolved(manifest: str, cell: str) -> str:
    """Path of a cell without detours, as text: the same file has the same one."""
    parts: list[str] = []
    for part in (*PurePath(manifest).parent.parts, *PurePath(cell).parts):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _media_faults(cell: str, media: Media | None) -> Iterator[tuple[str, str, bool]]:
    """Yield code, sentence, and whether it would be refused."""
    shown, suffix = cell[:120], PurePath(cell).suffix.lower()[1:]
    if media is None or not media.is_file:
        yield "missing", f"{shown} is not there (seen from the manifest's folder)", True
    elif media.size == 0:
        yield "empty_file", f"{shown} is empty", True
    elif media.size > MOST_BYTES:
        yield "too_large", f"{shown} has {media.size} bytes (at most {MOST_BYTES}, better {_MUCH_BYTES})", True
    elif suffix not in _ALLOWED:
        yield "bad_type", f"{shown}: a file may be one of {', '.join(sorted(_ALLOWED))}", True
    elif not media.head.startswith(_STARTS.get(suffix, b"")):
        yield "bad_content", f"{shown} does not hold what its name says", True
    elif not media.tail.endswith(_ENDS.get(suffix, b"")):
        yield "cut_off", f"{shown} has no end: it is cut off", True
    elif media.size > _MUCH_BYTES:
        yield "large", f"{shown} has {media.size} bytes: slow for volunteers (better below {_MUCH_BYTES})", False
