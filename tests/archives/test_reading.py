"""Holding a field's mosaics while they are read: what is booked, what is held, what a run by rows may ask."""

from pathlib import Path
from typing import Any

import pytest

from gzjwst_core.archives.locate import locate
from gzjwst_core.cache import fetch_rows as windows
from gzjwst_core.cache.fetch import fetch
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import ProductNotFoundError
from gzjwst_core.models import Field
from gzjwst_core.survey import mosaic_access as room
from gzjwst_core.survey.mosaic_access import inputs_of, reading, transfers
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.archives.test_windows import OPTIONS, Counted, body, compressed
from tests.archives.tiny import SCI, mosaic


@pytest.fixture(autouse=True)
def no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's mosaic is so small that all of it would count as a gap worth reading."""
    monkeypatch.setattr(windows, "_GAP_BYTES", 0)


def run_of(folder: Path, archive: Counted, monkeypatch: pytest.MonkeyPatch, **more: Any) -> SurveyRun:
    """A run whose one archive is ours; by rows, with a target in the middle."""
    (folder / "t.csv").write_text("id,ra,dec,fov_arcsec\n1,150.0,2.0,2.0\n")
    monkeypatch.setattr(room, "archives_of", lambda _: (archive,))
    more = {"catalog": str(folder / "t.csv"), **more}
    return start(SurveyRequest(out=str(folder / "out"), cache=str(folder / "cache"), **more))


def field_of(archive: Counted) -> Field:
    return Field(name="one", mosaics=(locate(mosaic(), [archive]),))


def test_rows_alone_are_fetched_and_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Counted(body())
    run, field = run_of(tmp_path, archive, monkeypatch), field_of(archive)
    cache = MosaicCache(tmp_path / "cache")
    with reading(run, field) as (source,):
        assert (source.verified, bool(source.rows)) == (False, True)
        assert cache.held() == {windows.rows_key(field.mosaics[0], cache, SCI)}
        assert not [item for item in cache.clear(lambda _: True)[0] if item.entry]
    assert archive.bytes < len(archive.data) / 2
    before = len(archive.given)
    offline = run_of(tmp_path, archive, monkeypatch, offline=True)
    with reading(offline, field) as (again,):
        assert again == source
    assert len(archive.given) == before


def test_the_whole_serves_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same rows and marks as if they had been fetched alone; offline too."""
    archive = Counted(body())
    run, field = run_of(tmp_path, archive, monkeypatch), field_of(archive)
    cache = MosaicCache(tmp_path / "cache")
    fetch(field.mosaics[0], archive, cache, OPTIONS, SCI)
    before = len(archive.given)
    assert transfers(run, [field]).bytes == 0
    offline = run_of(tmp_path, archive, monkeypatch, offline=True)
    with reading(offline, field) as (source,):
        assert cache.held() == {cache.key(field.mosaics[0], SCI)}
    assert len(archive.given) == before
    elsewhere = run.model_copy(update={"cache": str(tmp_path / "other")})
    with reading(elsewhere, field) as (alone,):
        assert source.replace(path="") == alone.replace(path="")


def test_what_can_only_be_read_whole_is_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Counted(compressed("ERR"))
    run, field = run_of(tmp_path, archive, monkeypatch), field_of(archive)
    cache = MosaicCache(tmp_path / "cache")
    with reading(run, field) as (source,):
        assert cache.held() == {cache.key(field.mosaics[0], SCI)}
        assert source.rows
    asked = len(archive.given)
    with reading(run_of(tmp_path, archive, monkeypatch, offline=True), field) as (again,):
        assert again == source
    assert len(archive.given) == asked


def test_what_is_not_there_is_not_asked_for_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Counted(body())
    run = run_of(tmp_path, archive, monkeypatch, offline=True)
    with pytest.raises(ProductNotFoundError, match="not in the cache"), reading(run, field_of(archive)):
        pass
    assert archive.given == []


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("archives.windows=false", True),
        ("cutouts.fov_max_arcsec=9.0", True),
        ("cutouts.fov_factor=1.2", False),
        ("cutouts.fov_fixed_arcsec=5.0", False),
        ("cutouts.chunk_size=7", False),
        ("images.recipe=lupton", False),
    ],
)
def test_what_a_work_by_rows_depends_on(
    setting: str, changes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Counted(body())
    field = field_of(archive)
    plain = inputs_of(run_of(tmp_path, archive, monkeypatch), field)
    other = inputs_of(run_of(tmp_path, archive, monkeypatch, overrides=(setting,)), field)
    assert (plain != other) == changes
    assert str(tmp_path) not in str(plain)
