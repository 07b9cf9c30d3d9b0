"""A second service that knows the issuer's address and a client credential, nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.process import run_evertoken
from tests.two_services.serving import Both, Orders, both


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Both]:
    with both(tmp_path) as made:
        yield made


def test_a_sign_out_at_the_issuer_is_heard_of_in_the_second_service(
    services: Both, tell: Callable[[str], None]
) -> None:
    """Tokens pass without a word to the issuer, until their session ends there; then they are refused."""
    tokens, other = services.sign_in(), services.sign_in()
    answer = services.orders.ask(tokens["access_token"])
    assert (answer.status, answer.json()) == (200, {"orders of": "usr_ada"})
    assert services.orders.ask().code == "token_invalid"
    services.sign_out(tokens)
    tell(f"refused {services.refused(tokens) * 1000:.1f} ms after the sign-out's answer")
    assert services.orders.ask(other["access_token"]).status == 200
    assert services.orders.health()["feed"] == "followed"


def test_what_ends_while_the_network_is_cut_is_refused_once_it_is_mended(services: Both) -> None:
    """Known tokens pass during the outage, as set; nothing is missed by it."""
    tokens, later, other = (services.sign_in() for _ in range(3))
    assert services.orders.ask(tokens["access_token"]).status == 200
    services.pipe.cut()
    services.hears("lost")
    services.sign_out(tokens)
    assert services.orders.ask(tokens["access_token"]).status == 200
    assert services.orders.ask(other["access_token"]).status == 200
    services.pipe.mend()
    services.refused(tokens)
    services.hears("followed")
    services.sign_out(later)
    services.refused(later)
    assert services.orders.ask(other["access_token"]).status == 200
    assert services.orders.log.count("the revocation feed is lost") == 1
    assert tokens["access_token"] not in services.orders.log


def test_a_killed_issuer_leaves_no_gap(services: Both) -> None:
    """SIGKILL, a session ended by an operator beside the dead server, a new start: the second service hears of it."""
    tokens, other = services.sign_in(), services.sign_in()
    assert services.orders.ask(tokens["access_token"]).status == 200
    services.issuer.kill()
    services.hears("lost")
    database = str(services.issuer.database)
    ended = run_evertoken("sessions", "revoke", tokens["session_id"], "--store", database)
    assert ended.returncode == 0, ended.stderr
    assert services.orders.ask(tokens["access_token"]).status == 200
    services.issuer.start()
    services.refused(tokens)
    assert services.orders.ask(other["access_token"]).status == 200


def test_a_killed_second_service_knows_after_its_start_what_it_missed(services: Both) -> None:
    """It keeps nothing on disk: when it is ready it has read everything that still matters."""
    before, meanwhile, other = (services.sign_in() for _ in range(3))
    services.sign_out(before)
    services.refused(before)
    services.orders.kill()
    services.sign_out(meanwhile)
    services.orders.start()
    for tokens in (before, meanwhile):
        assert services.orders.ask(tokens["access_token"]).status == 401
    assert services.orders.ask(other["access_token"]).status == 200


def test_a_wrong_secret_is_said_at_the_start(services: Both, tmp_path: Path) -> None:
    """The service does not start, and its log names the setting and what to do, not the secret."""
    (tmp_path / "wrong").mkdir()
    issuer = f"http://127.0.0.1:{services.pipe.port}"
    wrong = Orders(tmp_path / "wrong", ISSUER=issuer, CLIENT_ID="orders", CLIENT_SECRET="guessed-it")
    with pytest.raises(AssertionError, match="has ended"):
        wrong.start()
    assert wrong.ended() != 0
    assert "client_id, client_secret" in wrong.log
    assert "evertoken clients add" in wrong.log
    assert "guessed-it" not in wrong.log
