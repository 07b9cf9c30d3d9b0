"""The CSRF token: the page proves with it that the sign-in is its own. A MAC of the session id, never stored."""

from hmac import compare_digest

from evertoken.tokens import base64url
from evertoken.tokens.server_secrets import SecretRing


def mint_csrf(session_id: bytes, secrets: SecretRing) -> str:
    """The CSRF token of this session, under the minting secret; the same for the session's whole life."""
    return base64url.encode(secrets.minting.csrf.of(session_id))


def is_csrf_valid(text: str, session_id: bytes, secrets: SecretRing) -> bool:
    """
    Whether any secret of the ring made `text` for this session. Any text at all may be asked about.

    Every secret is tried, even after one has matched: how long it takes tells nothing.
    """
    given = text.encode("utf-8", "surrogatepass")
    is_valid = False
    for secret in secrets:
        expected = base64url.encode(secret.csrf.of(session_id)).encode("ascii")
        is_valid |= compare_digest(given, expected)
    return is_valid
