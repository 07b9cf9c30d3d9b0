"""
Refresh tokens of other libraries: real ones, and ones that are made to be wrong in one thing.

`vectors.json` was made by djangorestframework-simplejwt and Flask-JWT-Extended themselves, in the versions that
`made_by` names, for the user 17; the private keys were thrown away.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evertoken.secret import Secret
from tests.support.clock import MovingClock

_FILE: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))

KEY = str(_FILE["key"])
KEYS = {"HS256": KEY, "RS256": str(_FILE["rsa_public"]), "ES256": str(_FILE["ec_public"])}
ISSUED = 1_795_252_929
DAY = 24 * 3600


@dataclass(frozen=True)
class Vector:
    """A token that a library made."""

    made_by: str
    kind: str
    algorithm: str
    token: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def library(self) -> str:
        """The setting for it."""
        return "simplejwt" if "simplejwt" in self.made_by else "flask-jwt-extended"


VECTORS = [Vector(**entry) for entry in _FILE["tokens"]]


def vector(library: str = "simplejwt", kind: str = "refresh", algorithm: str = "HS256") -> Vector:
    """One of them."""
    [found] = [v for v in VECTORS if (v.library, v.kind, v.algorithm) == (library, kind, algorithm)]
    return found


def an_hour_later() -> MovingClock:
    """The time at which the tests begin."""
    return MovingClock((ISSUED + 3600) * 1000)


def settings(library: str = "simplejwt", algorithm: str = "HS256", **more: Any) -> dict[str, Any]:
    """The settings that adopt that library's tokens for three weeks."""
    return {
        "adopt": library,
        "adopt_key": Secret(KEYS[algorithm]),
        "adopt_algorithm": algorithm,
        "adopt_until": datetime.fromtimestamp(ISSUED, UTC) + timedelta(days=21),
        **more,
    }


def part(value: Any) -> str:
    """A part of a token: JSON in base64url; bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: Any, *, header: Any = None, key: str = KEY) -> str:
    """A token that the application's secret signed, whatever it says."""
    head = part({"alg": "HS256", "typ": "JWT"} if header is None else header)
    signing_input = f"{head}.{part(claims)}"
    return f"{signing_input}.{part(hmac.digest(key.encode(), signing_input.encode(), hashlib.sha256))}"


def changed(base: Vector | None = None, **claims: Any) -> str:
    """A genuine token with other claims; None takes one away."""
    merged = {**(base or vector()).claims, **claims}
    return signed({name: value for name, value in merged.items() if value is not None})
