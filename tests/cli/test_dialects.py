"""evertoken dialect: what is built in, and whether a document and an API are right."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evertoken.cli import group
from evertoken.wire.dialects.known import NAMES, text_of
from tests.cli.foreign_api import DOCUMENT, PASSWORD, ForeignApi, foreign_api
from tests.cli.shell import Ended, Shell, one_line
from tests.support.process import ServerProcess, add_users, lasting_port
from tests.support.server import free_port

Foreign = Callable[..., ForeignApi]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in an empty home."""
    return Shell(tmp_path)


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    """Starts APIs of somebody else's."""
    with ExitStack() as stack:
        yield lambda *faults: stack.enter_context(foreign_api(*faults))


def _check(shell: Shell, url: str, target: str = "dialect.json", *more: str, password: str = PASSWORD) -> Ended:
    arguments = ("--url", url, "--username", "ada", "--password-stdin", *more)
    return shell.run("dialect", "check", target, *arguments, stdin=password + "\n")


def _check_foreign(shell: Shell, api: ForeignApi, **changes: Any) -> Ended:
    (shell.home / "dialect.json").write_text(json.dumps(DOCUMENT | changes))
    done = _check(shell, api.url, "dialect.json", "--resource", "/things")
    for secret in (*api.said, PASSWORD):
        assert secret not in done.stdout + done.stderr
    return done


def _differing(done: Ended) -> dict[str, str]:
    """By step, what was said of those that differ."""
    lines = re.findall(r"^differs  ([^:]+): (.*\n(?: {9}.*\n)?)", done.stdout, re.MULTILINE)
    return dict(lines)


def test_every_built_in_dialect_is_listed_and_shown(shell: Shell) -> None:
    """
    `dialect list` names them with a sentence each; `dialect show` prints a document that can be begun with: as it is
    built in, but for `$schema`, which is a path beside it.
    """
    listed = shell.run("dialect", "list").stdout
    for name in NAMES:
        assert re.search(rf"^{name} +[A-Z]?\S.*\.$", listed, re.MULTILINE), name
        shown = CliRunner().invoke(group, ["dialect", "show", name])
        mine = shell.home / "mine.json"
        mine.write_text(shown.output)
        built_in = json.loads(text_of(name))
        assert built_in.pop("$schema") == "../dialect.schema.json"
        assert json.loads(shown.output) == built_in
        checked = CliRunner().invoke(group, ["dialect", "check", str(mine)])
        assert (checked.exit_code, checked.output.partition("\n")[0]) == (0, f"{name}: the document is right")
    assert one_line(shell.run("dialect", "show", "nestjs")).startswith("evertoken: Invalid value: there is no dialect")


@pytest.mark.parametrize(
    ("document", "place", "words"),
    [
        ("{", "", "is not JSON"),
        ('{"loginn": null}', "/loginn", "is no member"),
        ('{"expired": [{"status": "401"}]}', "/expired/0/status", "whole number"),
        ('{"refresh": {"url": "/r", "token": {"kind": "cookie"}}}', "/csrf", "is missing"),
        ('{"tokens": {"access_token": "token"}}', "/tokens/access_token", "JSON Pointer"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(shell: Shell, document: str, place: str, words: str) -> None:
    """What is wrong with a document is one line: the file, the place in it, and what is to be there. Exit status 1."""
    (shell.home / "mine.json").write_text(document)
    refused = shell.run("dialect", "check", "mine.json")
    assert refused.returncode == 1
    assert one_line(refused).startswith(f"evertoken: mine.json: dialect{' ' + place if place else ''}: ")
    assert words in refused.stderr


def test_a_dialect_that_is_not_there_is_no_wrong_document(shell: Shell) -> None:
    """Exit status 2: nothing can be said of what cannot be read; the built-in names are listed."""
    refused = shell.run("dialect", "check", "nets")
    assert refused.returncode == 2
    assert "code-in-200" in one_line(refused)


def test_a_token_in_the_url_and_one_that_never_changes_are_pointed_out(shell: Shell) -> None:
    """The check says what the server wants to be told before it speaks such a dialect."""
    shown = shell.run("dialect", "check", "code-in-400").stdout
    assert "--allow-token-in-url" in shown
    assert "--max-age" in shown
    assert "note" not in shell.run("dialect", "check", "status-code-in-body").stdout


def test_what_only_a_client_can_speak_is_pointed_out(shell: Shell) -> None:
    """A document without a sign-in is right for a client; a server could not serve it, and the check says so."""
    (shell.home / "mine.json").write_text('{"login": null}')
    shown = shell.run("dialect", "check", "mine.json")
    assert shown.returncode == 0
    assert "`evertoken serve` cannot: dialect /login" in shown.stdout


def test_an_api_that_speaks_as_its_document_says_passes(shell: Shell, foreign: Foreign) -> None:
    """Every step is told with what came back; the exit status is 0, and no session is left behind."""
    api = foreign()
    done = _check_foreign(shell, api)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("11 as the document says, 0 differ, 0 not checked\n")
    assert "ok       guarded call without a token: 401; the document says: 401\n" in done.stdout
    assert api.live_sessions == 0


WITH_FAULT = [
    (
        "refusals are 403",
        "guarded call without a token",
        '{"status": 403, "body": {"/error": ["forbidden"]}} to expired',
    ),
    ("refusals are 200", "guarded call with a bad access token", '"body": {"/statusCode": [4010]}} to expired'),
    ("refusals are 500", "guarded call without a token", "mend the API"),
    ("the token is in X-Token", "guarded call with the access token", "correct access_token.header"),
    ("nothing is guarded", "guarded call without a token", "choose a --resource that is guarded"),
    ("over is 400", "refresh with a bad refresh token", '"body": {"/code": ["NO_SUCH_TOKEN"]}} to refresh_over'),
    ("over is 400", "refresh after the sign-out", "clients take that for a passing fault"),
    ("no sign-out", "sign-out", "correct logout"),
    ("tokens are used once", "the same refresh token again", "set refresh_is_repeatable to false"),
    ("tokens are used once", "two refreshes at once", "set refresh_is_repeatable to false"),
]


@pytest.mark.parametrize(("fault", "step", "words"), WITH_FAULT)
def test_a_difference_is_told_with_what_to_change(
    shell: Shell, foreign: Foreign, fault: str, step: str, words: str
) -> None:
    """Where the API differs, its step says what came back, what the document says, and what to write there instead."""
    done = _check_foreign(shell, foreign(fault))
    assert done.returncode == 1
    assert words in _differing(done)[step]


def test_one_fault_is_not_told_as_many(shell: Shell, foreign: Foreign) -> None:
    """All other steps are played to their end, and are as the document says."""
    assert set(_differing(_check_foreign(shell, foreign("refusals are 403")))) == {
        "guarded call without a token",
        "guarded call with a bad access token",
    }


def test_tokens_at_another_place_end_the_check_with_where_things_are(shell: Shell, foreign: Foreign) -> None:
    """The members of the answer are named, with the length of their texts and not the texts: exit status 1."""
    done = _check_foreign(shell, foreign("tokens below data"))
    assert done.returncode == 1
    assert re.search(r"/data/accessToken \(text of \d+ characters\)", _differing(done)["sign-in"])
    assert "correct tokens" in done.stdout
    moved = DOCUMENT["tokens"] | {"access_token": "/data/accessToken", "refresh_token": "/data/refreshToken"}
    assert _check_foreign(shell, foreign("tokens below data"), tokens=moved).returncode == 0


def test_tokens_that_can_be_used_once_are_described_by_one_word(shell: Shell, foreign: Foreign) -> None:
    """With `refresh_is_repeatable: false` the same API is as it should be; what two tabs would do there is noted."""
    api = foreign("tokens are used once")
    done = _check_foreign(shell, api, refresh_is_repeatable=False)
    assert done.returncode == 0, done.stdout
    assert api.live_sessions == 0
    assert "note     two refreshes at once: " in done.stdout


def test_a_refresh_token_that_is_not_in_the_answer_is_told(shell: Shell, foreign: Foreign) -> None:
    """`refresh_token_in_answer` is held against what a refresh answers."""
    api = foreign("refreshes say no refresh token")
    assert _check_foreign(shell, api).returncode == 0
    assert _check_foreign(shell, api, refresh_token_in_answer="never").returncode == 0
    differing = _differing(_check_foreign(shell, api, refresh_token_in_answer="always"))
    assert "no refresh token in the answer; the document says: refresh_token_in_answer: always" in differing["refresh"]


def test_a_refused_sign_in_says_nothing_of_the_document(shell: Shell, foreign: Foreign) -> None:
    """A wrong password is exit status 2, and is not printed."""
    api = foreign()
    (shell.home / "dialect.json").write_text(json.dumps(DOCUMENT))
    refused = _check(shell, api.url, password="wrong-horse")
    assert refused.returncode == 2
    assert "the sign-in was refused" in refused.stderr
    assert "wrong-horse" not in refused.stdout + refused.stderr


def test_an_api_that_wants_fewer_calls_says_nothing_of_the_document(shell: Shell, foreign: Foreign) -> None:
    """A 429 is neither a wrong password nor a difference: exit status 2, check again later."""
    done = _check_foreign(shell, foreign("it is busy"))
    assert done.returncode == 2
    assert "takes no sign-in now (429)" in done.stderr
    assert not _differing(done)


def test_what_the_document_leaves_out_is_not_played(shell: Shell, foreign: Foreign) -> None:
    """Without a refresh and a sign-out in the document, those steps are named as not checked."""
    done = _check_foreign(shell, foreign(), refresh=None, logout=None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped  refreshes: the document has no refresh\n" in done.stdout
    assert "skipped  sign-out: the document has no logout\n" in done.stdout


def test_without_an_answer_nothing_can_be_said(shell: Shell) -> None:
    """An API that is not there is exit status 2."""
    refused = _check(shell, f"http://127.0.0.1:{free_port()}", "nest", "--resource", "/things")
    assert refused.returncode == 2
    assert "connection refused" in refused.stderr


def test_without_a_resource_guarded_calls_are_left_out(shell: Shell, foreign: Foreign) -> None:
    """The check says what it did not look at, and how to have it looked at."""
    api = foreign("refusals are 403")
    (shell.home / "dialect.json").write_text(json.dumps(DOCUMENT))
    done = _check(shell, api.url)
    assert done.returncode == 0
    assert "skipped  guarded calls: give --resource PATH" in done.stdout
    assert ("GET", "/things") not in api.requests


@pytest.mark.parametrize("resource", ["https://elsewhere.example/things", "//elsewhere.example", "things", "/a b"])
def test_a_resource_elsewhere_is_refused_before_anything_is_sent(shell: Shell, foreign: Foreign, resource: str) -> None:
    """The access token goes to no other server than --url names."""
    api = foreign()
    refused = _check(shell, api.url, "nest", "--resource", resource)
    assert refused.returncode == 2
    assert not api.requests


def test_flags_for_an_api_need_an_api(shell: Shell) -> None:
    """--resource without --url is a slip: exit status 2."""
    assert shell.run("dialect", "check", "nest", "--resource", "/things").returncode == 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """evertoken with all built-in dialects at once, each below a prefix of its own."""
    served = ",".join(f"/{name}={name}" for name in NAMES if name != "evertoken")
    running = ServerProcess(
        tmp_path_factory.mktemp("server"),
        environment={"EVERTOKEN_DIALECTS": served},
        port=(port := lasting_port()),
        issuer=f"http://127.0.0.1:{port}",
        allow_token_in_url=True,
        max_age="30d",
    )
    add_users(running.database, "ada")
    with running:
        yield running


def test_a_server_that_asks_for_the_origin_of_the_page_is_told_one(shell: Shell, server: ServerProcess) -> None:
    """With a cookie the check says that it comes from the API's own page, or from the one that --origin names."""
    url = f"{server.url}/cookie-envelope"
    assert _check(shell, url, "cookie-envelope").returncode == 0
    refused = _check(shell, url, "cookie-envelope", "--origin", "https://elsewhere.example")
    assert refused.returncode == 2
    assert "/error origin_not_allowed" in _differing(refused)["sign-in"]


@pytest.mark.parametrize("name", NAMES)
def test_evertoken_speaks_each_built_in_dialect_as_its_document_says(
    shell: Shell, server: ServerProcess, name: str
) -> None:
    """`evertoken serve` with a dialect passes `evertoken dialect check` of it, sign-in to sign-out."""
    url = server.url if name == "evertoken" else f"{server.url}/{name}"
    done = _check(shell, url, name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "differs" not in done.stdout
    assert "two refreshes at once: " in done.stdout
