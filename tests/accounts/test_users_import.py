"""`evertoken users import`: a whole table of users at once, checked before anything is stored."""

import csv
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.server import PASSWORD, live_server

from evertoken.accounts.hashes.cost import OWASP_MINIMUM
from evertoken.accounts.user_file import Format, read_users
from evertoken.cli import group
from evertoken.errors import EvertokenError

Run = Callable[..., Result]

VECTORS: list[dict[str, str]] = json.loads((Path(__file__).parent / "hashes" / "vectors.json").read_text("utf-8"))
DJANGO, *_ = [v["hash"] for v in VECTORS if v["kind"] == "pbkdf2_sha256" and v["password"] == PASSWORD]
BCRYPT, *_ = [v["hash"] for v in VECTORS if v["kind"] == "bcrypt" and v["password"] == PASSWORD]
MD5, *_ = [v["hash"] for v in VECTORS if v["kind"] == "md5"]
UNUSABLE, *_ = [v["hash"] for v in VECTORS if v["kind"] == "unusable"]
SECRET = "a password in clear, never shown"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `evertoken users import ARGS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EVERTOKEN_")]:
        monkeypatch.delenv(name)

    def runner(*arguments: str, typed: str | None = None, command: str = "import") -> Result:
        result = CliRunner().invoke(group, ["users", command, *arguments], input=typed)
        if not isinstance(result.exception, EvertokenError):
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return runner


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(*rows: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def problems_of(text: str, file_format: Format = "jsonl", *, plain: bool = False) -> list[tuple[int, str]]:
    _, problems = read_users(text, file_format, plain=plain, own=OWASP_MINIMUM)
    return [(problem.line, problem.reason) for problem in problems]


def test_users_of_django_sign_in_with_their_passwords_and_are_hashed_anew(run: Run, tmp_path: Path) -> None:
    """Imported hashes work at the next sign-in, and are argon2id from then on; no session ends by it."""
    (tmp_path / "users.jsonl").write_text(
        jsonl(
            {"id": 17, "username": "Ada", "password_hash": DJANGO, "roles": ["staff", "admin"]},
            {"username": "bob", "password_hash": BCRYPT, "disabled": True},
            {"username": "cleo", "password_hash": UNUSABLE},
            {"username": "dora", "password_hash": None},
        )
    )
    done = run("users.jsonl")
    assert done.output == "4 added, 0 left as they were\n"
    listed = run(command="list").output
    assert "Ada\t17\tadmin,staff\tenabled" in listed or "Ada\t17\tstaff,admin\tenabled" in listed
    with live_server(tmp_path) as live, live.client() as http:
        tokens = live.sign_in(http)
        me = http.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
        assert (me["sub"], me["roles"]) == ("17", ["staff", "admin"])
        stored = live.run(live.server.store.find_by_id("17"))
        assert stored.password_hash.startswith("$argon2id$")
        assert http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
        live.sign_in(http)
        for name in ("bob", "cleo", "dora"):
            refused = http.post("/auth/login", json={"username": name, "password": PASSWORD})
            assert (refused.status_code, refused.json()["code"]) == (401, "bad_credentials")


def test_csv_says_the_same(run: Run, tmp_path: Path) -> None:
    """CSV with a line of names: roles are apart by spaces, an empty cell of disabled means no."""
    (tmp_path / "users.csv").write_bytes(
        b"\xef\xbb\xbf"
        + as_csv(
            ("disabled", "username", "password_hash", "roles", "id"),
            ("", "ada", DJANGO, "staff admin", "17"),
            ("TRUE", 'bob "the, builder"', BCRYPT, "", ""),
        ).encode()
    )
    assert run("users.csv").output == "2 added, 0 left as they were\n"
    listed = run(command="list").output
    assert "ada\t17\tstaff,admin\tenabled" in listed
    assert 'bob "the, builder"\tusr_' in listed
    assert "\tdisabled\t" in listed


def test_every_bad_line_is_said_by_number_and_nothing_is_stored(run: Run, tmp_path: Path) -> None:
    """One wrong line of many keeps the whole file out, and the message shows nothing of what stands in it."""
    (tmp_path / "users.jsonl").write_text(
        jsonl({"username": "ada", "password_hash": DJANGO}, {"username": "bob", "password_hash": MD5})
        + f'{{"username": "{SECRET}", \n\n'
        + jsonl({"username": "ADA", "password_hash": SECRET}, {SECRET: 1, "username": "eve", "password_hash": DJANGO})
    )
    done = run("users.jsonl")
    assert done.exit_code == 1
    said = [line.partition(":")[0] for line in done.output.splitlines()]
    assert said == ["line 2", "line 3", "line 5", "line 6", "Error"]
    assert "4 lines are wrong; nothing was stored" in done.output
    for secret in (SECRET, MD5, DJANGO):
        assert secret not in done.output
    assert not (tmp_path / "evertoken.db").exists()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"username": "a"}, "has no password_hash"),
        ({"password_hash": DJANGO}, "username must be a text"),
        ({"username": 17, "password_hash": DJANGO}, "username must be a text"),
        ({"username": "a\u202eb", "password_hash": DJANGO}, "username: A user name cannot hold"),
        ({"username": "x" * 129, "password_hash": DJANGO}, "username: Use at most 128"),
        ({"username": "a", "password_hash": 1}, "password_hash must be a text"),
        ({"username": "a", "password_hash": ""}, "password_hash is not of a kind"),
        ({"username": "a", "password_hash": SECRET}, "password_hash is not of a kind"),
        ({"username": "a", "password_hash": MD5}, "password_hash is MD5"),
        ({"username": "a", "password_hash": "$2b$31$" + "." * 53}, "password_hash asks for more work"),
        ({"username": "a", "password_hash": DJANGO[:-5]}, "password_hash is damaged"),
        ({"username": "a", "password": SECRET}, "with passwords in clear, use --plain"),
        ({"username": "a", "password_hash": DJANGO, "roles": "staff"}, "roles must be a list"),
        ({"username": "a", "password_hash": DJANGO, "roles": ["a b"]}, "roles must be a list of words"),
        ({"username": "a", "password_hash": DJANGO, "roles": ["r"] * 101}, "more than 100"),
        ({"username": "a", "password_hash": DJANGO, "disabled": "no"}, "disabled must be true or false"),
        ({"username": "a", "password_hash": DJANGO, "id": True}, "id must be a number"),
        ({"username": "a", "password_hash": DJANGO, "id": "a b"}, "id must be a number"),
        ({"username": "a", "password_hash": DJANGO, "email": "x"}, "number 3 is none of"),
    ],
)
def test_a_line_that_is_wrong_is_refused_with_its_rule(row: dict[str, Any], words: str) -> None:
    """Each field is checked as it would be anywhere else."""
    [(line, reason)] = problems_of(jsonl(row))
    assert (line, words in reason) == (1, True), reason
    assert SECRET not in reason


@pytest.mark.parametrize(
    "text", ["[]", "17", "{", '{"username":"a","username":"b","password_hash":null}', "[" * 5000, "x" * 70_000]
)
def test_a_line_that_is_no_object_is_refused(text: str) -> None:
    """Whatever stands there, the answer is a line number and a rule."""
    [(line, _)] = problems_of("\n" + text)
    assert line == 2


def test_names_and_ids_occur_once() -> None:
    """Names that differ in case or width are one; the message points to the first."""
    rows = [{"username": name, "password_hash": None, "id": 1 + n // 2} for n, name in enumerate(("a", "b", "A", "c"))]
    assert problems_of(jsonl(*rows)) == [
        (2, "id is the one of line 1"),
        (3, "username is the one of line 1"),
        (4, "id is the one of line 3"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("ada,hash\n", 1, "must name the columns"),
        ("username,username\n", 1, "must name the columns"),
        (as_csv(("username", "password_hash"), ("ada",)), 2, "has 1 cells where the first line has 2"),
        ('username,password_hash\n"ada,x\n', 2, "not CSV"),
        (as_csv(("username", "password_hash", "disabled"), ("ada", DJANGO, "perhaps")), 2, "disabled must be"),
    ],
)
def test_csv_that_is_wrong_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    """A file without a line of names, a cell too few, a quote that is not closed."""
    [(found, reason)] = problems_of(text, "csv")
    assert (found, words in reason) == (line, True), reason


def test_it_may_be_run_again(run: Run, tmp_path: Path) -> None:
    """Users who are there already are left alone: their new passwords, roles and state stay."""
    first = jsonl({"username": "ada", "password_hash": DJANGO})
    assert run("-", "--format", "jsonl", typed=first).output == "1 added, 0 left as they were\n"
    run("ada", "admin", command="roles")
    both = first + jsonl({"username": "bob", "password_hash": BCRYPT})
    (tmp_path / "users.ndjson").write_text(both)
    dry = run("users.ndjson", "--dry-run").output
    assert dry == "1 to add, 1 there already; nothing was stored\n"
    assert run("users.ndjson").output == "1 added, 1 left as they were\n"
    assert run("users.ndjson").output == "0 added, 2 left as they were\n"
    assert "\tadmin\t" in run(command="list").output


def test_a_dry_run_makes_no_database(run: Run, tmp_path: Path) -> None:
    """Checking a file leaves nothing behind."""
    (tmp_path / "users.jsonl").write_text(jsonl({"username": "ada", "password_hash": DJANGO}))
    assert run("users.jsonl", "--dry-run").output == "1 to add; nothing was stored\n"
    assert not (tmp_path / "evertoken.db").exists()


def test_update_hash_gives_the_files_password_and_ends_sessions(run: Run, tmp_path: Path) -> None:
    """With --update-hash a password that was changed in the old application counts; the same hash changes nothing."""
    rows = {"username": "ada", "password_hash": DJANGO}, {"username": "bob", "password_hash": None}
    (tmp_path / "users.jsonl").write_text(jsonl(*rows))
    run("users.jsonl")
    same = run("users.jsonl", "--update-hash").output
    assert same == "0 added, 0 given another password (0 sessions ended), 2 left as they were\n"
    with live_server(tmp_path) as live, live.client() as http:
        tokens = live.sign_in(http)
        other = next(v for v in VECTORS if v["kind"] == "pbkdf2_sha256" and v["password"] != PASSWORD)
        (tmp_path / "users.jsonl").write_text(jsonl({"username": "ada", "password_hash": other["hash"]}))
        done = run("users.jsonl", "--update-hash").output
        assert done == "0 added, 1 given another password (1 sessions ended), 0 left as they were\n"
        answer = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert answer.json()["reason"] == "password_changed"
        live.sign_in(http, password=other["password"])


def test_passwords_in_clear_are_hashed_at_once_and_stand_nowhere(run: Run, tmp_path: Path) -> None:
    """--plain hashes with argon2id before anything is stored; short old passwords are taken as they are."""
    rows = [{"username": f"user-{n}", "password": f"{SECRET} {n}"} for n in range(5)]
    (tmp_path / "plain.jsonl").write_text(jsonl(*rows, {"username": "short", "password": "pw"}))
    done = run("plain.jsonl", "--plain")
    assert "6 added" in done.output
    assert "remove plain.jsonl now" in done.output
    (tmp_path / "plain.jsonl").unlink()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    with live_server(tmp_path) as live, live.client() as http:
        live.sign_in(http, "user-3", f"{SECRET} 3")
        live.sign_in(http, "short", "pw")
    changed = jsonl({"username": "user-1", "password": f"{SECRET} 1"}, {"username": "short", "password": "longer"})
    done = run("-", "--format", "jsonl", "--plain", "--update-hash", typed=changed)
    assert done.output == "0 added, 1 given another password (1 sessions ended), 1 left as they were\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"username": "a", "password": ""}, "password is empty"),
        ({"username": "a", "password": None}, "password must be a text"),
        ({"username": "a", "password": SECRET * 40}, "password: Use at most 1024 bytes"),
        ({"username": "a", "password": SECRET + "\ud800"}, "password: This is not valid text"),
        ({"username": "a", "password_hash": DJANGO}, "leave --plain away"),
    ],
)
def test_a_password_in_clear_that_cannot_be_one_is_refused(row: dict[str, Any], words: str) -> None:
    """What could never be typed at a sign-in is not imported, and not shown."""
    [(_, reason)] = problems_of(jsonl(row), plain=True)
    assert words in reason
    assert SECRET not in reason


def test_ids_that_do_not_fit_those_in_the_store_are_refused(run: Run, tmp_path: Path) -> None:
    """An id is never given to somebody else: sessions and old tokens go by it."""
    run("-", "--format", "jsonl", typed=jsonl({"id": 1, "username": "ada", "password_hash": None}))
    wrong = jsonl(
        {"id": 1, "username": "bob", "password_hash": None}, {"id": 2, "username": "ada", "password_hash": None}
    )
    done = run("-", "--format", "jsonl", typed=wrong)
    assert done.exit_code == 1
    assert "line 1: id is that of another user" in done.output
    assert "line 2: username is there already, with another id" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.csv"], "cannot read missing.csv"),
        (["-"], "say --format"),
        (["users.txt"], "say --format"),
        (["latin.csv"], "line 2: is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_in_one_line(
    run: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """A missing file, an unknown format, another encoding."""
    (tmp_path / "latin.csv").write_bytes("username,password_hash\njosé,x\n".encode("latin-1"))
    done = run(*arguments, typed="")
    assert done.exit_code != 0
    assert words in done.output


def test_ten_thousand_users_are_imported_with_progress(run: Run, tmp_path: Path, tell: Callable[[str], None]) -> None:
    """A table of ten thousand is checked and stored in one go, and says how far it is."""
    rows = ({"id": n, "username": f"user-{n}", "password_hash": DJANGO, "roles": ["user"]} for n in range(10_000))
    (tmp_path / "users.jsonl").write_text(jsonl(*rows))
    began = time.monotonic()
    done = run("users.jsonl")
    tell(f"{10_000 / (time.monotonic() - began):,.0f} users per second")
    assert done.output.splitlines()[-1] == "10000 added, 0 left as they were"
    assert "1024 of 10000" in done.output
    assert run("users.jsonl").output == "0 added, 10000 left as they were\n"
    with live_server(tmp_path) as live, live.client() as http:
        live.sign_in(http, "user-7777")
