"""
The refresh itself: lease, read, decide, send, store. Runs in a thread of its own and blocks.

The decisions are those of `refresher.plan` and `refresher.answers`; here they are carried out. Nothing is told to
anybody before it is stored, and nothing newer is overwritten by anything older.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from evertoken.client import cookies
from evertoken.client.calls import refresh_call
from evertoken.client.http import NoAnswer, NotSent, Transport
from evertoken.client.refresher import plan, record
from evertoken.client.refresher.answers import Over, Tokens, Unusable, parse_body, read_refresh
from evertoken.client.refresher.holding import Moment
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome
from evertoken.client.refresher.plan import Own, judge_stored, renewed, successor, tombstone
from evertoken.client.refresher.record import Record
from evertoken.client.token_stores.protocol import Lease, TokenStore
from evertoken.errors import ConfigurationError, TokenStoreRefused, TokenStoreUnavailable
from evertoken.wire.dialects.dialect import Dialect

log = logging.getLogger("evertoken.client")

ANSWER_WITHIN_SECONDS = 10.0
"""How long one attempt may take, so that there is time for another."""

_END_NOT_STORED = "%s: the end of the session could not be stored: %s"


@dataclass(frozen=True)
class Surroundings:
    """
    What a refresh needs of the world.

    Args:
        server: The base URL.
        dialect: How it speaks.
        store: Where the tokens are.
        transport: How calls are sent.
        clock: Reads the wall and the monotonic clock, in seconds.
        pause: Waits for that many seconds.
        timeout_seconds: How long all of it may take: waiting for the lease, every attempt, every pause.
        unsaved: What could not be stored though the server had already handed it out: the document to replace and
            its successor, tried again first of all.
    """

    server: str
    dialect: Dialect
    store: TokenStore
    transport: Transport
    clock: Callable[[], tuple[float, float]]
    pause: Callable[[float], None]
    timeout_seconds: float
    unsaved: list[tuple[str | None, str]] = field(default_factory=list, repr=False)

    def now(self) -> Moment:
        """Now, by both clocks."""
        return Moment(*self.clock())

    def catch_up(self) -> None:
        """
        Store what could not be stored before; under the lease, before anything is decided by what is stored.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: It still cannot be, and will be tried again.
        """
        while self.unsaved:
            self.store.swap(*self.unsaved[0])
            self.unsaved.pop(0)

    def read(self) -> tuple[str | None, Record | None]:
        """
        The store's document, and what it says.

        Raises:
            TokenStoreRefused: It is damaged, or belongs to another server.
            TokenStoreUnavailable: It cannot be read now.
        """
        document = self.store.load()
        if document is None:
            return None, None
        try:
            found = record.parse(document)
        except record.NotOurDocument as error:
            raise TokenStoreRefused(
                f"{self.store!r} does not hold a session: {error}; remove it, or choose another place"
            ) from None
        if found.server != self.server:
            raise TokenStoreRefused(
                f"{self.store!r} holds a session of {found.server}, not of {self.server}: sign out there first, or "
                "choose another place"
            )
        return document, found


def refresh(around: Surroundings, own: Own) -> Outcome:
    """
    Get a new access token: from the store if another process has fetched one, else from the server.

    Returns:
        What came of it. Raises nothing but what is a bug.
    """
    give_up_at = around.now().monotonic + around.timeout_seconds
    try:
        if not around.unsaved:  # else what is stored is older than what is in hand
            _, stored = around.read()
            judged = judge_stored(stored, own, wall=around.now().wall)
            if judged is not None:
                return judged
        with around.store.lease(timeout_seconds=around.timeout_seconds) as lease:
            return _refresh_under(lease, around, own, give_up_at)
    except TokenStoreUnavailable as error:
        return Failed(str(error), error.retry_after_seconds)
    except (TokenStoreRefused, ConfigurationError) as error:
        return Failed(str(error), error=error)


def _refresh_under(lease: Lease, around: Surroundings, own: Own, give_up_at: float) -> Outcome:
    failed = Failed("there was no time left for a refresh")
    around.catch_up()
    for attempt in _attempts(around, give_up_at):
        read_at = around.now()
        document, stored = around.read()
        judged = judge_stored(stored, own, wall=read_at.wall)
        if judged is not None or stored is None:
            return judged or Ended(plan.SIGNED_OUT)
        around.store.prepare()
        before = around.now()
        timeout = min(ANSWER_WITHIN_SECONDS, give_up_at - before.monotonic)
        if before.wall - read_at.wall > plan.REREAD_AFTER_SECONDS or lease.seconds_left() < timeout:
            continue  # the machine slept: somebody may have refreshed meanwhile
        said = _ask(around, stored, timeout)
        if isinstance(said, Unusable):
            failed = Failed(said.why, said.retry_after_seconds)
            if said.is_final or not _pause(around, said, attempt, give_up_at):
                return failed
            continue
        outcome = _keep(around, document, stored, said, sent_at=before.wall)
        if outcome is not None:
            return outcome
    return failed


def _attempts(around: Surroundings, give_up_at: float) -> Iterator[int]:
    for attempt in range(plan.ATTEMPTS):
        if around.now().monotonic >= give_up_at:
            return
        yield attempt


def _ask(around: Surroundings, stored: Record, timeout_seconds: float) -> Tokens | Over | Unusable:
    assert stored.refresh_token is not None
    try:
        answer = around.transport(
            refresh_call(around.server, around.dialect, stored.refresh_token), timeout_seconds=timeout_seconds
        )
    except NotSent as error:
        return Unusable(str(error))
    except NoAnswer as error:
        said: Tokens | Over | Unusable = Unusable(str(error))
    else:
        said = read_refresh(
            around.dialect,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            session_id=stored.session_id,
        )
        if isinstance(said, Tokens) and around.dialect.is_by_cookie:
            said = cookies.kept(
                around.dialect,
                said,
                headers=answer.headers,
                document=parse_body(answer.body),
                before=stored.refresh_token,
            )
    if isinstance(said, Unusable) and not around.dialect.refresh_is_repeatable:
        # The server may have acted on it. evertoken takes the same token again; where one is good for a single use,
        # sending it again at once would look like theft.
        return replace(said, is_final=True)
    return said


def _pause(around: Surroundings, said: Unusable, attempt: int, give_up_at: float) -> bool:
    """Wait before the next attempt; False where it would come too late."""
    if attempt + 1 >= plan.ATTEMPTS:
        return False
    wait = said.retry_after_seconds if said.retry_after_seconds is not None else plan.PAUSES_SECONDS[attempt]
    if around.now().monotonic + wait >= give_up_at:
        return False
    around.pause(wait)
    return True


def _keep(
    around: Surroundings, document: str | None, stored: Record, said: Tokens | Over, *, sent_at: float
) -> Outcome | None:
    """Store what came, then tell; None where the store has changed meanwhile and has to be read again."""
    if isinstance(said, Over):
        try:
            is_stored = around.store.swap(document, record.render(tombstone(stored, said.reason)))
        except (TokenStoreUnavailable, TokenStoreRefused) as error:
            log.warning(_END_NOT_STORED, around.server, error)
            is_stored = True
        return Ended(said.reason, is_news=True) if is_stored else None
    new = successor(stored, said, sent_at=sent_at)
    try:
        return renewed(new, is_fetched=True) if around.store.swap(document, record.render(new)) else None
    except (TokenStoreUnavailable, TokenStoreRefused) as error:
        log.warning(
            "%s: the new tokens could not be stored, and will be before the next refresh: %s", new.server, error
        )
        around.unsaved.append((document, record.render(new)))
        return renewed(new, is_fetched=True)


def replace_stored(around: Surroundings, new: Record) -> Record | None:
    """
    Put a new sign-in in the place of whatever stands there; gives what stood there.

    Raises:
        TokenStoreRefused, TokenStoreUnavailable: Nothing was written.
    """
    while True:
        document, old = around.read()
        new = replace(new, version=old.version + 1 if old else 1)
        if around.store.swap(document, record.render(new)):
            return old


def end(around: Surroundings, own: Own, reason: str) -> Outcome:
    """
    A resource has said that the session is over: end it in the store too, unless somebody has renewed it meanwhile.

    Returns:
        What came of it. Raises nothing but what is a bug.
    """
    try:
        with around.store.lease(timeout_seconds=around.timeout_seconds):
            around.catch_up()
            document, stored = around.read()
            judged = judge_stored(stored, own, wall=around.now().wall)
            if judged is not None or stored is None:
                return judged or Ended(reason, is_news=True)
            around.store.swap(document, record.render(tombstone(stored, reason)))
    except (TokenStoreUnavailable, TokenStoreRefused, ConfigurationError) as error:
        log.warning(_END_NOT_STORED, around.server, error)
    return Ended(reason, is_news=True)
