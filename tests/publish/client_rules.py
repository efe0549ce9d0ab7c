"""How panoptes-cli 1.2 reads a manifest, restated: what the default suite can assert without the client.

The tools' tests run the client itself on the same manifests, and must end the same.
"""

import csv
import mimetypes
from pathlib import Path

ALLOWED = {"image/jpeg", "image/png", "image/gif", "image/svg+xml", "audio/mpeg", "video/mp4", "audio/mp4",
           "video/mpeg", "text/plain", "application/json"}  # fmt: skip
MOST = 1024 * 1024

Subject = tuple[list[Path], dict[str, str]]


class RefusedError(Exception):
    """Nothing is uploaded."""


def read(manifest: Path, column: int | None) -> list[Subject]:
    """Media and metadata of each row; `column` counts from 1, None = guess from the first row."""
    try:
        with manifest.open(encoding="utf-8") as file:
            rows = csv.reader(file, skipinitialspace=True)
            header = [name.lstrip("%") for name in next(rows)]
            columns = [] if column is None else [column]
            subjects = [_subject(manifest.parent, header, row, columns) for row in rows]
    except (UnicodeDecodeError, StopIteration, IndexError) as error:
        raise RefusedError(type(error).__name__) from error
    if not subjects:
        raise RefusedError("no rows")
    return subjects


def _subject(folder: Path, header: list[str], row: list[str], columns: list[int]) -> Subject:
    if not columns:
        columns += [place for place, cell in enumerate(row, start=1) if (folder / cell).exists()]
    media = [folder / row[place - 1] for place in columns]
    for path in media:
        if not path.is_file() or not 0 < path.stat().st_size <= MOST:
            raise RefusedError(f"{path}: missing, empty or too large")
        if mimetypes.guess_type(path)[0] not in ALLOWED:
            raise RefusedError(f"{path}: its kind")
    if not media:
        raise RefusedError("no files in a row")
    return media, dict(zip(header, row, strict=False))


def outcome(manifest: Path, column: int | None, columns: int) -> str:
    """Say `taken`, `refused`, or `wrong`: not one medium a row, or not every cell of `columns`."""
    try:
        subjects = read(manifest, column)
    except RefusedError:
        return "refused"
    right = all(len(media) == 1 and len(cells) == columns and "file_name" in cells for media, cells in subjects)
    return "taken" if right else "wrong"
