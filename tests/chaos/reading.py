"""What tokens and answers say, for the history."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from evertoken.secret import Secret
from evertoken.sessions.model import session_id_text
from evertoken.tokens import refresh_token
from evertoken.tokens.server_secrets import SecretRing
from tests.chaos.history import Access, Got, Token
from tests.processes.ledger import SECRET

SECRETS = SecretRing((Secret(SECRET),))

LATER = frozenset({429, 503})


def token_of(text: str) -> Token:
    """What a refresh token says; its MAC is checked."""
    read = refresh_token.parse(text, SECRETS)
    return Token(session_id_text(read.session_id), read.generation, read.tag.hex(), read.parent.hex())


def access_of(text: str) -> Access:
    """What an access token says; who verifies it are the servers."""
    part = text.split(".")[1]
    return claims_access(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def claims_access(claims: Mapping[str, Any]) -> Access:
    """The same of its claims, as `/auth/me` gives them."""
    return Access(str(claims["sid"]), str(claims["sub"]), float(claims["exp"]))


def verdict(status: int, body: bytes, *, done: int, over_codes: tuple[str, ...] = ("session_over",)) -> tuple[Got, str]:
    """
    What an answer means, and the reason or what is strange about it.

    Args:
        done: The status of an answer that grants what was asked.
    """
    if status == done:
        return Got.DONE, ""
    if status in LATER:
        return Got.UNAVAILABLE, ""
    problem = _problem(body)
    code = str(problem.get("code", ""))
    if status == 401 and code in over_codes:
        return Got.OVER, str(problem.get("reason", ""))
    if status in {401, 403, 404}:
        return Got.REFUSED, code
    return Got.STRANGE, f"{status} {code}"


def _problem(body: bytes) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
