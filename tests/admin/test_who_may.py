"""Who may call /admin, and from where."""

import httpx2
import pytest
from starlette.routing import Route

from evertoken.edge.routes.admin import AdminRoutes
from tests.admin.operating import Operator
from tests.support.server import LiveServer

NO_SESSION = "AAAAAAAAAAAAAAAAAAAAAA"
CALLS = [
    ("GET", "/admin/overview"),
    ("GET", "/admin/users"),
    ("POST", "/admin/users/u_ada/disable"),
    ("POST", "/admin/users/u_ada/enable"),
    ("DELETE", "/admin/users/u_ada/sessions"),
    ("GET", "/admin/sessions"),
    ("GET", f"/admin/sessions/{NO_SESSION}"),
    ("DELETE", f"/admin/sessions/{NO_SESSION}"),
    ("GET", f"/admin/sessions/{NO_SESSION}/timeline"),
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys/rotate"),
]
CHANGES = [call for call in CALLS if call[0] != "GET"]


def test_the_calls_below_are_all_there_are(live: LiveServer) -> None:
    """A route under /admin that these tests do not know fails this one."""
    there = {
        (method, route.path)
        for route in live.server.app._router.routes
        if isinstance(route, Route) and route.path.startswith("/admin/")
        for method in route.methods or ()
        if method != "HEAD"
    }
    known = {(method, path.replace("u_ada", "{id}").replace(NO_SESSION, "{id}")) for method, path in CALLS}
    assert there == known
    assert there == {
        (method, route.path)
        for route in AdminRoutes(live.server.services).routes()
        for method in route.methods or ()
        if method != "HEAD"
    }


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_only_a_token_with_the_role_is_let_in(
    live: LiveServer, http: httpx2.Client, operator: Operator, method: str, path: str
) -> None:
    """Without a token it is 401, without the role 403 with the challenge of RFC 6750; nothing has been done by then."""
    nobody = http.request(method, path)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "token_invalid")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="evertoken"'
    ada = Operator(live, http, "ada").call(method, path)
    assert (ada.status_code, ada.json()["code"]) == (403, "insufficient_rights")
    assert 'error="insufficient_scope"' in ada.headers["www-authenticate"]
    user = live.run(live.server.store.find_by_id("u_ada"))
    assert (user.disabled, user.epoch) == (False, 0)
    assert len(live.run(live.server.store.list_keys())) == 1
    assert operator.call(method, path).status_code in (200, 204, 404)


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_page_elsewhere_cannot_use_an_operators_token(operator: Operator, method: str, path: str) -> None:
    """What changes something is refused when the browser says that another site's page sent it."""
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = operator.call(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


def test_the_role_ends_with_the_access_token_that_carried_it(
    live: LiveServer, http: httpx2.Client, operator: Operator
) -> None:
    """Who is an operator no more is kept out from the next refresh on; who has become one is let in from there."""
    live.run(live.server.store.set_roles("u_root", ()))
    live.run(live.server.store.set_roles("u_ada", ("admin",)))
    assert operator.call("GET", "/admin/keys").status_code == 200
    assert Operator(live, http, "root").call("GET", "/admin/keys").status_code == 403
    assert Operator(live, http, "ada").call("GET", "/admin/keys").status_code == 200


def test_a_role_that_only_looks_like_it_is_none(live: LiveServer, http: httpx2.Client) -> None:
    """Roles are compared as they are, whole and in their case."""
    live.run(live.server.store.set_roles("u_ada", ("Admin", "admins", "admin ", "sub-admin")))
    assert Operator(live, http, "ada").call("GET", "/admin/keys").status_code == 403
