"""Single-band FITS as a stage of a run: one chunk for each chunk of cutouts; reads cutouts only.

Which bands is an option of the hand-overs, so that asking for another one recolours nothing. What a file holds is
`single_band`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.products import Made, made_by, read_made
from gzjwst_core.runs.receipts import Done, complete, retire
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, reasons, total, with_total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Outcome, Output, counts_of, digest_of
from gzjwst_core.zoobot.single_band import single_bands, single_path

__all__ = ["TRAINING", "plan", "singles_of", "split_chunk"]

_BATCH = 100


def _line(done: Sequence[Done]) -> str:
    """Tell how many single-band files."""
    return f"{total(done, 'written')} single-band FITS in {counted(len(done), 'chunk')}{reasons(done)}"


def _sums(_: SurveyRun, tallies: Tallies) -> dict[str, dict[str, int]]:
    """Of every file that stands or was to stand."""
    return {"single_bands": with_total(tallies.of(TRAINING.name).counts)}


TRAINING = Stage(
    "training",
    version="1",
    writes={"bands": "*/*"},
    reads=("cutouts.cutouts",),
    line=_line,
    sums=_sums,
)


def plan(run: SurveyRun, cuts: Iterable[Done]) -> dict[str, Work]:
    """Say what the single-band files of each chunk are made from.

    Returns
    -------
    dict
        Work by unit. Where the profile asks for no band there is none, and what was made before is removed.
    """
    bands = run.profile.publish.zoobot_fits
    if not bands:
        retire(run.folder, TRAINING.name, lambda _: True)
        return {}
    return {cut.unit: _work(cut, bands) for cut in cuts}


def _work(cut: Done, bands: tuple[str, ...]) -> Work:
    return TRAINING.work(
        unit=cut.unit,
        inputs={"cutouts": cut.key, "files": cut.files},
        options=digest_of(sorted(set(bands))),
    )


def split_chunk(run: SurveyRun, work: Work) -> Done:
    """Write the single-band files of one chunk.

    Raises
    ------
    StorageError
        The receipt or a file of the chunk's cutouts is gone.
    """
    return complete(run.folder, work, partial(_make, run, work))


def singles_of(run: SurveyRun) -> dict[str, str]:
    """Digest by path of every single-band file that stands and is asked for."""
    wanted = set(run.profile.publish.zoobot_fits)
    outputs = (output for receipt in TRAINING.all_latest(run.folder) for output in receipt.files)
    return {output.path: output.digest for output in outputs if output.path.split("/")[1] in wanted}


@dataclass(frozen=True, slots=True)
class _Batch:
    """Cutouts that one worker takes bands from."""

    cutouts: tuple[Made, ...]
    folder: str
    bands: tuple[str, ...]


def _make(run: SurveyRun, work: Work) -> Receipt:
    cutouts = made_by(run.folder, CUTOUTS.name, work.inputs["cutouts"])
    bands = tuple(sorted(set(run.profile.publish.zoobot_fits)))
    batches = [_Batch(cutouts[at : at + _BATCH], run.folder.url, bands) for at in range(0, len(cutouts), _BATCH)]
    ended = [one for batch in cpu_map(_split_batch, batches) for one in batch]
    outputs = sorted((output for output, _ in ended if output is not None), key=lambda output: output.path)
    counts = counts_of(outcome for _, outcome in ended)
    return TRAINING.receipt(work, {"bands": outputs}, counts)


def _split_batch(batch: _Batch) -> list[tuple[Output | None, Outcome]]:
    folder = Folder(batch.folder)
    ended: list[tuple[Output | None, Outcome]] = []
    for cutout in batch.cutouts:
        path = cutout.output.path
        for single in single_bands(path, read_made(folder, cutout), batch.bands):
            data, place = single.data, single_path(path, single.band)
            ended.append((None if data is None else folder.write(place, data, sync=False), single.outcome))
    folder.sync(output.path for output, _ in ended if output is not None)
    return ended
