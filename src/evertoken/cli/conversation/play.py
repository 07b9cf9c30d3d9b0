"""The conversation, step by step: what was seen, what the dialect says should be, and what to do where they differ."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from evertoken.cli.conversation.peer import Held, Peer, Seen, spoilt
from evertoken.cli.conversation.seen import rule_for, said
from evertoken.client.refresher.answers import Over, Tokens, Unusable
from evertoken.secret import Secret

Verdict = Literal["ok", "differs", "note", "skipped"]

_ONCE = "refresh_is_repeatable"
_PASSING = (408, 425, 429)
_LATER = "the API wants fewer calls: check again later"


@dataclass(frozen=True, slots=True)
class Line:
    """
    One step.

    Args:
        verdict: `note`: no difference, but worth knowing. `skipped`: could not be played.
        step: What was done.
        saw: What came back, or why nothing was sent.
        said: What the document says of it.
        mend: What to do.
    """

    verdict: Verdict
    step: str
    saw: str
    said: str = ""
    mend: str = ""


class CannotGoOn(Exception):
    """
    Nobody could be signed in, so nothing more can be seen; the text says what to do.

    Args:
        is_of_the_document: It is the document that is wrong; else it may be the password, or the hour.
    """

    def __init__(self, text: str, *, is_of_the_document: bool = False) -> None:
        super().__init__(text)
        self.is_of_the_document = is_of_the_document


class Play:
    """
    One conversation, as one user.

    Args:
        peer: The API.
        username, password: Who signs in, several times where the API ends sessions on the way.
        resource: A path that a signed-in user may GET; None: what is said of access tokens is not checked.
    """

    def __init__(self, peer: Peer, *, username: str, password: Secret, resource: str | None) -> None:
        self._peer = peer
        self._dialect = peer.dialect
        self._who = (username, password)
        self._resource = resource
        self._held: Held | None = None

    def lines(self) -> Iterator[Line]:
        """
        Play it; each line comes as soon as it has been seen.

        Raises:
            CannotGoOn: Nobody could be signed in.
            NotSent, NoAnswer: The API did not answer.
        """
        yield from self._without_a_token()
        yield from self._sign_in()
        yield from self._with_the_token("guarded call with the access token")
        yield from self._with_a_bad_token()
        if self._dialect.csrf is not None and self._dialect.refresh is not None:
            yield from self._csrf()
        if self._dialect.refresh is None:
            yield Line("skipped", "refreshes", "the document has no refresh")
        else:
            yield from self._refresh()
            yield from self._the_same_again()
            yield from self._two_at_once()
            yield from self._bad_refresh_token()
        yield from self._sign_out()

    # Signing in

    def _sign_in(self) -> Iterator[Line]:
        step, login = "sign-in", self._dialect.login
        if login is None:
            yield Line("skipped", step, "the document has no login, so there are no tokens to play with")
            raise CannotGoOn("give the document a login")
        seen = self._peer.sign_in(*self._who)
        held = self._taken(seen, before=None)
        if isinstance(held, Held):
            self._held = held
            yield Line("ok", step, self._tokens_told(seen, held))
            yield from self._envelope(step, seen)
            yield from self._what_sign_in_lacks(step, held)
            return
        words = self._peer.words(seen)
        if seen.status in {404, 405, 415} or 300 <= seen.status < 400:  # noqa: PLR2004
            yield Line("differs", step, words, f"{login.method} {login.url}", "correct login.url, method or encoding")
            raise CannotGoOn("there is no sign-in where the document says", is_of_the_document=True)
        if seen.is_good and self._peer.judged(seen) == "accepted" and not self._peer.lacks(seen):
            yield Line("differs", step, words, f"an access token at {self._dialect.tokens.access_token}", held)
            raise CannotGoOn("no access token was found in the answer to the sign-in", is_of_the_document=True)
        if seen.status in _PASSING or seen.status >= 500:  # noqa: PLR2004
            yield Line("skipped", step, words, "tokens", "check again later")
            raise CannotGoOn(f"the API takes no sign-in now ({seen.status})")
        yield Line("differs", step, words, "tokens", "give a user name and password that are good there")
        raise CannotGoOn(
            f"the sign-in was refused: check user name and password, and that login sends them as {login.username!r} "
            f"and {login.password!r} in a body of {login.encoding}"
        )

    def _what_sign_in_lacks(self, step: str, held: Held) -> Iterator[Line]:
        places = self._dialect.tokens
        if self._dialect.is_by_cookie:
            if not held.cookies:
                yield Line("differs", step, "no cookie was set", "the refresh token in a cookie", "see refresh.token")
        elif held.refresh_token is None:
            where = places.refresh_token or "nowhere"
            mend = "correct tokens.refresh_token: without a refresh token nothing can be renewed"
            yield Line("differs", step, "no refresh token in the answer", f"at {where}", mend)

    def _taken(self, seen: Seen, *, before: Held | None) -> Held | str:
        """What is held after an answer to a sign-in, or why it holds no tokens."""
        if not seen.is_good or self._peer.judged(seen) != "accepted":
            return "it was refused"
        tokens = self._peer.tokens_of(seen)
        if isinstance(tokens, Unusable):
            return f"{tokens.why}: correct tokens"
        return self._peer.held_after(seen, tokens, before)

    def _signed_in(self) -> Held:
        """The session in hand, or a new one where the API has ended it."""
        if self._held is None:
            held = self._taken(self._peer.sign_in(*self._who), before=None)
            if not isinstance(held, Held):
                raise CannotGoOn("the session has ended on the way, and a second sign-in was refused: try again later")
            self._held = held
        return self._held

    # Calls of an application's own

    def _without_a_token(self) -> Iterator[Line]:
        if self._resource is None:
            yield Line("skipped", "guarded calls", "give --resource PATH, a path that needs a signed-in user")
            return
        yield from self._refused("guarded call without a token", None)

    def _with_a_bad_token(self) -> Iterator[Line]:
        if self._resource is not None:
            yield from self._refused("guarded call with a bad access token", spoilt(self._signed_in().access_token))

    def _refused(self, step: str, token: str | None) -> Iterator[Line]:
        assert self._resource is not None
        seen = self._peer.resource(self._resource, token)
        words, expected = self._peer.words(seen), said(self._dialect.expired)
        match self._peer.judged(seen):
            case "expired":
                yield Line("ok", step, self._peer.short(seen), expected)
            case "over":
                mend = "a page would sign the user out: make over and expired differ"
                yield Line("differs", step, words, expected, mend)
            case _ if seen.status in _PASSING:
                yield Line("skipped", step, words, expected, _LATER)
            case _ if seen.status >= 500:  # noqa: PLR2004
                yield Line("differs", step, words, expected, "mend the API: a bad token is no fault of the server")
            case _:
                offer = f"if that is its way to refuse a token, add {self._offer(seen)} to expired"
                if seen.is_good:
                    offer += "; if it is the answer itself, choose a --resource that is guarded"
                yield Line("differs", step, words, expected, offer)

    def _with_the_token(self, step: str) -> Iterator[Line]:
        if self._resource is None:
            return
        place = self._dialect.access_token
        where = f"{place.header}: {place.scheme + ' ' if place.scheme else ''}TOKEN"
        seen = self._peer.resource(self._resource, self._signed_in().access_token)
        words = self._peer.words(seen)
        if self._peer.judged(seen) != "accepted":
            mend = "correct access_token.header and scheme, or choose a --resource that this user may read"
            yield Line("differs", step, words, f"taken as {where}", mend)
        elif not seen.is_good:
            yield Line("note", step, words, f"taken as {where}", "choose a --resource that answers 200")
        else:
            yield Line("ok", step, self._peer.short(seen), f"taken as {where}")

    # The cookie

    def _csrf(self) -> Iterator[Line]:
        csrf, held = self._dialect.csrf, self._signed_in()
        assert csrf is not None
        if csrf.url is not None:
            step = "CSRF token of a page just loaded"
            seen, told = self._peer.csrf_told(held)
            same = "the same as at sign-in"
            if told is not None and (held.csrf_token is None or told == held.csrf_token):
                yield Line("ok", step, self._peer.short(seen), same)
            else:
                yield Line("differs", step, self._peer.words(seen), same, "correct csrf.url and tokens.csrf_token")
        step = "refresh without the CSRF header"
        seen = self._peer.refresh(held, with_csrf=False)
        tokens = self._peer.read(seen, held)
        if isinstance(tokens, Tokens):
            self._held = self._peer.held_after(seen, tokens, held)
            mend = "have the API demand it: else any page can renew the session of whoever opens it"
            yield Line("differs", step, "new tokens", f"refused without {csrf.header}", mend)
        else:
            yield Line("ok", step, self._peer.short(seen), f"refused without {csrf.header}")

    # Refreshing

    def _refresh(self) -> Iterator[Line]:
        step, held = "refresh", self._signed_in()
        seen = self._peer.refresh(held)
        match self._peer.read(seen, held):
            case Tokens() as tokens:
                self._held = self._peer.held_after(seen, tokens, held)
                yield Line("ok", step, self._tokens_told(seen, self._held))
                yield from self._envelope(step, seen)
                yield from self._which_refresh_token(step, tokens, held)
                yield from self._with_the_token("guarded call with the new access token")
            case Over():
                self._held = None
                mend = "correct refresh (method, url, token), or refresh_over: a good token was called over"
                yield Line("differs", step, self._peer.words(seen), "new tokens", mend)
            case Unusable() as unusable:
                yield Line("differs", step, self._peer.words(seen), "new tokens", unusable.why)

    def _which_refresh_token(self, step: str, tokens: Tokens, before: Held) -> Iterator[Line]:
        if self._dialect.is_by_cookie:
            return
        wanted, found = self._dialect.refresh_token_in_answer, tokens.refresh_token
        told = "no refresh token" if found is None else "the same one" if found == before.refresh_token else "a new one"
        if (found is None and wanted == "always") or (found is not None and wanted == "never"):
            place = self._dialect.tokens.refresh_token
            mend = f"set refresh_token_in_answer, or correct tokens.refresh_token ({place})"
            yield Line("differs", step, f"{told} in the answer", f"refresh_token_in_answer: {wanted}", mend)

    def _the_same_again(self) -> Iterator[Line]:
        step = "the same refresh token again"
        used = self._signed_in()
        first = self._peer.refresh(used)
        tokens = self._peer.read(first, used)
        if not isinstance(tokens, Tokens):
            yield Line("skipped", step, "a refresh gives no tokens")
            return
        self._held = self._peer.held_after(first, tokens, used)
        stays = self._held.refresh_token == used.refresh_token and self._held.cookies == used.cookies
        seen = self._peer.refresh(used)
        again = self._peer.read(seen, used)
        yield from self._judged_again(step, seen, again, stays=stays)
        if isinstance(again, Tokens):
            self._held = self._peer.held_after(seen, again, self._held)
        elif isinstance(again, Over):
            self._held = self._if_alive(self._held)

    def _if_alive(self, held: Held | None) -> Held | None:
        """What is held of a session, unless it has ended: there are servers that end one whose token came twice."""
        if held is None:
            return None
        seen = self._peer.refresh(held)
        tokens = self._peer.read(seen, held)
        return self._peer.held_after(seen, tokens, held) if isinstance(tokens, Tokens) else None

    def _judged_again(self, step: str, seen: Seen, again: Tokens | Over | Unusable, *, stays: bool) -> Iterator[Line]:
        words, is_repeatable = self._peer.words(seen), self._dialect.refresh_is_repeatable
        expected = f"{_ONCE}: {str(is_repeatable).lower()}"
        if isinstance(again, Tokens) or (isinstance(again, Unusable) and again.is_stale):
            is_known = is_repeatable or stays
            advice = (
                f"if that is meant to be so, set {_ONCE} to true: then a refresh whose answer was lost is sent again"
            )
            yield Line("ok" if is_known else "note", step, self._peer.short(seen), expected, "" if is_known else advice)
        elif is_repeatable:
            mend = f"set {_ONCE} to false, or clients will repeat a refresh that can be sent only once"
            yield Line("differs", step, words, expected, mend)
        elif stays:
            mend = "the answer to a refresh holds no new refresh token, so the old one must stay good: correct tokens"
            yield Line("differs", step, words, "taken again, for there is no other", mend)
        else:
            yield Line("ok", step, self._peer.short(seen), expected)

    def _two_at_once(self) -> Iterator[Line]:
        step, held = "two refreshes at once", self._signed_in()
        with ThreadPoolExecutor(2) as both:
            answers = list(both.map(self._peer.refresh, (held, held)))
        read = [self._peer.read(seen, held) for seen in answers]
        good = [(seen, tokens) for seen, tokens in zip(answers, read, strict=True) if isinstance(tokens, Tokens)]
        words = " and ".join(self._peer.words(seen) for seen in answers)
        is_over = any(isinstance(each, Over) for each in read)
        if good:
            self._held = self._peer.held_after(good[-1][0], good[-1][1], held)
        if is_over:
            self._held = self._if_alive(self._held)
        if not good:
            yield Line("differs", step, words, "tokens for one at least", "a page with two tabs would be signed out")
        elif is_over and self._dialect.refresh_is_repeatable:
            yield Line("differs", step, words, f"{_ONCE}: true", f"set {_ONCE} to false")
        elif is_over:
            advice = (
                "two tabs that know nothing of each other sign the user out; evertoken's clients refresh once for all"
            )
            yield Line("note", step, words, "tokens for one at least", advice)
        else:
            brief = " and ".join(self._peer.short(seen) for seen in answers)
            yield Line("ok", step, brief, "tokens for one at least")

    def _bad_refresh_token(self) -> Iterator[Line]:
        held = self._peer.spoilt(self._signed_in())
        yield from self._ended("refresh with a bad refresh token", self._peer.refresh(held), held)

    def _ended(self, step: str, seen: Seen, held: Held) -> Iterator[Line]:
        words, expected = self._peer.words(seen), said((*self._dialect.refresh_over, *self._dialect.over))
        match self._peer.read(seen, held):
            case Over():
                yield Line("ok", step, self._peer.short(seen), expected)
            case Tokens():
                yield Line("differs", step, words, expected, "the API has to refuse it")
            case Unusable() if seen.status in _PASSING:
                yield Line("skipped", step, words, expected, _LATER)
            case Unusable() if seen.status >= 500:  # noqa: PLR2004
                yield Line("differs", step, words, expected, "mend the API: a bad token is no fault of the server")
            case Unusable():
                mend = f"clients take that for a passing fault and ask again: add {self._offer(seen)} to refresh_over"
                yield Line("differs", step, words, expected, mend)

    # The end

    def _sign_out(self) -> Iterator[Line]:
        step = "sign-out"
        if self._dialect.logout is None:
            yield Line("skipped", step, "the document has no logout")
            return
        held = self._signed_in()
        seen = self._peer.sign_out(held)
        words = self._peer.words(seen)
        verdict = self._dialect.refresh_verdict(seen.status, seen.document)
        lacking = seen.body and self._peer.lacks(seen)
        if not seen.is_good or lacking or verdict != "accepted" or self._peer.judged(seen) != "accepted":
            expected = f"{self._dialect.logout.method} {self._dialect.logout.url} is taken"
            yield Line("differs", step, words, expected, "correct logout: url, method, token")
            return
        yield Line("ok", step, self._peer.short(seen))
        if self._dialect.refresh is not None:
            yield from self._ended("refresh after the sign-out", self._peer.refresh(held), held)
        yield from self._with_an_ended_session(held)

    def _with_an_ended_session(self, held: Held) -> Iterator[Line]:
        if self._resource is None:
            return
        seen = self._peer.resource(self._resource, held.access_token)
        told = {
            "over": "the guard says that the session is over",
            "expired": "the guard refuses its access token",
        }.get(self._peer.judged(seen), "its access token is taken until it expires")
        yield Line("note", "guarded call after the sign-out", self._peer.short(seen), mend=told)

    # In words

    def _envelope(self, step: str, seen: Seen) -> Iterator[Line]:
        lacking = self._peer.lacks(seen)
        if lacking:
            expected = f"success.body: {json.dumps(lacking)}"
            yield Line("differs", step, self._peer.words(seen), expected, "correct success.body")

    def _offer(self, seen: Seen) -> str:
        return rule_for(seen.status, seen.document)

    def _tokens_told(self, seen: Seen, held: Held) -> str:
        places = self._dialect.tokens
        tokens = self._peer.tokens_of(seen)
        assert isinstance(tokens, Tokens)
        told = [f"an access token at {places.access_token}"]
        if tokens.refresh_token is not None:
            told.append(f"a refresh token at {places.refresh_token}")
        if self._dialect.is_by_cookie and held.cookies:
            told.append(f"{len(held.cookies)} cookies")
        lives = "not said" if tokens.expires_in is None else f"{tokens.expires_in:g} s"
        return f"{seen.status} with {', '.join(told)}; lifetime {lives}"
