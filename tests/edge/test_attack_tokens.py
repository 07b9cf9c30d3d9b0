"""Forged and misplaced access tokens, by their numbers in the list of attacks, against a server and a guarded app."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from joserfc import jwk, jws
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.tokens import base64url
from evertoken.tokens.csrf import mint_csrf
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import (
    Answer,
    bearer,
    forged,
    get,
    grant,
    me,
    refresh,
    request,
    send,
    sent_or_hung_up,
    signing_key,
)
from tests.guards.serving import serving
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server
from tests.tokens.forging import ABSENT, CLAIMS, part

FORBIDDEN: Final = 'Bearer realm="evertoken", error="invalid_token"'


@dataclass(frozen=True)
class Targets:
    """A server, and an application elsewhere behind `GuardMiddleware`: what a token may be shown to."""

    live: LiveServer
    app_url: str
    tokens: dict[str, Any]

    def show(self, *headers: tuple[str, str | bytes]) -> list[Answer]:
        """The answers of both to a request with these headers."""
        return [get(self.live.url, "/auth/me", *headers), get(self.app_url, "/private", *headers)]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    async def private(request: Request) -> JSONResponse:
        return JSONResponse({"sub": request.scope[CLAIMS_KEY].sub})

    with live_server(tmp_path_factory.mktemp("tokens"), clock=MovingClock()) as live:
        live.add_user("ada")
        app = GuardMiddleware(Starlette(routes=[Route("/private", private)]), live.server.guard, clock=live.clock)
        with serving(app) as app_url, live.client() as client:
            yield Targets(live, app_url, live.sign_in(client))


def refused(answer: Answer, *, status: int = 401, code: str = "token_invalid") -> None:
    """Assert that an answer is a refusal as RFC 6750 §3 wants it, and tells nothing more."""
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.one("Cache-Control") == "no-store"
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("WWW-Authenticate").startswith('Bearer realm="evertoken"')
    assert not answer.all("Set-Cookie")


def _unsigned(live: LiveServer) -> Iterator[str]:
    key = signing_key(live)
    for alg in ("none", "None", "NONE", "nOnE"):
        unsigned = f"{part({'alg': alg, 'kid': key.kid, 'typ': 'at+jwt'})}.{part(CLAIMS.to_payload())}"
        yield from (unsigned, unsigned + ".")


def _public_key_as_secret(live: LiveServer) -> Iterator[str]:
    key = signing_key(live)
    public = load_der_private_key(key.to_private_bytes(), None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = json.dumps(key.public_jwk()).encode()
    model = jws.JWSRegistry(algorithms=["HS256"]).get_alg("HS256")
    signing_input = forged(live, header={"alg": "HS256"}).rpartition(".")[0]
    for secret in (pem, pem.rstrip(b"\n"), der, text, text + b"\n"):
        yield f"{signing_input}.{base64url.encode(model.sign(signing_input.encode(), jwk.OctKey(secret, secret)))}"


def _signatures(live: LiveServer) -> Iterator[str]:
    signing_input, _, text = forged(live).rpartition(".")
    raw = base64url.decode(text)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    wrong = [b"", bytes(64), encode_dss_signature(r, s), raw + b"\0", raw[:-1], bytes(256)]
    wrong += [a.to_bytes(32, "big") + b.to_bytes(32, "big") for a in (0, order) for b in (0, order, s)]
    for signature in wrong:
        yield f"{signing_input}.{base64url.encode(signature)}"


def _spellings(live: LiveServer) -> Iterator[str]:
    parts = forged(live).split(".")
    for at, text in enumerate(parts):
        stray = text[:-1] + chr(ord(text[-1]) + 1)
        for other in (text + "=", text[:4] + "\t" + text[4:], text + "+/", stray):
            yield ".".join([*parts[:at], other, *parts[at + 1 :]])


def _other_shapes(live: LiveServer) -> Iterator[str]:
    token = forged(live)
    protected, payload, signature = token.split(".")
    yield json.dumps({"protected": protected, "payload": payload, "signature": signature}, separators=(",", ":"))
    yield f"{protected}.{payload}"
    yield token + ".AAAA"
    yield token + ".AAAA.AAAA"
    yield f"{part({'alg': 'RSA-OAEP', 'enc': 'A128GCM'})}.AAAA.AAAA.AAAA.AAAA"


def _repeated(live: LiveServer) -> Iterator[str]:
    key = signing_key(live)
    yield forged(live, header=f'{{"alg":"none","alg":"ES256","kid":"{key.kid}","typ":"at+jwt"}}'.encode())
    honest = base64url.decode(forged(live).split(".")[1])
    yield forged(live, payload=b'{"sub":"root",' + honest[1:])


def _payloads(live: LiveServer) -> Iterator[str]:
    deep = b"[" * 2500 + b"]" * 2500
    for payload in (b"", b"[]", b'"x"', b"\xef\xbb\xbf{}", b"{}{}", b'{"sub":"\xff"}', b'{"a":' + deep + b"}", deep):
        yield forged(live, payload=payload)
    for subject in ("a\0b", "\ud800", 7, None, ["u_ada"], {"id": "u_ada"}, ""):
        yield forged(live, payload={"sub": subject})


def _dates(live: LiveServer) -> Iterator[str]:
    now = live.clock() // 1000
    honest = base64url.decode(forged(live, payload={"exp": "?"}).split(".")[1])
    for raw in (b"NaN", b"Infinity", b"1e400", b"9" * 5000):
        yield forged(live, payload=honest.replace(b'"?"', raw))
    for value in ("9999999999", True, None, [now + 9], ABSENT):
        yield forged(live, payload={"exp": value})
    yield forged(live, payload={"nbf": now + 61})
    yield forged(live, payload={"iat": now + 61})


def _headers(*members: Any) -> Callable[[LiveServer], Iterator[str]]:
    return lambda live: (forged(live, header=member) for member in members)


def _claims(*claims: Any) -> Callable[[LiveServer], Iterator[str]]:
    return lambda live: (forged(live, payload=claim(live) if callable(claim) else claim) for claim in claims)


def _strangers_key(live: LiveServer) -> Iterator[str]:
    theirs = SigningKey.generate(Algorithm.ES256)
    kid = signing_key(live).kid
    for header in ({"kid": kid}, {"kid": kid, "jwk": theirs.public_jwk()}, {"kid": kid, "x5c": ["MIIB"]}):
        yield forged(live, key=theirs, header=header)


def _our_other_tokens(live: LiveServer) -> Iterator[str]:
    with live.client() as client:
        yield live.sign_in(client)["refresh_token"]
    yield mint_csrf(bytes(16), live.server.services.secrets)
    yield forged(live, header={"typ": "JWT"}, payload={"aud": "evertoken", "nonce": "n"})


FORGERIES: Final[dict[str, Callable[[LiveServer], Iterator[str]]]] = {
    "1 no signature": _unsigned,
    "2 public key as HMAC key": _public_key_as_secret,
    "3 and 15 degenerate signatures": _signatures,
    "4 and 5 other algorithms": _headers(
        *({"alg": alg} for alg in ("PS256", "EdDSA", "HS256", "es256", ["ES256"], 256, None, ABSENT))
    ),
    "6 and 7 odd and unknown kids": _headers(
        *(
            {"kid": kid}
            for kid in ("../../dev/null", "' UNION SELECT 'k", "|sleep 10", "k" * 5000, "x", 1, None, ["a"], ABSENT)
        )
    ),
    "9 keys that come along": _strangers_key,
    "10 extensions": _headers({"crit": ["exp"], "exp": 1}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"zip": "D"}),
    "11 repeated members": _repeated,
    "12 and 13 other shapes": _other_shapes,
    "14 other spellings": _spellings,
    "17 and 18 and 27 odd payloads": _payloads,
    "20 and 21 odd dates": _dates,
    "22 other audiences": _claims(
        *({"aud": aud} for aud in ("", "http://localhost", [], 1, ["other"], ABSENT)),
        lambda live: {"aud": live.url + "/"},
        lambda live: {"aud": [[live.url]]},
    ),
    "23 other issuers": _claims(
        {"iss": "https://evil.example"},
        lambda live: {"iss": live.url + "/"},
        lambda live: {"iss": live.url.upper()},
        lambda live: {"iss": [live.url]},
    ),
    "24 other types": _headers(*({"typ": typ} for typ in ("JWT", "dpop+jwt", "logout+jwt", None, ABSENT))),
    "25 our other tokens": _our_other_tokens,
    "28 rights of other types": _claims({"scope": ["read"]}, {"roles": "admin"}, {"roles": {"admin": 1}}),
    "33 bound to a key": _claims({"cnf": {"jkt": "AAAA"}}),
}


@pytest.mark.parametrize("attack", FORGERIES)
def test_a_forged_token_is_refused(targets: Targets, attack: str) -> None:
    """Whatever is wrong with an access token, the answer is 401 invalid_token, quickly, and says no more."""
    for token in FORGERIES[attack](targets.live):
        began = time.monotonic()
        for answer in targets.show(bearer(token)):
            refused(answer)
            assert answer.one("WWW-Authenticate") == FORBIDDEN
        assert time.monotonic() - began < 10


def test_a_genuine_token_is_taken_in_both_spellings_of_its_type(targets: Targets) -> None:
    """The counter-proof: the same forge makes good tokens, `application/at+jwt` and lower-case `bearer` included."""
    for token in (forged(targets.live), forged(targets.live, header={"typ": "application/at+jwt"})):
        for scheme in ("Bearer", "bearer", "BEARER"):
            answers = targets.show(("Authorization", f"{scheme} {token}"))
            assert [answer.status for answer in answers] == [200, 200]


def test_only_a_token_that_was_good_once_is_called_expired(targets: Targets) -> None:
    """`token_expired` is said of a genuine token whose time has come, at `exp` itself already, and of no forgery."""
    live = targets.live
    now = live.clock() // 1000
    for exp in (now, now - 1, 0, -1):
        for answer in targets.show(bearer(forged(live, payload={"exp": exp}))):
            refused(answer, code="token_expired")
            assert 'error="invalid_token"' in answer.one("WWW-Authenticate")
    strangers = SigningKey.generate(Algorithm.ES256)
    for token in (
        forged(live, key=strangers, header={"kid": signing_key(live).kid}, payload={"exp": now - 1}),
        forged(live, payload={"exp": now - 1, "aud": "other"}),
    ):
        for answer in targets.show(bearer(token)):
            refused(answer)


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_a_key_elsewhere_is_never_fetched(targets: Targets, name: str) -> None:
    """Attack 8: a token that says where its key lies makes the server connect to nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        for answer in targets.show(bearer(forged(targets.live, header={name: url}))):
            refused(answer)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_thousand_unknown_keys_cost_no_time(targets: Targets) -> None:
    """Attack 7: an unknown kid is looked up in memory; a thousand of them keep nobody waiting."""
    token = forged(targets.live, header={"kid": "unknown"})
    raw = request("GET", "/auth/me", bearer(token))
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(targets.live.url.rpartition(":")[2])), timeout=10) as connection:
        for _ in range(50):
            connection.sendall(raw * 20)
            received = b""
            while received.count(b"HTTP/1.1 401") < 20:
                received += connection.recv(65536)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("size", "statuses"), [(9_000, {401}), (100_000, {431}), (1_000_000, {431})])
def test_an_endless_token_is_refused_in_bounded_time(targets: Targets, size: int, statuses: set[int]) -> None:
    """Attack 19: too long a token is refused by its length, and too long a header before it has been read."""
    began = time.monotonic()
    answer = sent_or_hung_up(targets.live.url, request("GET", "/auth/me", bearer("A" * size)))
    assert answer is None or answer.status in statuses
    assert time.monotonic() - began < 10


def test_a_token_of_a_retired_key_is_refused(live: LiveServer) -> None:
    """Attack 26: once the last honest token of an old key has expired, whatever it signed is worth nothing."""
    old = signing_key(live)
    live.run(live.server.services.keys.rotate(now_ms=live.clock(), announce_ms=0))
    live.clock.advance(1)
    far = {"exp": live.clock() // 1000 + 10**6}
    assert me(live, forged(live, key=old, payload=far)).status == 200
    live.clock.advance(1800 + 61)
    refused(me(live, forged(live, key=old, payload=far)))
    assert me(live, forged(live)).status == 200


def test_an_access_token_renews_nothing(targets: Targets) -> None:
    """Attack 25: presented as a refresh token, an access token is none."""
    answer = refresh(targets.live, targets.tokens["access_token"])
    assert (answer.status, answer.code) == (401, "token_invalid")
    answer = grant(targets.live, targets.tokens["access_token"])
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


def test_a_token_in_the_url_is_not_looked_at(targets: Targets) -> None:
    """Attack 29: `?access_token=` opens nothing, and the challenge is the one for no token at all."""
    token = targets.tokens["access_token"]
    for url, path in ((targets.live.url, "/auth/me"), (targets.app_url, "/private")):
        answer = get(url, f"{path}?access_token={token}")
        refused(answer)
        assert answer.one("WWW-Authenticate") == 'Bearer realm="evertoken"'
        assert token.encode() not in answer.body


def test_a_token_in_two_places_is_a_bad_request(targets: Targets) -> None:
    """Attack 30: two headers, or a header and the URL: RFC 6750 §3.1 calls that an invalid request."""
    header = bearer(targets.tokens["access_token"])
    for answer in targets.show(header, header):
        refused(answer, status=400, code="invalid_request")
        assert 'error="invalid_request"' in answer.one("WWW-Authenticate")
    for url, path in ((targets.live.url, "/auth/me"), (targets.app_url, "/private")):
        refused(get(url, f"{path}?a=1&access_token=x", header), status=400, code="invalid_request")
        assert get(url, f"{path}?my_access_token=x&access_tokens=1", header).status == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b", "Bearer  ", b"Bearer \xe4\xf6", b"Bearer \xff"])
def test_a_header_that_is_not_one_token_is_a_bad_request(targets: Targets, value: str | bytes) -> None:
    """Attacks 31 and 32: no token, two of them, or bytes that no token has."""
    for answer in targets.show(("Authorization", value)):
        refused(answer, status=400, code="invalid_request")


@pytest.mark.parametrize("value", ["Basic YWRhOng=", "DPoP abc", "Token abc", "", "Bearerabc"])
def test_another_scheme_brings_no_token(targets: Targets, value: str) -> None:
    """Attack 31: the challenge names Bearer, without an error code, as to somebody who brought nothing."""
    for answer in targets.show(("Authorization", value)):
        refused(answer)
        assert answer.one("WWW-Authenticate") == 'Bearer realm="evertoken"'


@pytest.mark.parametrize(
    "value",
    [b'x"\r\nSet-Cookie: a=b', b"x\nSet-Cookie: a=b", b"x\rSet-Cookie: a=b", b"x\0y", b'x",scope="admin', b"x\x0b\x7f"],
)
def test_nothing_of_a_token_reaches_the_answers_headers(targets: Targets, value: bytes) -> None:
    """Attack 32: line breaks, quotes and NUL in a token split no header and are never repeated."""
    for url, path in ((targets.live.url, "/auth/me"), (targets.app_url, "/private")):
        answer = send(url, request("GET", path, ("Authorization", b"Bearer " + value)))
        assert answer.status in {400, 401}
        assert not answer.all("Set-Cookie")
        assert "scope" not in "".join(answer.all("WWW-Authenticate"))


def test_a_good_token_is_of_no_use_to_whoever_changes_one_character(targets: Targets) -> None:
    """The signature covers every character: no other text is the same token."""
    token: str = targets.tokens["access_token"]
    assert me(targets.live, token).json()["preferred_username"] == "ada"
    assert PASSWORD not in token
    for at in range(0, len(token), 17):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for answer in targets.show(bearer(other)):
            refused(answer)
