import pytest

from evertoken.errors import BadSignature, ConfigurationError
from evertoken.tokens import access_token
from evertoken.tokens.keyring import VERIFYING_LEEWAY_MS, KeyRecord, KeyRing, plan_rotation
from evertoken.tokens.signing_keys import Algorithm, SigningKey

from .forging import CLAIMS, NOW_MS, RULES

ANNOUNCE_MS = 3_600_000
LIFETIME_MS = 1_800_000


def _key() -> SigningKey:
    return SigningKey.generate(Algorithm.ES256)


def _kids(ring: KeyRing, *, now_ms: int) -> set[str]:
    return {jwk["kid"] for jwk in ring.jwks(now_ms=now_ms)["keys"]}


def _rotated(ring: KeyRing, key: SigningKey, *, now_ms: int) -> KeyRing:
    planned = plan_rotation(ring, key, now_ms=now_ms, announce_ms=ANNOUNCE_MS, access_lifetime_ms=LIFETIME_MS)
    return KeyRing(planned)


def test_the_first_key_signs_at_once() -> None:
    """
    Where there is no key to wait for, a new one signs from now on.
    """
    key = _key()
    ring = _rotated(KeyRing([]), key, now_ms=NOW_MS)
    assert ring.signing_key(now_ms=NOW_MS) is key


def test_a_rotation_is_announced_takes_over_and_lets_the_old_key_out() -> None:
    """
    A new key is published before it signs, and the old one stays until its last token has expired.
    """
    old, new = _key(), _key()
    ring = _rotated(KeyRing([KeyRecord(old, 0)]), new, now_ms=NOW_MS)
    takes_over_ms = NOW_MS + ANNOUNCE_MS
    gone_ms = takes_over_ms + LIFETIME_MS + VERIFYING_LEEWAY_MS

    assert ring.signing_key(now_ms=NOW_MS) is old
    assert ring.find(new.kid, now_ms=NOW_MS) is new
    assert _kids(ring, now_ms=NOW_MS) == {old.kid, new.kid}

    assert ring.signing_key(now_ms=takes_over_ms - 1) is old
    assert ring.signing_key(now_ms=takes_over_ms) is new

    assert ring.find(old.kid, now_ms=gone_ms - 1) is old
    assert ring.find(old.kid, now_ms=gone_ms) is None
    assert _kids(ring, now_ms=gone_ms) == {new.kid}


def test_no_token_is_refused_because_of_a_rotation() -> None:
    """
    A token signed in the last millisecond of the old key is good for its whole life.
    """
    old, new = _key(), _key()
    ring = _rotated(KeyRing([KeyRecord(old, 0)]), new, now_ms=NOW_MS - ANNOUNCE_MS)
    token = access_token.sign(CLAIMS.to_payload(), ring.signing_key(now_ms=NOW_MS - 1))
    for now_ms in (NOW_MS, NOW_MS + LIFETIME_MS - 1):
        assert access_token.verify(token, keys=ring, rules=RULES, now_ms=now_ms) == CLAIMS


def test_a_token_of_a_key_that_is_gone_is_refused() -> None:
    """
    A key that has been let out, or dropped because it was stolen, signs nothing that a guard takes.
    """
    old, new = _key(), _key()
    token = access_token.sign(CLAIMS.to_payload(), old)
    for ring in (
        KeyRing([KeyRecord(old, 0, verifies_until_ms=NOW_MS), KeyRecord(new, 0)]),
        KeyRing([KeyRecord(new, 0)]),
    ):
        with pytest.raises(BadSignature):
            access_token.verify(token, keys=ring, rules=RULES, now_ms=NOW_MS)


def test_rotating_twice_keeps_the_order_and_the_earlier_ends() -> None:
    """
    A second rotation before the first has taken over comes after it, and prolongs nobody's life.
    """
    first, second, third = _key(), _key(), _key()
    once = _rotated(KeyRing([KeyRecord(first, 0)]), second, now_ms=NOW_MS)
    twice = KeyRing(plan_rotation(once, third, now_ms=NOW_MS, announce_ms=0, access_lifetime_ms=LIFETIME_MS))

    by_kid = {record.key.kid: record for record in twice.records}
    assert by_kid[third.kid].signs_from_ms > by_kid[second.kid].signs_from_ms
    assert by_kid[first.kid] == once.records[0]
    assert twice.signing_key(now_ms=NOW_MS + 10 * ANNOUNCE_MS) is third


def test_a_rotation_drops_keys_whose_time_is_over() -> None:
    """
    The ring does not grow for ever.
    """
    dead, old, new = _key(), _key(), _key()
    ring = _rotated(KeyRing([KeyRecord(dead, 0, verifies_until_ms=NOW_MS), KeyRecord(old, 1)]), new, now_ms=NOW_MS)
    assert [record.key for record in ring.records] == [old, new]


def test_a_key_for_later_is_left_alone_when_one_is_needed_now() -> None:
    """
    If only keys for later are there, the new key signs meanwhile, and they take over from it as planned.
    """
    later, now = _key(), _key()
    planned = KeyRecord(later, NOW_MS + 5)
    ring = _rotated(KeyRing([planned]), now, now_ms=NOW_MS)
    assert ring.signing_key(now_ms=NOW_MS) is now
    assert planned in ring.records
    assert ring.signing_key(now_ms=NOW_MS + 5) is later


def test_a_ring_without_a_key_for_now_says_so() -> None:
    """
    A server whose keys are all for later, or all over, does not start.
    """
    for record in (KeyRecord(_key(), NOW_MS + 1), KeyRecord(_key(), 0, verifies_until_ms=NOW_MS)):
        with pytest.raises(ConfigurationError):
            KeyRing([record]).signing_key(now_ms=NOW_MS)


def test_a_kid_twice_is_refused() -> None:
    """
    Which of two keys of one name counts must not depend on their order.
    """
    key = _key()
    with pytest.raises(ConfigurationError):
        KeyRing([KeyRecord(key, 0), KeyRecord(key, 1)])


def test_secret_keys_are_never_published(ring: KeyRing, hs256: SigningKey) -> None:
    """
    An HS256 key signs and verifies, and is in no JWK set.
    """
    assert ring.find(hs256.kid, now_ms=NOW_MS) is hs256
    assert hs256.kid not in _kids(ring, now_ms=NOW_MS)
    assert hs256.kid in repr(ring)
