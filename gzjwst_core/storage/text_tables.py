"""Tables of text that others made: CSV, TSV, columns between blanks, SExtractor's ASCII_HEAD. Every value stays text.

What a value means is its reader's business: numbers that were guessed here would cost identifiers their leading zeros.
"""

import codecs
import csv
import gzip
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from astropy.io.ascii.sextractor import SExtractorHeader
from astropy.table import Column, Table

from gzjwst_core.errors import CatalogError
from gzjwst_core.storage.atomic import storage_error

__all__ = ["bare_name", "read_text_table", "text_lines"]

_log = logging.getLogger(__name__)

_BLANKS = " "
_UNIT_IN_NAME = re.compile(r"\s*\[[^][]*\]$")
_SEXTRACTOR = re.compile(r"#\s*1\s+[A-Za-z_]\w*")
_RULE = re.compile(r"[-+|,;\s]*---[-+|,;\s]*")
_NUMBER = re.compile(r"[-+.]*\d|nan\Z|-+\Z", re.IGNORECASE)
_SURE = 2
"""A line with so many of the wanted names is a header."""


class _Header(NamedTuple):
    names: list[str]
    units: list[str]
    delimiter: str
    """`_BLANKS` stands for any number of blanks."""


def bare_name(name: str) -> str:
    """Return the name of a column without what is no part of it: a unit behind it, a mark of the file before it.

    `ra [deg]` is `ra`, and so are `#ra` and `ra` after a byte order mark, wherever these were kept from a text.
    """
    return _UNIT_IN_NAME.sub("", "".join(filter(str.isprintable, name))).lstrip("# ").rstrip()


@contextmanager
def text_lines(path: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file: UTF-8 or Latin-1, UTF-16 with its mark, any line ends, `.gz` or not.

    Raises
    ------
    CatalogError
        There is a NUL byte (names the line), or the compressed data are damaged.
    StorageError
        The file cannot be read.
    """
    try:
        with _binary(path) as raw, TextIOWrapper(raw, encoding=_encoding(path)) as file:
            yield _without_nul(file, path)
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: not a text that can be read: {error}") from error
    except OSError as error:
        raise storage_error(error, path) from error


def read_text_table(path: Path, wanted: Callable[[str], bool]) -> tuple[Table, list[str]]:
    """Read a table whose header is its first line, or a comment (`#`) before its first row.

    Parameters
    ----------
    path
        Values stand between commas, semicolons, tabs, bars or blanks, as the header's do.
    wanted
        Tells of a column's name whether it is to be read; the others stay out of memory.

    Returns
    -------
    table
        Columns of text, empty where there is none; `unit` where SExtractor's comments state it, or a line of units
        above a line of dashes (VizieR).
    names
        Of all columns.

    Raises
    ------
    CatalogError
        A column that is wanted is there twice, a row does not fit the header (names it), quotes are open.
    StorageError
        The file cannot be read.
    """
    with text_lines(path) as lines:
        header, rest = _header(lines, wanted)
        if not header.names:
            raise CatalogError(f"{path}: there is no line with the names of columns")
        kept = {name: n for n, name in enumerate(header.names) if wanted(bare_name(name))}
        double = [name for name in kept if header.names.count(name) > 1]
        if double:
            raise CatalogError(f"{path}: column {double[0]} is there twice")
        values: dict[str, list[str]] = {name: [] for name in kept}
        try:
            for fields in _rows(rest, header, path):
                for name, n in kept.items():
                    values[name].append(fields[n].strip())
        except csv.Error as error:
            raise CatalogError(f"{path}: cannot be read as a table of text: {error}") from error
    made = [Column(values[name], name=name, dtype=str, unit=header.units[n] or None) for name, n in kept.items()]
    return Table(made, copy=False), header.names


# ---------------------------------------------------------------- lines


def _binary(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _encoding(path: Path) -> str:
    """Tell UTF-16 by its mark, and what is no UTF-8 as Latin-1."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _binary(path) as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            for chunk in iter(partial(file.read, 1 << 20), b""):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            _log.info("%s is no UTF-8: it is read as Latin-1", path)
            return "latin-1"
    return "utf-8-sig"


def _without_nul(lines: Iterator[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise CatalogError(f"{path}: line {number} holds a NUL byte, which no text has (UTF-16 without its mark?)")
        yield line


# ---------------------------------------------------------------- header


def _header(lines: Iterator[str], wanted: Callable[[str], bool]) -> tuple[_Header, Iterator[str]]:
    """Find the header, and the lines of data after it."""
    comments: list[str] = []
    first = ""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            first = line
            break
        comments += [line] if line.strip() else []
    rest = chain([first], lines)
    if any(_SEXTRACTOR.match(line) for line in comments):
        found = SExtractorHeader()
        found.get_cols([*comments, first] if first else comments)
        return _Header([one.name or "" for one in found.cols], [one.unit or "" for one in found.cols], _BLANKS), rest
    for text in [] if _count(first, wanted) >= _SURE else reversed(comments):
        names = _fields(text.lstrip("#"), own := _delimiter(text))
        fitting = [way for way in (own, _delimiter(first)) if len(_fields(first, way)) == len(names) or not first]
        if fitting and _count(text.lstrip("#"), wanted) >= _SURE:
            return _with_units(names, fitting[0], rest)
    return _with_units(_fields(first, _delimiter(first)), _delimiter(first), lines)


def _count(text: str, wanted: Callable[[str], bool]) -> int:
    return sum(wanted(bare_name(name)) for name in _fields(text, _delimiter(text)))


def _with_units(names: list[str], delimiter: str, rest: Iterator[str]) -> tuple[_Header, Iterator[str]]:
    """Take units from a line of them above a line of dashes."""
    units = [""] * len(names)
    peeked = list(islice(rest, 2))
    rules = [_RULE.fullmatch(line.strip()) is not None for line in peeked]
    if rules == [False, True]:
        stated = _fields(peeked[0], delimiter)
        units = [*stated, *[""] * (len(names) - len(stated))]
    kept = peeked[1:] if rules[:1] == [True] else [] if rules[1:] == [True] else peeked
    return _Header(names, units, delimiter), chain(kept, rest)


def _delimiter(text: str) -> str:
    most = max(",;\t|", key=text.count)
    return most if most in text else _BLANKS


def _fields(text: str, delimiter: str) -> list[str]:
    row = next(csv.reader([_spaced(text, delimiter)], delimiter=delimiter, skipinitialspace=True), [])
    return [field.strip() for field in row]


# ---------------------------------------------------------------- rows


def _spaced(line: str, delimiter: str) -> str:
    return line.expandtabs(1).strip() if delimiter == _BLANKS else line


def _rows(lines: Iterator[str], header: _Header, path: Path) -> Iterator[list[str]]:
    """Yield rows that have any value, as long as the header."""
    width, delimiter = len(header.names), header.delimiter
    plain = (_spaced(line, delimiter) for line in _uncommented(lines, header, path))
    row = 0
    for fields in csv.reader(plain, delimiter=delimiter, skipinitialspace=True, strict=True):
        if not any(field.strip() for field in fields):
            continue
        row += 1
        short = len(fields) < width and delimiter == _BLANKS  # whose value is missing, no one can tell
        if short or any(field.strip() for field in fields[width:]):
            raise CatalogError(f"{path}: row {row} has {len(fields)} values, the header {width} names")
        yield fields + [""] * (width - len(fields))


def _uncommented(lines: Iterator[str], header: _Header, path: Path) -> Iterator[str]:
    last = ""
    for line in lines:
        if not line.startswith("#"):
            last = line if line.strip() else last
            yield line
        elif _may_be_row(line, last, header):
            raise CatalogError(f"{path}: {line.strip()!r} may be a comment or a row (quote a value that begins with #)")


def _may_be_row(line: str, last: str, header: _Header) -> bool:
    """Tell whether a comment has as many fields as a row; between blanks, numbers where the row before it has them."""
    if header.delimiter != _BLANKS:
        return len(_fields(line, header.delimiter)) == len(header.names)
    row, found = ([_NUMBER.match(text) for text in _fields(one, _BLANKS)] for one in (last, line.lstrip("#")))
    return any(row) and len(row) == len(found) and all(new or not old for old, new in zip(row, found, strict=True))
