"""What no dialect can mean though each member is well formed, and what is not safe. Pure."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from evertoken.wire.dialects import pointer
from evertoken.wire.dialects.dialect import AuthCall, CsrfPlace, Dialect, Match
from evertoken.wire.dialects.kinds import Contradiction, DialectError, within
from evertoken.wire.dialects.members import HEADER
from evertoken.wire.dialects.writing import NoSuchPlace, failure_document, put, success_document

_NOT_OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "cookie", "content-type", "accept-encoding", "origin"}
)
"""Headers that the HTTP library, the browser or the encoding of the body decides."""

_UNAUTHORIZED: Final = 401
_SAMPLE: Final = "sample"


def refuse_contradictions(dialect: Dialect) -> None:
    """
    Look at the members together.

    Raises:
        Contradiction: With the place of the member that cannot stay as it is.
    """
    for name, call in calls(dialect):
        _look_at_call(name, call, dialect)
    _look_at_paths(dialect)
    _look_at_cookie(dialect)
    _look_at_headers(dialect)
    _look_at_tokens(dialect)
    _look_at_answers(dialect)


def calls(dialect: Dialect) -> list[tuple[str, AuthCall]]:
    """The calls that there are, by their places."""
    named = (("/login", dialect.login), ("/refresh", dialect.refresh), ("/logout", dialect.logout))
    return [(name, call) for name, call in named if call is not None]


def calls_with_token_in_url(dialect: Dialect) -> list[tuple[str, AuthCall]]:
    """The calls that carry the refresh token in the URL, by their places."""
    return [(name, call) for name, call in calls(dialect) if name != "/login" and call.token.kind == "query"]


def _look_at_call(name: str, call: AuthCall, dialect: Dialect) -> None:
    _look_at_url(f"{name}/url", call.url)
    place, is_login = call.token, name == "/login"
    if is_login and call.method == "GET":
        raise Contradiction(f"{name}/method", "would put the password into the URL: use POST")
    if call.username == call.password:
        raise Contradiction(f"{name}/password", "is the same member as the user name")
    for member, value in call.body.items():
        if call.encoding == "form" and (isinstance(value, dict | list) or value is None):
            raise Contradiction(within(f"{name}/body", member), "cannot be written in a form: use a plain value")
    if call.method == "GET" and call.body:
        raise Contradiction(f"{name}/body", "is never sent: a GET has no body")
    taken = {call.username, call.password} if is_login else {place.name} if place.kind == "body" else set()
    for member in sorted(taken & set(call.body)):
        raise Contradiction(within(f"{name}/body", member), "is where the call's own value goes")
    if not is_login:
        _look_at_token_place(name, call)
    _look_at_own_headers(name, call, dialect)


def _look_at_url(at: str, url: str) -> None:
    path = unquote(urlsplit(url).path)
    if path.startswith("//") or {".", ".."} & set(path.split("/")) or "\\" in path or not path.isprintable():
        raise Contradiction(at, "leads elsewhere than it says: no //, no dot segments, no backslash")


def _look_at_own_headers(name: str, call: AuthCall, dialect: Dialect) -> None:
    place = call.token
    taken = {} if dialect.csrf is None else {dialect.csrf.header.lower(): "CSRF token"}
    if name != "/login" and place.kind == "header":
        taken[place.name.lower()] = "refresh token"
    seen: set[str] = set()
    for header in call.headers:
        at, low = within(f"{name}/headers", header), header.lower()
        if low in _NOT_OURS:
            raise Contradiction(at, "is not for a dialect to set")
        if low in seen:
            raise Contradiction(at, "is there twice: the case of a header's name says nothing")
        if low in taken:
            raise Contradiction(at, f"is where the {taken[low]} goes")
        seen.add(low)


def _look_at_token_place(name: str, call: AuthCall) -> None:
    place = call.token
    if place.scheme is not None and place.kind != "header":
        raise Contradiction(f"{name}/token/scheme", "only a header has a scheme")
    if place.kind == "body" and call.method == "GET":
        raise Contradiction(f"{name}/token/kind", "a GET has no body that the token could be in")
    if place.kind == "header" and not _is_header(place.name):
        raise Contradiction(f"{name}/token/name", f"must be {HEADER.what}")
    if place.kind == "header" and place.name.lower() in _NOT_OURS:
        raise Contradiction(f"{name}/token/name", "is not for a dialect to set")
    if place.kind == "query" and place.name in dict(parse_qsl(urlsplit(call.url).query, keep_blank_values=True)):
        raise Contradiction(f"{name}/token/name", "is in the URL of the call already")


def _is_header(name: str) -> bool:
    try:
        HEADER.read(name, "")
    except DialectError:
        return False
    return True


def _look_at_paths(dialect: Dialect) -> None:
    seen: dict[tuple[str, str], str] = {}
    found = [(f"{name}/url", call.method, call.url) for name, call in calls(dialect)]
    if dialect.csrf is not None and dialect.csrf.url is not None:
        _look_at_url("/csrf/url", dialect.csrf.url)
        found.append(("/csrf/url", "GET", dialect.csrf.url))
    for at, method, url in found:
        key = (method, url.partition("?")[0])
        if key in seen:
            raise Contradiction(at, f"is the call of {seen[key]}: the same method and the same path")
        seen[key] = at


def _look_at_cookie(dialect: Dialect) -> None:
    by_cookie = [name for name, call in calls(dialect) if name != "/login" and call.token.kind == "cookie"]
    if by_cookie and dialect.csrf is None:
        raise Contradiction("/csrf", f"is missing: {by_cookie[0]} sends a cookie, which any page could have sent")
    if dialect.csrf is not None and not by_cookie:
        raise Contradiction("/csrf", "is for a refresh token in a cookie, and no call has one")
    if not by_cookie:
        if dialect.tokens.csrf_token is not None:
            raise Contradiction("/tokens/csrf_token", "is for a refresh token in a cookie, and no call has one")
        return
    _look_at_cookie_dialect(dialect, dialect.csrf)


def _look_at_cookie_dialect(dialect: Dialect, csrf: CsrfPlace | None) -> None:
    assert csrf is not None
    for name, call in calls(dialect):
        if name != "/login" and call.token.kind != "cookie":
            raise Contradiction(f"{name}/token/kind", "must be cookie too: no page can read what is in the cookie")
    if dialect.tokens.refresh_token is not None:
        raise Contradiction("/tokens/refresh_token", "must be null: what is in an HttpOnly cookie is in no body")
    if dialect.refresh_token_in_answer != "new":  # noqa: S105 - a manner, no secret
        raise Contradiction("/refresh_token_in_answer", "must be new: the cookie is in no body")
    if csrf.cookie is None and dialect.tokens.csrf_token is None:
        raise Contradiction("/csrf", "no page learns the CSRF token: say csrf.cookie or tokens.csrf_token")
    if csrf.url is not None and dialect.tokens.csrf_token is None:
        raise Contradiction("/tokens/csrf_token", "is missing: csrf.url would have nothing to say")


def _look_at_headers(dialect: Dialect) -> None:
    token = dialect.access_token.header.lower()
    if token in _NOT_OURS:
        raise Contradiction("/access_token/header", "is not for a dialect to set")
    for at, header in (
        ("/csrf/header", dialect.csrf.header if dialect.csrf else None),
        ("/opt_out/header", dialect.opt_out.header if dialect.opt_out else None),
    ):
        if header is None:
            continue
        if header.lower() == token:
            raise Contradiction(at, "is where the access token goes")
        if header.lower() in _NOT_OURS:
            raise Contradiction(at, "is not for a dialect to set")
    if dialect.csrf and dialect.opt_out and dialect.csrf.header.lower() == dialect.opt_out.header.lower():
        raise Contradiction("/opt_out/header", "is where the CSRF token goes")


def _look_at_tokens(dialect: Dialect) -> None:
    places = [(f"/tokens/{name}", getattr(dialect.tokens, name)) for name in dialect.tokens.__slots__]
    _refuse_overlap(places)
    if dialect.refresh_token_in_answer == "always" and dialect.tokens.refresh_token is None:  # noqa: S105
        raise Contradiction("/refresh_token_in_answer", "always what? tokens.refresh_token says no place")
    manner = dialect.failure
    if manner is not None:
        names = ("status_at", "message_at", "code_at")
        _refuse_overlap([*((f"/failure/{name}", getattr(manner, name)) for name in names), ("/reason", dialect.reason)])


def _refuse_overlap(places: list[tuple[str, str | None]]) -> None:
    """Two values at one place, or one inside another."""
    seen: list[tuple[str, tuple[str, ...]]] = []
    for at, place in places:
        if place is None:
            continue
        steps = pointer.parse(place)
        for other, before in seen:
            shorter = min(len(before), len(steps))
            if before[:shorter] == steps[:shorter]:
                raise Contradiction(at, f"is at, within or around the place of {other}")
        seen.append((at, steps))


def _look_at_answers(dialect: Dialect) -> None:
    """Write each answer as a server would, and see whether a client takes it for what it is."""
    good = _written_success(dialect)
    if dialect.verdict(200, good) != "accepted" or dialect.refresh_verdict(200, good) != "accepted":
        raise Contradiction("/success", "a good answer would be taken for a failure: see expired, over, refresh_over")
    for name, index, rule in _rules(dialect):
        at = f"/{name}/{index}"
        sent, document = _written_failure(dialect, rule, at)
        if index:
            continue
        is_at_refresh = name in {"refresh_over", "stale"}
        said = dialect.refresh_verdict(sent, document) if is_at_refresh else dialect.verdict(sent, document)
        if said != name.removeprefix("refresh_"):
            raise Contradiction(at, f"this answer would be taken for {said}: tell the two apart")
    if dialect.failure is not None:
        sent, document = _written_failure(dialect, None, "/failure")
        for said in (dialect.verdict(sent, document), dialect.refresh_verdict(sent, document)):
            if said != "accepted":
                raise Contradiction("/failure", f"every other failure would be taken for {said}: tell the two apart")


def _rules(dialect: Dialect) -> Iterator[tuple[str, int, Match]]:
    for name in ("expired", "over", "refresh_over", "stale"):
        for index, rule in enumerate(getattr(dialect, name)):
            yield name, index, rule


def _written_success(dialect: Dialect) -> Any:
    document: Any = success_document(dialect, [])
    places = dialect.tokens
    for name in places.__slots__:
        place = getattr(places, name)
        if place is None:
            continue
        if pointer.find(document, place) is not pointer.MISSING and (place or dialect.success.body):
            raise Contradiction(f"/tokens/{name}", "is where success.body holds something else")
        try:
            document = put(document or None, place, 1 if name.endswith("expires_in") else _SAMPLE)
        except NoSuchPlace:
            if _is_index(place):
                continue  # a client may read from the middle of an array; whether a server can write it is asked there
            raise Contradiction(f"/tokens/{name}", "leads through something that is no container") from None
    return document


def _is_index(place: str) -> bool:
    return any(step.isdecimal() for step in pointer.parse(place))


def _written_failure(dialect: Dialect, rule: Match | None, at: str) -> tuple[int, Any]:
    status = 400 if rule is None else _UNAUTHORIZED
    try:
        return failure_document(dialect, rule, status=status, message=_SAMPLE, code=_SAMPLE, reason=_SAMPLE)
    except NoSuchPlace as error:
        if _is_index(str(error)):
            return (status if rule is None else rule.status), {}
        raise Contradiction(at, f"{error} leads through something that is no container") from None
