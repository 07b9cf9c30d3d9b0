"""
examples/proxies/traefik.yml, read: Traefik is not in Debian, so it is not run here, and docs/proxies.md says so.

What can be checked without it: every name leads somewhere, every way to the application is guarded or public, and what
is removed and set fits what evertoken answers.
"""

import re
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.edge.attacking import bearer
from tests.proxies.compliance import NAMES, SPELLINGS
from tests.proxies.stage import EXAMPLES
from tests.support.server import LiveServer

HTTP: Final[dict[str, Any]] = yaml.safe_load((EXAMPLES / "traefik.yml").read_text("utf-8"))["http"]
FORWARD_AUTH: Final = HTTP["middlewares"]["access-token"]["forwardAuth"]


@pytest.mark.parametrize("router", HTTP["routers"])
def test_every_name_leads_somewhere(router: str) -> None:
    """Traefik drops a router whose middleware it does not find, or worse, serves nothing in its place."""
    made = HTTP["routers"][router]
    assert set(made) <= {"rule", "priority", "entryPoints", "tls", "middlewares", "service"}
    assert made["service"] in HTTP["services"]
    assert set(made.get("middlewares", ())) <= set(HTTP["middlewares"])


def test_the_application_is_guarded_wherever_it_is_not_public() -> None:
    """The router that takes what no other takes asks evertoken, and forged names are removed before it asks."""
    to_application = {name: made for name, made in HTTP["routers"].items() if made["service"] == "application"}
    assert set(to_application) == {"application", "public"}
    assert to_application["application"]["priority"] < to_application["public"]["priority"]
    assert to_application["application"]["rule"] == "Host(`app.example.com`)"
    assert to_application["application"]["middlewares"] == ["no-forged-identity", "access-token", "no-token-behind"]
    assert to_application["public"]["middlewares"] == ["no-forged-identity"]


def test_public_places_are_those_of_the_other_examples() -> None:
    """/, /favicon.ico and /static/ are open, with the slash: not whatever begins with the same letters."""
    rule = HTTP["routers"]["public"]["rule"]
    assert re.findall(r"(Path|PathPrefix)\(`([^`]*)`\)", rule) == [
        ("Path", "/"),
        ("Path", "/favicon.ico"),
        ("PathPrefix", "/static/"),
    ]
    (odd,) = re.findall(r"&& !PathRegexp\(`([^`]*)`\)$", rule)
    for path in ("/static/..%2fapi", "/static/..%5Capi", "/static/%252e%252e/api", "/static/..\\api"):
        assert re.search(odd, path)
    assert not re.search(odd, "/static/app.js")


def test_the_question_holds_the_token_and_nothing_else() -> None:
    """No cookie, no body, and no X-Forwarded header of a stranger's goes to evertoken."""
    assert set(FORWARD_AUTH) == {"address", "authRequestHeaders", "authResponseHeadersRegex"}
    assert FORWARD_AUTH["address"].endswith("/auth/verify")
    assert FORWARD_AUTH["authRequestHeaders"] == ["Authorization"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_forged_names_are_removed_in_every_spelling(spelling: str, name: str) -> None:
    """The pattern matches each header that a framework could take for ours."""
    pattern = FORWARD_AUTH["authResponseHeadersRegex"]
    assert re.match(pattern, spelling.replace("Subject", name).replace("SUBJECT", name.upper()))


def test_the_pattern_fits_every_header_that_evertoken_answers(live: LiveServer, http: httpx2.Client) -> None:
    """What /auth/verify says of the user is set, and is removed in public places, under the same names."""
    answer = http.get("/auth/verify", headers=dict([bearer(live.sign_in(http)["access_token"])]))
    told = {name.lower() for name in answer.headers if re.match(FORWARD_AUTH["authResponseHeadersRegex"], name)}
    assert told == {f"x-auth-{name.lower()}" for name in NAMES}
    removed = HTTP["middlewares"]["no-forged-identity"]["headers"]["customRequestHeaders"]
    assert set(removed.values()) == {""}
    assert told <= {name.lower() for name in removed}
