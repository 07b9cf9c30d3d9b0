"""Whoever holds a good token passes, with typed claims; what is public, preflights and pages elsewhere work."""

from concurrent.futures import ThreadPoolExecutor

from tests.edge.attacking import bearer
from tests.frameworks.compliance.bench import HANDLED, PAGE
from tests.frameworks.compliance.stand import INVALID, NO_TOKEN, Stand, Standing, refused

_PREFLIGHT = (
    ("Origin", PAGE),
    ("Access-Control-Request-Method", "GET"),
    ("Access-Control-Request-Headers", "authorization"),
)


class Passing(Standing):
    def test_an_open_route_needs_no_token(self, stand: Stand) -> None:
        """A route that is not guarded is anybody's."""
        answer = stand.get("/open")
        assert (answer.status, answer.json()) == (200, {"open": True})

    def test_without_a_token_the_answer_is_a_bare_challenge(self, stand: Stand) -> None:
        """Who brings no token is told how to bring one, without an error code, and the route is not run."""
        before = stand.stage.reached
        for path in ("/guarded", "/admin", "/scoped", "/failing"):
            refused(stand.get(path), challenge=NO_TOKEN)
        assert stand.stage.reached == before

    def test_a_good_token_reaches_the_route_with_its_claims(self, stand: Stand) -> None:
        """The route is handed the claims of the token, typed; the first time and every time after it."""
        token = stand.token(roles=["editor", "author"], scope="read write", jti="t-7", sid="s-7")
        for _ in range(3):
            answer = stand.show(token)
            assert answer.status == 200, answer
            claims = answer.json()
            assert (claims["sub"], claims["sid"], claims["jti"]) == ("u_ada", "s-7", "t-7")
            assert (claims["roles"], claims["scope"]) == (["editor", "author"], ["read", "write"])

    def test_the_applications_own_claims_arrive(self, stand: Stand) -> None:
        """What a claims hook has put into the token stands in `extra`, whatever its shape; names are at hand."""
        assert stand.show(stand.token(tenant="acme", plan={"seats": [1, 2]})).json()["extra"] == {
            "tenant": "acme",
            "plan": {"seats": [1, 2]},
        }
        answer = stand.show(stand.sign_in()["access_token"]).json()
        assert answer["extra"]["preferred_username"] == "ada"
        assert answer["roles"] == ["editor"]

    def test_every_spelling_of_the_scheme_and_the_type_is_taken(self, stand: Stand) -> None:
        """`bearer` in any case, several spaces after it and `application/at+jwt` are as good."""
        token = stand.token()
        for value in (f"Bearer {token}", f"bearer {token}", f"BEARER {token}", f"Bearer   {token}"):
            assert stand.get("/guarded", ("Authorization", value)).status == 200
            assert stand.get("/guarded", ("authorization", value)).status == 200

    def test_requests_at_the_same_time_get_their_own_claims(self, stand: Stand) -> None:
        """A hundred and twenty requests of twelve people, eight at a time: nobody is ever handed another's claims."""
        tokens = {f"u-{n}": stand.token(sub=f"u-{n}", jti=f"j-{n}") for n in range(12)}
        asked = [name for _ in range(10) for name in tokens]
        with ThreadPoolExecutor(8) as pool:
            answered = list(pool.map(lambda name: stand.show(tokens[name]).json()["sub"], asked))
        assert answered == asked

    def test_every_method_is_guarded(self, stand: Stand) -> None:
        """No method is a way round the guard: without a token none of them runs the route."""
        before = stand.stage.reached
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            for header in ((), (bearer("x"),)):
                assert stand.ask(method, "/guarded", *header).status in {200, 204, 401, 405, HANDLED}, method
        assert stand.stage.reached == before
        refused(stand.ask("POST", "/guarded"), challenge=NO_TOKEN)
        refused(stand.ask("POST", "/guarded", bearer("x")))
        assert stand.ask("POST", "/guarded", bearer(stand.token())).status == 200

    def test_head_is_answered_as_get_is(self, stand: Stand) -> None:
        """HEAD has the status and the challenge of the GET, and no body."""
        if not self.bench.answers_head:
            return
        answer = stand.ask("HEAD", "/guarded", bearer(stand.token()))
        assert (answer.status, answer.body) == (200, b"")
        answer = stand.ask("HEAD", "/guarded", bearer("x"))
        assert (answer.status, answer.body, answer.one("WWW-Authenticate")) == (401, b"", INVALID)

    def test_a_preflight_needs_no_token(self, stand: Stand) -> None:
        """Browsers send preflights without a token: they are let through, and run no guarded route."""
        before = stand.stage.reached
        answer = stand.ask("OPTIONS", "/guarded", *_PREFLIGHT)
        assert answer.status in {200, 204}
        assert answer.one("Access-Control-Allow-Origin") == PAGE
        assert "authorization" in answer.one("Access-Control-Allow-Headers").lower()
        assert stand.stage.reached == before

    def test_a_page_elsewhere_can_read_why_it_was_refused(self, stand: Stand) -> None:
        """A refusal passes through the application's CORS like any other answer: the page sees status and challenge."""
        answer = stand.get("/guarded", ("Origin", PAGE), bearer("x"))
        refused(answer)
        assert answer.one("Access-Control-Allow-Origin") == PAGE
        assert "www-authenticate" in answer.one("Access-Control-Expose-Headers").lower()

    def test_the_applications_own_errors_stay_its_own(self, stand: Stand) -> None:
        """What a guarded route raises is handled by the application's own handlers, as if there were no guard."""
        answer = stand.show(stand.token(), "/failing")
        assert (answer.status, answer.json()) == (HANDLED, {"handled": True})
        assert not answer.all("WWW-Authenticate")
