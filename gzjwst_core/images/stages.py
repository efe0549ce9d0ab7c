"""Colouring as a stage of a run: one chunk of images for each chunk of cutouts; reads cutouts only."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite, nan
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.engine import cpu_map
from gzjwst_core.images.paint import Facts, paint_cutout
from gzjwst_core.models import Outcome, Output, Receipt, Work
from gzjwst_core.options import ImageOptions
from gzjwst_core.publish.rows import ImageRecord
from gzjwst_core.run import Run
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.receipts import Done, complete, receipt_path

__all__ = ["IMAGES", "measures_of", "paint_chunk", "plan", "records_of"]

IMAGES, _VERSION = "images", "1"
_BATCH = 100


def plan(run: Run, cut: Done) -> Work:
    """Say what a chunk of images is made from: its cutouts, and the colour recipe with its pins."""
    return Work(
        stage=IMAGES,
        version=_VERSION,
        unit=cut.unit,
        inputs={"cutouts": cut.key, "files": cut.files},
        options=run.profile.images.digest(),
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Cutouts that one worker colours."""

    cutouts: tuple[str, ...]
    folder: str
    options: ImageOptions


@dataclass(frozen=True, slots=True)
class _Ended:
    """How one image ended."""

    outcome: Outcome
    output: Output | None = None
    cutout: str = ""
    facts: Facts | None = None


def paint_chunk(run: Run, work: Work) -> Done:
    """Colour one chunk.

    Raises
    ------
    StorageError
        The receipt or a file of the chunk's cutouts is gone.
    """
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: Run, work: Work) -> Receipt:
    cut = Receipt.model_validate_json(run.folder.read(receipt_path("cutouts", work.inputs["cutouts"])))
    paths = [output.path for output in cut.outputs]
    starts = range(0, len(paths), _BATCH)
    batches = [_Batch(tuple(paths[at : at + _BATCH]), run.folder.url, run.profile.images) for at in starts]
    ended = [one for batch in cpu_map(_paint_batch, batches) for one in batch]
    return Receipt(
        **work.model_dump(),
        key=work.key,
        outputs=tuple(one.output for one in ended if one.output is not None),
        counts=_count(one.outcome for one in ended),
        notes={"images": [_note(one) for one in ended if one.facts is not None]},
    )


def _paint_batch(batch: _Batch) -> list[_Ended]:
    folder = Folder(batch.folder)
    ended = [_paint(folder, path, batch.options) for path in batch.cutouts]
    folder.sync(one.output.path for one in ended if one.output is not None)
    return ended


def _paint(folder: Folder, path: str, options: ImageOptions) -> _Ended:
    parent, _, name = path.rpartition("/")
    made = paint_cutout(name, folder.read(path), options)
    if made.data is None:
        return _Ended(made.outcome)
    image = f"{IMAGES}/{parent.partition('/')[2]}/{made.name}"
    return _Ended(made.outcome, folder.write(image, made.data, sync=False), path, made.facts)


def _count(outcomes: Iterable[Outcome]) -> dict[str, int]:
    named = ("written" if o.kind == "done" else f"{o.kind}:{o.reason}" for o in outcomes)
    return dict(sorted(Counter(named).items()))


def _note(one: _Ended) -> dict[str, Any]:
    facts = {} if one.facts is None else asdict(one.facts)
    measures = {name: round(value, 4) if isfinite(value) else None for name, value in facts.pop("measures").items()}
    image = "" if one.output is None else one.output.path
    facts.pop("filled")
    return {"record": {**facts, "image": image, "cutout": one.cutout}, "measures": measures}


def records_of(receipts: Iterable[Receipt]) -> list[ImageRecord]:
    """Return what the makers of the images know of them, in order of id_str."""
    records = [ImageRecord.model_validate(note["record"]) for note in _notes(receipts)]
    return sorted(records, key=lambda record: record.id_str)


def measures_of(receipts: Iterable[Receipt]) -> Table | None:
    """Return the measures of every image, one row each, in order of id_str; None without images."""
    names: list[str] = []
    columns: dict[str, array[float]] = {}
    for note in _notes(receipts):
        names.append(note["record"]["id_str"])
        for name, value in note["measures"].items():
            columns.setdefault(name, array("d")).append(nan if value is None else value)
    table = Table({"id_str": np.array(names), **{name: np.array(values) for name, values in columns.items()}})
    return table[np.argsort(names)] if names else None


def _notes(receipts: Iterable[Receipt]) -> Iterator[Any]:
    for receipt in receipts:
        yield from receipt.notes.get("images", [])  # type: ignore[misc]
