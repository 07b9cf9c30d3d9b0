"""What Flask's guard does beyond the suite: claims at hand, blueprints and OPTIONS, rights that add up."""

from typing import Any

import pytest
from flask import Blueprint, Flask, g

from evertoken.clock import Clock
from evertoken.guards import AccessTokenClaims, ChecksAccess
from evertoken.guards.flask import Guarded, current_claims
from tests.edge.attacking import forged
from tests.frameworks.wsgi_flask_benches import application
from tests.support.one_server import http, live
from tests.support.server import LiveServer

__all__ = ["http", "live"]


@pytest.fixture
def guarded(live: LiveServer) -> Guarded:
    return Guarded(live.server.guard, clock=live.clock)


@pytest.fixture
def app() -> Flask:
    made = application()
    made.add_url_rule("/public", view_func=lambda: {"sub": str(g.get("evertoken"))}, endpoint="public")
    return made


def bearing(live: LiveServer, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {forged(live, payload=claims)}"}


def test_the_claims_are_at_hand_without_passing_them_on(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """`current_claims` is the claims of the request that is being answered, typed, in any function it calls."""

    def deep() -> str:
        assert isinstance(current_claims, AccessTokenClaims)
        return f"{current_claims.sub} {current_claims.extra['tenant']}"

    @app.get("/deep")
    @guarded
    def view() -> str:
        return deep()

    assert app.test_client().get("/deep", headers=bearing(live, tenant="acme")).text == "u_ada acme"


def test_where_no_guard_was_passed_there_are_no_claims(app: Flask) -> None:
    """Asking for claims in a view that is not guarded is a fault of the program, and the message says where."""
    with pytest.raises(RuntimeError, match="decorated with @guarded"):
        str(current_claims.sub)
    with app.test_request_context("/public"), pytest.raises(RuntimeError, match="decorated with @guarded"):
        str(current_claims.sub)


def test_claims_do_not_outlive_their_request(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """In one application context around several requests, as tests have it, nobody inherits another's claims."""

    @app.get("/whole")
    @guarded
    def whole() -> dict[str, str]:
        return {"sub": g.evertoken.sub}

    @app.get("/async")
    @guarded
    async def whole_async() -> dict[str, str]:
        return {"sub": g.evertoken.sub}

    @app.get("/mine")
    def mine() -> dict[str, str]:
        with pytest.raises(RuntimeError):
            str(current_claims.sub)
        return {}

    client = app.test_client()
    with app.app_context():
        assert client.get("/whole", headers=bearing(live)).json == {"sub": "u_ada"}
        assert client.get("/mine").json == {}
        for path in ("/whole", "/async"):
            assert client.get(path, headers=bearing(live)).json == {"sub": "u_ada"}
            assert client.get(path).status_code == 401
            assert "evertoken" not in g


def test_a_whole_application_is_guarded_unknown_paths_included(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """`app.before_request(guarded.before)`: without a token nobody learns which paths there are."""
    app.before_request(guarded.before)
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/public", "/nowhere")] == [401, 401]
    assert client.get("/public", headers=bearing(live)).status_code == 200
    assert client.get("/nowhere", headers=bearing(live)).status_code == 418  # the application's own handler


def test_a_view_that_answers_options_itself_is_guarded(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """Only what Flask answers by itself stays open; an OPTIONS that runs code of the application needs a token."""
    api = Blueprint("api", __name__)
    api.before_request(guarded.before)
    api.add_url_rule("/own", view_func=lambda: "ran", methods=["GET", "OPTIONS"], endpoint="own")
    api.add_url_rule("/usual", view_func=lambda: "ran", endpoint="usual")
    app.register_blueprint(api)
    client = app.test_client()
    assert client.options("/own").status_code == 401
    assert client.options("/own", headers=bearing(live)).text == "ran"
    usual = client.options("/usual")
    assert (usual.status_code, usual.text) == (200, "")


def test_the_rights_of_a_blueprint_and_of_a_view_add_up(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """A view in a guarded blueprint may demand more, and never less, than the blueprint."""
    api = Blueprint("api", __name__)
    api.before_request(guarded(scopes=["read"]).before)

    @api.get("/strict")
    @guarded(roles=["admin"])
    def strict() -> str:
        return "ran"

    app.register_blueprint(api)
    client = app.test_client()
    for scope, roles, status in (("read", ["admin"], 200), ("read", [], 403), ("", ["admin"], 403)):
        assert client.get("/strict", headers=bearing(live, scope=scope, roles=roles)).status_code == status


def test_more_rights_on_top_of_rights_are_all_demanded(live: LiveServer, app: Flask, guarded: Guarded) -> None:
    """`guarded(scopes=["read"])(scopes=["write"])` demands both."""
    both = guarded(scopes=["read"])(scopes=["write"])
    app.add_url_rule("/both", view_func=both(lambda: "ran"), endpoint="both")
    client = app.test_client()
    for scope, status in (("read write", 200), ("write", 403), ("read", 403)):
        assert client.get("/both", headers=bearing(live, scope=scope)).status_code == status


def test_an_async_view_does_not_block_on_the_guard(live: LiveServer, app: Flask) -> None:
    """Around an async view the guard is awaited, so that its event loop goes on."""
    asked: list[str] = []

    class Watched:
        """The server's guard, and how it was asked."""

        def __init__(self, guard: ChecksAccess) -> None:
            self._guard = guard

        def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
            asked.append("check")
            return self._guard.check(encoded, now_ms=now_ms)

        async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
            asked.append("check_async")
            return await self._guard.check_async(encoded, now_ms=now_ms)

        def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
            return self._guard.recall(authorization, now_ms=now_ms)

    clock: Clock = live.clock
    guarded = Guarded(Watched(live.server.guard), clock=clock)

    @app.get("/async")
    @guarded
    async def view() -> str:
        return "ran"

    headers = bearing(live)
    assert [app.test_client().get("/async", headers=headers).text for _ in range(3)] == ["ran", "ran", "ran"]
    assert asked == ["check_async"]  # once: then the token is remembered
