"""The pages of the documentation: their blocks, and a reader who follows them."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.processes import LIMIT

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

#: The reader's commands, with the programs of this Python.
COMMANDS = {
    "aldis": (sys.executable, "-m", "aldis"),
    "pytest": (sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
    "rm": ("rm",),
    "touch": ("touch",),
}

_TIME = re.compile(r"\b[\d.,]+ ?(?:ns|µs|ms|s)\b")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?<!to )`([\w.]+\.py)`[^`]*:\n\n\Z")


def blocks(page):
    """Yield each block of a page: its language, its text, and its file name."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        named = _FILE.search(text[: found.start()])
        yield found[1], found[2], named and named[1]


def steps(text):
    """Yield each command of a console block, with the lines of its output."""
    command, lines = None, []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, lines
            command, lines = line.removeprefix("$ "), []
        else:
            lines.append(line)
    yield command, lines


def unlike(expected, printed):
    """Return the first expected line that was not printed, or ``None``.

    ``…`` stands for any text: in a line for a part of it, alone for any lines. Durations
    may differ.
    """
    rest = iter([_TIME.sub("TIME", line.rstrip()) for line in printed])
    anywhere = False
    for line in expected:
        if line == "…":
            anywhere = True
            continue
        pattern = re.escape(_TIME.sub("TIME", line)).replace("…", ".*")
        for other in rest:
            if re.fullmatch(pattern, other):
                break
            if not anywhere:
                return f"{line!r} is expected, not {other!r}"
        else:
            return f"{line!r} is expected, and nothing more is printed"
        anywhere = False
    more = [line for line in rest if line]
    return None if anywhere or not more else f"nothing more is expected than {more[0]!r}"


class Reader:
    """A reader who follows a page to the letter, in a new folder."""

    def __init__(self, folder):
        self.folder = folder

    def follow(self, page):
        """Write each file of a page, run each command, and compare its output."""
        for language, text, name in blocks(page):
            if language == "python" and name:
                self.write(name, text)
            elif language == "python":
                self.add("shop.py", text)
            elif language == "console":
                for command, expected in steps(text):
                    printed = self.run(command, expected)
                    problem = unlike([line for line in expected if line != "^C"], printed)
                    assert problem is None, f"{page}: {command}: {problem}\n" + "\n".join(printed)

    def write(self, name, text):
        """Write a file as the page shows it."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def add(self, name, text):
        """Add lines to a file; the next ``write`` drops them."""
        path = self.folder / name
        path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{text}", encoding="utf-8")

    def run(self, command, expected=()):
        """Run a command and return the lines of its output.

        Press Ctrl-C where the page shows it.
        """
        name, *words = shlex.split(command)
        process = self.start(*COMMANDS[name], *words)
        limit = Timer(60, process.kill)
        limit.start()
        try:
            lines = []
            if "^C" in expected:
                before = expected[: expected.index("^C")]
                while unlike([*before, "…"], lines) and (line := process.stdout.readline()):
                    lines.append(line)
                process.send_signal(signal.SIGINT)
            printed, _ = process.communicate()
            return [*(line.rstrip("\n") for line in lines), *printed.splitlines()]
        finally:
            limit.cancel()
            process.kill()
            process.wait()

    def start(self, *command):
        """Start a command, with one pipe for all of its output."""
        ours = ("ALDIS_", "FLASK_", "PYTHONWARNINGS", "PYTEST_", "COLUMNS", "FORCE_COLOR")
        kept = {name: each for name, each in os.environ.items() if not name.startswith(ours)}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def free_address():
    """Return a free address, and the options with which ``flask run`` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/", ("--port", str(port))


def visit(url):
    """Wait for the server, and return its answer."""
    deadline = monotonic() + LIMIT
    while True:
        try:
            with urlopen(url, timeout=LIMIT) as answer:  # noqa: S310 - our own server
                return answer.read()
        except HTTPError:
            raise
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.1)
