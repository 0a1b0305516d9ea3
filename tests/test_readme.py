"""The programs and commands of the README work."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.docs.pages import Reader, free_address, visit
from tests.processes import LIMIT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def code_blocks(language):
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def make_targets():
    """Return the targets that ``make help`` lists."""
    return re.findall(r"^([a-z-]+):.*  ## ", MAKEFILE, re.MULTILINE)


def run(block):
    """Run a block as a program in which each warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=block,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize("block", code_blocks("python"))
def test_each_program_runs_unchanged(block):
    """Every Python block runs without an error or a warning."""
    if "flask" in block:
        pytest.importorskip("flask")
    done = run(block)

    assert (0, "") == (done.returncode, done.stderr)


def test_the_first_lines_call_their_receiver():
    """The first program prints the arguments of its receiver."""
    assert "harbour: thank you for order 7\n" == run(code_blocks("python")[0]).stdout


def test_the_flask_lines_put_the_engine_in_place():
    """After the line for Flask, its signals are signals of aldis."""
    pytest.importorskip("flask")
    check = "\nimport aldis\nprint(isinstance(request_started, aldis.Signal))"

    assert "True\n" == run(code_blocks("python")[1] + check).stdout


def make(*words, **options):
    """Start make with this Python, as if everything were installed."""
    stamps = [f"--old-file=.venv/.{each}" for each in ("demo", "docs", "made", "test")]
    return subprocess.Popen(
        ["make", "--no-print-directory", *stamps, f"BIN={Path(sys.executable).parent}", *words],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": os.defpath,  # without Node.js
            "MAKEFLAGS": "",  # without the variables of the make that runs these tests
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def test_each_make_target_exists():
    """Each make target in the README is in the Makefile."""
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))

    assert "test" in named
    assert set() == named - set(make_targets())


@pytest.mark.slow
def test_make_demo_prints_trees():
    """``make demo`` ends by itself and prints trees."""
    pytest.importorskip("flask_login")
    done = make("demo")
    printed, _ = done.communicate(timeout=LIMIT)

    assert 0 == done.returncode, printed
    assert re.search(r"^POST /pay -> 200 OK, .*\n(?:.*\n)+?├─ order_paid  ", printed, re.MULTILINE)


@pytest.mark.slow
def test_make_demo_serve_opens_the_shop():
    """``make demo-serve`` serves at the printed address until it is interrupted."""
    pytest.importorskip("flask_login")
    served = make("demo-serve", start_new_session=True)
    try:
        opened = next(line for line in served.stdout if line.startswith("The shop is open"))
        assert b"<h1>" in visit(opened.split()[-1])
    finally:
        os.killpg(served.pid, signal.SIGINT)
        served.communicate(timeout=LIMIT)


@pytest.mark.slow
def test_make_test_runs_the_tests():
    """``make test`` runs tests: here, one of this file."""
    done = make("test", "ARGS=-q -p no:cacheprovider tests/test_readme.py -k each_link")
    printed, _ = done.communicate(timeout=LIMIT)

    assert 0 == done.returncode, printed
    assert "1 passed" in printed


def test_make_docs_builds_the_pages():
    """``make docs`` builds the folder that the README links."""
    asked = make("--dry-run", "docs")
    printed, _ = asked.communicate(timeout=LIMIT)

    assert re.search(r"sphinx-build .* docs docs/_build/html\n", printed)


@pytest.mark.slow
def test_the_pip_commands_work_in_a_clone(tmp_path):
    """``pip install`` in a clone installs aldis, and the named extras exist."""
    (wanted,) = re.findall(r"`pip install '\.(\[.*\])'`", README)
    clone, target = tmp_path / "clone", tmp_path / "installed"
    left = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    shutil.copytree(ROOT / "src", clone / "src", ignore=left)
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"):
        shutil.copyfile(ROOT / name, clone / name)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, f".{wanted}"],
        capture_output=True,
        cwd=clone,
        env={**os.environ, "ALDIS_NO_EXTENSIONS": "1"},
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "does not provide the extra" not in done.stdout + done.stderr
    assert (target / "aldis" / "as_blinker.py").exists()


class TestTheCommandLine:
    """The commands of the README for an app in ``app.py``."""

    @pytest.fixture
    def reader(self, tmp_path):
        """Return a reader whose ``app.py`` begins with the lines of the README."""
        pytest.importorskip("flask")
        pytest.importorskip("click")
        reader = Reader(tmp_path)
        reader.write("app.py", code_blocks("python")[1])
        return reader

    def test_the_list_of_signals(self, reader):
        """``aldis signals list`` shows Flask's ten signals without receivers."""
        printed = reader.run("aldis signals list --app app")

        assert "flask.signals._signals  10 signals, 0 with receivers" in printed

    @pytest.mark.slow
    def test_the_command_flask(self, reader):
        """``flask run`` serves the app, although Flask was imported before aldis."""
        address, words = free_address()
        served = reader.start(sys.executable, "-m", "flask", "run", *words)
        try:
            with pytest.raises(HTTPError, match="404"):
                visit(address)
        finally:
            served.terminate()
            served.communicate(timeout=LIMIT)


def test_each_link_works():
    """Each relative link leads to a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists()]

    assert links
    assert [] == missing
