"""Which archives a run asks: the profile's order, and one of somebody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, EntryPoints
from io import BytesIO
from pathlib import Path

import pytest

from gzjwst_core.archives.base import Archive, Located, identity_of
from gzjwst_core.errors import ProfileError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.survey import archive_registry as known
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.transport.streams import ByteStream


class Theirs(Archive):
    """An archive of somebody else's package."""

    name = "theirs"

    def __init__(self, options: ArchiveOptions) -> None:
        self.options = options

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        uri = f"theirs:{mosaic.filename}{cheap}"
        return Located(archive=self.name, uri=uri, size=3, identity=identity_of(uri, 3, ""))

    @contextmanager
    def open(self, mosaic: Mosaic, *, start: int = 0) -> Iterator[ByteStream]:
        yield BytesIO(mosaic.filename.encode()[start:])


def run_with(tmp_path: Path, order: str, **more: object) -> SurveyRun:
    return start(
        SurveyRequest(out=str(tmp_path), cache=str(tmp_path / "c"), overrides=(f"archives.order={order}",), **more)
    )


def test_the_profiles_order(tmp_path: Path) -> None:
    run = run_with(tmp_path, '["mast","datalabs","s3"]')
    assert [archive.name for archive in known.archives_of(run)] == ["mast", "datalabs", "s3"]


def test_one_of_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="theirs", value=f"{__name__}:Theirs", group=known.GROUP)
    monkeypatch.setattr(known, "entry_points", lambda group: EntryPoints([point] if group == known.GROUP else []))
    archives = known.archives_of(run_with(tmp_path, '["theirs","mast"]'))
    assert [type(archive).__name__ for archive in archives] == ["Theirs", "MastDownload"]


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(
        ProfileError, match=r"archives\.order: no archive 's4' \(known: datalabs, s3, mast, directory\)"
    ):
        known.archives_of(run_with(tmp_path, '["s4"]'))


def test_rows_alone_need_no_digest_of_a_mounted_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ra,dec\n1,2\n")
    wants = {"whole": {}, "rows": {"catalog": str(tmp_path / "t.csv")}}
    made = {name: known.archives_of(run_with(tmp_path, '["datalabs"]', **more))[0] for name, more in wants.items()}
    assert {name: archive._whole for name, archive in made.items()} == {"whole": True, "rows": False}  # type: ignore[attr-defined]
