"""Sessions, as an operator sees them: everybody's, live or over, and the story of each."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.edge.answers import empty, json_answer, refuse
from evertoken.edge.operators import Operators, cursor_of, cursor_text, limit_of, text_of
from evertoken.edge.overview import Overviews
from evertoken.edge.services import Services
from evertoken.sessions.model import EventKind, SessionRecord, session_id_bytes, session_id_text
from evertoken.sessions.operating import SessionPage, SessionSearch
from evertoken.sessions.rotation import Reason
from evertoken.sessions.story import Told, ended_at_ms, outcome, story
from evertoken.wire.operator_answers import Evidence, OperatorSession, OperatorSessions, Timeline, TimelineItem


class AdminSessionRoutes:
    """The routes under /admin/sessions."""

    def __init__(self, services: Services, operators: Operators, overviews: Overviews) -> None:
        self._services = services
        self._operators = operators
        self._overviews = overviews

    def routes(self) -> list[Route]:
        """One route for all methods of a path, so that a 405 names them all in Allow (RFC 9110 §10.2.1)."""
        return [
            Route("/admin/sessions", self.sessions, methods=["GET"]),
            Route("/admin/sessions/{id}", self.session_or_end, methods=["GET", "DELETE"]),
            Route("/admin/sessions/{id}/timeline", self.timeline, methods=["GET"]),
        ]

    async def sessions(self, request: Request) -> Response:
        """A page of sessions, the newest sign-in first."""
        self._operators.admit(request)
        state = text_of(request, "state") or "live"
        if state not in ("live", "all"):
            raise refuse(400, "invalid_request", "`state` may be `live` or `all`.")
        search = SessionSearch(
            part=text_of(request, "search").strip(" "),
            user_id=text_of(request, "user_id") or None,
            live_only=state == "live",
            after=cursor_of(request),
            limit=limit_of(request),
        )
        page = await self._named(search) or await self._services.store.search_sessions(search)
        now_ms = self._services.clock()
        return json_answer(
            OperatorSessions(
                sessions=[_session(record, now_ms=now_ms) for record in page.sessions], next=cursor_text(page.after)
            )
        )

    async def _named(self, search: SessionSearch) -> SessionPage | None:
        """The one session whose whole id was searched for: it need not be looked for in the list."""
        session_id = session_id_bytes(search.part)
        record = None if session_id is None else await self._services.store.find(session_id)
        if record is None or search.user_id not in (None, record.user_id):
            return None
        is_over = record.ended(now_ms=self._services.clock()) is not None
        return SessionPage(() if search.live_only and is_over else (record,), None)

    async def session_or_end(self, request: Request) -> Response:
        """Show one, or end it."""
        return await (self.end if request.method == "DELETE" else self.session)(request)

    async def session(self, request: Request) -> Response:
        """One session, live or over."""
        self._operators.admit(request)
        return json_answer(_session(await self._record(request), now_ms=self._services.clock()))

    async def timeline(self, request: Request) -> Response:
        """The story of one session, as `evertoken sessions explain` tells it."""
        self._operators.admit(request)
        record = await self._record(request)
        events = await self._services.store.timeline(record.id)
        now_ms = self._services.clock()
        return json_answer(
            Timeline(
                session=_session(record, now_ms=now_ms),
                items=[_item(told) for told in story(record, events)],
                outcome=outcome(record, now_ms=now_ms),
            )
        )

    async def end(self, request: Request) -> Response:
        """End one session; ending one twice is no error."""
        operator = self._operators.admit(request)
        record = await self._record(request)
        await self._services.sessions.end(record.id, operator, reason=Reason.REVOKED)
        self._overviews.forget()
        return empty()

    async def _record(self, request: Request) -> SessionRecord:
        session_id = session_id_bytes(request.path_params["id"])
        record = None if session_id is None else await self._services.store.find(session_id)
        if record is None:
            raise refuse(404, "not_found", "There is no session of this id; they are kept for 30 days after their end.")
        return record


def _session(record: SessionRecord, *, now_ms: int) -> OperatorSession:
    ended = record.ended(now_ms=now_ms)
    return OperatorSession(
        id=session_id_text(record.id),
        user_id=record.user_id,
        username=record.username,
        client_id=record.client_id,
        delivery=record.delivery.name.lower(),
        created_at=record.created_at_ms // 1000,
        created_device=record.created_from.device,
        created_address=record.created_from.address,
        last_refreshed_at=record.refreshed_at_ms // 1000,
        device=record.refreshed_from.device,
        address=record.refreshed_from.address,
        rotations=record.rotations,
        expires_at=record.expires_at_ms() // 1000,
        state="live" if ended is None else ended.value,
        ended_at=None if ended is None else ended_at_ms(record) // 1000,
    )


def _item(told: Told) -> TimelineItem:
    event = told.event
    return TimelineItem(
        at=told.at_ms // 1000,
        kind=told.kind,
        text=told.text,
        address=told.caller.address,
        device=told.caller.device,
        count=told.count,
        last_at=told.last_at_ms // 1000 if told.count > 1 and told.last_at_ms is not None else None,
        reason=None if event is None else event.reason,
        operator=told.caller.operator or None,
        evidence=None if event is None or event.kind is not EventKind.REPLAY else _evidence(told),
    )


def _evidence(told: Told) -> Evidence:
    assert told.event is not None
    detail = told.event.detail
    return Evidence(
        presented_generation=detail["presented_generation"],
        presented_age_seconds=detail["presented_age_ms"] // 1000,
        session_generation=detail["session_generation"],
        since_succession_seconds=detail["since_succession_ms"] // 1000,
        other_address=detail["owner_address"],
        other_device=detail["owner_device"],
    )
