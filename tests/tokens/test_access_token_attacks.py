"""The forgeries of SECURITY.md, by their numbers there: 1 to 19, which a guard refuses for what they are."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from joserfc import jwk, jws

from evertoken.errors import MalformedToken, TokenError
from evertoken.tokens import access_token, base64url
from evertoken.tokens.keyring import KeyRing
from evertoken.tokens.signing_keys import Algorithm, SigningKey

from .forging import ABSENT, CLAIMS, NOW_MS, RULES, Refused, forge, part


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_refused(es256: SigningKey, refused: Refused, alg: Any) -> None:
    """
    Attack 1: no spelling of "none" is an algorithm, with or without the last dot.
    """
    unsigned = f"{part({'alg': alg, 'kid': es256.kid, 'typ': 'at+jwt'})}.{part(CLAIMS.to_payload())}"
    refused(unsigned)
    refused(unsigned + ".")


def _public_key_spellings(key: SigningKey) -> list[bytes]:
    public = load_der_private_key(key.to_private_bytes(), None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = json.dumps(key.public_jwk()).encode()
    return [pem, pem.rstrip(b"\n"), der, text, text + b"\n", base64url.decode((key.public_jwk() or {})["x"])]


def test_the_public_key_as_an_hmac_key_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 2: knowing the public key, in whatever spelling, lets nobody sign with HS256.
    """
    for secret in _public_key_spellings(es256):
        model = jws.JWSRegistry(algorithms=["HS256"]).get_alg("HS256")
        signing_input = f"{part({'alg': 'HS256', 'kid': es256.kid, 'typ': 'at+jwt'})}.{part(CLAIMS.to_payload())}"
        signature = model.sign(signing_input.encode(), jwk.OctKey(secret, secret))
        refused(f"{signing_input}.{base64url.encode(signature)}")


@pytest.mark.parametrize("signature", [b"", bytes(32), bytes(64), bytes(256), b"\xff" * 64])
def test_an_empty_or_null_signature_is_refused(any_key: SigningKey, refused: Refused, signature: bytes) -> None:
    """
    Attack 3: a signature of zeros, or none, signs nothing.
    """
    signing_input = forge(any_key).rpartition(".")[0]
    refused(f"{signing_input}.{base64url.encode(signature)}")


def test_the_hmac_of_an_empty_key_is_refused(hs256: SigningKey, refused: Refused) -> None:
    """
    Attack 3: neither does the HMAC under a key of no bytes.
    """
    empty = SigningKey.from_private_bytes(Algorithm.HS256, hs256.kid, bytes(32))
    refused(forge(empty))


@pytest.mark.parametrize("alg", ["ES256", "ES384", "PS256", "RS256", "HS256", "EdDSA", "Ed25519", "ES256K"])
def test_a_key_takes_no_algorithm_but_its_own(any_key: SigningKey, refused: Refused, alg: Any) -> None:
    """
    Attack 4: the key says which algorithm it is for, and the token cannot change it.
    """
    if alg != any_key.algorithm:
        refused(forge(any_key, header={"alg": alg}))


@pytest.mark.parametrize("alg", ["es256", ["ES256"], {"ES256": 1}, 256, None, True, ABSENT])
def test_an_alg_that_is_not_the_exact_text_is_refused(es256: SigningKey, refused: Refused, alg: Any) -> None:
    """
    Attack 5: lower case, lists, numbers, null, or no alg at all.
    """
    refused(forge(es256, header={"alg": alg}))


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "/etc/passwd",
        "' UNION SELECT 'k",
        "|sleep 10",
        "http://evil.example/key",
        "k" * 10_000,
        "k" * 129,
        "",
        1,
        None,
        ["a"],
        {"a": "b"},
        True,
        ABSENT,
    ],
)
def test_a_kid_is_looked_up_and_nothing_else(es256: SigningKey, refused: Refused, kid: Any) -> None:
    """
    Attack 6: a kid that is a path, a query, a command, or no text at all names no key.
    """
    refused(forge(es256, header={"kid": kid}))


def test_a_kid_reaches_nothing_but_find(es256: SigningKey) -> None:
    """
    Attack 6: the key source is asked for the very text, once, and only when it is a short one.
    """
    asked: list[str] = []

    class Listening:
        def find(self, kid: str, *, now_ms: int) -> None:
            asked.append(kid)

    for kid in ("../../dev/null", "k" * 129, 7):
        with pytest.raises(TokenError):
            access_token.verify(forge(es256, header={"kid": kid}), keys=Listening(), rules=RULES, now_ms=NOW_MS)
    assert asked == ["../../dev/null"]


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
@pytest.mark.parametrize("value", ["https://evil.example/jwks.json", {"kty": "oct", "k": "AAAA"}, ["MIIB"], None])
def test_a_key_that_the_token_brings_along_is_refused(
    es256: SigningKey, refused: Refused, name: str, value: Any
) -> None:
    """
    Attacks 8 and 9: a token that offers its own key, or says where to fetch one, is refused unread.
    """
    refused(forge(es256, header={name: value}), MalformedToken)


def test_a_token_that_embeds_the_attackers_key_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 9: the attacker signs with a key of their own and encloses it.
    """
    theirs = SigningKey.generate(Algorithm.ES256)
    refused(forge(theirs, header={"kid": es256.kid, "jwk": theirs.public_jwk()}))
    refused(forge(theirs, header={"kid": es256.kid}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["unknown"], "unknown": 1},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
    ],
)
def test_an_extension_is_refused(es256: SigningKey, refused: Refused, header: Any) -> None:
    """
    Attack 10: we understand no extensions; whoever demands one gets nothing.
    """
    refused(forge(es256, header=header), MalformedToken)


def test_repeated_members_are_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 11: where two readers could take different values, we take none.
    """
    header = f'{{"alg":"none","alg":"ES256","kid":"{es256.kid}","typ":"at+jwt"}}'.encode()
    payload = json.dumps(CLAIMS.to_payload()).encode()
    refused(forge(es256, header=header), MalformedToken)
    refused(forge(es256, payload=b'{"sub":"root",' + payload[1:]), MalformedToken)
    refused(forge(es256, payload=payload[:-1] + b',"x":{"a":1,"a":2}}'), MalformedToken)


def test_the_json_serialization_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 12: a JWS written as JSON is not an access token.
    """
    protected, payload, signature = forge(es256).split(".")
    refused(json.dumps({"protected": protected, "payload": payload, "signature": signature}), MalformedToken)
    general = {"payload": payload, "signatures": [{"protected": protected, "signature": signature}]}
    refused(json.dumps(general), MalformedToken)


def test_another_number_of_parts_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 13: two, four or five parts; an encrypted token has five.
    """
    token = forge(es256)
    jwe = f"{part({'alg': 'RSA-OAEP', 'enc': 'A128GCM'})}.AAAA.AAAA.AAAA.AAAA"
    for other in (
        token.rpartition(".")[0],
        token + ".",
        token + ".AAAA",
        token + ".AAAA.AAAA",
        jwe,
        "",
        ".",
        "..",
        "...",
    ):
        refused(other, MalformedToken)


def test_another_spelling_of_the_same_bytes_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 14: padding, line breaks, spaces, the other alphabet and stray last bits.
    """
    parts = forge(es256).split(".")
    for at in range(3):
        text = parts[at]
        # Another character with the same leading bits, where the last one has bits to spare.
        stray = text[:-1] + chr(ord(text[-1]) + 1)
        for other in (text + "=", text + "==", text + "\n", " " + text, text[:4] + "\n" + text[4:], text + "+", stray):
            refused(".".join([*parts[:at], other, *parts[at + 1 :]]))


def test_a_der_signature_is_refused(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 15: an ES256 signature is r and s side by side; the DER spelling and degenerate numbers are none.
    """
    signing_input, _, text = forge(es256).rpartition(".")
    raw = base64url.decode(text)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    wrong = [encode_dss_signature(r, s), b"\0" + raw, raw + b"\0", raw[:-1]]
    wrong += [a.to_bytes(32, "big") + b.to_bytes(32, "big") for a in (0, order, r) for b in (0, order)]
    for signature in wrong:
        refused(f"{signing_input}.{base64url.encode(signature)}")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{} x",
        b'{"sub":"\xff"}',
        b'{"sub":"\\ud800"}',
        b'{"sub":"a\\u0000b"}',
    ],
)
def test_a_payload_that_is_not_one_json_object_is_refused(hs256: SigningKey, refused: Refused, payload: Any) -> None:
    """
    Attack 17: arrays, texts, nothing, byte order marks, trailing bytes, broken UTF-8, half surrogates, NUL.
    """
    refused(forge(hs256, payload=payload), MalformedToken)
    refused(forge(hs256, header=payload), MalformedToken)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_subject_with_an_unwritable_character_is_refused(hs256: SigningKey, refused: Refused, text: str) -> None:
    """
    Attack 17: in an otherwise whole token too.
    """
    refused(forge(hs256, payload={"sub": text}), MalformedToken)


def test_deep_nesting_is_refused(hs256: SigningKey, refused: Refused) -> None:
    """
    Attack 18: nesting as deep as 8 KiB allow, which makes other readers run out of stack.
    """
    deep = b"[" * 2500 + b"]" * 2500
    refused(forge(hs256, payload=b'{"a":' + deep + b"}"), MalformedToken)
    refused(forge(hs256, header=b'{"a":' + deep + b"}"), MalformedToken)
    refused(forge(hs256, payload=deep), MalformedToken)


def test_an_endless_token_is_refused_before_it_is_decoded(
    hs256: SigningKey, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Attack 19: a megabyte is refused by its length alone; nothing of it is decoded.
    """
    token = forge(hs256, payload={"a": "x" * 6000})
    assert len(token) > 8192
    monkeypatch.setattr(base64url, "decode", None)
    for text in (token, "A" * 8193, "." * 1_000_000, "a" * 1_000_000 + ".a.a"):
        refused(text, MalformedToken)


def test_a_token_of_just_8_kib_is_taken(hs256: SigningKey, ring: KeyRing) -> None:
    """
    Attack 19, the other edge: up to the bound, nothing is too long.
    """
    spare = 8192 - len(forge(hs256, payload={"a": ""}))
    token = forge(hs256, payload={"a": "x" * (spare * 3 // 4)})
    assert 8185 < len(token) <= 8192
    assert access_token.verify(token, keys=ring, rules=RULES, now_ms=NOW_MS).jti == CLAIMS.jti
