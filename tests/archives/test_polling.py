"""Long polling is slowed and has an end; answers have a limit."""

import pytest
import requests

from gzjwst_core.archives import polling
from gzjwst_core.archives.http import mount
from gzjwst_core.archives.polling import PollingAdapter
from tests.archives.conftest import Served

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


def test_endless_answer_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_MAX_ANSWER", 100)
    with requests.Session() as session:
        mount(session, PollingAdapter(2, 2))
        with pytest.raises(requests.RequestException, match="more than 100 bytes"):
            session.post(
                served.url + "/portal/Mashup/Mashup.asmx/columnsconfig", data={"colConfigId": "Mast.Caom.Cone"}
            )
