"""The cases of conformance/records: documents of a token store, and what they make of a refresh."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from evertoken.client.refresher.answers import Over, Tokens
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed
from evertoken.client.refresher.plan import Own, judge_stored, successor, tombstone
from evertoken.client.refresher.record import NotOurDocument, Record, parse, render

from .loading import ROOT, BadCase, Members, cases, files, read, text
from .stories import NUMBER
from .test_answers import said

REFUSED: Final = {
    "not_json": "it is not JSON",
    "foreign": "it has no member evertoken, so something else wrote it",
    "later_format": "a later evertoken wrote it",
    "member": "its member {} is damaged",
    "no_token": "it holds no token",
}


class Document(NamedTuple):
    """One case of documents.json: what it is read as, or why it is refused."""

    document: str
    record: Record | None
    refused: str | None


class Judging(NamedTuple):
    """One case of judging.json; None: refresh."""

    stored: Record | None
    own: Own
    wall: float
    expected: Outcome | None


class Succession(NamedTuple):
    """One case of successors.json."""

    record: Record
    said: Tokens | Over
    sent_at: float
    expected: Record


def _record(members: Members) -> Record:
    with members:
        return Record(
            server=members.take("server", str),
            version=members.take("version", int),
            obtained_at=members.take("obtained_at", NUMBER, 0.0),
            expires_at=members.take("expires_at", NUMBER, None),
            refresh_expires_at=members.take("refresh_expires_at", NUMBER, None),
            **{
                name: members.take(name, str, None)
                for name in ("access_token", "refresh_token", "session_id", "account", "ended")
            },
        )


def _documents() -> Iterator[Any]:
    with read(ROOT / "records" / "documents.json") as file:
        for name, case in cases(file):
            with case:
                if case.has("json"):
                    document = json.dumps(case.take_any("json"))
                else:
                    document = text(case.take("document", (str, list)), case.where)
                record = _record(case.inner("record")) if case.has("record") else None
                refused = None
                if record is None:
                    refused = REFUSED[case.take("refused", str)]
                    refused = refused.format(case.take("member", str)) if "{}" in refused else refused
            yield pytest.param(Document(document, record, refused), id=name)


def _judgings() -> Iterator[Any]:
    with read(ROOT / "records" / "judging.json") as file:
        for name, case in cases(file):
            with case, case.inner("own") as own:
                stored = case.take("stored", type(None)) if case.is_null("stored") else _record(case.inner("stored"))
                judging = Judging(
                    stored,
                    Own(
                        **{key: own.take(key, str, None) for key in ("session_id", "account", "access_token")},
                        **{key: own.take(key, bool, default=False) for key in ("is_signed_in", "wants_new")},
                    ),
                    case.take("wall", NUMBER),
                    _judged(case),
                )
            yield pytest.param(judging, id=name)


def _judged(case: Members) -> Outcome | None:
    expected = case.take("expect", (str, dict))
    if isinstance(expected, str):
        if expected not in ("refresh", "failed"):
            raise BadCase(f"{case.where}: does not know {expected!r}")
        return None if expected == "refresh" else Failed("there is no refresh token, so there is no newer access token")
    members = Members(expected, case.where)
    with members, members.inner(members.only(("renewed", "ended"))) as inner:
        if inner.has("reason"):
            return Ended(inner.take("reason", str), is_news=inner.take("is_news", bool))
        return Renewed(
            inner.take("access_token", str),
            inner.take("expires_at", NUMBER, None),
            inner.take("lifetime_seconds", NUMBER, None),
            inner.take("session_id", str, None),
            inner.take("account", str, None),
            is_renewable=inner.take("is_renewable", bool, default=True),
            is_fetched=False,
        )


def _successions() -> Iterator[Any]:
    with read(ROOT / "records" / "successors.json") as file:
        for name, case in cases(file):
            with case, case.inner("said") as what:
                meant = said(what)
                assert isinstance(meant, Tokens | Over)
                record, expected = _record(case.inner("record")), _record(case.inner("expect"))
                succession = Succession(record, meant, case.take("sent_at", NUMBER), expected)
            yield pytest.param(succession, id=name)


DOCUMENTS: Final = list(_documents())
JUDGINGS: Final = list(_judgings())
SUCCESSIONS: Final = list(_successions())


@pytest.mark.parametrize("case", DOCUMENTS)
def test_each_document_is_read_or_refused_as_told(case: Document) -> None:
    """
    A document is read as what it is, or refused with what is wrong with it and none of what it holds.
    """
    if case.refused is not None:
        with pytest.raises(NotOurDocument) as caught:
            parse(case.document)
        assert str(caught.value) == case.refused
        return
    found = parse(case.document)
    assert found == case.record
    assert parse(render(found)) == found


@pytest.mark.parametrize("case", JUDGINGS)
def test_each_record_in_the_store_means_what_is_told(case: Judging) -> None:
    """
    What stands in the store decides whether a refresh is sent, another process's token is used, or all is over.
    """
    assert judge_stored(case.stored, case.own, wall=case.wall) == case.expected


@pytest.mark.parametrize("case", SUCCESSIONS)
def test_each_refresh_leaves_the_record_that_is_told(case: Succession) -> None:
    """
    A refresh leaves a record that can be read again, and never one without a refresh token where one was kept.
    """
    if isinstance(case.said, Over):
        found = tombstone(case.record, case.said.reason)
    else:
        found = successor(case.record, case.said, sent_at=case.sent_at)
    assert found == case.expected
    assert parse(render(found)) == found


def test_every_way_to_refuse_a_document_occurs() -> None:
    """
    Each way in which a document can be refused occurs in some case, and so does each judgement of a good one.
    """
    refused = {param.values[0].refused for param in DOCUMENTS}
    assert {why for name, why in REFUSED.items() if name != "member"} <= refused
    for name in ("server", "version", "access_token", "refresh_token", "obtained_at", "expires_at"):
        assert REFUSED["member"].format(name) in refused
    assert {type(param.values[0].expected) for param in JUDGINGS} == {Renewed, Ended, Failed, type(None)}


def test_no_file_of_the_folder_is_left_out() -> None:
    """
    Each file of the folder has a driver.
    """
    assert [path.name for path in files("records")] == ["documents.json", "judging.json", "successors.json"]
