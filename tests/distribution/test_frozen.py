"""aldis in frozen programs and in zip files."""

import ast
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

import aldis
from tests.processes import LIMIT

pytestmark = pytest.mark.slow

PACKAGE = Path(aldis.__file__).parent

#: The modules that a program imports by their names. Those find all others.
IMPORTED = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for pattern in ("[a-z]*", "oauth/[a-z]*", "testing/[a-z]*")
    for path in PACKAGE.glob(pattern)
    if path.name != "py.typed"
)

#: Not imported by a program: ``python -m aldis``, the files of ``aldis run`` for Python's start,
#: and an entry point of Flask.
APART = {
    "aldis.__main__",
    "aldis._startup",
    "aldis.cli.flask_commands",
    "aldis.cli.startup.blinker",
    "aldis.cli.startup.sitecustomize",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return the modules of aldis that the analysis of frozen programs finds."""
    program = tmp_path_factory.mktemp("program") / "program.py"
    program.write_text("".join(f"import {name}\n" for name in IMPORTED))
    others = {path.split(".")[0] for path in sys.stdlib_module_names}
    others |= {"alembic", "authlib", "ckan", "click", "dotenv", "flask", "flask_login", "jinja2"}
    others |= {"msgspec", "pluggy", "pytest", "quart", "requests", "rich", "sqlalchemy", "werkzeug"}
    finder = ModuleFinder([str(PACKAGE.parent)], excludes=sorted(others))
    finder.run_script(str(program))
    return {name for name in finder.modules if name.partition(".")[0] == "aldis"}


def test_the_analysis_finds_every_module(found):
    """Each import of aldis is a statement, also one that happens late."""
    files = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}
    assert set() == names - found - APART


def test_the_analysis_finds_the_c_engine(found):
    """A frozen program does not lose the C engine."""
    if find_spec("aldis.core._dispatch") is None:
        pytest.skip("the C engine is not built")
    assert "aldis.core._dispatch" in found


def test_no_module_is_imported_by_a_text():
    """``import_module("aldis.x")`` and ``__import__`` hide a module from the analysis."""
    calls = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "func", None)
            if getattr(name, "id", getattr(name, "attr", "")) in ("import_module", "__import__"):
                calls += [path.name] if isinstance(node.args[0], ast.Constant) else []
    assert [] == calls


APP = """
import aldis.as_blinker
from flask import Flask, request_started

app = Flask(__name__)

@request_started.connect
def count(sender): ...
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Return a zip application with the command line of aldis and a Flask app."""
    file = tmp_path_factory.mktemp("archive") / "shop.pyz"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("__main__.py", "from aldis.cli import main; main()")
        opened.writestr("shop.py", APP)
        for path in PACKAGE.rglob("*.py"):
            opened.write(path, path.relative_to(PACKAGE.parent))
    return file


def run(archive, folder, *arguments):
    """Run the zip application in a folder, and return its exit code and its output."""
    ended = subprocess.run(
        [sys.executable, str(archive), *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        text=True,
        timeout=LIMIT,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_zip_file_creates_the_tables(archive, tmp_path):
    """The revisions need no folder of files."""
    code, text = run(archive, tmp_path, "db", "upgrade", "--url", "sqlite:///shop.db")
    assert (code, "0001" in text) == (0, True), text
    code, text = run(archive, tmp_path, "db", "check", "--url", "sqlite:///shop.db")
    assert code == 0, text


def test_a_zip_file_lists_signals(archive, tmp_path):
    """The commands that import an app work from a zip file."""
    code, text = run(archive, tmp_path, "signals", "list", "--app", "shop")
    assert (code, "count" in text) == (0, True), text


def test_a_zip_file_cannot_run_commands(archive, tmp_path):
    """``aldis run`` needs a file on the disk. The error names the archive and the remedy."""
    code, text = run(archive, tmp_path, "run", "--", "python", "-c", "print('ran')")
    assert code == 2
    assert "Traceback" not in text
    assert f"aldis run needs an installed aldis, but aldis is in {archive}" in " ".join(
        text.split()
    )
    assert "import aldis.as_blinker" in text
