"""The floors of the house: nobody imports upward, the core knows no Prefect, rooms and functions stay small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"gzjwst_core": 1, "tasks": 2, "flows": 3, "deployments": 4}
MODULES = [path for folder in FLOORS for path in sorted((ROOT / folder).rglob("*.py"))]
# Arrays → arrays: these rooms' functions open no file, ask no archive and write nothing.
PURE = {
    "catalog/columns",
    "catalog/merge",
    "catalog/select",
    "catalog/offsets",
    "catalog/astrometry",
    "catalog/survey",
    "catalog/naming",
    "catalog/carried_ids",
    "catalog/overlap",
    "mosaics/shift",
    "publish/manifest_check",
    "publish/refit",
    "publish/uploads",
    "publish/votes",
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
    own = FLOORS[path.relative_to(ROOT).parts[0]]
    upward = [name for name in imports(path) if FLOORS.get(name.split(".")[0], 0) > own]
    assert upward == []


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
def test_a_room_is_small(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= 420, "which wall is missing?"


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


def test_pure_rooms_of_publishing_know_no_run() -> None:
    """A notebook that reads a Zoobot catalog starts no engine."""
    found = {name for room in ("zoobot", "split", "rows") for name in imports(ROOT / f"gzjwst_core/publish/{room}.py")}
    assert not {name for name in found if name.split(".")[-1] in {"engine", "run", "stages", "training"}}


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
