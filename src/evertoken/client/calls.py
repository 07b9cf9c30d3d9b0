"""The calls to the authorization server, written as its dialect wants them. Pure."""

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from evertoken.client import cookies
from evertoken.client.http.transport import Call
from evertoken.wire.dialects.dialect import AuthCall, Dialect


def refresh_call(server: str, dialect: Dialect, refresh_token: str) -> Call:
    """The refresh. Goes around every interceptor of the application."""
    assert dialect.refresh is not None
    return _with_token(server, dialect, dialect.refresh, refresh_token)


def logout_call(server: str, dialect: Dialect, refresh_token: str) -> Call | None:
    """The sign-out; None where the API has none."""
    return None if dialect.logout is None else _with_token(server, dialect, dialect.logout, refresh_token)


def login_call(
    server: str, call: AuthCall, username: str, password: str, extra: dict[str, Any], *, sets_cookie: bool = False
) -> Call:
    """The sign-in; `sets_cookie` where the refresh token will come in one."""
    headers = cookies.origin_header(absolute(server, call.url)) if sets_cookie else {}
    return _written(server, call, {call.username: username, call.password: password, **extra}, headers=headers)


def absolute(server: str, url: str) -> str:
    """A call's URL: appended to the base URL if it is a path, itself if it is absolute."""
    return url if urlsplit(url).scheme else server + "/" + url.lstrip("/")


def _with_token(server: str, dialect: Dialect, call: AuthCall, refresh_token: str) -> Call:
    place = call.token
    match place.kind:
        case "body":
            return _written(server, call, {place.name: refresh_token})
        case "header":
            value = refresh_token if place.scheme is None else f"{place.scheme} {refresh_token}"
            return _written(server, call, {}, headers={place.name: value})
        case "query":
            return _written(server, call, {}, query=urlencode({place.name: refresh_token}))
        case "cookie":
            carried = cookies.carried(dialect, absolute(server, call.url), refresh_token)
            return _written(server, call, {}, headers=carried)


def _written(
    server: str,
    call: AuthCall,
    members: dict[str, Any],
    *,
    headers: dict[str, str] | None = None,
    query: str = "",
) -> Call:
    url = absolute(server, call.url)
    if query:
        url += ("&" if urlsplit(url).query else "?") + query
    body = {**call.body, **members}
    sent = {"Accept": "application/json", **call.headers, **(headers or {})}
    if call.method == "GET":
        return Call(call.method, url, sent)
    if call.encoding == "form":
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        return Call(call.method, url, sent, urlencode(body).encode("ascii"))
    sent["Content-Type"] = "application/json"
    return Call(call.method, url, sent, json.dumps(body).encode("utf-8"))
