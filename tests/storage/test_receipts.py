"""Receipts: work stands when and only when its outputs do."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gzjwst_core.errors import WorkerLostError
from gzjwst_core.runs.receipts import (
    all_latest,
    cache_key,
    complete,
    latest,
    receipt_path,
    retire,
    standing,
    supersede,
    write_receipt,
)
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import Outcome, Output


def work(unit: str = "f1", **inputs: str) -> Work:
    return Work(stage="cut", version="1", unit=unit, inputs=inputs or {"a": "1"}, options="o")


def units(folder: Folder) -> list[str]:
    return [receipt.unit for receipt in all_latest(folder, "cut")]


def receipt_of(item: Work, outputs: tuple[Output, ...]) -> Receipt:
    return Receipt(
        stage=item.stage,
        version=item.version,
        unit=item.unit,
        key=item.key,
        inputs=item.inputs,
        options=item.options,
        outputs=outputs,
        outcome=Outcome(),
        counts={"written": len(outputs)},
    )


class Worker:
    """Writes files, and counts how often it was asked."""

    def __init__(self, folder: Folder, item: Work, files: dict[str, bytes]) -> None:
        self.folder, self.item, self.files, self.calls = folder, item, files, 0

    def __call__(self) -> Receipt:
        self.calls += 1
        outputs = tuple(self.folder.write(path, data) for path, data in self.files.items())
        return receipt_of(self.item, outputs)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "survey"))


def test_finished_work_is_not_done_again(folder: Folder) -> None:
    make = Worker(folder, work(), {"images/f1/a": b"1", "images/f1/b": b"22"})
    first = complete(folder, work(), make)
    second = complete(folder, work(), make)
    assert (first.fresh, second.fresh, make.calls) == (True, False, 1)
    assert first.replace(fresh=False) == second
    assert (first.unit, first.counts) == ("f1", {"written": 2})


@pytest.mark.parametrize("harm", ["remove", "truncate", "receipt"])
def test_damaged_work_is_done_again(folder: Folder, harm: str) -> None:
    files = {f"images/f1/{n}": b"bytes" for n in range(9)}
    make = Worker(folder, work(), files)
    complete(folder, work(), make)
    if harm == "remove":
        folder.remove("images/f1/7")
    elif harm == "truncate":
        folder.write("images/f1/7", b"byte")
    else:
        folder.write(receipt_path("cut", work().key), b"{not json")
    assert standing(folder, work()) is None
    assert complete(folder, work(), make).fresh
    assert make.calls == 2
    assert folder.read("images/f1/7") == b"bytes"


def test_prefect_sees_the_same_key_only_while_the_work_stands(folder: Folder) -> None:
    assert cache_key(folder, work()) != cache_key(folder, work())
    complete(folder, work(), Worker(folder, work(), {"a": b"1"}))
    key = cache_key(folder, work())
    assert key == cache_key(folder, work())
    assert key.startswith(f"cut-v1-{work().key}")
    folder.remove("a")
    assert cache_key(folder, work()) != key


def test_a_new_receipt_takes_the_old_ones_place(folder: Folder) -> None:
    complete(folder, work(a="1"), Worker(folder, work(a="1"), {"images/x": b"1", "images/y": b"1"}))
    complete(folder, work("f1-more"), Worker(folder, work("f1-more"), {"images/z": b"1"}))
    complete(folder, work(a="2"), Worker(folder, work(a="2"), {"images/y": b"1"}))
    assert [p for p in folder.sizes() if p.startswith("images")] == ["images/y", "images/z"]
    assert units(folder) == ["f1", "f1-more"]


def test_what_a_killed_run_began_to_replace_never_stands_again(folder: Folder) -> None:
    """Same names, same sizes, other bytes: killed half way, then run again as it was before."""
    first, other = work(a="1"), work(a="2")
    files = {"cutouts/x": b"old", "cutouts/y": b"old"}
    complete(folder, first, Worker(folder, first, files))

    def killed() -> Receipt:
        folder.write("cutouts/x", b"new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(folder, other, killed)
    assert latest(folder, "cut", "f1") is None
    assert complete(folder, first, Worker(folder, first, files)).fresh
    assert folder.read("cutouts/x") == b"old"


def test_a_receipt_that_a_killed_run_left_behind_goes(folder: Folder) -> None:
    """Killed between the new receipt and the old one's end: the next run tidies up, though the work stands."""
    old, new = work(a="1"), work(a="2")
    complete(folder, old, Worker(folder, old, {"x": b"1", "gone": b"1"}))
    left = folder.read(receipt_path("cut", old.key))
    complete(folder, new, Worker(folder, new, {"x": b"2"}))
    settled = cache_key(folder, new)
    superseded = Outcome(kind="failed", reason="superseded")
    write_receipt(folder, Receipt.model_validate_json(left).replace(outcome=superseded, seal=""))
    folder.write("gone", b"1")
    assert cache_key(folder, new) != settled
    assert not complete(folder, new, Worker(folder, new, {})).fresh
    assert cache_key(folder, new) == settled
    assert list(folder.sizes()) == [receipt_path("cut", new.key), "x"]


def test_units_that_end_at_the_same_time_leave_each_other_alone(folder: Folder) -> None:
    """A receipt that another thread has just replaced is no fault."""
    for inputs in ("1", "2"):
        works = [work(f"f{n}", a=inputs) for n in range(24)]
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda w: complete(folder, w, Worker(folder, w, {f"cutouts/{w.unit}": b"1"})), works))
        assert all(one.fresh for one in done)
    assert len(folder.names("receipts/cut")) == 24


def test_other_units_receipts_are_not_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A survey has thousands of units, with megabytes of notes each."""
    for n in range(5):
        complete(folder, work(f"f{n}"), Worker(folder, work(f"f{n}"), {f"x{n}": b"1"}))
    read: set[str] = set()
    plain = Folder.read

    def spied(self: Folder, path: str) -> bytes:
        read.add(path)
        return plain(self, path)

    monkeypatch.setattr(Folder, "read", spied)
    item = work("f3", a="2")
    cache_key(folder, item)
    complete(folder, item, Worker(folder, item, {"x3": b"2"}))
    latest(folder, "cut", "f3")
    retire(folder, "cut", lambda unit: unit == "f9")
    receipts = {path for path in read if path.startswith("receipts/")}
    assert receipts == {receipt_path("cut", work("f3").key), receipt_path("cut", item.key)}


def test_a_superseded_unit_stands_no_longer_but_its_files_are_known(folder: Folder) -> None:
    complete(folder, work("c0of1"), Worker(folder, work("c0of1"), {"a": b"1"}))
    supersede(folder, "cut", lambda unit: unit == "c0of1")
    assert standing(folder, work("c0of1")) is None
    assert units(folder) == []
    assert retire(folder, "cut", lambda unit: unit == "c0of1") == 1
    assert not folder.exists("a")


def test_retired_units_leave_files_that_others_claim(folder: Folder) -> None:
    complete(folder, work("c0of1"), Worker(folder, work("c0of1"), {"a": b"1", "b": b"1"}))
    complete(folder, work("c0of2"), Worker(folder, work("c0of2"), {"a": b"1"}))
    assert retire(folder, "cut", lambda unit: unit == "c0of1") == 1
    assert folder.exists("a")
    assert not folder.exists("b")
    assert units(folder) == ["c0of2"]


def test_the_key_knows_inputs_options_and_version_but_no_place() -> None:
    base = work(a="1")
    assert base.key == work(a="1").key
    assert len({base.key, work(a="2").key, base.replace(options="p").key, base.replace(version="2").key}) == 4
    assert base.key.startswith("f1-")


def test_work_that_finds_no_memory_is_named_and_may_be_tried_again(folder: Folder) -> None:
    """In this process or in a worker, whose error arrives here."""

    def starve() -> Receipt:
        raise MemoryError("Unable to allocate 12.0 GiB")

    with pytest.raises(WorkerLostError, match=r"cut of f1: out of memory \(Unable to allocate 12.0 GiB\)") as caught:
        complete(folder, work(), starve)
    assert (caught.value.reason, caught.value.retryable) == ("out_of_memory", True)
    assert standing(folder, work()) is None
