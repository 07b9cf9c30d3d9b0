"""evertoken request, where answers are long, slow, broken or never come."""

import resource
import threading
from pathlib import Path

import pytest

from tests.cli.shell import Shell, one_line
from tests.client_http.certificates import make_certificates
from tests.client_http.scripted import Peer, Step, answer, close_tls, drip, flood, hold, read, reset, serving

BOUND_SECONDS = 60.0
MIB = 1024 * 1024


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell whose session is put there by the test."""
    return Shell(tmp_path)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_an_answer_is_printed_as_it_comes(shell: Shell, is_chunked: bool) -> None:
    """The first half of an answer is on standard output before the server has made the second."""
    printed = threading.Event()

    def wait(peer: Peer) -> None:
        assert printed.wait(BOUND_SECONDS)
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n" if is_chunked else b"second")

    length = b"Transfer-Encoding: chunked\r\n\r\n5\r\n" if is_chunked else b"Content-Length: 11\r\n\r\n"
    first = b"HTTP/1.1 200 OK\r\n" + length + b"first" + (b"\r\n" if is_chunked else b"")
    with serving(read, first, wait) as server:
        shell.keep_token(server.url)
        with shell.start("request", "GET", "/") as run:
            assert run.stdout is not None
            assert run.stdout.read(5) == b"first"
            printed.set()
            out, err = run.communicate(timeout=BOUND_SECONDS)
    assert (run.returncode, out, err) == (0, b"second", b"")


def test_a_long_answer_is_not_held_in_memory(shell: Shell, tmp_path: Path) -> None:
    """A download may be larger than the memory that there is."""
    size, limit = 400 * MIB, 256 * MIB
    part = bytes(MIB)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    def all_of_it(peer: Peer) -> None:
        for _ in range(size // MIB):
            peer.send(part)

    with serving(read, head, all_of_it) as server:
        shell.keep_token(server.url)
        done = shell.run("request", "GET", "/", "-o", "download", preexec_fn=limited)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "download").stat().st_size == size
    (tmp_path / "download").unlink()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ((read, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "the answer was cut short"),
        ((read, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort"), "the answer was cut short"),
        ((read, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", reset), "connection reset"),
        ((read, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", hold), "nothing more came within 0.3 s"),
    ],
)
def test_an_answer_that_breaks_off_is_a_failure(shell: Shell, script: tuple[Step, ...], words: str) -> None:
    """What came is printed, and exit status 1 and one line say that it is not all."""
    with serving(*script) as server:
        shell.keep_token(server.url)
        done = shell.run("request", "GET", "/", "--idle-timeout", "0.3")
    assert (done.returncode, done.stdout) == (1, "short")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ((read,), "the connection was closed without an answer"),
        ((read, hold), "no answer within 0.3 s"),
        ((read, b"SSH-2.0-OpenSSH_9.6\r\n"), "the answer is not HTTP"),
        ((read, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "the answer is not HTTP"),
        ((read, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "how long it is"),
        ((read, flood(b"X: y\r\n", at_most_bytes=4 * MIB)), "not HTTP"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(shell: Shell, script: tuple[Step, ...], words: str) -> None:
    """A server that says nothing, or nothing sensible, is named with what is wrong."""
    with serving(*script) as server:
        shell.keep_token(server.url)
        done = shell.run("request", "GET", "/", "--idle-timeout", "0.3")
        assert done.returncode == 1
        assert words in one_line(done)
        assert f"127.0.0.1:{server.port}" in done.stderr


def test_an_answer_that_drips_is_waited_for(shell: Shell) -> None:
    """The idle timeout counts from the last byte: a slow download is not a hanging one."""
    with serving(read, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", drip(b"x")) as server:
        shell.keep_token(server.url)
        done = shell.run("request", "GET", "/", "--idle-timeout", "10")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x" * 50, "")


def test_tls_is_checked_and_a_line_that_was_cut_is_no_end(shell: Shell, tmp_path: Path) -> None:
    """Over https the certificate counts, and an answer without a length ends only where the server says so."""
    certificates = make_certificates(tmp_path)
    trusting = {"SSL_CERT_FILE": str(certificates.ca_path)}
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with serving(read, head, b"all", close_tls, tls=certificates.server) as server:
        shell.keep_token(server.url)
        assert "certificate verify failed" in one_line(shell.run("request", "GET", ""))
        whole = shell.run("request", "GET", "", more=trusting)
        assert (whole.returncode, whole.stdout, whole.stderr) == (0, "all", "")
    with serving(read, head, b"some", tls=certificates.server) as server:
        shell.keep_token(server.url)
        cut = shell.run("request", "GET", "", more=trusting)
        assert (cut.returncode, cut.stdout) == (1, "some")


def test_the_proxy_of_the_environment_is_used(shell: Shell) -> None:
    """A request over http goes to the proxy in absolute form, with what the proxy wants to know (RFC 9112 §3.2.2)."""
    with serving(read, answer(b"through"), hold) as proxy:
        shell.keep_token("http://api.example")
        environment = {"NO_PROXY": "", "http_proxy": f"http://ada:word@127.0.0.1:{proxy.port}"}
        done = shell.run("request", "POST", "/things", "-d", "a=1", more=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "through", "")
    [request] = proxy.requests
    assert request.startswith(b"POST http://api.example/things HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YWRhOndvcmQ=\r\n" in request
    assert b"Authorization: Bearer the-token\r\n" in request
    assert request.endswith(b"Content-Length: 3\r\n\r\na=1")


def test_nobody_listening_is_told_in_one_line(shell: Shell) -> None:
    """A port on which nobody listens is exit status 1."""
    with serving(read) as server:
        url = server.url
    shell.keep_token(url)
    done = shell.run("request", "GET", "/")
    assert done.returncode == 1
    assert "connection refused" in one_line(done)


def test_a_server_that_answers_before_it_has_read_the_body_is_heard(shell: Shell, tmp_path: Path) -> None:
    """A server that refuses a large upload and hangs up has answered: its 413 is printed, not a broken pipe."""
    (tmp_path / "large").write_bytes(bytes(8 * MIB))

    def read_a_little(peer: Peer) -> None:
        peer.sock.recv(65_536)

    refusal = answer(b"too large", status="413 Content Too Large", headers="Connection: close\r\n")
    with serving(read_a_little, refusal) as server:
        shell.keep_token(server.url)
        done = shell.run("request", "PUT", "/", "-d", "@large")
    assert (done.returncode, done.stdout, done.stderr) == (0, "too large", "")


def test_whoever_reads_only_the_beginning_ends_the_command_quietly(shell: Shell) -> None:
    """`evertoken request GET /long | head -c 5` ends without a word about a broken pipe."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with serving(read, head, flood(b"x" * 65_536, at_most_bytes=1024 * MIB)) as server:
        shell.keep_token(server.url)
        with shell.start("request", "GET", "/") as run:
            assert run.stdout is not None
            assert run.stdout.read(5) == b"xxxxx"
            run.stdout.close()
            assert run.wait(BOUND_SECONDS) == 1
            assert run.stderr is not None
            assert run.stderr.read() == b""
