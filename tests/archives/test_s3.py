"""The bucket through the real s3fs: where keys come from, the guards of every read, and what errors become."""

import asyncio
import gc
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from botocore import UNSIGNED  # type: ignore[import-untyped]  # no stubs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.base import mark_of
from gzjwst_core.archives.locate import locate
from gzjwst_core.archives.s3 import S3
from gzjwst_core.errors import (
    ArchiveError,
    ArchiveRefusedError,
    ArchiveUnavailableError,
    ProductNotFoundError,
)
from gzjwst_core.models import Mosaic
from gzjwst_core.transport import concurrent_ranges as several
from gzjwst_core.transport import s3_client
from gzjwst_core.transport.retry_after import PATIENCE
from gzjwst_core.transport.streams import NO_RANGES, Span
from tests.archives.conftest import FAST, Served
from tests.archives.tiny import OBS, mosaic
from tests.archives.web import Answer, held_back, web

TEAM = "hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"
CANARY = "CANARY7secret"


@pytest.fixture(scope="module")
def _archive(_served: Served) -> S3:
    return S3(FAST.model_copy(update={"s3_endpoint": _served.url}))


@pytest.fixture
def archive(_archive: S3, served: Served) -> Iterator[S3]:
    yield _archive
    PATIENCE.forget()


@pytest.fixture
def located(served: Served) -> Mosaic:
    """Found with patience: on a loaded machine an answer may take longer than the limits under test."""
    found = locate(mosaic(), [S3(FAST.model_copy(update={"read_timeout_s": 30.0}))])
    served.forget()
    return found


def team_product(uri: str = f"mast:HLSP/demo/{TEAM}") -> Mosaic:
    return mosaic(TEAM).replace(product_uri=uri)


@pytest.fixture
def in_bucket(served: Served) -> Iterator[Path]:
    path = served.folder / "bucket/stpubdata/mast/hlsp/demo" / TEAM
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a team's mosaic")
    yield path
    path.unlink()


def asked(served: Served) -> list[tuple[object, object]]:
    return [(entry["method"], entry["route"]) for entry in served.log()]


def body_of(archive: S3, located: Mosaic, start: int = 0, size: int = 1 << 18) -> bytes:
    with archive.open(located, start=start) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


def whole(archive: S3, located: Mosaic, spans: list[Span]) -> dict[int, bytes]:
    """Bytes by where they began, pieces joined."""
    pieces = sorted(archive.ranges(located, spans))
    return {span.start: b"".join(data for at, data in pieces if span.start <= at.start < span.stop) for span in spans}


class TestKeys:
    def test_the_rule_costs_one_request(self, archive: S3, served: Served) -> None:
        assert archive.find(mosaic()).uri.startswith("s3://stpubdata/jwst/public/jw09801/L3/t/o001/")
        assert asked(served) == [("HEAD", "s3_object")]

    def test_a_team_on_the_list_costs_one_request(self, served: Served, in_bucket: Path) -> None:
        found = S3(FAST.model_copy(update={"s3_hlsp": ("jades", "demo")})).find(team_product())
        assert (found.uri, found.size) == (f"s3://stpubdata/mast/hlsp/demo/{TEAM}", in_bucket.stat().st_size)
        assert asked(served) == [("HEAD", "s3_object")]

    @pytest.mark.usefixtures("in_bucket")
    def test_for_other_teams_mast_is_asked(self, archive: S3, served: Served) -> None:
        assert archive.find(team_product()).uri.endswith("/mast/hlsp/demo/" + TEAM)
        assert asked(served) == [("GET", "path_lookup"), ("HEAD", "s3_object")]

    def test_not_where_the_look_up_says(self, archive: S3, served: Served) -> None:
        with pytest.raises(ProductNotFoundError):
            archive.find(team_product())
        assert asked(served) == [("GET", "path_lookup"), ("HEAD", "s3_object")]

    def test_a_product_that_mast_does_not_know_either(self, archive: S3, served: Served) -> None:
        with pytest.raises(ProductNotFoundError) as caught:
            archive.find(team_product("mast:HLSP/demo/other.fits"))
        assert caught.value.reason == "no_key"
        assert asked(served) == [("GET", "path_lookup")]

    def test_the_look_up_is_asked_once_where_the_rule_fails(self, archive: S3, served: Served) -> None:
        with pytest.raises(ProductNotFoundError):
            archive.find(mosaic(f"{OBS.replace('f277w', 'f356w')}_i2d.fits"))
        routes = asked(served)
        assert routes[:2] == [("HEAD", "s3_object"), ("GET", "path_lookup")]
        assert len(routes) == 2  # it says what the rule said, or nothing

    @pytest.mark.parametrize("status", [403, 404])
    def test_the_look_up_may_know_better_than_the_rule(
        self, status: int, archive: S3, served: Served, in_bucket: Path
    ) -> None:
        """The rule follows the name, MAST the product: here they are of two files."""
        served.fault(route="s3_object", do="status", status=status)
        asked_for = team_product().replace(obs_id=OBS, filename=f"{OBS}_i2d.fits")  # which the rule would find
        assert archive.find(asked_for).size == in_bucket.stat().st_size
        assert asked(served) == [("HEAD", "s3_object"), ("GET", "path_lookup"), ("HEAD", "s3_object")]

    def test_a_look_up_that_fails_is_no_answer(self, archive: S3, served: Served) -> None:
        served.fault(route="path_lookup", do="status", status=503)
        with pytest.raises(ArchiveUnavailableError):
            archive.find(team_product())
        assert asked(served) == [("GET", "path_lookup")]


class TestSettings:
    def test_the_profiles_endpoint_wins(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        with pytest.raises(ArchiveUnavailableError):
            S3(FAST).find(mosaic())
        assert S3(FAST.model_copy(update={"s3_endpoint": served.url})).find(mosaic()).size == len(served.body)

    @pytest.mark.parametrize("wrong", [{"s3_region": "no region!"}, {"s3_endpoint": "nowhere"}, {"s3_bucket": "a b"}])
    def test_settings_that_cannot_be(self, wrong: dict[str, str], served: Served) -> None:
        with pytest.raises(ArchiveRefusedError) as caught:
            S3(FAST.model_copy(update=wrong)).find(mosaic())
        assert caught.value.reason == "bad_settings"
        assert served.log() == []

    def test_always_anonymous(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, CANARY)
        archive = S3(FAST)
        served.fault(route="s3_object", do="s3_error", says="AccessDenied")
        served.fault(route="path_lookup", do="status", status=404)
        with pytest.raises(ProductNotFoundError) as caught:
            archive.find(mosaic())
        assert CANARY not in str(caught.value)
        assert archive._client._fs.s3.meta.config.signature_version is UNSIGNED

    def test_windowed_are_plain_files(self, archive: S3, located: Mosaic) -> None:
        assert archive.windowed(located)
        assert not archive.windowed(located.replace(uri=f"{located.uri}.gz"))


class TestOpen:
    @pytest.mark.parametrize("start", [0, 1, 2880, 1_000_000, -1])
    def test_gives_the_body_from_any_byte(self, start: int, archive: S3, located: Mosaic, served: Served) -> None:
        start %= located.size
        assert body_of(archive, located, start) == served.body[start:]
        assert asked(served) == [("GET", "s3_object")]

    def test_an_empty_body(self, archive: S3, served: Served) -> None:
        path = next(path for path in served.copies() if "bucket" in path.parts)
        path.write_bytes(b"")
        try:
            assert body_of(archive, locate(mosaic(), [archive])) == b""
        finally:
            path.write_bytes(served.body)

    def test_gives_what_is_there(self, located: Mosaic, served: Served) -> None:
        let_go = threading.Event()
        headers = {"Content-Length": str(located.size), "ETag": f'"{mark_of(located.identity)}"'}
        with web(Answer(200, headers, held_back(served.body, 1000, let_go))) as bucket:
            patient = S3(FAST.model_copy(update={"s3_endpoint": bucket.url, "read_timeout_s": 30.0}))
            with patient.open(located) as stream:
                assert stream.read(1 << 20) == served.body[:1000]  # the rest has not even been sent
                let_go.set()
                assert served.body[1000:].startswith(stream.read(1 << 20))

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ({"do": "swap"}, "changed"),
            ({"do": "swap", "by": 7}, "changed"),
            ({"do": "headers", "headers": {"ETag": '"other"'}}, "changed"),
            ({"do": "headers", "headers": {"ETag": None}}, "changed"),
            ({"do": "status", "status": 412}, "changed"),
            ({"do": "status", "status": 416}, "changed"),
            ({"do": "same_etag_other_bytes", "by": 5}, "size_mismatch"),
            ({"do": "ignore_range"}, NO_RANGES),
            ({"do": "bad_range", "says": "start", "by": 9}, NO_RANGES),
            ({"do": "bad_range", "says": "part", "by": 9}, "size_mismatch"),
            ({"do": "bad_range", "says": "total", "by": 9}, "size_mismatch"),
            ({"do": "bad_range", "says": "absent"}, "size_mismatch"),
            ({"do": "bad_range", "says": "text"}, "size_mismatch"),
            ({"do": "long", "says": "length", "by": 9}, "size_mismatch"),
            ({"do": "no_length"}, "size_mismatch"),
            ({"do": "encode"}, "size_mismatch"),
            ({"do": "html"}, "changed"),
            ({"do": "status", "status": 500}, "archive_unavailable"),
            ({"do": "s3_error", "says": "SlowDown"}, "archive_unavailable"),
            ({"do": "drop"}, "archive_unavailable"),
            ({"do": "garbage"}, "archive_unavailable"),
            ({"do": "stall", "seconds": 4}, "archive_unavailable"),
            ({"do": "truncate", "at_byte": 700_000}, "cut_off"),
            ({"do": "reset", "at_byte": 700_000}, "cut_off"),
            ({"do": "stall", "at_byte": 700_000, "seconds": 4}, "archive_unavailable"),
        ],
        ids=str,
    )
    def test_no_other_bytes(
        self, fault: dict[str, object], reason: str, archive: S3, located: Mosaic, served: Served
    ) -> None:
        """Whatever goes wrong, what came is the beginning of the located bytes, and it was asked for once."""
        served.fault(route="s3_object", method="GET", times=5, **fault)
        came = b""
        with pytest.raises(ArchiveUnavailableError) as caught, archive.open(located, start=2880) as stream:
            while block := stream.read(1 << 16):
                came += block
        assert caught.value.reason == reason
        assert served.body[2880:].startswith(came)
        assert asked(served) == [("GET", "s3_object")]

    def test_leaving_early(self, archive: S3, located: Mosaic, served: Served) -> None:
        with archive.open(located) as stream:
            assert served.body.startswith(stream.read(100))
        assert body_of(archive, located) == served.body

    def test_of_a_head_that_comes_too_slowly(self, served: Served) -> None:
        served.fault(route="s3_object", do="slow_headers", seconds=0.4, count=40)
        hasty = S3(FAST.model_copy(update={"connect_timeout_s": 0.5}))
        with pytest.raises(ArchiveUnavailableError, match="time limit"):  # none of its lines is late
            hasty.find(mosaic())


class TestRefusals:
    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, status: int, method: str, located: Mosaic, served: Served) -> None:
        archive = S3(FAST.model_copy(update={"read_timeout_s": 10.0}))  # botocore reads its rules at the first of them
        there = {"Location": f"{served.url}/stpubdata/else", "x-amz-bucket-region": "eu-west-1"}
        served.fault(route="s3_object", do="status", status=status, times=9, headers=there)
        with pytest.raises(ArchiveRefusedError, match="eu-west-1") as caught:
            archive.find(mosaic()) if method == "HEAD" else body_of(archive, located)
        assert caught.value.reason == "redirected_away"
        assert len(served.log()) == 1

    @pytest.mark.parametrize("fault", [{"do": "html"}, {"do": "headers", "headers": {"ETag": None}}], ids=str)
    def test_an_answer_that_is_not_s3s(self, fault: dict[str, object], archive: S3, served: Served) -> None:
        served.fault(route="s3_object", **fault)
        with pytest.raises(ArchiveUnavailableError) as caught:
            archive.find(mosaic())
        assert caught.value.reason == "bad_answer"

    @pytest.mark.parametrize("status", [429, 503])
    def test_who_asks_for_patience_gets_it(
        self, status: int, archive: S3, located: Mosaic, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(PATIENCE, "_clock", lambda: sum(slept))
        monkeypatch.setattr(s3_client, "asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))
        served.fault(route="s3_object", do="status", status=status, headers={"Retry-After": "60"})
        with pytest.raises(ArchiveUnavailableError, match=str(status)):
            body_of(archive, located)
        assert S3(FAST).find(mosaic()).size == located.size
        assert slept == [60.0]
        assert asked(served) == [("GET", "s3_object"), ("HEAD", "s3_object")]

    def test_messages_name_the_mosaic_and_no_address(self, archive: S3, located: Mosaic, served: Served) -> None:
        for fault in ({"do": "drop"}, {"do": "status", "status": 400}, {"do": "s3_error"}, {"do": "garbage"}):
            served.fault(route="s3_object", **fault)
            with pytest.raises(ArchiveError) as caught:
                body_of(archive, located)
            assert located.filename in str(caught.value)
            assert "127.0.0.1" not in str(caught.value)
            assert "://" not in str(caught.value)


class TestRanges:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        pairs=st.lists(
            st.tuples(st.integers(0, 1_800_000), st.integers(1, 300_000)), max_size=12, unique_by=lambda p: p[0]
        )
    )
    def test_any_spans(self, pairs: list[tuple[int, int]], archive: S3, located: Mosaic, served: Served) -> None:
        spans = [Span(start, min(start + size, located.size)) for start, size in pairs]
        for span, data in archive.ranges(located, spans):
            assert data == served.body[slice(*span)]
        assert sum(len(data) for _, data in archive.ranges(located, spans)) == sum(span.size for span in spans)

    def test_each_span_costs_one_request(self, archive: S3, located: Mosaic, served: Served) -> None:
        spans = [Span(i * 100_000, i * 100_000 + 50_000) for i in range(12)]
        got = whole(archive, located, spans)
        assert got == {span.start: served.body[slice(*span)] for span in spans}
        assert asked(served) == [("GET", "s3_object")] * 12

    def test_from_several_threads(self, archive: S3, located: Mosaic, served: Served) -> None:
        spans = [Span(i * 100_000, (i + 1) * 100_000) for i in range(18)]
        with ThreadPoolExecutor(4) as pool:
            for got in pool.map(lambda _: whole(archive, located, spans), range(8)):
                assert b"".join(got.values()) == served.body[:1_800_000]

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ({"do": "truncate", "at_byte": 9_000}, "cut_off"),
            ({"do": "swap"}, "changed"),
            ({"do": "ignore_range"}, NO_RANGES),
            ({"do": "bad_range", "says": "total", "by": 1}, "size_mismatch"),
            ({"do": "bad_range", "says": "start", "by": 1}, NO_RANGES),
            ({"do": "status", "status": 503}, "archive_unavailable"),
            ({"do": "drop"}, "archive_unavailable"),
        ],
        ids=str,
    )
    def test_one_that_fails_ends_all(
        self, fault: dict[str, object], reason: str, archive: S3, located: Mosaic, served: Served
    ) -> None:
        served.fault(route="s3_object", skip=5, **fault)
        spans = [Span(i * 50_000, (i + 1) * 50_000) for i in range(30)]
        with pytest.raises(ArchiveUnavailableError) as caught:
            for span, data in archive.ranges(located, spans):
                assert data == served.body[slice(*span)]
        assert caught.value.reason == reason
        assert tasks(archive) == 0
        assert len(whole(archive, located, spans)) == 30  # and the next one works

    def test_leaving_early(self, archive: S3, located: Mosaic, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(several, "BLOCK", 10_000)
        reading = archive.ranges(located, [Span(0, located.size)])
        next(reading)
        assert tasks(archive) > 0
        reading.close()  # type: ignore[attr-defined]  # a generator
        assert tasks(archive) == 0

    def test_bytes_that_drip(self, served: Served, located: Mosaic) -> None:
        hasty = S3(FAST.model_copy(update={"read_timeout_s": 0.5}))
        served.fault(route="s3_object", do="drip", seconds=0.1, count=5)
        with pytest.raises(ArchiveUnavailableError) as caught:
            list(hasty.ranges(located, [Span(0, 100_000), Span(200_000, 300_000)]))
        assert caught.value.reason == "too_slow"


def tasks(archive: S3) -> int:
    """Tasks on the client's loop that are not done."""

    async def count() -> int:
        return len([task for task in asyncio.all_tasks() if "Several" in repr(task.get_coro())])

    return archive._client.wait(count)


def test_no_thread_waits_for_the_loop_from_the_loop(served: Served) -> None:
    """Many clients at once, each made in its own thread."""
    barrier = threading.Barrier(6)

    def one(_: int) -> int:
        barrier.wait(10)
        return S3(FAST).find(mosaic()).size

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(6))) == {len(served.body)}


ONE = """
import atexit, gc, sys
import aiohttp
from gzjwst_core.archives.s3 import S3
from gzjwst_core.options import ArchiveOptions
from tests.archives.tiny import mosaic

options = ArchiveOptions(s3_endpoint=sys.argv[1])
for _ in range(5):
    S3(options).find(mosaic())
print(sum(type(item) is aiohttp.ClientSession and not item.closed for item in gc.get_objects()))
atexit._run_exitfuncs()
assert not any(type(item) is aiohttp.ClientSession and not item.closed for item in gc.get_objects())
"""


class TestOneClient:
    def test_is_kept_for_all_that_have_its_settings(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        options = FAST.model_copy(update={"s3_endpoint": served.url, "read_timeout_s": 7.0})
        before = sessions()
        for _ in range(5):
            S3(options).find(mosaic())
        assert sessions() == before + 1
        client = S3(options)._client
        assert S3(options.model_copy())._client is client
        assert S3(options.model_copy(update={"read_timeout_s": 8.0}))._client is not client
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        assert S3(options)._client is not client

    def test_closes_and_begins_anew(self, served: Served) -> None:
        archive = S3(FAST.model_copy(update={"s3_endpoint": served.url, "read_timeout_s": 9.0}))
        before = sessions()
        for _ in range(3):
            archive.find(mosaic())
            assert sessions() == before + 1
            archive._client.close()
            archive._client.close()
            assert sessions() == before

    def test_leaves_nothing_open_at_the_end(self, served: Served) -> None:
        command = [sys.executable, "-W", "always::ResourceWarning", "-c", ONE, served.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")

    @pytest.mark.skipif(sys.platform == "darwin", reason="its libraries do not outlive a fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_has_its_own(self, served: Served) -> None:
        archive = S3(FAST.model_copy(update={"s3_endpoint": served.url}))
        archive.find(mosaic())
        ours = archive._client
        child = multiprocessing.get_context("fork").Process(target=archive.find, args=(mosaic(),))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert archive._client is ours
        assert archive.find(mosaic()).size == len(served.body)


def sessions() -> int:
    """Sessions of aiohttp that are open."""
    gc.collect()
    return sum(type(item) is aiohttp.ClientSession and not item.closed for item in gc.get_objects())
