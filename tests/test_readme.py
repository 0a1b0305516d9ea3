"""The README promises what is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Run a block as a program of its own, every warning an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=block,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("block", code_blocks("python"))
def test_each_program_runs_as_it_stands(block):
    """Every Python block runs by itself, without a complaint."""
    if "flask" in block:
        pytest.importorskip("flask")
    done = run(block)

    assert (0, "") == (done.returncode, done.stderr)


def test_the_first_lines_call_their_receiver():
    """The first program prints what its receiver was called with."""
    assert "harbour: thank you for order 7\n" == run(code_blocks("python")[0]).stdout


def test_the_flask_lines_put_the_engine_in_place():
    """After the one line for Flask, its signals are aldis's."""
    pytest.importorskip("flask")
    check = "\nimport aldis\nprint(isinstance(request_started, aldis.Signal))"

    assert "True\n" == run(code_blocks("python")[1] + check).stdout


def test_each_command_is_a_make_target():
    """Every `make` command that is named exists."""
    named = set(re.findall(r"\bmake ([a-z-]+)(?=\s+#|`)", README))

    assert {"demo", "demo-serve", "test"} <= named
    assert set() == named - set(make_targets())


def test_each_link_leads_somewhere():
    """Every relative link leads to a file, or to one that a make target writes."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists()]

    assert len(links) > 5
    assert [] == missing


def test_the_tree_is_as_the_demo_prints_it():
    """Each line of the README's tree is drawn as a trace is: lines, a duration or who was deaf."""
    (tree,) = code_blocks("text")
    title, *lines = tree.splitlines()
    node = re.compile(r"[│ ]*[├└]─ [\w-]+  (nobody heard|[\d.]+ (µs|ms))  ")

    assert re.fullmatch(r"POST /pay -> 200 OK, [\d.]+ ms", title)
    assert [] == [line for line in lines if not node.match(line)]


def test_the_tree_names_the_lines_where_the_receivers_are():
    """Each place in the README's tree is where the example shop connects that receiver."""
    (tree,) = code_blocks("text")
    places = re.findall(r"─ (\w+)  .*  (examples/\S+\.py):(\d+)$", tree, re.MULTILINE)
    wrong = []
    for name, path, line in places:
        below = (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1 :]
        first = next(text for text in below if not text.startswith("@"))
        if not (below[0].startswith("@") and first.startswith(f"def {name}(")):
            wrong.append(f"{name} is not at {path}:{line}")

    assert len(places) > 2
    assert [] == wrong
