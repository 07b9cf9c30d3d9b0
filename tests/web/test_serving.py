"""The pages and the client's modules over HTTP: what they are, how they are kept, who may use them."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from evertoken.web.files import MEDIA_TYPES, read_folder
from tests.support.server import LiveServer, live_server

ELSEWHERE = "https://shop.example.com"
IMPORTED = re.compile(r"""^(?:import|export)\b(?:[^;"']*\bfrom)?\s*["']([^"']+)["']""", re.MULTILINE)
CALLED_IMPORT = re.compile(r"""\bimport\(\s*["']([^"']+)["']""")
FRAMEWORKS = {"/auth/client/react.js": "react", "/auth/client/vue.js": "vue"}
"""What the application brings along itself, and names in an import map of its own page."""
REFERRED = re.compile(r"""\b(?:src|href)="([^"]+)\"""")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that knows one origin besides its own. Nothing here changes it."""
    with live_server(tmp_path_factory.mktemp("web"), allowed_origins=(ELSEWHERE,)) as running:
        yield running


@pytest.fixture
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """A plain HTTP client for it."""
    with live.client() as client:
        yield client


def modules() -> list[str]:
    """The path of every module that is served."""
    client = [f"/auth/client/{path}" for path in read_folder("client")]
    pages = [f"/pages/{path}" for path in read_folder("static") if path.endswith(".js") and not is_of_demo(path)]
    return ["/auth/client.js", *client, *pages]


def is_of_demo(path: str) -> bool:
    return path.startswith("demo")


def raw(live: LiveServer, target: str, method: str = "GET") -> bytes:
    """The whole answer to a request whose target no client has tidied up."""
    where = urlsplit(live.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        lines = f"{method} {target} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode("latin-1"))
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_page_without_npm_imports_one_module_and_has_the_whole_client(http: httpx2.Client) -> None:
    """`import { createSession } from "/auth/client.js"` is all that a page needs."""
    answer = http.get("/auth/client.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert IMPORTED.findall(answer.text) == ["./client/index.js"]
    assert "createSession" in http.get("/auth/client/index.js").text


@pytest.mark.parametrize("path", modules())
def test_every_import_of_a_served_module_is_served_too(http: httpx2.Client, path: str) -> None:
    """No import leads to a 404, to another media type or to another server: nothing has to be built or fetched."""
    text = http.get(path).text
    for name in [*IMPORTED.findall(text), *CALLED_IMPORT.findall(text)]:
        if name == FRAMEWORKS.get(path):
            continue
        assert name.startswith(("./", "../", "/")), f"{path} imports {name}, which a browser cannot find"
        found = http.get(normpath(join(dirname(path), name)))
        assert found.status_code == 200, f"{path} imports {name}"
        assert found.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("page", ["/sessions", "/admin"])
def test_what_a_page_refers_to_is_served_with_its_media_type(http: httpx2.Client, page: str) -> None:
    """A page's scripts, style sheets and pictures are there, and are what the page takes them for."""
    text = http.get(page).text
    referred = [found for found in REFERRED.findall(text) if found.startswith("/")]
    assert any(found.endswith(".js") for found in referred)
    assert any(found.endswith(".css") for found in referred)
    for found in referred:
        answer = http.get(found)
        assert answer.status_code == 200, found
        assert answer.headers["content-type"] == MEDIA_TYPES[found.rpartition(".")[2]]


@pytest.mark.parametrize("page", ["/sessions", "/admin"])
def test_a_page_runs_nothing_but_the_files_of_its_server(http: httpx2.Client, page: str) -> None:
    """The policy allows no inline code, no foreign script, no frame around the page and no string as markup."""
    answer = http.get(page)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    [policy] = answer.headers.get_list("content-security-policy")
    assert set(policy.split("; ")) == {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    }
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["same-origin"]
    assert answer.headers.get_list("x-frame-options") == ["DENY"]
    assert answer.headers.get_list("cross-origin-opener-policy") == ["same-origin"]
    assert answer.headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", answer.text)


def test_the_scripts_and_style_sheets_hold_nothing_that_the_policy_forbids() -> None:
    """No file makes markup of strings or code of text: the policy has nothing to stop."""
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.style\b")
    for folder in ("static", "client"):
        for path, file in read_folder(folder).items():
            if path.endswith(".js"):
                code = re.sub(r"/\*.*?\*/|//.*", "", file.body.decode(), flags=re.DOTALL)
                assert not forbidden.search(code), path


def test_the_json_routes_keep_the_policy_that_allows_nothing(http: httpx2.Client) -> None:
    """What is no page gets no page's policy, nor does an error in the place of a page."""
    for path in ("/healthz", "/auth/me", "/pages/nothing.js", "/auth/client/nothing.js", "/nothing"):
        [policy] = http.get(path).headers.get_list("content-security-policy")
        assert policy.startswith("default-src 'none'; base-uri"), path


@pytest.mark.parametrize("path", ["/auth/client.js", "/auth/client/index.js", "/sessions", "/pages/style.css"])
def test_who_has_a_file_already_gets_304_and_no_body(http: httpx2.Client, path: str) -> None:
    """A file is asked for each time and sent once: its entity tag is made of its bytes."""
    first = http.get(path)
    assert first.headers["cache-control"] == "no-cache"
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = http.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b""), sent
        assert (again.headers["etag"], again.headers["cache-control"]) == (etag, "no-cache")
        assert again.headers["vary"] == "Origin"
    for sent in ('"other"', "", etag.strip('"')):
        assert http.get(path, headers={"If-None-Match": sent}).content == first.content, sent


@pytest.mark.parametrize("path", ["/auth/client.js", "/auth/client/session.js", "/sessions", "/pages/shell.js"])
def test_head_says_what_get_says_without_the_body(live: LiveServer, http: httpx2.Client, path: str) -> None:
    """HEAD goes wherever GET does."""
    whole, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control", "content-security-policy"):
        assert head.headers[name] == whole.headers[name], name
    assert raw(live, path, "HEAD").endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/auth/client.js", "/sessions", "/pages/style.css"])
def test_other_methods_are_refused_with_the_ones_that_work(http: httpx2.Client, path: str) -> None:
    """A file is read and nothing else."""
    answer = http.post(path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("folder", ["/auth/client/", "/pages/"])
@pytest.mark.parametrize(
    "target",
    [
        "",
        ".",
        "..",
        "../serving.py",
        "../../serving.py",
        "%2e%2e/serving.py",
        "..%2fserving.py",
        "..%5cserving.py",
        "..\\serving.py",
        "%252e%252e%252fserving.py",
        "....//serving.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "./index.js",
        "shell/../shell.js",
        "index.js/",
        "index.js%00",
        "index.js%00.css",
        "sessions.html",
        "client.d.ts",
        "tsconfig.json",
        "INDEX.JS",
        "..%c0%afserving.py",
        "%ff%fe",
        "a" * 4000,
    ],
)
def test_only_what_was_found_at_start_up_can_be_asked_for(live: LiveServer, folder: str, target: str) -> None:
    """However a path is written, it names an entry of a table or nothing: there is no way out of the folder."""
    head, _, body = raw(live, folder + target).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), head
    assert b"import" not in body
    assert b"root:" not in body


def test_pages_of_listed_origins_may_import_the_client_and_others_may_not(http: httpx2.Client) -> None:
    """A module from elsewhere is loaded by CORS, with the same allow-list as the calls that it will make."""
    for path in ("/auth/client.js", "/auth/client/session.js"):
        listed = http.get(path, headers={"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"})
        assert listed.headers["access-control-allow-origin"] == ELSEWHERE
        assert listed.headers["cross-origin-resource-policy"] == "cross-origin"
        known = http.get(path, headers={"Origin": ELSEWHERE, "If-None-Match": listed.headers["etag"]})
        assert (known.status_code, known.headers["access-control-allow-origin"]) == (304, ELSEWHERE)
        other = http.get(path, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"


def test_the_demo_is_no_part_of_the_server(http: httpx2.Client) -> None:
    """`evertoken serve` has neither the demo's page nor its files, and its pages do not lead there."""
    for path in ("/", "/demo", *(f"/pages/{path}" for path in read_folder("static") if is_of_demo(path))):
        assert http.get(path).status_code == 404, path
    assert "demo" not in re.findall(r'data-pages="([^"]*)"', http.get("/sessions").text)[0].split()


def test_pages_off_leaves_the_client(tmp_path: Path) -> None:
    """The setting `pages` takes the pages and their files away; a page of one's own still imports the client."""
    with live_server(tmp_path, pages=False) as running, running.client() as http:
        for path in ("/sessions", "/admin", "/pages/style.css", "/pages/shell.js"):
            assert http.get(path).status_code == 404, path
        for path in ("/auth/client.js", "/auth/client/index.js"):
            assert http.get(path).status_code == 200, path


def test_a_page_knows_what_its_server_is_called_and_demands(tmp_path: Path) -> None:
    """The service's name and the least length of a password stand in the page, and cannot become markup."""
    settings: dict[str, Any] = {"service_name": 'Ada\'s "Tools" <b>', "password_min_length": 9}
    with live_server(tmp_path, **settings) as running, running.client() as http:
        text = http.get("/sessions").text
    assert 'data-service="Ada&#x27;s &quot;Tools&quot; &lt;b&gt;"' in text
    assert 'data-password-length="9"' in text
    assert "<b>" not in text


def test_https_pages_say_so_for_next_time(tmp_path: Path) -> None:
    """A page of an https server has Strict-Transport-Security, as every other answer does."""
    with live_server(tmp_path, issuer="https://id.example.com") as running:
        behind_the_proxy = f"http://127.0.0.1:{running.server.services.settings.port}"
        for path in ("/sessions", "/auth/client.js", "/healthz"):
            answer = httpx2.get(behind_the_proxy + path)
            assert len(answer.headers.get_list("strict-transport-security")) == 1, path
