"""The description of the server: complete, sound, and the same wherever one reads it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from starlette.routing import Route

from evertoken.edge.openapi.description import description
from evertoken.edge.routes.account import AccountRoutes
from evertoken.edge.routes.admin import AdminRoutes
from evertoken.edge.routes.auth import AuthRoutes
from evertoken.edge.routes.oauth import OAuthRoutes
from evertoken.edge.routes.revocations import RevocationRoutes
from evertoken.edge.routes.running import RunningRoutes
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.web.serving import WebRoutes
from evertoken.wire.problems import TITLES
from tests.support.server import LiveServer


def routed(live: LiveServer) -> set[tuple[str, str]]:
    """Method and path of every route of a running server; HEAD comes with GET and is not described."""
    return {
        (method, route.path)
        for kind in (AuthRoutes, AccountRoutes, OAuthRoutes, RevocationRoutes, RunningRoutes, AdminRoutes)
        for route in kind(live.server.services).routes()
        for method in route.methods or ()
        if method != "HEAD"
    }


def described(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Every operation of a description by its method and path."""
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def nodes(found: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(found, dict):
        yield found
        for value in found.values():
            yield from nodes(value)
    elif isinstance(found, list):
        for value in found:
            yield from nodes(value)


def test_every_route_is_described_and_nothing_else(live: LiveServer) -> None:
    """A route that is missing in the description fails this test, and so does one that is only described."""
    assert set(described(description(live.server.services.settings))) == routed(live)


def test_all_routes_of_the_router_are_known_to_these_tests(live: LiveServer) -> None:
    """The six rooms of routes make up the whole application, with the pages' files, which are no API."""
    of_router = {
        (method, route.path)
        for route in live.server.app._router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    files = {("GET", route.path) for route in WebRoutes(live.server.services.settings).routes()}
    assert of_router == routed(live) | files
    assert not files & routed(live)


def test_the_server_tells_its_own_description(live: LiveServer, http: httpx2.Client) -> None:
    """What /openapi.json answers is the description for this server's settings, byte for byte of meaning."""
    answer = http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == description(live.server.services.settings)
    assert answer.json()["servers"] == [{"url": live.url}]


def test_what_is_switched_off_is_not_described() -> None:
    """A server without /metrics does not describe it, and says which cookie an http origin gets."""
    document = description(Settings(metrics=False, issuer="http://10.0.0.7:8000"))
    assert "/metrics" not in document["paths"]
    assert document["components"]["securitySchemes"]["refreshCookie"]["name"] == "evertoken"


def test_passwords_kept_elsewhere_may_answer_not_found() -> None:
    """Where users live in the application's own table, changing the password here may be 404; nowhere else."""
    own, elsewhere = (
        described(description(Settings(user_directory=directory)))["POST", "/auth/password"]["responses"]
        for directory in ("", "my.app:users")
    )
    assert elsewhere.keys() - own.keys() == {"404"}


def test_users_kept_elsewhere_cannot_be_listed() -> None:
    """Where users live in the application's own table, an operator's list of users is 404."""
    own, elsewhere = (
        described(description(Settings(user_directory=directory)))["GET", "/admin/users"]["responses"]
        for directory in ("", "my.app:users")
    )
    assert elsewhere.keys() - own.keys() == {"404"}


def test_a_description_is_made_once_for_the_same_settings() -> None:
    """Asking again costs nothing."""
    assert description(Settings()) is description(Settings())


def test_no_secret_of_the_settings_stands_in_the_description() -> None:
    """The description can be shown to anybody."""
    text = json.dumps(description(Settings(secret=(Secret("do-not-show-this-to-anybody-please"),), store="/srv/my.db")))
    assert "do-not-show" not in text
    assert "/srv/my.db" not in text


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    """Each `$ref` names a component, and each schema and header of the components is used."""
    document = description(Settings())
    wanted = {node["$ref"] for node in nodes(document) if "$ref" in node}
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in document["components"][kind]}
    assert wanted == there


def test_operations_have_a_name_a_tag_and_a_summary() -> None:
    """A generator of clients finds a name of its own for every call."""
    operations = described(description(Settings())).values()
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    tags = {tag["name"] for tag in description(Settings())["tags"]}
    assert all(set(operation["tags"]) <= tags and operation["summary"] for operation in operations)


def test_every_security_requirement_names_a_scheme() -> None:
    """What an operation demands is explained in the components, and every scheme there is demanded somewhere."""
    document = description(Settings())
    demanded = {
        name
        for operation in described(document).values()
        for requirement in operation["security"]
        for name in requirement
    }
    assert demanded == set(document["components"]["securitySchemes"])


@pytest.mark.parametrize("name", sorted(description(Settings())["components"]["schemas"]))
def test_each_schema_is_a_schema(name: str) -> None:
    """Every schema is valid JSON Schema 2020-12, the dialect of OpenAPI 3.1."""
    assert jsonschema_rs.meta.is_valid(description(Settings())["components"]["schemas"][name])


def test_every_example_fits_its_schema() -> None:
    """Whoever copies an example sends, or expects, something valid."""
    document = description(Settings())
    shown = [node for node in nodes(document) if "example" in node and "schema" in node]
    assert len(shown) > 10
    for node in shown:
        validator = jsonschema_rs.Draft202012Validator({**node["schema"], "components": document["components"]})
        assert validator.is_valid(node["example"]), node


def test_every_code_of_a_problem_is_announced_somewhere() -> None:
    """A program that handles the described codes handles them all, but for those that stand in the introduction."""
    document = description(Settings())
    told = {
        code
        for operation in described(document).values()
        for node in nodes(operation["responses"])
        for code in node.get("properties", {}).get("code", {}).get("enum", ())
    }
    unrouted = {"method_not_allowed", "timeout", "internal"}
    assert told | unrouted == set(TITLES)
    assert all(f"`{code}`" in document["info"]["description"] for code in unrouted)
