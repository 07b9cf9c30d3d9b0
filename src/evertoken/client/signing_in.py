"""Beginning and ending a session: sign in, take over tokens, sign out. Blocks."""

import logging
from collections.abc import Callable
from typing import Any

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
            login_call(around.server, call, username, password.reveal(), extra), timeout_seconds=around.timeout_seconds
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
    except SignOutUnavailable as error:
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
    is_over = around.dialect.refresh_verdict(answer.status, parse_body(answer.body)) == "over"
    if not 200 <= answer.status < 300 and not is_over:  # noqa: PLR2004
        wait = retry_after(answer.headers)
        raise SignOutUnavailable(
            f"the server has not confirmed the sign-out: it answered {answer.status}",
            retry_after_seconds=int(wait) if wait else 1,
        )


def _tokens_of(around: Surroundings, answer: Answer) -> Tokens:
    document = parse_body(answer.body)
    refused_as_body = around.dialect.verdict(answer.status, document) != "accepted"
    if 200 <= answer.status < 300 and not refused_as_body:  # noqa: PLR2004
        tokens = read_tokens(around.dialect, document)
        if isinstance(tokens, Unusable):
            raise SignInUnavailable(f"the answer to the sign-in cannot be used: {tokens.why}")
        return tokens
    wait = retry_after(answer.headers)
    if answer.status == 429 or answer.status >= 500:  # noqa: PLR2004
        raise SignInUnavailable(
            f"the server takes no sign-in now ({answer.status})", retry_after_seconds=int(wait) if wait else 1
        )
    code, detail = find(document, "/code"), find(document, "/detail")
    raise SignInRefused(
        code if isinstance(code, str) else str(answer.status),
        detail if isinstance(detail, str) else f"the server answered {answer.status}",
    )
