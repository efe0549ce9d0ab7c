"""The layers of the project: imports run down, packages form no cycle, the core knows no Prefect, files stay small."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"gzjwst_core": 1, "tasks": 2, "flows": 3, "deployments": 4}
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
LAYERS = (
    ("errors", "bands", "names", "values", "flag_bits", "models", "instruments", "paths", "plain_toml"),
    ("storage", "options"),
    ("transport", "mosaics", "runs"),
    ("archives", "catalog"),
    ("cache", "psf", "detection", "cutouts"),
    ("photometry", "images", "sky"),
    ("completeness", "quality", "zoobot"),
    ("zooniverse",),
    ("report",),
    ("survey", "timeseries"),
    ("pipelines",),
    ("cli",),
    ("__main__",),
)
"""Packages and modules of the core, lower layers first: one imports what is in a lower layer, or in its own package."""
RUNS_OF_LIBRARIES = {"gzjwst_core.runs.engine", "gzjwst_core.runs.record"}
"""All that a library may know of a run: where its CPU work goes, and the values of the record that a report shows."""
PIPELINES = {"survey", "timeseries"}
# Arrays → arrays: these modules open no file, ask no archive and write nothing.
PURE = {
    "catalog/columns",
    "catalog/merge",
    "catalog/select",
    "catalog/offset",
    "catalog/astrometry",
    "catalog/survey",
    "catalog/source_names",
    "catalog/carried_ids",
    "catalog/reproducibility",
    "mosaics/shift",
    "zooniverse/manifest_check",
    "zooniverse/refit",
    "zooniverse/uploads",
    "zooniverse/votes",
    "images/stretch",
    "images/chroma",
    "images/compose",
    "images/grey",
    "images/matched",
    "images/planes",
    "images/recipes",
    "images/warp",
}
FILE_LIBRARIES = ("fsspec", "s3fs", "requests", "astropy.io", "shutil", "tempfile")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_no_import_runs_upward(path: Path) -> None:
    own = FOLDERS[path.relative_to(ROOT).parts[0]]
    upward = [name for name in imports(path) if FOLDERS.get(name.split(".")[0], 0) > own]
    assert upward == []


def package(name: str) -> str:
    """`catalog` of `gzjwst_core.catalog.merge`; the modules of the first layer are one package."""
    part = name.split(".")[1]
    return "ground" if part in LAYERS[0] else part


def breaches(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Name the imports between packages of the core that do not run down the layers."""
    height = {"ground": 0} | {name: n for n, layer in enumerate(LAYERS) for name in layer}
    crossing = [(a, b) for a, b in edges if package(a) != package(b)]
    return [f"{a} imports {b}" for a, b in crossing if height[package(a)] <= height[package(b)]]


def core_imports() -> list[tuple[str, str]]:
    """List the imports of the core, each with the module that has it."""
    edges = []
    for path in MODULES:
        name = identify(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        if name.startswith("gzjwst_core."):
            found = {one for one in imports(path) if one.startswith("gzjwst_core.") and not one.endswith("__version__")}
            edges += [(name, one) for one in sorted(found)]
    return edges


def test_packages_import_down_the_layers_alone() -> None:
    assert breaches(core_imports()) == []


def test_every_package_has_its_layer() -> None:
    parts = [path.relative_to(ROOT / "gzjwst_core").parts[0] for path in MODULES if "gzjwst_core" in path.parts]
    assert sorted({part.removesuffix(".py") for part in parts} - {"__init__"}) == sorted(sum(LAYERS, ()))


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("gzjwst_core.archives.s3", "gzjwst_core.survey.run"),
        ("gzjwst_core.psf.known", "gzjwst_core.photometry.flags"),
        ("gzjwst_core.runs.receipts", "gzjwst_core.catalog.columns"),
        ("gzjwst_core.transport.http", "gzjwst_core.archives.base"),
    ],
)
def test_an_edge_of_the_old_cycle_is_found(module: str, imported: str) -> None:
    """Eight packages imported one another before: any of those edges, put back, is a breach."""
    assert breaches([*core_imports(), (module, imported)]) == [f"{module} imports {imported}"]


def test_libraries_know_no_run() -> None:
    free = {*PIPELINES, "runs", "pipelines", "cli", "__main__"}
    known = [(a, b) for a, b in core_imports() if package(a) not in free and package(b) == "runs"]
    modules = {b for _, b in known if (ROOT / f"{b.replace('.', '/')}.py").is_file()}
    assert modules <= RUNS_OF_LIBRARIES, [f"{a} imports {b}" for a, b in known if b in modules - RUNS_OF_LIBRARIES]


@pytest.mark.parametrize("path", [p for p in MODULES if "gzjwst_core" in p.parts], ids=identify)
def test_the_core_knows_no_prefect(path: Path) -> None:
    assert [name for name in imports(path) if name.split(".")[0].startswith("prefect")] == []


def test_importing_the_whole_core_loads_no_prefect() -> None:
    names = [identify(p).removesuffix(".py").replace("/", ".") for p in MODULES if "gzjwst_core" in p.parts]
    names = [n.removesuffix(".__init__") for n in names if not n.endswith("__main__")]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    code += "assert not [m for m in sys.modules if m.split('.')[0] in ('prefect', 'tasks', 'flows', 'astroquery')]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", sorted(PURE))
def test_arithmetic_opens_no_file(name: str) -> None:
    path = ROOT / "gzjwst_core" / f"{name}.py"
    assert [module for module in imports(path) if module.startswith(FILE_LIBRARIES)] == []
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in calls


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_module_is_small(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= 420, "split it: one file, one step"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_function_does_one_thing(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if len(node.body) > 1 and ast.get_docstring(node) else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=identify)
def test_a_task_is_one_call_into_the_core(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and any("task" in ast.unparse(d) for d in node.decorator_list):
            body = [n for n in node.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            calls = [ast.unparse(n.func) for b in body for n in ast.walk(b) if isinstance(n, ast.Call)]
            assert len(body) == 1, node.name
            assert len([c for c in calls if c.startswith("stages.")]) == 1, node.name


def test_a_flow_reads_like_a_table_of_contents() -> None:
    for path in sorted((ROOT / "flows").glob("run_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno + 1 <= 40, node.name


def test_what_notebooks_and_pages_import_is_there() -> None:
    """They are run by the tools' tests, or by a person: a name that has moved is found here."""
    cells = [cell for path in (ROOT / "notebooks").glob("*.ipynb") for cell in json.loads(path.read_text())["cells"]]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    pages = [(ROOT / name).read_text() for name in ("README.md", "docs/catalog.md", "docs/zoobot.md", "docs/colour.md")]
    named = set(re.findall(r"from (gzjwst_core[\w.]*) import (\w+)", "\n".join([*code, *pages])))
    assert named
    for module, name in named:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_no_multi_character_strip() -> None:
    """`.strip(".fits.gz")` eats letters; nobody means it."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"strip", "lstrip", "rstrip"} and node.args and isinstance(node.args[0], ast.Constant):
                assert len(str(node.args[0].value)) == 1 or not str(node.args[0].value).isalnum(), identify(path)


def test_flows_and_tasks_are_this_checkouts() -> None:
    import flows  # noqa: PLC0415
    import tasks  # noqa: PLC0415

    assert Path(str(tasks.__file__)).parents[1] == Path(str(flows.__file__)).parents[1] == ROOT
