"""What is in the distributions, built as an installer builds them."""

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

#: What ends in .py and is in the wheel, though no package of it is imported.
STARTUP = "aldis/cli/startup/sitecustomize.py"


def build(kind, tree, dist):
    """Build an sdist or a wheel of ``tree``, without an index."""
    subprocess.run(
        [sys.executable, "-c", BUILD.format(kind, str(dist))],
        capture_output=True,
        check=True,
        cwd=tree,
        env={**os.environ, "ALDIS_NO_EXTENSIONS": "1"},
        timeout=LIMIT,
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Unpack an sdist, and give its folder."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"):
        shutil.copyfile(ROOT / name, tree / name)
    left = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    shutil.copytree(ROOT / "src", tree / "src", ignore=left)
    shutil.copytree(ROOT / "tests", tree / "tests", ignore=left)
    build("sdist", tree, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked", **SAFE)  # noqa: S202 - our own archive
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Give what is in a wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", sdist, folder)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def sources():
    """Return the modules of the tree, as they are called in a distribution."""
    return {path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*.py")}


def test_the_sdist_has_every_module(sdist):
    """Nothing of the package is left behind."""
    found = {path.relative_to(sdist / "src").as_posix() for path in sdist.rglob("src/**/*.py")}
    assert sources() == found


def test_the_sdist_has_what_is_needed_to_build(sdist):
    """The C source is there, and what the build reads."""
    needed = {"LICENSE", "README.md", "pyproject.toml", "setup.py", "src/aldis/core/_dispatch.c"}
    assert set() == {name for name in needed if not (sdist / name).is_file()}


def test_the_sdist_has_no_tests(sdist):
    """Some of them without the rest would be of no use."""
    assert [] == [path for path in sdist.rglob("test_*.py") if "src" not in path.parts]


def test_the_wheel_has_every_module(wheel):
    """So are the revisions of the tables, and what `aldis run` puts on the path."""
    found = {name for name in wheel if name.endswith(".py")}
    assert sources() == found
    assert STARTUP in found
    assert "aldis/durable/store/sql/migrations/versions/0001_deliveries.py" in found


def test_the_wheel_is_typed(wheel):
    """Type checkers look for a marker."""
    assert "aldis/py.typed" in wheel


def test_the_wheel_has_nothing_else(wheel):
    """There is no test, no C source and no other folder in it."""
    others = {
        name for name in wheel if not name.endswith(".py") and not re.search(r"dist-info/", name)
    }
    assert {"aldis/py.typed"} == others
    assert {"aldis"} == {name.split("/")[0] for name in wheel if "dist-info" not in name}


def test_the_wheel_names_no_dependency_without_an_extra(wheel):
    """``pip install aldis`` installs aldis."""
    (metadata,) = (text for name, text in wheel.items() if name.endswith("dist-info/METADATA"))
    required = re.findall(r"^Requires-Dist: (.*)$", metadata.decode(), re.MULTILINE)
    assert [] == [each for each in required if "extra ==" not in each]


def test_every_extra_is_installed_alone_somewhere():
    """What is added to pyproject.toml is added to the matrix, or is for contributors."""
    from tools.extras import ENVIRONMENTS

    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    alone = {each.extras[0] for each in ENVIRONMENTS if len(each.extras) == 1}
    assert set(extras) - {"test", "dev", "docs", "bench"} == alone
