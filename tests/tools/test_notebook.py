"""The notebook runs from top to bottom, with the core alone, and its figures show something."""

import base64
import copy
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "explore_field.ipynb"
CORE_ALONE = "import sys; assert not {'prefect', 'tasks', 'flows', 'astroquery'} & set(sys.modules)"

pytestmark = [
    pytest.mark.tools,
    pytest.mark.timeout(240),
    # the kernel's own libraries warn of their own future
    pytest.mark.filterwarnings("ignore"),
]


def committed() -> nbformat.NotebookNode:
    read: Callable[..., Any] = nbformat.read  # it has no types
    notebook: nbformat.NotebookNode = read(NOTEBOOK, as_version=4)
    return notebook


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[nbformat.NotebookNode, Path]:
    """The notebook with its outputs, and the temporary folder it ran in."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = committed()
    notebook.cells.append(copy.deepcopy(notebook.cells[-1]))
    notebook.cells[-1].update(id="core-alone", source=CORE_ALONE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("MPLCONFIGDIR", str(folder / "matplotlib"))
        patch.setenv("TMPDIR", str(folder))
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook, folder


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_it_is_committed_without_outputs() -> None:
    notebook = committed()
    assert outputs(notebook) == []
    assert {cell.execution_count for cell in notebook.cells if cell.cell_type == "code"} == {None}
    assert str(ROOT) not in NOTEBOOK.read_text()


def test_no_cell_fails_or_warns(ran: tuple[nbformat.NotebookNode, Path]) -> None:
    kinds = [(output.output_type, output.get("name")) for output in outputs(ran[0])]
    assert ("error", None) not in kinds
    assert ("stream", "stderr") not in kinds


def test_every_figure_shows_something(ran: tuple[nbformat.NotebookNode, Path]) -> None:
    pngs = [output.data["image/png"] for output in outputs(ran[0]) if "image/png" in output.get("data", {})]
    assert len(pngs) == 3
    for png in pngs:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), dtype=float)
        assert min(pixels.shape[:2]) > 300
        assert pixels.std() > 20


def test_settings_differ_as_they_should(ran: tuple[nbformat.NotebookNode, Path]) -> None:
    tables = [output.data["text/plain"] for output in outputs(ran[0]) if "text/plain" in output.get("data", {})]
    table = next(table for table in tables if "unmatched" in table)
    found = {name: int(count) for name, count in re.findall(r"^ *([a-z ]+?) +([0-9]+) ", table, re.MULTILINE)}
    assert len(found) == 7
    assert found["shallower"] < found["recommended"] < found["deeper"]
    assert found["no deblending"] < found["recommended"]


def test_it_leaves_nothing_behind(ran: tuple[nbformat.NotebookNode, Path]) -> None:
    assert [path.name for path in ran[1].iterdir() if path.name.startswith("gzjwst-")] == []
