"""Reads the files of conformance/, and refuses whatever their README does not know: a typo must not pass for a case."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).parents[2] / "conformance"
_ABSENT: Final = object()


class BadCase(AssertionError):
    """A file of conformance/ does not follow its README."""


class Members:
    """The members of one JSON object: each is taken once, and none may be left over."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise BadCase(f"{where}: not an object but {value!r}")
        self._left = dict(value)
        self.where = where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.end()

    def take(self, name: str, kinds: type | tuple[type, ...], default: Any = _ABSENT) -> Any:
        """The member of that name, of one of these types; `default` where it is left out."""
        value = self._left.pop(name, default)
        if value is _ABSENT:
            raise BadCase(f"{self.where}: lacks {name}")
        if value is default:
            return value
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise BadCase(f"{self.where}: {name} may not be {value!r}")
        return value

    def take_any(self, name: str) -> Any:
        """The member of that name, whatever it is."""
        return self.take(name, (str, int, float, bool, list, dict, type(None)))

    def inner(self, name: str) -> "Members":
        """The member of that name, an object."""
        return Members(self.take(name, dict), f"{self.where}.{name}")

    def has(self, name: str) -> bool:
        """Whether there is one that has not been taken."""
        return name in self._left

    def is_null(self, name: str) -> bool:
        """Whether it is there and null."""
        return self._left.get(name, _ABSENT) is None

    def only(self, names: Iterable[str]) -> str:
        """The name of the one member that there is, which must be among these."""
        found = [str(name) for name in self._left]
        if len(found) != 1 or found[0] not in tuple(names):
            raise BadCase(f"{self.where}: has {found}, not one of {sorted(names)}")
        return found[0]

    def end(self) -> None:
        """Nothing may be left."""
        if self._left:
            raise BadCase(f"{self.where}: does not know {sorted(self._left)}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadCase(f"a member occurs twice among {[name for name, _ in pairs]}")
    return members


def _no_constant(name: str) -> None:
    raise BadCase(f"{name} is no JSON")


def read(path: Path) -> Members:
    """The members of a file; `about` is taken already."""
    text = path.read_text(encoding="utf-8")
    members = Members(json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant), path.name)
    if not members.take("about", str).endswith("."):
        raise BadCase(f"{path.name}: about is no sentence")
    return members


def files(folder: str) -> list[Path]:
    """The files of a folder of conformance/."""
    found = sorted((ROOT / folder).glob("*.json"))
    if not found:
        raise BadCase(f"conformance/{folder} holds no cases")
    return found


def cases(file: Members) -> Iterator[tuple[str, Members]]:
    """The cases of a file with their names; name and sentence are taken already."""
    names = set()
    for value in file.take("cases", list):
        case = Members(value, file.where)
        name = case.take("name", str)
        case.where = f"{file.where}, {name}"
        sentence = case.take("sentence", str)
        if name in names or not name.replace("_", "").isalnum() or name != name.lower():
            raise BadCase(f"{case.where}: the name is taken already, or not in snake_case")
        if not sentence.endswith("."):
            raise BadCase(f"{case.where}: {sentence!r} is no sentence")
        names.add(name)
        yield name, case


def text(value: Any, where: str) -> str:
    """A text: itself, or its parts, of which one may be repeated."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise BadCase(f"{where}: {value!r} is neither a text nor a list of parts")
    parts = []
    for part in value:
        if isinstance(part, str):
            parts.append(part)
            continue
        with Members(part, where) as members:
            parts.append(members.take("repeat", str) * members.take("times", int))
    return "".join(parts)


def body(members: Members) -> bytes:
    """The body of an answer: `body`, `json` or `hex`; empty without any."""
    if members.has("json"):
        return json.dumps(members.take_any("json")).encode()
    if members.has("hex"):
        return bytes.fromhex(members.take("hex", str))
    return text(members.take("body", (str, list), ""), members.where).encode()
