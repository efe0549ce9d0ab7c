"""A small handed-over survey made of rows, without a run; and what may be wrong with its manifests.

The table of faults is asserted twice: here against `client_rules`, and by the tools' tests against panoptes-cli itself.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from gzjwst_core.images.record import ImageNote
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.tables import write_parquet
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.publish import hand_over, plan
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.publish.conftest import make_catalog, make_image

PANELS = "rgb=0,0,16,16 F277W=20,0,36,16 F444W=40,0,56,16"
CUTS = 'select.cuts=[{column="is_primary",equals=true}]'


def new_run(folder: Path, *overrides: str) -> SurveyRun:
    asked = (CUTS, "publish.manifest_rows=4", *overrides)
    return start(SurveyRequest(out=str(folder), cache=str(folder / "cache"), overrides=asked))


def hand(run: SurveyRun, count: int, *, first: int = 0, recipe: str = "abc123", panels: bool = False) -> Done:
    """Leave a catalog and images of some galaxies, and publish them as a run does."""
    table = make_catalog(first + count)[first:]
    table["is_primary"], table["is_star"] = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
    with run.folder.writing(CATALOG) as path:
        write_parquet(table, path)
    merged = Work(stage="merge", version="1", unit="survey", inputs={}, options=f"{first}+{count}")
    complete(run.folder, merged, lambda: _receipt(run, merged, [CATALOG], []))
    images = [make_image(table, row).replace(recipe_digest=recipe) for row in range(count)]
    if panels:
        images = [one.replace(image=f"{one.image[:-4]}.png", panels=PANELS) for one in images]
    for one in images:
        run.folder.write(one.image, picture("PNG" if panels else "JPEG"))
    made = Work(stage=IMAGES.name, version="1", unit="f-0of1", inputs={}, options=f"{first}+{count}{recipe}")
    notes = [ImageNote(record=one, measures={}) for one in images]
    complete(run.folder, made, lambda: _receipt(run, made, [one.image for one in images], notes))
    return hand_over(run, plan(run))


def _receipt(run: SurveyRun, work: Work, paths: list[str], notes: list[ImageNote]) -> Receipt:
    outputs = tuple(run.folder.output(path) for path in paths)
    told = {"images": [note.model_dump(mode="json") for note in notes]}
    counts = {"selected": 0} if work.stage == "merge" else {}
    return Receipt(**work.model_dump(), key=work.key, outputs=outputs, counts=counts, notes={**told, "cut_flow": []})


@cache
def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(16 * 56 * 3, dtype=np.uint8).reshape(16, 56, 3)).save(out, kind)
    return out.getvalue()


# ---------------------------------------------------------------- faults


@dataclass(frozen=True)
class Fault:
    """One thing that may be wrong, and what the client makes of it: `taken`, `refused`, or `wrong` without a word."""

    spoil: Callable[[Path], None]
    """Changes the manifest, or the images it names; the manifest's path in."""
    kinds: frozenset[str]
    """What our check finds."""
    named: str
    """With `--file-column 1`."""
    guessed: str
    """Where the client looks for files itself."""


def _line(number: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    def spoil(manifest: Path) -> None:
        lines = manifest.read_text().splitlines()
        lines[number] = change(lines[number])
        manifest.write_text("\n".join(lines) + "\n")

    return spoil


def _image(change: Callable[[Path], object], number: int = 1) -> Callable[[Path], None]:
    def spoil(manifest: Path) -> None:
        change(manifest.parent / manifest.read_text().splitlines()[number].partition(",")[0])

    return spoil


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda manifest: _write(manifest, change(manifest.read_bytes()))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _with_column(header: str, cell: str) -> Callable[[Path], None]:
    def spoil(manifest: Path) -> None:
        first, *lines = manifest.read_text().splitlines()
        manifest.write_text("\n".join([f"{first},{header}", *(f"{line},{cell}" for line in lines)]) + "\n")

    return spoil


def _as_fits(manifest: Path) -> None:
    for line in manifest.read_text().splitlines()[1:]:
        image = manifest.parent / line.partition(",")[0]
        image.with_suffix(".fits").write_bytes(b"SIMPLE  =                    T".ljust(2880))
    manifest.write_text(manifest.read_text().replace(".jpg", ".fits"))


FAULTS = {
    "none": Fault(lambda _: None, frozenset(), "taken", "taken"),
    "file missing": Fault(_image(Path.unlink), frozenset({"missing"}), "refused", "refused"),
    "last file missing": Fault(_image(Path.unlink, -1), frozenset({"missing"}), "refused", "refused"),
    "file empty": Fault(_image(lambda p: _write(p, b"")), frozenset({"empty_file"}), "refused", "refused"),
    "file too large": Fault(
        _image(lambda p: _write(p, picture("JPEG")[:-2] + b"\0" * 1024 * 1024)),
        frozenset({"too_large"}),
        "refused",
        "refused",
    ),
    "file of another kind": Fault(_as_fits, frozenset({"bad_type"}), "refused", "refused"),
    "file cut off": Fault(_image(lambda p: _write(p, picture("JPEG")[:200])), frozenset({"cut_off"}), "taken", "taken"),
    "second medium": Fault(
        _with_column("#also", "../images/f0/demo_J000000.00p020000.0.jpg"),
        frozenset({"second_medium"}),
        "taken",
        "wrong",
    ),
    "a folder as a cell": Fault(_with_column("#also", ".."), frozenset({"second_medium"}), "taken", "refused"),
    "empty cell": Fault(_with_column("#note", ""), frozenset({"empty_cell"}), "taken", "refused"),
    "blank line": Fault(_line(2, lambda line: f"\n{line}"), frozenset({"ragged"}), "refused", "refused"),
    "short row": Fault(_line(2, lambda line: line.rpartition(",")[0]), frozenset({"ragged"}), "wrong", "wrong"),
    "double column": Fault(_with_column("#ra", "1.5"), frozenset({"double_column"}), "wrong", "wrong"),
    "indexed double column": Fault(_with_column("%#ra", "1.5"), frozenset({"double_column"}), "wrong", "wrong"),
    "byte order mark": Fault(_bytes(lambda b: b"\xef\xbb\xbf" + b), frozenset({"encoding"}), "wrong", "wrong"),
    "not UTF-8": Fault(
        _bytes(lambda b: b.replace(b"asinh", b"as\xefnh")), frozenset({"encoding"}), "refused", "refused"
    ),
    "semicolons": Fault(
        _bytes(lambda b: b.replace(b",", b";")),
        frozenset({"no_column", "missing"}),
        "refused",
        "refused",
    ),
    "no rows": Fault(_bytes(lambda b: b[: b.index(b"\n") + 1]), frozenset({"no_rows"}), "refused", "refused"),
    "nothing": Fault(_bytes(lambda _: b""), frozenset({"no_header"}), "refused", "refused"),
    "row twice": Fault(
        _line(1, lambda line: f"{line}\n{line}"), frozenset({"double_id", "double_file"}), "taken", "taken"
    ),
    "another's name": Fault(
        _bytes(lambda b: b.replace(b",demo_J", b",mine_")), frozenset({"not_ours"}), "taken", "taken"
    ),
}
