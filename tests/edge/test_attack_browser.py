"""What other sites' pages make a browser send, and what is planted in it, by their numbers in the list of attacks."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.edge.attacking import (
    COOKIE,
    FORM,
    JSON,
    OVERLAP_SECONDS,
    RIPE_SECONDS,
    Answer,
    Browser,
    bearer,
    browser_sign_in,
    cookie_of,
    get,
    grant,
    me,
    own_page,
    post_form,
    post_json,
    refresh,
    request,
    send,
)
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

Headers = tuple[tuple[str, str], ...]

EVIL: Final = "https://evil.example"
APP: Final = "https://app.example"
LOGIN: Final = {"username": "ada", "password": PASSWORD, "delivery": "cookie"}


@pytest.fixture
def browser(live: LiveServer) -> Browser:
    """A browser in which Ada is signed in by cookie."""
    return browser_sign_in(live, "ada", PASSWORD)


def renew(live: LiveServer, browser: Browser, *headers: tuple[str, str]) -> Answer:
    """A refresh with the browser's cookie and what the page adds."""
    return send(live.url, request("POST", "/auth/refresh", browser.cookie, *headers))


def is_alive(live: LiveServer, browser: Browser) -> bool:
    return renew(live, browser, browser.csrf, *own_page(live)).status == 200


def forbidden(answer: Answer, code: str = "origin_not_allowed") -> None:
    """Assert that a request was stopped: no cookie is set, no page elsewhere may read the answer."""
    assert (answer.status, answer.code) == (403, code), answer
    assert not answer.all("Set-Cookie")
    assert code == "csrf" or not answer.all("Access-Control-Allow-Origin")
    assert answer.one("Cache-Control") == "no-store" and answer.one("Vary") == "Origin"


def test_a_page_of_ours_signs_in_renews_and_signs_out_by_cookie(live: LiveServer) -> None:
    """The refresh token is in the cookie alone, out of every script's reach; CSRF and access token are the page's."""
    answer = post_json(live, "/auth/login", LOGIN, *own_page(live))
    assert "refresh_token" not in answer.json()
    name_and_value, *attributes = answer.one("Set-Cookie").split("; ")
    assert name_and_value.startswith(f"{COOKIE}=etr_")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Strict", "Secure"]
    assert len(name_and_value) < 4096
    csrf = ("X-CSRF-Token", answer.json()["csrf_token"])
    reloaded = get(live.url, "/auth/csrf", cookie_of(answer), *own_page(live))
    assert reloaded.json() == {"csrf_token": csrf[1], "session_id": answer.json()["session_id"]}
    assert reloaded.one("Cache-Control") == "no-store"
    renewed = post_json(live, "/auth/refresh", "", cookie_of(answer), csrf, *own_page(live))
    assert renewed.json()["csrf_token"] == csrf[1] and "refresh_token" not in renewed.json()
    assert cookie_of(renewed) != cookie_of(answer)
    out = post_json(live, "/auth/logout", "", cookie_of(renewed), csrf, *own_page(live))
    cleared = f"{COOKIE}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    assert (out.status, out.one("Set-Cookie")) == (204, cleared)
    assert me(live, renewed.json()["access_token"]).status == 401


def test_a_body_cannot_ask_for_the_token_of_a_cookie(live: LiveServer, browser: Browser) -> None:
    """Attack 68: a script on the page cannot talk the server into handing out what the cookie hides."""
    for body in ({"delivery": "body"}, {"refresh_token": None, "delivery": "body"}):
        answer = post_json(live, "/auth/refresh", body, browser.cookie, browser.csrf, *own_page(live))
        assert answer.status == 200 and b"etr_" not in answer.body


def test_a_token_comes_only_the_way_it_was_handed_out(live: LiveServer, browser: Browser) -> None:
    """A body token in a cookie was planted, a cookie token in a body was taken from a browser: neither is good."""
    token = post_json(live, "/auth/login", LOGIN | {"delivery": "body"}).json()["refresh_token"]
    planted = ("Cookie", f"{COOKIE}={token}")
    for path in ("/auth/refresh", "/auth/logout"):
        for answer in (
            post_json(live, path, "", planted, browser.csrf, *own_page(live)),
            post_json(live, path, {"refresh_token": browser.value}),
        ):
            assert (answer.status, answer.code) == (401, "token_invalid")
            assert not answer.all("Set-Cookie")
    assert get(live.url, "/auth/csrf", planted, *own_page(live)).status == 401
    assert grant(live, browser.value).json()["error"] == "invalid_grant"
    assert post_form(live, "/oauth/revoke", ("token", browser.value)).status == 200
    assert refresh(live, token).status == 200
    assert is_alive(live, browser)


CROSS_SITE: Final[dict[str, Headers]] = {
    "form": (("Origin", EVIL), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), FORM),
    "old browser's form": (("Origin", EVIL), FORM),
    "no-cors fetch": (("Origin", EVIL), ("Sec-Fetch-Site", "cross-site"), ("Content-Type", "text/plain")),
    "sandboxed frame": (("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), FORM),
    "old sandboxed frame": (("Origin", "null"),),
    "sibling subdomain": (("Origin", "http://b.localhost"), ("Sec-Fetch-Site", "same-site"), JSON),
    "other port": (("Origin", "http://localhost:1"), ("Sec-Fetch-Site", "same-site"), JSON),
    "no Origin": (("Sec-Fetch-Site", "cross-site"), JSON),
    "address bar": (("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")),
    "says nothing": (JSON,),
    "forged Referer": (("Referer", "http://localhost/"),),
    "two origins": (("Origin", EVIL), ("Origin", "http://localhost")),
    "own host in evil's": (("Origin", "http://localhost.evil.example"), ("Sec-Fetch-Site", "cross-site")),
}


@pytest.mark.parametrize("kind", CROSS_SITE)
def test_no_other_page_uses_the_cookie(live: LiveServer, browser: Browser, kind: str) -> None:
    """Attacks 54 to 56: whatever another site makes the browser send with its cookie is stopped and changes nothing."""
    headers = CROSS_SITE[kind]
    for path in ("/auth/refresh", "/auth/logout"):
        for csrf in ((), (browser.csrf,)):
            forbidden(send(live.url, request("POST", path, browser.cookie, *csrf, *headers)))
    forbidden(send(live.url, request("GET", "/auth/csrf", browser.cookie, *headers)))
    assert is_alive(live, browser)


def test_a_get_changes_nothing(live: LiveServer, browser: Browser) -> None:
    """Attack 54: images, scripts, frames and links only read: sign-in, refresh and sign-out are POST."""
    for path in ("/auth/refresh", "/auth/logout", "/auth/login", "/auth/password", "/oauth/revoke"):
        for method in ("GET", "HEAD"):
            answer = send(live.url, request(method, path, browser.cookie, browser.csrf, *own_page(live)))
            assert answer.status == 405 and not answer.all("Set-Cookie")
    assert is_alive(live, browser)


def test_no_other_page_ends_sessions_with_an_access_token(live: LiveServer, browser: Browser) -> None:
    """Attack 54: even where a page elsewhere has an access token, it may not end sessions or change the password."""
    for method, path in (("DELETE", "/auth/sessions"), ("DELETE", f"/auth/sessions/{browser.session_id}")):
        forbidden(send(live.url, request(method, path, bearer(browser.access_token), ("Origin", EVIL))))
    passwords = {"current_password": PASSWORD, "new_password": "another-long-password"}
    forbidden(post_json(live, "/auth/password", passwords, bearer(browser.access_token), ("Origin", EVIL)))
    assert is_alive(live, browser)


def test_a_referer_of_ours_is_proof_where_browsers_send_nothing_else(live: LiveServer, browser: Browser) -> None:
    """On plain http in a LAN a same-origin GET has neither Origin nor Sec-Fetch-Site: then Referer counts, for GET."""
    ours = ("Referer", f"{live.url}/page?a=1")
    assert get(live.url, "/auth/csrf", browser.cookie, ours).status == 200
    for referer in (f"{EVIL}/{live.url}", f"{live.url}.evil.example/", f"{live.url}@evil.example/", "", "null"):
        forbidden(get(live.url, "/auth/csrf", browser.cookie, ("Referer", referer)))
    forbidden(get(live.url, "/auth/csrf", browser.cookie, ours, ("Sec-Fetch-Site", "cross-site")))
    forbidden(get(live.url, "/auth/csrf", browser.cookie, ours, ("Origin", "null")))


def test_the_csrf_token_must_be_that_of_the_session(live: LiveServer, browser: Browser) -> None:
    """Missing, wrong, or another session's: 403, and the session goes on; the cookie alone proves nothing."""
    other = browser_sign_in(live, "ada", PASSWORD)
    values = ("", "x", browser.csrf[1][:-1], browser.csrf[1] + "A", other.csrf[1], browser.value, "ä" * 43)
    for path in ("/auth/refresh", "/auth/logout"):
        forbidden(send(live.url, request("POST", path, browser.cookie, *own_page(live))), "csrf")
        for value in values:
            wrong = ("X-CSRF-Token", value)
            forbidden(send(live.url, request("POST", path, browser.cookie, wrong, *own_page(live))), "csrf")
    assert is_alive(live, browser) and is_alive(live, other)


def test_what_a_form_can_send_is_no_json(live: LiveServer) -> None:
    """Attack 57: the media types that need no preflight are refused on every JSON route, from our own page too."""
    access_token = browser_sign_in(live, "ada", PASSWORD).access_token
    headers = (bearer(access_token), *own_page(live))
    for media_type in ("text/plain", FORM[1], "multipart/form-data", "", "application/json2", "json"):
        for path in ("/auth/login", "/auth/refresh", "/auth/logout", "/auth/password"):
            answer = send(live.url, request("POST", path, ("Content-Type", media_type), *headers, body='{"a":"="}'))
            assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert me(live, access_token).status == 200


def test_no_other_page_signs_the_victim_in(live: LiveServer) -> None:
    """Attack 58: a sign-in from elsewhere, in either delivery, would put the victim into the attacker's account."""
    for kind in ("form", "no-cors fetch", "sandboxed frame", "sibling subdomain", "no Origin"):
        headers = tuple(header for header in CROSS_SITE[kind] if header[0] != "Content-Type")
        for body in (LOGIN, LOGIN | {"delivery": "body"}):
            forbidden(post_json(live, "/auth/login", body, *headers))
    forbidden(post_json(live, "/auth/login", LOGIN))  # a cookie is for pages, and a page says where it comes from
    assert post_json(live, "/auth/login", LOGIN | {"delivery": "body"}).status == 200


VARIANTS: Final = (
    "https://evil.example",
    "https://app.example.evil",
    "https://evilapp.example",
    "https://sub.app.example",
    "https://app.example@evil.example",
    "http://app.example",
    "https://app.example:443",
    "https://app.example:8443",
    "HTTPS://APP.EXAMPLE",
    "https://app.example.",
    "https://app.example/",
    "app.example",
    "file://",
    "null",
    "*",
)


def test_cors_is_an_exact_list(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 59: only the listed origin, letter by letter, may read answers; every answer says Vary: Origin."""
    with live_server(tmp_path, clock=clock, allowed_origins=(APP,)) as live:
        live.add_user("ada")
        allowed = post_json(live, "/auth/login", LOGIN, ("Origin", APP), ("Sec-Fetch-Site", "cross-site"))
        assert allowed.status == 200 and cookie_of(allowed)
        assert allowed.one("Access-Control-Allow-Origin") == APP
        assert allowed.one("Access-Control-Allow-Credentials") == "true"
        assert {"Retry-After", "WWW-Authenticate"} < set(allowed.one("Access-Control-Expose-Headers").split(", "))
        refused = get(live.url, "/auth/me", ("Origin", APP))
        assert (refused.status, refused.one("Access-Control-Allow-Origin")) == (401, APP)
        for origin in VARIANTS:
            for path in ("/auth/me", "/auth/login", "/healthz", "/nothing", "/.well-known/jwks.json"):
                answer = get(live.url, path, ("Origin", origin))
                assert answer.one("Vary") == "Origin"
                assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")], origin
            forbidden(post_json(live, "/auth/login", LOGIN, ("Origin", origin)))


def test_a_preflight_names_what_is_allowed_and_refuses_the_rest(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 59: an unlisted origin, method or header gets 403 and no permission."""
    with live_server(tmp_path, clock=clock, allowed_origins=(APP,)) as live:

        def ask(origin: str, method: str, headers: str) -> Answer:
            wanted = (("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", headers))
            return send(live.url, request("OPTIONS", "/auth/refresh", ("Origin", origin), *wanted))

        granted = ask(APP, "POST", "content-type, X-CSRF-Token,authorization")
        assert (granted.status, granted.one("Access-Control-Allow-Origin")) == (204, APP)
        assert granted.one("Access-Control-Allow-Methods") == "DELETE, GET, POST"
        for origin, method, headers in (
            (EVIL, "POST", ""),
            ("null", "POST", ""),
            (APP, "PUT", ""),
            (APP, "post", ""),
            (APP, "POST", "x-forwarded-for"),
            (APP, "POST", "*"),
        ):
            answer = ask(origin, method, headers)
            assert answer.status == 403 and not answer.all("Access-Control-Allow-Methods")
            assert answer.one("Vary") == "Origin"


def test_two_cookies_of_our_name_are_refused(live: LiveServer, browser: Browser) -> None:
    """Attack 60: one of them was planted, and nobody can tell which; nothing is renewed and nothing cleared."""
    for twice in (
        (("Cookie", f"{browser.cookie[1]}; {COOKIE}=planted"),),
        (("Cookie", f"{COOKIE}={browser.value}; a=b; {COOKIE}={browser.value}"),),
        (browser.cookie, ("Cookie", f"{COOKIE}=")),
    ):
        for path in ("/auth/refresh", "/auth/logout"):
            answer = send(live.url, request("POST", path, *twice, browser.csrf, *own_page(live)))
            assert (answer.status, answer.code) == (400, "invalid_request")
            assert not answer.all("Set-Cookie")
        assert post_json(live, "/auth/login", LOGIN, *twice, *own_page(live)).status == 400
    assert is_alive(live, browser)


def test_a_planted_cookie_fixes_no_session(live: LiveServer) -> None:
    """Attacks 60 to 62: a cookie from before the sign-in is never the session's after it, nor in anybody's way."""
    for planted in ("", "planted", "etr_" + "A" * 128, "x" * 8000, '"quoted"', "\xff\xfe", "a=b=c"):
        before = ("Cookie", f"{COOKIE}={planted}")
        answer = send(live.url, request("POST", "/auth/refresh", before, *own_page(live)))
        assert (answer.status, answer.code) == (401, "token_invalid")
        signed_in = post_json(live, "/auth/login", LOGIN, before, *own_page(live))
        assert signed_in.status == 200 and cookie_of(signed_in) != before
        csrf = ("X-CSRF-Token", signed_in.json()["csrf_token"])
        renewed = post_json(live, "/auth/refresh", "", before, csrf, *own_page(live))
        assert renewed.status == 401 and not renewed.all("Set-Cookie")


def test_a_sign_in_ends_the_session_whose_cookie_came_along(live: LiveServer, browser: Browser) -> None:
    """Attack 61: no cookie from before a sign-in is good after it; a wrong password ends nothing."""
    wrong = post_json(live, "/auth/login", LOGIN | {"password": "wrong"}, browser.cookie, *own_page(live))
    assert wrong.status == 401 and not wrong.all("Set-Cookie")
    assert is_alive(live, browser)
    live.add_user("bob")
    after = browser_sign_in(live, "bob", PASSWORD, browser.cookie)
    assert after.session_id != browser.session_id
    over = renew(live, browser, browser.csrf, *own_page(live))
    assert (over.status, over.json()["reason"]) == (401, "signed_out")
    assert me(live, browser.access_token).code == "token_invalid"
    assert is_alive(live, after)


def test_two_hundred_cookies_do_not_hide_ours(live: LiveServer, browser: Browser) -> None:
    """Attack 62: among many others, odd ones too, ours is found."""
    others = "; ".join(f"c{n}=v{n}" for n in range(200))
    crowd = ("Cookie", f"{others};{browser.cookie[1]} ; ;;=; x; y{COOKIE}=no; {COOKIE.lower()}=no")
    assert send(live.url, request("POST", "/auth/refresh", crowd, browser.csrf, *own_page(live))).status == 200


def test_nothing_redirects(live: LiveServer, browser: Browser) -> None:
    """Attack 63: no answer names another place, so there is nothing to redirect to."""
    for target in ("//evil.example", "/\\evil.example", "https:evil.example", "/%09/evil", "javascript:alert(1)"):
        for path in ("/auth/login", "/auth/logout/", "/auth/refresh"):
            answer = send(live.url, request("POST", f"{path}?next={target}", browser.cookie, *own_page(live)))
            assert answer.status >= 400 and not answer.all("Location")


def test_every_answer_refuses_frames_sniffing_and_caches(live: LiveServer, browser: Browser) -> None:
    """Attacks 64 to 66: no framing, no cached tokens, no validators, no token in a Referer."""
    for answer in (
        renew(live, browser, browser.csrf, *own_page(live)),
        me(live, browser.access_token),
        get(live.url, "/nothing"),
    ):
        assert "frame-ancestors 'none'" in answer.one("Content-Security-Policy")
        assert answer.one("X-Frame-Options") == "DENY"
        assert answer.one("X-Content-Type-Options") == "nosniff"
        assert answer.one("Referrer-Policy") == "no-referrer"
        assert answer.one("Cache-Control") == "no-store"
        assert not answer.all("ETag") and not answer.all("Last-Modified")


def test_a_late_refusal_leaves_the_newer_cookie_alone(live: LiveServer, browser: Browser) -> None:
    """Only sign-out clears the cookie: the refusal of an old tab may arrive after a new sign-in."""
    child = cookie_of(renew(live, browser, browser.csrf, *own_page(live)))
    live.clock.advance(RIPE_SECONDS)
    assert send(live.url, request("POST", "/auth/refresh", child, browser.csrf, *own_page(live))).status == 200
    for seconds, status in ((0, 503), (OVERLAP_SECONDS, 401), (0, 401)):
        live.clock.advance(seconds)
        late = renew(live, browser, browser.csrf, *own_page(live))
        assert late.status == status and not late.all("Set-Cookie")
    sign_out = post_json(live, "/auth/logout", "", child, browser.csrf, *own_page(live))
    assert (sign_out.status, "Max-Age=0" in sign_out.one("Set-Cookie")) == (204, True)


def test_signing_out_by_access_token_clears_that_sessions_cookie_only(live: LiveServer, browser: Browser) -> None:
    """A page that signs out with its access token loses the cookie of that session, not of another one."""
    other = browser_sign_in(live, "ada", PASSWORD)
    foreign = post_json(live, "/auth/logout", "", bearer(other.access_token), browser.cookie, *own_page(live))
    assert foreign.status == 204 and not foreign.all("Set-Cookie")
    own = post_json(live, "/auth/logout", "", bearer(browser.access_token), browser.cookie, *own_page(live))
    assert own.status == 204 and "Max-Age=0" in own.one("Set-Cookie")


@pytest.mark.parametrize(
    ("settings", "name", "flags", "hsts"),
    [
        ({"cookie_samesite": "Lax"}, COOKIE, ["HttpOnly", "SameSite=Lax", "Secure"], False),
        ({"issuer": "http://192.168.1.9:8000"}, "evertoken", ["HttpOnly", "SameSite=Strict"], False),
        ({"issuer": "https://auth.example"}, COOKIE, ["HttpOnly", "SameSite=Strict", "Secure"], True),
    ],
)
def test_the_cookie_is_as_strong_as_the_origin_allows(
    tmp_path: Path, clock: MovingClock, settings: dict[str, Any], name: str, flags: list[str], hsts: bool
) -> None:
    """Lax only by setting; a plain name where the origin cannot have Secure cookies; HSTS where it is https."""
    with live_server(tmp_path, clock=clock, **settings) as live:
        live.add_user("ada")
        answer = send(
            f"http://127.0.0.1:{live.server.services.settings.port}",
            request("POST", "/auth/login", JSON, *own_page(live), body=_LOGIN),
        )
        name_and_value, *attributes = answer.one("Set-Cookie").split("; ")
        assert name_and_value.startswith(f"{name}=etr_")
        assert sorted(attributes) == [*flags[:1], "Max-Age=604800", "Path=/", *flags[1:]]
        assert bool(answer.all("Strict-Transport-Security")) == hsts


_LOGIN: Final = f'{{"username": "ada", "password": "{PASSWORD}", "delivery": "cookie"}}'
