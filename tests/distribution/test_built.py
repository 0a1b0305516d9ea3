"""The content of the distributions, which are built as an installer builds them."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.processes import LIMIT

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "aldis"
BUILD = "from setuptools import build_meta; build_meta.build_{}({!r})"

#: Extract regular files only. Python 3.11.2, which Debian 12 has, does not know the argument.
SAFE = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}

#: Files in the wheel that end in .py and are not modules of a package.
STARTUP = "aldis/cli/startup/sitecustomize.py"


def build(kind, tree, dist, **environ):
    """Build an sdist or a wheel of ``tree``, without an index."""
    return subprocess.run(
        [sys.executable, "-c", BUILD.format(kind, str(dist))],
        capture_output=True,
        check=not environ,
        cwd=tree,
        env={**os.environ, **(environ or {"ALDIS_NO_EXTENSIONS": "1"})},
        timeout=LIMIT,
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Unpack an sdist, and return its folder."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    tree.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, tree / path.name)
    left = shutil.ignore_patterns("__pycache__", "*.egg-info", "_build")
    for name in (".ci", ".github", "benchmarks", "docs", "examples", "src", "tests", "tools"):
        shutil.copytree(ROOT / name, tree / name, ignore=left)
    build("sdist", tree, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked", **SAFE)  # noqa: S202 - this test built the archive
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Return the names in a wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", sdist, folder)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def sources():
    """Return the modules of the tree, with their names in a distribution."""
    return {path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*.py")}


def test_the_sdist_has_every_module(sdist):
    """The sdist has each module of the package."""
    found = {path.relative_to(sdist / "src").as_posix() for path in sdist.rglob("src/**/*.py")}
    assert sources() == found


def test_the_sdist_has_the_files_for_the_build(sdist):
    """The sdist has the C source and the files that the build reads."""
    needed = {"LICENSE", "README.md", "pyproject.toml", "setup.py", "src/aldis/core/_dispatch.c"}
    assert set() == {name for name in needed if not (sdist / name).is_file()}


def test_the_sdist_has_the_files_for_the_tests(sdist):
    """The sdist has the tests and the files that they need, so that ``make test`` passes in it."""
    needed = {"Makefile", "constraints.txt", "CHANGELOG.md", "tools/announce.py"}
    needed |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert set() == {name for name in needed if not (sdist / name).is_file()}


def test_the_sdist_has_nothing_that_a_build_or_a_run_leaves(sdist):
    """The sdist has no compiled file, no database and no cache."""
    left = {".pyc", ".so", ".pyd", ".o", ".db", ".log"}
    assert [] == [path for path in sdist.rglob("*") if path.suffix in left]
    assert [] == [*sdist.rglob("__pycache__")]


@pytest.mark.parametrize("required", ["0", "1"])
def test_a_released_wheel_needs_a_compiler(sdist, required, tmp_path):
    """If the compiler fails, the build fails only if ALDIS_REQUIRE_EXTENSIONS is set."""
    tree = tmp_path / "tree"
    shutil.copytree(sdist, tree)
    ended = build("wheel", tree, tmp_path, CC="false", ALDIS_REQUIRE_EXTENSIONS=required)
    assert (required == "0") == (ended.returncode == 0)
    assert (required == "0") == bool([*tmp_path.glob("*.whl")])


def test_the_wheel_has_every_module(wheel):
    """The wheel has each module, the migrations and the start-up files of `aldis run`."""
    found = {name for name in wheel if name.endswith(".py")}
    assert sources() == found
    assert STARTUP in found
    assert "aldis/durable/store/sql/migrations/versions/revision_0001.py" in found


def test_the_wheel_is_typed(wheel):
    """The wheel has the marker for type checkers."""
    assert "aldis/py.typed" in wheel


def test_the_wheel_has_nothing_else(wheel):
    """Besides modules, the wheel has the type marker and the dashboard's files, and no test."""
    others = {
        name for name in wheel if not name.endswith(".py") and not re.search(r"dist-info/", name)
    }
    web = {
        path.relative_to(SOURCE.parent).as_posix()
        for folder in ("templates", "static")
        for path in (SOURCE / "web" / folder).iterdir()
    }
    assert {"aldis/py.typed", *web} == others
    assert {"aldis"} == {name.split("/")[0] for name in wheel if "dist-info" not in name}


def test_the_wheel_names_no_dependency_without_an_extra(wheel):
    """``pip install aldis`` installs only aldis."""
    (metadata,) = (text for name, text in wheel.items() if name.endswith("dist-info/METADATA"))
    required = re.findall(r"^Requires-Dist: (.*)$", metadata.decode(), re.MULTILINE)
    assert [] == [each for each in required if "extra ==" not in each]


def test_every_extra_is_installed_alone_somewhere():
    """Each extra in pyproject.toml is in the matrix of tools/extras.py, or is for contributors."""
    from tools.extras import ENVIRONMENTS

    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    alone = {each.extras[0] for each in ENVIRONMENTS if len(each.extras) == 1}
    assert set(extras) - {"test", "dev", "docs", "bench", "release"} == alone
