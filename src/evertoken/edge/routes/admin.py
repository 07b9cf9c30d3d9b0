"""
What an operator may see and do: how it stands, users, signing keys. Sessions are in `admin_sessions.py`.

Every route demands an access token that carries the role `admin`; what an operator does is recorded under his id.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.accounts.users import User
from evertoken.edge.answers import empty, json_answer, refuse
from evertoken.edge.operators import MAX_CURSOR_CHARACTERS, Operators, limit_of, text_of
from evertoken.edge.overview import Overviews
from evertoken.edge.routes.admin_sessions import AdminSessionRoutes
from evertoken.edge.services import Services
from evertoken.sessions.keys import KeyState, StoredKey, key_states
from evertoken.sessions.model import AccountChange, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.wire.operator_answers import OperatorUser, OperatorUsers, SigningKeyAnswer, SigningKeys


class AdminRoutes:
    """The routes under /admin."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._operators = Operators(services)
        self._overviews = Overviews(services)
        self._sessions = AdminSessionRoutes(services, self._operators, self._overviews)
        self._rotating = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Users can be managed here only where they are kept here; else these routes say where."""
        return [
            Route("/admin/overview", self.overview, methods=["GET"]),
            Route("/admin/users", self.users, methods=["GET"]),
            Route("/admin/users/{id}/disable", self.disable, methods=["POST"]),
            Route("/admin/users/{id}/enable", self.enable, methods=["POST"]),
            Route("/admin/users/{id}/sessions", self.end_sessions, methods=["DELETE"]),
            Route("/admin/keys", self.keys, methods=["GET"]),
            Route("/admin/keys/rotate", self.rotate, methods=["POST"]),
            *self._sessions.routes(),
        ]

    async def overview(self, request: Request) -> Response:
        """How many tokens are out there, and whose; and what has happened within a day."""
        self._operators.admit(request)
        return json_answer(await self._overviews.overview())

    async def users(self, request: Request) -> Response:
        """A page of users, by name."""
        self._operators.admit(request)
        self._demand_own_users()
        store = self._services.store
        page = await store.search_users(
            text_of(request, "search"),
            after=text_of(request, "after", most=MAX_CURSOR_CHARACTERS) or None,
            limit=limit_of(request),
        )
        live = await store.live_sessions_of([user.id for user in page.users])
        users = [_user(user, live.get(user.id, 0)) for user in page.users]
        return json_answer(OperatorUsers(users=users, next=page.after))

    async def disable(self, request: Request) -> Response:
        """Disable a user and end all of the user's sessions."""
        return await self._change(request, Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)

    async def end_sessions(self, request: Request) -> Response:
        """End all of a user's sessions; a sign-in that is under way does not slip through."""
        return await self._change(request, Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE)

    async def enable(self, request: Request) -> Response:
        """Let a disabled user sign in again; enabling one who is enabled changes nothing."""
        operator = self._operators.admit(request)
        user = await self._user(request)
        if await self._services.store.enable(user.id, operator):
            now_ms = self._services.clock()
            event = Event(EventKind.ACCOUNT_ENABLED, now_ms, user_id=user.id, username=user.username, caller=operator)
            self._services.hub.publish((event,))
        self._overviews.forget()
        return empty()

    async def keys(self, request: Request) -> Response:
        """The signing keys and what each does now."""
        self._operators.admit(request)
        await self._services.keys.reload()  # another worker or the command line may have made one
        return json_answer(SigningKeys(keys=list(self._keys().values())))

    async def rotate(self, request: Request) -> Response:
        """Make a new key; it is announced now and signs once every guard can know it."""
        operator = self._operators.admit(request)
        services = self._services
        async with self._rotating:
            await services.keys.reload()
            now_ms = services.clock()
            made = await services.keys.rotate(now_ms=now_ms)
        event = Event(EventKind.KEY_ROTATED, now_ms, caller=operator, detail={"kid": made.kid})
        await services.store.record(event)
        services.hub.publish((event,))
        return json_answer(self._keys()[made.kid])

    def _keys(self) -> dict[str, SigningKeyAnswer]:
        stored = self._services.keys.stored()
        states = key_states(stored, now_ms=self._services.clock())
        return {key.kid: _key(key, state) for key, state in zip(stored, states, strict=True)}

    async def _change(
        self, request: Request, reason: Reason, event: EventKind, *, disabled: bool | None = None
    ) -> Response:
        operator = self._operators.admit(request)
        user = await self._user(request)
        change = AccountChange(user.id, reason, event, caller=operator, disabled=disabled)
        if not await self._services.sessions.change_account(change):
            raise _no_user()
        self._overviews.forget()
        return empty()

    async def _user(self, request: Request) -> User:
        self._demand_own_users()
        user = await self._services.store.find_by_id(request.path_params["id"])
        if user is None:
            raise _no_user()
        return user

    def _demand_own_users(self) -> None:
        if self._services.settings.user_directory:
            raise refuse(
                404,
                "not_found",
                "Users are kept by the application (user_directory): manage them there. Their sessions are under"
                " /admin/sessions?user_id=ID.",
            )


def _no_user() -> Exception:
    return refuse(404, "not_found", "There is no user of this id; GET /admin/users lists them.")


def _user(user: User, live_sessions: int) -> OperatorUser:
    return OperatorUser(
        id=user.id,
        username=user.username,
        disabled=user.disabled,
        roles=list(user.roles),
        created_at=user.created_at_ms // 1000,
        live_sessions=live_sessions,
    )


def _key(key: StoredKey, state: KeyState) -> SigningKeyAnswer:
    return SigningKeyAnswer(
        kid=key.kid,
        algorithm=key.algorithm,
        state=state.value,
        signs_from=key.signs_from_ms // 1000 or None,
        verifies_until=None if key.verifies_until_ms is None else key.verifies_until_ms // 1000,
    )
