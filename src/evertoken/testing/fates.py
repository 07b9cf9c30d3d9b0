"""What a chaos proxy may do to a request, and the draw that decides it."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """
    How likely each fate is.

    Args:
        lose_requests: Of requests, how many never reach the server; 0 to 1.
        lose_answers: Of the others, how many reach it and get no answer; 0 to 1.
        duplicate: Of the others, how many reach it twice; 0 to 1.
        delay_seconds: Least and most by which a request, its answer and its duplicate are each held back.

    Raises:
        ValueError: A number is out of its range.
    """

    lose_requests: float = 0.0
    lose_answers: float = 0.0
    duplicate: float = 0.0
    delay_seconds: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("lose_requests", "lose_answers", "duplicate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, from 0 to 1, not {getattr(self, name)}")
        least, most = self.delay_seconds
        if not 0 <= least <= most:
            raise ValueError(f"delay_seconds is the least and the most, not {self.delay_seconds}")


@dataclass(frozen=True, slots=True)
class Fate:
    """
    What happens to one request. Delays in seconds.

    Args:
        duplicate_delay: How long after the first one's answer the second is sent; None where there is none.
        gives_second: The client gets the answer to the second.
    """

    loses_request: bool = False
    loses_answer: bool = False
    request_delay: float = 0.0
    answer_delay: float = 0.0
    duplicate_delay: float | None = None
    gives_second: bool = False

    @property
    def is_calm(self) -> bool:
        """Nothing happens to it."""
        return self == Fate()

    def __str__(self) -> str:
        if self.loses_request:
            return "request lost"
        told = []
        if self.request_delay:
            told.append(f"request held {self.request_delay:.3f}s")
        if self.duplicate_delay is not None:
            which = "second" if self.gives_second else "first"
            told.append(f"sent again after {self.duplicate_delay:.3f}s, {which} answer counts")
        if self.answer_delay:
            told.append(f"answer held {self.answer_delay:.3f}s")
        if self.loses_answer:
            told.append("answer lost")
        return ", ".join(told) or "passed"


CALM = Fate()


def draw(odds: Odds, chance: random.Random) -> Fate:
    """Draw a fate; always the same number of draws, so that one setting does not shift the others."""
    rolls = [chance.random() for _ in range(7)]
    if rolls[0] < odds.lose_requests:
        return Fate(loses_request=True)
    least, most = odds.delay_seconds
    request_delay, answer_delay, duplicate_delay = (least + roll * (most - least) for roll in rolls[4:])
    is_doubled = rolls[2] < odds.duplicate
    return Fate(
        loses_answer=rolls[1] < odds.lose_answers,
        request_delay=request_delay,
        answer_delay=answer_delay,
        duplicate_delay=duplicate_delay if is_doubled else None,
        gives_second=is_doubled and rolls[3] < 0.5,  # noqa: PLR2004 - heads or tails
    )
