"""Forged tokens, by their numbers in the list of attacks: 401 at every guard, and nothing is fetched, opened or run."""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import bearer, forged, request, sent_or_hung_up, signing_key
from tests.edge.test_attack_tokens import FORGERIES
from tests.frameworks.compliance.bench import HANDLED
from tests.frameworks.compliance.stand import EXPIRED, PLACES, Stand, Standing, refused, standing
from tests.support.clock import MovingClock
from tests.support.server import live_server

ODD_KIDS: Final = (
    "../../dev/null",
    "/etc/passwd",
    "' UNION SELECT 'k",
    "|sleep 10",
    "$(id)",
    "http://127.0.0.1:1/",
    "x",
)

_OPENS: Final = ("open", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "sqlite3.connect", "import")


class _Watch:
    """What this process does while it is watched: an audit hook can be added once and never removed."""

    def __init__(self) -> None:
        self.done: list[str] | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.done is not None and event in _OPENS:
            self.done.append(f"{event} {args[:1]}")


_watch: list[_Watch] = []


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Every file, program, database and module that is opened within."""
    if not _watch:
        _watch.append(_Watch())
    done: list[str] = []
    _watch[0].done = done
    try:
        yield done
    finally:
        _watch[0].done = None


class Forging(Standing):
    @pytest.mark.parametrize("attack", FORGERIES)
    def test_a_forged_token_is_refused(self, stand: Stand, attack: str) -> None:
        """Whatever is wrong with an access token, the answer is 401 invalid_token, soon, and the route is not run."""
        before = stand.stage.reached
        for token in FORGERIES[attack](stand.live):
            began = time.monotonic()
            refused(stand.show(token))
            assert time.monotonic() - began < 10  # a guard elsewhere may have fetched the keys once more
        assert stand.stage.reached == before

    def test_only_a_token_that_was_good_once_is_called_expired(self, stand: Stand) -> None:
        """`token_expired` is said of a genuine token whose time has come, at `exp` already, and of no forgery."""
        now = stand.live.clock() // 1000
        for exp in (now, now - 1, now - 0.001, 0, -1):
            refused(stand.show(stand.token(exp=exp)), code="token_expired", challenge=EXPIRED)
        assert stand.show(stand.token(exp=now + 1)).status == 200
        strangers = SigningKey.generate(Algorithm.ES256)
        kid = {"kid": signing_key(stand.live).kid}
        refused(stand.show(forged(stand.live, key=strangers, header=kid, payload={"exp": now - 1})))
        refused(stand.show(stand.token(exp=now - 1, aud="other")))

    @pytest.mark.parametrize("name", ["jku", "x5u"])
    def test_a_key_elsewhere_is_never_fetched(self, stand: Stand, name: str) -> None:
        """Attack 8: a token that says where its key lies makes the application connect to nobody."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.2)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
            strangers = SigningKey.generate(Algorithm.ES256)
            for kid in (signing_key(stand.live).kid, "theirs"):
                header = {name: url, "kid": kid}
                refused(stand.show(forged(stand.live, key=strangers, header=header)))
            refused(stand.show(forged(stand.live, header={name: url})))
            with pytest.raises(TimeoutError):
                listener.accept()

    def test_no_kid_opens_a_file_a_program_or_a_database(self, stand: Stand) -> None:
        """Attack 6: a kid is looked up among the keys there are, and nowhere else."""
        tokens = [forged(stand.live, header={"kid": kid}) for kid in ODD_KIDS]
        for token in tokens:
            refused(stand.show(token))  # the first time a module may be imported, or the keys fetched once more
        with watched() as done:
            for token in tokens:
                refused(stand.show(token))
        # Other threads are watched too; none of them has a token's text to open.
        assert not [event for event in done if any(kid in event for kid in ODD_KIDS[:-1])], done
        assert not [event for event in done if not event.startswith("import")], done

    def test_a_flood_of_unknown_keys_is_answered_and_fetches_at_most_once(self, stand: Stand) -> None:
        """Attack 7: two hundred random kids cost at most one fetch of the keys, and keep nobody waiting."""
        guard = stand.stage.guard
        fetches = guard.status().key_fetches if stand.place == PLACES[1] else 0  # type: ignore[attr-defined]
        for n in range(200):
            refused(stand.show(forged(stand.live, header={"kid": f"unknown-{n}"})))
        if stand.place == PLACES[1]:
            assert guard.status().key_fetches <= fetches + 1  # type: ignore[attr-defined]
        assert stand.show(stand.token()).status == 200

    @pytest.mark.parametrize(
        ("size", "statuses"),
        [(9_000, {401}), (60_000, {400, 401, 431, HANDLED}), (1_000_000, {400, 401, 413, 431, HANDLED})],
    )
    def test_an_endless_token_is_refused_in_bounded_time(self, stand: Stand, size: int, statuses: set[int]) -> None:
        """Attack 19: more than 8 KiB is no token; what the HTTP server does not let through never reaches the guard."""
        began = time.monotonic()
        answer = sent_or_hung_up(stand.url, request("GET", "/guarded", bearer("A" * size)))
        assert answer is None or answer.status in statuses
        assert time.monotonic() - began < 10
        if size == 9_000:
            assert answer is not None
            refused(answer)

    def test_a_token_of_a_retired_key_is_refused(self, tmp_path: Path) -> None:
        """Attack 26: once the last honest token of an old key has expired, whatever it signed is worth nothing."""
        with live_server(tmp_path, clock=MovingClock()) as live, standing(self.bench, live, PLACES[0]) as stand:
            old = signing_key(live)
            live.run(live.server.services.keys.rotate(now_ms=live.clock(), announce_ms=0))
            live.clock.advance(1)
            far = {"exp": live.clock() // 1000 + 10**6}
            assert stand.show(forged(live, key=old, payload=far)).status == 200
            live.clock.advance(1800 + 61)
            live.server.guard.forget()  # as the server does when the ring is another
            refused(stand.show(forged(live, key=old, payload=far | {"jti": "t-2"})))
            assert stand.show(forged(live)).status == 200

    def test_a_good_token_is_of_no_use_to_whoever_changes_one_character(self, stand: Stand) -> None:
        """The signature covers every character: no other text is the same token, also once that has been seen."""
        token: str = stand.sign_in()["access_token"]
        assert stand.show(token).status == 200
        for at in range(0, len(token), 23):
            refused(stand.show(token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]))
        refused(stand.show(token[:-1]))
        refused(stand.show(token + "A"))
