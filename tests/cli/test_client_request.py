"""evertoken request: one HTTP request with the session's access token, and an answer that streams."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.testing import Answer, FakeServer, Fault, Request
from evertoken.testing.listener import Listener
from tests.cli.shell import Shell, one_line

MIB = 1024 * 1024


class Api(FakeServer):
    """A server with resources of the test's own, which remembers what was asked of them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Request] = []
        self.answers: dict[str, Answer] = {}

    def answer_resource(self, request: Request, subject: str) -> Answer:
        return self.answers.get(request.path) or super().answer_resource(request, subject)

    def read_access_token(self, request: Request) -> str | None:
        self.seen.append(request)
        return super().read_access_token(request)


class Elsewhere:
    """Another origin, which remembers what came."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.listener = Listener(self._answer)
        self.url = self.listener.url

    def _answer(self, request: Request) -> Answer:
        self.seen.append(request)
        return Answer(200, (("Content-Type", "text/plain"),), b"elsewhere")


@pytest.fixture
def server() -> Iterator[Api]:
    """The API."""
    with Api() as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, server: Api) -> Shell:
    """A shell in which ada is signed in at the API."""
    shell = Shell(tmp_path)
    shell.login(server.url)
    return shell


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Another origin."""
    other = Elsewhere()
    with other.listener:
        yield other


def test_a_path_is_asked_of_the_server_of_the_session(shell: Shell, server: Api) -> None:
    """`evertoken request GET /things` sends the token to where `evertoken login` was, and prints what comes back."""
    answered = shell.run("request", "get", "/things?page=2")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert json.loads(answered.stdout)["subject"] == "ada"
    assert json.loads(answered.stdout)["path"] == "/things?page=2"
    assert server.refresh_count == 0


def test_a_path_is_appended_to_the_base_url(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Where the API is below a path, so are the paths that are asked for; a whole URL is taken as it is."""
    shell = Shell(tmp_path)
    shell.keep_token(f"{elsewhere.url}/v1")
    for url in ("/things", "things", f"{elsewhere.url}/v1/things"):
        assert shell.run("request", "GET", url).returncode == 0
    assert [request.target for request in elsewhere.seen] == ["/v1/things"] * 3
    assert {request.header("authorization") for request in elsewhere.seen} == {"Bearer the-token"}


@pytest.mark.parametrize(
    ("way", "size"),
    [
        *itertools.product(["@file", "stdin of a file"], [0, 5, 3 * MIB]),
        *itertools.product(["pipe"], [0, 5, MIB]),
    ],
)
def test_a_body_is_sent_whole_and_again_whole_after_a_refusal(
    shell: Shell, server: Api, tmp_path: Path, way: str, size: int
) -> None:
    """When the access token is refused, it is renewed and the same body is sent once more, to the last byte."""
    sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    file = tmp_path / "body"
    file.write_bytes(sent)
    server.expire_access_tokens()
    with file.open("rb") as opened:
        given = opened if way == "stdin of a file" else None
        with shell.start("request", "PUT", "/up", "-d", "@body" if way == "@file" else "-", stdin=given or -1) as run:
            out, err = run.communicate(sent if way == "pipe" else None, timeout=60)
    assert (run.returncode, err) == (0, b"")
    assert json.loads(out)["sha256"] == hashlib.sha256(sent).hexdigest()
    assert json.loads(out)["length"] == size
    assert [request.body == sent for request in server.seen] == [True, True]
    assert server.refresh_count == 1


def test_a_long_pipe_is_streamed_with_a_token_that_is_good(shell: Shell, server: Api) -> None:
    """What comes out of a pipe is sent as it comes, however long it is; a token that ends soon is renewed before."""
    shell.let_end(in_seconds=10)
    sent = b"line\n" * MIB
    with shell.start("request", "POST", "/up", "-d", "-", stdin=-1) as run:
        out, err = run.communicate(sent, timeout=60)
    assert (run.returncode, err) == (0, b"")
    assert json.loads(out)["sha256"] == hashlib.sha256(sent).hexdigest()
    assert server.seen[0].header("Transfer-Encoding") == "chunked"
    assert server.seen[0].header("Authorization") == f"Bearer {shell.record.access_token}"


def test_a_long_pipe_whose_token_was_refused_is_not_sent_again(shell: Shell, server: Api) -> None:
    """A body that is used up is never sent a second time cut short or empty: the failure says what to do."""
    server.expire_access_tokens()
    with shell.start("request", "POST", "/up", "-d", "-", stdin=-1) as run:
        out, err = run.communicate(b"x" * (2 * MIB), timeout=60)
    assert (run.returncode, out) == (1, b"")
    assert err.startswith(b"evertoken: the access token had expired; it has been renewed, but")
    assert err.count(b"\n") == 1
    assert len(server.seen) == 1


def test_a_refused_token_that_a_new_one_does_not_cure_is_the_applications_matter(shell: Shell, server: Api) -> None:
    """A 401 after the renewal, a 403, a 404 and a 500 are answers like any other: printed, exit status 0."""
    server.answers = {f"/{status}": Answer(status, body=b"no") for status in (401, 403, 404, 500)}
    for status in (403, 404, 500, 401):
        answered = shell.run("request", "GET", f"/{status}")
        assert (answered.returncode, answered.stdout, answered.stderr) == (0, "no", "")
    assert server.refresh_count == 1
    assert len(server.seen) == 5


def test_fail_turns_an_error_status_into_exit_status_22(shell: Shell, server: Api, tmp_path: Path) -> None:
    """`--fail` is for scripts: 22 and no body where the status is 400 or above, as curl has it."""
    server.answers = {"/404": Answer(404, body=b"no"), "/399": Answer(299, body=b"yes")}
    refused = shell.run("request", "GET", "/404", "--fail", "-o", "out")
    assert refused.returncode == 22
    assert one_line(refused) == "evertoken: the server answered 404\n"
    assert (tmp_path / "out").read_bytes() == b""
    assert shell.run("request", "GET", "/399", "--fail").stdout == "yes"


def test_include_and_output_show_the_head_and_write_the_body(shell: Shell, server: Api, tmp_path: Path) -> None:
    """`-i` puts status and headers before the body, `-o` writes to a file; a HEAD has no body to wait for."""
    server.answers = {"/x": Answer(201, (("X-Made", "yes"),), b"\x00body")}
    assert shell.run("request", "POST", "/x", "-i", "-o", "out").stdout == ""
    head, _, body = (tmp_path / "out").read_bytes().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"X-Made: yes" in head
    assert body == b"\x00body"
    assert shell.run("request", "HEAD", "/x", "-i").stdout.startswith("HTTP/1.1 201 Created\n")


def test_headers_and_kinds_of_body_are_as_they_are_given(shell: Shell, server: Api) -> None:
    """Repeated -H are joined; --json and -d say what they are unless a header does."""
    shell.run("request", "POST", "/1", "--json", '{"a": 1}', "-H", "X-A: 1", "-H", "x-a: 2", "-H", "Cookie: a=1")
    shell.run("request", "POST", "/2", "-d", "a=1")
    shell.run("request", "POST", "/3", "-d", "-", "-H", "content-type: text/csv", stdin="a,b")
    shell.run("request", "DELETE", "/4")
    first, second, third, fourth = server.seen
    assert (first.body, first.header("content-type"), first.header("accept")) == (
        b'{"a": 1}',
        "application/json",
        "application/json",
    )
    assert (first.header("x-a"), first.header("cookie")) == ("1, 2", "a=1")
    assert (second.body, second.header("content-type")) == (b"a=1", "application/x-www-form-urlencoded")
    assert (third.body, third.header("content-type")) == (b"a,b", "text/csv")
    assert (fourth.method, fourth.header("content-length"), fourth.header("accept")) == ("DELETE", None, "*/*")


def test_another_origin_gets_no_token_and_a_warning_is_given(shell: Shell, server: Api, elsewhere: Elsewhere) -> None:
    """A URL elsewhere is fetched without the access token, and standard error says so."""
    answered = shell.run("request", "GET", f"{elsewhere.url}/x")
    assert (answered.returncode, answered.stdout) == (0, "elsewhere")
    assert answered.stderr == f"evertoken: sent without the access token, which is for {server.url} only\n"
    assert elsewhere.seen[0].header("authorization") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_takes_no_credentials_along(
    shell: Shell, server: Api, elsewhere: Elsewhere, status: int
) -> None:
    """Wherever a redirect leads, token and cookies stay at home; the rest of the request goes there."""
    server.answers = {"/away": Answer(status, (("Location", f"{elsewhere.url}/there#part"),))}
    answered = shell.run("request", "GET", "/away", "-H", "Cookie: a=secret", "-H", "X-Trace: 1")
    assert (answered.returncode, answered.stdout) == (0, "elsewhere")
    [arrived] = elsewhere.seen
    assert arrived.target == "/there"
    assert (arrived.header("authorization"), arrived.header("cookie")) == (None, None)
    assert arrived.header("x-trace") == "1"


def test_a_token_in_another_header_stays_at_home_too(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """A server with a header of its own for the token is no reason to send it elsewhere."""
    with _Bare(elsewhere.url) as server:
        shell = Shell(tmp_path)
        shell.login(server.url, "--header-name", "X-Token", "--scheme", "")
        assert shell.run("request", "GET", "/away").stdout == "elsewhere"
        assert shell.run("request", "GET", "/here").returncode == 0
        assert elsewhere.seen[0].header("x-token") is None
        assert "X-Token carries the session's access token" in one_line(
            shell.run("request", "GET", "/here", "-H", "x-token: 1")
        )


@pytest.mark.parametrize(
    ("status", "method", "length"), [(302, "GET", 0), (303, "GET", 0), (307, "POST", 4), (308, "POST", 4)]
)
def test_a_redirected_post_becomes_a_get_or_keeps_its_body(
    shell: Shell, server: Api, status: int, method: str, length: int
) -> None:
    """301, 302 and 303 turn a POST into a GET without a body; 307 and 308 send the same again (RFC 9110 §15.4)."""
    server.answers = {"/from": Answer(status, (("Location", "/to"),))}
    told = json.loads(shell.run("request", "POST", "/from", "-d", "body").stdout)
    assert (told["method"], told["path"], told["length"]) == (method, "/to", length)
    assert server.seen[1].header("content-type") == (None if method == "GET" else "application/x-www-form-urlencoded")


def test_redirects_end_after_five(shell: Shell, server: Api) -> None:
    """A redirect that leads to itself is followed five times, then given up."""
    server.answers = {"/round": Answer(302, (("Location", "/round"),))}
    assert "more than 5 redirects" in one_line(shell.run("request", "GET", "/round"))
    assert len(server.seen) == 6


@pytest.mark.parametrize("location", ["ftp://x/y", "http://user:secret@x/", "http://x:99999/"])
def test_a_redirect_that_leads_nowhere_is_told_without_its_url(shell: Shell, server: Api, location: str) -> None:
    """What stands in a Location may be a secret: the message says what is wrong, and repeats nothing."""
    server.answers = {"/away": Answer(302, (("Location", location),))}
    failed = shell.run("request", "GET", "/away")
    assert failed.returncode == 1
    assert "a redirect that cannot be followed" in one_line(failed)
    assert location not in failed.stderr


def test_a_session_that_is_over_exits_with_3(shell: Shell, server: Api) -> None:
    """An answer that says the session has ended is no answer to print: sign in again."""
    ended = {"code": "session_over", "reason": "password_changed"}
    server.answers = {"/things": Answer.json(401, ended, media_type="application/problem+json")}
    over = shell.run("request", "GET", "/things")
    assert over.returncode == 3
    assert one_line(over) == f"evertoken: signed out (password_changed); run: evertoken login {server.url}\n"
    assert server.refresh_count == 0


def test_a_server_in_trouble_keeps_the_session(shell: Shell, server: Api) -> None:
    """A refresh that fails with 503 is exit status 1, not 3."""
    shell.let_end()
    server.script_refresh(*[Fault(status=503)] * 3)
    failed = shell.run("request", "GET", "/things")
    assert failed.returncode == 1
    assert "the session is kept" in one_line(failed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GET", "ftp://example.com/"), "http"),
        (("GET", "/a b"), "space"),
        (("GET", "/x", "-H", "X-A: a\r\nX-B: b"), "line break"),
        (("GET", "/x", "-H", "no colon"), "Name: value"),
        (("G T", "/x"), "method"),
        (("POST", "/x", "-d", "@missing"), "missing: no such file"),
        (("POST", "/x", "-d", "a", "--json", "{}"), "not both"),
        (("GET", "/x", "-o", "no/such/folder"), "no such file"),
    ],
)
def test_what_cannot_be_sent_is_told_in_one_line(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    """A mistyped command is answered by a sentence, never by a traceback."""
    refused = shell.run("request", *arguments)
    assert refused.returncode in (1, 2)
    assert words in one_line(refused).replace("evertoken: sent without", "")


class _Bare(Api):
    """Takes the token in a header of its own, without a word before it."""

    def __init__(self, elsewhere: str) -> None:
        super().__init__()
        self.answers = {"/away": Answer(302, (("Location", elsewhere),))}

    def read_access_token(self, request: Request) -> str | None:
        return request.header("X-Token")
