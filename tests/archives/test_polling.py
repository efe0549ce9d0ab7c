"""Long polling is slowed and has an end; answers have a limit."""

import tracemalloc
import zlib

import pytest
import requests

from gzjwst_core.errors import QueryError
from gzjwst_core.transport import polling
from gzjwst_core.transport.http import mount
from gzjwst_core.transport.polling import PollingAdapter
from tests.archives.conftest import Served
from tests.archives.web import Answer, web

INVOKE = "/api/v0/invoke"


def test_executing_for_ever_ends(served: Served) -> None:
    slept: list[float] = []
    served.fault(route="invoke", do="executing", times=1000, seconds=0.001)
    with requests.Session() as session:
        mount(session, PollingAdapter(2, 2, executing_s=60, sleep=slept.append))
        with pytest.raises(requests.Timeout, match="still executing"):
            for _ in range(1000):
                session.post(served.url + INVOKE, data={"request": "{}"})
    assert 60 <= sum(slept) < 66
    assert len(slept) < 25
    assert max(slept) == 5.0


def test_a_new_question_begins_with_short_pauses(served: Served) -> None:
    slept: list[float] = []
    served.fault(route="invoke", do="executing", times=4, seconds=0.001)
    adapter = PollingAdapter(2, 2, sleep=slept.append)
    with requests.Session() as session:
        mount(session, adapter)
        for _ in range(2):
            adapter.forget()
            session.post(served.url + INVOKE, data={"request": "{}"})
            session.post(served.url + INVOKE, data={"request": "{}"})
    assert slept == pytest.approx([0.2, 0.32, 0.2, 0.32])


def test_answer_beyond_the_limit_is_no_matter_of_trying_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_MAX_ANSWER", 100)
    with requests.Session() as session:
        mount(session, PollingAdapter(2, 2))
        with pytest.raises(QueryError, match=r"lower query\.observations_per_request") as caught:
            session.post(
                served.url + "/portal/Mashup/Mashup.asmx/columnsconfig", data={"colConfigId": "Mast.Caom.Cone"}
            )
    assert (caught.value.reason, caught.value.retryable) == ("answer_too_large", False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bomb_is_counted_as_it_is_decoded(encoding: str, chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 4 << 20
    monkeypatch.setattr(polling, "_MAX_ANSWER", limit)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    body = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(80)), packer.flush()])
    headers = {"Content-Encoding": encoding}
    if chunked:
        headers |= {"Content-Length": "", "Transfer-Encoding": "chunked"}
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with web(Answer(200, headers, body)) as mast, requests.Session() as session:
        mount(session, PollingAdapter(2, 2))
        tracemalloc.start()
        try:
            with pytest.raises(QueryError):
                session.post(mast.url)
            assert tracemalloc.get_traced_memory()[1] < 3 * limit
        finally:
            tracemalloc.stop()


def test_nested_too_deeply(served: Served) -> None:
    served.fault(route="invoke", do="json", says="deep")
    with requests.Session() as session:
        mount(session, PollingAdapter(2, 2))
        with pytest.raises(QueryError, match="nested"):
            session.post(served.url + INVOKE, data={"request": "{}"})
