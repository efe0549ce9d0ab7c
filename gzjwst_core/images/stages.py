"""Colouring as a stage of a run: one chunk of images for each chunk of cutouts; reads cutouts only."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite, nan
from typing import cast

import numpy as np
from astropy.table import Table
from pydantic import JsonValue

from gzjwst_core.archives.stages import survey_fields
from gzjwst_core.catalog.select import select
from gzjwst_core.catalog.stages import CATALOG, MOSAICS
from gzjwst_core.engine import cpu_map
from gzjwst_core.images.paint import Facts, paint_cutout
from gzjwst_core.images.pins import drift, propose_pins
from gzjwst_core.images.record import ImageNote, ImageRecord, notes_of
from gzjwst_core.models import Outcome, Output, Receipt, Value, Work, counts_of
from gzjwst_core.options import ImageOptions
from gzjwst_core.run import FROZEN_PROFILE, Run, freeze_profile, pinned_images
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.made import Made, made_by, read_made, reading_made
from gzjwst_core.storage.receipts import Done, complete
from gzjwst_core.storage.tables import read_parquet

__all__ = ["IMAGES", "LOST_STRIPS", "STRIPS", "Pinned", "measures_of", "paint_chunk", "pin", "plan"]

IMAGES, _VERSION = "images", "2"
STRIPS = "strips"
LOST_STRIPS = "strips failed:"
"""What a receipt's counts of strips that could not be made begin with; they are no images."""
_BATCH = 100


class Pinned(Value):
    """The survey's colour, fixed."""

    run: Run
    warnings: tuple[str, ...] = ()
    """Fields whose noise differs from the pinned one, and bands that were pinned from a part of the survey."""


def pin(run: Run) -> Pinned:
    """Fix sigma and gain of every band for the survey, and write the effective profile.

    What was pinned before stays: new fields are told of when they differ, and never recolour what volunteers have seen.
    """
    with reading_made(run.folder, "merge", "survey", MOSAICS) as path:
        mosaics = read_parquet(path)
    images = pinned_images(run)
    sigma, gain = propose_pins(mosaics, _selected(run), images)
    warnings = (*drift(mosaics, images), *_pinned_from_part(run, mosaics, set(sigma) - set(images.sigma)))
    pinned = freeze_profile(run, images.model_copy(update={"sigma": sigma, "gain": gain}))
    return Pinned(run=pinned, warnings=warnings)


def _selected(run: Run) -> Table:
    """Return what pins are proposed from: fluxes of the selected sources."""
    fluxes = [f"{band}_flux_auto" for band in run.profile.survey.bands]
    with reading_made(run.folder, "merge", "survey", CATALOG) as path:
        catalog = read_parquet(path, dict.fromkeys(["mag_ref", *fluxes, *(cut.column for cut in run.cuts)]))
    return catalog[select(catalog, run.cuts)[0]]


def _pinned_from_part(run: Run, mosaics: Table, new: set[str]) -> list[str]:
    """Warn of colour that is pinned before most of the survey was seen: a first try of one field fixes it for all."""
    seen, fields = len(set(mosaics["field"].tolist())), len(survey_fields(run))
    if not new or seen == fields:
        return []
    bands = ", ".join(band for band in run.profile.survey.bands if band in new)
    return [f"colour of {bands} is pinned from {seen} of {fields} fields: remove {FROZEN_PROFILE} to pin it anew"]


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

    cutouts: tuple[Made, ...]
    folder: str
    options: ImageOptions


@dataclass(frozen=True, slots=True)
class _Ended:
    """How one image ended."""

    outcome: Outcome
    output: Output | None = None
    cutout: str = ""
    facts: Facts | None = None
    strip: Output | None = None
    strip_lost: str = ""

    @property
    def outputs(self) -> tuple[Output, ...]:
        return tuple(output for output in (self.output, self.strip) if output is not None)


def paint_chunk(run: Run, work: Work) -> Done:
    """Colour one chunk.

    Raises
    ------
    StorageError
        The receipt or a file of the chunk's cutouts is gone.
    """
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: Run, work: Work) -> Receipt:
    cutouts = made_by(run.folder, "cutouts", work.inputs["cutouts"])
    starts = range(0, len(cutouts), _BATCH)
    batches = [_Batch(cutouts[at : at + _BATCH], run.folder.url, run.profile.images) for at in starts]
    ended = [one for batch in cpu_map(_paint_batch, batches) for one in batch]
    return Receipt(
        **work.model_dump(),
        key=work.key,
        outputs=tuple(output for one in ended for output in one.outputs),
        counts=counts_of(one.outcome for one in ended) | _lost_strips(ended),
        notes={"images": [_note(one) for one in ended if one.facts is not None]},
    )


def _lost_strips(ended: Iterable[_Ended]) -> dict[str, int]:
    lost = Counter(f"{LOST_STRIPS}{one.strip_lost}" for one in ended if one.strip_lost)
    return dict(sorted(lost.items()))


def _paint_batch(batch: _Batch) -> list[_Ended]:
    folder = Folder(batch.folder)
    ended = [_paint(folder, cutout, batch.options) for cutout in batch.cutouts]
    folder.sync(output.path for one in ended for output in one.outputs)
    return ended


def _paint(folder: Folder, cutout: Made, options: ImageOptions) -> _Ended:
    path = cutout.output.path
    parent, _, name = path.rpartition("/")
    made = paint_cutout(name, read_made(folder, cutout), options)
    if made.data is None:
        return _Ended(made.outcome)
    field, stem = parent.partition("/")[2], made.name.rpartition(".")[0]
    image = folder.write(f"{IMAGES}/{field}/{made.name}", made.data, sync=False)
    strip = None if made.strip is None else folder.write(f"{STRIPS}/{field}/{stem}.jpg", made.strip, sync=False)
    return _Ended(made.outcome, image, path, made.facts, strip, made.strip_lost)


def _note(one: _Ended) -> JsonValue:
    facts = {} if one.facts is None else asdict(one.facts)
    measures = {name: round(value, 4) if isfinite(value) else None for name, value in facts.pop("measures").items()}
    filled = ",".join(facts.pop("filled"))
    image, size = ("", 0) if one.output is None else (one.output.path, one.output.size)
    strip = "" if one.strip is None else one.strip.path
    record = ImageRecord(**facts, image=image, size_bytes=size, cutout=one.cutout, filled=filled, strip=strip)
    return cast("JsonValue", ImageNote(record=record, measures=measures).model_dump(mode="json"))


def measures_of(receipts: Iterable[Receipt]) -> Table | None:
    """Return the measures of every image, one row each, in order of id_str; None without images."""
    names: list[str] = []
    columns: dict[str, array[float]] = {}
    for note in notes_of(receipts):
        names.append(note.record.id_str)
        for name, value in note.measures.items():
            columns.setdefault(name, array("d")).append(nan if value is None else value)
    table = Table({"id_str": np.array(names), **{name: np.array(values) for name, values in columns.items()}})
    return table[np.argsort(names)] if names else None
