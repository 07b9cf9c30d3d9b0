"""Every framework's guard speaks the dialect of the guard that it stands on: two dialects, beside and elsewhere."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pytest
from fastapi import Depends, FastAPI
from litestar import Litestar

from evertoken.dialects import DialectError, Spoken
from evertoken.errors import ConfigurationError
from evertoken.guards import AccessCheck, ChecksAccess, Guard
from evertoken.guards.fastapi import Guarded
from evertoken.guards.litestar import TokenAuth
from evertoken.guards.speech import Speech
from evertoken.wire.dialects.known import named
from tests.edge.attacking import Answer
from tests.frameworks import asgi_benches, wsgi_django_benches, wsgi_flask_benches
from tests.frameworks.calling import Shut
from tests.frameworks.compliance.bench import Bench, Stage
from tests.frameworks.compliance.stand import PLACES, Place, Stand
from tests.guards.elsewhere import guarding, sign_out
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server

# isort: split
# The project's settings come first, or Django refuses to be imported.
from evertoken.guards.django.configuration import configuration_of

BENCHES: Final[dict[str, Bench]] = {
    "asgi": asgi_benches.MiddlewareBench(),
    "starlette": asgi_benches.StarletteBench(),
    "starlette-backend": asgi_benches.BackendBench(),
    "fastapi": asgi_benches.FastAPIBench(),
    "litestar": asgi_benches.LitestarBench(),
    "django": wsgi_django_benches.MiddlewareBench(),
    "django-async": wsgi_django_benches.AsyncMiddlewareBench(),
    "django-decorator": wsgi_django_benches.DecoratorBench(),
    "rest-framework": wsgi_django_benches.RestFrameworkBench(),
    "flask": wsgi_flask_benches.DecoratorBench(),
    "flask-async": wsgi_flask_benches.AsyncBench(),
    "flask-blueprint": wsgi_flask_benches.BlueprintBench(),
}
PLACE_OF: Final[dict[str, Place]] = {"code-in-400": PLACES[0], "code-in-200": PLACES[1]}
"""Which dialect is spoken beside the mounted server, and which in another service."""
STATUS_OF: Final = {"code-in-400": 400, "code-in-200": 200}
WITHIN_SECONDS: Final = 20


@dataclass(frozen=True)
class Speaking(Stand):
    """A guarded application in one dialect."""

    name: str

    @property
    def status(self) -> int:
        """Of every refusal."""
        return STATUS_OF[self.name]

    def show(self, token: str, path: str = "/guarded") -> Answer:
        """The answer to a GET with this token, where the dialect has it."""
        place = named(self.name).access_token
        return self.get(path, (place.header, place.value(token)))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all; time only goes on."""
    with live_server(tmp_path_factory.mktemp("server"), clock=MovingClock()) as running:
        running.add_user("ada", roles=("editor",))
        yield running


@pytest.fixture(scope="module")
def guards(live: LiveServer) -> Iterator[Mapping[str, ChecksAccess]]:
    """A guard for each dialect."""
    with guarding(live, dialect="code-in-200") as elsewhere:
        yield {"code-in-400": live.server.guard.speaking("code-in-400"), "code-in-200": elsewhere}


@pytest.fixture(
    scope="module",
    params=itertools.product(BENCHES, PLACE_OF),
    ids="-".join,
)
def stand(request: pytest.FixtureRequest, live: LiveServer, guards: Mapping[str, ChecksAccess]) -> Iterator[Speaking]:
    """Each framework's application, in each dialect."""
    bench, name = request.param
    stage = Stage(guards[name], live.clock)
    with BENCHES[bench].serving(stage) as url:
        yield Speaking(live, url, stage, PLACE_OF[name], name)


def refused(stand: Speaking, answer: Answer, *, code: int, error: str, status: int | None = None) -> None:
    """Assert that an answer is the guard's, in the dialect, and no cache keeps it."""
    assert answer.status == (status or stand.status), answer
    assert answer.one("Content-Type").partition(";")[0] == "application/json"
    assert answer.one("Cache-Control") == "no-store"
    assert not answer.all("WWW-Authenticate")
    said = answer.json()
    assert (said["code"], said["error"]) == (code, error)
    assert set(said) == {"code", "msg", "error"}
    assert said["msg"]


def test_a_token_where_the_dialect_has_it_reaches_the_route(stand: Speaking) -> None:
    """
    The page's own header is read, at first sight and when the token is remembered, whatever the case of the scheme.
    """
    token = stand.token(jti="t-1")
    for _ in range(3):
        assert (answer := stand.show(token)).status == 200
        assert answer.json()["jti"] == "t-1"
    if stand.name == "code-in-200":
        assert stand.get("/guarded", ("authorization", f"bEARER {token}")).json()["jti"] == "t-1"


def test_a_request_without_a_good_token_is_told_that_it_has_expired(stand: Speaking) -> None:
    """
    No token, none after its scheme, a bad one, another header and an expired one look alike: the page refreshes.
    """
    before = stand.stage.reached
    now = stand.live.clock() // 1000
    place = named(stand.name).access_token
    for path in ("/guarded", "/admin", "/scoped"):
        refused(stand, stand.get(path), code=401, error="token_invalid")
        refused(stand, stand.show(stand.token(exp=now - 1), path), code=401, error="token_expired")
    for bad in ("null", "", stand.token() + "x", stand.token(aud="other")):
        refused(stand, stand.get("/guarded", (place.header, place.value(bad))), code=401, error="token_invalid")
    if stand.name == "code-in-400":
        elsewhere = ("Authorization", f"Bearer {stand.token()}")
        refused(stand, stand.get("/guarded", elsewhere), code=401, error="token_invalid")
    assert stand.stage.reached == before


def test_a_session_that_has_ended_is_told_to_its_holder(stand: Speaking) -> None:
    """
    The token of a session that was signed out is answered as over, so that the page does not even try to refresh.
    """
    tokens = stand.sign_in()
    assert stand.show(tokens["access_token"]).json()["sub"]
    with stand.live.client() as client:
        sign_out(client, tokens)
    give_up_at = time.monotonic() + WITHIN_SECONDS
    answer = stand.show(tokens["access_token"])
    while "code" not in answer.json() and time.monotonic() < give_up_at:
        answer = stand.show(tokens["access_token"])
    refused(stand, answer, code=402, error="session_over")


def test_a_missing_right_is_no_reason_to_refresh(stand: Speaking) -> None:
    """
    A good token without the role or scope gets the dialect's failure, which means neither expired nor over.
    """
    code = {"code-in-400": 400, "code-in-200": 403}[stand.name]
    for path in ("/admin", "/scoped"):
        answer = stand.show(stand.token(roles=["author"], scope="read"), path)
        refused(stand, answer, code=code, error="insufficient_rights")
        assert named(stand.name).verdict(answer.status, answer.json()) == "accepted"


def test_two_tokens_at_once_never_reach_the_route(stand: Speaking) -> None:
    """
    Which of two tokens is meant nobody can tell, so neither is taken.
    """
    place, before = named(stand.name).access_token, stand.stage.reached
    header = (place.header, place.value(stand.token()))
    assert "error" in stand.get("/guarded", header, header).json()
    assert stand.stage.reached == before


def test_two_tokens_at_once_are_no_reason_to_refresh(stand: Speaking) -> None:
    """
    They are an invalid request in every framework, also where the server joins two headers with a comma.
    """
    place = named(stand.name).access_token
    header = (place.header, place.value(stand.token()))
    refused(stand, stand.get("/guarded", header, header), code=400, error="invalid_request")


def test_open_routes_and_the_applications_own_errors_stay_its_own(stand: Speaking) -> None:
    """
    The dialect is spoken by the guard alone: the application's answers are as they were.
    """
    assert stand.get("/open").json() == {"open": True}
    assert stand.show(stand.token(), "/failing").status in {418, 500}


class SpokenShut(Shut):
    """A guard of a dialect that has lost the feed."""

    def __init__(self, name: str) -> None:
        self.speech = Speech(name)


@pytest.mark.parametrize("bench", BENCHES)
def test_a_guard_that_cannot_judge_keeps_503_and_retry_after_in_its_dialect(bench: str, live: LiveServer) -> None:
    """
    A fault is never dressed as a refusal, even where everything else is HTTP 200.
    """
    stage = Stage(SpokenShut("code-in-200"), live.clock)
    with BENCHES[bench].serving(stage) as url:
        stand = Speaking(live, url, stage, PLACES[1], "code-in-200")
        answer = stand.show(stand.token())
        refused(stand, answer, code=503, error="unavailable", status=503)
        assert answer.one("Retry-After") == "5"
        assert stage.reached == 0


def test_the_mounted_servers_own_guard_goes_on_in_its_own_dialect(
    live: LiveServer, guards: Mapping[str, ChecksAccess]
) -> None:
    """
    Beside the mounted server a host application's guard may speak otherwise; /auth answers problems as before.
    """
    own = guards["code-in-400"]
    assert isinstance(own, AccessCheck)
    assert own.speech.dialect.name == "code-in-400"
    with live.client() as client:
        assert client.get("/auth/me").json()["code"] == "token_invalid"
        assert client.get("/auth/me").status_code == 401
        token = live.sign_in(client)["access_token"]
        assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/auth/me", headers={"token": token}).status_code == 401


def test_keys_that_are_forgotten_are_forgotten_in_every_dialect(live: LiveServer) -> None:
    """
    When keys change, no guard beside the server goes on from memory, whatever it speaks.
    """
    with live.client() as client:
        token = live.sign_in(client)["access_token"]
    own = live.server.guard.speaking("raw-header")
    own.check(token, now_ms=live.clock())
    assert own.recall(token.encode(), now_ms=live.clock()) is not None
    assert own.recall(f"Bearer {token}".encode(), now_ms=live.clock()) is None
    live.server.guard.forget()
    assert own.recall(token.encode(), now_ms=live.clock()) is None


def test_django_takes_the_dialect_from_its_setting() -> None:
    """
    EVERTOKEN["DIALECT"] is the guard's dialect; one that cannot be used is named as it is written there.
    """
    elsewhere = {"ISSUER": "https://auth.example", "AUDIENCE": "https://api.example"}
    configured = configuration_of({**elsewhere, "DIALECT": "nest"})
    assert configured.speech.dialect is named("nest")
    with pytest.raises(ConfigurationError, match="code-in-200") as refused:
        configuration_of({**elsewhere, "DIALECT": "nests"})
    assert refused.value.setting == "EVERTOKEN['DIALECT']"
    with pytest.raises(ConfigurationError, match="/expired") as refused:
        configuration_of({**elsewhere, "DIALECT": {"expired": []}})
    assert refused.value.setting == "EVERTOKEN['DIALECT']"


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("nest", {"type": "http", "scheme": "bearer"}),
        ("code-in-400", {"type": "apiKey", "in": "header", "name": "token"}),
        ("raw-header", {"type": "apiKey", "in": "header", "name": "authorization"}),
    ],
)
def test_an_openapi_description_says_where_the_dialect_has_the_token(
    dialect: str, expected: dict[str, str], live: LiveServer
) -> None:
    """
    FastAPI's and Litestar's descriptions name the header that the guard reads.
    """
    guard = live.server.guard.speaking(dialect)
    app = FastAPI()
    app.get("/guarded", dependencies=[Depends(Guarded(guard))])(lambda: None)
    described = [app.openapi(), Litestar([], plugins=[TokenAuth(guard)]).openapi_schema.to_schema()]
    for document in described:
        (scheme,) = document["components"]["securitySchemes"].values()
        assert expected.items() <= scheme.items()


def test_a_dialect_in_which_nobody_could_be_refused_is_no_guards() -> None:
    """
    A guard that had no words for an expired token is refused at start, not at the first request.
    """
    every: list[Spoken] = [{"expired": []}, {"expired": [{"status": 400}]}, {"nmae": 1}, "no-such", "missing.json"]
    for broken in every:
        with pytest.raises(DialectError):
            Guard("https://auth.example", "https://api.example", dialect=broken)
