"""oauth4webapi and openid-client: libraries for JavaScript; an application around each renews at the 401."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.oauth_clients.node import NodeError, NodeProgram, node_program
from tests.oauth_clients.stage import API, APP, INACTIVE, Stage

METHODS = ["client_secret_basic", "client_secret_post"]


@pytest.fixture(scope="module", params=["oauth4webapi", "openid-client"])
def program(request: pytest.FixtureRequest) -> Iterator[NodeProgram]:
    """The application on one of the libraries, not yet connected."""
    with node_program(f"{request.param.replace('-', '_')}.mjs", library=request.param) as running:
        yield running


@pytest.fixture
def app(program: NodeProgram, stage: Stage) -> NodeProgram:
    """The application, holding ada's tokens."""
    program.ask("connect", issuer=stage.issuer, client_id=APP, tokens=stage.tokens)
    return program


def connect_api(program: NodeProgram, stage: Stage, *, method: str, secret: str) -> None:
    """Let the program be the confidential client; it holds ada's tokens all the same."""
    program.ask("connect", issuer=stage.issuer, client_id=API, method=method, secret=secret, tokens=stage.tokens)


@pytest.mark.parametrize("algorithm", ["oauth2", "oidc"])
def test_a_javascript_library_discovers_the_server_under_either_name(
    program: NodeProgram, stage: Stage, algorithm: str
) -> None:
    """Each library finds every endpoint from the issuer alone, by the OAuth and by the OpenID Connect address."""
    metadata = program.ask("connect", issuer=stage.issuer, algorithm=algorithm, client_id=APP)
    assert metadata["issuer"] == stage.issuer
    assert metadata["token_endpoint"] == stage.token_url


@pytest.mark.parametrize("algorithm", ["oauth2", "oidc"])
def test_a_javascript_library_refuses_metadata_of_another_issuer(
    program: NodeProgram, stage: Stage, algorithm: str
) -> None:
    """Asked for under another name than its issuer, the server is no longer who either library expects."""
    elsewhere = stage.issuer.replace("localhost", "127.0.0.1")
    with pytest.raises(NodeError) as caught:
        program.ask("connect", issuer=elsewhere, algorithm=algorithm, client_id=APP)
    assert caught.value.code == "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"


def test_a_javascript_library_renews_after_a_401_and_reads_on(app: NodeProgram, stage: Stage) -> None:
    """An application reads with an expired token, renews at the 401 and keeps the rotated token."""
    stage.expire()
    answer = app.ask("read", url=stage.me_url)
    assert (answer["status"], answer["body"]["preferred_username"]) == (200, "ada")
    held = app.ask("held")
    assert held["refresh_token"] != stage.tokens["refresh_token"]
    assert (held["session_id"], held["expires_in"]) == (stage.tokens["session_id"], 1800)
    assert held["token_type"] == "bearer"  # the library writes it small


def test_a_javascript_library_goes_on_for_days_with_each_rotated_token(app: NodeProgram, stage: Stage) -> None:
    """A session is renewed again and again, each time with the token of the last answer."""
    seen = {stage.tokens["refresh_token"]}
    for _ in range(10):
        stage.live.clock.advance(86_400)
        seen.add(app.ask("refresh")["refresh_token"])
    assert len(seen) == 11
    assert app.ask("read", url=stage.me_url)["status"] == 200


def test_a_javascript_library_keeps_its_refresh_token_where_the_answer_has_none(app: NodeProgram, stage: Stage) -> None:
    """An answer without a refresh token means keep yours; laid over the old tokens, either library's does that."""
    young = app.ask("refresh")
    again = app.ask("refresh")
    assert again["refresh_token"] == young["refresh_token"]
    assert again["access_token"] != young["access_token"]
    stage.expire()
    assert app.ask("refresh")["refresh_token"] != young["refresh_token"]


def test_a_javascript_library_does_not_take_a_late_duplicate_for_the_end(app: NodeProgram, stage: Stage) -> None:
    """A superseded refresh token makes either library throw an error that is no OAuth refusal and has Retry-After."""
    newest = stage.overtake()
    with pytest.raises(NodeError) as caught:
        app.ask("refresh")
    assert caught.value.name in {"OperationProcessingError", "ClientError"}  # each library has its own name for it
    assert caught.value.code == "OAUTH_RESPONSE_IS_NOT_CONFORM"
    assert (caught.value.status, caught.value.retry_after, caught.value.error) == (503, "60", None)
    assert app.ask("held")["refresh_token"] == stage.tokens["refresh_token"]
    app.ask("connect", issuer=stage.issuer, client_id=APP, tokens=newest)
    app.ask("refresh")
    assert app.ask("read", url=stage.me_url)["status"] == 200


def test_a_javascript_library_reports_invalid_grant_when_the_session_is_over(app: NodeProgram, stage: Stage) -> None:
    """Once the person has signed out, either library throws ResponseBodyError with the error invalid_grant."""
    stage.sign_out()
    with pytest.raises(NodeError) as caught:
        app.ask("read", url=stage.me_url)
    assert (caught.value.name, caught.value.error, caught.value.status) == ("ResponseBodyError", "invalid_grant", 400)


def test_a_javascript_library_is_refused_a_scope_that_nobody_granted(app: NodeProgram, stage: Stage) -> None:
    """A session without scopes cannot grow one by a refresh, and the refusal costs it nothing."""
    with pytest.raises(NodeError) as caught:
        app.ask("refresh", parameters={"scope": "admin"})
    assert caught.value.error == "invalid_scope"
    assert app.ask("refresh")["session_id"] == stage.tokens["session_id"]


@pytest.mark.parametrize("method", METHODS)
def test_a_javascript_library_introspects_tokens_as_a_confidential_client(
    program: NodeProgram, stage: Stage, method: str
) -> None:
    """Either library authenticates both ways and learns whose a token is; of an ended session it learns nothing."""
    connect_api(program, stage, method=method, secret=stage.add_confidential_client())

    def introspect(kind: str) -> Any:
        return program.ask("introspect", token=stage.tokens[kind], parameters={"token_type_hint": kind})

    for kind in ("access_token", "refresh_token"):
        told = introspect(kind)
        assert (told["active"], told["sub"], told["client_id"]) == (True, "u_ada", APP)
    stage.sign_out()
    for kind in ("access_token", "refresh_token"):
        assert introspect(kind) == INACTIVE
    assert program.ask("introspect", token="unknown") == INACTIVE


@pytest.mark.parametrize("action", ["refresh", "revoke", "introspect"])
@pytest.mark.parametrize("method", METHODS)
def test_a_javascript_library_with_a_wrong_secret_meets_a_challenge(
    program: NodeProgram, stage: Stage, method: str, action: str
) -> None:
    """A confidential client with a wrong secret gets the 401 as WWWAuthenticateChallengeError from either library."""
    stage.add_confidential_client()
    connect_api(program, stage, method=method, secret="wrong")
    with pytest.raises(NodeError) as caught:
        program.ask(action, token=stage.tokens["access_token"])
    assert (caught.value.name, caught.value.status) == ("WWWAuthenticateChallengeError", 401)
    assert caught.value.challenge == 'Basic realm="evertoken"'
    assert stage.is_good(stage.tokens["access_token"])


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_a_javascript_library_revokes_a_session_by_either_token(app: NodeProgram, stage: Stage, kind: str) -> None:
    """Either library's revocation ends the session whichever of its tokens is sent; an unknown token is no error."""
    app.ask("revoke", token="unknown")
    assert stage.is_good(stage.tokens["access_token"])
    app.ask("revoke", token=stage.tokens[kind], parameters={"token_type_hint": kind})
    assert not stage.is_good(stage.tokens["access_token"])
    with pytest.raises(NodeError) as caught:
        app.ask("refresh")
    assert caught.value.error == "invalid_grant"
