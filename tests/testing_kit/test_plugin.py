"""The pytest plugin, as a user's own tests meet it."""

import re

import pytest

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["evertoken.testing.plugin"]'
APPLICATION = """
    import http.client
    import json
    from contextlib import closing
    from urllib.parse import urlsplit

    from evertoken.testing import FakeServer

    def ask(url, method, path, token, **body):
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
            headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body), headers)
            return connection.getresponse().status

    def use(url, token):
        try:
            return ask(url, "POST", "/auth/refresh", "", refresh_token=token)
        except (OSError, http.client.HTTPException):
            return None
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A user's project that has activated the plugin."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(application=APPLICATION)
    return pytester


def run(project: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a test of the user's."""
    project.makepyfile(test_it="from application import *\n" + re.sub(r"(?m)^ {8}", "", test))
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist", *options)


def test_a_users_test_gets_a_server_and_its_clock(project: pytest.Pytester) -> None:
    """Two fixtures are enough to see a token expire without waiting for it."""
    test = """
        def test_expiry(evertoken_server, evertoken_clock):
            token = evertoken_server.sign_in()["access_token"]
            assert ask(evertoken_server.url, "GET", "/notes", token) == 200
            evertoken_clock.advance(1800)
            assert ask(evertoken_server.url, "GET", "/notes", token) == 401
    """
    run(project, test).assert_outcomes(passed=1)


def test_a_test_in_which_nobody_is_signed_out_passes(project: pytest.Pytester) -> None:
    """A lost or doubled refresh of an honest client does no harm, and the test says so by passing."""
    test = """
        def test_bad_network(evertoken_chaos, evertoken_server):
            proxy = evertoken_chaos(evertoken_server.url, lose_answers=0.5, duplicate=0.9)
            token = evertoken_server.sign_in()["refresh_token"]
            for _ in range(10):
                assert use(proxy.url, token) in (200, None)
    """
    run(project, test).assert_outcomes(passed=1)


def test_a_test_in_which_somebody_is_signed_out_fails_with_the_transcript(project: pytest.Pytester) -> None:
    """The failure says which refresh was refused, what the network did, and how to have it do so again."""
    test = """
        def test_bad_network(evertoken_chaos):
            with FakeServer(rotation="strict") as server:
                proxy = evertoken_chaos(server.url, duplicate=1.0)
                use(proxy.url, server.sign_in()["refresh_token"])
                proxy.settle()
    """
    result = run(project, test, "--evertoken-chaos-seed", "4711")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: signed out by the network (chaos seed *",
            "*#1 +*s POST /auth/refresh token ????????: sent again after *SIGNED OUT*",
            "*repeat the draws with --evertoken-chaos-seed 4711*",
        ]
    )
    assert "etr_" not in result.stdout.str()


def test_a_test_that_fails_by_itself_shows_what_the_network_did(project: pytest.Pytester) -> None:
    """An assertion of the user's own fails with the seed and the transcript beside it, and with nothing else."""
    test = """
        def test_bad_network(evertoken_chaos, evertoken_server):
            proxy = evertoken_chaos(evertoken_server.url)
            assert use(proxy.url, evertoken_server.sign_in()["refresh_token"]) == 418
    """
    result = run(project, test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*evertoken chaos*", "repeat the draws with --evertoken-chaos-seed *", "*#1 +*s POST /auth/refresh *passed*"]
    )


def test_a_test_in_which_the_chaos_did_nothing_fails(project: pytest.Pytester) -> None:
    """An application that went around the proxy has shown nothing."""
    test = """
        def test_bad_network(evertoken_chaos, evertoken_server):
            evertoken_chaos(evertoken_server.url, lose_answers=1.0)
            assert use(evertoken_server.url, evertoken_server.sign_in()["refresh_token"]) == 200
    """
    result = run(project, test)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the chaos did nothing, so this test has shown nothing*"])


def test_one_seed_repeats_the_draws_of_a_test(project: pytest.Pytester) -> None:
    """What a failure printed brings the same fates back, also when the test runs alone."""
    test = """
        def test_first(evertoken_chaos, evertoken_server):
            use(evertoken_chaos(evertoken_server.url, lose_answers=1.0).url, "x")

        def test_second(evertoken_chaos, evertoken_server):
            proxy = evertoken_chaos(evertoken_server.url, lose_requests=0.5)
            answers = [use(proxy.url, "x") for _ in range(40)]
            print("fates", "".join("-" if answer is None else "+" for answer in answers), proxy.seed)
    """

    def fates(*options: str) -> str:
        result = run(project, test, "-s", *options)
        return next(line for line in result.outlines if "fates" in line).partition("fates")[2]

    seed = "--evertoken-chaos-seed=3"
    assert fates(seed) == fates(seed, "-k", "second") != fates("--evertoken-chaos-seed=4")


def test_a_test_may_have_several_proxies(project: pytest.Pytester) -> None:
    """Two networks draw on their own, each from the run's seed."""
    test = """
        def test_two(evertoken_chaos, evertoken_server):
            proxies = [evertoken_chaos(evertoken_server.url, lose_answers=1.0) for _ in range(2)]
            assert proxies[0].seed != proxies[1].seed
            assert [use(proxy.url, "x") for proxy in proxies] == [None, None]
            assert evertoken_chaos(evertoken_server.url, lose_answers=1.0, seed=5).seed == 5
            assert use(evertoken_chaos(evertoken_server.url, lose_answers=1.0).url, "x") is None
    """
    result = run(project, test)
    result.assert_outcomes(passed=1, errors=1)  # the one that nobody used
