"""What the server tells an operator under /admin. Structs, as in `answers.py`; members that are absent are left out."""

from typing import Annotated

import msgspec

from evertoken.wire.answers import Instant

Count = Annotated[int, msgspec.Meta(ge=0)]
Next = Annotated[
    str | None,
    msgspec.Meta(
        description=(
            "Send it as `after` for the next page; absent at the end. It may come with fewer entries than asked for,"
            " even none: only 10,000 rows are looked at for one page."
        )
    ),
]


class OperatorSession(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Anybody's session, live or over."""

    id: str
    user_id: str
    username: str
    client_id: str
    delivery: str
    created_at: Instant
    created_device: str
    created_address: str
    last_refreshed_at: Instant
    device: str
    address: str
    rotations: Count
    expires_at: Instant
    state: Annotated[str, msgspec.Meta(description="`live`, or why it is over.")]
    ended_at: Instant | None = None


class OperatorSessions(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A page of sessions, the newest sign-in first."""

    sessions: list[OperatorSession]
    next: Next = None


class Evidence(msgspec.Struct, kw_only=True):
    """What proves a replay, and where the other party was last seen."""

    presented_generation: int
    presented_age_seconds: int
    session_generation: int
    since_succession_seconds: int
    other_address: str
    other_device: str


class TimelineItem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that happened to a session."""

    at: Instant
    kind: Annotated[str, msgspec.Meta(description="The kind of the audit event, or `refreshed`.")]
    text: Annotated[str, msgspec.Meta(description="What happened, for people.")]
    address: str
    device: str
    count: Annotated[int, msgspec.Meta(ge=1, description="Above 1: so many of one kind, folded into one.")]
    last_at: Annotated[Instant | None, msgspec.Meta(description="When the last of them happened.")] = None
    reason: Annotated[str | None, msgspec.Meta(description="Why it ended, where this is its end.")] = None
    operator: Annotated[str | None, msgspec.Meta(description="The id of the user who did it as an operator.")] = None
    evidence: Evidence | None = None


class Timeline(msgspec.Struct, kw_only=True):
    """The story of one session, oldest first, and how it stands now."""

    session: OperatorSession
    items: list[TimelineItem]
    outcome: Annotated[str, msgspec.Meta(description="How it stands, for people.")]


class OperatorUser(msgspec.Struct, kw_only=True):
    """A user."""

    id: str
    username: str
    disabled: bool
    roles: list[str]
    created_at: Instant
    live_sessions: Count


class OperatorUsers(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A page of users, by name."""

    users: list[OperatorUser]
    next: Next = None


class SigningKeyAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A key that signs access tokens, or did, or will."""

    kid: str
    algorithm: str
    state: Annotated[str, msgspec.Meta(description="`announced`, `signing`, `verifying` or `retired`.")]
    signs_from: Annotated[Instant | None, msgspec.Meta(description="Absent: from the first start.")] = None
    verifies_until: Annotated[Instant | None, msgspec.Meta(description="Absent: no end is set.")] = None


class SigningKeys(msgspec.Struct, kw_only=True):
    """Signing keys, the oldest first; those that are retired are kept for 30 days."""

    keys: list[SigningKeyAnswer]


class UserCounts(msgspec.Struct, kw_only=True):
    """Users."""

    total: Count
    disabled: Count


class SessionCounts(msgspec.Struct, kw_only=True):
    """Sessions by state."""

    live: Count
    ended: Annotated[
        dict[str, Count], msgspec.Meta(description="Those that are over and still kept (30 days), by reason.")
    ]


class AccessTokenCounts(msgspec.Struct, kw_only=True):
    """Access tokens. The server keeps none; these are the sessions that have one."""

    sessions: Annotated[
        Count,
        msgspec.Meta(
            description=(
                "Sessions that got one within its lifetime and that nobody has ended. One that renews early has more"
                " than one, and counts once."
            )
        ),
    ]
    users: Annotated[Count, msgspec.Meta(description="Whose they are.")]
    lifetime_seconds: int | float
    revoked: Annotated[
        Count, msgspec.Meta(description="Sessions ended within one lifetime: guards refuse what they still have.")
    ]


class UserWithSessions(msgspec.Struct, kw_only=True):
    """One of those who have the most sessions."""

    user_id: str
    username: str
    live_sessions: Count
    access_tokens: Annotated[Count, msgspec.Meta(description="As in `access_tokens.sessions`.")]


class HourAnswer(msgspec.Struct, kw_only=True):
    """What happened in one hour, from the audit trail. Ordinary refreshes do not stand there."""

    since: Instant
    sign_ins: Count
    sign_ins_failed: Count
    rate_limited: Annotated[Count, msgspec.Meta(description="At most one a minute for each address and limit.")]
    early: Count
    stale: Count
    heal: Count
    replay: Count
    ended: Annotated[dict[str, Count], msgspec.Meta(description="Sessions that were ended, by reason.")]


class Overview(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How many, and whose. Counted step by step while the server works, so two figures may be moments apart."""

    at: Annotated[Instant, msgspec.Meta(description="When this was counted: a big store is not counted at each call.")]
    sessions: SessionCounts
    access_tokens: AccessTokenCounts
    top_users: list[UserWithSessions]
    hours: Annotated[list[HourAnswer], msgspec.Meta(description="The last 24, the oldest first, the present one last.")]
    refreshes_since_start: Annotated[
        dict[str, Count], msgspec.Meta(description="By outcome, as this server's metrics have counted them.")
    ]
    users: Annotated[
        UserCounts | None, msgspec.Meta(description="Absent where users live in the application's own table.")
    ] = None
