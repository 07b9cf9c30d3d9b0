"""How long it takes: no longer than was given, wherever the server stops, and however slowly it goes on."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from evertoken.client.http import Call, HttpTransport, NoAnswer, NotSent
from tests.client_http.certificates import Certificates
from tests.client_http.scripted import SHORT_SECONDS, Peer, Step, answer, drip, hold, read, send, send_in_short, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def taking_no_connection() -> Iterator[int]:
    """A port whose queue is full: to connect there neither succeeds nor fails."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])


def looked_up(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Have every name lead to these ports of this machine, in this order."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)


NEVER_FINISHED: dict[str, tuple[Step, ...]] = {
    "reads nothing, says nothing": (hold,),
    "says nothing": (read, hold),
    "drips the status line": (read, drip(b"HTTP/1.1 200 OK and so on")),
    "stops after 100": (read, b"HTTP/1.1 100 Continue\r\n\r\n", hold),
    "drips 100s": (read, drip(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "drips headers": (read, HEAD, drip(b"X-Header: x\r\n")),
    "drips one header": (read, HEAD, b"X-Header: ", drip(b"x")),
    "stops before the body": (read, HEAD, b"Content-Length: 1000\r\n\r\n", hold),
    "drips the body": (read, HEAD, b"Content-Length: 1000\r\n\r\n", drip(b"x")),
    "drips a body without length": (read, HEAD, b"\r\n", drip(b"x")),
    "drips chunks": (read, HEAD, b"Transfer-Encoding: chunked\r\n\r\n", drip(b"1\r\nx\r\n")),
    "drips the size of a chunk": (read, HEAD, b"Transfer-Encoding: chunked\r\n\r\n1;", drip(b"e")),
    "drips trailers": (read, HEAD, b"Transfer-Encoding: chunked\r\n\r\n0\r\n", drip(b"Trailer: x\r\n")),
}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_server_that_never_finishes_is_given_up_in_time(
    transport: HttpTransport, certificates: Certificates, secure: bool
) -> None:
    """A server that stops, or sends a byte now and then for ever, holds a call for its timeout and no longer."""

    def failure(script: tuple[Step, ...]) -> str:
        with serving(*script, tls=certificates.server if secure else None) as server:
            with pytest.raises(NoAnswer) as caught:
                send_in_short(transport, server.url)
            assert isinstance(caught.value.__cause__, TimeoutError)
            return str(caught.value).partition(": ")[2].rstrip("0123456789. s")

    with ThreadPoolExecutor(len(NEVER_FINISHED)) as pool:  # all at once: each of them takes its whole timeout
        failures = dict(zip(NEVER_FINISHED, pool.map(failure, NEVER_FINISHED.values()), strict=True))
    assert failures == dict.fromkeys(NEVER_FINISHED, "no answer within")


def take_nothing(peer: Peer) -> None:
    """Leave in the buffers what arrives."""
    peer.stopped.wait()


def take_little(peer: Peer) -> None:
    """Read what arrives so slowly that it never quite stops."""
    while not peer.stopped.wait(0.01) and peer.sock.recv(4096):
        pass


@pytest.mark.parametrize("step", [take_nothing, take_little])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_server_that_does_not_take_the_body_is_given_up_in_time(
    transport: HttpTransport, certificates: Certificates, secure: bool, step: Step
) -> None:
    """A body that the server does not take, or takes by the spoonful, is given up in time; a part of it was sent."""
    slow = serving(step, tls=certificates.server if secure else None)
    with slow as server, pytest.raises(NoAnswer, match=r": no answer within [0-9.]+ s$"):
        send_in_short(transport, Call("POST", server.url, body=bytes(1 << 24)))


@pytest.mark.parametrize("script", [(hold,), (drip(b"\x16\x03\x03\x3f\xff" + bytes(9000)),)])
def test_a_tls_handshake_that_never_ends_is_not_sent(transport: HttpTransport, script: tuple[Step, ...]) -> None:
    """A handshake that stops or drips is given up in time, and nothing of the request was sent."""
    with serving(*script) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(NotSent) as caught:
            send(transport, url, timeout_seconds=SHORT_SECONDS)
        assert str(caught.value) == f"127.0.0.1:{server.port}: no connection within 0.25 s"


def test_the_message_says_how_long_we_waited(transport: HttpTransport) -> None:
    """Who waited in vain is told for whom, and for how long."""
    with serving(read, hold) as server:
        with pytest.raises(NoAnswer) as caught:
            send(transport, server.url, timeout_seconds=0.5)
        assert str(caught.value) == f"127.0.0.1:{server.port}: no answer within 0.5 s"


def test_a_host_that_takes_no_connection_is_not_sent(transport: HttpTransport) -> None:
    """A connection that is neither taken nor refused is given up in time, and nothing was sent."""
    with taking_no_connection() as port, pytest.raises(NotSent, match=r":\d+: no connection within 0\.25 s$"):
        send(transport, f"http://127.0.0.1:{port}/", timeout_seconds=SHORT_SECONDS)


@pytest.mark.parametrize("timeout_seconds", [0, -1])
def test_no_time_at_all_is_not_sent(transport: HttpTransport, timeout_seconds: float) -> None:
    """A call whose time is over before it begins is not sent."""
    with serving(read, answer()) as server:
        with pytest.raises(NotSent, match="no connection within"):
            send(transport, server.url, timeout_seconds=timeout_seconds)
        assert server.requests == []


def test_an_address_that_leads_nowhere_leaves_time_for_the_next(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several addresses each gets its share of the time: a dead one before a live one does not use it all up."""
    with taking_no_connection() as dead, serving(read, answer()) as server:
        looked_up(monkeypatch, dead, server.port)
        assert send_in_short(transport, "http://two.example/").status == 200


def test_an_address_that_refuses_leads_to_the_next(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """An address that refuses the connection is passed over for the next one."""
    with serving(read, answer()) as server:
        looked_up(monkeypatch, closed_port, server.port)
        assert send(transport, "http://two.example/").status == 200


def test_addresses_that_all_lead_nowhere_are_not_sent(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several dead addresses together take the timeout and no more."""
    with taking_no_connection() as dead:
        looked_up(monkeypatch, dead, dead, dead)
        with pytest.raises(NotSent, match=r"^two\.example:80: no connection within 0\.25 s$"):
            send(transport, "http://two.example/", timeout_seconds=SHORT_SECONDS)


def test_a_name_without_address_is_not_sent(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to no address at all is not sent."""
    looked_up(monkeypatch)
    with pytest.raises(NotSent, match=r"^no\.example:80: looking up the name failed: the name has no address$"):
        send(transport, "http://no.example/")


def test_a_name_that_does_not_exist_is_not_sent(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be looked up is not sent, and the message gives the resolver's reason."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NotSent) as caught:
        send(transport, "https://no.example/?token=1")
    assert str(caught.value) == "no.example:443: looking up the name failed: Name or service not known"
    assert isinstance(caught.value.__cause__, socket.gaierror)


def test_a_refused_connection_is_not_sent(transport: HttpTransport, closed_port: int) -> None:
    """A port on which nobody listens is not sent to, and the message names it."""
    with pytest.raises(NotSent) as caught:
        send(transport, f"http://127.0.0.1:{closed_port}/?token=1")
    assert str(caught.value) == f"127.0.0.1:{closed_port}: connection refused"
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
