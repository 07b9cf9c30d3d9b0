"""The kinds of values in a dialect document: each reads a value, and says itself as JSON Schema. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Protocol

from evertoken.errors import ConfigurationError

LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it a browser knows no single integers."""


class DialectError(ConfigurationError):
    """
    A dialect document cannot be used.

    Args:
        field: The JSON Pointer of the member; empty for the whole document.
        message: What is wrong with it, and what to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"dialect {field}" if field else "dialect", message)
        self.field = field


class Contradiction(DialectError):
    """Every member is well formed, and together they cannot be meant; or what they mean is not safe."""


class Kind(Protocol):
    """A kind of value."""

    def read(self, value: Any, place: str) -> Any:
        """
        The value as the dataclasses hold it.

        Raises:
            DialectError: It is of another kind; named by `place`.
        """

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""


def within(place: str, step: str | int) -> str:
    """The JSON Pointer of a member of what stands at `place`."""
    return f"{place}/{str(step).replace('~', '~0').replace('/', '~1')}"


@dataclass(frozen=True)
class Text:
    """A text that fits a pattern as a whole; `what` says to people which."""

    pattern: str
    what: str
    longest: int

    def read(self, value: Any, place: str) -> str:
        """See `Kind`."""
        if not isinstance(value, str) or len(value) > self.longest or not re.fullmatch(self.pattern, value):
            raise DialectError(place, f"must be {self.what}, at most {self.longest} characters")
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.longest}


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any, place: str) -> str:
        """See `Kind`."""
        if not isinstance(value, str) or value not in self.words:
            raise DialectError(place, f"must be one of {', '.join(self.words)}")
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Integer:
    """A whole number; 401.0 is one, for JSON knows one kind of number."""

    least: int = -LARGEST_INTEGER
    most: int = LARGEST_INTEGER

    def read(self, value: Any, place: str) -> int:
        """See `Kind`."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise DialectError(place, f"must be a whole number from {self.least} to {self.most}")
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Seconds:
    """A duration."""

    most: float

    def read(self, value: Any, place: str) -> float:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= self.most:
            raise DialectError(place, f"must be a number of seconds, above 0 and at most {self.most}")
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.most}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, value: Any, place: str) -> bool:
        """See `Kind`."""
        if not isinstance(value, bool):
            raise DialectError(place, "must be true or false")
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Scalar:
    """A value that an answer may hold at a place: text, a whole number, true or false."""

    def read(self, value: Any, place: str) -> str | int | bool:
        """See `Kind`."""
        if isinstance(value, str | bool):
            return value
        if isinstance(value, int | float):
            return Integer().read(value, place)
        raise DialectError(place, "must be a text, a whole number, true or false")

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"anyOf": [{"type": "string"}, {"type": "boolean"}, Integer().schema()]}


@dataclass(frozen=True)
class Anything:
    """Any JSON."""

    def read(self, value: Any, place: str) -> Any:
        """See `Kind`."""
        del place
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {}


@dataclass(frozen=True)
class OrNull:
    """What is not there, or is."""

    kind: Kind

    def read(self, value: Any, place: str) -> Any:
        """See `Kind`."""
        return None if value is None else self.kind.read(value, place)

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"anyOf": [{"type": "null"}, self.kind.schema()]}


@dataclass(frozen=True)
class ListOf:
    """An array."""

    kind: Kind
    least: int
    most: int

    def read(self, value: Any, place: str) -> tuple[Any, ...]:
        """See `Kind`."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise DialectError(place, f"must be a list of {self.least} to {self.most}")
        return tuple(self.kind.read(each, within(place, index)) for index, each in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True)
class Members:
    """An object whose member names are free, within a pattern."""

    names: Text
    kind: Kind
    most: int = 32

    def read(self, value: Any, place: str) -> dict[str, Any]:
        """See `Kind`."""
        if not isinstance(value, dict) or len(value) > self.most:
            raise DialectError(place, f"must be an object of at most {self.most} members")
        read = {}
        for name, each in value.items():
            at = within(place, name)
            read[self.names.read(name, at)] = self.kind.read(each, at)
        return read

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        names = {name: rule for name, rule in self.names.schema().items() if name != "type"}
        return {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": self.kind.schema(),
            "maxProperties": self.most,
        }


@dataclass(frozen=True)
class Part:
    """
    An object that is read as a dataclass.

    Args:
        made: The dataclass; a member without a default there is demanded.
        members: Of every member its kind, and one sentence that says what it is for.
        ignored: Members that are allowed, and say nothing.
    """

    made: Callable[..., Any]
    members: Mapping[str, tuple[Kind, str]]
    ignored: Mapping[str, tuple[Kind, str]] = field(default_factory=dict)

    def read(self, value: Any, place: str) -> Any:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise DialectError(place, "must be an object")
        for name in value:
            if name not in self.members and name not in self.ignored:
                known = ", ".join(self.members)
                raise DialectError(within(place, name), f"is no member of a dialect; here are known: {known}")
        for name in self.demanded():
            if name not in value:
                raise DialectError(within(place, name), "is missing")
        for name, (kind, _) in self.ignored.items():
            if name in value:
                kind.read(value[name], within(place, name))
        given = {
            name: kind.read(value[name], within(place, name))
            for name, (kind, _) in self.members.items()
            if name in value
        }
        return self.made(**given)

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {
            "type": "object",
            "properties": {
                name: {"description": about, **kind.schema()}
                for name, (kind, about) in (*self.ignored.items(), *self.members.items())
            },
            "required": self.demanded(),
            "additionalProperties": False,
        }

    def demanded(self) -> list[str]:
        """The members without a default."""
        of_made = fields(self.made)  # type: ignore[arg-type]
        return [each.name for each in of_made if each.default is MISSING and each.default_factory is MISSING]
