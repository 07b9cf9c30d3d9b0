"""Home-made APIs, described by a Dialect: a bare token in a header, and codes in bodies."""

import dataclasses
from typing import Any, ClassVar

import pytest

from evertoken.client import AccessTokenPlace, AuthCall, Dialect, Match, TokenPlace, TokenPointers
from evertoken.errors import SignedOut
from evertoken.testing import Answer, Refusal, Request
from tests.adapters.benches.bench import Ask
from tests.adapters.compliance.stage import Stage
from tests.adapters.serving import Api

DIALECT = Dialect(
    access_token=AccessTokenPlace(header="token", scheme=None),
    login=AuthCall(url="/login"),
    refresh=AuthCall(url="/token/refresh", token=TokenPlace("query", "refreshToken")),
    logout=None,
    tokens=TokenPointers(
        access_token="/data/accessToken",
        refresh_token="/data/refreshToken",
        expires_in=None,
        refresh_token_expires_in=None,
        session_id=None,
    ),
    expired=(Match(status=400, body={"/code": (401,)}),),
    over=(Match(status=400, body={"/code": (402,)}),),
    refresh_over=(),
)
BY_HEADER = dataclasses.replace(
    DIALECT, refresh=AuthCall(url="/token/refresh", method="GET", token=TokenPlace("header", "refresh-token"))
)
ALWAYS_200 = dataclasses.replace(
    DIALECT, expired=(Match(status=200, body={"/code": (401,)}),), over=(Match(status=200, body={"/code": (402,)}),)
)


class HomeMadeApi(Api):
    """
    Says what is wrong by a code in the body.

    `status` and `as_text` say how; `over` makes every resource answer that the session has ended.
    """

    status: ClassVar[int] = 400
    as_text: ClassVar[bool] = False
    over = False

    def read_refresh(self, request: Request) -> str | None:
        if request.path != "/token/refresh":
            return None
        return request.query.get("refreshToken") or request.header("refresh-token") or ""

    def render_tokens(self, pair: dict[str, Any]) -> Answer:
        data = {"accessToken": pair["access_token"]}
        if "refresh_token" in pair:
            data["refreshToken"] = pair["refresh_token"]
        return Answer.json(200, {"code": 0, "data": data})

    def render_refused(self, refusal: Refusal) -> Answer:
        if refusal.kind == "access":
            return self._said(401)
        return self._said(402) if refusal.kind == "refresh" else super().render_refused(refusal)

    def answer_resource(self, request: Request, subject: str) -> Answer:
        return self._said(402) if self.over else super().answer_resource(request, subject)

    def _said(self, code: int) -> Answer:
        return Answer.json(self.status, {"code": str(code) if self.as_text else code, "msg": "no"})


class TextApi(HomeMadeApi):
    """Writes its numbers as text."""

    as_text = True


class AlwaysOkApi(HomeMadeApi):
    """Says 200 to everything."""

    status = 200


apis = pytest.mark.parametrize(
    ("server", "dialect"),
    [(HomeMadeApi, DIALECT), (TextApi, BY_HEADER), (AlwaysOkApi, ALWAYS_200)],
    ids=["number, by query", "text, by header", "always 200"],
)


class HomeMade(Stage):
    @apis
    def test_a_code_that_says_expired_renews_once_for_all(self, playing: Any, server: Any, dialect: Any) -> None:
        """`{"code": 401}` in an answer of whatever status is a token to renew, once for all requests of the moment."""
        with playing(server=server, dialect=dialect, rotation="strict") as play:
            play.expire("by the server")
            pending = [play.client.start(Ask(play.at("/item"))) for _ in range(20)]
            assert play.client.statuses(pending) == [200] * 20
            assert {each.result().members["subject"] for each in pending} == {"ada"}
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])
            assert play.api.seen_at("/item")[-1].header("token").startswith("fake_")

    @apis
    def test_a_code_that_says_over_signs_out_once_without_a_refresh(
        self, playing: Any, server: Any, dialect: Any
    ) -> None:
        """`{"code": 402}` from a resource ends the session for all who wait, once, and asks for no refresh."""
        with playing(server=server, dialect=dialect, rotation="strict") as play:
            play.api.over = True
            failures = play.client.failures([play.client.start(Ask(play.at("/item"))) for _ in range(10)])
            assert {type(error) for error in failures} == {SignedOut}
            assert len(failures) == 10
            with pytest.raises(SignedOut):
                play.client.get(play.at("/item"))
            assert play.api.refresh_count == 0
            assert play.ends == ["unknown"]
            assert not play.session.is_signed_in()

    @apis
    def test_a_refresh_that_is_refused_signs_out_once(self, playing: Any, server: Any, dialect: Any) -> None:
        """The same code as the answer to a refresh ends the session too."""
        with playing(server=server, dialect=dialect, rotation="strict") as play:
            play.api.end_sessions()
            failures = play.client.failures([play.client.start(Ask(play.at("/item"))) for _ in range(10)])
            assert [type(error) for error in failures] == [SignedOut] * 10
            assert play.api.refresh_count == 1
            assert play.ends == ["unknown"]

    @apis
    def test_any_other_code_is_the_applications(self, playing: Any, server: Any, dialect: Any) -> None:
        """Codes that the dialect does not name, and 401 itself, pass through."""
        with playing(server=server, dialect=dialect) as play:
            assert play.client.get(play.at("/status/401")).status == 401
            assert play.client.get(play.at("/status/400")).members == {"detail": "of the application"}
            assert play.api.refresh_count == 0
