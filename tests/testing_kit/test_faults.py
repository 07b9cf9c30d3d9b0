"""What the fake server does wrong when a test asks for it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from evertoken.testing import Answer, FakeServer, Fault
from tests.testing_kit.playing import Stage


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "body"),
    [
        (Fault(status=503, retry_after=1), 503, "1", b'"code":"unavailable"'),
        (Fault(status=429), 429, None, b'"code":"rate_limited"'),
        (Fault(status=500, body=b"<html>"), 500, None, b"<html>"),
        (Fault(body=b"not json"), 200, None, b"not json"),
        (Fault(status=503, retry_after="Fri, 15 Jan 2027 08:00:01 GMT"), 503, "Fri, 15 Jan 2027 08:00:01 GMT", b""),
        (Answer.json(403, {"blocked": True}), 403, None, b'{"blocked":true}'),
    ],
)
def test_a_scripted_answer_comes_once_and_changes_nothing(
    server: FakeServer, fake: Stage, fault: Fault | Answer, status: int, retry_after: str | None, body: bytes
) -> None:
    """A server that fails, throttles or talks nonsense does so once; the token is as good as before."""
    token = server.sign_in()["refresh_token"]
    server.script_refresh(fault)
    answer = fake.http.post("/auth/refresh", json={"refresh_token": token})
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert body in answer.content
    assert "access_token" in fake.refresh(token)
    assert [record.outcome for record in server.refreshes] == ["fault", "reissue"]
    assert server.refresh_count == 2


def test_a_connection_is_reset_before_the_call_is_handled(server: FakeServer, fake: Stage) -> None:
    """The client cannot know whether its token was used; it was not."""
    token = server.sign_in()["refresh_token"]
    server.script_refresh(Fault(reset=True))
    with pytest.raises(httpx2.ReadError):
        fake.refresh(token)
    assert [record.outcome for record in server.refreshes] == ["fault"]
    assert server.requests["/auth/refresh", 0] == 1


def test_a_lost_answer_belongs_to_a_call_that_was_handled(server: FakeServer, fake: Stage) -> None:
    """The client cannot know whether its token was used; it was."""
    token = server.sign_in()["refresh_token"]
    server.script_refresh(Fault(lose_answer=True))
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
        fake.refresh(token)
    assert [record.outcome for record in server.refreshes] == ["reissue"]


def test_a_lost_refusal_is_lost_too(server: FakeServer, fake: Stage) -> None:
    """Faults apply to refusals as to tokens."""
    server.script_refresh(Fault(lose_answer=True))
    with pytest.raises(httpx2.RemoteProtocolError):
        fake.refresh("etr_unknown")
    assert [record.outcome for record in server.refreshes] == ["unknown"]


def test_a_call_that_hangs_ends_with_the_server() -> None:
    """A client without a timeout would wait for ever; the test does not."""
    with ThreadPoolExecutor(1) as pool:
        with FakeServer() as server:
            server.script_refresh(Fault(hang=True))
            gate = server.hold_refreshes()
            body = {"refresh_token": server.sign_in()["refresh_token"]}
            call = pool.submit(httpx2.post, f"{server.url}/auth/refresh", json=body, timeout=30)
            gate.wait_for_arrival()
            gate.release()
        with pytest.raises(httpx2.TransportError):
            call.result(timeout=10)


def test_a_late_answer_waits_for_an_event_of_the_test(server: FakeServer) -> None:
    """Two answers change places when the test says so, not when a sleep happens to be long enough."""
    body = {"refresh_token": server.sign_in()["refresh_token"]}
    event = threading.Event()
    server.script_refresh(Fault(delay_until=event), Fault(status=503))
    with ThreadPoolExecutor(1) as pool, server.hold_refreshes() as gate:
        late = pool.submit(httpx2.post, f"{server.url}/auth/refresh", json=body)
        gate.wait_for_arrival()
        gate.release()
        assert httpx2.post(f"{server.url}/auth/refresh", json=body).status_code == 503
        assert not late.done()
        event.set()
        assert late.result(timeout=10).status_code == 200
    assert [record.outcome for record in server.refreshes] == ["fault", "reissue"]


def test_calls_wait_at_the_gate_until_it_is_released(server: FakeServer) -> None:
    """Whatever a test does while refreshes are under way, it does while they are under way."""
    body = {"refresh_token": server.sign_in()["refresh_token"]}
    with ThreadPoolExecutor(5) as pool:
        with server.hold_refreshes() as gate:
            calls = [pool.submit(httpx2.post, f"{server.url}/auth/refresh", json=body) for _ in range(5)]
            gate.wait_for_arrival(count=5)
            assert (gate.arrived, server.refresh_count, server.refreshes) == (5, 5, [])
        assert {call.result(timeout=10).status_code for call in calls} == {200}
    assert len(server.refreshes) == 5


def test_a_gate_where_nobody_comes_is_told(server: FakeServer) -> None:
    """A test that waits for a refresh which never comes fails with the number of those that did."""
    with server.hold_refreshes() as gate, pytest.raises(TimeoutError, match="0 of 1"):
        gate.wait_for_arrival(timeout=0.01)
