"""How a token comes: once, in the Authorization header. Attacks 29 to 32, and whatever else a header can hold."""

import random
from typing import Final

import pytest

from tests.edge.attacking import bearer, request, send, sent_or_hung_up
from tests.frameworks.compliance.bench import HANDLED
from tests.frameworks.compliance.stand import MISUSED, NO_TOKEN, Stand, Standing, refused

_FIELD: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What a header may hold (RFC 9110 §5.5): of anything else an HTTP server keeps the guard in peace."""
_ASCII: Final = bytes(range(0x21, 0x7F))


class Transport(Standing):
    def test_a_token_in_the_url_is_not_looked_at(self, stand: Stand) -> None:
        """Attack 29: `?access_token=` opens nothing, and the challenge is the one for no token at all."""
        token = stand.token()
        answer = stand.get(f"/guarded?access_token={token}")
        refused(answer, challenge=NO_TOKEN)
        assert token.encode() not in answer.body

    def test_a_token_in_a_body_is_not_looked_at(self, stand: Stand) -> None:
        """Attack 30: a form that holds a token opens nothing."""
        form = ("Content-Type", "application/x-www-form-urlencoded")
        raw = request("POST", "/guarded", form, body=f"access_token={stand.token()}")
        refused(send(stand.url, raw), challenge=NO_TOKEN)

    def test_a_token_in_a_cookie_or_another_header_is_not_looked_at(self, stand: Stand) -> None:
        """A token in a cookie would be sent by any page; one in another header is none of RFC 6750's."""
        token = stand.token()
        for name, value in (
            ("Cookie", f"access_token={token}; Authorization=Bearer {token}"),
            ("X-Authorization", f"Bearer {token}"),
            ("Proxy-Authorization", f"Bearer {token}"),
            ("X-Access-Token", token),
        ):
            refused(stand.get("/guarded", (name, value)), challenge=NO_TOKEN)

    def test_two_headers_are_a_bad_request(self, stand: Stand) -> None:
        """Attack 30: two Authorization headers, good or bad, equal or not; which one holds is nobody's guess."""
        good, bad, basic = bearer(stand.token()), bearer("x"), ("Authorization", "Basic YWRhOng=")
        before = stand.stage.reached
        for first, second in ((good, good), (good, bad), (bad, good), (good, basic), (basic, good)):
            answer = stand.get("/guarded", first, second)
            # WSGI hands an application both as one, joined by a comma: what begins with Basic is no Bearer there.
            if first is basic and answer.status == 401:
                refused(answer, challenge=NO_TOKEN)
            else:
                refused(answer, status=400, challenge=MISUSED)
        assert stand.stage.reached == before

    def test_a_header_and_the_url_are_a_bad_request(self, stand: Stand) -> None:
        """Attack 30: a token in two places is an invalid request; names that only look like it pass."""
        header = bearer(stand.token())
        refused(stand.get("/guarded?a=1&access_token=x", header), status=400, challenge=MISUSED)
        assert stand.get("/guarded?my_access_token=x&access_tokens=1", header).status == 200

    @pytest.mark.parametrize(
        "value",
        ["Bearer", "Bearer ", "Bearer a b", "Bearer  ", b"Bearer \xe4\xf6", b"Bearer \xff", b"Bearer x\xc3\xa4"],
    )
    def test_a_header_that_is_not_one_token_is_a_bad_request(self, stand: Stand, value: str | bytes) -> None:
        """Attacks 31 and 32: no token, two of them, or bytes that no token has."""
        refused(stand.get("/guarded", ("Authorization", value)), status=400, challenge=MISUSED)

    @pytest.mark.parametrize("value", ["Basic YWRhOng=", "DPoP abc", "Token abc", "", "Bearerabc", "Negotiate", ","])
    def test_another_scheme_brings_no_token(self, stand: Stand, value: str) -> None:
        """Attack 31: the challenge names Bearer, without an error code, as to somebody who brought nothing."""
        refused(stand.get("/guarded", ("Authorization", value)), challenge=NO_TOKEN)

    def test_a_good_token_under_another_scheme_brings_nothing(self, stand: Stand) -> None:
        """Attack 33: `DPoP` or `Token` before a good bearer token is another thing."""
        for scheme in ("DPoP", "Token", "Basic", "JWT"):
            refused(stand.get("/guarded", ("Authorization", f"{scheme} {stand.token()}")), challenge=NO_TOKEN)

    @pytest.mark.parametrize(
        "value",
        [
            b'x"\r\nSet-Cookie: a=b',
            b"x\nSet-Cookie: a=b",
            b"x\rSet-Cookie: a=b",
            b"x\0y",
            b'x",scope="admin',
            b"x\x0b\x7f",
        ],
    )
    def test_nothing_of_a_token_reaches_the_answers_headers(self, stand: Stand, value: bytes) -> None:
        """Attack 32: line breaks, quotes and NUL in a token split no header and are never repeated."""
        answer = send(stand.url, request("GET", "/guarded", ("Authorization", b"Bearer " + value)))
        assert answer.status in {400, 401}
        assert not answer.all("Set-Cookie")
        assert "scope" not in "".join(answer.all("WWW-Authenticate"))

    def test_no_header_whatever_it_holds_is_a_fault_of_ours(self, stand: Stand) -> None:
        """Three hundred random headers: each is answered 400 or 401, none runs the route or fails in it."""
        chance, before = random.Random(20261121), stand.stage.reached
        for _ in range(300):
            prefix = chance.choice(
                (b"Bearer ", b"bearer ", b"Bearer", b"", b"Bearer ey", b"Bearer a.b.", b"Bearer ..", b"Basic ")
            )
            value = prefix + bytes(chance.choices(_FIELD if chance.random() < 0.5 else _ASCII, k=chance.randrange(60)))
            answer = sent_or_hung_up(stand.url, request("GET", "/guarded", ("Authorization", value)))
            assert answer is not None
            assert answer.status in {400, 401}, value
            assert answer.status != HANDLED
        assert stand.stage.reached == before
