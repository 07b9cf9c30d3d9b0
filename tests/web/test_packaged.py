"""The wheel: what is installed from it serves the same files as a checkout, where the client is a symbolic link."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from evertoken.web.files import MEDIA_TYPES

ROOT = Path(__file__).parents[2]
COPIED = ("src", "browser/src", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
BUILD = "import sys, setuptools.build_meta as build; print(build.build_{kind}(sys.argv[1]))"


def built(kind: str, tree: Path, into: Path) -> Path:
    """A `wheel` or `sdist` of a tree, made without the network."""
    run = [sys.executable, "-W", "ignore", "-c", BUILD.format(kind=kind), str(into)]
    done = subprocess.run(run, cwd=tree, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return into / done.stdout.splitlines()[-1]


def served_files(web: Path) -> dict[str, bytes]:
    """Every file that is served, by its path below the package."""
    found = (path for folder in ("static", "client") for path in (web / folder).rglob("*"))
    return {
        path.relative_to(web).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and path.suffix[1:] in MEDIA_TYPES
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packed: building writes into its folder."""
    copy = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc")
            )
        else:
            shutil.copy(source, target)
    return copy


def test_the_client_in_the_package_is_a_link_to_the_npm_package(tree: Path) -> None:
    """There is one source of the client: what pages import from the server is what npm users install."""
    assert (tree / "src/evertoken/web/client").readlink() == Path("../../../browser/src")


def test_a_wheel_holds_every_served_file_as_a_file(tree: Path, tmp_path: Path) -> None:
    """Who installs from the wheel gets the pages and the client; nothing in it points out of it."""
    with zipfile.ZipFile(built("wheel", tree, tmp_path)) as wheel:
        wheel.extractall(tmp_path / "installed")
    installed = tmp_path / "installed" / "evertoken" / "web"
    assert not [path for path in installed.rglob("*") if path.is_symlink()]
    expected = served_files(ROOT / "src" / "evertoken" / "web")
    assert "client/index.js" in expected
    assert served_files(installed) == expected
    assert not (installed / "tsconfig.json").exists()


def test_an_installed_wheel_serves_the_client(tree: Path, tmp_path: Path) -> None:
    """The files are found where a wheel puts them, and not only in a checkout."""
    with zipfile.ZipFile(built("wheel", tree, tmp_path)) as wheel:
        wheel.extractall(tmp_path / "installed")
    tell = (
        "from evertoken.web.files import read_folder as r; import evertoken.web as w; print(w.__file__, *r('client'))"
    )
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); {tell}"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    where, *names = done.stdout.split()
    assert Path(where).is_relative_to(tmp_path / "installed")
    assert "index.js" in names
    assert "session.js" in names


def test_a_source_distribution_holds_the_client_too(tree: Path, tmp_path: Path) -> None:
    """A wheel can be built from the source distribution alone, outside of a checkout."""
    source = built("sdist", tree, tmp_path)
    shutil.unpack_archive(source, tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(built("wheel", unpacked, tmp_path)) as wheel:
        assert "evertoken/web/client/index.js" in wheel.namelist()
        assert "evertoken/web/static/sessions.html" in wheel.namelist()
