"""The figures on the demo's dashboard: made up, but always the same for a time and a seed. Pure."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

POINTS: Final = 24
"""How many figures a chart shows; the last is of now."""

_STEP_MS: Final = 2_000
_NAMES: Final = ("Amara", "Bo", "Chiara", "Deniz", "Emeka", "Freya", "Gao", "Hina", "Ivo", "Jun", "Katya", "Lin")
_PAGES: Final = ("/", "/prices", "/docs", "/blog", "/about")


def tile(name: str, *, now_ms: int, seed: str) -> Mapping[str, Any] | None:
    """
    What a tile shows now.

    Args:
        name: One of `TILES`.
        now_ms: Current time; figures change every two seconds.
        seed: Another seed, other figures.

    Returns:
        None where there is no such tile.
    """
    made = TILES.get(name)
    return None if made is None else made(now_ms, seed)


def _chance(seed: str, name: str, step: int) -> float:
    """A number from 0 to 1 that only its arguments decide."""
    digest = hashlib.blake2b(f"{seed}/{name}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _level(seed: str, name: str, step: int) -> float:
    """As `_chance`, but near its neighbours: two waves and a little noise."""
    slow = math.sin(step / 13 + 7 * _chance(seed, name, 0))
    quick = math.sin(step / 4.1 + 7 * _chance(seed, name, 1))
    return min(max(0.5 + 0.27 * slow + 0.13 * quick + 0.2 * (_chance(seed, name, step + 2) - 0.5), 0.0), 1.0)


def _orders(now_ms: int, seed: str) -> Mapping[str, Any]:
    history = [round(80 + 160 * _level(seed, "orders", step)) for step in _steps(now_ms)]
    return {"per_minute": history[-1], "history": history}


def _queue(now_ms: int, seed: str) -> Mapping[str, Any]:
    history = [round(60 * _level(seed, "queue", step) ** 2) for step in _steps(now_ms)]
    return {"length": history[-1], "history": history}


def _temperature(now_ms: int, seed: str) -> Mapping[str, Any]:
    history = [round(19 + 5 * _level(seed, "temperature", step), 1) for step in _steps(now_ms)]
    return {"celsius": history[-1], "history": history}


def _visitors(now_ms: int, seed: str) -> Mapping[str, Any]:
    step = now_ms // _STEP_MS
    return {
        "visitors": [
            {
                "name": _NAMES[int(_chance(seed, "name", step - back) * len(_NAMES))],
                "page": _PAGES[int(_chance(seed, "page", step - back) * len(_PAGES))],
                "seconds_ago": (now_ms % _STEP_MS + back * _STEP_MS) // 1000,
            }
            for back in range(4)
        ]
    }


def _sales(now_ms: int, seed: str) -> Mapping[str, Any]:
    minute, into_ms = divmod(now_ms, 60_000)
    made = {back: 30 + 170 * _level(seed, "sales", minute - back) for back in range(12)}
    made[0] *= into_ms / 60_000  # the present minute grows as it passes
    return {"minutes": [round(made[back]) for back in reversed(range(12))]}


def _clock(now_ms: int, _seed: str) -> Mapping[str, Any]:
    return {"now_ms": now_ms}


def _steps(now_ms: int) -> range:
    last = now_ms // _STEP_MS
    return range(last - POINTS + 1, last + 1)


TILES: Final[Mapping[str, Callable[[int, str], Mapping[str, Any]]]] = {
    "orders": _orders,
    "queue": _queue,
    "temperature": _temperature,
    "visitors": _visitors,
    "sales": _sales,
    "clock": _clock,
}
"""What there is to show, by name."""
