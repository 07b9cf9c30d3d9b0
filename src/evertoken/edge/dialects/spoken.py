"""What the envelope needs to know of the paths on which a dialect is spoken: its refusals, its CORS headers."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Match, Route

from evertoken.edge.answers import add_headers
from evertoken.edge.dialects.served import ServedDialect
from evertoken.errors import ConfigurationError
from evertoken.wire.dialects import answering
from evertoken.wire.dialects.answering import Rendered
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.problems import ProblemAnswer

PLACE: Final = "evertoken.place"
"""Under this key a route of a dialect puts into the scope whose answer a refusal would be; see `answering.failure`."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """
    A path and its dialect.

    Args:
        methods: What a page of another origin may use there.
        headers: What such a page may send there, in lower case.
    """

    dialect: Dialect
    methods: set[str] = field(default_factory=set)
    headers: frozenset[str] = frozenset()

    def refused(self, problem: ProblemAnswer, scope: MutableMapping[str, Any]) -> Response:
        """A refusal in the dialect's words."""
        return as_response(answering.failure(self.dialect, problem, place=scope.get(PLACE, "other")))


SpokenPaths = Mapping[str, Spoken]


def as_response(said: Rendered, *, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """An answer of a dialect as Starlette sends it."""
    response = Response(said.body, status_code=said.status)
    add_headers(response, (*said.headers, *headers))
    return response


def spoken_paths(served: Sequence[ServedDialect], own_routes: Sequence[Route]) -> SpokenPaths:
    """
    Every path of every dialect.

    A path belongs to one dialect whatever the method: a refusal there could not be in two.

    Raises:
        ConfigurationError: two dialects, or a dialect and this server's own routes, want the same path.
    """
    found: dict[str, Spoken] = {}
    owners: dict[str, ServedDialect] = {}
    for one in served:
        for place, path in one.paths():
            other = owners.setdefault(path, one)
            if other is not one:
                raise _both(f"{one.source} ({place})", other.source, path)
            taken = _own_route(path, own_routes)
            if taken is not None:
                raise _both(f"{one.source} ({place})", f"evertoken's own {taken}", path)
            found.setdefault(path, Spoken(one.dialect, headers=_headers_of(one)))
        for call in one.calls.values():
            found[one.prefix + call.url].methods.add(call.method)
        if one.csrf_path is not None:
            found[one.csrf_path].methods.add("GET")
    return found


def _both(one: str, other: str, path: str) -> ConfigurationError:
    return ConfigurationError(
        "dialects", f"{one} and {other} both answer at {path}; put one of the dialects below a path: /old=NAME"
    )


def _own_route(path: str, routes: Sequence[Route]) -> str | None:
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    for route in routes:
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            return route.path
    return None


def _headers_of(one: ServedDialect) -> frozenset[str]:
    """Every header that a client of this dialect sends of its own accord to one of its calls."""
    dialect = one.dialect
    names = {dialect.access_token.header}
    for call in one.calls.values():
        names |= set(call.headers)
        if call.token.kind == "header":
            names.add(call.token.name)
    if dialect.csrf is not None:
        names.add(dialect.csrf.header)
    if dialect.opt_out is not None:
        names.add(dialect.opt_out.header)
    return frozenset(name.lower() for name in names)
