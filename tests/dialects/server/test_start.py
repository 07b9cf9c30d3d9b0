"""Dialects at the start of a server: how they are named, what is refused, what is warned of."""

import asyncio
import json
import logging
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from evertoken.assembly import build
from evertoken.edge.openapi.description import description
from evertoken.edge.settings import Settings
from evertoken.edge.settings.sources import SettingsRefused, load, to_environment
from evertoken.errors import ConfigurationError
from evertoken.wire.dialects.known import NAMES, text_of
from tests.dialects.server.pages import PAGES, Visitor
from tests.support.process import ServerProcess, add_users, run_evertoken
from tests.support.server import WEAK, live_server

OWN = {"name": "ours", "login": {"url": "/in"}, "refresh": {"url": "/again"}, "logout": {"url": "/out"}}


def refusal(folder: Path, *dialects: str, **settings: Any) -> str:
    """What a server that is to speak these says instead of starting."""
    with pytest.raises(ConfigurationError) as caught:
        build(
            Settings(store=str(folder / "evertoken.db"), dialects=dialects, **settings),
            hashing_parameters=WEAK,
        )
    return str(caught.value)


def written(folder: Path, document: Any, name: str = "ours.json") -> str:
    """A document as a file."""
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("nest", "/refresh/token/kind"),
        ("get-refresh", "/refresh/token/kind"),
        ("code-in-400", "/refresh/token/kind"),
    ],
)
def test_a_token_in_the_url_needs_the_operators_permission(tmp_path: Path, name: str, field: str) -> None:
    """Without it the server does not start, and says which setting and which member of the dialect it is about."""
    said = refusal(tmp_path, f"/old={name}")
    assert said.startswith(f"allow_token_in_url: must be on for /old={name}") and field in said
    assert "--allow-token-in-url" in said


def test_a_sign_out_with_the_token_in_the_url_needs_it_too(tmp_path: Path) -> None:
    """Each call is looked at."""
    logout = {"url": "/out", "token": {"kind": "query", "name": "t"}}
    assert "/logout/token/kind" in refusal(tmp_path, written(tmp_path, OWN | {"logout": logout}))


def test_nothing_is_written_where_the_server_does_not_start(tmp_path: Path) -> None:
    """A dialect is judged before a database is made."""
    refusal(tmp_path, "nest")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "not JSON"),
        ("[]", "dialect"),
        ({"nmae": "x"}, "/nmae"),
        (OWN | {"refresh": {"url": "/again", "token": {"kind": "cookie"}}}, "/csrf"),
        (OWN | {"refresh": {"url": "https://id.example/again"}}, "/refresh/url"),
        (OWN | {"refresh": {"url": "/again?x=1"}}, "/refresh/url"),
        (OWN | {"refresh": {"url": "/in"}}, "/refresh/url"),
        (OWN | {"login": None}, "/login"),
        (OWN | {"login": {"url": "/in", "method": "GET"}}, "/login/method"),
        (OWN | {"refresh": {"url": "/{again}"}}, "/refresh/url"),
        (OWN | {"refresh": {"url": "/../auth/refresh"}}, "/refresh/url"),
        ("x" * 70_000, "too long"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_document_that_cannot_be_served_is_refused_with_its_place(tmp_path: Path, document: Any, words: str) -> None:
    """The message names the setting, what was given, and the member."""
    source = written(tmp_path, document)
    said = refusal(tmp_path, source)
    assert said.startswith(f"dialects: {source}: ") and words in said


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nset", "'nset' is none of the built-in ones: evertoken, raw-header"),
        ("./nowhere.json", "'./nowhere.json' cannot be read: No such file"),
        ("/old=./", "'./' cannot be read"),
        ("old=nest", "'old' is not a path"),
        ("/old/=nest", "is not a path"),
        ("/a b=nest", "is not a path"),
        ("/%61=nest", "is not a path"),
        ("/a/../b=nest", "is not a path"),
        ("/{x}=nest", "is not a path"),
        ("/old=", "must name a dialect"),
    ],
)
def test_what_names_no_dialect_is_refused(tmp_path: Path, source: str, words: str) -> None:
    """A misspelt name, a missing file or a strange prefix is said, with what would be right."""
    said = refusal(tmp_path, source, allow_token_in_url=True)
    assert said.startswith("dialects: ") and words in said


@pytest.mark.parametrize(
    ("dialects", "both"),
    [
        (("raw-header", "code-in-200"), ("code-in-200 (/refresh/url)", "raw-header", "/refresh")),
        (("/x=nest", "/x=nest"), ("/x=nest (/refresh/url)", "/x=nest", "/x/user/refresh")),
        (("raw-header", "get-refresh"), ("get-refresh (/refresh/url)", "raw-header", "/refresh")),
        (("evertoken",), ("evertoken (/refresh/url)", "evertoken's own /auth/refresh", "/auth/refresh")),
    ],
)
def test_two_who_want_one_path_are_refused_with_both_names(
    tmp_path: Path, dialects: tuple[str, ...], both: tuple[str, str, str]
) -> None:
    """Two dialects, or a dialect and the server's own routes; also where the methods differ."""
    one, other, path = both
    said = refusal(tmp_path, *dialects, allow_token_in_url=True)
    assert said.startswith(f"dialects: {one} and {other} both answer at {path};")


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("/admin/sessions/abc", "/admin/sessions/{id}"),
        ("/auth/client/x.js", "/auth/client/{path:path}"),
        ("/oauth/token", "/oauth/token"),
        ("/metrics", "/metrics"),
        ("/sessions", "/sessions"),
        ("/.well-known/jwks.json", "/.well-known/jwks.json"),
    ],
)
def test_no_dialect_takes_a_path_of_the_servers_own(tmp_path: Path, url: str, own: str) -> None:
    """Also none that a route of the server's own only covers."""
    said = refusal(tmp_path, written(tmp_path, OWN | {"login": {"url": url}}))
    assert f"evertoken's own {own} both answer at {url}" in said


def test_two_dialects_never_set_one_cookie(tmp_path: Path) -> None:
    """Refresh cookies differ by name and prefix; the readable one has the name that its page looks for."""
    said = refusal(tmp_path, "/a=cookie-envelope", "/b=cookie-envelope")
    assert said.startswith("dialects: /b=cookie-envelope and /a=cookie-envelope would both set the cookie XSRF-TOKEN")
    mine = json.loads(text_of("cookie-envelope"))
    mine["csrf"]["cookie"] = "__Host-Http-evertoken"
    assert "/csrf/cookie must not begin with __" in refusal(tmp_path, written(tmp_path, mine))
    mine["csrf"]["cookie"] = "evertoken"
    plain = refusal(tmp_path, written(tmp_path, mine), issuer="http://10.0.0.7:8000")
    assert "and /auth would both set the cookie evertoken" in plain


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("raw-header", {}, ["never get a new refresh token"]),
        ("raw-header", {"max_age": "30d"}, []),
        ("raw-header", {"refresh_extends_idle": "false"}, []),
        ("nest", {}, ["GET /old/user/refresh carries the refresh token in the URL"]),
        (
            "code-in-400",
            {},
            ["POST /old/token/refresh carries", "POST /old/logout carries", "never get a new refresh token"],
        ),
        ("code-in-200", {}, []),
        ("cookie-envelope", {}, []),
        ("status-code-in-body", {}, []),
    ],
)
def test_what_is_riskier_than_our_own_way_is_said_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, settings: dict[str, str], words: list[str]
) -> None:
    """One line for each token in a URL, one for a token that is stolen unnoticed and for ever; none for the others."""
    texts = {"store": str(tmp_path / "evertoken.db"), "dialects": f"/old={name}", "allow_token_in_url": "true"}
    server = build(load(texts | settings, {}), hashing_parameters=WEAK)

    async def start_and_stop() -> None:
        async with server.lifespan(server.app):
            pass

    with caplog.at_level(logging.WARNING):
        asyncio.run(start_and_stop())
    lines = [record.getMessage() for record in caplog.records if record.name == "evertoken.edge.dialects.served"]
    assert len(lines) == len(words)
    assert all(word in line and f"dialect /old={name}: " in line for word, line in zip(words, lines, strict=True))


def test_the_flag_may_be_repeated_and_the_variable_and_the_file_hold_lists(tmp_path: Path) -> None:
    """--dialect A --dialect B, EVERTOKEN_DIALECTS=A,B and dialects = ["A", "B"] are the same."""
    file = tmp_path / "evertoken.toml"
    file.write_text('dialects = ["raw-header", "/n=nest"]\nallow_token_in_url = true\n')
    from_file = load({}, {}, file=file)
    variables = {"EVERTOKEN_DIALECTS": "raw-header, /n=nest", "EVERTOKEN_ALLOW_TOKEN_IN_URL": "yes"}
    assert from_file == load({}, variables) == load({"dialects": "raw-header,/n=nest", "allow_token_in_url": "on"}, {})
    assert from_file.dialects == ("raw-header", "/n=nest")
    assert load({}, to_environment(from_file)) == from_file
    with pytest.raises(SettingsRefused, match=r"EVERTOKEN_DIALECTS: 'n' is not a path"):
        load({}, {"EVERTOKEN_DIALECTS": "n=nest"})


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    """No traceback: the setting, the dialect and its member."""
    refused = run_evertoken("serve", "--dialect", "raw-header", "--dialect", "nest", cwd=tmp_path)
    assert refused.returncode == 1
    (line,) = (each for each in refused.stderr.splitlines() if "allow_token_in_url" in each)
    assert "must be on for nest: /refresh/token/kind" in line and "Traceback" not in refused.stderr
    both = run_evertoken("serve", "--dialect", "raw-header", "--dialect", "code-in-200", cwd=tmp_path)
    assert both.returncode == 1 and "code-in-200 (/refresh/url) and raw-header both answer at /refresh" in both.stderr
    assert "Traceback" not in both.stderr


def test_the_command_serves_a_dialect_of_ones_own_in_every_worker(tmp_path: Path) -> None:
    """A file by a relative name and a built-in one below a path, in two processes over one database."""
    source = written(tmp_path, OWN)
    add_users(tmp_path / "evertoken.db", "ada")
    variables = {"EVERTOKEN_DIALECTS": f"{source},/old=code-in-200"}
    with ServerProcess(tmp_path, environment=variables, workers=2) as server:
        for _ in range(6):  # a connection of its own each time, so that both workers are met
            body = json.dumps({"username": "ada", "password": "correct-horse-battery"})
            for path, member in (("/in", "access_token"), ("/old/login", "data")):
                answer = post(server.url + path, body)
                assert member in answer


def post(url: str, body: str) -> Any:
    asked = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


def test_a_dialect_at_the_root_is_served_there(tmp_path: Path) -> None:
    """Without a prefix the page's own paths are those of the server: nothing in the page changes."""
    with live_server(tmp_path, dialects=("nest",), allow_token_in_url=True) as live:
        live.add_user("ada")
        with live.client() as http:
            visitor = Visitor(live, http, PAGES["nest"], "")
            assert visitor.is_admitted(visitor.renewed(visitor.sign_in()).access)


def test_the_description_says_that_dialects_are_described_elsewhere() -> None:
    """A server without dialects says nothing of them; one with them says why they are not described there."""
    without, with_one = description(Settings()), description(Settings(dialects=("raw-header",)))
    assert "setting `dialects`" in with_one["info"]["description"]
    assert "dialects" not in without["info"]["description"]
    assert with_one["paths"].keys() == without["paths"].keys()


def test_every_built_in_dialect_can_be_served(tmp_path: Path) -> None:
    """All at once, each below its own path."""
    dialects = tuple(f"/{name}={name}" for name in NAMES)
    server = build(
        Settings(store=str(tmp_path / "evertoken.db"), dialects=dialects, allow_token_in_url=True),
        hashing_parameters=WEAK,
    )
    server.close()
