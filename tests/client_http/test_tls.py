"""Over TLS: whom we trust, and that the request is not sent to anyone else."""

import ssl
import warnings
from pathlib import Path

import pytest

from evertoken.client.http import Call, HttpTransport, NoAnswer, NotSent
from tests.client_http.certificates import Certificates
from tests.client_http.scripted import ScriptedServer, Step, answer, close_tls, hold, read, reset, send, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


def refused(transport: HttpTransport, server: ScriptedServer, host: str = "localhost") -> str:
    """Call `server` in vain, by `host`, and give the reason; it has not seen the request."""
    with pytest.raises(NotSent) as caught:
        send(transport, Call("POST", f"https://{host}:{server.port}/?q=s3cr3t", body=b"s3cr3t"))
    assert server.requests == []
    assert "s3cr3t" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    return str(caught.value).removeprefix(f"{host}:{server.port}: ")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_with_a_certificate_of_a_trusted_ca_is_called(
    transport: HttpTransport, certificates: Certificates, host: str
) -> None:
    """A certificate of the given CA is trusted for the names and addresses that it names."""
    with serving(read, answer(b"hello"), tls=certificates.server) as server:
        assert send(transport, f"https://{host}:{server.port}/").body == b"hello"
    assert f"Host: {host}:{server.port}\r\n".encode() in server.requests[0]


def test_a_server_by_its_ipv6_address_is_called_over_tls(
    transport: HttpTransport, certificates: Certificates, ipv6: None
) -> None:
    """An IPv6 address in brackets is compared with the addresses of the certificate."""
    with serving(read, answer(b"hello"), tls=certificates.server, ipv6=True) as server:
        assert send(transport, f"https://[::1]:{server.port}/").body == b"hello"


def test_a_directory_of_certificates_is_trusted_as_openssl_reads_it(certificates: Certificates, tmp_path: Path) -> None:
    """`verify` may name a directory of certificates, hashed as OpenSSL wants it; an empty one trusts nobody."""
    with serving(read, answer(), tls=certificates.server) as server:
        assert refused(HttpTransport(verify=tmp_path), server).startswith("certificate verify failed: ")


def test_a_context_of_ones_own_is_used_as_it_is(certificates: Certificates) -> None:
    """A context that was given decides alone whom to trust."""
    context = ssl.create_default_context(cafile=certificates.ca_path)
    with serving(read, answer(b"hello"), tls=certificates.server) as server:
        assert send(HttpTransport(verify=context), server.url).body == b"hello"


def test_ssl_cert_file_is_heeded(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `verify`, the CA bundle that SSL_CERT_FILE names is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca_path))
    with serving(read, answer(b"hello"), tls=certificates.server) as server:
        assert send(HttpTransport(), server.url).body == b"hello"


def test_a_certificate_of_an_unknown_ca_is_not_sent_to(certificates: Certificates) -> None:
    """Without `verify`, a CA that the system does not know is not trusted, and the message says why."""
    with serving(read, answer(), tls=certificates.server) as server:
        assert refused(HttpTransport(), server).startswith("certificate verify failed: ")


def test_a_certificate_for_another_name_is_not_sent_to(transport: HttpTransport, certificates: Certificates) -> None:
    """A certificate of a trusted CA for another host is refused: the host is always checked."""
    with serving(read, answer(), tls=certificates.for_another_name) as server:
        reason = refused(transport, server)
    assert reason == "certificate verify failed: Hostname mismatch, certificate is not valid for 'localhost'."


def test_an_expired_certificate_is_not_sent_to(transport: HttpTransport, certificates: Certificates) -> None:
    """An expired certificate is refused, and the message says that it has expired."""
    with serving(read, answer(), tls=certificates.expired) as server:
        assert refused(transport, server) == "certificate verify failed: certificate has expired"


def test_tls_before_1_2_is_not_sent_to(transport: HttpTransport, certificates: Certificates) -> None:
    """A server that speaks only TLS 1.1 is refused."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificates.ca_path.with_name("here.pem"))
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(read, answer(), tls=old) as server:
        assert refused(transport, server).startswith("TLS failed: ")
    assert transport._opener.trust().minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_server_that_speaks_no_tls_is_not_sent_to(transport: HttpTransport) -> None:
    """An https URL of a server that answers in plain HTTP is not sent to, and the message says what is wrong."""
    with serving(answer(), hold) as server, pytest.raises(NotSent, match=r"TLS failed: (wrong version|packet|http)"):
        send(transport, server.url.replace("http:", "https:"))


@pytest.mark.parametrize("script", [(), (lambda peer: peer.sock.recv(1), reset), (lambda peer: peer.sock.recv(1),)])
def test_a_connection_lost_in_the_handshake_is_not_sent(transport: HttpTransport, script: tuple[Step, ...]) -> None:
    """A connection that is closed or reset during the handshake is not sent to."""
    with serving(*script) as server, pytest.raises(NotSent, match=r"connection reset|eof|connection closed"):
        send(transport, server.url.replace("http:", "https:"))


def test_a_connection_cut_within_a_body_without_length_is_no_answer(
    transport: HttpTransport, certificates: Certificates
) -> None:
    """A body that only the end of the connection ends is whole if TLS ended in good order, and not if it was cut."""
    with serving(read, HEAD + b"\r\nhello", close_tls, tls=certificates.server) as server:
        assert send(transport, server.url).body == b"hello"
    cut = serving(read, HEAD + b"\r\nhello", tls=certificates.server)
    with cut as server, pytest.raises(NoAnswer, match=r"TLS failed: .*(eof|connection closed)"):
        send(transport, server.url)


def test_a_ca_bundle_that_cannot_be_read_is_refused_when_the_transport_is_made(tmp_path: Path) -> None:
    """A CA bundle that is missing or holds no certificate is an error at start-up, and not at the first refresh."""
    with pytest.raises(FileNotFoundError):
        HttpTransport(verify=tmp_path / "missing.pem")
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        HttpTransport(verify=str(tmp_path / "empty.pem"))


def test_the_check_of_certificates_cannot_be_switched_off() -> None:
    """`verify=False` is refused: whoever wants that must say so in a context of their own."""
    for wrong in (False, True):
        with pytest.raises(TypeError):
            HttpTransport(verify=wrong)  # type: ignore[arg-type]
