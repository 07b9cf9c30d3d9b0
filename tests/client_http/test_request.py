"""What is sent: one request on one connection, as it was given, and nothing that could not be sent as it is."""

import functools
import importlib.metadata
import pickle
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from evertoken.client.http import Answer, Call, HttpTransport, NotSent, Transport
from tests.client_http.certificates import Certificates
from tests.client_http.scripted import OUTER_SECONDS, Peer, answer, read, send, serving

SECRET = "s3cr3t-token"


def test_a_post_is_sent_whole_and_its_answer_returned(transport: HttpTransport) -> None:
    """A POST arrives with its body, its length and the headers that every call carries, and its answer comes back."""
    with serving(read, answer(b'{"ok":true}', headers="X-One: 1\r\n")) as server:
        call = Call("POST", server.url + "?a=b#fragment", {"Content-Type": "text/x"}, b"grant_type=refresh_token")
        answered = send(transport, call)
    assert answered == Answer(200, {"content-length": "11", "x-one": "1"}, b'{"ok":true}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /token?a=b HTTP/1.1"
    assert sorted(lines) == [
        "Accept-Encoding: identity",
        "Accept: application/json",
        "Connection: close",
        "Content-Length: 24",
        "Content-Type: text/x",
        f"Host: 127.0.0.1:{server.port}",
        f"User-Agent: evertoken/{importlib.metadata.version('evertoken')}",
    ]
    assert body == b"grant_type=refresh_token"


def test_a_given_accept_and_user_agent_are_sent_instead_of_ours(transport: HttpTransport) -> None:
    """Accept and User-Agent may be given, in any case, and are then sent once."""
    with serving(read, answer()) as server:
        send(transport, Call("GET", server.url, {"accept": "text/plain", "USER-AGENT": "mine"}))
    head = server.requests[0].lower()
    assert (head.count(b"accept:"), head.count(b"user-agent:")) == (1, 1)
    assert b"\r\naccept: text/plain\r\n" in head and b"\r\nuser-agent: mine\r\n" in head


def test_a_post_without_body_says_so_and_a_get_does_not(transport: HttpTransport) -> None:
    """A POST without a body carries Content-Length: 0; a GET carries none."""
    with serving(read, answer()) as server:
        send(transport, Call("POST", server.url))
        send(transport, Call("GET", server.url))
    posted, got = server.requests
    assert b"Content-Length: 0" in posted and b"Content-Length" not in got


def test_a_url_without_path_asks_for_the_root(transport: HttpTransport) -> None:
    """A URL that ends after its host, or goes on with a query, asks for /."""
    with serving(read, answer()) as server:
        send(transport, f"HTTP://127.0.0.1:{server.port}")
        send(transport, f"http://127.0.0.1:{server.port}?q=1")
    assert [request.split(b" ")[1] for request in server.requests] == [b"/", b"/?q=1"]


def test_a_large_body_is_sent_whole(transport: HttpTransport, certificates: Certificates) -> None:
    """A body larger than any buffer on the way arrives byte for byte, over TLS too."""
    body = bytes(range(256)) * 4096 * 2
    for tls in (None, certificates.server):
        with serving(read, answer(), tls=tls) as server:
            assert send(transport, Call("POST", server.url, body=body)).status == 200
        assert server.requests[0].endswith(b"\r\n\r\n" + body)


def test_two_calls_take_two_connections(transport: HttpTransport) -> None:
    """Every call has a connection of its own, even if the server would keep it."""
    with serving(read, answer(headers="Connection: keep-alive\r\n"), read, answer()) as server:
        send(transport, server.url)
        send(transport, server.url)
        assert len(server.peers) == 2


def test_an_ipv6_address_is_called_in_brackets(transport: HttpTransport, ipv6: None) -> None:
    """A URL may name its host by an IPv6 address in brackets, and Host repeats it so."""
    with serving(read, answer(), ipv6=True) as server:
        assert send(transport, server.url).status == 200
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_a_host_beyond_ascii_is_called_by_its_idna_name(transport: HttpTransport, closed_port: int) -> None:
    """A host in letters beyond ASCII is looked up, and named in messages, as IDNA spells it."""
    with pytest.raises(NotSent, match=r"^xn--bcher-kva\.invalid:1 through the proxy "):
        send(HttpTransport(proxy=f"127.0.0.1:{closed_port}"), "http://bücher.invalid:1/")


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:{{port}}/",
        f"http://{SECRET}@127.0.0.1:{{port}}/",
        f"http://:{{port}}/?{SECRET}",
        f"http:///?{SECRET}",
        f"ftp://127.0.0.1:{{port}}/{SECRET}",
        f"file:///etc/{SECRET}",
        f"127.0.0.1:{{port}}/{SECRET}",
        f"http:127.0.0.1:{{port}}/{SECRET}",
        f"http://127.0.0.1:{{port}}/a b?{SECRET}",
        f"http://127.0.0.1:{{port}}/\r\nX: {SECRET}",
        f"http://127.0.0.1:{{port}}/{SECRET}\n",
        f"http://127.0.0.1:{{port}}/\x00{SECRET}",
        f"http://127.0.0.1:{{port}}/\x7f{SECRET}",
        f" http://127.0.0.1:{{port}}/{SECRET}",
        f"http://127.0.0.1:{{port}}\\@example.com/{SECRET}",
        f"http://127.0.0.1:{{port}}/ü{SECRET}",
        f"http://127.0.0.1:{{port}}0000/{SECRET}",
        f"http://127.0.0.1:0/{SECRET}",
        f"http://127.0.0.1:http/{SECRET}",
        f"http://[::1/{SECRET}",
        f"http://[1.2]:{{port}}/{SECRET}",
        f"http://::1:{{port}}/{SECRET}",
        f"http://a..b:{{port}}/{SECRET}",
        f"http://{'a' * 64}:{{port}}/{SECRET}",
        f"http://127.0.0.1%2f:{{port}}/{SECRET}",
        "",
    ],
)
def test_a_url_that_cannot_be_called_is_refused_unsent(transport: HttpTransport, url: str) -> None:
    """A URL with userinfo, without host, of another scheme or with what no URL holds is refused, and not repeated."""
    with serving(read, answer()) as server:
        with pytest.raises(ValueError, match="URL") as caught:
            send(transport, url.format(port=server.port))
        assert server.peers == []
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Token", f"{SECRET}\r\nX-More: 1"),
        ("X-Token", f"{SECRET}\n"),
        ("X-Token", f"{SECRET}\r"),
        ("X-Token", f"{SECRET}\x00"),
        ("X-Token", f"{SECRET}€"),
        (f"X-{SECRET}\r\nX", "1"),
        (f"X-{SECRET}\n", "1"),
        (f"X {SECRET}", "1"),
        (f"X:{SECRET}", "1"),
        ("", SECRET),
        ("Host", SECRET),
        ("content-LENGTH", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Accept-Encoding", "gzip"),
        ("Proxy-Authorization", SECRET),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_unsent(transport: HttpTransport, name: str, value: str) -> None:
    """A header with a line break, or one that is the transport's to set, is refused, and its value not repeated."""
    with serving(read, answer()) as server:
        with pytest.raises(ValueError, match="header") as caught:
            send(transport, Call("GET", server.url, {name: value}))
        assert server.peers == []
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\n", "CONNECT", "GÉT"])
def test_a_method_that_is_none_is_refused_unsent(transport: HttpTransport, method: str) -> None:
    """A method that is no token, or CONNECT, is refused before anything is sent."""
    with serving(read, answer()) as server:
        with pytest.raises(ValueError, match="method"):
            send(transport, Call(method, server.url))
        assert server.peers == []


@pytest.mark.parametrize("timeout_seconds", [float("nan"), float("inf"), 86_401])
def test_a_timeout_that_is_none_is_refused_unsent(transport: HttpTransport, timeout_seconds: float) -> None:
    """A timeout that is no number, or longer than a day, is refused before anything is sent."""
    with serving(read, answer()) as server:
        with pytest.raises(ValueError, match="timeout_seconds"):
            send(transport, server.url, timeout_seconds=timeout_seconds)
        assert server.peers == []


def test_many_threads_share_one_transport_and_each_gets_its_own_answer(certificates: Certificates) -> None:
    """Threads that call through one transport at once each get the answer to their own request."""
    transport = HttpTransport(verify=certificates.ca_path)

    def echo(peer: Peer) -> None:
        peer.send(answer(peer.read_request().partition(b"\r\n\r\n")[2]))

    with serving(echo, tls=certificates.server) as server, ThreadPoolExecutor(16) as pool:
        bodies = [str(number).encode() * number for number in range(1, 33)]
        calls = [Call("POST", server.url, body=body) for body in bodies]
        answers = pool.map(functools.partial(transport, timeout_seconds=30), calls, timeout=OUTER_SECONDS)
        assert [answered.body for answered in answers] == bodies


def test_a_pickled_transport_works_where_it_arrives(certificates: Certificates) -> None:
    """A transport made with the path of a CA bundle can be sent to another process, with its limits."""
    transport = pickle.loads(
        pickle.dumps(HttpTransport(verify=str(certificates.ca_path), proxy="", max_answer_bytes=9))
    )
    with serving(read, answer(b"123456789"), tls=certificates.server) as server:
        assert send(transport, server.url).body == b"123456789"
    assert transport._max_answer_bytes == 9


def test_a_transport_with_a_context_is_not_pickled() -> None:
    """A context cannot be pickled, and neither can the transport that was given one."""
    with pytest.raises(TypeError, match="SSLContext"):
        pickle.dumps(HttpTransport(verify=ssl.create_default_context()))


def test_a_limit_below_one_byte_is_refused() -> None:
    """A transport that could take no answer is refused when it is made."""
    with pytest.raises(ValueError, match="max_answer_bytes"):
        HttpTransport(max_answer_bytes=0)


def test_the_transport_is_one_to_mypy() -> None:
    """HttpTransport is what the protocol asks for."""
    transport: Transport = HttpTransport()
    assert SECRET not in repr(HttpTransport(proxy=f"http://user:{SECRET}@proxy")) + repr(transport)
