"""Refreshers that decide a little differently: the real source, changed in a line. Some story must catch each."""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from .stories import OURS, Core

Change = tuple[str, str]


@dataclass(frozen=True)
class Mutant:
    """What is changed, and where."""

    what: str
    refresher: tuple[Change, ...] = ()
    holding: tuple[Change, ...] = ()

    def core(self) -> Core:
        """
        The changed modules.

        Raises:
            AssertionError: A text does not occur exactly once: the source was rewritten, and the mutant must follow.
        """
        holding = _changed(OURS.holding, self.holding, {})
        return Core(
            _changed(OURS.refresher, self.refresher, {"Holding": holding, "Moment": holding, "taken": holding}), holding
        )


def _changed(module: ModuleType, changes: tuple[Change, ...], imported: Mapping[str, ModuleType]) -> ModuleType:
    source = inspect.getsource(module)
    for old, new in changes:
        assert source.count(old) == 1, f"{module.__name__} has {source.count(old)} times {old!r}, to mutate once"
        source = source.replace(old, new)
    mutated = ModuleType(f"{module.__name__} mutated")
    # Dataclasses look their module up by its name.
    sys.modules[mutated.__name__] = mutated
    try:
        exec(compile(source, mutated.__name__, "exec"), mutated.__dict__)
    finally:
        del sys.modules[mutated.__name__]
    for name, origin in imported.items():
        setattr(mutated, name, getattr(origin, name))
    return mutated


_IF_OVER: Final = """\
        if holding is None and self.ended is not None:
            return Decision(Step.SIGNED_OUT, reason=self.ended)
"""
_IF_NO_TOKEN: Final = """\
        if holding is None or (holding.expires is not None and holding.expires.has_come(now)):
"""

MUTANTS: Final = (
    Mutant("a late refusal causes a refresh", (("        if not is_current:\n", "        if False:\n"),)),
    Mutant("a request is sent a third time", (("        if was_sent_again:\n", "        if False:\n"),)),
    Mutant("an unhelpful renewal is repeated", (("self._unhelpful[0] == generation and ", "False and "),)),
    Mutant("an unhelpful renewal is never repeated", ((" and now.monotonic < self._unhelpful[1]", ""),)),
    Mutant(
        "the unhelpful time goes by the wall clock",
        (("now.monotonic < self._unhelpful[1]", "now.wall < self._unhelpful[1]"),),
    ),
    Mutant(
        "a second refusal always blames the current token",
        (
            ("            if is_current and self._is_fetched:\n", "            if True:\n"),
            ("(generation, now.monotonic +", "(self._generation, now.monotonic +"),
        ),
    ),
    Mutant(
        "a token found in the store counts as a renewal that did not help",
        (("            if is_current and self._is_fetched:\n", "            if is_current:\n"),),
    ),
    Mutant(
        "two refreshes at a time",
        (("        if self.is_flying:\n            return _WAIT\n        rest", "        rest"),),
    ),
    Mutant(
        "over starts a second flight",
        (("return _WAIT if self.is_flying else Decision(Step.END", "return Decision(Step.END"),),
    ),
    Mutant(
        "a token that was refused is sent while it is renewed",
        (("self.is_flying and self._refused == holding.generation", "False"),),
    ),
    Mutant(
        "a token that is over is sent while the session ends",
        (("            self._refused = generation\n            return", "            return"),),
    ),
    Mutant(
        "everybody waits for a renewal before the end",
        (("        if self.is_flying and self._refused == holding.generation:\n", "        if self.is_flying:\n"),),
    ),
    Mutant(
        "a body that cannot be repeated does not wait for a renewal that runs",
        (("return Decision(Step.SEND, holding) if is_repeatable else _WAIT", "return Decision(Step.SEND, holding)"),),
    ),
    Mutant(
        "a body that cannot be repeated starts no renewal first",
        (("if is_repeatable else _START_AND_WAIT", "if True else _START_AND_WAIT"),),
    ),
    Mutant(
        "an expired token is sent",
        ((_IF_NO_TOKEN, "        if holding is None:\n"),),
    ),
    Mutant(
        "an expired token is sent when its renewal fails",
        (
            (
                "is_good = holding is not None and not (holding.expires is not None and holding.expires.has_come(now))",
                "is_good = True",
            ),
        ),
    ),
    Mutant(
        "a refused token is sent again when its renewal fails",
        ((" and is_good and holding.generation != generation", " and is_good"),),
    ),
    Mutant(
        "a token that is good is not used when its renewal fails",
        (("if holding is not None and is_good and", "if False and holding is not None and is_good and"),),
    ),
    Mutant("a sign-out does not overtake a refresh", ((_IF_OVER + "        match outcome", "        match outcome"),)),
    Mutant(
        "a refusal of a session that is over looks into the store",
        ((_IF_OVER + "        is_current", "        is_current"),),
    ),
    Mutant(
        "whoever is signed out does not look into the store",
        ((_IF_NO_TOKEN, _IF_OVER + _IF_NO_TOKEN),),
    ),
    Mutant(
        "whoever was never signed in does not look into the store again",
        ((_IF_NO_TOKEN, _IF_OVER.replace("is not None:", "== NOT_SIGNED_IN:") + _IF_NO_TOKEN),),
    ),
    Mutant(
        "a rest hides the end",
        ((_IF_OVER.replace("holding is None and ", "") + "        return Dec", "        return Dec"),),
    ),
    Mutant(
        "the last reason is kept",
        (("if self.ended is None or outcome.is_news or self.holding is not None:", "if True:"),),
    ),
    Mutant(
        "the first reason is kept though there is news",
        (("self.ended is None or outcome.is_news or ", "self.ended is None or "),),
    ),
    Mutant(
        "a request of a session that ended is sent with the next sign-in",
        (
            (
                "                return Decision(Step.SIGNED_OUT, reason=outcome.reason)\n",
                "                return self.before_sending(now, is_repeatable=False)\n",
            ),
        ),
    ),
    Mutant(
        "a wish is like a request",
        (
            (
                'whatever becomes of the old one."""\n        return self._refresh_first(now)',
                'whatever becomes of the old one."""\n        return self.before_sending(now)',
            ),
        ),
    ),
    Mutant(
        "a late refusal is sent with a token that ends soon",
        (("return self.before_sending(now, is_repeatable=False)", "return self.before_sending(now)"),),
    ),
    Mutant(
        "a second sending does not renew what was found",
        (("is_repeatable=is_repeatable and generation is None)", "is_repeatable=is_repeatable)"),),
    ),
    Mutant(
        "a body that cannot be repeated does not renew what was found",
        (("is_repeatable=is_repeatable and generation is None)", "is_repeatable=generation is None)"),),
    ),
    Mutant(
        "the last sending goes by the margin of the others",
        (("holding.renew if is_repeatable else holding.renew_for_good", "holding.renew"),),
    ),
    Mutant(
        "every sending goes by the margin of the last",
        (("holding.renew if is_repeatable else holding.renew_for_good", "holding.renew_for_good"),),
    ),
    Mutant("the margin of the last sending is not doubled", (), (("-2 * margin", "-margin"),)),
    Mutant("the margin of the last sending is drawn by lot", (), (("-2 * margin", "-2 * drawn"),)),
    Mutant(
        "the margin of the last sending is not capped by the lifetime",
        (),
        (("-2 * margin", "-2 * MARGIN_SECONDS"),),
    ),
    Mutant(
        "a token that was just fetched is renewed where it is old already",
        (("case Renewed(is_fetched=True) if holding is not None:", "case Renewed(is_fetched=True) if False:"),),
    ),
    Mutant(
        "a token that was found is sent however old it is",
        (("case Renewed(is_fetched=True) if holding is not None:", "case Renewed() if holding is not None:"),),
    ),
    Mutant(
        "what was just fetched is sent once only with a body that can be repeated",
        (
            (
                "case Renewed(is_fetched=True) if holding is not None:",
                "case Renewed(is_fetched=True) if holding is not None and is_repeatable and generation is None:",
            ),
        ),
    ),
    Mutant("a token without a refresh token is renewed before its end", (), (("if not is_renewable:", "if False:"),)),
    Mutant(
        "a token without a refresh token never ends",
        (),
        (("access_token, expires, expires, expires)", "access_token, None, None, None)"),),
    ),
    Mutant(
        "a token without a refresh token is renewed before the last sending",
        (),
        (("access_token, expires, expires, expires)", "access_token, expires, expires.later(-120), expires)"),),
    ),
    Mutant("the rest is ignored", (("return 0.0 if self._resting_until is None else", "return 0.0 if True else"),)),
    Mutant("the rest is ignored by renewals before the end", ((" or self._rest(now) > 0:", ":"),)),
    Mutant(
        "the rest goes by the wall clock",
        (("max(0.0, self._resting_until - now.monotonic)", "max(0.0, self._resting_until - now.wall)"),),
    ),
    Mutant("the rest is not doubled", ((" * 2 ** min(self._failures - 1, DOUBLINGS)", ""),)),
    Mutant(
        "the rest is doubled without end",
        (
            (
                "min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(self._failures - 1, DOUBLINGS))",
                "FIRST_REST_SECONDS * 2 ** min(self._failures - 1, 99)",
            ),
        ),
    ),
    Mutant("a long outage overflows", (("min(self._failures - 1, DOUBLINGS)", "(self._failures - 1)"),)),
    Mutant("the rest is not drawn by lot", (("longest * (0.5 + 0.5 * jitter)", "longest"),)),
    Mutant("Retry-After is ignored", (("        if retry_after_seconds is not None:\n", "        if False:\n"),)),
    Mutant(
        "Retry-After is not capped", (("min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)", "retry_after_seconds"),)
    ),
    Mutant(
        "a success leaves the series of failures",
        (
            (
                "                self.ended = None\n                self._failures = 0\n",
                "                self.ended = None\n",
            ),
        ),
    ),
    Mutant(
        "a sign-in leaves the rest",
        (
            (
                "self._failures = 0\n                self._resting_until = None\n            case Ended",
                "self._failures = 0\n            case Ended",
            ),
        ),
    ),
    Mutant(
        "an end leaves the rest",
        (
            (
                "self._failures = 0\n                self._resting_until = None\n            case Failed",
                "self._failures = 0\n            case Failed",
            ),
        ),
    ),
    Mutant(
        "an end leaves the series of failures",
        (
            (
                "                self.holding = None\n                self._failures = 0\n",
                "                self.holding = None\n",
            ),
        ),
    ),
    Mutant(
        "an end leaves the token",
        (("                self.holding = None\n                self._failures", "                self._failures"),),
    ),
    Mutant(
        "an end is forgotten",
        (("                    self.ended = outcome.reason\n", "                    self.ended = None\n"),),
    ),
    Mutant(
        "a sign-in does not undo the end",
        (("                self.ended = None\n                self._failures", "                self._failures"),),
    ),
    Mutant(
        "a failure ends the session",
        (
            (
                "                self._failures += 1\n",
                "                self._failures += 1\n                self.holding, self.ended = None, 'failed'\n",
            ),
        ),
    ),
    Mutant(
        "over is taken from a token that was replaced",
        (("if over is not None and is_current:", "if over is not None:"),),
    ),
    Mutant("over causes a refresh", (("if over is not None and is_current:", "if False:"),)),
    Mutant(
        "generations are not counted",
        (("                self._generation += 1\n", "                self._generation = 1\n"),),
    ),
    Mutant("a flight never ends", (("        self.is_flying = False\n        match", "        match"),)),
    Mutant("the wall clock is ignored", (), (("now.wall >= self.wall or now.monotonic", "now.monotonic"),)),
    Mutant(
        "the monotonic clock is ignored",
        (),
        (("now.wall >= self.wall or now.monotonic >= self.monotonic", "now.wall >= self.wall"),),
    ),
    Mutant("both clocks have to agree", (), (("now.wall >= self.wall or", "now.wall >= self.wall and"),)),
    Mutant(
        "a token is sent at its very end",
        (),
        (
            (
                "now.wall >= self.wall or now.monotonic >= self.monotonic",
                "now.wall > self.wall or now.monotonic > self.monotonic",
            ),
        ),
    ),
    Mutant(
        "the margin is not capped by the lifetime",
        (),
        (
            (
                "min(MARGIN_SECONDS, (lifetime_seconds if lifetime_seconds is not None else left) * MARGIN_SHARE)",
                "MARGIN_SECONDS",
            ),
        ),
    ),
    Mutant(
        "the margin is not capped by a minute",
        (),
        (
            (
                "min(MARGIN_SECONDS, (lifetime_seconds if lifetime_seconds is not None else left) * MARGIN_SHARE)",
                "(lifetime_seconds if lifetime_seconds is not None else left) * MARGIN_SHARE",
            ),
        ),
    ),
    Mutant(
        "the margin goes by what is left",
        (),
        (("(lifetime_seconds if lifetime_seconds is not None else left)", "left"),),
    ),
    Mutant(
        "the margin is not drawn by lot", (), (("drawn = margin * (1 - MARGIN_JITTER * jitter)", "drawn = margin"),)
    ),
    Mutant("there is no margin", (), (("expires.later(-drawn)", "expires"),)),
    Mutant(
        "a lifetime does not bound what is left",
        (),
        (("        left = min(left, lifetime_seconds)\n", "        pass\n"),),
    ),
    Mutant(
        "a token that was read late lives its whole life again",
        (),
        (("        left = min(left, lifetime_seconds)\n", "        left = lifetime_seconds\n"),),
    ),
)
