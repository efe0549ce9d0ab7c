"""The budget: what makes way and in which order, what never does, who waits for whom."""

import logging
import os
import random
import shutil
import threading
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cache.budget import CacheBudget
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.storage.locks import is_held
from tests.archives.caching import READY, content, fill, key_of, mosaic_of, numbers, place, process
from tests.soak.double import EXPECTED, double


def use(cache: MosaicCache, *those: int) -> None:
    for number in those:
        cache.used(key_of(cache, number))
        time.sleep(0.002)  # dates must differ


def wanting(cache: MosaicCache, *those: int, size: int = 1000) -> dict[str, int]:
    return {key_of(cache, number): size for number in those}


def begin(cache: MosaicCache, number: int, size: int) -> None:
    """Leave a body that has come in part."""
    with cache.filling(key_of(cache, number)) as body:
        body.write_bytes(b"x" * size)


def bodies(cache: MosaicCache) -> list[str]:
    return [path.stem for path in (cache.folder / "partial").glob("*.body")]


class Reader(threading.Thread):
    """A thread that holds keys until it is let go."""

    def __init__(self, cache: MosaicCache, wanted: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self.cache, self.wanted = cache, wanted
        self.has, self.let_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self.cache.holding(self.wanted):
            self.has.set()
            self.let_go.wait(30)

    def leave(self) -> None:
        self.let_go.set()
        self.join(30)


@pytest.fixture
def small(cache: MosaicCache) -> MosaicCache:
    """A cache with room for four mosaics of 1000 bytes."""
    return MosaicCache(cache.folder, 4000)


def test_read_ones_go_first_the_least_recently_read_before(small: MosaicCache) -> None:
    for number in (1, 2, 3, 4):
        place(small, number)
        time.sleep(0.002)
    use(small, 3, 2)
    order = []
    for number in (5, 6, 7, 8):
        before = set(numbers(small))
        with small.holding(wanting(small, number)):
            order += sorted(before - set(numbers(small)))
            place(small, number)
        use(small, number)
        time.sleep(0.002)
    # 5 and 6 were read as well by then: they go before 1 and 4, which nobody has read
    assert order == [3, 2, 5, 6]
    assert numbers(small) == [1, 4, 7, 8]


def test_bodies_on_their_way_go_last_the_oldest_before(small: MosaicCache) -> None:
    place(small, 1)
    begin(small, 2, 1000)
    time.sleep(0.01)
    begin(small, 3, 1000)
    with small.holding(wanting(small, 5, 6)):
        assert numbers(small) == []
        assert set(bodies(small)) == {key_of(small, 2), key_of(small, 3)}
    with small.holding(wanting(small, 5, 6, 7)):
        assert bodies(small) == [key_of(small, 3)]


def test_no_more_goes_than_has_to(small: MosaicCache) -> None:
    for number in (1, 2, 3):
        place(small, number)
    with small.holding(wanting(small, 4)):
        assert numbers(small) == [1, 2, 3]
    with small.holding(wanting(small, 4, size=1001)):
        assert len(numbers(small)) == 2


def test_what_is_held_stays_and_counts_once(small: MosaicCache) -> None:
    for number in (1, 2, 3, 4):
        place(small, number)
    use(small, 1)
    with small.holding(wanting(small, 1, 2)), small.holding(wanting(small, 1, 2, 5, 6)):
        assert numbers(small) == [1, 2]
        assert small.held() == set(wanting(small, 1, 2, 5, 6))
    assert small.held() == set()


def test_what_is_there_counts_as_what_it_takes(small: MosaicCache) -> None:
    for number in (1, 2, 3, 4):
        place(small, number)
    with small.holding(wanting(small, 1, 2, 3, 4, size=10**9)):
        assert numbers(small) == [1, 2, 3, 4]


def test_an_entry_of_rows_may_grow(small: MosaicCache) -> None:
    place(small, 1, checked="rows")
    place(small, 2)
    with small.holding(wanting(small, 1, size=3500)):
        assert numbers(small) == [1]


def test_a_body_counts_in_what_its_entry_takes(small: MosaicCache) -> None:
    begin(small, 1, 900)
    place(small, 2)
    with small.holding(wanting(small, 1, size=3000)):
        assert numbers(small) == [2]
        assert bodies(small) == [key_of(small, 1)]


def test_what_is_being_filled_does_not_make_way(small: MosaicCache) -> None:
    with small.filling(key_of(small, 1)) as body:
        body.write_bytes(b"x" * 3000)
        place(small, 1)
        with small.holding(wanting(small, 2, size=4000)):
            assert numbers(small) == [1]
            assert body.exists()


def test_a_reader_waits_until_others_let_go(small: MosaicCache) -> None:
    first = Reader(small, wanting(small, 1, 2, 3))
    assert first.has.wait(10)
    second = Reader(small, wanting(small, 4, 5))
    assert not second.has.wait(0.5)
    first.leave()
    assert second.has.wait(10)
    second.leave()
    assert list((small.folder / "pins").iterdir()) == []


def test_who_needs_nothing_more_does_not_wait(small: MosaicCache) -> None:
    alone = Reader(small, wanting(small, 1, size=9000))
    assert alone.has.wait(10)
    same = Reader(small, wanting(small, 1, size=9000))
    assert same.has.wait(10)
    same.leave()
    alone.leave()


def test_one_alone_goes_on_above_the_budget_and_says_so_once(
    small: MosaicCache, caplog: pytest.LogCaptureFixture
) -> None:
    place(small, 1)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), small.holding(wanting(small, 2, size=5000)):
            assert numbers(small) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_budget_of_zero_goes_one_by_one(cache: MosaicCache) -> None:
    none = MosaicCache(cache.folder, 0)
    for number in (1, 2):
        with none.holding(wanting(none, number)):
            assert fill(none, number)
            other = Reader(none, wanting(none, number + 10))
            assert not other.has.wait(0.3)
            assert numbers(none) == [number]
        assert other.has.wait(10)
        other.leave()
        assert numbers(none) == []
    with none.ahead(wanting(none, 3)) as has_room:
        assert not has_room


def test_holding_nothing_waits_for_nobody_and_writes_nothing(small: MosaicCache) -> None:
    with small.holding({}):
        assert not small.folder.exists()


def test_ahead_takes_the_room_of_what_was_read_only(small: MosaicCache) -> None:
    for number in (1, 2, 3, 4):
        place(small, number)
    with small.ahead(wanting(small, 5)) as has_room:
        assert not has_room
    use(small, 2)
    with small.ahead(wanting(small, 5, 6)) as has_room:
        assert not has_room
    assert numbers(small) == [1, 2, 3, 4]  # nothing goes in vain
    with small.ahead(wanting(small, 5)) as has_room:
        assert has_room
        assert numbers(small) == [1, 3, 4]
        assert small.held() == {key_of(small, 5)}


def test_ahead_never_waits_and_goes_behind_a_waiting_reader(small: MosaicCache) -> None:
    with small.holding(wanting(small, 1, 2, 3)):
        with small.ahead(wanting(small, 4)) as has_room:
            assert has_room
        waiting = Reader(small, wanting(small, 5, 6))
        assert not waiting.has.wait(0.3)
        with small.ahead(wanting(small, 4)) as has_room:
            assert not has_room
    assert waiting.has.wait(10)
    waiting.leave()


def test_an_error_lets_go(small: MosaicCache) -> None:
    with pytest.raises(ZeroDivisionError), small.holding(wanting(small, 1)):
        _ = 1 // 0
    assert small.held() == set()


def test_a_killed_holder_holds_no_more(small: MosaicCache) -> None:
    place(small, 1)
    code = f"with cache.holding({{key_of(cache, 1): 1000}}): {READY}"
    with process(code, small.folder) as child:
        with small.holding(wanting(small, 2, 3, 4, size=900)):
            assert numbers(small) == [1]
        assert small.clear(lambda _: True)[0] == []
        child.kill()
        child.wait()
        with small.holding(wanting(small, 2, size=4000)):
            assert numbers(small) == []
            assert len(list((small.folder / "pins").iterdir())) == 1


def test_a_killed_waiter_holds_nobody_back(small: MosaicCache) -> None:
    code = "print('ready', flush=True)\n"
    code += "with MosaicCache(Path(sys.argv[1]), 4000).holding({key_of(cache, 9): 4000}): pass"
    with small.holding(wanting(small, 1)), process(code, small.folder) as child:
        while not any(map(is_held, (small.folder / "pins").glob("*.wait"))):
            assert child.poll() is None
            time.sleep(0.01)
        with small.ahead(wanting(small, 2)) as has_room:
            assert not has_room
        child.kill()
        child.wait()
        with small.ahead(wanting(small, 2)) as has_room:
            assert has_room


def test_every_mark_is_made_within_a_decision(small: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or another's decision would remove it in the moment between its making and its lock."""
    decided, marked = [], CacheBudget._marked

    def watched(self: CacheBudget, kind: str, *wanted: dict[str, int]) -> AbstractContextManager[None]:
        decided.append((kind, is_held(small.folder / "locks" / "room.lock")))
        return marked(self, kind, *wanted)

    monkeypatch.setattr(CacheBudget, "_marked", watched)
    with small.holding(wanting(small, 1, 2, 3)), small.ahead(wanting(small, 4)):
        waiting = Reader(small, wanting(small, 5, 6))
        assert not waiting.has.wait(0.3)
    assert waiting.has.wait(10)
    waiting.leave()
    assert decided == [(".json", True), (".json", True), (".wait", True), (".json", True)]


BUSY = """
print('ready', flush=True)
cache = MosaicCache(Path(sys.argv[1]), 500_000)
for turn in range(int(sys.argv[2]), 10**9):
    those = {turn % 7, turn * 3 % 7}
    with cache.holding({key_of(cache, number): 200_000 for number in those}):
        for number in those:
            fill(cache, number, 100_000)
            cache.used(key_of(cache, number))
"""


def test_kills_at_any_moment_leave_whole_entries_and_no_locks(cache: MosaicCache) -> None:
    moments = random.Random(7)
    for _ in range(4):
        with process(BUSY, cache.folder, moments.randrange(100)):
            time.sleep(moments.uniform(0.02, 0.2))
        for entry in cache.entries():
            number = int(entry.file[9:12])
            path = cache.find(key_of(cache, number), mosaic_of(number))
            assert path is not None
            assert path.read_bytes() == content(number, 100_000)
    with MosaicCache(cache.folder, 500_000).holding(wanting(cache, 1, 2)):
        assert cache.held() == set(wanting(cache, 1, 2))
    for path in cache.folder.rglob("*.part"):
        os.utime(path, (0, 0))  # as if an hour had passed
    cache.sweep()
    assert list((cache.folder / "pins").iterdir()) == []
    assert list(cache.folder.rglob("*.part")) == []
    assert all(list(folder.glob("source.json")) for folder in (cache.folder / "mosaics").iterdir())


class Disk(NamedTuple):
    total: int
    used: int
    free: int


def test_without_a_budget_the_disk_keeps_a_reserve(cache: MosaicCache, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        place(cache, number)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(20_000, 0, 3000))  # 1000 of them are the reserve
    with cache.holding(wanting(cache, 3, size=2000)):
        assert numbers(cache) == [1, 2]
    with cache.holding(wanting(cache, 3, size=2001)):
        assert len(numbers(cache)) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(20_000, 0, 0))
    with cache.holding(wanting(cache, *numbers(cache))):  # a full disk takes nothing from who only reads
        assert len(numbers(cache)) == 1


def test_damaged_marks_do_not_count(small: MosaicCache) -> None:
    pins = small.folder / "pins"
    pins.mkdir(parents=True)
    for number, text in enumerate(("", "[]", "{", '{"a": "b"}')):
        (pins / f"{number:032x}.json").write_text(text)
    with small.holding(wanting(small, 1)):
        assert len(list(pins.iterdir())) == 1


SIZES = (600, 1000, 1400, 1800, 2200)
SOME = st.sets(st.integers(0, len(SIZES) - 1), min_size=1, max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(["hold", "ahead", "leave", "use"]), SOME), max_size=25)


class Model:
    """What a reader may rely on, whatever others do: room for what it holds, and nothing it holds is taken away."""

    def __init__(self, cache: MosaicCache, budget: int) -> None:
        self.cache, self.budget = cache, budget
        self.holders: list[tuple[set[int], ExitStack]] = []

    def held(self) -> set[int]:
        return {number for those, _ in self.holders for number in those}

    def step(self, what: str, those: set[int]) -> None:
        if what == "leave" and self.holders:
            self.holders.pop(0)[1].close()
        elif what == "use":
            for number in those:
                self.cache.used(key_of(self.cache, number))
        elif what == "ahead" or (what == "hold" and self.fits(those)):
            self.enter(what, those)

    def fits(self, those: set[int]) -> bool:
        return sum(SIZES[number] for number in self.held() | those) <= self.budget

    def enter(self, what: str, those: set[int]) -> None:
        stack = ExitStack()
        wanted = {key_of(self.cache, number): SIZES[number] for number in those}
        if what == "ahead":
            if not stack.enter_context(self.cache.ahead(wanted)):
                return
        else:
            stack.enter_context(self.cache.holding(wanted))
        self.holders.append((those, stack))
        for number in those:
            fill_within(self.cache, number)

    def check(self) -> None:
        assert self.cache.usage() <= self.budget
        assert self.held() <= set(numbers(self.cache))
        for number in self.held():
            path = self.cache.find(key_of(self.cache, number), mosaic_of(number))
            assert path is not None
            assert path.read_bytes() == content(number, SIZES[number])


def fill_within(cache: MosaicCache, number: int) -> None:
    with cache.filling(key_of(cache, number)):
        if cache.find(key_of(cache, number), mosaic_of(number)) is None:
            place(cache, number, SIZES[number])


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, budget=st.integers(2200, 7000))
def test_any_order_of_readers_keeps_the_budget(
    steps: list[tuple[str, set[int]]], budget: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    model = Model(MosaicCache(folder, budget), budget)
    for what, those in steps:
        model.step(what, those)
        model.check()
    while model.holders:
        model.holders.pop()[1].close()
    assert model.cache.held() == set()
    shutil.rmtree(folder)


def test_many_readers_and_a_tight_budget_never_lose_what_they_hold(small: MosaicCache, tmp_path: Path) -> None:
    wrong: list[int] = []

    def read(first: int) -> None:
        for turn in range(6):
            those = {(first + turn) % 5, (first + 2 * turn) % 5}
            with small.holding({key_of(small, number): 2000 for number in those}):
                for number in those:
                    fill(small, number)
                for number in those:
                    path = small.find(key_of(small, number), mosaic_of(number))
                    if path is None or path.read_bytes() != content(number, 1000):
                        wrong.append(number)
                    small.used(key_of(small, number))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert small.usage() <= 4000


def test_two_runs_at_once_read_right_bytes_and_fetch_once(tmp_path: Path) -> None:
    counts = double(tmp_path, trials=2, mosaics=6, visits=2, seed=3)
    assert EXPECTED.items() <= counts.items(), counts
    assert counts["fetches"] == 6
    assert counts["reads"] >= 2 * 2 * 2 * 6
