"""Runs the command line as a user does: in processes, in a folder with the user's files."""

import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from textwrap import dedent
from threading import Timer

import pytest

from tests.processes import at_end

ALDIS = (sys.executable, "-m", "aldis")
FLASK = (sys.executable, "-m", "flask")
PYTHON = (sys.executable,)
RUN = (*ALDIS, "run", "--")

_OURS = ("ALDIS_", "FLASK_", "PYTHONWARNINGS", "NO_COLOR", "COLUMNS", "FORCE_COLOR", "TTY_")

#: Used instead of a path for a closed stream.
CLOSED = object()

#: Variables that take effect when an interpreter starts or aldis is imported.
_EARLY = ("PYTHON", "ALDIS_NO_EXTENSIONS", "ALDIS_STRICT")


class Project:
    """A folder with a user's files. Its methods run commands in the folder."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        """Write a file. The common indentation of the text is removed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def environment(self, **more):
        """Return the environment of this process without the variables that aldis reads."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {**kept, **more}

    def run(
        self, *command, timeout=30, anew=False, out=None, err=None, encoding="utf-8", **environ
    ):
        """Run a command and wait for its end.

        Args:
            *command: The command and its arguments.
            timeout: Seconds after which the command is killed.
            anew: Start a new interpreter, although a fork of the server could run the command.
            out: The path to which the output is redirected, or CLOSED.
            err: The path to which errors are redirected, or CLOSED.
            encoding: The encoding of the output.
            **environ: Variables of its environment.
        """
        with ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
            streams = [subprocess.DEVNULL, *files]
            for number, path in ((1, out), (2, err)):
                if path is CLOSED:
                    streams[number] = CLOSED
                elif path is not None:
                    streams[number] = stack.enter_context(Path(path).open("wb"))
            process = self._start(command, environ, streams, anew=anew)
            try:
                process.wait(timeout)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait(10)
            texts = []
            for file in files:
                file.seek(0)
                texts.append(file.read().decode(encoding))
        return subprocess.CompletedProcess(command, process.returncode, *texts)

    def run_without(self, missing, *command):
        """Run ``aldis`` in a process that cannot import a module, and wait for its end."""
        self.write(
            "without.py",
            f"""
            import sys

            class Without:
                @staticmethod
                def find_spec(name, *_):
                    if name == "{missing}":
                        raise ModuleNotFoundError("No module named {missing}", name=name)

            sys.meta_path.insert(0, Without)
            from aldis.cli import main
            main()
            """,
        )
        return self.run(*PYTHON, "without.py", *command, anew=True)

    def start(self, *command, err=subprocess.STDOUT, anew=False, **environ):
        """Start a command in a new session. One pipe gets its output and its errors."""
        streams = (subprocess.DEVNULL, subprocess.PIPE, err)
        return self._start(command, environ, streams, session=True, anew=anew)

    def on_terminal(
        self, *command, columns=80, answer=None, typed=True, encoding="utf-8", **environ
    ):
        """Run a command on a terminal, and return its exit code and the text on the terminal.

        Args:
            *command: The command and its arguments.
            columns: The width of the terminal.
            answer: The text to type when the command asks for yes or no.
            typed: Whether the terminal is also the command's input.
            encoding: The encoding of the output.
            **environ: Variables of its environment.
        """
        try:
            ours, theirs = pty.openpty()
        except OSError as error:  # such as in a container without /dev/pts
            if os.environ.get("CI"):
                raise
            pytest.skip(f"this machine has no terminals for programs ({error})")
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ["TERM"] = "xterm-256color"
        stdin = theirs if typed else subprocess.DEVNULL
        process = self._start(command, environ, (stdin, theirs, theirs))
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
                if answer is not None and b"[y/N]" in seen:
                    os.write(ours, answer.encode() + b"\n")
                    answer = None
        except OSError:  # on Linux, this means that the other end is closed
            pass
        finally:
            os.close(ours)
        return process.wait(timeout=30), seen.decode(encoding).replace("\r\n", "\n")

    def _start(self, command, environ, streams, *, session=False, anew=False):
        stdin, stdout, stderr = streams
        command = [*map(str, command)]
        start = subprocess.Popen
        if not anew and _can_fork(command, environ):
            start = Forked
        elif CLOSED in streams:
            closing = " ".join(f"{n}>&-" for n, each in enumerate(streams) if each is CLOSED)
            command = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *command]
            stdout, stderr = (None if each is CLOSED else each for each in (stdout, stderr))
        return start(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=self.folder,
            env=self.environment(**environ),
            start_new_session=session,
            text=True,
        )


def _can_fork(command, environ):
    """Return whether the fork server can run a command like a new interpreter."""
    if not hasattr(os, "fork") or any(name.startswith(_EARLY) for name in environ):
        return False
    python, *rest = command
    if python != sys.executable or not rest:
        return False
    return rest[0].endswith(".py") or (rest[0] == "-m" and rest[1] in ("aldis", "flask"))


@cache
def _fork_server():
    """Start the server, and return the socket that it reads."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.cli.fork_server", str(theirs.fileno())]
    server = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env=Project(None).environment(),
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must reach the tests only
    )
    theirs.close()

    def stop():
        ours.close()
        server.wait(10)

    at_end(stop)
    return ours


class Forked:
    """A Python program in a fork of the server, with the methods of ``Popen`` that tests use."""

    def __init__(self, args, *, stdin, stdout, stderr, **options):
        self.args = args
        self.returncode = None
        self.stdout = None
        request = {
            "command": args[1:],
            "folder": str(options["cwd"]),
            "environ": options["env"],
            "session": options["start_new_session"],
        }
        opened = []
        if stdin == subprocess.DEVNULL:
            opened.append(stdin := os.open(os.devnull, os.O_RDWR))
        if stdout == subprocess.PIPE:
            readable, stdout = os.pipe()
            opened.append(stdout)
            self.stdout = os.fdopen(readable, encoding="utf-8")
        if stderr == subprocess.STDOUT:
            stderr = stdout
        streams = (stdin, stdout, stderr)
        request["closed"] = [number for number, each in enumerate(streams) if each is CLOSED]
        self._answers, theirs = socket.socketpair()
        self._received = b""
        numbers = [
            each if isinstance(each, int) else each.fileno()
            for each in streams
            if each is not CLOSED
        ]
        socket.send_fds(
            _fork_server(), [json.dumps(request).encode() + b"\n"], [*numbers, theirs.fileno()]
        )
        theirs.close()
        for each in opened:
            os.close(each)
        self.pid = int(self._answer(60))

    def _answer(self, timeout):
        # One read may return both answers, the process id and the exit code.
        self._answers.settimeout(timeout)
        while b"\n" not in self._received:
            part = self._answers.recv(100)
            assert part, "the fork server has ended"
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line

    def wait(self, timeout=None):
        """Wait for the end, and return the exit code."""
        if self.returncode is None:
            try:
                self.returncode = int(self._answer(timeout))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self._answers.close()
        return self.returncode

    def poll(self):
        """Return the exit code, or None before the end."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout=None):
        """Read the rest of the output and wait for the end. After the timeout, kill the program."""
        clock = Timer(timeout or 3600, self.kill)
        clock.start()
        try:
            text = self.stdout.read()
        finally:
            late = not clock.is_alive()
            clock.cancel()
            clock.join()
        if late:
            raise subprocess.TimeoutExpired(self.args, timeout, output=text)
        self.stdout.close()
        self.wait(timeout)
        return text, None

    def send_signal(self, number):
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Ask the program to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Kill the program."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.stdout is not None:
            self.stdout.close()
        self.wait(20)


SHOP = """
    import aldis.as_blinker
    from aldis import Namespace
    from aldis.receivers import robust
    from flask import Flask, request_started

    shop = Namespace()

    @shop.define
    def order_paid(sender: str, /, *, order_id: int, note: str = "") -> None:
        '''Sent once an order is paid.

        And more about it.
        '''

    @shop.define(name="shelf-empty", advisory=True)
    def shelf_empty(sender, /, **extra): ...

    @order_paid.connect
    @robust
    def thank(sender, *, order_id, **extra): ...

    @order_paid.connect_via("harbour")
    async def deliver(sender, *, order_id, **extra): ...

    app = Flask("shop")

    @request_started.connect_via(app)
    def greet(sender, **extra):
        shop["shelf-empty"].send("shelf", left=0)

    @app.route("/", methods=["GET", "POST"])
    def index():
        return "hello"

    @app.get("/fail")
    def fail():
        raise LookupError("no such lamp")
    """
