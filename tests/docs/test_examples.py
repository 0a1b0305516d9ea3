"""The examples of the explanations, and of how-to pages without a separate test."""

import subprocess
import sys

import pytest

from tests.docs.pages import blocks, unlike
from tests.processes import LIMIT

PAGES = [
    "index.md",
    "explanation/delivery.md",
    "explanation/strict.md",
    "explanation/threads.md",
    "how-to/connect-receivers.md",
    "how-to/find-who-listens.md",
    "how-to/isolate-a-receiver.md",
    "how-to/move-from-blinker.md",
    "how-to/use-in-an-extension.md",
    "how-to/write-plugins.md",
]

#: The modules that the examples of a page import.
NEEDED = {"how-to/use-in-an-extension.md": "flask", "how-to/write-plugins.md": "pluggy"}


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run_one_after_the_other(page, tmp_path):
    """Together, the examples print the shown output. Each warning is an error."""
    if page in NEEDED:
        pytest.importorskip(NEEDED[page])
    found = list(blocks(page))
    program = tmp_path / "example.py"
    program.write_text("\n".join(text for language, text, _ in found if language == "python"))
    strict = ["-W", "error"] if page != "explanation/strict.md" else []
    done = subprocess.run(
        [sys.executable, *strict, program],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    expected = [
        line for language, text, _ in found if language == "text" for line in text.splitlines()
    ]
    assert 0 == done.returncode, done.stderr
    problem = unlike(expected, done.stdout.splitlines())
    assert problem is None, f"{problem}\n{done.stdout}"
