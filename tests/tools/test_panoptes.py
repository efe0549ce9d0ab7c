"""Zooniverse's own client takes our manifests: panoptes-cli in an environment of its own, its API on loopback."""

import csv
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gzjwst_core.cli import main
from tests.flows.survey import Ended
from tests.publish.client_rules import outcome
from tests.publish.subjects import FAULTS, hand, new_run
from tests.publish.test_readme import commands
from tests.tools.panoptes_stub import Panoptes, panoptes

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]


_LOOPBACK_ONLY = """
import socket
def _only(connect):
    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            raise OSError(f"the network is cut off: {address}")
        return connect(self, address)
    return guarded
socket.socket.connect, socket.socket.connect_ex = _only(socket.socket.connect), _only(socket.socket.connect_ex)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """panoptes-cli (its package is `panoptescli`), away from our own libraries: they do not go together."""
    home = tmp_path_factory.mktemp("panoptes")
    python = home / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, timeout=120)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "panoptescli>=1.2,<2"]
    subprocess.run(install, check=True, timeout=240)
    packages = next((home / "venv" / "lib").glob("python*/site-packages"))
    (packages / "cut_off.py").write_text(_LOOPBACK_ONLY)
    (packages / "cut_off.pth").write_text("import cut_off\n")  # run at every start of this environment's Python
    return python.with_name("panoptes")


def upload(client: Path, server: Panoptes, cwd: Path, *arguments: str) -> str:
    """Upload as a person does. The exit code tells nothing: it is 0 also when everything was refused."""
    command = [str(client), "--endpoint", server.url, "subject-set", "upload-subjects", *arguments]
    bare = {"HOME": str(cwd), "PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1"}
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(command, cwd=cwd, env=bare, timeout=120, check=False, **quiet)  # type: ignore[call-overload]
    return str(done.stdout + done.stderr)


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("options", [["--file-column", "1"], []], ids=["as we say", "left to its guess"])
def test_every_row_becomes_one_subject_with_one_image(options: list[str], client: Path, small: Ended) -> None:
    """Also where the client guesses which columns are files: no other cell of ours looks like one to it."""
    manifest = small.folder / "zooniverse" / "manifest-0001.csv"
    with panoptes() as server:
        said = upload(client, server, small.folder, *options, "1", "zooniverse/manifest-0001.csv")
    rows = rows_of(manifest)
    assert "Traceback" not in said, said
    assert "Error" not in said, said
    assert server.refused == []
    assert len(rows) >= 10
    by_name = {subject["metadata"]["id_str"]: number for number, subject in server.subjects.items()}
    assert set(by_name) == {row["id_str"] for row in rows}
    for row in rows:
        number = by_name[row["id_str"]]
        assert server.subjects[number]["metadata"] == row
        assert server.subjects[number]["locations"] == ["image/jpeg"]
        assert server.media[number] == [("image/jpeg", (manifest.parent / row["file_name"]).read_bytes())]
    assert sorted(server.linked) == sorted(server.subjects)


def test_volunteers_see_a_name_and_nothing_that_sways_them(client: Path, small: Ended) -> None:
    """`#` hides a column from everybody, `!` while classifying."""
    header = list(rows_of(small.folder / "zooniverse" / "manifest-0001.csv")[0])
    assert [name for name in header if not name.startswith(("#", "!"))] == ["file_name", "id_str"]
    assert {"!iauname", "!link", "#ra", "#dec", "#mag_ref"} <= set(header)


def test_the_clients_own_trap_is_still_there(client: Path, small: Ended, tmp_path: Path) -> None:
    """An empty cell names the manifest's folder, and the whole upload is refused: why we leave no cell empty."""
    shutil.copytree(small.folder / "zooniverse", tmp_path / "zooniverse")
    shutil.copytree(small.folder / "images", tmp_path / "images")
    manifest = tmp_path / "zooniverse" / "manifest-0001.csv"
    lines = manifest.read_text().splitlines()
    lines[0] += ",#note"
    manifest.write_text("\n".join(f"{line}{'' if i == 0 else ','}" for i, line in enumerate(lines)) + "\n")
    with panoptes() as server:
        said = upload(client, server, tmp_path, "1", "zooniverse/manifest-0001.csv")
    assert "could not be found" in said
    assert server.subjects == {}


def test_the_clients_network_is_cut_off_but_for_loopback(client: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    run = subprocess.run([client.with_name("python"), "-c", code], capture_output=True, text=True, check=False)
    assert "the network is cut off" in run.stderr


@pytest.mark.parametrize("panels", [False, True], ids=["jpg", "panels in png"])
def test_every_manifest_is_taken_as_a_whole(panels: bool, client: Path, tmp_path: Path) -> None:
    """The survey's and those of what is new, all in the one command that `check` prints."""
    run, folder = new_run(tmp_path), tmp_path / "demo"
    for stem, count in (("manifest", 6), ("new", 7)):
        hand(run, 6 if stem == "manifest" else 11, panels=panels)
        manifests = sorted(str(path) for path in (folder / "zooniverse").glob(f"{stem}-*.csv"))
        assert main(["zooniverse", "check", *manifests]) == 0
        with panoptes() as server:
            said = upload(client, server, tmp_path, "--file-column", "1", "1", *manifests)
        assert "Error" not in said
        assert "Traceback" not in said
        assert len(server.linked) == count == len(server.subjects)
        assert {kind for taken in server.media.values() for kind, _ in taken} == {
            f"image/{'png' if panels else 'jpeg'}"
        }
        boxes = {subject["metadata"]["#panels"] for subject in server.subjects.values()}
        assert boxes == ({"rgb=0,0,16,16 F277W=20,0,36,16 F444W=40,0,56,16"} if panels else {"none"})
        assert main(["zooniverse", "uploaded", str(folder), str(folder / "zooniverse" / "manifest-0001.csv")]) == 0


def test_the_readmes_command_uploads(client: Path, tmp_path: Path) -> None:
    hand(new_run(tmp_path / "runs"), 3)
    (command,) = [line for line in commands() if line.startswith("panoptes ")]
    _, group, action, *options = shlex.split(command.replace("SUBJECT_SET_ID", "1"))
    assert (group, action) == ("subject-set", "upload-subjects")
    with panoptes() as server:
        said = upload(client, server, tmp_path, *options)
    assert len(server.linked) == 3, said


def ended(client: Path, manifest: Path, options: list[str]) -> str:
    """What became of an upload: `taken`, `refused` or `wrong`, as `client_rules` has it."""
    columns = manifest.read_text(errors="replace").partition("\n")[0].count(",") + 1
    with panoptes() as server:
        said = upload(client, server, manifest.parent, *options, "1", str(manifest))
        subjects = list(server.subjects.values())
    if any(sign in said for sign in ("Error", "Traceback", "did not contain", "Could not find")):
        return "refused"
    right = all(len(one["locations"]) == 1 and len(one["metadata"]) == columns for one in subjects)
    return "taken" if right and all("file_name" in one["metadata"] for one in subjects) else "wrong"


@pytest.mark.parametrize("name", FAULTS)
def test_check_client_and_its_rules_agree(name: str, client: Path, tmp_path: Path) -> None:
    """What our check passes the client takes; what it refuses the client refuses, or spoils without a word."""
    fault = FAULTS[name]
    hand(new_run(tmp_path), 3)
    manifest = tmp_path / "demo" / "zooniverse" / "manifest-0001.csv"
    fault.spoil(manifest)
    columns = manifest.read_text(errors="replace").partition("\n")[0].count(",") + 1
    for options, column, told in ((["--file-column", "1"], 1, fault.named), ([], None, fault.guessed)):
        assert ended(client, manifest, options) == told == outcome(manifest, column, columns)
    assert main(["zooniverse", "check", str(manifest)]) == (1 if fault.kinds else 0)
