"""What an address of MariaDB or MySQL says: mysql://user:password@host:3306/database?parameters."""

import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 3306

PARAMETERS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
_MODES = ("disabled", "required", "verify_ca", "verify_identity")


class AddressError(ValueError):
    """The address cannot be used. The message holds nothing of it, for it may hold a password."""


def arguments(location: str) -> dict[str, Any]:
    """
    What the driver is told.

    Raises:
        AddressError: a part cannot be read, a parameter is not known, or a file of it cannot be used.
    """
    try:
        parts = urlsplit(location)
        port = parts.port
    except ValueError:
        raise AddressError("the address cannot be read") from None
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not set(given) <= set(PARAMETERS):
        raise AddressError(f"the address has a parameter that is not known here; known are {', '.join(PARAMETERS)}")
    told: dict[str, Any] = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or "").encode(),  # the driver would take it for Latin-1
        "database": unquote(parts.path.strip("/")),
    }
    if "unix_socket" in given:
        return told | {"unix_socket": given["unix_socket"]}
    return told | {"host": parts.hostname, "port": port or DEFAULT_PORT, "ssl": _tls(given)}


def _tls(given: dict[str, str]) -> ssl.SSLContext | None:
    """As MySQL's own clients understand ssl_mode; a server that has no TLS is refused, never spoken to in the clear."""
    mode = given.get("ssl_mode", "verify_identity" if "ssl_ca" in given else "disabled").lower()
    if mode not in _MODES:
        raise AddressError(f"ssl_mode must be one of {', '.join(_MODES)}")
    if mode == "disabled":
        return None
    try:
        context = ssl.create_default_context(cafile=given.get("ssl_ca"))
        if "ssl_cert" in given:
            context.load_cert_chain(given["ssl_cert"], given.get("ssl_key"))
    except OSError as error:  # ssl.SSLError is one
        raise AddressError(f"a file of ssl_ca, ssl_cert or ssl_key: {error.strerror or 'cannot be read'}") from None
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context
