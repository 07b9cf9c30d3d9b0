"""Beginning and ending a session: sign in, take over tokens, sign out. Blocks."""

import logging
from collections.abc import Callable
from typing import Any

from evertoken.client import cookies
from evertoken.client.calls import login_call, logout_call
from evertoken.client.http import Answer, NoAnswer, NotSent
from evertoken.client.refresher import plan
from evertoken.client.refresher.answers import Tokens, Unusable, parse_body, read_tokens, retry_after
from evertoken.client.refresher.record import Record, is_token
from evertoken.client.refreshing import ANSWER_WITHIN_SECONDS, Surroundings
from evertoken.errors import (
    ConfigurationError,
    SignInRefused,
    SignInUnavailable,
    SignOutUnavailable,
    TokenStoreRefused,
    TokenStoreUnavailable,
)
from evertoken.secret import Secret
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.pointer import find

log = logging.getLogger("evertoken.client")


def login(
    around: Surroundings,
    username: str,
    password: Secret,
    extra: dict[str, Any],
    *,
    keep: Callable[[Record], Record | None],
) -> None:
    """
    Sign in and keep the tokens; the session that they replace is ended at its server, if that can be reached.

    Args:
        around, username, password, extra: As in `Session.login`.
        keep: Stores the new session and gives what stood in its place, as `Gate.keep` does.

    Raises:
        SignInRefused, SignInUnavailable, TokenStoreRefused, TokenStoreUnavailable: As `Session.login` says.
        ConfigurationError: The dialect has no sign-in.
    """
    call = around.dialect.login
    if call is None:
        raise ConfigurationError("dialect", "it has no sign-in: hand over tokens with Session.adopt")
    around.read()
    around.store.prepare()
    sent_at = around.now().wall
    try:
        answer = around.transport(
            login_call(
                around.server, call, username, password.reveal(), extra, sets_cookie=around.dialect.is_by_cookie
            ),
            timeout_seconds=around.timeout_seconds,
        )
    except (NotSent, NoAnswer) as error:
        raise SignInUnavailable(str(error)) from error
    tokens = _tokens_of(around, answer)
    new = plan.successor(
        Record(server=around.server, version=0, session_id=tokens.session_id, account=username), tokens, sent_at=sent_at
    )
    try:
        old = keep(new)
    except (TokenStoreRefused, TokenStoreUnavailable):
        _try_to_end(around, new, "could not be kept")
        raise
    is_same = old is not None and old.session_id is not None and old.session_id == new.session_id
    if old is not None and not is_same and old.refresh_token != new.refresh_token:
        _try_to_end(around, old, "was replaced")


def adopted(
    around: Surroundings,
    *,
    access_token: str,
    refresh_token: str | None,
    expires_in: float | None,
    session_id: str | None,
    account: str | None,
) -> Record:
    """The record of tokens that somebody else has fetched; see `Session.adopt`."""
    for name, token in (("access_token", access_token), ("refresh_token", refresh_token)):
        if token is not None and not is_token(token):
            raise ValueError(f"{name} is no token: it must be visible ASCII without spaces")
    if refresh_token is not None and around.dialect.is_by_cookie and cookies.unpack(refresh_token) is None:
        raise ValueError("refresh_token is no cookie: in this dialect only a sign-in brings one")
    if expires_in is not None and not expires_in > 0:
        raise ValueError("expires_in must be above 0: the seconds that the access token still lives")
    tokens = Tokens(access_token, refresh_token, expires_in, None, session_id)
    return plan.successor(
        Record(server=around.server, version=0, session_id=session_id, account=account),
        tokens,
        sent_at=around.now().wall,
    )


def logout(around: Surroundings) -> Record | None:
    """
    End the session at the server, then here; with the lease held, so that no refresh brings it back.

    Returns:
        A session that somebody has begun in its place in the meantime, and that stays; None: there is nothing left.

    Raises:
        SignOutUnavailable, TokenStoreRefused, TokenStoreUnavailable: As `Session.logout` says.
    """
    with around.store.lease(timeout_seconds=around.timeout_seconds):
        around.catch_up()
        document, stored = around.read()
        if stored is None:
            return None
        if stored.refresh_token is not None:
            _end_at_server(around, stored.refresh_token)
        return None if around.store.swap(document, None) else around.read()[1]


def _try_to_end(around: Surroundings, record: Record, why: str) -> None:
    if record.refresh_token is None:
        return
    try:
        _end_at_server(around, record.refresh_token)
    except (SignOutUnavailable, ConfigurationError) as error:  # the latter: its token is of another dialect
        log.info("%s: the session that %s could not be ended there: %s", around.server, why, error)


def _end_at_server(around: Surroundings, refresh_token: str) -> None:
    call = logout_call(around.server, around.dialect, refresh_token)
    if call is None:
        return
    try:
        answer = around.transport(call, timeout_seconds=min(ANSWER_WITHIN_SECONDS, around.timeout_seconds))
    except (NotSent, NoAnswer) as error:
        raise SignOutUnavailable(f"the server has not confirmed the sign-out: {error}") from error
    # Where it does not know the token there is nothing left to end; another 4xx, such as invalid_client, ends nothing.
    document = parse_body(answer.body)
    is_over = around.dialect.refresh_verdict(answer.status, document) == "over"
    is_done = 200 <= answer.status < 300 and not _is_failure(around.dialect, document)  # noqa: PLR2004
    if not is_done and not is_over:
        wait = retry_after(answer.headers)
        raise SignOutUnavailable(
            f"the server has not confirmed the sign-out: it answered {answer.status}",
            retry_after_seconds=int(wait) if wait else 1,
        )


def _tokens_of(around: Surroundings, answer: Answer) -> Tokens:
    document = parse_body(answer.body)
    is_refused = around.dialect.verdict(answer.status, document) != "accepted" or _is_failure(around.dialect, document)
    if 200 <= answer.status < 300 and not is_refused:  # noqa: PLR2004
        tokens = read_tokens(around.dialect, document)
        if isinstance(tokens, Tokens) and around.dialect.is_by_cookie:
            tokens = cookies.kept(around.dialect, tokens, headers=answer.headers, document=document, before=None)
        if isinstance(tokens, Unusable):
            raise SignInUnavailable(f"the answer to the sign-in cannot be used: {tokens.why}")
        return tokens
    wait = retry_after(answer.headers)
    if answer.status == 429 or answer.status >= 500:  # noqa: PLR2004
        raise SignInUnavailable(
            f"the server takes no sign-in now ({answer.status})", retry_after_seconds=int(wait) if wait else 1
        )
    code, detail = (find(document, place) for place in _told_at(around.dialect))
    raise SignInRefused(
        code if isinstance(code, str) else _status_told(around.dialect, answer.status, document),
        detail if isinstance(detail, str) else f"the server answered {answer.status}",
    )


def _told_at(dialect: Dialect) -> tuple[str, str]:
    """Where a failure has its code and its text for people."""
    manner = dialect.failure
    if manner is None:
        return "/code", "/detail"
    return manner.code_at or "/code", manner.message_at or "/detail"


def _status_told(dialect: Dialect, status: int, document: Any) -> str:
    """The failure's number: in the body where the dialect has it there, else of HTTP."""
    place = dialect.failure.status_at if dialect.failure is not None else None
    found = None if place is None else find(document, place)
    return str(found) if isinstance(found, int | str) and not isinstance(found, bool) else str(status)


def _is_failure(dialect: Dialect, document: Any) -> bool:
    """Whether an answer of HTTP 2xx is a failure all the same: its envelope does not say success."""
    if dialect.failure is None:
        return False
    constants = dialect.success.body
    if constants and isinstance(document, dict):
        return any(_as_said(document.get(name)) != _as_said(value) for name, value in constants.items())
    return any(isinstance(find(document, place), str) for place in _told_at(dialect))


def _as_said(value: Any) -> Any:
    """A number and its text are the same, as in a match of the dialect."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
