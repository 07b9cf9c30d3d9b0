"""Through a proxy: given or of the environment, by CONNECT for https, in absolute form for http."""

import base64
import re

import pytest

from evertoken.client.http import Call, HttpTransport, NoAnswer, NotSent
from tests.client_http.certificates import Certificates
from tests.client_http.proxies import tunnel
from tests.client_http.scripted import SHORT_SECONDS, Step, answer, drip, flood, hold, read, reset, send, serving

BASIC = "Basic " + base64.b64encode(b"us:er:p@ss w\xc3\xb6rd").decode()
USERINFO = "us%3Aer:p%40ss%20w%C3%B6rd"


def test_an_https_call_is_tunnelled_and_the_proxy_sees_none_of_it(certificates: Certificates) -> None:
    """The proxy learns host and port, and its own password; the request goes through it in TLS."""
    with serving(read, answer(b"hello"), tls=certificates.server) as server:
        with serving(tunnel(authorization=BASIC)) as proxy:
            transport = HttpTransport(verify=certificates.ca_path, proxy=f"http://{USERINFO}@127.0.0.1:{proxy.port}")
            call = Call("POST", server.url + "?q=1", {"Authorization": "Bearer s3cr3t"}, b"s3cr3t")
            assert send(transport, call).body == b"hello"
        asked = proxy.requests[0].decode()
        assert asked.startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\nHost: localhost:{server.port}\r\n")
        assert "s3cr3t" not in asked and "/token" not in asked
    sent = server.requests[0]
    assert sent.startswith(b"POST /token?q=1 HTTP/1.1\r\n") and b"roxy-" not in sent and b"s3cr3t" in sent


def test_the_certificate_is_that_of_the_host_and_not_of_the_proxy(certificates: Certificates) -> None:
    """A proxy that leads to another server than was asked for does not get the request."""
    with serving(read, answer(), tls=certificates.server) as server, serving(tunnel(to_port=server.port)) as proxy:
        transport = HttpTransport(verify=certificates.ca_path, proxy=f"127.0.0.1:{proxy.port}")
        with pytest.raises(NotSent, match=r"^api\.example:443 through the proxy 127.*Hostname mismatch"):
            send(transport, "https://api.example/")
        assert server.requests == []


def test_an_http_call_is_sent_to_the_proxy_in_absolute_form() -> None:
    """A plain http call goes to the proxy whole, with the full URL in its first line."""
    with serving(read, answer(b"hello")) as proxy:
        transport = HttpTransport(proxy=f"http://{USERINFO}@127.0.0.1:{proxy.port}/")
        assert send(transport, "http://api.example/a?b=c").body == b"hello"
    head = proxy.requests[0].decode()
    assert head.startswith("GET http://api.example/a?b=c HTTP/1.1\r\nHost: api.example\r\n")
    assert f"\r\nProxy-Authorization: {BASIC}\r\n" in head


def test_an_ipv6_host_is_tunnelled_in_brackets(certificates: Certificates) -> None:
    """CONNECT names an IPv6 address in brackets."""
    with serving(read, b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        transport = HttpTransport(proxy=f"127.0.0.1:{proxy.port}")
        with pytest.raises(NotSent, match=re.escape("[2001:db8::1]:443 through the proxy")):
            send(transport, "https://[2001:DB8::1]/")
    assert proxy.requests[0].startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n")


def test_a_proxy_that_wants_another_password_is_not_sent() -> None:
    """A proxy that refuses us has seen nothing of the request, and the message names it without its password."""
    with serving(tunnel(authorization=BASIC)) as proxy:
        transport = HttpTransport(proxy=f"http://user:s3cr3t@127.0.0.1:{proxy.port}")
        with pytest.raises(NotSent) as caught:
            send(transport, Call("POST", "https://api.example/?q=1", body=b"body"))
        port = proxy.port
    assert str(caught.value) == f"api.example:443 through the proxy 127.0.0.1:{port}: the proxy answered 407"
    assert b"body" not in proxy.requests[0]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((read,), "the connection was closed without an answer"),
        ((read, b"HTTP/1.1 200 OK\r\n"), "the answer was cut short"),
        ((read, b"SSH-2.0-s3cr3t\r\n"), "the answer is not HTTP"),
        ((read, b"HTTP/1.1 101 Switching\r\n\r\n"), "the proxy answered 101"),
        ((read, b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"), "the proxy answered 302"),
        ((read, b"HTTP/1.1 502 s3cr3t\r\n\r\n"), "the proxy answered 502"),
        (
            (read, b"HTTP/1.1 200 ", flood(b"x" * 65_536, at_most_bytes=1 << 24)),
            "the head of the answer has more than 64 KiB",
        ),
        ((read, reset), "connection reset by peer"),
        ((read, hold), "no connection within 0.25 s"),
        ((read, drip(b"HTTP/1.1 200 and so on")), "no connection within 0.25 s"),
        ((read, b"HTTP/1.1 200 OK\r\n\r\n", hold), "no connection within 0.25 s"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_not_sent(script: tuple[Step, ...], reason: str) -> None:
    """Whatever a proxy does instead of opening the tunnel, nothing of the request was sent, and it ends in time."""
    with serving(*script) as proxy:
        timeout_seconds = SHORT_SECONDS if "within" in reason else 30
        transport = HttpTransport(proxy=f"127.0.0.1:{proxy.port}")
        with pytest.raises(NotSent) as caught:
            send(transport, "https://api.example/", timeout_seconds=timeout_seconds)
        assert str(caught.value) == f"api.example:443 through the proxy 127.0.0.1:{proxy.port}: {reason}"


def test_a_proxy_that_is_not_there_is_not_sent(closed_port: int) -> None:
    """A proxy that cannot be reached is named, so that nobody looks for the fault in the server."""
    with pytest.raises(NotSent) as caught:
        send(HttpTransport(proxy=f"127.0.0.1:{closed_port}"), "http://api.example/")
    assert str(caught.value) == f"api.example:80 through the proxy 127.0.0.1:{closed_port}: connection refused"


def test_an_interim_answer_before_the_tunnel_is_skipped(certificates: Certificates) -> None:
    """A 1xx of the proxy before its answer is passed over."""
    with serving(read, answer(b"hello"), tls=certificates.server) as server:
        early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        with serving(lambda peer: peer.send(early), tunnel()) as proxy:
            transport = HttpTransport(verify=certificates.ca_path, proxy=f"127.0.0.1:{proxy.port}")
            assert send(transport, server.url).body == b"hello"


def test_a_call_through_the_tunnel_that_is_not_answered_is_no_answer(certificates: Certificates) -> None:
    """Once the tunnel stands and the request was sent, a failure is NoAnswer as it is without a proxy."""
    with serving(read, tls=certificates.server) as server, serving(tunnel()) as proxy:
        transport = HttpTransport(verify=certificates.ca_path, proxy=f"127.0.0.1:{proxy.port}")
        with pytest.raises(NoAnswer, match=r"^localhost:\d+ through the proxy 127\.0\.0\.1:\d+: "):
            send(transport, server.url)


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("HTTP_PROXY", "http://api.example/"),
        ("http_proxy", "http://api.example/"),
        ("HTTPS_PROXY", "https://api.example/"),
        ("https_proxy", "https://api.example/"),
        ("ALL_PROXY", "http://api.example/"),
        ("all_proxy", "https://api.example/"),
    ],
)
@pytest.mark.parametrize("prefix", ["http://", ""])
def test_the_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, prefix: str
) -> None:
    """Without `proxy`, the usual variables decide at each call, in capitals or not, with or without http://."""
    transport = HttpTransport()
    with serving(read, answer(b"hello", status="403 No")) as proxy:
        monkeypatch.setenv(variable, f"{prefix}user:pass@127.0.0.1:{proxy.port}")
        if url.startswith("https"):
            with pytest.raises(NotSent, match="the proxy answered 403"):
                send(transport, url)
        else:
            assert send(transport, url).body == b"hello"
        assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in proxy.requests[0]


@pytest.mark.parametrize("excepted", ["127.0.0.1", "localhost,127.0.0.1", "*", "127.0.0.1:{port}", " .0.0.1 "])
def test_no_proxy_leads_around_the_proxy(monkeypatch: pytest.MonkeyPatch, closed_port: int, excepted: str) -> None:
    """A host named in NO_PROXY, with its port or without, is called directly."""
    with serving(read, answer(b"hello")) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
        monkeypatch.setenv("NO_PROXY", excepted.format(port=server.port))
        assert send(HttpTransport(), server.url).body == b"hello"


@pytest.mark.parametrize("excepted", ["::1", "[::1]"])
def test_no_proxy_may_name_an_ipv6_address(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, ipv6: None, excepted: str
) -> None:
    """NO_PROXY may name an IPv6 address with its brackets or without."""
    with serving(read, answer(b"hello"), ipv6=True) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
        monkeypatch.setenv("NO_PROXY", excepted)
        assert send(HttpTransport(), server.url).body == b"hello"


def test_an_empty_proxy_means_none_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """`proxy=""` switches the proxy of the environment off."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    with serving(read, answer(b"hello")) as server:
        assert send(HttpTransport(proxy=""), server.url).body == b"hello"


@pytest.mark.parametrize(
    "proxy",
    ["https://user:s3cr3t@proxy:3128", "socks5://s3cr3t@proxy:1080", "http://s3cr3t@", "http://s3cr3t@a b", ":"],
)
def test_a_proxy_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A proxy over SOCKS or TLS, or no URL at all, is refused when given; from the environment, nothing is sent."""
    with pytest.raises(ValueError, match=r"^the proxy must be given as http://") as refused:
        HttpTransport(proxy=proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(NotSent, match=r"^api\.example:443: the proxy must be given as http://") as unsent:
        send(HttpTransport(), "https://api.example/")
    assert "s3cr3t" not in str(refused.value) + str(unsent.value)
