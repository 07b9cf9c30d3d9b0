"""
Every setting of the server: its name, its default, how it is read and what it is for.

One definition each. Flags, EVERTOKEN_* variables, the TOML file, `evertoken serve --help` and docs/settings.md
all come from here; a test fails when one is not documented.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from evertoken.edge.settings import parsing
from evertoken.secret import Secret
from evertoken.tokens import foreign
from evertoken.tokens.foreign import Library
from evertoken.tokens.signing_keys import Algorithm
from evertoken.wire.cookies import SameSite

T = TypeVar("T")

LEAST_ANNOUNCE_SECONDS = 5
"""Workers read the keys from the store once a second; a key must not sign before all of them know it."""


def _setting(default: T, parse: Callable[[str], T], help_text: str, *, one: str = "", in_repr: bool = True) -> T:
    """A dataclass field that knows how it is read and what it is for; `one`: what its flag names, once or oftener."""
    return dataclasses.field(default=default, repr=in_repr, metadata={"parse": parse, "help": help_text, "one": one})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, validated. `sources.load` makes one; code in tests may as well."""

    # Where it listens and who may speak to it
    host: str = _setting("127.0.0.1", str, "Address to listen on; 0.0.0.0 for every interface.")
    port: int = _setting(8000, parsing.whole_number(1, 65535), "Port to listen on.")
    workers: int = _setting(1, parsing.whole_number(1, 64), "Server processes; they share one store.")
    drain: timedelta = _setting(
        timedelta(0),
        parsing.duration(0),
        "How long to go on after SIGTERM while /readyz fails, so that a load balancer that asks it sends nobody here.",
    )
    issuer: str = _setting(
        "", parsing.public_url, "The server's public URL, `iss` of every token. Default: http://localhost:PORT."
    )
    audience: str = _setting("", str, "`aud` of every access token: who it is meant for. Default: the issuer.")
    allowed_origins: tuple[str, ...] = _setting(
        (), parsing.origins, "Origins of pages elsewhere that may call this server (CORS), comma-separated, exact."
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (), parsing.networks, "Networks whose X-Forwarded-For is believed, comma-separated; none by default."
    )
    production: bool = _setting(
        False, parsing.truth, "Refuse to start on what is only good for development: no secret, an http issuer."
    )

    # Secrets and keys
    secret: tuple[Secret, ...] = _setting(
        (),
        parsing.secrets,
        "Secrets of at least 32 characters, comma-separated; the first mints, all verify. Default: one made beside the"
        " database.",
    )
    algorithm: Algorithm = _setting(
        Algorithm.ES256, parsing.algorithm, "How access tokens are signed: ES256, EdDSA, RS256 or HS256."
    )
    key_announce: timedelta = _setting(
        timedelta(minutes=10),
        parsing.duration(LEAST_ANNOUNCE_SECONDS),
        "How long a new signing key is published before it signs.",
    )

    # How long things live
    access_lifetime: timedelta = _setting(
        timedelta(minutes=30), parsing.duration(0.1), "How long an access token lives."
    )
    idle_lifetime: timedelta = _setting(
        timedelta(days=7), parsing.duration(1), "How long a session lives without use; each refresh is use."
    )
    max_age: timedelta | None = _setting(
        None, parsing.optional_duration, "A session ends this long after its sign-in in any case; 0 for no maximum."
    )
    overlap: timedelta = _setting(
        timedelta(seconds=60),
        parsing.duration(0),
        "The longest that a request and its answer may live; at most the access lifetime. 0 is the strict setting.",
    )
    refresh_extends_idle: bool = _setting(
        True, parsing.truth, "Whether a refresh counts as use. False ends sessions one idle lifetime after sign-in."
    )
    sessions_per_user: int = _setting(
        100, parsing.whole_number(1, 100_000), "Live sessions a user may have; above it the least used one ends."
    )

    # Where it is kept
    store: str = _setting(
        "evertoken.db",
        parsing.store,
        "The SQLite file, as a path or sqlite:///path; or postgresql://user:password@host/database,"
        " mysql://user:password@host/database or redis://user:password@host.",
        in_repr=False,  # it may hold a password
    )
    users_store: str = _setting(
        "",
        parsing.users_store,
        "With Redis: the SQLite file, PostgreSQL or MariaDB database that keeps the users. Not with user_directory.",
        in_repr=False,
    )
    table_prefix: str = _setting(
        "",
        parsing.table_prefix,
        "What our tables' names begin with in a database that is your application's, such as evertoken_. Default: none,"
        " in a database of evertoken's own.",
    )

    # Passwords and sign-in
    password_min_length: int = _setting(
        15, parsing.whole_number(8, 64), "Least length of a new password (NIST SP 800-63B-4: 15 as the only factor)."
    )
    service_name: str = _setting("evertoken", str, "Your service's name; no password may consist of it.")
    hash_memory_kib: int = _setting(
        19_456, parsing.whole_number(19_456, 2_097_152), "argon2id memory in KiB (OWASP: 19456)."
    )
    hash_time_cost: int = _setting(2, parsing.whole_number(2, 64), "argon2id passes (OWASP: 2).")
    hash_parallelism: int = _setting(1, parsing.whole_number(1, 64), "argon2id lanes (OWASP: 1).")
    hash_workers: int = _setting(1, parsing.whole_number(1, 64), "Passwords hashed at once, per process.")
    free_failures_per_pair: int = _setting(
        5, parsing.whole_number(1, 85), "Failed sign-ins of one account from one address before waits begin."
    )
    free_failures_per_account: int = _setting(
        20, parsing.whole_number(1, 85), "Failed sign-ins of one account from unknown addresses before waits begin."
    )
    free_failures_per_address: int = _setting(
        200, parsing.whole_number(1, 278), "Failed sign-ins from one address before waits begin."
    )
    default_client_id: str = _setting("evertoken", parsing.client_id, "`client_id` of sign-ins that name none.")

    # Cookies
    cookie_samesite: SameSite = _setting("Strict", parsing.same_site, "SameSite of the refresh cookie: Strict or Lax.")

    # Dialects: for pages and programs that were written for another API
    dialects: tuple[str, ...] = _setting(
        (),
        parsing.dialects,
        "Other APIs' ways to sign in and refresh: NAME, FILE, or PREFIX=NAME below a path, comma-separated.",
        one="dialect",
    )
    allow_token_in_url: bool = _setting(
        False, parsing.truth, "Serve dialects that carry refresh tokens in the URL, which ends in logs and histories."
    )

    # Your own code
    claims_hook: str = _setting(
        "", parsing.dotted_name, "module:function that returns your own claims for an access token."
    )
    event_hook: str = _setting("", parsing.dotted_name, "module:function called with every event of the audit trail.")
    user_directory: str = _setting(
        "", parsing.dotted_name, "module:object, a UserDirectory over your own user table. Default: our own users."
    )

    # Coming over from another library
    adopt: str = _setting(
        "",
        parsing.optional(parsing.one_of(*Library)),
        "Whose refresh tokens are swapped for sessions: simplejwt or flask-jwt-extended. Default: nobody's.",
    )
    adopt_key: Secret | None = _setting(
        None, parsing.one_secret, "That library's key: its secret for HS256, else its public key in PEM."
    )
    adopt_algorithm: str = _setting(
        "HS256", parsing.one_of(*foreign.ALGORITHMS, fold=str.upper), "Its algorithm: HS256, RS256 or ES256."
    )
    adopt_until: datetime | None = _setting(
        None, parsing.instant, "When that ends: a date (its first moment in UTC) or an instant, at most a year ahead."
    )
    adopt_user_claim: str = _setting(
        "", str, "The claim that names the user. Default: user_id for simplejwt, sub for flask-jwt-extended."
    )
    adopt_user_by: str = _setting(
        "id", parsing.one_of("id", "username"), "What of a user that claim holds: id or username."
    )
    adopt_issuer: str = _setting("", str, "`iss` that their tokens must have; they must have none if this is empty.")
    adopt_audience: str = _setting("", str, "`aud` that their tokens must have; they must have none if this is empty.")
    adopt_hook: str = _setting(
        "", parsing.dotted_name, "module:function asked about each such token; what it denies is not swapped."
    )

    # Running it
    log_level: str = _setting(
        "info", parsing.one_of("debug", "info", "warning", "error"), "debug, info, warning, error."
    )
    log_format: str = _setting("json", parsing.one_of("json", "text"), "json, one object a line; or text, for people.")
    metrics: bool = _setting(True, parsing.truth, "Serve /metrics for Prometheus.")
    openapi: bool = _setting(True, parsing.truth, "Serve /openapi.json.")
    pages: bool = _setting(
        True, parsing.truth, "Serve the pages /sessions and /admin; /auth/client.js is there in any case."
    )
    max_body_bytes: int = _setting(
        16_384, parsing.whole_number(1_024, 1_048_576), "The largest request body that is read."
    )

    @property
    def issuer_url(self) -> str:
        """The issuer, or its default made from the port."""
        return self.issuer or f"http://localhost:{self.port}"

    @property
    def audience_name(self) -> str:
        """The audience, or its default, the issuer."""
        return self.audience or self.issuer_url


@dataclass(frozen=True, slots=True)
class Definition:
    """
    One setting, as help texts and documentation show it.

    Args:
        one: What the flag is named after that gives one value of many and may be repeated; else empty.
    """

    name: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    one: str = ""

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + (self.one or self.name).replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "EVERTOKEN_" + self.name.upper()

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return self.parse is parsing.truth

    def shown_default(self) -> str:
        """The default as one would write it."""
        return parsing.render(self.default)


def definitions() -> list[Definition]:
    """Every setting, in the order in which the documentation lists them."""
    return [
        Definition(field.name, field.default, field.metadata["parse"], field.metadata["help"], field.metadata["one"])
        for field in dataclasses.fields(Settings)
    ]


def milliseconds(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return duration // timedelta(milliseconds=1)
