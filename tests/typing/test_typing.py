import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = ("must_check.py", "must_not_check.py", "lamps.py")


def errors_of_mypy():
    """Run mypy, and return the file and line of each error with its text."""
    pytest.importorskip("mypy", reason="`make types` installs the type checkers")
    command = ["mypy", "--strict", "--output", "json", *_paths()]
    reports = [json.loads(line) for line in _run(command).splitlines()]
    return [
        (Path(each["file"]).name, each["line"], each["message"])
        for each in reports
        if each["severity"] == "error"
    ]


def errors_of_pyright():
    """Run pyright, and return the file and line of each error with its text."""
    pytest.importorskip("pyright", reason="`make types` installs the type checkers")
    command = ["pyright", "--pythonpath", sys.executable, "--outputjson", *_paths()]
    report = json.loads(_run(command))
    return [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def _paths():
    return [str(HERE.relative_to(ROOT) / name) for name in FILES]


def _run(command):
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=100,
    )
    # Exit code 1 means errors in the code. A higher code means that the checker failed.
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module", params=[errors_of_mypy, errors_of_pyright], ids=["mypy", "pyright"])
def errors(request):
    """Return the errors of one type checker in the files of this folder."""
    return request.param()


def marked(name):
    """Return the numbers of the lines that are marked as wrong."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if re.search(r"# E(:|$)", line)}


def test_accepts_what_users_write(errors):
    """A type checker accepts all correct uses, in its strictest mode."""
    assert [each for each in errors if each[0] != "must_not_check.py"] == []


def test_refuses_every_misuse_and_nothing_else(errors):
    """A type checker finds an error in each line that is marked as wrong, and in no other."""
    found = {line: text for name, line, text in errors if name == "must_not_check.py"}
    expected = marked("must_not_check.py")
    assert len(expected) > 40
    assert {line: text for line, text in found.items() if line not in expected} == {}
    assert sorted(expected - found.keys()) == []
