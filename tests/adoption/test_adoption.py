"""Coming over from simplejwt or Flask-JWT-Extended without a sign-in wave, over real HTTP."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.accounts.clients import new_client
from evertoken.accounts.users import User
from evertoken.edge.settings import Settings
from evertoken.edge.settings.sources import SettingsRefused, contradictions, load, to_environment
from evertoken.errors import ConfigurationError
from evertoken.secret import Secret
from evertoken.sessions.model import AccountChange, EventKind, session_id_bytes
from evertoken.sessions.rotation import Reason
from tests.adoption.tokens import DAY, ISSUED, KEY, VECTORS, Vector, an_hour_later, changed, settings, vector
from tests.stores.compliance.bench import OVERLAP, RIPE
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server

ADA = User("17", "ada", None, 0, False, ("staff",), 0)
HOOKED: list[tuple[dict[str, Any], User]] = []


@pytest.fixture
def clock() -> MovingClock:
    """An hour after the tokens were made."""
    return an_hour_later()


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server that adopts simplejwt's tokens, with ada in its table under the id she had before."""
    with server(tmp_path, clock) as running:
        yield running


def server(
    folder: Path, clock: MovingClock, library: str = "simplejwt", algorithm: str = "HS256", **more: Any
) -> AbstractContextManager[LiveServer]:
    made = live_server(folder, clock=clock, **settings(library, algorithm, **more))
    return _WithAda(made, adds="user_directory" not in more)


class _WithAda(AbstractContextManager[LiveServer]):
    def __init__(self, made: AbstractContextManager[LiveServer], *, adds: bool) -> None:
        self._made, self._adds = made, adds

    def __enter__(self) -> LiveServer:
        live = self._made.__enter__()
        if self._adds and live.run(live.server.store.find_by_id("17")) is None:
            live.run(live.server.store.add_user(ADA))
        return live

    def __exit__(self, *error: object) -> None:
        self._made.__exit__(*error)  # type: ignore[arg-type]


def refresh(http: httpx2.Client, token: str) -> httpx2.Response:
    return http.post("/auth/refresh", json={"refresh_token": token})


def granted(http: httpx2.Client, token: str) -> dict[str, Any]:
    answer = refresh(http, token)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def oauth(http: httpx2.Client, token: str, **more: str) -> httpx2.Response:
    return http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token, **more})


def claims(http: httpx2.Client, tokens: dict[str, Any]) -> dict[str, Any]:
    answer = http.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sessions(live: LiveServer) -> list[Any]:
    found: list[Any] = live.run(live.server.store.list_sessions(user_id="17"))
    return found


def assert_refused(http: httpx2.Client, token: str, code: str = "token_invalid", reason: str | None = None) -> None:
    answer = refresh(http, token)
    assert (answer.status_code, answer.json()["code"], answer.json().get("reason")) == (401, code, reason)
    plain = oauth(http, token)
    assert (plain.status_code, plain.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "real", [v for v in VECTORS if v.kind == "refresh"], ids=lambda v: f"{v.library} {v.algorithm}"
)
def test_a_refresh_token_of_another_library_becomes_a_session(tmp_path: Path, clock: MovingClock, real: Vector) -> None:
    """Who was signed in before stays signed in: the old refresh token earns an evertoken pair, and that goes on."""
    with server(tmp_path, clock, real.library, real.algorithm) as live, live.client() as http:
        tokens = granted(http, real.token)
        assert tokens["refresh_token"].startswith("etr_")
        assert tokens["expires_in"] == 1800
        said = claims(http, tokens)
        assert (said["sub"], said["preferred_username"], said["roles"]) == ("17", "ada", ["staff"])
        assert said["client_id"] == "evertoken"
        for _ in range(5):
            clock.advance(DAY)
            renewed = granted(http, tokens["refresh_token"])
            assert renewed["session_id"] == tokens["session_id"]
            tokens = renewed
        [session] = sessions(live)
        [began, *_] = live.run(live.server.store.timeline(session.id))
        assert (began.kind, began.detail["adopted_from"]) == (EventKind.SIGN_IN, real.library)


def test_an_oauth_client_swaps_its_token_at_the_token_endpoint(tmp_path: Path, clock: MovingClock) -> None:
    """The same at /oauth/token, for the client that asks; another client gets nothing for that token."""
    with server(tmp_path, clock) as live, live.client() as http:
        answer = oauth(http, vector().token, client_id="mobile")
        assert answer.status_code == 200, answer.text
        assert claims(http, answer.json())["client_id"] == "mobile"
        assert oauth(http, vector().token, client_id="other").json()["error"] == "invalid_grant"
        assert oauth(http, vector().token, client_id="mobile").status_code == 200
        assert len(sessions(live)) == 1
        strange = changed(jti="strange")
        assert oauth(http, strange, client_id="a\nb").json()["error"] == "invalid_request"


def test_a_confidential_client_must_prove_itself_first(live: LiveServer, http: httpx2.Client) -> None:
    """A token of another library opens no way around a client's secret."""
    client, secret = new_client("backend", now_ms=live.clock())
    live.run(live.server.store.add_client(client))
    assert oauth(http, vector().token, client_id="backend").json()["error"] == "invalid_client"
    assert oauth(http, vector().token, client_id="backend", client_secret="wrong").json()["error"] == "invalid_client"
    assert sessions(live) == []
    answer = oauth(http, vector().token, client_id="backend", client_secret=secret.reveal())
    assert claims(http, answer.json())["client_id"] == "backend"


def test_an_answer_that_was_lost_is_given_again_for_the_same_session(live: LiveServer, http: httpx2.Client) -> None:
    """A phone that lost the answer in a tunnel presents the old token again, minutes or hours later, and goes on."""
    lost = granted(http, vector().token)
    for pause in (0, OVERLAP - 1, RIPE, 5 * 3600):
        live.clock.advance(pause)
        tokens = granted(http, vector().token)
        assert tokens["session_id"] == lost["session_id"]
    live.clock.advance(RIPE)
    assert granted(http, tokens["refresh_token"])["session_id"] == lost["session_id"]
    assert len(sessions(live)) == 1


def test_a_token_shown_again_after_its_successor_ends_the_session(live: LiveServer, http: httpx2.Client) -> None:
    """Once the evertoken pair is in use, whoever shows the old token is a second party: the session ends for both."""
    tokens = granted(http, vector().token)
    live.clock.advance(RIPE)
    tokens = granted(http, tokens["refresh_token"])
    late = refresh(http, vector().token)
    assert (late.status_code, late.json()["code"]) == (503, "stale")
    live.clock.advance(OVERLAP + 1)
    assert_refused(http, vector().token, "session_over", "replayed")
    assert refresh(http, tokens["refresh_token"]).json()["reason"] == "replayed"
    assert sessions(live) == []


def test_many_at_once_begin_one_session(live: LiveServer) -> None:
    """Tabs, retries and two workers that present the same token at once share one session."""
    with ThreadPoolExecutor(8) as pool, live.client() as http:
        answers = list(pool.map(lambda _: refresh(http, vector().token), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["session_id"] for answer in answers}) == 1
    assert len(sessions(live)) == 1


def test_two_servers_on_one_store_adopt_a_token_once(tmp_path: Path, clock: MovingClock) -> None:
    """Once is once for all workers together, and after a restart."""
    secret = (Secret("s" * 40),)
    with (
        server(tmp_path, clock, secret=secret) as one,
        server(tmp_path, clock, secret=secret) as other,
        one.client() as to_one,
        other.client() as to_other,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda http: refresh(http, vector().token), [to_one, to_other] * 8)
        found = {answer.json()["session_id"] for answer in answers}
        assert len(found) == 1
    with server(tmp_path, clock, secret=secret) as live, live.client() as http:
        assert granted(http, vector().token)["session_id"] in found


def test_a_sign_out_is_final(live: LiveServer, http: httpx2.Client) -> None:
    """After a sign-out the old token, which nobody can take back, signs nobody in."""
    tokens = granted(http, vector().token)
    http.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert_refused(http, vector().token, "session_over", "signed_out")
    assert sessions(live) == []


@pytest.mark.parametrize(
    "token",
    [
        changed(exp=ISSUED + 3600),
        changed(token_type="access"),
        changed(iss="https://other.example"),
        changed(jti=None),
        changed(user_id=None),
        vector(kind="access").token,
        vector(kind="refresh with issuer and audience").token,
        vector("flask-jwt-extended").token,
        vector(algorithm="RS256").token,
        vector().token[:-4] + "AAAA",
        vector().token.rpartition(".")[0] + ".",
        "eyJhbGciOiJub25lIn0." + vector().token.split(".")[1] + ".",
        "a.b.c",
    ],
)
def test_a_token_that_is_not_good_begins_nothing(
    live: LiveServer, http: httpx2.Client, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Expired, of another kind, issuer, library or key, unsigned: one answer, no session, and no token in the log."""
    with caplog.at_level(logging.DEBUG):
        assert_refused(http, token)
    assert sessions(live) == []
    assert token not in caplog.text
    assert token.split(".")[1] not in caplog.text or len(token) < 20
    assert "a refresh token of simplejwt refused" in caplog.text


def test_a_user_who_is_unknown_or_disabled_is_not_signed_in(live: LiveServer, http: httpx2.Client) -> None:
    """The account decides, now; a genuine token is told the reason, as for every session that is over."""
    assert_refused(http, changed(user_id="18"), "session_over", "unknown")
    store = live.server.store
    live.run(store.add_user(replace(ADA, id="19", username="bob", disabled=True)))
    assert_refused(http, changed(user_id="19"), "session_over", "account_disabled")
    assert live.run(store.list_sessions()) == []


@pytest.mark.parametrize("kind", [EventKind.PASSWORD_CHANGED, EventKind.SIGNED_OUT_EVERYWHERE])
def test_a_new_password_or_a_sign_out_everywhere_ends_old_tokens_too(
    live: LiveServer, http: httpx2.Client, kind: EventKind
) -> None:
    """Whoever changes the password shuts out a thief who holds a token of the time before evertoken."""
    changed_hash = "new" if kind is EventKind.PASSWORD_CHANGED else None
    change = AccountChange("17", Reason.PASSWORD_CHANGED, kind, password_hash=changed_hash)
    assert live.run(live.server.store.change_account(change)) is not None
    assert_refused(http, vector().token, "session_over", "password_changed")
    assert sessions(live) == []


def test_adoption_ends_on_its_date(live: LiveServer, http: httpx2.Client) -> None:
    """From adopt_until on, no old token is taken; who was adopted before stays signed in."""
    tokens = granted(http, vector().token)
    for _ in range(4):
        live.clock.advance(5 * DAY)
        tokens = granted(http, tokens["refresh_token"])
    fresh = changed(jti="another", exp=ISSUED + 90 * DAY)
    assert granted(http, fresh)["session_id"] != tokens["session_id"]
    live.clock.advance(DAY)
    assert_refused(http, changed(jti="late", exp=ISSUED + 90 * DAY))
    assert_refused(http, fresh)
    assert granted(http, tokens["refresh_token"])["session_id"] == tokens["session_id"]


def test_it_is_off_unless_it_is_asked_for(tmp_path: Path, clock: MovingClock) -> None:
    """Without the settings, a token of another library is nothing, even if our own secret had signed it."""
    with live_server(tmp_path, clock=clock, secret=(Secret(KEY),)) as live, live.client() as http:
        live.run(live.server.store.add_user(ADA))
        assert_refused(http, vector().token)


def test_a_token_of_ours_is_refreshed_as_ever(live: LiveServer, http: httpx2.Client) -> None:
    """Adoption stands beside rotation: our own tokens, good and bad, are answered as without it."""
    live.add_user("bob")
    tokens = live.sign_in(http, "bob")
    assert granted(http, tokens["refresh_token"])["session_id"] == tokens["session_id"]
    assert_refused(http, "etr_" + "A" * 128)
    assert http.post("/auth/refresh").status_code == 401


def test_a_cookie_beside_an_old_token_is_refused(live: LiveServer, http: httpx2.Client) -> None:
    """Two credentials in one call are one too many, as ever."""
    answer = http.post(
        "/auth/refresh",
        json={"refresh_token": vector().token},
        headers={"Cookie": f"{live.server.services.cookie.name}=x", "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 400
    assert sessions(live) == []


def test_users_may_be_named_by_their_name_and_by_a_claim_of_your_choice(tmp_path: Path, clock: MovingClock) -> None:
    """adopt_user_claim and adopt_user_by fit what the application wrote into its tokens."""
    more = {"adopt_user_claim": "login", "adopt_user_by": "username"}
    with server(tmp_path, clock, **more) as live, live.client() as http:
        assert claims(http, granted(http, changed(login="ADA")))["sub"] == "17"
        assert_refused(http, changed(jti="b"))


def deny_blacklisted(said: dict[str, Any], user: User) -> bool:
    """A hook as docs/adopting.md shows it."""
    HOOKED.append((said, user))
    if said["jti"] == "breaks":
        raise RuntimeError("the application's database is down")
    return bool(said["jti"] != "blacklisted")


def test_the_application_has_the_last_word(tmp_path: Path, clock: MovingClock) -> None:
    """adopt_hook sees claims and user, and what it denies, such as a blacklisted jti, begins nothing."""
    HOOKED.clear()
    hook = "tests.adoption.test_adoption:deny_blacklisted"
    with server(tmp_path, clock, adopt_hook=hook) as live, live.client() as http:
        assert_refused(http, changed(jti="blacklisted"), "session_over", "revoked")
        broken = refresh(http, changed(jti="breaks"))
        assert (broken.status_code, broken.json()["code"]) == (503, "unavailable")
        assert sessions(live) == []
        granted(http, vector().token)
    said, user = HOOKED[-1]
    assert (said["jti"], user.username) == (vector().claims["jti"], "ada")


class Table:
    """The application's own users."""

    user = replace(ADA, epoch=5)

    async def find_by_username(self, username: str) -> User | None:
        return self.user if username == "ada" else None

    async def find_by_id(self, user_id: str) -> User | None:
        return self.user if user_id == "17" else None

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        return False


TABLE = Table()


def test_users_of_the_applications_own_table_are_adopted_too(tmp_path: Path, clock: MovingClock) -> None:
    """With a user directory, tokens are swapped for its users, whatever numbers its epochs are."""
    where = "tests.adoption.test_adoption:TABLE"
    with server(tmp_path, clock, user_directory=where) as live, live.client() as http:
        tokens = granted(http, vector().token)
        assert claims(http, tokens)["preferred_username"] == "ada"
        assert granted(http, tokens["refresh_token"])["session_id"] == tokens["session_id"]
        assert session_id_bytes(tokens["session_id"]) is not None
        assert_refused(http, changed(user_id="18"), "session_over", "unknown")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"adopt_until": "2026-12-01", "adopt_key": KEY, "adopt": "pyjwt"}, "--adopt: must be one of simplejwt"),
        ({"adopt": "simplejwt", "adopt_key": KEY}, "adopt_until: must be set"),
        ({"adopt": "simplejwt", "adopt_until": "2026-12-01"}, "adopt_key: must be set"),
        ({"adopt_key": KEY}, "adopt: must be simplejwt or flask"),
        ({"adopt": "simplejwt", "adopt_key": KEY, "adopt_until": "soon"}, "must be a date"),
        ({"adopt": "simplejwt", "adopt_key": KEY, "adopt_until": "2026-12-01T12:00"}, "offset from UTC"),
        ({"adopt_algorithm": "none"}, "must be one of HS256"),
        ({"adopt_user_by": "email"}, "must be one of id, username"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_start(given: dict[str, str], words: str) -> None:
    """A missing key or date is said in one line, and the key is not shown."""
    with pytest.raises(SettingsRefused, match=words) as refused:
        load(given, {})
    assert KEY not in str(refused.value)


def test_adoption_has_to_end_within_a_year(tmp_path: Path, clock: MovingClock) -> None:
    """A date of next century is refused; one that has passed turns adoption off and stops nothing."""
    far = datetime.fromtimestamp(clock() / 1000, UTC) + timedelta(days=367)
    with pytest.raises(ConfigurationError, match="within a year"), server(tmp_path, clock, adopt_until=far):
        pass
    past = datetime.fromtimestamp(clock() / 1000, UTC)
    with server(tmp_path, clock, adopt_until=past) as live, live.client() as http:
        assert_refused(http, vector().token)


def test_the_settings_reach_worker_processes_unchanged() -> None:
    """A key in PEM, with its line breaks, and the date are read back from the environment as they were."""
    given = Settings(**settings("flask-jwt-extended", "RS256", adopt_issuer="https://old.example"))
    assert contradictions(given) == []
    read = load({}, to_environment(given))
    assert (read.adopt_key, read.adopt_until, read.adopt) == (given.adopt_key, given.adopt_until, given.adopt)
    early = load({"adopt": "simplejwt", "adopt_until": "2026-12-01T02:00+02:00", "adopt_key": KEY}, {})
    assert early.adopt_until == datetime(2026, 12, 1, tzinfo=UTC)
    assert KEY not in repr(load({"adopt": "simplejwt", "adopt_key": KEY, "adopt_until": "2026-12-01"}, {}))
