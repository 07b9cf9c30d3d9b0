"""The situations, each played against a server of its own; what came of it, in a few words."""

import contextlib
import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.playing import (
    ANSWER_WITHIN_SECONDS,
    CALLERS,
    CLIENT_ID,
    LIFETIME_SECONDS,
    THINGS,
    Begin,
    How,
    Peer,
    Start,
    outcome,
    playing,
    settle,
)
from bench.peers.server import HELD, PeerServer
from bench.peers.sharing import PROCESSES, outcomes_in_processes
from bench.peers.wording import count_of
from evertoken.testing import Fault

NONE = "-"
CHUNKS = [b"a body that " * 50, b"can be read once" * 50]
LATER_SECONDS = 1.2
"""After this a failed refresh may be tried again, whoever it was that failed."""


@dataclass(frozen=True)
class Scenario:
    """
    A row of the table.

    Args:
        key: Its name on the command line.
        title: What the row is called.
        what: A sentence or two on what happens, for the page.
        play: Plays it with one half of a library.
        halves: Which halves it is for.
        is_for_one: Whether one half is enough, the first that there is.
    """

    key: str
    title: str
    what: str
    play: Callable[[Peer, How], str]
    halves: tuple[How, ...] = ("threads", "tasks")
    is_for_one: bool = False

    def cell(self, peer: Peer) -> str:
        """What came of it with a library; where its halves differ, with each."""
        halves = [how for how in self.halves if how in peer.halves]
        seen = {how: self.play(peer, how) for how in (halves[:1] if self.is_for_one else halves)}
        results = set(seen.values())
        if len(results) < 2:
            return results.pop() if results else NONE
        return "; ".join(f"{how}: {result}" for how, result in seen.items())


@dataclass(frozen=True)
class Stage:
    """A server, ada's pair, and a library opened on it."""

    server: PeerServer
    start: Start
    begin: Begin

    def one(self) -> str:
        """What comes of one request."""
        return outcome(self.begin(THINGS, None))

    def refreshes(self) -> str:
        """How many refresh calls have arrived, in words."""
        settle()
        return count_of(self.server.refresh_count, "refresh", "refreshes")


@contextlib.contextmanager
def staged(
    peer: Peer, how: How, *, left_seconds: float, is_own_server: bool = False, before: Sequence[Fault] = ()
) -> Iterator[Stage]:
    """
    Open a library on a pair.

    Args:
        left_seconds: How long it is to believe that the access token lives; below 0 it has expired at the server too.
        is_own_server: Whether the server rotates as evertoken does, and not strictly.
        before: Faults of the first refreshes.
    """
    with PeerServer(rotation="evertoken" if is_own_server else "strict") as server:
        tokens = server.sign_in(client_id=CLIENT_ID)
        if left_seconds < 0:
            server.expire_access_tokens()
        server.script_refresh(*before)
        start = Start(server.url, tokens, left_seconds, is_own_server=is_own_server)
        with playing(peer, how, start) as begin:
            yield Stage(server, start, begin)


def counted(outcomes: Sequence[str]) -> str:
    """Outcomes, each with its number, `ok` first."""
    found = Counter(outcomes)
    return ", ".join(f"{found[each]} {each}" for each in sorted(found, key=lambda text: (text != "ok", text)))


def crowd(stage: Stage) -> str:
    """Many requests at once."""
    begun = [stage.begin(THINGS, None) for _ in range(CALLERS)]
    outcomes = [outcome(each) for each in begun]
    return f"{stage.refreshes()}: {counted(outcomes)}"


def expired(peer: Peer, how: How) -> str:
    """All callers find the token expired."""
    with staged(peer, how, left_seconds=-30) as stage:
        return crowd(stage)


def refused(peer: Peer, how: How) -> str:
    """All callers are refused with a token that looks fresh."""
    with staged(peer, how, left_seconds=LIFETIME_SECONDS) as stage:
        stage.server.expire_access_tokens()
        return crowd(stage)


def processes(peer: Peer, how: How) -> str:
    """Several processes share what the library lets them share."""
    del how  # each process opens the half that it has
    if peer.save is None:
        return NONE
    with PeerServer() as server, tempfile.TemporaryDirectory() as folder:
        tokens = server.sign_in(client_id=CLIENT_ID)
        server.expire_access_tokens()
        start = Start(server.url, tokens, -30, file=Path(folder) / "tokens.json")
        peer.save(start)
        outcomes = outcomes_in_processes(peer.name, start)
        return f"{count_of(server.refresh_count, 'refresh', 'refreshes')}: {counted(outcomes)}"


def trouble_while_valid(peer: Peer, how: How) -> str:
    """The token endpoint is in trouble while the access token still lives for ten seconds."""
    with staged(peer, how, left_seconds=10, before=[Fault(status=503)] * 20) as stage:
        result = stage.one()
        return f"{result}, {stage.refreshes()}"


def trouble_when_expired(peer: Peer, how: How) -> str:
    """The token endpoint is in trouble when it is needed, and well again later."""
    with staged(peer, how, left_seconds=-30, before=[Fault(status=503)] * 20) as stage:
        first = stage.one()
        settle()
        stage.server.recover()
        threading.Event().wait(LATER_SECONDS)
        return f"{first}; later {stage.one()}"


def over(peer: Peer, how: How) -> str:
    """The session has been ended at the server."""
    with staged(peer, how, left_seconds=-30) as stage:
        stage.server.end_sessions()
        result = crowd(stage)
        return f"{result}, {count_of(len(stage.start.events), 'event', 'events') if peer.tells else 'no event'}"


def cancelled(peer: Peer, how: How) -> str:
    """Who started the refresh is cancelled when the server has rotated and before its answer is there."""
    with staged(peer, how, left_seconds=-30) as stage:
        leader = stage.begin(THINGS, None)
        stage.server.rotated.wait(ANSWER_WITHIN_SECONDS)
        waiter = stage.begin(THINGS, None)
        leader.cancel()
        second = outcome(waiter)
        return f"the other {second}, the next {stage.one()}, {stage.refreshes()}"


def late(peer: Peer, how: How) -> str:
    """The refusals of one old token come one after the other, each after the former has been dealt with."""
    paths = [f"{HELD}{number}" for number in range(5)]
    with staged(peer, how, left_seconds=LIFETIME_SECONDS) as stage:
        stage.server.expire_access_tokens()
        begun = [stage.begin(path, None) for path in paths]
        stage.server.wait_for_held(len(paths))
        outcomes = []
        for path, each in zip(paths, begun, strict=True):
            stage.server.release(path)
            outcomes.append(outcome(each))
        return f"{stage.refreshes()}: {counted(outcomes)}"


def streamed(peer: Peer, how: How) -> str:
    """A body from a generator is refused with a 401."""
    with staged(peer, how, left_seconds=LIFETIME_SECONDS) as stage:
        stage.server.expire_access_tokens()
        begun = stage.begin(THINGS, CHUNKS)
        result = outcome(begun)
        if result != "ok":
            return f"not sent again: {result}"
        arrived, whole = json.loads(begun.result().body)["length"], sum(map(len, CHUNKS))
        return "sent again whole" if arrived == whole else f"**sent again with {arrived} of {whole} bytes, and ok**"


def lost(peer: Peer, how: How) -> str:
    """The answer to a refresh is lost, at a server that rotates as evertoken does."""
    with staged(peer, how, left_seconds=-30, is_own_server=True, before=[Fault(lose_answer=True)]) as stage:
        return _twice(stage)


def lost_strictly(peer: Peer, how: How) -> str:
    """The same where each refresh token is good once."""
    with staged(peer, how, left_seconds=-30, before=[Fault(lose_answer=True)]) as stage:
        return _twice(stage)


def _twice(stage: Stage) -> str:
    first = stage.one()
    settle()
    threading.Event().wait(LATER_SECONDS)
    return f"{first}; later {stage.one()}"


SCENARIOS = (
    Scenario(
        "expired-threads",
        "8 threads, token expired",
        "Eight threads send a request at the same moment; the access token has expired, as their clocks say.",
        expired,
        ("threads",),
    ),
    Scenario(
        "refused-threads",
        "8 threads, 401 though it looked fresh",
        "The same, but by the client's clock the token is fresh: only the 401 tells that it is not.",
        refused,
        ("threads",),
    ),
    Scenario(
        "expired-tasks", "8 tasks, token expired", "As the first, with tasks of one event loop.", expired, ("tasks",)
    ),
    Scenario(
        "refused-tasks",
        "8 tasks, 401 though it looked fresh",
        "As the second, with tasks of one event loop.",
        refused,
        ("tasks",),
    ),
    Scenario(
        "processes",
        f"{PROCESSES} processes, token expired",
        "Four processes have read the same tokens, which have expired, and send a request at the same moment. They "
        "share what the library offers: a `FileStore`, or a file that the library's hook for new tokens writes and "
        "that each process reads when it starts.",
        processes,
        is_for_one=True,
    ),
    Scenario(
        "503-valid",
        "token endpoint 503, token good for 10 s",
        "One request; the access token lives for ten more seconds, and every refresh is answered 503.",
        trouble_while_valid,
    ),
    Scenario(
        "503-expired",
        "token endpoint 503, token expired",
        "The token has expired and every refresh is answered 503; then the server recovers, and 1.2 s later there is "
        "another request. Whoever has kept the refresh token goes on then.",
        trouble_when_expired,
    ),
    Scenario(
        "over",
        "session ended at the server, 8 callers",
        "An operator has ended the session; eight callers come with the expired token. An event is what an "
        "application can subscribe to, to show a sign-in page.",
        over,
    ),
    Scenario(
        "cancelled",
        "leader cancelled in mid-refresh",
        "The task whose request has caused the refresh is cancelled after the server has rotated and before its answer "
        "has arrived; another task is waiting, and one more comes afterwards.",
        cancelled,
        ("tasks",),
    ),
    Scenario(
        "late",
        "5 late 401s of one old token",
        "Five requests are under way with a token that the server has just expired. Their 401s arrive one after the "
        "other, each when the request before it is done.",
        late,
    ),
    Scenario(
        "streamed",
        "body from a generator, 401",
        "A POST whose body comes from a generator is refused with a 401, when the body has been read.",
        streamed,
    ),
    Scenario(
        "lost",
        "answer to the refresh lost, evertoken's rotation",
        "The server has rotated and its answer is lost with the connection; 1.2 s later there is another request. The "
        "server is evertoken's rotation here: a refresh token stays good until its successor is shown.",
        lost,
    ),
    Scenario(
        "lost-strict",
        "answer to the refresh lost, strict server",
        "The same at a server whose refresh tokens are good once, as in all the other rows.",
        lost_strictly,
    ),
)
