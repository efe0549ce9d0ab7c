"""Colouring as a stage of a run: one chunk of images for each chunk of cutouts; reads cutouts only."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite, nan
from typing import Literal, cast

import numpy as np
from astropy.table import Table
from pydantic import JsonValue, TypeAdapter

from gzjwst_core.catalog.select import select
from gzjwst_core.images.pins import drift, held_pins, pins_of, propose_pins
from gzjwst_core.images.record import ImageNote, ImageRecord
from gzjwst_core.images.render import Facts, render_cutout
from gzjwst_core.options import ImageOptions
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.products import Made, made_by, read_made
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, reasons, total, with_total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.catalog import MERGE
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.query import survey_fields
from gzjwst_core.survey.run import SurveyRun, freeze_profile, frozen_pins
from gzjwst_core.values import Outcome, Output, Value, counts_of

__all__ = [
    "IMAGES",
    "LOST_STRIPS",
    "STRIPS",
    "Pinned",
    "is_provisional",
    "measures_of",
    "notes_of",
    "pin",
    "plan",
    "render_chunk",
]

_NOTES = TypeAdapter(list[ImageNote])

STRIPS = "strips"
LOST_STRIPS = "strips failed:"
"""What a receipt's counts of strips that could not be made begin with; they are no images."""
_BATCH = 100


def _line(done: Sequence[Done]) -> str:
    """Tell how many images."""
    return f"{counted(total(done, 'written'), 'image')} in {counted(len(done), 'chunk')}{reasons(done)}"


def _sums(_: SurveyRun, tallies: Tallies) -> dict[str, dict[str, int]]:
    """Of every cutout that stands: coloured, or why not; and of the strips, where one is missing."""
    tally = tallies.of(IMAGES.name)
    counts, strips = tally.counts, tally.files[STRIPS]
    lost = {name.partition(" ")[2]: count for name, count in counts.items() if name.startswith(LOST_STRIPS)}
    ended = {name: count for name, count in counts.items() if not name.startswith(LOST_STRIPS)}
    return {"images": with_total(ended), "strips": with_total(lost and {"written": strips, **lost})}


IMAGES = Stage(
    "images",
    version="2",
    writes={"images": "images/*/*", "strips": "strips/*/*"},
    reads=("cutouts.cutouts",),
    line=_line,
    sums=_sums,
)


class Pinned(Value):
    """The survey's colour, pinned."""

    run: SurveyRun
    state: Literal["final", "provisional"]
    why: str
    warnings: tuple[str, ...] = ()
    """Fields whose noise differs from the pinned one, and what speaks against the pins."""


def pin(run: SurveyRun, passing: Sequence[str] = (), uploaded: int = 0) -> Pinned:
    """Pin sigma and gain of every band for the survey, and write the effective profile.

    They are provisional while a run is not whole, and the first whole run proposes them anew. From then on, or once
    subjects were uploaded, they stay: new fields are told of when they differ, and recolour nothing.

    Parameters
    ----------
    run
        The run; its catalogs are merged.
    passing
        What it misses for a reason that may pass.
    uploaded
        Subjects that volunteers were shown.
    """
    with MERGE.reading(run.folder, "mosaics") as path:
        mosaics = read_parquet(path)
    stated, frozen = run.profile.images, frozen_pins(run.folder)
    kind = {"whole": not (run.part or passing), "uploaded": uploaded > 0}
    held = held_pins(frozen, **kind)
    held = held.model_copy(update={key: {**getattr(held, key), **getattr(stated, key)} for key in ("sigma", "gain")})
    known = stated.model_copy(update={"sigma": held.sigma, "gain": held.gain})
    sigma, gain = (dict(sorted(of.items())) for of in propose_pins(mosaics, _selected(run), known))
    pins = pins_of(set(sigma) | set(gain), held, **kind)
    pins |= {band: "final" for band in pins if band in stated.sigma and band in stated.gain}
    images = known.model_copy(update={"sigma": sigma, "gain": gain, "pins": pins})
    new = sorted(set(sigma) - set(held.sigma))
    return Pinned(
        run=freeze_profile(run, images),
        state="provisional" if is_provisional(images) else "final",
        why=_why(run, images, passing, uploaded, new),
        warnings=(*drift(mosaics, known), *_told(run, mosaics, frozen, images, new)),
    )


def is_provisional(images: ImageOptions) -> bool:
    """Whether a whole run may yet pin the colour of some band anew."""
    return any(pin != "final" for pin in images.pins.values())


def _why(run: SurveyRun, images: ImageOptions, passing: Sequence[str], uploaded: int, new: Sequence[str]) -> str:
    """Say why colour is provisional, or what made it final."""
    if is_provisional(images):
        more = f" and {len(passing) - 1} more" if len(passing) > 1 else ""
        part = [f"only {run.part} was asked for"] if run.part else []
        lost = [f"{passing[0]}{more} failed for a reason that may pass"] if passing else []
        return f"{', '.join(part + lost) or 'it was unpinned'}; the next whole run pins it anew"
    if new and not (run.part or passing):
        return "pinned by a whole run"
    return f"{uploaded} uploads are on record" if uploaded else "pinned before"


def _told(
    run: SurveyRun, mosaics: Table, frozen: ImageOptions, images: ImageOptions, new: Sequence[str]
) -> Iterator[str]:
    """Tell of colour that changes, and of colour that stays though it does not speak for the survey."""
    unpin = f"`python -m gzjwst_core colour unpin {run.folder.url}`"
    final = {band for band, pin in images.pins.items() if pin == "final"}
    changed = [b for b in new if b in frozen.sigma and _colour_of(frozen, b) != _colour_of(images, b)]
    if changed:
        yield f"colour of {', '.join(changed)} was provisional and is pinned anew: images are made anew"
    kept = [band for band, pin in frozen.pins.items() if pin == "provisional" and band in final - set(new)]
    if kept:
        yield (
            f"colour of {', '.join(kept)} was pinned by a run that was not whole and stays, since subjects were "
            f"uploaded; {unpin} --force lets the next whole run pin it anew"
        )
    seen, fields = len(set(mosaics["field"].tolist())), len(survey_fields(run))
    fixed = [band for band in new if band in final]
    if fixed and seen != fields:
        yield f"colour of {', '.join(fixed)} is pinned from {seen} of {fields} fields; {unpin} lets it go"


def _colour_of(images: ImageOptions, band: str) -> tuple[float | None, float | None]:
    return images.sigma.get(band), images.gain.get(band)


def _selected(run: SurveyRun) -> Table:
    """Return what pins are proposed from: fluxes of the selected sources."""
    fluxes = [f"{band}_flux_auto" for band in run.profile.survey.bands]
    with MERGE.reading(run.folder, "catalog") as path:
        catalog = read_parquet(path, dict.fromkeys(["mag_ref", *fluxes, *(cut.column for cut in run.cuts)]))
    return catalog[select(catalog, run.cuts)[0]]


def notes_of(receipts: Iterable[Receipt]) -> Iterator[ImageNote]:
    """Yield the notes of every image, receipt by receipt."""
    for receipt in receipts:
        yield from _NOTES.validate_python(receipt.notes.get("images", []))


def plan(run: SurveyRun, cut: Done) -> Work:
    """Say what a chunk of images is made from: its cutouts, and the colour recipe with its pins."""
    return IMAGES.work(
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


def render_chunk(run: SurveyRun, work: Work) -> Done:
    """Colour one chunk.

    Raises
    ------
    StorageError
        The receipt or a file of the chunk's cutouts is gone.
    """
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: SurveyRun, work: Work) -> Receipt:
    cutouts = made_by(run.folder, CUTOUTS.name, work.inputs["cutouts"])
    starts = range(0, len(cutouts), _BATCH)
    batches = [_Batch(cutouts[at : at + _BATCH], run.folder.url, run.profile.images) for at in starts]
    ended = [one for batch in cpu_map(_render_batch, batches) for one in batch]
    written = {"images": [one.output for one in ended], "strips": [one.strip for one in ended]}
    return IMAGES.receipt(
        work,
        outputs={name: [output for output in of if output is not None] for name, of in written.items()},
        counts=counts_of(one.outcome for one in ended) | _lost_strips(ended),
        notes={"images": [_note(one) for one in ended if one.facts is not None]},
    )


def _lost_strips(ended: Iterable[_Ended]) -> dict[str, int]:
    lost = Counter(f"{LOST_STRIPS}{one.strip_lost}" for one in ended if one.strip_lost)
    return dict(sorted(lost.items()))


def _render_batch(batch: _Batch) -> list[_Ended]:
    folder = Folder(batch.folder)
    ended = [_render(folder, cutout, batch.options) for cutout in batch.cutouts]
    folder.sync(output.path for one in ended for output in one.outputs)
    return ended


def _render(folder: Folder, cutout: Made, options: ImageOptions) -> _Ended:
    path = cutout.output.path
    parent, _, name = path.rpartition("/")
    made = render_cutout(name, read_made(folder, cutout), options)
    if made.data is None:
        return _Ended(made.outcome)
    field, stem = parent.partition("/")[2], made.name.rpartition(".")[0]
    image = folder.write(f"{IMAGES.name}/{field}/{made.name}", made.data, sync=False)
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
