# ruff: noqa: RUF001 - letters that look alike are what is tested

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from argon2.low_level import Type, verify_secret

from evertoken.accounts.directory import StoredUsers
from evertoken.accounts.password_text import PasswordRefused
from evertoken.accounts.passwords import HashingParameters, PasswordHashing
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User, UserDirectory, UsernameTaken, UserStore
from evertoken.errors import Overloaded, StoreUnavailable
from evertoken.secret import Secret

OLD_COST = HashingParameters(1, 8, 1, weak_for_tests=True)
NEW_COST = HashingParameters(2, 16, 1, weak_for_tests=True)
PASSWORD = Secret("correct-horse-battery")


@dataclass
class UsersInMemory:
    """A `UserStore` in a dictionary."""

    users: dict[str, User] = field(default_factory=dict)
    write_fails_with: Exception | None = None

    async def add_user(self, user: User) -> None:
        if await self.find_by_key(username_key(user.username)) is not None:
            raise UsernameTaken(user.username)
        self.users[user.id] = user

    async def find_by_key(self, username_key: str) -> User | None:
        return next((user for user in self.users.values() if key_of(user) == username_key), None)

    async def find_by_id(self, user_id: str) -> User | None:
        return self.users.get(user_id)

    async def list_users(self, after: str | None, limit: int) -> list[User]:
        later = [user for user in self.users.values() if after is None or key_of(user) > username_key(after)]
        return sorted(later, key=key_of)[:limit]

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        if self.write_fails_with is not None:
            raise self.write_fails_with
        user = self.users[user_id]
        if user.password_hash != old_hash:
            return False
        self.users[user_id] = replace(user, password_hash=new_hash)
        return True


def key_of(user: User) -> str:
    return username_key(user.username)


def a_user(password_hash: str | None = None, username: str = "Ann", user_id: str = "u1") -> User:
    return User(user_id, username, password_hash, 3, False, ("reader",), 1_800_000_000_000)


@pytest.fixture
def store() -> UsersInMemory:
    return UsersInMemory()


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    pool = PasswordHashing(NEW_COST)
    yield pool
    pool.close()


@pytest.fixture
def directory(store: UsersInMemory, hashing: PasswordHashing) -> StoredUsers:
    as_store: UserStore = store
    return StoredUsers(as_store, hashing)


def old_hash() -> str:
    pool = PasswordHashing(OLD_COST)
    try:
        return pool.hash_now(PASSWORD)
    finally:
        pool.close()


async def test_a_user_is_found_by_any_form_of_the_name(store: UsersInMemory, directory: StoredUsers) -> None:
    """Sign-in takes the name in any case and width, and any other text finds nobody."""
    as_directory: UserDirectory = directory
    ann = a_user()
    await store.add_user(ann)
    for typed in ("Ann", "ann", " ANN ", "Ａｎｎ"):
        assert await as_directory.find_by_username(typed) == ann
    for typed in ("", "\0", "\ud800", "x" * 1_000_000, "ann\n"):
        assert await as_directory.find_by_username(typed) is None
    assert await as_directory.find_by_id("u1") == ann
    assert await as_directory.find_by_id("u2") is None


async def test_a_name_is_taken_in_all_its_forms(store: UsersInMemory) -> None:
    """Nobody can register another user's name in other letters of the same key."""
    await store.add_user(a_user())
    with pytest.raises(UsernameTaken):
        await store.add_user(a_user(username="ａｎｎ", user_id="u2"))


async def test_the_right_password_is_verified(directory: StoredUsers) -> None:
    """A user with a hash signs in with its password and no other."""
    ann = a_user(await directory.hash_new_password(PASSWORD))
    assert await directory.verify_password(ann, PASSWORD)
    assert not await directory.verify_password(ann, Secret("wrong"))


async def test_nobody_and_a_user_without_a_hash_cost_the_same_work(
    directory: StoredUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a name exists, has a password or is disabled cannot be told from the work that is done."""
    ann = a_user(await directory.hash_new_password(PASSWORD))
    real, calls = verify_secret, []

    def counting(hashed: bytes, secret: bytes, kind: Type) -> bool:
        calls.append(hashed.split(b"$")[3])
        return real(hashed, secret, kind)

    monkeypatch.setattr("evertoken.accounts.hashes.argon2.verify_secret", counting)
    for user in (ann, None, a_user(), replace(ann, disabled=True)):
        assert not await directory.verify_password(user, Secret("wrong"))
    assert calls == [b"m=16,t=2,p=1"] * 4


async def test_a_hash_is_made_anew_at_sign_in_when_parameters_rise(
    store: UsersInMemory, directory: StoredUsers
) -> None:
    """When hashing becomes stronger, each user's hash follows at the next sign-in, and no session ends."""
    ann = a_user(old_hash())
    await store.add_user(ann)
    assert not await directory.verify_password(ann, Secret("wrong"))
    assert store.users["u1"] == ann
    assert await directory.verify_password(ann, PASSWORD)
    after = store.users["u1"]
    assert after.password_hash is not None
    assert after.password_hash.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert replace(after, password_hash=ann.password_hash) == ann
    assert await directory.verify_password(after, PASSWORD)
    assert store.users["u1"] == after


async def test_a_rehash_does_not_undo_a_password_change(store: UsersInMemory, directory: StoredUsers) -> None:
    """A password that was changed while somebody signed in with the old one stays changed."""
    ann = a_user(old_hash())
    changed = replace(ann, password_hash=await directory.hash_new_password(Secret("another password")))
    await store.add_user(changed)
    assert await directory.verify_password(ann, PASSWORD)
    assert store.users["u1"] == changed


async def test_a_failed_rehash_does_not_spoil_the_sign_in(
    store: UsersInMemory, directory: StoredUsers, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that cannot write does not keep anybody out, and the log shows no hash."""
    hashed = old_hash()
    ann = a_user(hashed)
    await store.add_user(ann)
    for error in (StoreUnavailable(f"UPDATE users SET password_hash = '{hashed}'"), RuntimeError(hashed)):
        store.write_fails_with = error
        with caplog.at_level(logging.DEBUG):
            assert await directory.verify_password(ann, PASSWORD)
        assert "u1" in caplog.text
        assert type(error).__name__ in caplog.text
        assert hashed not in caplog.text


async def test_a_rehash_that_finds_no_room_does_not_spoil_the_sign_in(
    store: UsersInMemory, directory: StoredUsers, hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign-in that got through the queue is not lost because the queue is full for its rehash."""

    async def full(_: Secret) -> str:
        raise Overloaded("full")

    ann = a_user(old_hash())
    await store.add_user(ann)
    monkeypatch.setattr(hashing, "hash", full)
    assert await directory.verify_password(ann, PASSWORD)
    assert store.users["u1"] == ann


async def test_a_password_that_cannot_be_hashed_is_not_stored(directory: StoredUsers) -> None:
    """A new password over the limit is refused, not cut."""
    with pytest.raises(PasswordRefused):
        await directory.hash_new_password(Secret("x" * 1025))


async def test_users_are_listed_by_name(store: UsersInMemory) -> None:
    """A page of users begins behind the last name of the page before."""
    for number, name in enumerate(["carl", "Ann", "Bert"]):
        await store.add_user(a_user(username=name, user_id=f"u{number}"))
    first = await store.list_users(None, 2)
    assert [user.username for user in first] == ["Ann", "Bert"]
    assert [user.username for user in await store.list_users("Bert", 2)] == ["carl"]


def test_a_user_hides_the_hash() -> None:
    """A user in a log line or a traceback shows no password hash."""
    assert "argon2" not in repr(a_user(old_hash()))
