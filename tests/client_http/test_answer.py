"""What comes back: a whole answer, or NoAnswer; whatever the server sends, it costs no more than was allowed."""

import gzip
import traceback
import tracemalloc
import zlib

import pytest

from evertoken.client.http import Answer, Call, HttpTransport, NoAnswer
from tests.client_http.scripted import Step, answer, drip, ended, flood, read, reset, send, serving

SECRET = "s3cr3t-token"
LIMIT = 262_144
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def failure(transport: HttpTransport, *script: Step) -> NoAnswer:
    """Play `script` after the request and give the NoAnswer that comes of it; nothing sent or received shows in it."""
    with serving(read, *script) as server:
        call = Call("POST", f"{server.url}?q={SECRET}", {"Authorization": SECRET}, SECRET.encode())
        with pytest.raises(NoAnswer) as caught:
            send(transport, call)
        assert len(server.requests) == 1
        assert str(caught.value).startswith(f"127.0.0.1:{server.port}: ")
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    return caught.value


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 429, 500, 503, 599])
def test_any_status_is_an_answer(transport: HttpTransport, status: int) -> None:
    """An error status is an answer like any other: what it means is for others to say."""
    head = f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with serving(read, head.encode()) as server:
        assert send(transport, server.url) == Answer(status, {"retry-after": "7", "content-length": "0"}, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_returned_and_not_followed(transport: HttpTransport, status: int) -> None:
    """A redirect is returned as it is: a refresh token is sent to nobody but the URL it was meant for."""
    with serving(read, answer()) as elsewhere:
        with serving(read, answer(status=f"{status} X", headers=f"Location: {elsewhere.url}\r\n")) as server:
            answered = send(transport, Call("POST", server.url, body=b"x"))
        assert elsewhere.peers == []
    assert (answered.status, answered.headers["location"]) == (status, elsewhere.url)


@pytest.mark.parametrize(
    "script",
    [
        HEAD + b"Content-Length: 5\r\n\r\nhello and more",
        HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
        HEAD + b"\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_every_way_of_saying_the_length_is_understood(transport: HttpTransport, script: bytes) -> None:
    """Content-Length, chunks and the end of the connection each end a body."""
    with serving(read, script) as server:
        assert send(transport, server.url).body == b"hello"


def test_a_head_request_has_no_body_whatever_length_it_says(transport: HttpTransport) -> None:
    """The answer to a HEAD has no body, though it says how long one would be."""
    with serving(read, HEAD + b"Content-Length: 999999\r\n\r\n") as server:
        assert send(transport, Call("HEAD", server.url)) == Answer(200, {"content-length": "999999"}, b"")


def test_repeated_and_folded_headers_are_joined(transport: HttpTransport) -> None:
    """A header that comes twice is joined by a comma, one folded over two lines by a space; names are lower case."""
    head = HEAD + b"X-TWICE: a\r\nx-twice: b\r\nX-Folded: a\r\n  b\r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n"
    with serving(read, head) as server:
        headers = send(transport, server.url).headers
    assert headers == {"x-twice": "a, b", "x-folded": "a b", "x-latin": "é", "content-length": "0"}


def test_interim_answers_are_skipped(transport: HttpTransport) -> None:
    """100, 102 and 103 before the answer are passed over, with their headers."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n"
    with serving(read, interim, answer(b"hello")) as server:
        assert send(transport, server.url) == Answer(200, {"content-length": "5"}, b"hello")


@pytest.mark.parametrize("status", [100, 103])
def test_interim_answers_without_end_are_no_answer(transport: HttpTransport, status: int) -> None:
    """A server that says nothing but 1xx is given up after a bounded number of them."""
    error = failure(transport, flood(f"HTTP/1.1 {status} x\r\nX: {SECRET}\r\n\r\n".encode(), at_most_bytes=1 << 24))
    assert str(error).endswith(("only interim answers (1xx) came", "the head of the answer has more than 64 KiB"))


@pytest.mark.parametrize(
    "script",
    [
        f"{SECRET} is not HTTP\r\n\r\n".encode(),
        SECRET.encode(),
        b"\x16\x03\x01\x02\x00\x01",
        b"\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        f"SSH-2.0-{SECRET}\r\n".encode(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        HEAD + f"no colon {SECRET}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
    ],
)
def test_garbage_is_no_answer(transport: HttpTransport, script: bytes) -> None:
    """What is not HTTP is no answer, and is not repeated in the message."""
    assert str(failure(transport, script)).endswith(": the answer is not HTTP")


def test_a_connection_closed_without_a_byte_is_no_answer(transport: HttpTransport) -> None:
    """A server that reads the request and closes has perhaps acted on it."""
    assert str(failure(transport)).endswith(": the connection was closed without an answer")


def test_a_reset_connection_is_no_answer(transport: HttpTransport) -> None:
    """A connection that is reset after the request was read is no answer, and says so."""
    error = failure(transport, reset)
    assert str(error).endswith(": connection reset by peer")
    assert isinstance(error.__cause__, ConnectionResetError)


@pytest.mark.parametrize(
    "script",
    [
        HEAD + b"Content-Length: 100\r\n\r\n" + SECRET.encode(),
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + f"X-Header: {SECRET}\r\n".encode(),
        HEAD + b"X-Head",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 103 Early Hints\r\nLink",
        CHUNKED,
        CHUNKED + b"64\r\n" + SECRET.encode(),
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"zz\r\nhello",
    ],
)
def test_an_answer_cut_short_is_no_answer(transport: HttpTransport, script: bytes) -> None:
    """Half an answer is none: not half a body, and not half the headers."""
    assert str(failure(transport, script)).endswith(": the answer was cut short")


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 2",
        "Content-Length: -2",
        "Content-Length: +2",
        "Content-Length: two",
        pytest.param("Content-Length: " + "9" * 5000, id="5000 digits"),
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
    ],
)
def test_a_length_that_is_not_plain_is_no_answer(transport: HttpTransport, header: str) -> None:
    """An answer whose length can be read in two ways is not guessed at."""
    error = failure(transport, HEAD + header.encode() + b"\r\n\r\n{}")
    assert str(error).endswith(": the answer does not say plainly how long it is")


@pytest.mark.parametrize(
    "script",
    [
        (HEAD + b"Content-Length: 262145\r\n\r\n",),
        (HEAD + b"Content-Length: 999999999999999999\r\n\r\n", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
        (HEAD + b"\r\n", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
        (CHUNKED, flood(b"10000\r\n" + b"x" * 65_536 + b"\r\n", at_most_bytes=1 << 27)),
        (CHUNKED, b"FFFFFFFFFFFFFFFF\r\n", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
        (CHUNKED, flood(b"1\r\nx\r\n" * 9000, at_most_bytes=1 << 27)),
        (CHUNKED, flood(b"1;" + b"e" * 60_000 + b"\r\nx\r\n", at_most_bytes=1 << 27)),
        (CHUNKED, b"0\r\n", flood(b"Trailer: x\r\n" * 9000, at_most_bytes=1 << 27)),
        (CHUNKED, b"-1\r\n", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
    ],
)
def test_an_answer_without_end_is_cut_off(transport: HttpTransport, script: tuple[Step, ...]) -> None:
    """A body over the limit is cut off there, however it is sent, and is never held in memory."""
    with serving(read, *script) as server:
        tracemalloc.start()
        try:
            with pytest.raises(NoAnswer, match=r": the answer has more than 256 KiB$"):
                send(transport, server.url)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # What the kernel holds for a client that reads no more is not ours; 128 MiB would be all of it.
        assert server.peers[0].sent_bytes < 1 << 25
    assert peak_bytes < 16 * LIMIT


def test_a_body_of_just_the_limit_is_taken(transport: HttpTransport) -> None:
    """The limit itself is allowed, in one piece, in chunks of one byte and without a length."""
    body = b"x" * LIMIT
    for script in (answer(body), HEAD + b"\r\n" + body, CHUNKED + b"1\r\nx\r\n" * LIMIT + b"0\r\n\r\n"):
        with serving(read, script) as server:
            assert send(transport, server.url).body == body


def test_another_limit_is_kept_and_named(transport: HttpTransport) -> None:
    """The limit may be set, and the message names the one that was exceeded."""
    with serving(read, HEAD + b"\r\n12345678901") as server:
        assert send(HttpTransport(max_answer_bytes=11), server.url).body == b"12345678901"
        with pytest.raises(NoAnswer, match=r": the answer has more than 10 bytes$"):
            send(HttpTransport(max_answer_bytes=10), server.url)


@pytest.mark.parametrize(
    "script",
    [
        (HEAD, flood(b"X-Header: x\r\n", at_most_bytes=1 << 27)),
        (HEAD, b"X-Header: ", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
        (b"HTTP/1.1 200 ", flood(b"x" * 65_536, at_most_bytes=1 << 27)),
        (HEAD, flood(b"X-Header: " + b"x" * 60_000 + b"\r\n", at_most_bytes=1 << 27)),
    ],
)
def test_a_head_without_end_is_cut_off(transport: HttpTransport, script: tuple[Step, ...]) -> None:
    """Headers without end, in number or in length, are no answer."""
    error = failure(transport, *script)
    assert str(error).endswith((": the head of the answer has more than 64 KiB", ": the answer is not HTTP"))


def test_a_gzip_that_nobody_asked_for_is_unpacked(transport: HttpTransport) -> None:
    """We ask for no compression; a server that gzips all the same is understood."""
    with serving(
        read, answer(gzip.compress(b"hello", mtime=0), headers="Content-Encoding: GZIP\r\nX: 1\r\n")
    ) as server:
        assert send(transport, server.url) == Answer(200, {"x": "1"}, b"hello")


def test_a_gzip_that_unpacks_without_end_is_cut_off(transport: HttpTransport) -> None:
    """A small gzip of an enormous body is cut off at the limit, before it is unpacked."""
    bomb = gzip.compress(bytes(1 << 25))
    assert len(bomb) < LIMIT
    with serving(read, answer(bomb, headers="Content-Encoding: gzip\r\n")) as server:
        tracemalloc.start()
        try:
            with pytest.raises(NoAnswer, match=r": the answer has more than 256 KiB$"):
                send(transport, server.url)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 16 * LIMIT


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", b"plain", "the answer says it is gzip, and is not"),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-9], "the answer was cut short"),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-8] + bytes(8), "the answer says it is gzip, and is not"),
        ("br", b"\x0b\x02\x80hello\x03", "the answer is compressed in a way that was not asked for"),
        ("deflate", zlib.compress(b"hello"), "the answer is compressed in a way that was not asked for"),
        ("gzip, gzip", gzip.compress(b"hello", mtime=0), "the answer is compressed in a way that was not asked for"),
    ],
)
def test_an_encoding_that_cannot_be_undone_is_no_answer(
    transport: HttpTransport, coding: str, body: bytes, message: str
) -> None:
    """A broken gzip, or any other compression, is no answer, and the message says which of both it is."""
    error = failure(transport, answer(body, headers=f"Content-Encoding: {coding}\r\n"))
    assert str(error).endswith(f": {message}")


def test_an_empty_body_that_says_gzip_is_an_answer(transport: HttpTransport) -> None:
    """A 304 or a HEAD may name the encoding of a body that it has not."""
    with serving(read, b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n") as server:
        assert send(transport, server.url).status == 304


def test_an_answer_ends_with_its_length_though_the_server_goes_on(transport: HttpTransport) -> None:
    """A server that says more than it announced, and never closes, does not keep the answer from us."""
    with serving(read, answer(b"hello"), drip(b"more")) as server:
        call = Call("GET", server.url)
        assert ended(lambda: transport(call, timeout_seconds=30)).body == b"hello"
