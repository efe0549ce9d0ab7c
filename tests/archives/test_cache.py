"""The cache's entries: what counts as there, filling alone, what a killed process leaves, and nothing of others."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from gzjwst_core.cache.entries import Kind
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import CorruptMosaicError, NameRefusedError, StorageError
from tests.archives.caching import PLANES, READY, content, fill, key_of, mosaic_of, numbers, place, process

RECORDED = "source.json"


def record_of(cache: MosaicCache, number: int) -> Path:
    return cache.put(key_of(cache, number), mosaic_of(number)).with_name(RECORDED)


def change_record(cache: MosaicCache, number: int, **changes: object) -> None:
    path = record_of(cache, number)
    facts = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))


def aged(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_what_was_put_is_found(cache: MosaicCache) -> None:
    key = key_of(cache, 1)
    assert cache.find(key, mosaic_of(1)) is None
    assert not cache.folder.exists()  # looking writes nothing
    assert fill(cache, 1)
    path = cache.find(key, mosaic_of(1))
    assert path is not None
    assert path.read_bytes() == content(1, 1000)
    assert not fill(cache, 1)


def test_another_identity_or_other_planes_are_another_entry(cache: MosaicCache) -> None:
    key = key_of(cache, 1)
    fill(cache, 1)
    newer = mosaic_of(1).replace(identity="other|1000|etag")
    assert cache.find(key, newer) is None
    keys = {
        key,
        cache.key(newer, PLANES),
        cache.key(mosaic_of(1), ("SCI", "ERR")),
        cache.key(mosaic_of(1), PLANES, "x"),
    }
    assert len(keys) == 4
    assert cache.key(mosaic_of(1), ("SCI", "x")) != cache.key(mosaic_of(1), PLANES, "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 999},
        {"identity": None},
        {"identity": "other"},
        {"file": "../../../x.fits"},
        {"file": "gone.fits"},
        {"size": "many"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_does_not_count(changes: dict[str, object], cache: MosaicCache) -> None:
    fill(cache, 1)
    change_record(cache, 1, **changes)
    assert cache.find(key_of(cache, 1), mosaic_of(1)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", "null"])
def test_a_damaged_record_does_not_count_and_the_entry_is_filled_anew(text: str, cache: MosaicCache) -> None:
    fill(cache, 1)
    record_of(cache, 1).write_text(text, encoding="latin-1")
    assert cache.entries() == []
    assert fill(cache, 1)
    assert numbers(cache) == [1]


def test_a_record_of_before_is_read(cache: MosaicCache) -> None:
    fill(cache, 1)
    change_record(cache, 1, checked=None)
    (entry,) = cache.entries()
    assert entry.checked == "size"


def test_a_truncated_file_does_not_count(cache: MosaicCache) -> None:
    fill(cache, 1)
    os.truncate(cache.put(key_of(cache, 1), mosaic_of(1)), 999)
    assert cache.find(key_of(cache, 1), mosaic_of(1)) is None


@pytest.mark.parametrize("key", ["", "..", "a/b", "0" * 19, "0" * 20 + "\n", "A" * 20])
def test_a_strange_key_is_refused(key: str, cache: MosaicCache) -> None:
    with pytest.raises(NameRefusedError):
        cache.find(key, mosaic_of(1))
    with pytest.raises(NameRefusedError):
        cache.put(key, mosaic_of(1))
    with pytest.raises(NameRefusedError):
        cache.used(key)
    with pytest.raises(NameRefusedError), cache.holding({key: 1}):
        pass
    with pytest.raises(NameRefusedError), cache.filling(key):
        pass


def test_a_body_survives_an_error(cache: MosaicCache) -> None:
    with pytest.raises(CorruptMosaicError), cache.filling(key_of(cache, 1)) as body:
        body.write_bytes(b"so far")
        raise CorruptMosaicError("damaged")
    with cache.filling(key_of(cache, 1)) as body:
        assert body.read_bytes() == b"so far"
    assert cache.usage() == 6


def test_a_body_survives_a_kill_and_its_lock_does_not(cache: MosaicCache) -> None:
    code = f"with cache.filling(key_of(cache, 1)) as body:\n    body.write_bytes(b'so far'); {READY}"
    with process(code, cache.folder) as child:
        child.kill()
        with cache.filling(key_of(cache, 1)) as body:
            assert body.read_bytes() == b"so far"


def test_a_file_fault_while_filling_is_ours(cache: MosaicCache) -> None:
    with pytest.raises(StorageError) as caught, cache.filling(key_of(cache, 1)):
        raise OSError(28, "No space left on device")
    assert caught.value.reason == "disk_full"


def test_each_mosaic_is_filled_once_by_many_threads(cache: MosaicCache) -> None:
    had_to: list[bool] = []
    threads = [threading.Thread(target=lambda: had_to.append(fill(cache, 1))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(had_to) == [False] * 5 + [True]


def test_links_are_no_entries_and_their_targets_stay(cache: MosaicCache, tmp_path: Path) -> None:
    elsewhere = MosaicCache(tmp_path / "elsewhere")
    fill(elsewhere, 1)
    target = elsewhere.put(key_of(cache, 1), mosaic_of(1)).parent
    place_of = cache.put(key_of(cache, 1), mosaic_of(1)).parent
    place_of.parent.mkdir(parents=True)
    place_of.symlink_to(target)
    assert cache.find(key_of(cache, 1), mosaic_of(1)) is None
    assert (cache.entries(), cache.usage()) == ([], 0)
    cache.used(key_of(cache, 1))
    with pytest.raises(StorageError, match="is a link"):
        cache.put(key_of(cache, 1), mosaic_of(1))
    assert cache.clear(lambda _: True) == ([], [])
    assert cache.sweep() == 0
    assert sorted(path.name for path in target.iterdir()) == sorted([RECORDED, elsewhere.entries()[0].file])


def test_a_linked_file_is_no_entry(cache: MosaicCache, tmp_path: Path) -> None:
    fill(cache, 1)
    path = cache.put(key_of(cache, 1), mosaic_of(1))
    mine = tmp_path / "mine.fits"
    path.rename(mine)
    path.symlink_to(mine)
    assert cache.find(key_of(cache, 1), mosaic_of(1)) is None
    assert cache.usage() == 0
    with pytest.raises(StorageError, match="is a link"):
        cache.put(key_of(cache, 1), mosaic_of(1))
    cache.clear(lambda _: True)
    assert mine.read_bytes() == content(1, 1000)


@pytest.mark.parametrize("folder", ["mosaics", "partial", "locks", "pins"])
def test_a_linked_folder_is_not_followed(folder: str, cache: MosaicCache, tmp_path: Path) -> None:
    other = MosaicCache(tmp_path / "other")
    fill(other, 1)
    with pytest.raises(CorruptMosaicError), other.filling(key_of(other, 2)) as body:
        body.write_bytes(b"so far")
        raise CorruptMosaicError("damaged")
    (other.folder / "pins").mkdir()
    before = sorted(other.folder.rglob("*"))
    cache.folder.mkdir()
    (cache.folder / folder).symlink_to(other.folder / folder)
    assert cache.usage() == 0
    with pytest.raises(StorageError, match="is a link"), cache.holding({key_of(cache, 3): 10}):
        fill(cache, 3)
    assert sorted(other.folder.rglob("*")) == before


def test_a_linked_body_is_not_written(cache: MosaicCache, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (cache.folder / "partial").mkdir(parents=True)
    (cache.folder / "partial" / f"{key_of(cache, 1)}.body").symlink_to(tmp_path / "mine")
    with pytest.raises(StorageError, match="is a link"), cache.filling(key_of(cache, 1)) as body:
        body.write_bytes(b"other")
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_linked_date_is_not_touched(cache: MosaicCache, tmp_path: Path) -> None:
    fill(cache, 1)
    mine = tmp_path / "mine"
    mine.touch()
    aged(mine, 5)
    before = mine.stat().st_mtime_ns
    record_of(cache, 1).with_name("used").symlink_to(mine)
    cache.used(key_of(cache, 1))
    assert mine.stat().st_mtime_ns == before


def test_usage_counts_what_is_on_the_disk(cache: MosaicCache) -> None:
    place(cache, 1, 5000)
    path = cache.put(key_of(cache, 2), mosaic_of(2))
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(50 << 20)
        file.write(b"x" * 4096)
    cache.record(path, uri="u", identity="i", source_size=1, source_sha256="", planes=PLANES, checked="rows")
    assert 9096 <= cache.usage() <= 5000 + (1 << 20)


def test_sweep_removes_what_killed_processes_left(cache: MosaicCache) -> None:
    fill(cache, 1)
    whole = {path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()}
    cut = cache.put(key_of(cache, 2), mosaic_of(2))
    cut.parent.mkdir()
    cut.write_bytes(b"no record yet")
    for name in (
        cut.with_name(".x.999999999-ab.part"),
        record_of(cache, 1).with_name(".source.json.999999999-ab.part"),
    ):
        name.write_bytes(b"a")
        aged(name, 0.5)
    old, young = (
        cache.folder / "partial" / f"{key_of(cache, 3)}.body",
        cache.folder / f"partial/{key_of(cache, 4)}.body",
    )
    for body in (old, young):
        body.write_bytes(b"so far")
    aged(old, 25)
    (cache.folder / "pins").mkdir()
    (cache.folder / "pins" / ("0" * 32 + ".json")).write_text("{}")
    assert cache.sweep() == 4
    left = {
        path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file() and path.parent.name != "locks"
    }
    assert left == {young: b"so far"} | {path: data for path, data in whole.items() if path.parent.name != "locks"}
    assert cache.sweep() == 0


def test_sweep_leaves_temporaries_that_another_machine_may_write(cache: MosaicCache) -> None:
    fill(cache, 1)
    place_of = record_of(cache, 1).parent
    theirs, gone, ours = (place_of / f".x.{pid}-ab.part" for pid in (999999999, 999999998, os.getpid()))
    for path in (theirs, gone, ours):
        path.write_bytes(b"a")
    aged(gone, 0.5)
    aged(ours, 0.5)
    assert cache.sweep() == 1
    assert [path.exists() for path in (theirs, gone, ours)] == [True, False, True]


def test_sweep_leaves_what_is_being_filled(cache: MosaicCache) -> None:
    mosaic, key = mosaic_of(1), key_of(cache, 1)
    with cache.filling(key) as body:
        path = cache.put(key, mosaic)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"so far")
        body.write_bytes(b"so far")
        aged(body, 48)
        assert cache.sweep() == 0
        assert body.exists()
        assert path.exists()
    assert cache.sweep() == 2
    assert not path.parent.exists()


def test_sweep_and_clear_leave_the_files_of_others(cache: MosaicCache) -> None:
    fill(cache, 1)
    place_of = record_of(cache, 1).parent
    others = [
        place_of / "notes.txt",
        place_of / "mine.fits",
        cache.folder / "mosaics" / "mine" / "a.fits",
        cache.folder / "mosaics" / "b.fits",
        cache.folder / "partial" / "c.body",
        cache.folder / "pins" / "d.json",
        cache.folder / "sky" / "e.fits",
    ]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
        aged(path, 100)
    cache.sweep()
    gone, left = cache.clear(lambda _: True)
    assert [(item.kind, item.key) for item in gone] == [(Kind.UNREAD, key_of(cache, 1))]
    assert left == []
    assert [path.read_bytes() for path in others] == [b"mine"] * len(others)
    assert sorted(path.name for path in place_of.iterdir()) == ["mine.fits", "notes.txt"]


def test_a_cache_that_is_gone_meanwhile_is_just_empty(cache: MosaicCache) -> None:
    fill(cache, 1)
    shutil.rmtree(cache.folder)
    cache.used(key_of(cache, 1))
    assert (cache.usage(), cache.sweep(), cache.entries(), cache.held()) == (0, 0, [], set())
    assert not cache.folder.exists()


def test_a_digest_is_read_once_by_many_threads(
    cache: MosaicCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def slowly(path: Path) -> str:
        reads.append(path)
        time.sleep(0.1)
        return "0" * 64

    monkeypatch.setattr("gzjwst_core.archives.digests._sha256", slowly)
    file = tmp_path / "big.fits"
    file.write_bytes(b"x" * 1000)
    digests: list[str] = []
    threads = [threading.Thread(target=lambda: digests.append(cache.digests.digest(file))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == ["0" * 64] * 4
    assert reads == [file]
    assert cache.digests.known(file) == digests[0]
    cache.digests.clear()
    assert cache.digests.known(file) == ""
