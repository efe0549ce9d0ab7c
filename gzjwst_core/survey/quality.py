"""The verdict on every image as a stage of a run: one survey unit, after the images and before anything is handed over.

Reads what the makers of the images noted, and the controls' cutouts; never a mosaic. An image that fails stays where it
is: publishing leaves it out of what volunteers see.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from astropy.table import Table, hstack
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.errors import ImageError, StorageError
from gzjwst_core.images.compose import colour
from gzjwst_core.images.meanings import reason_words
from gzjwst_core.images.quality import labels_of
from gzjwst_core.images.record import ImageNote
from gzjwst_core.images.verdicts import IMAGE_MEASURES, VERDICTS, judge, reasons_of
from gzjwst_core.options import ImageOptions
from gzjwst_core.quality.checks import checks_table, told_by_controls
from gzjwst_core.quality.choose import PAIRS
from gzjwst_core.quality.differences import core_colour, rgb_difference
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.products import Made, read_made
from gzjwst_core.runs.receipts import Done, complete, read_receipt, receipt_paths
from gzjwst_core.runs.stage import SURVEY_UNIT, Stage
from gzjwst_core.runs.tally import Tallies, identity_of
from gzjwst_core.runs.wording import counted
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import Column, apply_columns, read_parquet, write_table
from gzjwst_core.survey.controls import CONTROLS, Control, controls_of, cut_controls, plan_controls
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.images import IMAGES, notes_of
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Output

__all__ = [
    "CHECKS",
    "IMAGE_CHECKS",
    "QUALITY",
    "check_images",
    "cut_controls",
    "identities",
    "judged_images",
    "measured",
    "plan_controls",
    "plan_quality",
    "standing_quality",
]

_COLOUR, _FEW = "colour", 100
_SAME_PLACE_DEG = 1e-5
"""A third of a pixel of the finest grid."""


def _line(done: Sequence[Done]) -> str:
    """Tell how many images pass, what speaks against those that fail, and what speaks against the survey."""
    counts = done[0].counts
    said = f"{counted(counts['total'], 'image')}: {counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail"
    why = ", ".join(f"{count} {_code_words(name)}" for name, count in counts.items() if name.startswith("fail:"))
    survey = ", ".join(_code_words(name) for name in counts if name.startswith("survey:"))
    said += (f" ({why})" if why else "") + (f"; of the survey: {survey}" if survey else "")
    unknown = counts.get("controls:unknown", 0)
    return said + (f"; {unknown} of {counted(counts['controls'], 'control')} could not be looked at" if unknown else "")


def _code_words(name: str) -> str:
    """Write a code without what it is of: `fail:sky_chroma:above` is `sky colour above`."""
    return reason_words(name.partition(":")[2])


def _sums(run: SurveyRun, tallies: Tallies) -> dict[str, dict[str, int]]:
    """Of every image that stands: its verdict. One that fails is left out of the manifests; the run does not fail."""
    judged = standing_quality(run, tallies.of(IMAGES.name).identities)
    return {"quality": {name: judged.counts[name] for name in ("total", *VERDICTS)}} if judged else {}


IMAGE_CHECKS = Stage(
    "quality",
    version="2",
    writes={"verdicts": "images/quality.parquet", "checks": "images/checks.parquet"},
    reads=("images.images", "controls.cutouts"),
    line=_line,
    sums=_sums,
)
QUALITY, CHECKS = IMAGE_CHECKS.path("verdicts"), IMAGE_CHECKS.path("checks")
_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "name of the source"),
    Column("image", "str", "", "meta.ref.url", "the image, relative to the survey's folder"),
    Column("verdict", "str", "", "meta.code.qual", "pass, warn or fail; one that fails is not shown to volunteers"),
    Column("reasons", "str", "", "meta.note", "what made the verdict so, such as fill:above; empty = it passes"),
    Column("warnings", "str", "", "meta.note", "what gave a warning, whether or not something else failed the image"),
    *IMAGE_MEASURES,
)


def plan_quality(run: SurveyRun, images: Mapping[str, str] | None = None) -> Work:
    """Say what the verdicts are made from: every image and control that stands, the limits, the controls' colour.

    Parameters
    ----------
    run
        The run.
    images
        What `identities` says of the images, for who has read their receipts, which are large; None = read now.
    """
    given = {IMAGES.name: identities(IMAGES.all_latest(run.folder)) if images is None else images}
    given |= {CONTROLS.name: identities(CONTROLS.all_latest(run.folder))}
    units = {f"{stage}:{unit}": identity for stage, of in given.items() for unit, identity in of.items()}
    inputs = {**units, _COLOUR: run.profile.images.digest()}
    return IMAGE_CHECKS.work(SURVEY_UNIT, inputs, run.profile.quality.digest())


def identities(receipts: Iterable[Receipt]) -> dict[str, str]:
    """Say of each unit what it was made from and what it is: the receipt's key, and a digest of its files'."""
    return {receipt.unit: identity_of(receipt) for receipt in receipts}


def check_images(run: SurveyRun, work: Work) -> Done:
    """Judge every image that stands; writes the tables of images and of checks."""
    return complete(run.folder, work, partial(_make, run, work))


def standing_quality(run: SurveyRun, images: Mapping[str, str] | None = None) -> Receipt | None:
    """Return the receipt of the verdicts, if they tell of the images as they are and of this profile's limits.

    Parameters
    ----------
    run, images
        As of `plan_quality`.
    """
    made = IMAGE_CHECKS.latest(run.folder)
    if made is None:
        return None
    planned = plan_quality(run, images)  # a run that has not pinned its colour knows the images that were made with it
    colour_of_images = {_COLOUR: made.inputs.get(_COLOUR, "")}
    return made if made.key == planned.replace(inputs={**planned.inputs, **colour_of_images}).key else None


def _make(run: SurveyRun, work: Work) -> Receipt:
    options = run.profile.quality
    images = measured(run.folder)
    judged = apply_columns(hstack([images, judge(images, options)]), _COLUMNS)
    looked = _looked_at(run)
    pairs = looked["view"] == PAIRS
    checks = checks_table(judged, told_by_controls(looked[~pairs], looked[pairs]), options)
    tables = {"verdicts": judged, "checks": checks}
    outputs = {name: write_table(run.folder, IMAGE_CHECKS.path(name), of) for name, of in tables.items()}
    counts = {"total": len(judged), **{one: int(np.sum(judged["verdict"] == one)) for one in VERDICTS}}
    for verdict in VERDICTS[1:]:
        counts |= {f"{verdict}:{reason}": count for reason, count in reasons_of(judged, verdict).items()}
    counts |= {
        f"survey:{r['name']}:{r['verdict']}": 1
        for r in checks
        if r["scope"] == "survey" and r["verdict"] in VERDICTS[1:]
    }
    counts |= {"controls": len(looked), "controls:unknown": int(np.isnan(looked["value"]).sum())}
    return IMAGE_CHECKS.receipt(work, outputs, counts)


def measured(folder: Folder) -> Table:
    """Return what was measured on every image that stands, in order of id_str."""
    names: list[tuple[str, str]] = []
    values: list[NDArray[np.float64]] = []
    for note in notes_of(IMAGES.all_latest(folder)):
        names.append((note.record.id_str, note.record.image))
        values.append(_values(note))
    order = sorted(range(len(names)), key=names.__getitem__)
    columns = np.array(values, dtype=np.float64).reshape(len(names), len(IMAGE_MEASURES))[order].T
    told = {
        name: np.array([names[row][i] for row in order], dtype=np.str_) for i, name in enumerate(("id_str", "image"))
    }
    return Table({**told, **{column.name: of for column, of in zip(IMAGE_MEASURES, columns, strict=True)}})


def _values(note: ImageNote) -> NDArray[np.float64]:
    told = {**note.measures, "size_bytes": float(note.record.size_bytes)}
    found = (told.get(column.name) for column in IMAGE_MEASURES)
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Look:
    """One control to look at."""

    control: Control
    own: Made
    """Its cutout."""
    beside: Made | None
    """Cutout of the image that a galaxy's control is compared with; None = a star, or there is no such image."""
    folder: str
    options: ImageOptions


def _looked_at(run: SurveyRun) -> Table:
    """Colour the controls, and measure each: `view`, `id_str`, `field`, `value`."""
    folder = run.folder
    controls = sorted(controls_of(CONTROLS.all_latest(folder)), key=lambda control: control.path)
    own = _made(folder, CONTROLS.name, {control.path for control in controls})
    names = _cutouts_of(folder, {control.id_str for control in controls if control.view == PAIRS})
    shown = _made(folder, CUTOUTS.name, set(names.values()))
    looks = [
        _Look(one, own[one.path], shown.get(names.get(one.id_str, "")), folder.url, run.profile.images)
        for one in controls
    ]
    spread = cpu_map if len(looks) > _FEW else map  # starting processes takes longer than a few pictures
    values = list(spread(_look, looks))
    told = {name: [getattr(one, name) for one in controls] for name in ("view", "id_str", "field")}
    return Table({**{name: np.array(of, dtype=np.str_) for name, of in told.items()}, "value": np.array(values, float)})


def _cutouts_of(folder: Folder, names: set[str]) -> dict[str, str]:
    """Cutouts of images that stand, by name of the galaxy."""
    if not names:
        return {}
    notes = notes_of(IMAGES.all_latest(folder))
    return {note.record.id_str: note.record.cutout for note in notes if note.record.id_str in names}


def _made(folder: Folder, stage: str, paths: set[str]) -> dict[str, Made]:
    """Return some outputs of a stage by path, standing or not; without a digest where none is known."""
    found = {path: Made(stage, "", Output(path=path, size=0, digest="")) for path in paths}
    receipts = (read_receipt(folder, path) for path in receipt_paths(folder, stage) if paths)
    for receipt in receipts:
        if receipt is not None:
            found |= {o.path: Made(stage, receipt.unit, o) for o in receipt.files if o.path in paths}
    return found


def _look(look: _Look) -> float:
    """Colour a control, and measure it; NaN where that cannot be done."""
    try:
        return _pair_value(look) if look.control.view == PAIRS else _star_value(look)
    except ImageError:  # no band of the recipe has data there
        return np.nan
    except StorageError as error:
        if error.reason != "not_found":
            raise
        return np.nan  # a lost file of one field is no reason to hand nothing over


def _star_value(look: _Look) -> float:
    cutout = read_cutout(read_made(Folder(look.folder), look.own))
    return core_colour(colour(cutout, look.options), cutout.fov_arcsec)


def _pair_value(look: _Look) -> float:
    """Compare a galaxy with its image; NaN where it has none, or none of the same view from another field."""
    folder, own = Folder(look.folder), f"{CUTOUTS.name}/{look.control.field}/"
    if look.beside is None or look.beside.output.path.startswith(own):  # its primary is this field's by now
        return np.nan
    again, shown = (read_cutout(read_made(folder, made)) for made in (look.own, look.beside))
    if not _same_view(again, shown):
        return np.nan
    picture = colour(again, look.options)
    target = labels_of(shown, picture.gap.shape) == (shown.segment_id or -1)
    return rgb_difference(picture, colour(shown, look.options), target)


def _same_view(one: Cutout, other: Cutout) -> bool:
    """Whether two cutouts show the same sky: an image may have been cut anew, where a control was kept."""
    apart = max(abs(one.ra_deg - other.ra_deg), abs(one.dec_deg - other.dec_deg))
    return one.fov_arcsec == other.fov_arcsec and apart < _SAME_PLACE_DEG


def judged_images(run: SurveyRun, columns: Sequence[str] | None = None) -> Table | None:
    """Return the table of verdicts if it tells of the images as they are; None otherwise."""
    if standing_quality(run) is None:
        return None
    with IMAGE_CHECKS.reading(run.folder, "verdicts") as path:
        return read_parquet(path, columns)
