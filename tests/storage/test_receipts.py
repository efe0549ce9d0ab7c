"""Receipts: work stands when and only when its outputs do."""

from pathlib import Path

import pytest

from gzjwst_core.models import Outcome, Output, Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.receipts import cache_key, complete, latest, receipt_path, retire, standing


def work(unit: str = "f1", **inputs: str) -> Work:
    return Work(stage="cut", version="1", unit=unit, inputs=inputs or {"a": "1"}, options="o")


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
    assert first.receipt == second.receipt


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
    assert cache_key(folder, work()) == cache_key(folder, work()) == f"cut-v1-{work().key}"
    folder.remove("a")
    assert cache_key(folder, work()) != f"cut-v1-{work().key}"


def test_a_new_receipt_takes_the_old_ones_place(folder: Folder) -> None:
    complete(folder, work(a="1"), Worker(folder, work(a="1"), {"images/x": b"1", "images/y": b"1"}))
    complete(folder, work("f1-more"), Worker(folder, work("f1-more"), {"images/z": b"1"}))
    complete(folder, work(a="2"), Worker(folder, work(a="2"), {"images/y": b"1"}))
    assert [p for p in folder.sizes() if p.startswith("images")] == ["images/y", "images/z"]
    assert sorted(latest(folder, "cut")) == ["f1", "f1-more"]


def test_retired_units_leave_files_that_others_claim(folder: Folder) -> None:
    complete(folder, work("c0of1"), Worker(folder, work("c0of1"), {"a": b"1", "b": b"1"}))
    complete(folder, work("c0of2"), Worker(folder, work("c0of2"), {"a": b"1"}))
    assert retire(folder, "cut", lambda receipt: receipt.unit == "c0of1") == 1
    assert folder.exists("a")
    assert not folder.exists("b")
    assert list(latest(folder, "cut")) == ["c0of2"]


def test_the_key_knows_inputs_options_and_version_but_no_place() -> None:
    base = work(a="1")
    assert base.key == work(a="1").key
    assert len({base.key, work(a="2").key, base.replace(options="p").key, base.replace(version="2").key}) == 4
    assert base.key.startswith("f1-")
