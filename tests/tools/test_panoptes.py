"""Zooniverse's own client takes our manifests: panoptes-cli in an environment of its own, its API on loopback."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.survey import Ended
from tests.tools.panoptes_stub import Panoptes, panoptes

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """panoptes-cli (its package is `panoptescli`), away from our own libraries: they do not go together."""
    home = tmp_path_factory.mktemp("panoptes")
    python = home / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, timeout=120)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "panoptescli>=1.2,<2"]
    subprocess.run(install, check=True, timeout=240)
    return python.with_name("panoptes")


def upload(client: Path, server: Panoptes, cwd: Path, *arguments: str) -> str:
    """Upload as a person does. The exit code tells nothing: it is 0 also when everything was refused."""
    command = [str(client), "--endpoint", server.url, "subject-set", "upload-subjects", *arguments]
    bare = {"HOME": str(cwd), "PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, cwd=cwd, env=bare, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


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
