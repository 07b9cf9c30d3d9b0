"""The members of a dialect document, one by one: what each may be, and what it is for. Pure."""

from typing import Any, Final

from evertoken.wire.dialects.dialect import (
    AccessTokenPlace,
    AuthCall,
    CsrfPlace,
    Dialect,
    Failure,
    Match,
    OptOut,
    Success,
    TokenPlace,
    TokenPointers,
)
from evertoken.wire.dialects.kinds import (
    Anything,
    Flag,
    Integer,
    Kind,
    ListOf,
    Members,
    OrNull,
    Part,
    Scalar,
    Seconds,
    Text,
    Word,
)

SCHEMA_URI: Final = "https://json-schema.org/draft/2020-12/schema"
LONGEST_LIFETIME_SECONDS: Final = 10 * 365 * 86_400

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a pattern: RFC 9110 §5.6.2
POINTER: Final = Text(r"(?:/(?:[^~/]|~[01])*)*", "a JSON Pointer (RFC 6901), as /data/token", 256)
HEADER: Final = Text(_TOKEN, "a header's name (RFC 9110 §5.1): letters, digits and !#$%&'*+-.^_`|~", 64)
COOKIE: Final = Text(_TOKEN, "a cookie's name (RFC 6265 §4.1.1): letters, digits and !#$%&'*+-.^_`|~", 64)
VALUE: Final = Text(r"[!-~](?:[ -~]*[!-~])?", "visible ASCII without a space at either end", 512)
SCHEME: Final = Text(_TOKEN, "an authentication scheme (RFC 9110 §11.1), as Bearer", 64)
NAME: Final = Text(r"[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits, dot, dash and underscore", 64)
SENTENCE: Final = Text(r"[^\u0000-\u001f\u007f-\u009f]*", "one line of text", 500)
ANY_TEXT: Final = Text(r"[^\u0000-\u001f\u007f]+", "a text without control characters", 128)
_PATH: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@%-]"
URL: Final = Text(
    rf"(?:https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?)?/(?:{_PATH}(?:{_PATH}|/)*)?(?:\?(?:{_PATH}|[/?])*)?",
    "a path as /auth/login, or an http(s) URL, in ASCII, without a fragment or a user name",
    1024,
)
METHOD: Final = Word(("GET", "POST", "PUT", "PATCH", "DELETE"))
STATUS: Final = Integer(200, 599)


def _pointer(about: str) -> tuple[Kind, str]:
    return OrNull(POINTER), about


MATCH: Final = Part(
    Match,
    {
        "status": (STATUS, "The HTTP status."),
        "body": (
            Members(POINTER, ListOf(Scalar(), 1, 16), 8),
            (
                "By JSON Pointer, the values that the place in the JSON body may have; a number also matches its text. "
                "All places must match; without any the body is not looked at."
            ),
        ),
    },
)
TOKEN_PLACE: Final = Part(
    TokenPlace,
    {
        "kind": (
            Word(("body", "header", "query", "cookie")),
            (
                "A member of the body, a header, a parameter of the URL, or an HttpOnly cookie. A URL ends in logs and "
                "histories: the server takes it with `allow_token_in_url` only. A cookie demands `csrf`."
            ),
        ),
        "name": (
            ANY_TEXT,
            "The member, header or parameter. A cookie is named by the server that sets it.",
        ),
        "scheme": (OrNull(SCHEME), "For a header, the word before the token; a server takes it in any case."),
    },
)
CALL: Final = Part(
    AuthCall,
    {
        "url": (URL, "A path, appended to the base URL, or an absolute URL. A server takes paths only."),
        "method": (METHOD, "The HTTP method. A GET has no body."),
        "encoding": (Word(("json", "form")), "How the body is written."),
        "token": (TOKEN_PLACE, "Where the refresh token goes; says nothing at sign-in."),
        "username": (ANY_TEXT, "The member of the body that holds the user name at sign-in."),
        "password": (ANY_TEXT, "The member of the body that holds the password at sign-in."),
        "body": (
            Members(ANY_TEXT, Anything()),
            "Members of the body that clients send along as they are; a server ignores them.",
        ),
        "headers": (
            Members(HEADER, VALUE),
            "Headers that clients send along as they are; a server ignores them.",
        ),
    },
)
DIALECT: Final = Part(
    Dialect,
    {
        "name": (NAME, "What the dialect is called."),
        "about": (SENTENCE, "One sentence for people."),
        "access_token": (
            Part(
                AccessTokenPlace,
                {
                    "header": (HEADER, "The header's name."),
                    "scheme": (OrNull(SCHEME), "The word before the token; null for the bare token."),
                },
            ),
            "Where a request carries its access token.",
        ),
        "login": (OrNull(CALL), "The sign-in; null where the API has none."),
        "refresh": (OrNull(CALL), "The refresh; null where the API has none."),
        "logout": (OrNull(CALL), "The sign-out; null where the API has none."),
        "csrf": (
            OrNull(
                Part(
                    CsrfPlace,
                    {
                        "header": (HEADER, "Every call with the refresh cookie carries the CSRF token here."),
                        "cookie": (
                            OrNull(COOKIE),
                            "A cookie, readable by scripts, in which the server sets the CSRF token as well.",
                        ),
                        "url": (
                            OrNull(URL),
                            "A GET there says the CSRF token and the session id of the cookie's session.",
                        ),
                    },
                )
            ),
            "What a page proves with that a call with the refresh cookie is its own; demanded for a cookie.",
        ),
        "tokens": (
            Part(
                TokenPointers,
                {
                    "access_token": (POINTER, "The access token."),
                    "refresh_token": _pointer("The refresh token."),
                    "expires_in": _pointer("How long the access token lives, in seconds."),
                    "refresh_token_expires_in": _pointer("How long the session lives if it is not used, in seconds."),
                    "session_id": _pointer("The session's id."),
                    "csrf_token": _pointer("The CSRF token of a cookie session."),
                },
            ),
            "Where an answer to sign-in or refresh holds what; null for what is not said.",
        ),
        "expired": (
            ListOf(MATCH, 0, 16),
            "How an answer looks whose request had no access token, a bad one, or one that has expired.",
        ),
        "over": (
            ListOf(MATCH, 0, 16),
            "How an answer looks when the session has ended; no refresh is tried then. Goes before `expired`.",
        ),
        "refresh_over": (
            ListOf(MATCH, 0, 16),
            "How the answer to a refresh looks, besides, when the session has ended or the token is none.",
        ),
        "stale": (
            ListOf(MATCH, 0, 16),
            "How the answer to a refresh looks when a newer refresh token has been used: read the store again.",
        ),
        "reason": _pointer("Where an answer that ends a session says why."),
        "refresh_is_repeatable": (
            Flag(),
            "Whether a refresh whose answer was lost may be sent again with the same token.",
        ),
        "lifetime_seconds": (
            OrNull(Seconds(LONGEST_LIFETIME_SECONDS)),
            "How long an access token lives where answers do not say; null: until it is refused.",
        ),
        "refresh_token_in_answer": (
            Word(("new", "always", "never")),
            (
                "Which refresh token a refresh answers: a new one where there is one, else the presented one again "
                "(`always`), or none at all (`never`: the client keeps what it has)."
            ),
        ),
        "opt_out": (
            OrNull(
                Part(
                    OptOut, {"header": (HEADER, "The header's name."), "value": (VALUE, "The value that it must have.")}
                )
            ),
            "A request that carries this header goes out as it is: no access token, no renewal.",
        ),
        "success": (
            Part(
                Success,
                {"body": (Members(ANY_TEXT, Anything()), "Members of the body that are always the same.")},
            ),
            "What a server says in a good answer beside the tokens.",
        ),
        "failure": (
            OrNull(
                Part(
                    Failure,
                    {
                        "status": (
                            OrNull(Integer(200, 499)),
                            "The HTTP status of every 4xx but 429; null: the failure's own. 429 and 5xx keep theirs.",
                        ),
                        "body": (Members(ANY_TEXT, Anything()), "Members of the body that are always the same."),
                        "status_at": _pointer("Where the failure's own status goes, as a number."),
                        "message_at": _pointer("Where the text for a person goes."),
                        "code_at": _pointer("Where the stable code for programs goes."),
                    },
                )
            ),
            "How a server writes a failure; null: as a problem (RFC 9457).",
        ),
    },
    {"$schema": (Text(r"[^\u0000-\u0020]+", "a URI", 1024), "For editors; ignored.")},
)


def schema() -> dict[str, Any]:
    """The JSON Schema of a dialect document: what `dialect.schema.json` holds."""
    return {
        "$schema": SCHEMA_URI,
        "title": "A dialect of evertoken",
        "description": "How one API spells silent token refresh: where tokens go, how the calls look, what `expired` "
        "and `over` look like. Read by the server, the guards and every client alike.",
        **DIALECT.schema(),
    }
