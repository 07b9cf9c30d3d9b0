"""How the text of a setting is read. Each parser raises ValueError with a sentence that says what would be right."""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, cast
from urllib.parse import urlsplit

from evertoken.accounts.clients import CLIENT_ID
from evertoken.secret import Secret
from evertoken.store_address import check_server, is_redis, is_server
from evertoken.tokens.signing_keys import Algorithm
from evertoken.wire.cookies import SameSite
from evertoken.wire.origins import parse_origin

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h|d|w|)")
_TABLE_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,28}_")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._-]+)*")
_UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CENTURY_SECONDS = 3_155_760_000
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def truth(text: str) -> bool:
    """On or off."""
    folded = text.strip().lower()
    if folded in _TRUE | _FALSE:
        return folded in _TRUE
    raise ValueError("must be true or false")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A parser for a number between two bounds, both allowed."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text.strip()) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def one_of(*choices: str, fold: Callable[[str], str] = str.lower) -> Callable[[str], str]:
    """A parser for one of a few words, which are in the case that `fold` gives."""

    def parse(text: str) -> str:
        word = fold(text.strip())
        if word not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return word

    return parse


def optional(parser: Callable[[str], str]) -> Callable[[str], str]:
    """The same, or nothing."""

    def parse(text: str) -> str:
        return parser(text) if text.strip() else ""

    return parse


def instant(text: str) -> datetime | None:
    """A date, which means its first moment in UTC, or an instant with its offset."""
    if not text.strip():
        return None
    try:
        if _DATE.fullmatch(text.strip()):
            return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError("must be a date like 2027-03-01, or an instant like 2027-03-01T12:00:00Z") from error
    if found.tzinfo is None:
        raise ValueError("must say its offset from UTC, like 2027-03-01T12:00:00Z; a date alone means UTC")
    return found.astimezone(UTC)


def duration(least_seconds: float) -> Callable[[str], timedelta]:
    """A parser for a length of time: seconds, or a number with ms, s, m, h, d or w. At most 100 years."""

    def parse(text: str) -> timedelta:
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise ValueError("must be a length of time: seconds (15, 0.5) or with a unit (30m, 12h, 7d)")
        seconds = float(match[1]) * _UNITS[match[2]]
        if not least_seconds <= seconds <= _CENTURY_SECONDS:
            raise ValueError(f"must be at least {least_seconds:g} seconds, and at most 100 years")
        return timedelta(milliseconds=round(seconds * 1000))

    return parse


def optional_duration(text: str) -> timedelta | None:
    """A length of time; 0 or `none` for none."""
    if text.strip().lower() in {"0", "none", ""}:
        return None
    return duration(1)(text)


def public_url(text: str) -> str:
    """An issuer (RFC 8414 §2): http or https, no query, no fragment, no trailing slash."""
    text = text.strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError("must be a URL like https://api.example.com") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("must be a URL like https://api.example.com")
    if parts.query or parts.fragment or text.endswith(("/", "?", "#")):
        raise ValueError("must have no query, no fragment and no slash at its end")
    if parts.path:
        raise ValueError("must have no path: the server answers at the root of its host")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Exact origins."""
    found = _split(text)
    for origin in found:
        if parse_origin(origin) is None:
            raise ValueError(f"{origin!r} is not an origin; write it as a browser does: https://app.example.com")
    return found


def networks(text: str) -> tuple[str, ...]:
    """Addresses or networks in CIDR form."""
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in _split(text))
    except ValueError as error:
        raise ValueError(f"must be addresses or networks like 10.0.0.0/8: {error}") from error


def secrets(text: str) -> tuple[Secret, ...]:
    """Secrets; their length is judged where they are used."""
    return tuple(Secret(part) for part in _split(text))


def one_secret(text: str) -> Secret | None:
    """A secret exactly as it stands, commas and line breaks too, as in PEM; its worth is judged where it is used."""
    return Secret(text) if text.strip() else None


def algorithm(text: str) -> Algorithm:
    """A signature algorithm, in any case."""
    for known in Algorithm:
        if text.strip().lower() == known.value.lower():
            return known
    raise ValueError(f"must be one of {', '.join(known.value for known in Algorithm)}")


def same_site(text: str) -> SameSite:
    """SameSite. `None` is not offered: every other site could then make the browser send the cookie."""
    word = text.strip().capitalize()
    if word not in {"Strict", "Lax"}:
        raise ValueError("must be Strict or Lax")
    return cast("SameSite", word)


def store(text: str) -> str:
    """A path, sqlite:///path, postgresql://..., mysql://... or redis://..."""
    path = text.strip().removeprefix("sqlite:///")
    if is_server(path):
        return check_server(path)
    if not path:
        raise ValueError("must be the path of a file")
    if "://" in path:
        raise ValueError(
            "must be a path, sqlite:///path, postgresql://user:password@host/database,"
            " mysql://user:password@host/database or redis://user:password@host"
        )
    return path


def users_store(text: str) -> str:
    """As `store`, for users only; nothing where they are kept in the store itself."""
    found = store(text) if text.strip() else ""
    if is_redis(found):
        raise ValueError("must be a file, postgresql://... or mysql://...: Redis keeps no users")
    return found


def table_prefix(text: str) -> str:
    """The beginning of a table's name, or nothing."""
    prefix = text.strip()
    if prefix and (not _TABLE_PREFIX.fullmatch(prefix) or prefix.startswith("sqlite_")):
        raise ValueError("must be a-z, 0-9 and _, begin with a letter and end with _, at most 30; evertoken_ will do")
    return prefix


def client_id(text: str) -> str:
    """A client id."""
    if not CLIENT_ID.fullmatch(text):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    return text


def dialects(text: str) -> tuple[str, ...]:
    """Names of dialects or files, each below a path if one is put in front; they are read when the server is made."""
    found = _split(text)
    for each in found:
        split_dialect(each)
    return found


def split_dialect(text: str) -> tuple[str, str]:
    """
    The path below which a dialect is served, empty for the root, and its name or file.

    Raises:
        ValueError: it is no such path, or nothing is named.
    """
    prefix, separator, what = text.partition("=")
    if not separator:
        prefix, what = "", prefix
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise ValueError(f"{prefix!r} is not a path to put a dialect below; write it as /old or /old/v1")
    if not what.strip():
        raise ValueError("must name a dialect or its file: nest, ./ours.json, /old=nest")
    return prefix, what.strip()


def dotted_name(text: str) -> str:
    """module:attribute, or nothing."""
    if text and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", text):
        raise ValueError("must be module:name, for example myapp.auth:claims")
    return text


def render(value: Any) -> str:
    """A value as one would write it in a flag, a variable or the file; secrets are revealed."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
            if seconds and seconds % size == 0:
                return f"{int(seconds // size)}{unit}"
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ",".join(render(item) for item in value)
    if isinstance(value, Secret):
        return value.reveal()
    return "" if value is None else str(value)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
