"""Origins (RFC 6454) as browsers spell them, and which of them a page of ours may come from. Pure."""

import ipaddress
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_origin(text: str) -> str | None:
    """
    The one spelling of an origin that a browser sends, or None when the text is not an origin.

    Anything beyond scheme, host and port (a path, a trailing slash, user info) makes it something else.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.username is not None or parts.password is not None:
        return None
    if ":" in host:
        host = f"[{host}]"
    suffix = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    spelled = f"{parts.scheme}://{host}{suffix}"
    return spelled if text == spelled else None


def origin_of(url: str) -> str | None:
    """The origin of a URL, or None when it has none that we know."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def is_trustworthy(url: str) -> bool:
    """Whether browsers let this origin set Secure cookies: https, or the machine itself (Secure Contexts §3.1)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
