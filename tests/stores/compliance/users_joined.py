"""A session's user is looked at in the same step as the session: there is no gap between check and answer."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from evertoken.sessions.model import AccountChange, AccountState, Caller, EventKind, RotationRequest
from evertoken.sessions.rotation import Outcome, Reason
from tests.stores.compliance.bench import (
    LAPTOP,
    OVERLAP,
    Bench,
    add_user,
    child,
    new_session,
    refresh,
    sign_in,
    signed_in,
    succeed,
)


def disabling(user_id: str = "u_ada") -> AccountChange:
    """The operator disables a user."""
    return AccountChange(user_id, Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)


def state(epoch: int = 7, *, disabled: bool = False, roles: tuple[str, ...] = ()) -> AccountState:
    """What the host application says of its user."""
    return AccountState(epoch, disabled, "Ada L.", roles)


class UsersInTheSameStep:
    """Users in the store, joined; and users elsewhere, whose state comes with the request."""

    async def test_roles_that_changed_are_in_the_next_answer(self, bench: Bench) -> None:
        """A new access token carries the roles that the user has now, not those of the sign-in."""
        store, clock = bench.open(), bench.clock
        token = await sign_in(store, clock, await add_user(store, roles=("reader",)))
        assert (await refresh(store, token)).roles == ("reader",)
        assert await store.set_roles("u_ada", ("reader", "admin"))
        assert (await refresh(store, token)).roles == ("reader", "admin")
        assert not await store.set_roles("u_nobody", ())

    async def test_a_disabled_user_is_refused_and_enabling_brings_no_session_back(self, bench: Bench) -> None:
        """Disabling ends every session at once; who is enabled again has to sign in."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        assert await store.change_account(disabling()) is not None
        assert (await refresh(store, token)).reason is Reason.ACCOUNT_DISABLED
        assert await store.enable("u_ada", Caller())
        assert (await refresh(store, token)).reason is Reason.ACCOUNT_DISABLED
        user = await store.find_by_id("u_ada")
        assert user is not None
        assert (await refresh(store, await sign_in(store, clock, user))).outcome is Outcome.REISSUE
        assert not await store.enable("u_nobody", Caller())

    async def test_refreshes_at_the_moment_of_disabling_do_not_succeed_after_it(self, bench: Bench) -> None:
        """Of refreshes that race with the disabling, none that is decided after it succeeds."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        racing = [asyncio.create_task(refresh(store, token)) for _ in range(20)]
        disabled = asyncio.create_task(store.change_account(disabling()))
        racing += [asyncio.create_task(refresh(store, token)) for _ in range(20)]
        await disabled
        outcomes = [(await task).outcome for task in racing]
        assert set(outcomes[20:]) == {Outcome.GONE}
        assert (await refresh(store, token)).outcome is Outcome.GONE

    async def test_a_session_whose_user_the_store_does_not_have_is_over(self, bench: Bench) -> None:
        """A session outlives no account: without its user it earns nothing."""
        elsewhere, clock = bench.open(users_elsewhere=True), bench.clock
        user = await add_user(bench.open(), "ghost")
        new = new_session(clock, user)
        await elsewhere.create(new)
        result = await refresh(elsewhere, new.token, account=state(0))
        assert result.outcome is Outcome.REISSUE
        orphan = replace(new_session(clock, user), user_id="u_gone")
        await elsewhere.create(orphan)
        result = await refresh(bench.open(), orphan.token)
        assert (result.outcome, result.reason) == (Outcome.GONE, Reason.ACCOUNT_DISABLED)

    async def test_a_user_who_is_disabled_is_refused_though_the_epoch_stands(self, bench: Bench) -> None:
        """Whoever disabled a user by hand, without ending the sessions, has ended them all the same."""
        store, elsewhere, clock = bench.open(), bench.open(users_elsewhere=True), bench.clock
        token = await sign_in(elsewhere, clock, await add_user(store, disabled=True))
        result = await refresh(store, token)
        assert (result.outcome, result.reason) == (Outcome.GONE, Reason.ACCOUNT_DISABLED)
        assert await store.enable("u_ada", Caller())
        assert (await refresh(store, token)).outcome is Outcome.REISSUE

    async def test_a_user_elsewhere_is_refreshed_by_the_state_that_came_along(self, bench: Bench) -> None:
        """Where users live in the application's own table, its word on name, roles and epoch is what counts."""
        store, clock = bench.open(users_elsewhere=True), bench.clock
        user = await add_user(bench.open())
        token = await sign_in(store, clock, user, user_epoch=7)
        good = await refresh(store, token, account=state(roles=("tenant-3",)))
        assert (good.outcome, good.username, good.roles) == (Outcome.REISSUE, "Ada L.", ("tenant-3",))
        for account, reason in (
            (state(8), Reason.PASSWORD_CHANGED),
            (state(6), Reason.PASSWORD_CHANGED),
            (state(disabled=True), Reason.ACCOUNT_DISABLED),
            (state(8, disabled=True), Reason.ACCOUNT_DISABLED),
        ):
            refused = await refresh(store, token, account=account)
            assert (refused.outcome, refused.reason) == (Outcome.GONE, reason)
            assert await store.judge(RotationRequest(token, LAPTOP, account=account)) is Outcome.GONE
        assert (await refresh(store, token, account=state())).outcome is Outcome.REISSUE

    async def test_a_replay_by_a_disabled_user_elsewhere_ends_nothing(self, bench: Bench) -> None:
        """A session that is over for its account is over before anything else is asked."""
        store, clock = bench.open(users_elsewhere=True), bench.clock
        token = await sign_in(store, clock, await add_user(bench.open()), user_epoch=7)
        successor = child(token, await refresh(store, token, account=state()))
        clock.advance(4 * OVERLAP)
        await refresh(store, successor, account=state())
        clock.advance(OVERLAP + 1)
        await refresh(store, token, account=state(disabled=True))
        assert (await store.revocations_after(0)).session_ids == ()
        assert (await refresh(store, token, account=state())).outcome is Outcome.REPLAY

    async def test_a_password_changed_elsewhere_keeps_the_session_that_changed_it(self, bench: Bench) -> None:
        """The application tells the new epoch; the kept session moves to it, the others end."""
        store, clock = bench.open(users_elsewhere=True), bench.clock
        user = await add_user(bench.open())
        kept, other = [await sign_in(store, clock, user, user_epoch=7) for _ in range(2)]
        change = AccountChange(
            user.id, Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, keep=kept.session_id, elsewhere_epoch=8
        )
        ended = await store.change_account(change)
        assert ended is not None
        assert ended.session_ids == (other.session_id,)
        assert (await refresh(store, kept, account=state(8))).outcome is Outcome.REISSUE
        assert (await refresh(store, other, account=state(8))).reason is Reason.PASSWORD_CHANGED

    async def test_the_epoch_is_demanded_of_every_token_of_the_session(self, bench: Bench) -> None:
        """After a password change neither the newest token nor its ripe successor works."""
        store, clock = bench.open(), bench.clock
        token = await succeed(store, clock, await signed_in(store, clock))
        successor = child(token, await refresh(store, token))
        clock.advance(4 * OVERLAP)
        await store.change_account(
            AccountChange("u_ada", Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, password_hash="new")
        )
        for presented in (token, successor):
            assert (await refresh(store, presented)).reason is Reason.PASSWORD_CHANGED


class UsersInTheSameDatabase(UsersInTheSameStep, ABC):
    """The same of a store whose users are joined with their sessions."""

    @abstractmethod
    async def raise_epochs(self, bench: Any) -> None:
        """Raise the epoch of every user, and touch nothing else."""

    async def test_a_session_of_an_older_epoch_is_refused_though_nobody_ended_it(self, bench: Bench) -> None:
        """The step that accepts a refresh looks at the user's epoch itself, whatever became of the session's row."""
        store = bench.open()
        token = await signed_in(store, bench.clock)
        await self.raise_epochs(bench)
        assert (await refresh(store, token)).reason is Reason.PASSWORD_CHANGED
