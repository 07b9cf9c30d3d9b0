"""The cookies of one API, as a browser on its page keeps them. Pure."""

import re
from collections.abc import Mapping
from typing import Final

_NEXT_COOKIE: Final = re.compile(r",\s*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
"""Where one Set-Cookie ends and the next begins in a joined header; the comma of a date has no name behind it."""
_GONE: Final = re.compile(r";\s*(?:max-age=\s*(?:0|-\d+)\s*(?:;|$)|expires=[^;]*\b19[67]\d\b)", re.IGNORECASE)

Cookies = Mapping[str, str]
"""By name. There is one host, and all is said to it, so the attributes make no difference but for the end."""


def after(cookies: Cookies, headers: Mapping[str, str]) -> Cookies:
    """The cookies once an answer has come; header names in lower case, repeated ones joined by a comma."""
    kept = dict(cookies)
    for line in _NEXT_COOKIE.split(headers.get("set-cookie", "")):
        name, equals, value = (part.strip() for part in line.partition(";")[0].partition("="))
        if equals and (_GONE.search(line) or not value):
            kept.pop(name, None)
        elif equals:
            kept[name] = value
    return kept


def header(cookies: Cookies) -> dict[str, str]:
    """The Cookie header of the next request."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
