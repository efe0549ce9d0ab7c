"""The README's way to Zooniverse and back, taken literally."""

import csv
import re
import shlex
from pathlib import Path

import pytest

from gzjwst_core.cli import main
from gzjwst_core.survey.run import freeze_profile
from tests.publish.subjects import hand, new_run
from tests.publish.test_refit import export, few
from tests.publish.test_uploads import export as subject_export

README = Path(__file__).resolve().parents[2] / "README.md"


def commands() -> list[str]:
    """Every line to type, without its remark."""
    section = README.read_text().partition("\n## To Zooniverse and back\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]


def test_every_command_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = new_run(Path("runs"))
    hand(run, 3)
    freeze_profile(run, run.profile.images)
    export(Path("classifications.csv"), few())
    uploaded_rows = csv.DictReader(Path("runs/demo/zooniverse/manifest-0001.csv").read_text().splitlines())
    Path("subjects.csv").write_text(subject_export(list(enumerate(uploaded_rows, start=70))))
    check, panoptes, uploaded, new, refit = commands()
    ours = ".venv/bin/python -m gzjwst_core "
    ends = []
    for command in (check, uploaded, new, refit):
        assert main(shlex.split(command.removeprefix(ours))) == 0
        ends.append(capsys.readouterr().out.splitlines()[-1])
    assert ends[0] == panoptes
    assert ends[1:3] == ["nothing is new"] * 2
    assert ends[3].startswith("cutouts.fov_factor = ")
