"""Accounts: users as they are kept, and the epoch that ends their sessions."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from evertoken.accounts.users import UsernameTaken
from evertoken.sessions.model import AccountChange, EventKind, session_id_text
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.store import Store
from tests.stores.compliance.bench import (
    PHONE,
    Bench,
    add_user,
    new_session,
    refresh,
    sign_in,
    signed_in,
)


def new_password(**fields: Any) -> AccountChange:
    """Ada changes her password."""
    change = AccountChange(
        "u_ada", Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, PHONE, password_hash="new hash"
    )
    return replace(change, caller=PHONE, **fields)


async def epoch_of(store: Store, user_id: str = "u_ada") -> int:
    """The user's present epoch."""
    user = await store.find_by_id(user_id)
    assert user is not None
    return user.epoch


class AccountsAndEpochs:
    """Whatever ends all sessions of a user raises the epoch once, in the same commit."""

    async def test_a_new_password_ends_every_session_but_the_one_that_changed_it(self, bench: Bench) -> None:
        """Who changes the password stays signed in; everybody else who holds a session of that user is out."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        kept, *others = [await sign_in(store, clock, user) for _ in range(4)]
        bystander = await signed_in(store, clock, "bob")
        ended = await store.change_account(new_password(keep=kept.session_id))
        assert ended is not None
        assert sorted(ended.session_ids) == sorted(token.session_id for token in others)
        kinds = [event.kind for event in ended.events]
        assert kinds == [EventKind.SESSION_ENDED] * 3 + [EventKind.PASSWORD_CHANGED]
        assert {event.username for event in ended.events} == {"ada"}
        assert {event.reason for event in ended.events} == {Reason.PASSWORD_CHANGED, None}
        assert ended.events[-1].detail == {"kept": session_id_text(kept.session_id)}
        for token in others:
            assert (await refresh(store, token)).reason is Reason.PASSWORD_CHANGED
        for token in (kept, bystander):
            assert (await refresh(store, token)).outcome is Outcome.REISSUE
        changed = await store.find_by_id(user.id)
        assert changed is not None
        assert (changed.epoch, changed.password_hash) == (1, "new hash")
        assert len((await store.revocations_after(0)).session_ids) == 3

    async def test_another_users_session_cannot_be_kept_nor_moved(self, bench: Bench) -> None:
        """Naming somebody else's session as the one to keep neither spares nor changes it."""
        store, clock = bench.open(), bench.clock
        mine, theirs = await signed_in(store, clock), await signed_in(store, clock, "bob")
        ended = await store.change_account(new_password(keep=theirs.session_id))
        assert ended is not None
        assert ended.session_ids == (mine.session_id,)
        assert (await refresh(store, theirs)).outcome is Outcome.REISSUE

    async def test_a_session_that_was_ended_before_is_not_kept_alive(self, bench: Bench) -> None:
        """Revoked is final: keeping a session that is over does not bring it back."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)
        ended = await store.change_account(new_password(keep=token.session_id))
        assert ended is not None
        assert ended.session_ids == ()
        assert (await refresh(store, token)).reason is Reason.SIGNED_OUT

    async def test_signing_out_everywhere_leaves_the_password_and_the_state_alone(self, bench: Bench) -> None:
        """Ending all sessions changes nothing else of the account."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        await store.change_account(AccountChange("u_ada", Reason.SIGNED_OUT, EventKind.SIGNED_OUT_EVERYWHERE))
        user = await store.find_by_id("u_ada")
        assert user is not None
        assert (user.epoch, user.password_hash, user.disabled) == (1, "hash of ada", False)
        assert (await refresh(store, token)).reason is Reason.SIGNED_OUT

    async def test_a_change_that_expects_another_epoch_changes_nothing(self, bench: Bench) -> None:
        """Two password changes that verified the same old password cannot both take effect."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        rows = await bench.count_rows()
        assert await store.change_account(new_password(expected_epoch=3)) is None
        assert await store.change_account(replace(new_password(), user_id="u_nobody")) is None
        assert await bench.count_rows() == rows
        assert await epoch_of(store) == 0
        assert (await refresh(store, token)).outcome is Outcome.REISSUE
        racing = [new_password(expected_epoch=0, password_hash=f"hash {number}") for number in range(5)]
        stores = [store, bench.open()]
        done = await asyncio.gather(*(stores[n % 2].change_account(change) for n, change in enumerate(racing)))
        assert sum(ended is not None for ended in done) == 1
        assert await epoch_of(store) == 1

    async def test_a_sign_in_verified_before_the_epoch_moved_is_not_stored(self, bench: Bench) -> None:
        """Whoever signed in with the old password while it was being changed gets no session."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        verified = new_session(clock, user)
        await store.change_account(new_password())
        rows = await bench.count_rows()
        assert await store.create(verified) is None
        assert await store.find(verified.token.session_id) is None
        assert await bench.count_rows() == rows
        assert await store.create(new_session(clock, user, user_epoch=1)) is not None

    async def test_a_sign_in_that_is_not_stored_ends_no_session(self, bench: Bench) -> None:
        """A refused sign-in does not replace the session whose cookie came along."""
        store, clock = bench.open(), bench.clock
        bystander = await signed_in(store, clock, "bob")
        user = await add_user(store)
        refused = new_session(clock, user, user_epoch=4, replaces=bystander.session_id)
        assert await store.create(refused) is None
        assert (await refresh(store, bystander)).outcome is Outcome.REISSUE

    async def test_a_sign_in_of_a_disabled_or_missing_user_is_not_stored(self, bench: Bench) -> None:
        """An account that was disabled between the check and the commit gets no session."""
        store, clock = bench.open(), bench.clock
        disabled = await add_user(store, disabled=True)
        assert await store.create(new_session(clock, disabled)) is None
        assert await store.create(new_session(clock, replace(disabled, id="u_gone"))) is None

    async def test_sign_ins_that_race_with_a_new_password_leave_no_session_behind(self, bench: Bench) -> None:
        """However they interleave, no session that the old password opened is alive after the change."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        sign_ins = [new_session(clock, user) for _ in range(30)]
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(store.create(new)) for new in sign_ins[:15]]
        tasks.append(asyncio.create_task(bench.open().change_account(new_password())))
        tasks += [asyncio.create_task(store.create(new)) for new in sign_ins[15:]]
        await asyncio.gather(*tasks)
        assert await store.list_sessions(user_id=user.id) == []
        for new in sign_ins:
            assert (await refresh(store, new.token)).outcome is Outcome.GONE

    async def test_a_user_is_found_by_key_and_by_id_as_it_was_added(self, bench: Bench) -> None:
        """What is kept of a user comes back unchanged."""
        store = bench.open()
        added = await add_user(store, "Ada", roles=("a", "b"), epoch=3, disabled=True, created_at_ms=17)
        assert await store.find_by_key("ada") == added
        assert await store.find_by_id("u_Ada") == added
        assert await store.find_by_key("Ada") is None
        assert await store.find_by_id("u_ada") is None

    async def test_a_name_that_differs_in_case_or_width_only_is_taken(self, bench: Bench) -> None:
        """Nobody can pose as somebody else by the spelling of a name."""
        store = bench.open()
        await add_user(store, "Ada")
        for name in ("ada", "ADA", "\uff21da"):
            with pytest.raises(UsernameTaken):
                await add_user(store, name)
        assert [user.username for user in await store.list_users(None, 10)] == ["Ada"]

    async def test_names_that_differ_in_an_accent_are_two_users(self, bench: Bench) -> None:
        """Keys are compared byte by byte: a collation must not make one of two users."""
        store = bench.open()
        for name in ("jose", "josé", "straße-2", "strase-2"):
            await add_user(store, name)
        assert len(await store.list_users(None, 10)) == 4
        found = await store.find_by_key("josé")
        assert found is not None
        assert found.username == "josé"

    async def test_users_are_listed_by_name_page_by_page(self, bench: Bench) -> None:
        """A page goes on after the last name of the page before, however that name is spelled."""
        store = bench.open()
        for name in ("Dora", "ada", "Bob", "cleo"):
            await add_user(store, name)
        first = await store.list_users(None, 2)
        assert [user.username for user in first] == ["ada", "Bob"]
        assert [user.username for user in await store.list_users("BOB", 5)] == ["cleo", "Dora"]

    async def test_a_stronger_hash_replaces_only_the_one_it_was_made_from(self, bench: Bench) -> None:
        """Hashing anew at a sign-in cannot undo a password change that came between, and ends no session."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        assert await store.replace_hash("u_ada", "hash of ada", "stronger")
        assert not await store.replace_hash("u_ada", "hash of ada", "late")
        user = await store.find_by_id("u_ada")
        assert user is not None
        assert (user.password_hash, user.epoch) == ("stronger", 0)
        assert (await refresh(store, token)).outcome is Outcome.REISSUE
