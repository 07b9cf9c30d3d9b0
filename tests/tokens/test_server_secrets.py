import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import ConfigurationError
from evertoken.secret import Secret
from evertoken.tokens.server_secrets import SecretRing

from .forging import NEW_SECRET, OLD_SECRET, patient, secrets


def test_a_short_secret_is_refused_without_being_shown() -> None:
    """
    A secret of fewer than 32 characters is refused at start-up, and the message does not repeat it.
    """
    with pytest.raises(ConfigurationError) as refusal:
        SecretRing([Secret("hunter2" * 4 + "abc")])
    assert refusal.value.setting == "secret"
    assert "hunter2" not in str(refusal.value)
    SecretRing([Secret("x" * 32)])


@pytest.mark.parametrize("several", [[], [NEW_SECRET, OLD_SECRET, NEW_SECRET]])
def test_an_empty_or_repeating_list_of_secrets_is_refused(several: list[Secret]) -> None:
    """
    The list of secrets names at least one, and each once.
    """
    with pytest.raises(ConfigurationError):
        SecretRing(several)


def test_the_first_secret_mints_and_all_are_found() -> None:
    """
    The first secret of the list mints; every secret of the list is found by the id in what it made.
    """
    ring = secrets(NEW_SECRET, OLD_SECRET)
    assert ring.minting.key_id == secrets(NEW_SECRET).minting.key_id
    assert [entry.key_id for entry in ring] == [entry.key_id for entry in (*secrets(NEW_SECRET), *secrets(OLD_SECRET))]
    assert all(ring.find(entry.key_id) is entry for entry in ring)
    assert ring.find(b"none") is None
    assert len(ring) == 2


def test_every_purpose_has_its_own_key() -> None:
    """
    What is made for one purpose cannot stand in for another.
    """
    entry = secrets().minting
    macs = {mac.of(b"message") for mac in (entry.refresh_token, entry.csrf, entry.lookup)}
    assert len(macs) == 3
    assert entry.csrf.is_genuine(entry.csrf.of(b"message"), b"message")
    assert not entry.csrf.is_genuine(entry.refresh_token.of(b"message"), b"message")


@patient
@given(plaintext=st.binary(), context=st.binary())
def test_what_was_wrapped_comes_back(plaintext: bytes, context: bytes) -> None:
    """
    What one secret of the list has encrypted, a list that still holds it decrypts.
    """
    blob = secrets(OLD_SECRET).wrap(plaintext, context=context)
    assert secrets(NEW_SECRET, OLD_SECRET).unwrap(blob, context=context) == plaintext


def test_what_an_earlier_version_wrapped_is_still_read() -> None:
    """
    An update loses no signing key: this was encrypted by version 0.1, and so was the fingerprint made.
    """
    blob = bytes.fromhex("1cf1a38371c2de43aa7890fc3c6a36c94962b6d116015b5c6b60cbe7be5a7751296392")
    assert secrets().unwrap(blob, context=b"kid") == b"key"
    assert secrets().fingerprint("alice").hex() == "453fba0b2e9fce5baa86b9ab2d321cbf"


def test_what_another_secret_wrapped_asks_to_be_wrapped_anew() -> None:
    """
    After the secrets have changed places, the store's keys are known to be due for the new one.
    """
    ring = secrets(NEW_SECRET, OLD_SECRET)
    assert ring.needs_rewrapping(secrets(OLD_SECRET).wrap(b"key", context=b""))
    assert not ring.needs_rewrapping(ring.wrap(b"key", context=b""))


def test_a_key_under_a_secret_that_is_gone_says_what_to_do() -> None:
    """
    If the secret that the store's keys are encrypted under is not configured, the message says to put it back.
    """
    blob = secrets(OLD_SECRET).wrap(b"key", context=b"kid")
    with pytest.raises(ConfigurationError, match="put that secret back"):
        secrets(NEW_SECRET).unwrap(blob, context=b"kid")


@patient
@given(st.data())
def test_a_damaged_or_moved_key_is_refused(data: st.DataObject) -> None:
    """
    One changed bit, a missing end, or another row's key: none of them decrypts.
    """
    ring = secrets()
    blob = ring.wrap(b"key", context=b"kid")
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    flipped = bytearray(blob)
    flipped[bit // 8] ^= 1 << bit % 8
    length = data.draw(st.integers(0, len(blob) - 1))
    for wrong, context in ((bytes(flipped), b"kid"), (blob[:length], b"kid"), (blob, b"other kid")):
        with pytest.raises(ConfigurationError):
            ring.unwrap(wrong, context=context)


def test_equal_plaintexts_are_wrapped_differently() -> None:
    """
    Nobody can tell from the store that two rows hold the same key.
    """
    ring = secrets()
    assert ring.wrap(b"key", context=b"") != ring.wrap(b"key", context=b"")


@patient
@given(st.text(), st.text())
def test_a_fingerprint_stands_for_one_text(one: str, other: str) -> None:
    """
    The same name has the same fingerprint, another name another, and any text has one.
    """
    ring = secrets()
    assert (ring.fingerprint(one) == ring.fingerprint(other)) == (one == other)
    assert len(ring.fingerprint(one)) == 16


def test_no_repr_shows_a_key() -> None:
    """
    What is printed of a ring names the secrets' ids and nothing else.
    """
    ring = secrets()
    key_id = ring.minting.key_id.hex()
    assert repr(ring) == f"SecretRing({key_id})"
    assert repr(ring.minting) == f"ServerSecret(key_id={key_id})"
